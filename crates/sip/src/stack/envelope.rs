//! Envelopes: what rsipstack sees of a message.

use std::sync::LazyLock;

use bytes::Bytes;
use rsipstack::sip::{self, Header, Headers, StatusCode, Version};
use sha2::{Digest, Sha256};
use sip_api::Method;

use super::{TransactionKey, TransactionRole};
use crate::message::{Address, Incoming, IncomingResponse, Via};
use crate::secret::{hex, hex_digits};

/// An address all envelopes carry; nothing is ever sent to it, because a link knows its peer.
const NOWHERE: &str = "127.0.0.1:5060";

static NOWHERE_URI: LazyLock<sip::Uri> =
    LazyLock::new(|| sip::Uri::try_from(format!("sip:{NOWHERE}").as_str()).unwrap_or_default());

/// The identifiers a transaction is matched by (RFC 3261 17.1.3, 17.2.3), in characters any parser takes.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    method: sip::Method,
    branch: String,
    call_id: String,
    from_tag: String,
    to_tag: Option<String>,
    cseq: u32,
}

impl Envelope {
    /// The envelope of a request that came in.
    pub(super) fn of_request(incoming: &Incoming) -> Self {
        let Incoming { request, via, from, to, cseq, .. } = incoming;
        let port = via.port.map(|port| port.to_string()).unwrap_or_default();
        let method = envelope_method(&request.method);
        // RFC 3261 17.2.3: branch and sent-by; or, for an RFC 2543 client, what its transaction is known by.
        let branch = match via.branch() {
            Some(branch) => join(&[branch, &via.host, &port]),
            None => join(&["2543", &request.uri.to_string(), &via.to_string()]),
        };
        Self {
            method,
            branch: safe(&join(&[&branch, unlisted(&request.method)])),
            call_id: safe(request.call_id()),
            from_tag: safe(from.tag.as_deref().unwrap_or("none")),
            to_tag: to.tag.as_deref().map(safe),
            cseq: *cseq,
        }
    }

    /// The envelope of a request we send with this branch.
    pub(super) fn of_own(request: &sip_api::Request, branch: &str) -> Option<Self> {
        let method = envelope_method(&request.method);
        let (from, to) = (request.headers.get("From")?, request.headers.get("To")?);
        Some(Self {
            method,
            branch: safe(branch),
            call_id: safe(request.call_id()),
            from_tag: safe(&Address::parse(from)?.tag?),
            to_tag: Address::parse(to)?.tag.as_deref().map(safe),
            cseq: request.cseq()?,
        })
    }

    /// The envelope of a response to a request of ours.
    pub(super) fn of_response(incoming: &IncomingResponse) -> Option<Self> {
        let headers = &incoming.response.headers;
        Some(Self {
            method: envelope_method(&incoming.method),
            branch: safe(incoming.via.branch()?),
            call_id: safe(headers.get("Call-ID")?),
            from_tag: safe(&Address::parse(headers.get("From")?)?.tag?),
            to_tag: Address::parse(headers.get("To")?)?.tag.as_deref().map(safe),
            cseq: incoming.cseq,
        })
    }

    /// The same transaction, as CANCEL names it.
    pub(super) fn cancel(&self) -> Self {
        Self { method: sip::Method::Cancel, to_tag: None, ..self.clone() }
    }

    /// The same transaction with another To tag.
    pub(super) fn with_to_tag(&self, tag: &str) -> Self {
        Self { to_tag: Some(safe(tag)), ..self.clone() }
    }

    /// The dialog and the CSeq number: what the ACK of a 2xx is matched by (RFC 3261 13.2.2.4).
    pub(super) fn dialog(&self) -> String {
        join(&[&self.call_id, &self.from_tag, self.to_tag.as_deref().unwrap_or(""), &self.cseq.to_string()])
    }

    /// The branch.
    pub(super) fn branch(&self) -> &str {
        &self.branch
    }

    /// The key of the server transaction.
    pub(super) fn server_key(&self) -> Option<TransactionKey> {
        self.keyed_request(TransactionRole::Server, Bytes::new()).map(|(key, _)| key)
    }

    /// The key of the client transaction.
    pub(super) fn client_key(&self) -> Option<TransactionKey> {
        self.keyed_request(TransactionRole::Client, Bytes::new()).map(|(key, _)| key)
    }

    /// The request with this letter, and the key of its transaction on this side.
    pub(super) fn keyed_request(&self, role: TransactionRole, letter: Bytes) -> Option<(TransactionKey, sip::Request)> {
        let request = self.request(letter);
        Some((TransactionKey::from_request(&request, role).ok()?, request))
    }

    /// The response with this letter, and the key of the client transaction it belongs to.
    pub(super) fn keyed_response(&self, status: u16, letter: Bytes) -> Option<(TransactionKey, sip::Response)> {
        let response = self.response(status, letter);
        Some((TransactionKey::from_response(&response, TransactionRole::Client).ok()?, response))
    }

