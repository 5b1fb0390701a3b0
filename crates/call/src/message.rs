//! What every message of ours has in common: the methods and extensions we know, and the guard on headers from above.

use sip_api::{ALLOW, Headers, Method, NameAddr, Request, Response, SUPPORTED, is_supported};

use crate::input::{Body, ExtraHeaders};

/// Adds headers from above, except those that belong to the dialog, the edge or the body.
pub(crate) fn push_extra(headers: &mut Headers, extra: &ExtraHeaders) {
    const OURS: [&str; 12] = [
        "Via",
        "From",
        "To",
        "Call-ID",
        "CSeq",
        "Route",
        "Record-Route",
        "Contact",
        "Content-Length",
        "Content-Type",
        "Session-Expires",
        "RSeq",
    ];
    for (name, value) in extra {
        if !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) {
            headers.push(name, value.clone());
        }
    }
}

/// The Contact among headers from above.
pub(crate) fn contact_among(extra: &ExtraHeaders) -> Option<&str> {
    value_among(extra, "Contact")
}

/// The first value of a header from above.
pub(crate) fn value_among<'a>(extra: &'a ExtraHeaders, wanted: &str) -> Option<&'a str> {
    extra.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str())
}

/// The From among headers from above, if it can be read.
pub(crate) fn from_among(extra: &ExtraHeaders) -> Option<NameAddr> {
    let (_, value) = extra.iter().find(|(name, _)| name.eq_ignore_ascii_case("From"))?;
    NameAddr::parse(value).ok()
}

/// Adds Allow and Supported, as an INVITE and its 2xx carry them.
pub(crate) fn push_abilities(headers: &mut Headers) {
    headers.push("Allow", ALLOW);
    headers.push("Supported", SUPPORTED);
}

/// When a peer whom we cannot serve now may come again, in seconds, unless the refusal says otherwise.
const RETRY_AFTER: &str = "10";

/// A response as it goes out: who is refused for want of room is told when to come again (RFC 3261 21.5.4).
pub(crate) fn outgoing(mut response: Response) -> Response {
    if response.status == 503 && response.headers.get("Retry-After").is_none() {
        response.headers.push("Retry-After", RETRY_AFTER);
    }
    response
}

/// Adds Allow, and Supported without one of the extensions.
pub(crate) fn push_abilities_without(headers: &mut Headers, extension: &str) {
    headers.push("Allow", ALLOW);
    let supported: Vec<&str> = SUPPORTED.split(", ").filter(|known| *known != extension).collect();
    headers.push("Supported", supported.join(", "));
}

/// Adds one `Reason` for each value (RFC 3326).
pub(crate) fn push_reasons(headers: &mut Headers, reasons: &[String]) {
    for reason in reasons {
        headers.push("Reason", reason.clone());
    }
}

/// Whether the sender of a message allows this method.
pub(crate) fn allows(headers: &Headers, method: &Method) -> bool {
    headers.has_token("Allow", method.as_str())
}

/// The extensions a request requires and we lack, as a value of `Unsupported` (RFC 3261 8.2.2.3).
pub(crate) fn unsupported(request: &Request) -> Option<String> {
    let required = request.headers.values("Require");
    let lacking: Vec<&str> = required.into_iter().filter(|wanted| !is_supported(wanted)).collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

/// A message with a body, if there is one.
pub(crate) trait WithBody: Sized {
    /// Puts a body in.
    #[must_use]
    fn with(self, body: Option<&Body>) -> Self;
}

impl WithBody for Request {
    fn with(self, body: Option<&Body>) -> Self {
        match body {
            Some(body) => self.with_body(&body.content_type, body.bytes.clone()),
            None => self,
        }
    }
}

impl WithBody for Response {
    fn with(self, body: Option<&Body>) -> Self {
        match body {
            Some(body) => self.with_body(&body.content_type, body.bytes.clone()),
            None => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::SipUri;

    #[test]
    fn headers_of_the_dialog_cannot_be_replaced_from_above() {
        let extra = vec![("cseq".to_owned(), "1 BYE".to_owned()), ("Alert-Info".to_owned(), "<urn:x>".to_owned())];
        let mut headers = Headers::new();
        push_extra(&mut headers, &extra);
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("Alert-Info", "<urn:x>")]);
    }

    #[test]
    fn unknown_extensions_are_named() {
        let mut request = Request::new(Method::Invite, SipUri::sip(None, "x", None));
        request.headers.push("Require", "timer, Gruu, 100REL, Replaces");
        assert_eq!(unsupported(&request).as_deref(), Some("Gruu"));
    }
}
