//! Offer/answer (RFC 3264) for one audio leg, as pure functions over a library's SDP grammar.
//!
//! It decides which line, codec, keys and direction two sides agree on, and writes our half. The grammar of lines is the
//! library's; unknown attributes are passed over.
//!
//! Must not know: sockets, SIP, who is in the conference.
//! Start reading at [`answer`] and [`offer`], then [`LocalMedia`] and [`Session`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod local;
mod refusal;
mod session;

pub use local::{LocalKey, LocalMedia, SrtpPolicy};
pub use refusal::{Refusal, RefusalKind};
pub use session::Session;

use mcu_api::Direction;
use std::net::IpAddr;

/// An offer that was read and found to be within bounds; whether anything in it is usable is [`Offer::answer`]'s.
#[derive(Clone, Debug)]
pub struct Offer {}

impl Offer {
    /// Reads an offer.
    pub fn parse(_offer: &[u8]) -> Result<Self, Refusal> {
        Ok(Self {})
    }

    /// Answers it: our description and the session.
    pub fn answer(&self, _local: &LocalMedia, _previous: Option<&Session>) -> Result<(Vec<u8>, Session), Refusal> {
        Err(Refusal::new(RefusalKind::NoAudio, "not yet"))
    }
}

/// Reads and answers an offer; see [`Offer`].
pub fn answer(offer: &[u8], local: &LocalMedia, previous: Option<&Session>) -> Result<(Vec<u8>, Session), Refusal> {
    Offer::parse(offer)?.answer(local, previous)
}

/// What we offered, until the answer comes.
#[derive(Clone, Debug)]
pub struct PendingOffer {}

/// Makes an offer. `direction` is ours: `SendOnly` puts the peer on hold with music, `Inactive` without.
/// With `previous` it is a new offer in a session (hold, resume, refresh).
pub fn offer(_local: &LocalMedia, _direction: Direction, _previous: Option<&Session>) -> (Vec<u8>, PendingOffer) {
    (Vec::new(), PendingOffer {})
}

/// Takes the answer to our offer.
pub fn accept_answer(_pending: PendingOffer, _answer: &[u8]) -> Result<Session, Refusal> {
    Err(Refusal::new(RefusalKind::Mismatch, "not yet"))
}

/// The session description of a message body: the body itself for `application/sdp`, or the best part of a multipart
/// body (requirement C68: the part without `ms-proxy-2007fallback`).
pub fn select_sdp(_content_type: &str, _body: &[u8]) -> Option<Vec<u8>> {
    None
}

/// Whether media must never be sent to this address (reliability.md A15): unspecified, this-network, loopback (unless
/// our own address is loopback), link-local and metadata, broadcast, multicast, reserved, and their mapped forms.
pub fn is_forbidden_target(_target: IpAddr, _local: IpAddr) -> bool {
    true
}
