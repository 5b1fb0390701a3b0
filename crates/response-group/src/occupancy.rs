//! Agents' readiness: the one place where an agent enters and leaves the ready lists of his pools.

use base::{Timestamp, UserUri};

use crate::Domain;
use crate::agent::{AgentIx, Obstacle};
use crate::explain::Why;
use crate::group::PoolIx;
use crate::input::{AgentChange, Presence};
use crate::offer::{OfferState, seconds};
use crate::output::{AgentStatus, Ineligible, Output};
use crate::timers::{AgentTimer, Timer};

impl Domain {
    /// Puts an agent into the ready lists he belongs in now, and out of the others.
    ///
    /// Called after every change of an agent; nothing else touches the lists, so that reserving and releasing an
    /// agent are the same transition (B3, B19).
    pub(crate) fn agent_changed(&mut self, agent: AgentIx) {
        let mut entry = std::mem::take(&mut self.agents[agent.0 as usize].memberships);
        let mut lost = Vec::new();
        for member in &mut entry {
            let pool = &mut self.pools[member.pool.0 as usize];
            let this = &self.agents[agent.0 as usize];
            let wanted = this.obstacle(pool).is_none().then(|| this.ready_key(agent, pool, member.position));
            if member.ready != wanted {
                if let Some(key) = member.ready {
                    pool.ready.remove(&key);
                }
                if let Some(key) = wanted {
                    pool.ready.insert(key);
                    self.wake.agent(agent);
                }
                member.ready = wanted;
            }
            let present = this.absence(pool).is_none();
            if present != member.present {
                member.present = present;
                pool.present = if present { pool.present + 1 } else { pool.present - 1 };
                if pool.present == 0 {
                    lost.push(pool.group);
                }
            }
        }
        self.agents[agent.0 as usize].memberships = entry;
        self.touched.push(agent);
        for group in lost {
            self.mind_the_forlorn(group);
        }
    }

    pub(crate) fn agent_told(&mut self, agent: AgentIx, change: AgentChange) {
        let now = self.now;
        let entry = &mut self.agents[agent.0 as usize];
        match change {
            AgentChange::Registered { registered } => entry.registered = registered,
            AgentChange::KeptOut { by } => entry.kept_out = by,
            AgentChange::Presence { presence, lease_seconds } => {
                entry.presence = Some(presence);
                let lease = Timer::Agent(agent, AgentTimer::Lease);
                match lease_seconds {
                    Some(lease_seconds) => self.timers.set(lease, now + seconds(lease_seconds)),
                    None => self.timers.clear(lease),
                }
            }
            AgentChange::ExternalCalls { count, unanswered } => {
                (entry.external_calls, entry.unanswered) = (count, unanswered);
            }
            AgentChange::SignedIn { signed_in } => {
                let pools = entry.memberships.iter().map(|member| member.pool).collect();
                return self.sign(agent, pools, signed_in);
            }
            AgentChange::Opted { opted_in } => {
                if opted_in && !entry.opted_in {
                    entry.idle_since = now;
                }
                entry.opted_in = opted_in;
            }
            AgentChange::Paused { seconds: 0 } => {
                entry.paused_until = None;
                self.timers.clear(Timer::Agent(agent, AgentTimer::Pause));
            }
            AgentChange::Paused { seconds: length } => {
                let length = length.min(86_400);
                return self.pause(agent, now + seconds(length));
            }
        }
        self.agent_changed(agent);
    }

    pub(crate) fn agent_signed(
        &mut self,
        agent: &UserUri,
        group: &UserUri,
        agent_group: Option<&str>,
        signed_in: bool,
    ) {
        let pools = self.memberships_in(agent, group, agent_group);
        match self.agent_named(agent).filter(|_| !pools.is_empty()) {
            Some(agent) => self.sign(agent, pools, signed_in),
            None => self.stale(),
        }
    }

    /// The agent groups of a group that an agent belongs to; of this name only, where one is given.
    pub(crate) fn memberships_in(&self, agent: &UserUri, group: &UserUri, agent_group: Option<&str>) -> Vec<PoolIx> {
        let Some(agent) = self.agent_named(agent) else { return Vec::new() };
        let pools = self.agents[agent.0 as usize].memberships.iter().map(|member| member.pool);
        let wanted = |pool: &PoolIx| {
            let pool = &self.pools[pool.0 as usize];
            let named = agent_group.is_none_or(|name| pool.conf.name == name);
            named && self.group(pool.group).conf.uri == *group
        };
        pools.filter(wanted).collect()
    }

