//! A response group and its agent groups as they work: who waits, and who is ready.

use std::collections::{BTreeSet, VecDeque};

use base::{CallId, Duration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::agent::{AgentIx, ReadyKey};
use crate::config::{AgentGroup, ResponseGroup};
use crate::output::QueueResult;
use crate::wallboard::Counters;

/// Place of a response group in the domain's table; it is the group's for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct GroupIx(pub(crate) u32);

/// Place of an agent group in the domain's table; it is the agent group's for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct PoolIx(pub(crate) u32);

/// Order in which callers are served, across all groups: priority, then the time they began to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct CallKey {
    pub(crate) priority: u8,
    pub(crate) queued: Timestamp,
    /// Number of the input that queued it: two of one microsecond stay in order.
    pub(crate) seq: u64,
    pub(crate) call: CallId,
}

/// A response group as it works.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) conf: ResponseGroup,
    /// It is no longer configured; what is under way ends by itself.
    pub(crate) gone: bool,
    pub(crate) pools: Vec<PoolIx>,
    pub(crate) line: Line,
    pub(crate) talking: u32,
    pub(crate) counters: Counters,
    /// How long an agent is occupied with one call, as a moving average; for the estimated wait.
    pub(crate) handling: Duration,
}

/// What a conversation is taken to last before one was seen.
const HANDLING_GUESS: Duration = Duration::from_secs(180);

impl Group {
    pub(crate) fn new(conf: ResponseGroup) -> Self {
        Self {
            conf,
            gone: false,
            pools: Vec::new(),
            line: Line::default(),
            talking: 0,
            counters: Counters::default(),
            handling: HANDLING_GUESS,
        }
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> u32 {
        u32::try_from(self.line.len()).unwrap_or(u32::MAX)
    }

    /// Counts what became of one who waited.
    pub(crate) fn count(&mut self, result: QueueResult) {
        let counters = &mut self.counters;
        match result {
            QueueResult::AnsweredInTarget => {
                counters.answered += 1;
                counters.answered_in_target += 1;
            }
            QueueResult::AnsweredLate => counters.answered += 1,
            QueueResult::Abandoned => counters.abandoned += 1,
            QueueResult::Overflowed => counters.overflowed += 1,
            QueueResult::TimedOut => counters.timed_out += 1,
            QueueResult::NoAgent => counters.no_agent += 1,
            QueueResult::Other => counters.other += 1,
        }
    }

    /// Learns from one more conversation.
    pub(crate) fn handled(&mut self, length: Duration) {
        self.handling = (self.handling * 7 + length) / 8;
    }
}

/// Those who wait in one group, in the order in which they are served.
///
/// A sorted ring buffer: a place is found by halving, and the usual changes are at its ends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Line(VecDeque<CallKey>);

impl Line {
    pub(crate) fn insert(&mut self, key: CallKey) {
        if let Err(place) = self.0.binary_search(&key) {
            self.0.insert(place, key);
        }
    }

    /// Whether it was there.
    pub(crate) fn remove(&mut self, key: &CallKey) -> bool {
        self.0.binary_search(key).is_ok_and(|place| self.0.remove(place).is_some())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are served before this one.
    pub(crate) fn place(&self, key: &CallKey) -> usize {
        self.0.partition_point(|other| other < key)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &CallKey> {
        self.0.iter()
    }

    /// Those of one priority, longest waiting first.
    pub(crate) fn of_priority(&self, priority: u8) -> impl Iterator<Item = &CallKey> {
        let first = self.0.partition_point(|key| key.priority < priority);
        self.0.range(first..).take_while(move |key| key.priority == priority)
    }
}

/// An agent group as it works.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) ix: PoolIx,
    pub(crate) group: GroupIx,
    pub(crate) conf: AgentGroup,
    pub(crate) members: Vec<AgentIx>,
    /// Who would be offered a call now.
    pub(crate) ready: BTreeSet<ReadyKey>,
    /// How many are there at all, free or not.
    pub(crate) present: u32,
    /// Position of the agent who had the last turn.
    pub(crate) cursor: Option<u32>,
    /// Calls for which one more agent of this pool would be rung.
    pub(crate) hungry: BTreeSet<CallKey>,
}

impl Pool {
    pub(crate) fn new(ix: PoolIx, group: GroupIx, conf: AgentGroup) -> Self {
        Self {
            ix,
            group,
            conf,
            members: Vec::new(),
            ready: BTreeSet::new(),
            present: 0,
            cursor: None,
            hungry: BTreeSet::new(),
        }
    }
}
