//! The strict checks every message passes before any state is made for it.
//!
//! rsipstack's own parser lets pass what these tables refuse (a version 7.0, a CSeq of another method, a negative
//! Content-Length, unbalanced quotes ...), so nothing reaches it that has not been through here. Each rule names its
//! section; the whole of RFC 4475 and RFC 5118 is the test (`torture`).

use base::Limits;
use sip_api::{ACCEPT, ALLOW, Headers, Method, Request, Response, SipUri, is_supported};

use super::address::{Address, is_foreign_uri, mend_ipv6};
use super::parse::{Message, Start};
use super::via::Via;
use crate::counters::{DropReason, RejectReason};

/// Headers that may stand once at most. Two of them are two meanings, and two elements may choose differently.
const SINGLE: [&str; 17] = [
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Max-Forwards",
    "Content-Length",
    "Content-Type",
    "Content-Disposition",
    "Expires",
    "Event",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Session-Expires",
    "Min-SE",
    "RSeq",
    "RAck",
];

/// A request that passed.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    /// The request for the control side.
    pub request: Request,
    /// The topmost Via, as it came.
    pub via: Via,
    /// From.
    pub from: Address,
    /// To.
    pub to: Address,
    /// The CSeq number.
    pub cseq: u32,
    /// Max-Forwards is zero; only OPTIONS may come in like this (RFC 3261 11.2).
    pub last_hop: bool,
}

/// A response that passed.
#[derive(Clone, Debug)]
pub(crate) struct IncomingResponse {
    /// The response for the control side.
    pub response: Response,
    /// The topmost Via.
    pub via: Via,
    /// The CSeq number.
    pub cseq: u32,
    /// The CSeq method.
    pub method: Method,
}

/// A request that must be refused.
#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    /// How it is counted.
    pub reason: RejectReason,
    /// The answer, without what is copied from the request.
    pub response: Response,
}

/// What the checks say.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// A request may pass.
    Request(Box<Incoming>),
    /// A response may pass.
    Response(Box<IncomingResponse>),
    /// A request is answered with an error. The Via is there if it could be read.
    Reject(Box<Rejection>, Option<Via>),
    /// It is not answered.
    Drop(DropReason),
}

/// The checks, with the bounds they need.
#[derive(Clone, Debug)]
pub(crate) struct Checker {
    message: usize,
    sdp: usize,
    c3p: usize,
}

type Checked<T> = Result<T, Box<Rejection>>;

