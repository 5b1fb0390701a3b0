//! The times at which something happens by itself: one table for calls, offers and agents.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasherDefault, DefaultHasher};

use base::{CallId, Timestamp};
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
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Timestamp, Timer)>", into = "Vec<(Timestamp, Timer)>")]
pub(crate) struct Timers {
    in_order: BTreeSet<(Timestamp, Timer)>,
    /// Never walked, so that its order decides nothing; the hash is the same in every process.
    at: HashMap<Timer, Timestamp, BuildHasherDefault<DefaultHasher>>,
}

impl From<Vec<(Timestamp, Timer)>> for Timers {
    fn from(set: Vec<(Timestamp, Timer)>) -> Self {
        let mut timers = Self::default();
        set.into_iter().for_each(|(at, timer)| timers.set(timer, at));
        timers
    }
}

impl From<Timers> for Vec<(Timestamp, Timer)> {
    fn from(timers: Timers) -> Self {
        timers.in_order.into_iter().collect()
    }
}

impl Timers {
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        if let Some(old) = self.at.insert(timer, at) {
            self.in_order.remove(&(old, timer));
        }
        self.in_order.insert((at, timer));
    }

    pub(crate) fn clear(&mut self, timer: Timer) {
        if let Some(old) = self.at.remove(&timer) {
            self.in_order.remove(&(old, timer));
        }
    }

    pub(crate) fn at(&self, timer: Timer) -> Option<Timestamp> {
        self.at.get(&timer).copied()
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.in_order.first().map(|(at, _)| *at)
    }

    /// The first timer that is due, which is then no longer set.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.in_order.first()?;
        if at > now {
            return None;
        }
        self.clear(timer);
        Some(timer)
    }

    /// Every timer that is set, in the order of the timers.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Timer, Timestamp)> + '_ {
        let mut all: Vec<_> = self.at.iter().map(|(timer, at)| (*timer, *at)).collect();
        all.sort_unstable();
        all.into_iter()
    }
}
