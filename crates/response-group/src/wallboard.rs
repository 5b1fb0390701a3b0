//! What the wallboard shows, as of one moment.

use base::{CallId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::output::AgentStatus;

/// The whole domain as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Each group, in the order of the configuration.
    pub groups: Vec<GroupSnapshot>,
    /// Each agent, in the order of his address.
    pub agents: Vec<AgentSnapshot>,
    /// Inputs about calls and offers that were not known (any more).
    pub stale_inputs: u64,
}

/// One group as of one moment; the counters run since the group was configured first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Callers who began to wait.
    pub offered: u64,
    /// Callers connected.
    pub answered: u64,
    /// Callers connected within the target.
    pub answered_in_target: u64,
    /// Callers who left while they waited.
    pub abandoned: u64,
    /// Callers sent away by a full queue.
    pub overflowed: u64,
    /// Callers sent away by the time-out.
    pub timed_out: u64,
    /// Callers sent away because nobody was there.
    pub no_agent: u64,
}

/// One group as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSnapshot {
    /// Its address.
    pub uri: UserUri,
    /// Its name.
    pub name: String,
    /// Callers who wait.
    pub waiting: u32,
    /// How long the first of them has waited, in seconds.
    pub longest_wait_seconds: u64,
    /// Callers who talk with an agent.
    pub talking: u32,
    /// Agents who would be offered a call now.
    pub ready_agents: u32,
    /// What happened so far.
    pub counters: Counters,
    /// Those who wait, in the order in which they are served.
    pub callers: Vec<WaitingSnapshot>,
}

/// One who waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingSnapshot {
    /// The call.
    pub call: CallId,
    /// Who.
    pub caller: String,
    /// Since when, whatever group it was.
    pub arrived: Timestamp,
    /// Agents whose phones ring for him.
    pub ringing: Vec<UserUri>,
}

/// One agent as of one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentSnapshot {
    /// His address.
    pub uri: UserUri,
    /// What he is.
    pub status: AgentStatus,
    /// Whether he has signed in.
    pub signed_in: bool,
    /// Whether he takes part.
    pub opted_in: bool,
    /// Offers he was made.
    pub offered: u64,
    /// Calls he took.
    pub answered: u64,
    /// Alerts he let ring out.
    pub not_answered: u64,
    /// Calls he declined.
    pub declined: u64,
    /// Seconds he talked.
    pub talk_seconds: u64,
}
