//! The timers of the machine: what they are, and the queue they wait in.

use std::collections::BTreeMap;

use base::{Duration, LegId, OfferId, SubscriptionId, Timestamp};
use sip_api::ClientTransactionId;

/// T1 of RFC 3261 17.1.1.1.
pub(crate) const T1: Duration = Duration::from_millis(500);

/// 64*T1: as long as a transaction, or a retransmitted response, can live.
pub(crate) const T1_64: Duration = Duration::from_secs(32);

/// How long a finished INVITE of ours is remembered: its 2xx is repeated for 64*T1, and a message may be T4 (5 s) on its
/// way (RFC 3261 13.2.2.4, 17.1.2.2).
pub(crate) const LATE: Duration = Duration::from_secs(37);

/// Something that happens later unless it is called off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// An offer has rung long enough.
    RingLimit(OfferId),
    /// The next target of a serial offer is due.
    NextTarget(OfferId),
    /// A dialled target has not even sent 100.
    Silence(LegId),
    /// A cancelled INVITE got no final response (RFC 3261 9.1: 64*T1 after the CANCEL).
    CancelGuard(LegId),
    /// An incoming INVITE was not answered by anybody.
    Unanswered(LegId),
    /// The last provisional response is to be repeated (RFC 3261 13.3.1.1).
    KeepRinging(LegId),
    /// A reliable provisional response is to be retransmitted (RFC 3262 3).
    Reliable(LegId),
    /// Nobody above answered the peer's offer.
    Decision(LegId),
    /// Our re-INVITE or UPDATE may be tried again after 491 (RFC 3261 14.1).
    Glare(LegId),
    /// The session is to be refreshed (RFC 4028 10).
    Refresh(LegId),
    /// The session has not been refreshed (RFC 4028 10).
    Expiry(LegId),
    /// A subscription runs out, or nobody above took it on.
    Subscription(SubscriptionId),
    /// A transaction is forgotten: late 2xx responses can no longer come.
    Forget(ClientTransactionId),
    /// The device a request waits for has not registered anew.
    Device(ClientTransactionId),
}

/// Armed timers, soonest first; equal times fire in the order of arming. Every operation is O(log n).
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeMap<(Timestamp, u64), Timer>,
    armed: BTreeMap<Timer, (Timestamp, u64)>,
    sequence: u64,
}

impl Timers {
    /// Arms a timer, or moves it.
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.clear(timer);
        self.sequence += 1;
        self.queue.insert((at, self.sequence), timer);
        self.armed.insert(timer, (at, self.sequence));
    }

    /// Calls a timer off.
    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(slot) = self.armed.remove(&timer) {
            self.queue.remove(&slot);
        }
    }

    /// Whether it is armed.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.armed.contains_key(&timer)
    }

    /// When the soonest one is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.queue.keys().next().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let slot = *self.queue.keys().next().filter(|(at, _)| *at <= now)?;
        let timer = self.queue.remove(&slot)?;
        self.armed.remove(&timer);
        Some(timer)
    }

    /// How many are armed.
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_a_moved_one_fires_once() {
        let (one, two) = (Timer::Refresh(LegId(1)), Timer::Expiry(LegId(1)));
        let mut timers = Timers::default();
        timers.set(one, Timestamp::from_millis(5));
        timers.set(two, Timestamp::from_millis(5));
        timers.set(one, Timestamp::from_millis(7));
        assert_eq!(timers.next(), Some(Timestamp::from_millis(5)));
        assert_eq!(timers.pop_due(Timestamp::from_millis(6)), Some(two));
        assert_eq!(timers.pop_due(Timestamp::from_millis(6)), None);
        assert_eq!(timers.pop_due(Timestamp::from_millis(7)), Some(one));
        assert_eq!((timers.next(), timers.len()), (None, 0));
    }
}
