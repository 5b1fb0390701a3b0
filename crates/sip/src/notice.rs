//! Lines of the log that a peer could cause without end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Peers that were noted in the log lately for one reason. Bounded: beyond that others go unnoted for a while.
#[derive(Debug, Default)]
pub(crate) struct Notices(HashMap<IpAddr, Instant>);

impl Notices {
    /// How long a peer that was noted is not noted again.
    const PAUSE: Duration = Duration::from_secs(600);
    const PEERS: usize = 1_024;

    /// Whether this peer is to be noted now; it counts as noted then.
    pub(crate) fn is_due(&mut self, now: Instant, peer: IpAddr) -> bool {
        let lately = |noted: &Instant| now.saturating_duration_since(*noted) < Self::PAUSE;
        if self.0.get(&peer).is_some_and(lately) {
            return false;
        }
        if self.0.len() >= Self::PEERS {
            self.0.retain(|_, noted| lately(noted));
        }
        let room = self.0.len() < Self::PEERS;
        if room {
            self.0.insert(peer, now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[test]
    fn a_peer_is_noted_once_in_a_while_and_many_peers_do_not_flood() {
        let (mut notices, start) = (Notices::default(), Instant::now());
        let peer = |last: usize| IpAddr::V4(Ipv4Addr::from(u32::try_from(last).expect("small")));
        assert!(notices.is_due(start, peer(0)) && !notices.is_due(start, peer(0)));
        let noted = (1..2_000).filter(|&last| notices.is_due(start, peer(last))).count();
        assert_eq!(noted + 1, Notices::PEERS);
        let later = start + Notices::PAUSE;
        assert!(notices.is_due(later, peer(1_999)) && notices.is_due(later, peer(0)));
    }
}
