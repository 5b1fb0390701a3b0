//! From values to bytes.

use bytes::Bytes;
use sip_api::{Headers, NameAddr, Request, Response, same_header_name};

use super::via::Via;

/// Room for the head of most messages, bytes.
const HEAD_USUAL: usize = 1_024;

/// What a response repeats of its request (RFC 3261 8.2.6.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReplyHead {
    /// All Via lines; the first says where the request really came from.
    pub vias: Vec<String>,
    /// From, To, Call-ID and CSeq as they came; absent ones of broken requests are left out.
    pub copied: Vec<(&'static str, String)>,
    /// Record-Route lines.
    pub record_routes: Vec<String>,
}

impl ReplyHead {
    /// Takes what a response will need; `via` is the topmost Via with the source written down, if it could be read.
    pub(crate) fn new(headers: &Headers, via: Option<&Via>) -> Self {
        let mut vias: Vec<String> = headers.get_all("Via").map(str::to_owned).collect();
        if let (Some(first), Some(via)) = (vias.first_mut(), via) {
            // The other values of the line, with their comma, stay as they came.
            let own = headers.values("Via").first().map_or(0, |value| value.len());
            let others = first.find(',').filter(|_| own < first.len()).map_or("", |_| &first[own..]);
            *first = format!("{via}{}", others.trim_end());
        }
        let copied = ["From", "To", "Call-ID", "CSeq"]
            .into_iter()
            .filter_map(|name| headers.get(name).map(|value| (name, value.to_owned())))
            .collect();
        Self { vias, copied, record_routes: headers.get_all("Record-Route").map(str::to_owned).collect() }
    }

    /// The To of responses: the request's, with `tag` added if it has none.
    pub(crate) fn to_with_tag(&self, tag: &str) -> Option<String> {
        let (_, to) = self.copied.iter().find(|(name, _)| *name == "To")?;
        let tagged = NameAddr::parse(to).is_ok_and(|address| address.tag().is_some());
        Some(if tagged { to.clone() } else { format!("{to};tag={tag}") })
    }
}

/// The bytes of a response. `tag` is put on To unless the response or the request brought one; 100 carries none.
pub(crate) fn response_bytes(head: &ReplyHead, response: &Response, tag: &str, server: &str) -> Bytes {
    let reason: String = response.reason.chars().filter(|character| !character.is_control()).collect();
    let mut text = String::with_capacity(HEAD_USUAL + response.body.len());
    text.push_str(&format!("SIP/2.0 {} {reason}\r\n", response.status));
    for via in &head.vias {
        push(&mut text, "Via", via);
    }
    let given_to = response.headers.get("To").filter(|_| response.to_tag().is_some());
    for (name, value) in &head.copied {
        match (*name, given_to) {
            ("To", Some(to)) => push(&mut text, name, to),
            ("To", None) if response.status > 100 => push(&mut text, name, &head.to_with_tag(tag).unwrap_or_default()),
            _ => push(&mut text, name, value),
        }
    }
    // Only responses that make a dialog need the route; on others it would only cost bytes (RFC 3261 12.1.1).
    if (101..300).contains(&response.status) {
        for route in &head.record_routes {
            push(&mut text, "Record-Route", route);
        }
    }
    const OURS: [&str; 7] = ["Via", "From", "To", "Call-ID", "CSeq", "Record-Route", "Content-Length"];
    push_others(&mut text, &response.headers, &OURS);
    if response.headers.get("Server").is_none() {
        push(&mut text, "Server", server);
    }
    finish(text, &response.body)
}

/// The bytes of a request with `via` as its only Via.
pub(crate) fn request_bytes(request: &Request, via: &Via, user_agent: &str) -> Bytes {
    let method: String =
        request.method.as_str().bytes().filter(|byte| byte.is_ascii_graphic()).map(char::from).collect();
    let uri: String = request.uri.to_string().chars().filter(|character| !character.is_control()).collect();
    let mut text = String::with_capacity(HEAD_USUAL + request.body.len());
    text.push_str(&format!("{method} {uri} SIP/2.0\r\n"));
    push(&mut text, "Via", &via.to_string());
    if request.headers.get("Max-Forwards").is_none() {
        push(&mut text, "Max-Forwards", "70");
    }
    push_others(&mut text, &request.headers, &["Via", "Content-Length"]);
    if request.headers.get("User-Agent").is_none() {
        push(&mut text, "User-Agent", user_agent);
    }
    finish(text, &request.body)
}

