//! How many legs one address holds for people nobody vouches for, PIN and lobby waiters among them.

use std::collections::HashMap;
use std::net::IpAddr;

use call::Invitation;

use crate::Engine;

/// Legs of strangers by the address their INVITE came from; an entry is never zero, so the table is no larger than that
/// of the legs.
#[derive(Debug, Default)]
pub(crate) struct Strangers(HashMap<IpAddr, usize>);

impl Strangers {
    pub(crate) fn enter(&mut self, source: IpAddr) {
        *self.0.entry(source).or_insert(0) += 1;
    }

    pub(crate) fn leave(&mut self, source: IpAddr) {
        if let Some(count) = self.0.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&source);
            }
        }
    }

    fn count(&self, source: IpAddr) -> usize {
        self.0.get(&source).copied().unwrap_or(0)
    }
}

impl Engine {
    /// The address a caller without proof of identity is counted by. Trusted trunks are not, nor is this machine itself,
    /// where a load generator may stand for thousands.
    pub(crate) fn stranger(&self, call: &Invitation) -> Option<IpAddr> {
        let source = call.flow.remote.ip();
        let is_stranger = call.user.is_none() && !source.is_loopback() && !self.config.trusted_peers.contains(&source);
        is_stranger.then_some(source)
    }

    /// Whether that address has all the legs it may have.
    pub(crate) fn holds_too_many(&self, source: IpAddr) -> bool {
        self.strangers.count(source) >= self.config.limits.guest_legs_per_source
    }
}