    /// A request with this letter.
    pub(super) fn request(&self, letter: Bytes) -> sip::Request {
        let headers = self.headers(1);
        sip::Request {
            method: self.method,
            uri: NOWHERE_URI.clone(),
            version: Version::V2,
            headers,
            body: letter.into(),
        }
    }

    /// A response with this letter.
    pub(super) fn response(&self, status: u16, letter: Bytes) -> sip::Response {
        let to_invite = self.method == sip::Method::Invite && (200..300).contains(&status);
        let status_code = StatusCode::try_from((status, "-")).unwrap_or(StatusCode::ServerInternalError);
        let headers = self.headers(if to_invite { 2 } else { 1 });
        sip::Response { status_code, wire_reason: None, version: Version::V2, headers, body: letter.into() }
    }

    fn headers(&self, vias: usize) -> Headers {
        let Self { method, branch, call_id, from_tag, to_tag, cseq } = self;
        let via = Header::Via(["SIP/2.0/UDP ", NOWHERE, ";branch=z9hG4bK", branch].concat().into());
        let (tag, to_tag) = to_tag.as_ref().map_or(("", ""), |tag| (";tag=", tag));
        let mut headers = Vec::with_capacity(vias + 4);
        headers.resize(vias, via);
        headers.push(Header::From(["<sip:from@", NOWHERE, ">;tag=", from_tag].concat().into()));
        headers.push(Header::To(["<sip:to@", NOWHERE, ">", tag, to_tag].concat().into()));
        headers.push(Header::CallId(call_id.clone().into()));
        headers.push(Header::CSeq(format!("{cseq} {method}").into()));
        headers.into()
    }
}

/// The branch of an envelope rsipstack made itself.
pub(super) fn branch_of(request: &sip::Request) -> Option<String> {
    use sip::prelude::HeadersExt as _;
    let via = Via::parse(request.top_via_header().ok()?.value())?;
    Some(via.branch()?.strip_prefix("z9hG4bK")?.to_owned())
}

/// The method rsipstack knows it by. A method it does not know travels as INFO; it is told apart by the branch.
fn envelope_method(method: &Method) -> sip::Method {
    match method {
        Method::Invite => sip::Method::Invite,
        Method::Ack => sip::Method::Ack,
        Method::Bye => sip::Method::Bye,
        Method::Cancel => sip::Method::Cancel,
        Method::Options => sip::Method::Options,
        Method::Register => sip::Method::Register,
        Method::Subscribe => sip::Method::Subscribe,
        Method::Notify => sip::Method::Notify,
        Method::Refer => sip::Method::Refer,
        Method::Update => sip::Method::Update,
        Method::Prack => sip::Method::PRack,
        Method::Message => sip::Method::Message,
        Method::Publish => sip::Method::Publish,
        Method::Info | Method::Service | Method::Other(_) => sip::Method::Info,
    }
}

/// The name of a method that travels under another one's.
fn unlisted(method: &Method) -> &str {
    match method {
        Method::Service | Method::Other(_) => method.as_str(),
        _ => "",
    }
}

fn join(parts: &[&str]) -> String {
    parts.join("\n")
}

/// Letters, digits, dots and dashes as they are, everything else as its code; a long text as its hash. Different texts
/// stay different.
fn safe(text: &str) -> String {
    if text.len() > 200 {
        return format!("h.{}", hex(&Sha256::digest(text)));
    }
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => out.push(char::from(byte)),
            _ => {
                out.push('_');
                out.extend(hex_digits(byte));
            }
        }
    }
    if out.is_empty() { "_".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn envelope(text: &str) -> Envelope {
        Envelope {
            method: sip::Method::Invite,
            branch: safe(text),
            call_id: safe(text),
            from_tag: safe(text),
            to_tag: Some(safe(text)),
            cseq: 7,
        }
    }

    proptest! {
        #[test]
        fn different_identifiers_make_different_keys(one in "\\PC{0,12}", other in "\\PC{0,12}") {
            let keys = (envelope(&one).server_key(), envelope(&other).server_key());
            prop_assert!(keys.0.is_some());
            prop_assert_eq!(one == other, keys.0 == keys.1);
        }

        #[test]
        fn a_response_has_the_key_of_its_request(text in "[ -~]{0,300}", status in 100_u16..700) {
            let envelope = envelope(&text);
            let response = envelope.response(status, Bytes::new());
            let key = TransactionKey::from_response(&response, TransactionRole::Client).ok();
            prop_assert!(key.is_some());
            prop_assert_eq!(key, envelope.client_key());
            prop_assert_eq!(response.status_code.code(), status);
        }
    }

    #[test]
    fn the_branch_can_be_read_back() {
        let envelope = envelope("a b;c\"d");
        assert_eq!(branch_of(&envelope.request(Bytes::new())).as_deref(), Some(envelope.branch()));
    }
}