impl Checker {
    /// Checks with these bounds.
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { message: limits.sip_message, sdp: limits.sdp_body, c3p: limits.c3p_body }
    }

    /// Checks one message of `size` bytes.
    pub(crate) fn check(&self, message: &Message, size: usize) -> Verdict {
        match &message.start {
            Start::Response { status, reason } => check_response(message, *status, reason),
            Start::Request { method, uri } => {
                let Some(top) = message.headers.values("Via").first().copied() else {
                    // Without a Via there is nobody to answer (RFC 3261 18.2.1).
                    return Verdict::Drop(DropReason::Garbage);
                };
                let via = Via::parse(top);
                match self.check_request(message, method, uri, size, via.as_ref()) {
                    Ok(incoming) => Verdict::Request(Box::new(incoming)),
                    // RFC 3261 17.1.1.3: an ACK is never answered.
                    Err(_) if method == "ACK" => Verdict::Drop(DropReason::UnmatchedAck),
                    Err(rejection) => Verdict::Reject(rejection, via),
                }
            }
        }
    }

    fn check_request(
        &self,
        message: &Message,
        method: &str,
        uri: &str,
        size: usize,
        via: Option<&Via>,
    ) -> Checked<Incoming> {
        if let Some(flaw) = message.flaw {
            let status = if flaw.reason == RejectReason::Version { 505 } else { 400 };
            return Err(reject(status, flaw.reason, flaw.detail));
        }
        let headers = &message.headers;
        let via = via.ok_or_else(|| bad(RejectReason::Via, "malformed Via"))?.clone();
        check_single(headers)?;
        let call_id = mandatory(headers, "Call-ID")?;
        if call_id.is_empty() || call_id.contains([' ', '\t']) {
            return Err(bad(RejectReason::HeaderSyntax, "malformed Call-ID"));
        }
        let cseq = check_cseq(mandatory(headers, "CSeq")?, method)?;
        let from = check_address(headers, "From")?;
        let to = check_address(headers, "To")?;
        let last_hop = check_max_forwards(headers, method)?;
        let uri = check_uri(uri)?;
        let parsed = Method::parse(method);
        if matches!(parsed, Method::Other(_)) {
            return Err(with(reject(501, RejectReason::Method, "Not Implemented"), "Allow", ALLOW));
        }
        check_contacts(headers, &parsed)?;
        if !matches!(parsed, Method::Ack | Method::Cancel) {
            check_require(headers)?;
        }
        self.check_body(message, &parsed, size)?;
        let request = Request { method: parsed, uri, headers: headers.clone(), body: message.body.clone() };
        Ok(Incoming { request, via, from, to, cseq, last_hop })
    }

    fn check_body(&self, message: &Message, method: &Method, size: usize) -> Checked<()> {
        let (headers, body) = (&message.headers, &message.body);
        if size > self.message {
            return Err(reject(513, RejectReason::MessageSize, "Message Too Large"));
        }
        if headers.values("Content-Encoding").iter().any(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
            let rejection = reject(415, RejectReason::ContentEncoding, "Unsupported Media Type");
            return Err(with(rejection, "Accept-Encoding", "identity"));
        }
        if *method == Method::Invite {
            check_accept(headers)?;
        }
        if body.is_empty() {
            return Ok(());
        }
        let content_type = headers.get("Content-Type").unwrap_or("").split(';').next().unwrap_or("");
        let content_type = content_type.trim().to_ascii_lowercase();
        let limit = match content_type.as_str() {
            "" => return Err(bad(RejectReason::ContentType, "a body without Content-Type")),
            "application/sdp" => self.sdp,
            "application/cccp+xml" => self.c3p,
            _ => self.message,
        };
        if body.len() > limit {
            return Err(reject(413, RejectReason::BodySize, "Request Entity Too Large"));
        }
        let optional = headers.get("Content-Disposition").is_some_and(|value| value.contains("handling=optional"));
        if *method == Method::Invite && !optional && !ACCEPT.split(", ").any(|accepted| accepted == content_type) {
            return Err(with(reject(415, RejectReason::ContentType, "Unsupported Media Type"), "Accept", ACCEPT));
        }
        Ok(())
    }
}

fn check_response(message: &Message, status: u16, reason: &str) -> Verdict {
    let malformed = Verdict::Drop(DropReason::MalformedResponse);
    let headers = &message.headers;
    if message.flaw.is_some() || check_single(headers).is_err() {
        return malformed;
    }
    let Some(via) = headers.values("Via").first().copied().and_then(Via::parse) else { return malformed };
    let Some((cseq, method)) = headers.get("CSeq").and_then(split_cseq) else { return malformed };
    let whole = ["From", "To"].iter().all(|name| headers.get(name).and_then(Address::parse).is_some());
    if !whole || headers.get("Call-ID").is_none_or(str::is_empty) {
        return malformed;
    }
    let response = Response { status, reason: reason.to_owned(), headers: headers.clone(), body: message.body.clone() };
    Verdict::Response(Box::new(IncomingResponse { response, via, cseq, method: Method::parse(method) }))
}

fn reject(status: u16, reason: RejectReason, phrase: &str) -> Box<Rejection> {
    let mut response = Response::new(status);
    response.reason = phrase.to_owned();
    Box::new(Rejection { reason, response })
}

/// 400 with a phrase that says what is wrong (RFC 3261 21.4.1).
fn bad(reason: RejectReason, phrase: &str) -> Box<Rejection> {
    reject(400, reason, phrase)
}

fn with(mut rejection: Box<Rejection>, name: &str, value: &str) -> Box<Rejection> {
    rejection.response.headers.push(name, value);
    rejection
}

fn check_single(headers: &Headers) -> Checked<()> {
    match SINGLE.iter().find(|name| headers.get_all(name).nth(1).is_some()) {
        Some(name) => Err(bad(RejectReason::DuplicateHeader, &format!("more than one {name}"))),
        None => Ok(()),
    }
}

fn mandatory<'a>(headers: &'a Headers, name: &str) -> Checked<&'a str> {
    headers.get(name).ok_or_else(|| bad(RejectReason::MissingHeader, &format!("{name} is missing")))
}

/// The number is below 2^31 and the method is the request's (RFC 3261 8.1.1.5).
fn check_cseq(value: &str, method: &str) -> Checked<u32> {
    match split_cseq(value) {
        Some((number, named)) if named == method => Ok(number),
        Some(_) => Err(bad(RejectReason::CSeq, "CSeq names another method")),
        None => Err(bad(RejectReason::CSeq, "malformed CSeq")),
    }
}

