//! SIP messages as bytes: reading, checking, writing. Pure functions; nothing here knows a socket.
//!
//! One grammar for everybody: folding, compact names, and blanks are resolved here once, and nothing after this module
//! sees the bytes as they came, so no two readers can disagree about them (reliability.md A2).

mod address;
mod check;
mod parse;
mod print;
mod via;

pub(crate) use address::Address;
pub(crate) use check::{Checker, Incoming, IncomingResponse, Rejection, Verdict};
pub(crate) use parse::{Garbage, Message, Start, body_length, parse_datagram, parse_head};
pub(crate) use print::{ReplyHead, request_bytes, response_bytes};
pub(crate) use via::{BRANCH_COOKIE, Via};

use bytes::Bytes;
use sip_api::{Method, Request, Response, SipUri};

/// Reads a request that has passed the checks before.
pub(crate) fn read_request(letter: &Bytes) -> Option<Request> {
    let message = parse_datagram(letter).ok()?;
    let Start::Request { method, uri } = &message.start else { return None };
    let uri = SipUri::parse(&address::mend_ipv6(uri)).ok()?;
    Some(Request { method: Method::parse(method), uri, headers: message.headers, body: message.body })
}

/// Reads a response that has passed the checks before.
pub(crate) fn read_response(letter: &Bytes) -> Option<Response> {
    let message = parse_datagram(letter).ok()?;
    let Start::Response { status, reason } = message.start else { return None };
    Some(Response { status, reason, headers: message.headers, body: message.body })
}

#[cfg(test)]
mod torture;