    fn sign(&mut self, agent: AgentIx, pools: Vec<PoolIx>, signed_in: bool) {
        let entry = &mut self.agents[agent.0 as usize];
        if !signed_in {
            entry.signed_in.retain(|pool| !pools.contains(pool));
        } else {
            if entry.signed_in.is_empty() {
                entry.idle_since = self.now;
            }
            entry.signed_in.extend(pools);
        }
        self.agent_changed(agent);
    }

    pub(crate) fn pause(&mut self, agent: AgentIx, until: Timestamp) {
        self.agents[agent.0 as usize].paused_until = Some(until);
        self.timers.set(Timer::Agent(agent, AgentTimer::Pause), until);
        self.agent_changed(agent);
    }

    /// Lengthens the agent's pause after an offer that failed; it is never shortened.
    pub(crate) fn cool_down(&mut self, agent: AgentIx, until: Timestamp) {
        let entry = &mut self.agents[agent.0 as usize];
        let until = entry.cool_down_until.map_or(until, |old| old.max(until));
        if until <= self.now {
            return;
        }
        entry.cool_down_until = Some(until);
        self.timers.set(Timer::Agent(agent, AgentTimer::CoolDown), until);
    }

    /// Begins the pause after a conversation. It is the agent's, not a queue's (B13).
    pub(crate) fn wrap_up(&mut self, agent: AgentIx, pool: PoolIx) {
        let length = seconds(self.pools[pool.0 as usize].conf.wrap_up_seconds);
        let entry = &mut self.agents[agent.0 as usize];
        entry.idle_since = self.now + length;
        if !length.is_zero() {
            entry.wrap_up_until = Some(self.now + length);
            self.timers.set(Timer::Agent(agent, AgentTimer::WrapUp), self.now + length);
        }
    }

    pub(crate) fn agent_timer(&mut self, agent: AgentIx, timer: AgentTimer) {
        let entry = &mut self.agents[agent.0 as usize];
        match timer {
            AgentTimer::WrapUp => entry.wrap_up_until = None,
            AgentTimer::CoolDown => entry.cool_down_until = None,
            AgentTimer::Pause => entry.paused_until = None,
            AgentTimer::Lease => entry.presence = Some(Presence::Unknown),
        }
        self.agent_changed(agent);
    }

    /// Tells what the agents touched by this input are now, each at most once.
    pub(crate) fn tell_agents(&mut self) {
        // The list itself is kept: it is wanted with each input.
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for agent in touched.drain(..) {
            let status = self.status(agent);
            let entry = &mut self.agents[agent.0 as usize];
            if entry.told.as_ref() != Some(&status) {
                entry.told = Some(status.clone());
                let agent = entry.uri.clone();
                self.outbox.push_back(Output::AgentState { agent, state: status });
            }
        }
        self.touched = touched;
    }

    pub(crate) fn status(&self, agent: AgentIx) -> AgentStatus {
        let entry = &self.agents[agent.0 as usize];
        if let Some(offer) = entry.ring.and_then(|number| self.offers.get(&number)) {
            return match offer.state {
                OfferState::Inviting | OfferState::Ringing | OfferState::Confirming => {
                    AgentStatus::Ringing { call: offer.call }
                }
                _ => AgentStatus::Draining,
            };
        }
        if !entry.talks.is_empty() {
            return AgentStatus::Talking { calls: u32::try_from(entry.talks.len()).unwrap_or(u32::MAX) };
        }
        let pools = entry.memberships.iter().map(|member| &self.pools[member.pool.0 as usize]);
        let mut told = AgentStatus::NotAvailable { why: Ineligible::NotAMember };
        for pool in pools {
            let here = match entry.obstacle(pool) {
                None => return AgentStatus::Free,
                Some(Obstacle::Ineligible(why)) => AgentStatus::NotAvailable { why },
                Some(Obstacle::Pause(Why::Paused { until })) => AgentStatus::Paused { until },
                Some(Obstacle::Pause(Why::WrapUp { until })) => AgentStatus::WrapUp { until },
                Some(Obstacle::Pause(Why::CoolDown { until })) => AgentStatus::CoolDown { until },
                Some(Obstacle::Pause(_) | Obstacle::Ring(_) | Obstacle::Talking) => continue,
            };
            if weight(&here) >= weight(&told) {
                told = here;
            }
        }
        told
    }
}

/// Which of two states in different groups tells more: what ends by itself, and when, before what somebody has to end.
fn weight(status: &AgentStatus) -> u8 {
    match status {
        AgentStatus::Paused { .. } => 3,
        AgentStatus::WrapUp { .. } => 2,
        AgentStatus::CoolDown { .. } => 1,
        _ => 0,
    }
}
