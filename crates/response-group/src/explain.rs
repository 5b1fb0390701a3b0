//! The story of one call: why each agent was or was not offered it, told from the journal.

use base::{CallId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::Domain;
use crate::agent::{AgentIx, Obstacle};
use crate::call::Call;
use crate::group::Pool;
use crate::input::{Input, OfferNo};
use crate::journal::{Entry, JournalError, feed};
use crate::offer::OfferState;
use crate::output::{Decision, Ineligible, Output};
use crate::telling::Teller;

/// The story of one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The call.
    pub call: CallId,
    /// How the outside calls it.
    pub reference: String,
    /// What happened, in order.
    pub lines: Vec<Line>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Number of the input it follows from.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What was told or decided, in a sentence.
    pub what: String,
    /// With a decision about agents: each agent of the call's groups, and why he was or was not rung.
    pub agents: Vec<Candidate>,
}

/// One agent in one decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The agent.
    pub agent: UserUri,
    /// The agent group he is looked at in.
    pub agent_group: String,
    /// Why he was or was not rung.
    pub why: Why,
}

/// Why an agent is or is not offered a call now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Why {
    /// He would be; the method decides when.
    Ready,
    /// His phone rings for this call.
    RingsForThis,
    /// His phone rings for another call.
    RingsForAnother {
        /// Which.
        call: CallId,
    },
    /// His phone is being silenced.
    Draining,
    /// He talks, with this one or another.
    Talking,
    /// He has a pause after a conversation.
    WrapUp {
        /// Until when.
        until: Timestamp,
    },
    /// He has a pause after a refused or failed offer.
    CoolDown {
        /// Until when.
        until: Timestamp,
    },
    /// He is paused.
    Paused {
        /// Until when.
        until: Timestamp,
    },
    /// He was tried in this pass.
    Tried,
    /// He declined this call, or something else answered it for him.
    Declined {
        /// Until when he is kept from it.
        until: Timestamp,
    },
    /// He gets no calls at all.
    Ineligible {
        /// Why.
        reason: Ineligible,
    },
}

/// Tells the story of the call of that reference, or of that number, from a journal; `None` when it is not in it.
///
/// The journal is replayed, so that every agent's state at the moment of a decision is the one that was decided upon.
pub fn explain(entries: &[Entry], reference: &str) -> Result<Option<Story>, JournalError> {
    let Some(arrival) = entries.iter().find_map(|entry| arrival_of(entry, reference)) else {
        return story_from_checkpoint(entries, reference);
    };
    tell(entries, arrival)
}

/// Of a call that came before the journal began: from then on.
fn story_from_checkpoint(entries: &[Entry], reference: &str) -> Result<Option<Story>, JournalError> {
    let Some(first) = entries.first() else { return Ok(None) };
    let domain = feed(std::slice::from_ref(first), |domain, _| domain.outbox.clear())?;
    let wanted = |call: &&Call| call.reference == reference || call.id.0.to_string() == reference;
    let Some(call) = domain.calls.values().find(wanted) else { return Ok(None) };
    tell(entries, (call.id, call.reference.clone()))
}

fn tell(entries: &[Entry], arrival: (CallId, String)) -> Result<Option<Story>, JournalError> {
    let mut story = Story { call: arrival.0, reference: arrival.1, lines: Vec::new() };
    let mut teller = Teller::new(story.call);
    feed(entries, |domain, told| {
        let line = |domain: &Domain, what| Line { seq: domain.seq, at: domain.now, what, agents: Vec::new() };
        let what = told.and_then(|told| teller.told(domain, told));
        story.lines.extend(what.map(|what| line(domain, what)));
        while let Some(output) = domain.poll_output() {
            story.lines.extend(teller.ordered(domain, &output).map(|what| line(domain, what)));
            story.lines.extend(decided_about(domain, &output, &teller, story.call));
        }
        teller.settle(domain);
    })?;
    Ok(Some(story))
}

fn arrival_of(entry: &Entry, reference: &str) -> Option<(CallId, String)> {
    let Entry::Told { told: Input::CallerArrived(arrival), .. } = entry else { return None };
    let wanted = arrival.reference == reference || arrival.call.0.to_string() == reference;
    wanted.then(|| (arrival.call, arrival.reference.clone()))
}

fn decided_about(domain: &Domain, output: &Output, teller: &Teller, call: CallId) -> Option<Line> {
    let Output::Journal(entry) = output else { return None };
    let Entry::Decided { seq, at, decided } = &**entry else { return None };
    if decided.call() != call {
        return None;
    }
    let about_agents = matches!(decided, Decision::Offered { .. } | Decision::Waiting { .. });
    let agents = if about_agents { domain.candidates(call) } else { Vec::new() };
    Some(Line { seq: *seq, at: *at, what: teller.decided(decided), agents })
}

impl Domain {
    /// Every agent of the call's agent groups, and why he is or is not rung for it now; empty when it has ended.
    pub fn candidates(&self, call: CallId) -> Vec<Candidate> {
        let Some(call) = self.calls.get(&call) else { return Vec::new() };
        let pools = call.pools.iter().map(|pool| &self.pools[pool.0 as usize]);
        let of_pool = |pool: &Pool| -> Vec<Candidate> {
            let members = pool.members.iter();
            members.map(|agent| self.candidate(call, pool, *agent)).collect()
        };
        pools.flat_map(of_pool).collect()
    }

    fn candidate(&self, call: &Call, pool: &Pool, agent: AgentIx) -> Candidate {
        let entry = &self.agents[agent.0 as usize];
        let why = match entry.obstacle(pool) {
            Some(Obstacle::Ring(offer)) => match self.offers.get(&offer) {
                Some(offer) if offer.call == call.id && call.offers.iter().any(|open| entry.ring == Some(*open)) => {
                    Why::RingsForThis
                }
                Some(offer) if !matches!(offer.state, OfferState::Withdrawing(_) | OfferState::Releasing(_)) => {
                    Why::RingsForAnother { call: offer.call }
                }
                _ => Why::Draining,
            },
            Some(Obstacle::Talking) if entry.talks.iter().all(|talk| self.is_being_hung_up(*talk)) => Why::Draining,
            Some(Obstacle::Talking) => Why::Talking,
            Some(Obstacle::Pause(why)) => why,
            Some(Obstacle::Ineligible(reason)) => Why::Ineligible { reason },
            None => match call.declined.get(&agent).copied().filter(|until| *until > self.now) {
                Some(until) => Why::Declined { until },
                None if call.tried.contains(agent) => Why::Tried,
                None => Why::Ready,
            },
        };
        Candidate { agent: entry.uri.clone(), agent_group: pool.conf.name.clone(), why }
    }

    fn is_being_hung_up(&self, offer: OfferNo) -> bool {
        self.offers.get(&offer).is_none_or(|offer| matches!(offer.state, OfferState::Releasing(_)))
    }
}

impl Decision {
    /// The call it is about.
    pub fn call(&self) -> CallId {
        match self {
            Self::Offered { call, .. }
            | Self::Waiting { call, .. }
            | Self::OfferClosed { call, .. }
            | Self::Won { call, .. }
            | Self::Moved { call, .. }
            | Self::Ended { call, .. } => *call,
        }
    }
}