fn push(text: &mut String, name: &str, value: &str) {
    text.push_str(name);
    text.push_str(": ");
    text.push_str(value);
    text.push_str("\r\n");
}

/// Every header whose name, long or compact, is not in `left_out`.
fn push_others(text: &mut String, headers: &Headers, left_out: &[&str]) {
    for (name, value) in headers.iter() {
        let left_out = left_out.iter().any(|other| same_header_name(name, other));
        if !left_out && name.bytes().all(super::parse::is_token) {
            push(text, name, value.trim());
        }
    }
}

fn finish(mut text: String, body: &[u8]) -> Bytes {
    push(&mut text, "Content-Length", &body.len().to_string());
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    Bytes::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::{Method, SipUri};

    fn head() -> ReplyHead {
        let headers = Headers::new()
            .with("v", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/TCP b;branch=z9hG4bK2")
            .with("Via", "SIP/2.0/UDP c;branch=z9hG4bK3")
            .with("f", "<sip:ann@x>;tag=1")
            .with("t", "<sip:bob@x>")
            .with("i", "call")
            .with("CSeq", "1 INVITE")
            .with("Record-Route", "<sip:p;lr>");
        let mut via = Via::parse("SIP/2.0/UDP a;branch=z9hG4bK1").expect("valid");
        via.note_source("127.0.0.1:9".parse().expect("address"));
        ReplyHead::new(&headers, Some(&via))
    }

    #[test]
    fn a_response_repeats_what_it_must() {
        let response = Response::new(180).with_header("Contact", "<sip:us@x>").with_header("v", "evil");
        let text = response_bytes(&head(), &response, "tt", "S");
        let expected = "SIP/2.0 180 Ringing\r\n\
            Via: SIP/2.0/UDP a;branch=z9hG4bK1;received=127.0.0.1, SIP/2.0/TCP b;branch=z9hG4bK2\r\n\
            Via: SIP/2.0/UDP c;branch=z9hG4bK3\r\nFrom: <sip:ann@x>;tag=1\r\nTo: <sip:bob@x>;tag=tt\r\n\
            Call-ID: call\r\nCSeq: 1 INVITE\r\nRecord-Route: <sip:p;lr>\r\nContact: <sip:us@x>\r\n\
            Server: S\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn the_control_side_may_bring_its_own_tag_and_phrase() {
        let mut response = Response::new(200).with_header("To", "<sip:bob@x>;tag=own").with_body("text/plain", "x");
        response.reason = "Fine\r\nEvil: 1".to_owned();
        let text = String::from_utf8_lossy(&response_bytes(&head(), &response, "tt", "S")).into_owned();
        assert!(text.starts_with("SIP/2.0 200 FineEvil: 1\r\n") && text.contains(";tag=own\r\n"), "{text}");
        assert!(text.ends_with("Content-Length: 1\r\n\r\nx") && !text.contains("tag=tt"), "{text}");
        let trying = response_bytes(&head(), &Response::new(100), "tt", "S");
        assert!(!String::from_utf8_lossy(&trying).contains("tag=tt"));
    }

    #[test]
    fn a_request_gets_what_it_lacks() {
        let mut request = Request::new(Method::Service, SipUri::sip(Some("ann"), "x", None));
        request.headers = Headers::new().with("l", "7").with("Subject", "s");
        let via = Via::parse("SIP/2.0/TCP h:1;branch=z9hG4bKa").expect("valid");
        let text = String::from_utf8_lossy(&request_bytes(&request, &via, "UA")).into_owned();
        let expected = "SERVICE sip:ann@x SIP/2.0\r\nVia: SIP/2.0/TCP h:1;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
            Subject: s\r\nUser-Agent: UA\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(text, expected);
    }
}
