//! The times at which something happens by itself: one table for calls, offers and agents.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use base::{CallId, Timestamp};
use foldhash::fast::FixedState;
use serde::{Deserialize, Serialize};

use crate::agent::AgentIx;
use crate::group::GroupIx;
use crate::input::OfferNo;

/// What a time is for. Setting a timer again moves it; so no old one can fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Timer {
    Call(CallId, CallTimer),
    Offer(OfferNo, OfferTimer),
    Agent(AgentIx, AgentTimer),
    /// Callers of a group without agents are sent on, one at each firing.
    NoAgent(GroupIx),
}

/// The times of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum CallTimer {
    /// A prompt was lost, or no digit came.
    Step,
    /// The queue's time-out, or the grace after it.
    Queue,
    /// The next pass through the agents.
    Retry,
    /// The next announcement.
    Announce,
    /// The media were not joined.
    Bridge,
    /// The forward's target did not answer.
    Forward,
    /// The media did not come back after a restart.
    Reattach,
}

/// The times of an offer; one is set in each of its states, but while the media are joined, which the call limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum OfferTimer {
    /// The alert time, once a provisional response came.
    Alert,
    /// No provisional response.
    Provisional,
    /// No key.
    Confirm,
    /// A withdrawn or released offer did not close: 64 times T1.
    Guard,
    /// The longest conversation.
    Talk,
}

/// The times of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum AgentTimer {
    /// The end of the pause after a conversation.
    WrapUp,
    /// The end of the pause after a refused or failed offer.
    CoolDown,
    /// The end of a pause.
    Pause,
    /// His presence goes stale.
    Lease,
}

/// Every timer that is set.
///
/// Most timers are cleared or moved before they are due, many in one step where many phones rang for one caller. So that
/// costs little: what was set before stays in the heap until it comes to the top, and what holds is said by the table.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Timestamp, Timer)>", into = "Vec<(Timestamp, Timer)>")]
pub(crate) struct Timers {
    /// Each timer that is set, and some that are no more; the first of all is set.
    in_order: BinaryHeap<Reverse<(Timestamp, Timer)>>,
    /// Never walked but to be sorted, so that its order decides nothing.
    at: HashMap<Timer, Timestamp, FixedState>,
}

/// So many timers that are set no more may lie in the heap beyond as many as are set, before they are swept out.
const LITTER: usize = 64;

impl From<Vec<(Timestamp, Timer)>> for Timers {
    fn from(set: Vec<(Timestamp, Timer)>) -> Self {
        let mut timers = Self::default();
        set.into_iter().for_each(|(at, timer)| timers.set(timer, at));
        timers
    }
}

impl From<Timers> for Vec<(Timestamp, Timer)> {
    fn from(timers: Timers) -> Self {
        let mut set: Self = timers.at.into_iter().map(|(timer, at)| (at, timer)).collect();
        set.sort_unstable();
        set
    }
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        let old = self.at.insert(timer, at);
        if old == Some(at) {
            return;
        }
        self.in_order.push(Reverse((at, timer)));
        if let Some(old) = old {
            self.left(timer, old);
        }
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(old) = self.at.remove(&timer) {
            self.left(timer, old);
        }
    }

    pub(crate) fn at(&self, timer: Timer) -> Option<Timestamp> {
        self.at.get(&timer).copied()
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.in_order.peek().map(|Reverse((at, _))| *at)
    }

    /// The first timer that is due, which is then no longer set.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let Reverse((at, timer)) = *self.in_order.peek()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// A timer is not set for this time any more.
    fn left(&mut self, timer: Timer, old: Timestamp) {
        if self.in_order.peek() == Some(&Reverse((old, timer))) {
            while self.in_order.peek().is_some_and(|Reverse((at, timer))| self.at.get(timer) != Some(at)) {
                self.in_order.pop();
            }
        }
        if self.in_order.len() > 2 * self.at.len() + LITTER {
            self.in_order = self.at.iter().map(|(timer, at)| Reverse((*at, *timer))).collect();
        }
    }

    /// Every timer that is set, in the order of the timers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Timer, Timestamp)> + '_ {
        let mut all: Vec<_> = self.at.iter().map(|(timer, at)| (*timer, *at)).collect();
        all.sort_unstable();
        all.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a table that is searched for its first time.
        #[test]
        fn the_first_of_those_that_are_set_is_due_next(
            steps in prop::collection::vec((0_u32..12, 0_u64..6, 0_u8..4), 0..400),
        ) {
            let (mut timers, mut table) = (Timers::default(), BTreeMap::new());
            let mut now = Timestamp::ZERO;
            for (number, wait, what) in steps {
                let timer = Timer::NoAgent(GroupIx(number));
                match what {
                    0 => {
                        timers.clear(timer);
                        table.remove(&timer);
                    }
                    1 => {
                        now = now + base::Duration::from_millis(wait);
                        let first = table.iter().map(|(timer, at)| (*at, *timer)).min().filter(|(at, _)| *at <= now);
                        let due = first.map(|(_, timer)| timer);
                        prop_assert_eq!(timers.pop_due(now), due);
                        due.map(|timer| table.remove(&timer));
                    }
                    _ => {
                        let at = now + base::Duration::from_millis(wait);
                        timers.set(timer, at);
                        table.insert(timer, at);
                    }
                }
                prop_assert_eq!(timers.next(), table.values().min().copied());
                prop_assert_eq!(timers.at(timer), table.get(&timer).copied());
                prop_assert!(timers.in_order.len() <= 2 * table.len() + LITTER + 1);
            }
            let mut left: Vec<_> = table.into_iter().map(|(timer, at)| (at, timer)).collect();
            left.sort_unstable();
            prop_assert_eq!(Vec::from(timers), left);
        }
    }

    #[test]
    fn what_is_set_and_cleared_for_ever_leaves_nothing() {
        let mut timers = Timers::default();
        let first = Timer::NoAgent(GroupIx(0));
        timers.set(first, Timestamp::ZERO);
        for number in 1..10_000 {
            let timer = Timer::NoAgent(GroupIx(number));
            timers.set(timer, Timestamp::from_millis(u64::from(number)));
            timers.clear(timer);
        }
        assert!(timers.in_order.len() <= LITTER + 3, "{} lie there", timers.in_order.len());
        assert_eq!(timers.pop_due(Timestamp::ZERO), Some(first));
        assert_eq!(timers.next(), None);
    }
}
