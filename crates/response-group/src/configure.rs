//! Other groups from now on. What is under way goes on; places in the tables are kept, so that nothing points astray.
//!
//! A removed agent finishes his leg and gets nothing new; callers of a removed group are ended once no phone rings for
//! them (I18).

use base::{CallId, UserUri};

use crate::Domain;
use crate::agent::{AgentEntry, AgentIx, Membership};
use crate::call::Phase;
use crate::config::{Agent, AgentGroup, Config, ResponseGroup};
use crate::group::{Group, GroupIx, Pool, PoolIx};
use crate::offer::seconds;
use crate::timers::{CallTimer, Timer};

impl Domain {
    /// Takes other groups. They are valid, which the journal's first reader checked.
    pub(crate) fn configure(&mut self, config: Config) {
        self.forget_members();
        let time_outs: Vec<Option<u32>> = self.groups.iter().map(|group| group.conf.queue.timeout_seconds).collect();
        for group in &mut self.groups {
            group.gone = true;
        }
        for conf in &config.groups {
            self.configure_group(conf);
        }
        self.config = config;
        let agents = u32::try_from(self.agents.len()).expect("agents are numbered in 32 bits");
        for agent in 0..agents {
            self.agent_changed(AgentIx(agent));
        }
        self.follow_time_outs(&time_outs);
        self.follow_groups();
    }

    /// Callers who wait do so as long as their group says now, counted from when they began; `before` is what the groups,
    /// by their places, said until now. A time-out that has come stays so.
    fn follow_time_outs(&mut self, before: &[Option<u32>]) {
        for (id, call) in &mut self.calls {
            let place = call.group.0 as usize;
            let limit = self.groups[place].conf.queue.timeout_seconds;
            if !call.in_line || call.overtime || before[place] == limit {
                continue;
            }
            call.deadline = limit.map(|limit| call.segment_from + seconds(limit));
            let timer = Timer::Call(*id, CallTimer::Queue);
            match call.deadline {
                Some(deadline) if call.phase == Phase::Queued => self.timers.set(timer, deadline.max(self.now)),
                Some(_) => {}
                None => self.timers.clear(timer),
            }
        }
    }

    fn forget_members(&mut self) {
        for agent in &mut self.agents {
            agent.memberships.clear();
        }
        for pool in &mut self.pools {
            pool.members.clear();
            pool.ready.clear();
            pool.present = 0;
        }
    }

    fn configure_group(&mut self, conf: &ResponseGroup) {
        let group = match self.group_by_uri.get(&conf.uri) {
            Some(group) => *group,
            None => {
                let group = GroupIx(u32::try_from(self.groups.len()).expect("groups are numbered in 32 bits"));
                self.groups.push(Group::new(conf.clone()));
                self.group_by_uri.insert(conf.uri.clone(), group);
                group
            }
        };
        let pools = conf.agent_groups.iter().map(|agents| self.configure_pool(group, agents)).collect();
        let entry = &mut self.groups[group.0 as usize];
        entry.conf = conf.clone();
        entry.gone = false;
        entry.pools = pools;
    }

    fn configure_pool(&mut self, group: GroupIx, conf: &AgentGroup) -> PoolIx {
        let same = |pool: &Pool| pool.group == group && pool.conf.name == conf.name;
        let place = self.pools.iter().position(same).unwrap_or(self.pools.len());
        let pool = PoolIx(u32::try_from(place).expect("agent groups are numbered in 32 bits"));
        if place == self.pools.len() {
            self.pools.push(Pool::new(pool, group, conf.clone()));
        }
        let active = conf.agents.iter().filter(|agent| agent.active);
        let members: Vec<AgentIx> = active.map(|agent| self.configure_agent(agent)).collect();
        for (position, agent) in members.iter().enumerate() {
            let position = u32::try_from(position).expect("agents are numbered in 32 bits");
            let member = Membership { pool, position, ready: None, present: false };
            self.agents[agent.0 as usize].memberships.push(member);
        }
        let entry = &mut self.pools[place];
        entry.conf = conf.clone();
        entry.conf.agents = Vec::new();
        entry.members = members;
        pool
    }

    fn configure_agent(&mut self, agent: &Agent) -> AgentIx {
        let found = self.agent_by_uri.get(&agent.uri).copied();
        let place = found.unwrap_or_else(|| {
            let place = AgentIx(u32::try_from(self.agents.len()).expect("agents are numbered in 32 bits"));
            self.agents.push(AgentEntry::new(agent.uri.clone(), agent.pstn, self.now));
            self.agent_by_uri.insert(agent.uri.clone(), place);
            place
        });
        self.agents[place.0 as usize].pstn = agent.pstn;
        place
    }

    /// Callers who wait look at their groups anew.
    fn follow_groups(&mut self) {
        let calls: Vec<CallId> = self.calls.keys().copied().collect();
        for id in calls {
            let group = self.calls[&id].group;
            let listed = self.group(group).pools.clone();
            let call = self.calls.get_mut(&id).expect("taken from the table");
            let chosen: Vec<PoolIx> = call.pools.iter().copied().filter(|pool| listed.contains(pool)).collect();
            // Who had all agent groups, or none that is left, has all of the new ones.
            let keeps_choice = !chosen.is_empty() && chosen.len() < call.pools.len().max(listed.len());
            call.pools = if keeps_choice { chosen } else { listed };
            self.place_among_hungry(id);
            self.wake_call(id);
        }
    }

    pub(crate) fn group(&self, group: GroupIx) -> &Group {
        &self.groups[group.0 as usize]
    }

    /// The agent groups of these names, in the order of the names.
    pub(crate) fn pools_named(&self, group: GroupIx, names: &[String]) -> Vec<PoolIx> {
        let pools = &self.group(group).pools;
        let named = |name: &String| pools.iter().find(|pool| self.pools[pool.0 as usize].conf.name == *name).copied();
        names.iter().filter_map(named).collect()
    }

    pub(crate) fn agent_named(&self, uri: &UserUri) -> Option<AgentIx> {
        self.agent_by_uri.get(uri).copied()
    }
}
