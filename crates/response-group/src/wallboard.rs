//! What the wallboard shows, as of one moment.

use std::collections::BTreeMap;

use base::{CallId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::Domain;
use crate::agent::AgentIx;
use crate::group::{Group, GroupIx, PoolIx};
use crate::offer::OfferState;
use crate::output::AgentStatus;

/// The whole domain as of one moment; that of a server without groups is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Each group, in the order of the configuration.
    pub groups: Vec<GroupSnapshot>,
    /// Each agent, in the order of his address.
    pub agents: Vec<AgentSnapshot>,
    /// Inputs about calls and offers that were not known (any more).
    pub stale_inputs: u64,
}

/// What happened to the callers of a group since it was configured first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Callers who began to wait.
    pub offered: u64,
    /// Callers connected, whose phones acknowledged that they were answered.
    pub answered: u64,
    /// Those of them connected within the target.
    pub answered_in_target: u64,
    /// Callers who left while they waited.
    pub abandoned: u64,
    /// Callers sent away by a full queue.
    pub overflowed: u64,
    /// Callers sent away by the time-out.
    pub timed_out: u64,
    /// Callers sent away because nobody was there.
    pub no_agent: u64,
    /// Callers who went elsewhere for any other reason.
    pub other: u64,
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
    /// Those who talk with an agent, in the order in which they called.
    pub talks: Vec<TalkSnapshot>,
}

/// One who talks with an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TalkSnapshot {
    /// The call, as supervisors' commands name it.
    pub call: CallId,
    /// Who called.
    pub caller: String,
    /// With whom he talks.
    pub agent: UserUri,
    /// Since when.
    pub since: Timestamp,
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
    /// Whether he has signed in anywhere.
    pub signed_in: bool,
    /// Where: groups and the names of their agent groups.
    pub signed_in_to: Vec<(UserUri, String)>,
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

impl Domain {
    /// What the wallboard shows. Looks at every call and agent: for a display, not for each input.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let listed = self.config.groups.iter().filter_map(|conf| self.group_by_uri.get(&conf.uri));
        let mut talks = self.talks();
        let groups = listed
            .map(|group| {
                let talks = talks.remove(group).unwrap_or_default();
                GroupSnapshot { talks, ..self.group_snapshot(&self.groups[group.0 as usize], now) }
            })
            .collect();
        let agents = self.agent_by_uri.values().map(|agent| self.agent_snapshot(*agent)).collect();
        Snapshot { groups, agents, stale_inputs: self.stale }
    }

    /// Every conversation with an agent, by group.
    fn talks(&self) -> BTreeMap<GroupIx, Vec<TalkSnapshot>> {
        let mut talks: BTreeMap<GroupIx, Vec<TalkSnapshot>> = BTreeMap::new();
        for offer in self.offers.values().filter(|offer| offer.state == OfferState::Talking) {
            if let (Some(call), Some(since)) = (self.calls.get(&offer.call), offer.talk_from) {
                let agent = self.agents[offer.agent.0 as usize].uri.clone();
                let talk = TalkSnapshot { call: call.id, caller: call.caller.clone(), agent, since };
                talks.entry(call.group).or_default().push(talk);
            }
        }
        talks.values_mut().for_each(|talks| talks.sort_by_key(|talk| talk.call));
        talks
    }

    fn group_snapshot(&self, group: &Group, now: Timestamp) -> GroupSnapshot {
        let longest = group.line.iter().map(|key| key.queued).min();
        let mut ready: Vec<AgentIx> = Vec::new();
        for pool in &group.pools {
            ready.extend(self.pools[pool.0 as usize].ready.iter().map(|key| key.agent));
        }
        ready.sort_unstable();
        ready.dedup();
        GroupSnapshot {
            uri: group.conf.uri.clone(),
            name: group.conf.name.clone(),
            waiting: group.waiting(),
            longest_wait_seconds: longest.map_or(0, |since| now.since(since).as_secs()),
            talking: group.talking,
            ready_agents: u32::try_from(ready.len()).unwrap_or(u32::MAX),
            counters: group.counters.clone(),
            callers: group.line.iter().map(|key| self.waiting_snapshot(key.call)).collect(),
            talks: Vec::new(),
        }
    }

    fn pool_name(&self, pool: PoolIx) -> (UserUri, String) {
        let pool = &self.pools[pool.0 as usize];
        (self.group(pool.group).conf.uri.clone(), pool.conf.name.clone())
    }

    fn waiting_snapshot(&self, id: CallId) -> WaitingSnapshot {
        let call = &self.calls[&id];
        let ringing = call.offers.iter().map(|offer| self.agents[self.offers[offer].agent.0 as usize].uri.clone());
        WaitingSnapshot { call: id, caller: call.caller.clone(), arrived: call.arrived, ringing: ringing.collect() }
    }

    fn agent_snapshot(&self, agent: AgentIx) -> AgentSnapshot {
        let entry = &self.agents[agent.0 as usize];
        AgentSnapshot {
            uri: entry.uri.clone(),
            status: self.status(agent),
            signed_in: !entry.signed_in.is_empty(),
            signed_in_to: entry.signed_in.iter().map(|pool| self.pool_name(*pool)).collect(),
            opted_in: entry.opted_in,
            offered: entry.counters.offered,
            answered: entry.counters.answered,
            not_answered: entry.counters.not_answered,
            declined: entry.counters.declined,
            talk_seconds: entry.counters.talk_micros / 1_000_000,
        }
    }
}
