//! An agent: whether he may be offered a call, and who owns him at this moment.
//!
//! ```text
//! Free --offer--> ringing --won--> talking --his leg ended--> wrap-up --> Free
//!                 ringing --withdrawn--> draining --offer closed--> cool-down or Free
//! ```
//!
//! He belongs to an offer until that offer is closed, never only until it is withdrawn: a phone that was told to stop
//! may still ring, or be answered (routing.md 3.6, reading a).

use std::collections::BTreeSet;

use base::{Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::config::{Method, Participation};
use crate::explain::Why;
use crate::group::{Pool, PoolIx};
use crate::input::{KeptOut, OfferNo, Presence, Unanswered};
use crate::output::{AgentStatus, Ineligible};

/// Place of an agent in the domain's table; it is his for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct AgentIx(pub(crate) u32);

/// His place in one agent group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Membership {
    pub(crate) pool: PoolIx,
    pub(crate) position: u32,
    /// Under which key he stands among the ready, while he does.
    pub(crate) ready: Option<ReadyKey>,
    /// Whether he counts among those who are there at all.
    pub(crate) present: bool,
}

/// Order of the ready agents of a pool: what the method orders by, then the configured order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ReadyKey {
    /// Since when he is idle, for the longest idle; equal for all in the other methods.
    pub(crate) idle_since: Timestamp,
    pub(crate) position: u32,
    pub(crate) agent: AgentIx,
}

/// One agent.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AgentEntry {
    pub(crate) uri: UserUri,
    pub(crate) pstn: bool,
    pub(crate) memberships: Vec<Membership>,
    pub(crate) registered: bool,
    /// His own settings keep him from every call.
    pub(crate) kept_out: Option<KeptOut>,
    /// `None` until he publishes: then his registration speaks for him.
    pub(crate) presence: Option<Presence>,
    pub(crate) external_calls: u32,
    #[serde(default)]
    pub(crate) unanswered: Option<Unanswered>,
    /// The agent groups he has signed in to.
    pub(crate) signed_in: BTreeSet<PoolIx>,
    pub(crate) opted_in: bool,
    /// The offer for which his phone rings or is being silenced.
    pub(crate) ring: Option<OfferNo>,
    /// Offers that he answered and won, until their legs are gone.
    pub(crate) talks: Vec<OfferNo>,
    pub(crate) wrap_up_until: Option<Timestamp>,
    pub(crate) cool_down_until: Option<Timestamp>,
    pub(crate) paused_until: Option<Timestamp>,
    pub(crate) idle_since: Timestamp,
    /// Alerts in a row that rang out.
    pub(crate) no_answers: u32,
    pub(crate) told: Option<AgentStatus>,
    pub(crate) counters: AgentCounters,
}

/// What an agent did so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AgentCounters {
    pub(crate) offered: u64,
    pub(crate) answered: u64,
    pub(crate) not_answered: u64,
    pub(crate) declined: u64,
    pub(crate) talk_micros: u64,
}

impl AgentEntry {
    pub(crate) fn new(uri: UserUri, pstn: bool, now: Timestamp) -> Self {
        Self {
            uri,
            pstn,
            memberships: Vec::new(),
            registered: false,
            kept_out: None,
            presence: None,
            external_calls: 0,
            unanswered: None,
            signed_in: BTreeSet::new(),
            opted_in: true,
            ring: None,
            talks: Vec::new(),
            wrap_up_until: None,
            cool_down_until: None,
            paused_until: None,
            idle_since: now,
            no_answers: 0,
            told: None,
            counters: AgentCounters::default(),
        }
    }

    /// Whether he is there at all, so that waiting for him makes sense.
    pub(crate) fn absence(&self, pool: &Pool) -> Option<Ineligible> {
        if !self.registered && !self.pstn {
            return Some(Ineligible::NotRegistered);
        }
        if let Some(by) = self.kept_out {
            return Some(match by {
                KeptOut::DoNotDisturb => Ineligible::DoNotDisturb,
                KeptOut::DelegatesOnly => Ineligible::DelegatesOnly,
            });
        }
        if pool.conf.participation == Participation::Formal && !self.signed_in.contains(&pool.ix) {
            return Some(Ineligible::SignedOut);
        }
        if !self.opted_in {
            return Some(Ineligible::OptedOut);
        }
        let away = matches!(self.presence, Some(Presence::Offline | Presence::Unknown));
        (away && pool.conf.method != Method::Attendant).then_some(Ineligible::Presence)
    }

    /// Why he is kept from every call of a pool at this moment; `None` when he is ready.
    pub(crate) fn obstacle(&self, pool: &Pool) -> Option<Obstacle> {
        if let Some(reason) = self.absence(pool).or_else(|| self.unwilling(pool)) {
            return Some(Obstacle::Ineligible(reason));
        }
        if let Some(offer) = self.ring {
            return Some(Obstacle::Ring(offer));
        }
        if self.talks.len() >= pool.conf.max_calls as usize {
            return Some(Obstacle::Talking);
        }
        let pauses = [
            self.paused_until.map(|until| Why::Paused { until }),
            self.wrap_up_until.map(|until| Why::WrapUp { until }),
            self.cool_down_until.map(|until| Why::CoolDown { until }),
        ];
        pauses.into_iter().flatten().next().map(Obstacle::Pause)
    }

    /// Presence and conversations outside, as the pool's method weighs them (routing.md 3.4).
    fn unwilling(&self, pool: &Pool) -> Option<Ineligible> {
        let presence = self.presence.unwrap_or(Presence::Available);
        if pool.conf.method == Method::Attendant {
            return (presence == Presence::DoNotDisturb).then_some(Ineligible::Presence);
        }
        if self.external_calls > 0 {
            return Some(Ineligible::ExternalCall);
        }
        match self.unanswered {
            Some(Unanswered::Calling) => return Some(Ineligible::Calling),
            Some(Unanswered::Ringing) => return Some(Ineligible::RungOutside),
            None => {}
        }
        // His own group call makes him busy; that does not count where he may have several.
        let by_us = !self.talks.is_empty() && matches!(presence, Presence::Busy | Presence::InCall);
        (presence != Presence::Available && !by_us).then_some(Ineligible::Presence)
    }

    /// When he was last set free, as the method of a pool orders by it.
    pub(crate) fn ready_key(&self, agent: AgentIx, pool: &Pool, position: u32) -> ReadyKey {
        let idle_since = if pool.conf.method == Method::LongestIdle { self.idle_since } else { Timestamp::ZERO };
        ReadyKey { idle_since, position, agent }
    }
}

/// What keeps an agent from every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Obstacle {
    Ineligible(Ineligible),
    /// This offer owns his phone.
    Ring(OfferNo),
    Talking,
    Pause(Why),
}
