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
pub(crate) use parse::{Flaw, Garbage, Message, Start, body_length, parse_datagram, parse_head};
pub(crate) use print::{ReplyHead, request_bytes, response_bytes};
pub(crate) use via::Via;

#[cfg(test)]
mod torture;
