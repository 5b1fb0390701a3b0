//! What we bring to a negotiation.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use mcu_api::{Codec, SrtpProfile};

/// Whether media is encrypted (requirement C35). A downgrade is refused, never silent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only; an offer that insists on SRTP is refused.
    Off,
    /// Encrypted whenever the peer can. We offer `RTP/AVP` with `a=crypto` lines, because plain SDP cannot offer two
    /// profiles for one line and phones that know SDES take the keys on either profile; both answers are accepted.
    /// Once a session is encrypted it stays so.
    #[default]
    Support,
    /// Encrypted or not at all: we offer `RTP/SAVP`, and refuse plain offers and plain answers.
    Require,
}

/// One SRTP master key with its salt, fresh from a random generator for each leg. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub struct LocalKey {
    /// The profile it is for.
    pub profile: SrtpProfile,
    /// Master key and salt, [`SrtpProfile::key_length`] bytes.
    pub key: Vec<u8>,
}

impl fmt::Debug for LocalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LocalKey({:?}, ..)", self.profile)
    }
}

/// Our side of one leg: addresses, policy, keys and preferences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalMedia {
    /// Where we receive RTP. Only peers of the same address family are accepted.
    pub rtp: SocketAddr,
    /// Where we receive RTCP.
    pub rtcp: SocketAddr,
    /// Whether media is encrypted.
    pub srtp: SrtpPolicy,
    /// Keys to choose from, best profile first, at most one for each profile. Empty: SRTP cannot be done.
    pub keys: Vec<LocalKey>,
    /// The session id of our `o=` line (RFC 8866 5.2), random; a later offer or answer keeps the first one.
    pub session_id: u64,
    /// Codecs we have. An offer of ours names them in this order. An answer of ours takes the first wherever it is offered,
    /// and else follows the offerer's order (RFC 3264 6.1).
    pub codecs: Vec<Codec>,
    /// Take and offer telephone-events (RFC 4733).
    pub telephone_event: bool,
    /// The ports at our address that all our legs are given theirs from. A peer that names one of them as its own is
    /// refused: media would be sent to ourselves.
    pub own_ports: Option<RangeInclusive<u16>>,
}

impl LocalMedia {
    /// The codecs of a server that was told nothing else. Opus comes first in answers too: it sounds better than what a phone
    /// with several puts first by habit, and bears loss. Between the two of G.711 nothing speaks for either but the offerer.
    pub const DEFAULT_CODECS: [Codec; 3] = [Codec::Opus, Codec::Pcmu, Codec::Pcma];

    /// Whether this is where one of our own legs receives.
    pub(crate) fn is_own(&self, target: SocketAddr) -> bool {
        let in_range = self.own_ports.as_ref().is_some_and(|ports| ports.contains(&target.port()));
        target == self.rtp || target == self.rtcp || (target.ip() == self.rtp.ip() && in_range)
    }

    /// Our side with the default codecs, telephone-events and SRTP off.
    pub fn plain(rtp: SocketAddr, rtcp: SocketAddr, session_id: u64) -> Self {
        Self {
            rtp,
            rtcp,
            srtp: SrtpPolicy::Off,
            keys: Vec::new(),
            session_id,
            codecs: Self::DEFAULT_CODECS.to_vec(),
            telephone_event: true,
            own_ports: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RefusalKind, answer};

    #[test]
    fn a_port_of_any_leg_of_ours_is_no_address_of_a_peer() {
        let at = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let local = LocalMedia { own_ports: Some(20_000..=20_099), ..LocalMedia::plain(at(20_010), at(20_011), 1) };
        for (host, port, refused) in [
            ("192.0.2.1", 20_010, true),
            ("192.0.2.1", 20_000, true),
            ("192.0.2.1", 20_099, true),
            ("192.0.2.1", 20_100, false),
            ("192.0.2.9", 20_010, false),
        ] {
            let offer = format!(
                "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
            );
            let kind = answer(offer.as_bytes(), &local, None).err().map(|refusal| refusal.kind);
            assert_eq!(kind, refused.then_some(RefusalKind::ForbiddenAddress), "{host}:{port}");
        }
    }
}