fn split_cseq(value: &str) -> Option<(u32, &str)> {
    let mut parts = value.split_whitespace();
    let (number, method) = (parts.next()?, parts.next()?);
    if parts.next().is_some() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((number.parse().ok().filter(|number| *number < 1 << 31)?, method))
}

fn check_address(headers: &Headers, name: &str) -> Checked<Address> {
    let value = mandatory(headers, name)?;
    if headers.values(name).len() != 1 {
        return Err(bad(RejectReason::Address, &format!("malformed {name}")));
    }
    Address::parse(value).ok_or_else(|| bad(RejectReason::Address, &format!("malformed {name}")))
}

/// Whether the request has used up its hops. Only OPTIONS may still be answered then (RFC 3261 11.2).
fn check_max_forwards(headers: &Headers, method: &str) -> Checked<bool> {
    // RFC 2543 clients send none.
    let Some(text) = headers.get("Max-Forwards") else { return Ok(false) };
    let hops = text.parse::<u16>().ok().filter(|hops| *hops <= 255 && text.bytes().all(|byte| byte.is_ascii_digit()));
    match hops {
        None => Err(bad(RejectReason::MaxForwards, "malformed Max-Forwards")),
        Some(0) if !matches!(method, "OPTIONS" | "ACK" | "CANCEL") => {
            Err(reject(483, RejectReason::MaxForwards, "Too Many Hops"))
        }
        Some(hops) => Ok(hops == 0),
    }
}

fn check_uri(text: &str) -> Checked<SipUri> {
    if is_foreign_uri(text) {
        return Err(reject(416, RejectReason::UriScheme, "Unsupported URI Scheme"));
    }
    let uri = SipUri::parse(&mend_ipv6(text)).map_err(|_| bad(RejectReason::RequestUri, "malformed Request-URI"))?;
    // RFC 3261 19.1.1, table 1: headers are not allowed in a Request-URI.
    if uri.headers.is_some() {
        return Err(bad(RejectReason::RequestUri, "headers in the Request-URI"));
    }
    Ok(uri)
}

fn check_contacts(headers: &Headers, method: &Method) -> Checked<()> {
    let contacts = headers.values("Contact");
    let malformed = || bad(RejectReason::Contact, "malformed Contact");
    for contact in &contacts {
        let star = *contact == "*" && *method == Method::Register;
        // RFC 3261 20.10: a URI with a question mark stands in brackets.
        if !star && (!contact.contains('<') && contact.contains('?') || Address::parse(contact).is_none()) {
            return Err(malformed());
        }
    }
    if *method == Method::Invite && contacts.len() > 1 { Err(malformed()) } else { Ok(()) }
}

fn check_require(headers: &Headers) -> Checked<()> {
    let unknown: Vec<&str> = headers.values("Require").into_iter().filter(|tag| !is_supported(tag)).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(with(reject(420, RejectReason::Extension, "Bad Extension"), "Unsupported", &unknown.join(", ")))
}

/// A caller who accepts none of the types we answer an INVITE with is told so (RFC 3261 21.4.7).
fn check_accept(headers: &Headers) -> Checked<()> {
    let is_silent = headers.values("Accept").is_empty();
    if is_silent || ACCEPT.split(", ").any(|own| headers.accepts(own)) {
        return Ok(());
    }
    Err(with(reject(406, RejectReason::Accept, "Not Acceptable"), "Accept", ACCEPT))
}

