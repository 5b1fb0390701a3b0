//! Bringing callers and agents together: after each input, until nothing more can be offered.
//!
//! Whoever changed is *awake*: calls that want an agent, agents who became ready. The awake are served in the order of
//! the calls, so that no agent gets a younger call while an older one he may serve waits (I13).

use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, Timestamp};

use crate::Domain;
use crate::agent::AgentIx;
use crate::call::{Call, Phase};
use crate::config::{Cursor, Method};
use crate::group::{CallKey, PoolIx};
use crate::hunt;
use crate::offer::seconds;
use crate::output::Decision;
use crate::timers::{CallTimer, Timer};

/// Who changed since the last settling.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wake {
    /// Calls, each with the agents on whose account it is awake.
    calls: BTreeMap<CallKey, Vec<AgentIx>>,
    agents: BTreeSet<AgentIx>,
}

impl Wake {
    pub(crate) fn call(&mut self, key: CallKey) {
        self.calls.entry(key).or_default();
    }

    pub(crate) fn agent(&mut self, agent: AgentIx) {
        self.agents.insert(agent);
    }
}

impl Domain {
    /// Offers what can be offered. Ends, because each round either reserves an agent or puts a call to rest.
    pub(crate) fn settle(&mut self) {
        loop {
            while let Some(agent) = self.wake.agents.pop_first() {
                if let Some(key) = self.first_call_for(agent) {
                    self.wake.calls.entry(key).or_default().push(agent);
                }
            }
            let Some((key, agents)) = self.wake.calls.pop_first() else { break };
            // A call that was moved meanwhile is awake under its new key too.
            let current = self.calls.get(&key.call).is_some_and(|call| call.key == Some(key));
            let offered = current && self.hunt(key.call);
            if offered {
                self.wake.agents.extend(agents);
            }
        }
    }

    /// The first call in order that an agent who is ready may serve.
    fn first_call_for(&self, agent: AgentIx) -> Option<CallKey> {
        let ready = self.agents[agent.0 as usize].memberships.iter().filter(|member| member.ready.is_some());
        ready.filter_map(|member| self.first_call_in(member.pool, agent)).min()
    }

    fn first_call_in(&self, pool: PoolIx, agent: AgentIx) -> Option<CallKey> {
        let hungry = self.pools[pool.0 as usize].hungry.iter();
        hungry.copied().find(|key| !self.calls[&key.call].excludes(agent, self.now))
    }

    /// Rings whoever can be rung for a call now; whether anybody was.
    fn hunt(&mut self, id: CallId) -> bool {
        let Some(call) = self.calls.get(&id) else { return false };
        if call.phase != Phase::Queued || call.overtime {
            return false;
        }
        if self.group(call.group).gone {
            self.end_if_group_is_gone(id);
            return false;
        }
        let picked = match call.round.filter(|_| !call.offers.is_empty()) {
            Some(pool) => self.join_round(call, pool),
            None => self.begin_round(call),
        };
        let offered = picked.is_some();
        match picked {
            Some((pool, agents)) => self.ring(id, pool, &agents),
            None if self.calls[&id].offers.is_empty() => self.rest(id),
            None => {}
        }
        self.place_among_hungry(id);
        offered
    }

    /// Further phones for a call that rings already.
    fn join_round(&self, call: &Call, pool: PoolIx) -> Option<(PoolIx, Vec<AgentIx>)> {
        let agents = {
            let entry = &self.pools[pool.0 as usize];
            if !hunt::rings_many(entry.conf.method) {
                return None;
            }
            hunt::select(entry, call, self.now, call.offers.len())
        };
        (!agents.is_empty()).then_some((pool, agents))
    }

    /// The first agent group, in the listed order, in which somebody can be rung.
    pub(crate) fn begin_round(&self, call: &Call) -> Option<(PoolIx, Vec<AgentIx>)> {
        call.pools.iter().find_map(|pool| {
            let agents = hunt::select(&self.pools[pool.0 as usize], call, self.now, 0);
            (!agents.is_empty()).then_some((*pool, agents))
        })
    }

