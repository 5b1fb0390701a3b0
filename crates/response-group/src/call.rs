//! A caller on his way through a group.
//!
//! ```text
//! Greeting --> Queued --an agent accepted--> Connecting --> Connected --> ended
//!                ^                               |              |
//!                +------- media not joined ------+              +--> Forwarding, or Queued elsewhere
//! ```
//!
//! He keeps his place in the line until he is connected: an agent who answers and drops costs him nothing (B2, B25).

use std::collections::BTreeMap;

use base::{CallId, LegId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::agent::AgentIx;
use crate::config::{Action, AnswerMode};
use crate::group::{CallKey, GroupIx, PoolIx};
use crate::input::OfferNo;
use crate::output::{Outcome, QueueResult, Segment, SegmentKind};

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) id: CallId,
    pub(crate) reference: String,
    pub(crate) caller: String,
    /// The group that was called.
    pub(crate) called: UserUri,
    /// The group he is at.
    pub(crate) group: GroupIx,
    pub(crate) arrived: Timestamp,
    /// The civil clock at his arrival.
    pub(crate) unix_seconds: i64,
    pub(crate) hops: u32,
    pub(crate) priority: Option<u8>,
    pub(crate) labels: Vec<String>,
    /// The 200 was asked for.
    pub(crate) answered: bool,
    /// What was asked for his answer so far.
    pub(crate) answer_mode: Option<AnswerMode>,
    pub(crate) phase: Phase,
    /// His media was here again after the last restart before his agent's was.
    #[serde(default)]
    pub(crate) back: bool,
    /// His place among all who wait, from queueing on; he keeps it when a connection fails.
    pub(crate) key: Option<CallKey>,
    /// He stands in his group's line.
    pub(crate) in_line: bool,
    /// The agent groups that are searched for him, in this order.
    pub(crate) pools: Vec<PoolIx>,
    /// Among whose hungry calls he stands.
    pub(crate) hungry: Vec<PoolIx>,
    /// Offers that may still win.
    pub(crate) offers: Vec<OfferNo>,
    /// The agent group being rung.
    pub(crate) round: Option<PoolIx>,
    pub(crate) tried: AgentSet,
    pub(crate) declined: BTreeMap<AgentIx, Timestamp>,
    /// The queue's time-out, absolute.
    pub(crate) deadline: Option<Timestamp>,
    /// The time-out has come; what rings may still win, nobody else is rung.
    pub(crate) overtime: bool,
    /// His group has counted what became of him in its line; a caller who comes back into it is not counted again.
    #[serde(default)]
    pub(crate) counted: bool,
    /// He was connected with an agent of this group, which counts it when his phone has acknowledged the 200.
    #[serde(default)]
    pub(crate) unconfirmed: Option<(GroupIx, QueueResult)>,
    /// That nobody can be rung has been said.
    pub(crate) told_waiting: bool,
    pub(crate) place_told: Option<u32>,
    /// Agents who were offered the call, and whether they talked with him.
    pub(crate) offered: BTreeMap<AgentIx, bool>,
    /// The agent he talks with, while he does.
    pub(crate) talks_with: Option<AgentIx>,
    pub(crate) monitors: Vec<LegId>,
    pub(crate) segments: Vec<Segment>,
    pub(crate) segment_from: Timestamp,
}

/// Where a call is on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// Before the queue.
    Greeting(Step),
    /// Waiting; phones may ring for him.
    Queued,
    /// This offer won and its media are being joined.
    Connecting(OfferNo),
    /// Talking.
    Connected(OfferNo),
    /// On the way to a target outside.
    Forwarding {
        target: UserUri,
        outcome: Outcome,
        /// The agent who transferred and is still there.
        agent: Option<OfferNo>,
        /// He was connected before: when the target is not reached he is served again.
        back: bool,
    },
    /// After a restart, until his media are here again.
    Reattaching(Before),
}

/// Where a call was when the process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Before {
    Greeting(Step),
    Waiting,
    Connected(OfferNo),
    /// On the way to a target outside; the fields are those of [`Phase::Forwarding`].
    Forwarding {
        target: UserUri,
        outcome: Outcome,
        back: bool,
    },
}

/// What a caller hears before he queues.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Step {
    Welcome,
    /// A question: the digits answered so far, which attempt it is, and whether its prompt has ended.
    Question {
        path: Vec<char>,
        attempt: u32,
        prompted: bool,
    },
    /// The prompt before he is sent elsewhere.
    Parting {
        action: Action,
        why: Disposition,
    },
}

/// Why a caller is sent elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Disposition {
    Overflow,
    TimeOut,
    NoAgent,
    Closed,
    Exit,
    Transfer,
}

impl Disposition {
    pub(crate) fn outcome(self, target: Option<UserUri>) -> Outcome {
        match self {
            Self::Overflow => Outcome::Overflowed { target },
            Self::TimeOut => Outcome::TimedOut { target },
            Self::NoAgent => Outcome::NoAgent { target },
            Self::Closed => Outcome::Closed { target },
            Self::Exit => Outcome::ChoseExit { target },
            Self::Transfer => Outcome::Transferred { target },
        }
    }
}

impl Call {
    /// Ends the current segment and begins the next; one of no length is left out.
    pub(crate) fn end_segment(&mut self, now: Timestamp, kind: SegmentKind, outcome: Outcome) {
        if now > self.segment_from {
            self.segments.push(Segment { kind, from: self.segment_from, to: now, outcome });
        }
        self.segment_from = now;
    }

    /// Whether the record has a conversation with this agent, if only one of no length.
    pub(crate) fn has_talk_of(&self, who: &UserUri) -> bool {
        self.segments.iter().any(|part| matches!(&part.kind, SegmentKind::Talk { agent } if agent == who))
    }

    /// Whether an agent may not be rung for this call now, although he is ready.
    pub(crate) fn excludes(&self, agent: AgentIx, now: Timestamp) -> bool {
        self.tried.contains(agent) || self.declined.get(&agent).is_some_and(|until| *until > now)
    }
}

/// A set of agents, one bit for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct AgentSet(Vec<u64>);

impl AgentSet {
    pub(crate) fn insert(&mut self, agent: AgentIx) {
        let (word, bit) = (agent.0 as usize / 64, agent.0 % 64);
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << bit;
    }

    pub(crate) fn remove(&mut self, agent: AgentIx) {
        if let Some(word) = self.0.get_mut(agent.0 as usize / 64) {
            *word &= !(1 << (agent.0 % 64));
        }
        // Equal sets have equal words.
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    pub(crate) fn contains(&self, agent: AgentIx) -> bool {
        self.0.get(agent.0 as usize / 64).is_some_and(|word| word & (1 << (agent.0 % 64)) != 0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