#[cfg(test)]
mod tests {
    use super::super::parse::parse_datagram;
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) -> Verdict {
        let message = parse_datagram(&bytes::Bytes::copy_from_slice(text.as_bytes())).expect("a message");
        Checker::new(&Limits::default()).check(&message, text.len())
    }

    fn request(start: &str, headers: &str) -> String {
        format!(
            "{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\n\
             Call-ID: c\r\n{headers}\r\n"
        )
    }

    fn answer(text: &str) -> (u16, Option<RejectReason>) {
        match check(text) {
            Verdict::Reject(rejection, _) => (rejection.response.status, Some(rejection.reason)),
            Verdict::Request(_) => (0, None),
            other => panic!("{text:?} gave {other:?}"),
        }
    }

    #[test]
    fn each_rule_has_its_answer() {
        use RejectReason as R;
        let big = format!("CSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n{}", "v".repeat(17_000));
        for (start, headers, expected) in [
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 OPTIONS\r\n", (0, None)),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 2147483648 OPTIONS\r\n", (400, Some(R::CSeq))),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: -1 OPTIONS\r\n", (400, Some(R::CSeq))),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\n", (400, Some(R::CSeq))),
            ("OPTIONS sip:b@x SIP/2.0", "", (400, Some(R::MissingHeader))),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 OPTIONS\r\nt: <sip:c@x>\r\n", (400, Some(R::DuplicateHeader))),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 OPTIONS\r\nMax-Forwards: 0\r\n", (0, None)),
            ("MESSAGE sip:b@x SIP/2.0", "CSeq: 1 MESSAGE\r\nMax-Forwards: 0\r\n", (483, Some(R::MaxForwards))),
            ("MESSAGE sip:b@x SIP/2.0", "CSeq: 1 MESSAGE\r\nMax-Forwards: 300\r\n", (400, Some(R::MaxForwards))),
            ("OPTIONS http:b SIP/2.0", "CSeq: 1 OPTIONS\r\n", (416, Some(R::UriScheme))),
            ("OPTIONS sip:b@x?a=b SIP/2.0", "CSeq: 1 OPTIONS\r\n", (400, Some(R::RequestUri))),
            ("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 OPTIONS\r\nRequire: timer, foo\r\n", (420, Some(R::Extension))),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\nRequire: timer, 100rel\r\n", (0, None)),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\nContent-Encoding: gzip\r\n", (415, Some(R::ContentEncoding))),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\nAccept: text/plain\r\n", (406, Some(R::Accept))),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\nc: text/plain\r\n\r\nx", (415, Some(R::ContentType))),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\n\r\nx", (400, Some(R::ContentType))),
            ("INVITE sip:b@x SIP/2.0", big.as_str(), (413, Some(R::BodySize))),
            ("FOO sip:b@x SIP/2.0", "CSeq: 1 FOO\r\n", (501, Some(R::Method))),
            ("INVITE sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\nm: sip:a@x?b=c\r\n", (400, Some(R::Contact))),
        ] {
            let text = request(start, headers);
            let text = if headers.contains("\r\n\r\n") { text.trim_end_matches("\r\n").to_owned() } else { text };
            assert_eq!(answer(&text), expected, "{start} {}", &headers[..headers.len().min(80)]);
        }
    }

    #[test]
    fn the_unsupported_extensions_are_named() {
        let text = request("OPTIONS sip:b@x SIP/2.0", "CSeq: 1 OPTIONS\r\nRequire: foo\r\nRequire: bar, timer\r\n");
        let Verdict::Reject(rejection, Some(_)) = check(&text) else { panic!("accepted") };
        assert_eq!(rejection.response.headers.get("Unsupported"), Some("foo, bar"));
    }

    #[test]
    fn an_ack_is_never_answered() {
        let text = request("ACK sip:b@x SIP/2.0", "CSeq: 1 INVITE\r\n");
        assert!(matches!(check(&text), Verdict::Drop(DropReason::UnmatchedAck)));
    }

    #[test]
    fn a_message_over_the_limit_is_refused() {
        let text = request("MESSAGE sip:b@x SIP/2.0", "CSeq: 1 MESSAGE\r\n");
        let message = parse_datagram(&bytes::Bytes::copy_from_slice(text.as_bytes())).expect("a message");
        let limits = Limits { sip_message: 10, ..Limits::default() };
        let Verdict::Reject(rejection, _) = Checker::new(&limits).check(&message, text.len()) else {
            panic!("accepted")
        };
        assert_eq!((rejection.response.status, rejection.reason), (513, RejectReason::MessageSize));
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_panic(
            start in "(INVITE|ACK|REGISTER|[A-Z]{1,8}) [ -~]{0,40} SIP/2.0",
            lines in proptest::collection::vec(
                "(Via|v|From|To|t|CSeq|Call-ID|Contact|m|Max-Forwards|Require|Accept|c|l|[A-Za-z-]{1,10}) ?: ?[ -~]{0,40}",
                0..14,
            ),
            body in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut bytes = format!("{start}\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n{}\r\n\r\n", lines.join("\r\n")).into_bytes();
            bytes.extend(body);
            let bytes = bytes::Bytes::from(bytes);
            if let Ok(message) = parse_datagram(&bytes) {
                let _ = Checker::new(&Limits::default()).check(&message, bytes.len());
            }
        }
    }
}
