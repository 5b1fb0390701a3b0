//! The parsers of this crate one by one, with what must hold of them, for the fuzz targets in `tests/fuzz`. They are
//! not part of the interface: nothing else may call them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use base::{Limits, Timestamp};
use bytes::Bytes;
use sip_api::{Headers, Response};

use crate::credentials::{Credentials, Ha1};
use crate::digest::{Authenticator, Proof};
use crate::message::{
    Address, Checker, Incoming, Message, ReplyHead, Verdict, Via, parse_datagram, read_request, read_response,
    request_bytes, response_bytes,
};
use crate::secret::Secret;
use crate::stack;
use crate::transport::{Frame, Framer, next_hop};

/// A datagram through parser and checks. What passes can be printed and read again; every answer of ours is whole.
pub fn datagram(bytes: &[u8]) {
    let datagram = Bytes::copy_from_slice(bytes);
    if let Ok(message) = parse_datagram(&datagram) {
        check(&message, bytes.len());
    }
}

fn check(message: &Message, size: usize) {
    match Checker::new(&Limits::default()).check(message, size) {
        Verdict::Request(incoming) => passed(&incoming, &message.raw),
        Verdict::Response(incoming) => {
            assert_eq!(read_response(&message.raw).as_ref(), Some(&incoming.response));
            stack::try_response_envelope(&incoming);
        }
        Verdict::Reject(rejection, Some(via)) => {
            answer(&ReplyHead::new(&message.headers, Some(&via)), &rejection.response);
        }
        Verdict::Reject(_, None) | Verdict::Drop(_) => {}
    }
}

fn passed(incoming: &Incoming, raw: &Bytes) {
    assert_eq!(read_request(raw).as_ref(), Some(&incoming.request), "the letter reads like the message");
    assert!(stack::try_request_envelope(incoming), "what passes can be matched");
    let mut via = incoming.via.clone();
    via.note_source(([192, 0, 2, 1], 5060).into());
    assert_eq!(Via::parse(&via.to_string()).as_ref(), Some(&via));
    let response = Response::new(200);
    let printed = answer(&ReplyHead::new(&incoming.request.headers, Some(&via)), &response);
    assert!(matches!(Checker::new(&Limits::default()).check(&printed, 0), Verdict::Response(_)), "{printed:?}");
    let _maybe_a_host = next_hop(&incoming.request);
    let own = request_bytes(&incoming.request, &via, "agent");
    let own = parse_datagram(&own).expect("our requests can be read");
    assert_eq!((own.flaw, &own.body), (None, &incoming.request.body));
}

/// An answer of ours that can be read and says what it should.
fn answer(head: &ReplyHead, response: &Response) -> Message {
    let bytes = response_bytes(head, response, "tag", "server");
    let message = parse_datagram(&bytes).expect("our answers can be read");
    assert_eq!(read_response(&bytes).map(|read| read.status), Some(response.status));
    message
}

/// A stream is cut into the same messages however its bytes arrive.
pub fn stream(bytes: &[u8]) {
    let limit = Limits::default().sip_message;
    let whole = frames(bytes, bytes.len().max(1), limit);
    for piece in [1, 7] {
        assert_eq!(frames(bytes, piece, limit), whole, "in pieces of {piece}");
    }
}

fn frames(bytes: &[u8], piece: usize, limit: usize) -> Vec<Bytes> {
    let mut framer = Framer::new(limit);
    let mut found = Vec::new();
    for piece in bytes.chunks(piece) {
        framer.buffer().extend_from_slice(piece);
        loop {
            match framer.next() {
                Frame::More => break,
                Frame::Ping => {}
                Frame::Whole(message, size) => {
                    check(&message, size);
                    found.push(message.raw);
                }
                Frame::Last(message, size) => {
                    check(&message, size);
                    return found;
                }
                Frame::Garbage => return found,
            }
        }
    }
    found
}

/// A Via value.
pub fn via(text: &str) {
    let Some(mut via) = Via::parse(text) else { return };
    assert_eq!(Via::parse(&via.to_string()).as_ref(), Some(&via));
    let source = (Ipv4Addr::LOCALHOST, 9).into();
    let _somewhere = via.reply_address(source);
    via.note_source(source);
    assert_eq!(via.reply_address(source).ip(), source.ip(), "an answer goes where the request came from");
}

/// A From or To value.
pub fn address(text: &str) {
    let _maybe = Address::parse(text);
}

/// The credentials of a request: nothing that was not made with the password proves anything.
pub fn credentials(value: &str) {
    struct Ann;
    impl Credentials for Ann {
        fn ha1(&self, user: &str, realm: &str) -> Option<Ha1> {
            (user == "ann").then(|| Ha1::of_password("ann", realm, "secret"))
        }
    }
    let authenticator = Authenticator::new("example.com", Arc::new(Secret::draw()), Arc::new(Ann), 10);
    let headers = Headers::new().with("Authorization", value);
    let source = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let proof = authenticator.verify(Timestamp::from_millis(1_000_000), source, "INVITE", &headers);
    assert!(!matches!(proof, Proof::Right(_) | Proof::Throttled), "{proof:?}");
}