    fn ring(&mut self, id: CallId, pool: PoolIx, agents: &[AgentIx]) {
        let ready = u32::try_from(self.pools[pool.0 as usize].ready.len()).unwrap_or(u32::MAX);
        let mut offers = Vec::with_capacity(agents.len());
        for agent in agents {
            let number = self.make_offer(id, *agent, pool);
            offers.push((*agent, number));
        }
        self.move_cursor(pool, agents);
        let conf = &self.pools[pool.0 as usize].conf;
        let decision = Decision::Offered {
            call: id,
            agent_group: conf.name.clone(),
            method: conf.method,
            agents: offers.iter().map(|(agent, offer)| (self.agents[agent.0 as usize].uri.clone(), *offer)).collect(),
            ready,
        };
        self.decide(decision);
        let call = self.calls.get_mut(&id).expect("it is being hunted for");
        call.round = Some(pool);
        call.told_waiting = false;
        for (agent, offer) in offers {
            call.offers.push(offer);
            call.tried.insert(agent);
            call.offered.entry(agent).or_insert(false);
        }
        self.timers.clear(Timer::Call(id, CallTimer::Retry));
    }

    fn move_cursor(&mut self, pool: PoolIx, agents: &[AgentIx]) {
        let [agent] = agents else { return };
        let member = self.agents[agent.0 as usize].memberships.iter().find(|member| member.pool == pool);
        let position = member.map(|member| member.position);
        let pool = &mut self.pools[pool.0 as usize];
        if pool.conf.method == Method::RoundRobin && pool.conf.round_robin_cursor == Cursor::Offered {
            pool.cursor = position;
        }
    }

    /// Nobody can be rung. If somebody was tried, or keeps away after a decline, there is a time to look again;
    /// otherwise the next agent who becomes ready wakes the call.
    fn rest(&mut self, id: CallId) {
        let call = &self.calls[&id];
        let retry = seconds(self.group(call.group).conf.queue.retry_seconds);
        let next = if call.tried.is_empty() {
            call.declined.values().copied().filter(|until| *until > self.now).min()
        } else {
            Some(self.now + retry)
        };
        let timer = Timer::Call(id, CallTimer::Retry);
        match next {
            Some(at) if self.timers.at(timer).is_none() => self.timers.set(timer, at),
            _ => {}
        }
        let told = self.calls[&id].told_waiting;
        if !told {
            self.tell_waiting(id, next);
        }
        if self.is_forlorn(id) {
            self.timers.set(Timer::NoAgent(self.calls[&id].group), self.now);
        }
    }

    fn tell_waiting(&mut self, id: CallId, next: Option<Timestamp>) {
        let ready = self.calls[&id].pools.iter().map(|pool| self.pools[pool.0 as usize].ready.len()).sum::<usize>();
        let ready = u32::try_from(ready).unwrap_or(u32::MAX);
        self.decide(Decision::Waiting { call: id, ready, next });
        self.calls.get_mut(&id).expect("it is being hunted for").told_waiting = true;
    }

    /// A new pass: everybody may be tried again, but for those who declined this call.
    pub(crate) fn next_pass(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        if call.offers.is_empty() {
            call.tried.clear();
        }
        self.wake_call(id);
    }

    /// Has the call looked at when this input is settled.
    pub(crate) fn wake_call(&mut self, id: CallId) {
        if let Some(key) = self.calls.get(&id).and_then(|call| call.key) {
            self.wake.call(key);
        }
    }

    /// Enters the call into the lists from which agents who become ready are served, and takes it out of others.
    pub(crate) fn place_among_hungry(&mut self, id: CallId) {
        let Some(call) = self.calls.get(&id) else { return };
        let Some(key) = call.key else { return };
        let wanted = self.wants_agents_of(call);
        if call.hungry == wanted {
            return;
        }
        for pool in &call.hungry {
            self.pools[pool.0 as usize].hungry.remove(&key);
        }
        for pool in &wanted {
            self.pools[pool.0 as usize].hungry.insert(key);
        }
        self.calls.get_mut(&id).expect("just found").hungry = wanted;
    }

    fn wants_agents_of(&self, call: &Call) -> Vec<PoolIx> {
        if call.phase != Phase::Queued || call.overtime {
            return Vec::new();
        }
        match call.round.filter(|_| !call.offers.is_empty()) {
            None => call.pools.clone(),
            Some(pool) => {
                let conf = &self.pools[pool.0 as usize].conf;
                let room = hunt::rings_many(conf.method) && call.offers.len() < conf.max_fork as usize;
                if room { vec![pool] } else { Vec::new() }
            }
        }
    }
}
