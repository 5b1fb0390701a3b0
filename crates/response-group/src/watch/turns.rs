//! Whose turn it is: the hunt methods' order (I12), one turn for each agent in a pass, and declines remembered (I11).
//!
//! It keeps its own account of idle times and cursors, out of what is said to everybody. An agent counts as passed over
//! only when he is told free both before and after the step, has no other kind of membership, and was never offered
//! this very call: then nothing but the method's order can have decided.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, Duration, Timestamp, UserUri};

use crate::config::{AgentGroup, Config, Cursor, Method, Participation};
use crate::input::{AgentChange, OfferNo};
use crate::output::{AgentStatus, CloseReason, Decision};

/// A group's address and the name of one of its agent groups.
type PoolKey = (UserUri, String);

/// An agent group.
#[derive(Debug)]
struct Pool {
    conf: AgentGroup,
    /// Its active agents, in order; none once it is gone.
    members: Vec<UserUri>,
    retry: Duration,
    /// The place of who had the last turn.
    cursor: Option<usize>,
}

/// A choice of one agent, to be looked at when the step is over.
#[derive(Debug)]
struct Choice {
    call: CallId,
    chosen: UserUri,
    /// Those who would have come before him, and were free before the step.
    passed_over: Vec<UserUri>,
}

/// What agents and calls did so far.
#[derive(Debug, Default)]
pub(super) struct Turns {
    pools: BTreeMap<PoolKey, Pool>,
    /// Which agent group each offer was made for.
    made_for: BTreeMap<OfferNo, PoolKey>,
    /// Since when each agent is idle; `None` is not known.
    idle: BTreeMap<UserUri, Option<Timestamp>>,
    opted_out: BTreeSet<UserUri>,
    declined: BTreeMap<(CallId, UserUri), Timestamp>,
    /// When each agent was offered each call last, since it came to its group.
    offered: BTreeMap<(CallId, UserUri), Timestamp>,
    choices: Vec<Choice>,
}

impl Turns {
    pub(super) fn configured(&mut self, now: Timestamp, config: &Config) {
        self.pools.values_mut().for_each(|pool| pool.members.clear());
        for group in &config.groups {
            for conf in &group.agent_groups {
                let members: Vec<UserUri> =
                    conf.agents.iter().filter(|agent| agent.active).map(|agent| agent.uri.clone()).collect();
                for agent in &members {
                    self.idle.entry(agent.clone()).or_insert(Some(now));
                }
                let key = (group.uri.clone(), conf.name.clone());
                let retry = Duration::from_secs(u64::from(group.queue.retry_seconds));
                let cursor = self.pools.get(&key).and_then(|pool| pool.cursor);
                self.pools.insert(key, Pool { conf: conf.clone(), members, retry, cursor });
            }
        }
    }

    /// Whether an agent belongs to any agent group now.
    pub(super) fn is_member(&self, agent: &UserUri) -> bool {
        self.pools.values().any(|pool| pool.members.contains(agent))
    }

    pub(super) fn agent_changed(&mut self, now: Timestamp, agent: &UserUri, change: &AgentChange) {
        match change {
            AgentChange::Opted { opted_in: false } if self.idle.contains_key(agent) => {
                self.opted_out.insert(agent.clone());
            }
            AgentChange::Opted { opted_in: true } if self.opted_out.remove(agent) => {
                self.idle.insert(agent.clone(), Some(now));
            }
            // Only the first sign-in of several begins his idle time.
            AgentChange::SignedIn { .. } => self.forget_idle(agent),
            _ => {}
        }
    }

    /// Since when he is idle cannot be said from outside.
    pub(super) fn forget_idle(&mut self, agent: &UserUri) {
        if let Some(idle) = self.idle.get_mut(agent) {
            *idle = None;
        }
    }

    /// He does not take this call, or something else answered it for him: it is kept from him for the grace.
    pub(super) fn declined(&mut self, now: Timestamp, offer: OfferNo, call: CallId, agent: &UserUri) {
        let Some(pool) = self.made_for.get(&offer).and_then(|key| self.pools.get(key)) else { return };
        let until = now + Duration::from_secs(u64::from(pool.conf.decline_grace_seconds));
        self.declined.insert((call, agent.clone()), until);
    }

    /// The machine decided something; `group` is where an offered call waits, and `before` what the agents were told to be
    /// when the step began.
    pub(super) fn decided(
        &mut self,
        now: Timestamp,
        decided: &Decision,
        group: Option<UserUri>,
        before: &BTreeMap<UserUri, AgentStatus>,
    ) -> Vec<String> {
        match decided {
            Decision::Offered { call, agent_group, agents, .. } => {
                let Some(group) = group else { return Vec::new() };
                let key = (group, agent_group.clone());
                let faults = agents.iter().filter_map(|(agent, _)| self.offered_again(now, *call, agent, &key));
                let faults = faults.collect();
                if let [(chosen, _)] = &agents[..] {
                    self.note_choice(now, *call, chosen, &key, before);
                }
                for (agent, offer) in agents {
                    self.offered.insert((*call, agent.clone()), now);
                    self.made_for.insert(*offer, key.clone());
                }
                return faults;
            }
            Decision::Won { offer, agent, .. } => {
                let key = self.made_for.get(offer).cloned();
                self.move_cursor(key.as_ref(), agent, Cursor::Answered);
            }
            Decision::OfferClosed { offer, agent, reason, .. } => {
                let Some(pool) = self.made_for.remove(offer).and_then(|key| self.pools.get(&key)) else {
                    return Vec::new();
                };
                let pause = match reason {
                    CloseReason::Won => Duration::from_secs(u64::from(pool.conf.wrap_up_seconds)),
                    CloseReason::Lost => Duration::ZERO,
                    _ => return Vec::new(),
                };
                self.idle.insert(agent.clone(), Some(now + pause));
            }
            // He is tried anew at another group, but a decline is one for the call.
            Decision::Moved { call, .. } => self.offered.retain(|(of, _), _| of != call),
            Decision::Ended { call, .. } => {
                self.offered.retain(|(of, _), _| of != call);
                self.declined.retain(|(of, _), _| of != call);
            }
            Decision::Waiting { .. } => {}
        }
        Vec::new()
    }

    /// A restart cut the ringing off: that was no turn.
    pub(super) fn cut_off(&mut self, call: CallId, agent: &UserUri) {
        self.offered.remove(&(call, agent.clone()));
    }

    /// I11. A pass ends with a pause, and so do two turns of one agent.
    fn offered_again(&self, now: Timestamp, call: CallId, agent: &UserUri, key: &PoolKey) -> Option<String> {
        let pair = (call, agent.clone());
        if self.declined.get(&pair).is_some_and(|until| now < *until) {
            return Some(format!("I11: {agent} declined {call} and is offered it during the grace"));
        }
        let retry = self.pools.get(key)?.retry;
        let soon = self.offered.get(&pair).is_some_and(|last| now.since(*last) < retry);
        soon.then(|| format!("I11: {agent} is offered {call} twice in one pass"))
    }

    fn note_choice(
        &mut self,
        now: Timestamp,
        call: CallId,
        chosen: &UserUri,
        key: &PoolKey,
        before: &BTreeMap<UserUri, AgentStatus>,
    ) {
        if let Some(pool) = self.pools.get(key) {
            let passed_over = pool.members.iter().filter(|member| {
                let free = before.get(*member) == Some(&AgentStatus::Free) && self.is_alike_everywhere(member);
                free && self.may_be_offered(now, call, member) && self.comes_before(pool, member, chosen)
            });
            let passed_over = passed_over.cloned().collect();
            self.choices.push(Choice { call, chosen: chosen.clone(), passed_over });
        }
        self.move_cursor(Some(key), chosen, Cursor::Offered);
    }

    /// Whether being free at one of his agent groups is being free at each.
    fn is_alike_everywhere(&self, agent: &UserUri) -> bool {
        let mut his = self.pools.values().filter(|pool| pool.members.contains(agent));
        his.all(|pool| {
            let conf = &pool.conf;
            conf.participation == Participation::Informal && conf.method != Method::Attendant && conf.max_calls == 1
        })
    }

    fn may_be_offered(&self, now: Timestamp, call: CallId, agent: &UserUri) -> bool {
        let pair = (call, agent.clone());
        !self.offered.contains_key(&pair) && self.declined.get(&pair).is_none_or(|until| *until <= now)
    }

    /// The method's order.
    fn comes_before(&self, pool: &Pool, one: &UserUri, other: &UserUri) -> bool {
        let place = |agent: &UserUri| pool.members.iter().position(|member| member == agent);
        let (Some(first), Some(second)) = (place(one), place(other)) else { return false };
        let turn = |place: usize| (pool.cursor.is_some_and(|cursor| place <= cursor), place);
        match pool.conf.method {
            Method::Serial => first < second,
            Method::RoundRobin => turn(first) < turn(second),
            Method::LongestIdle => match (self.idle.get(one), self.idle.get(other)) {
                (Some(Some(one)), Some(Some(other))) => one.cmp(other).then(first.cmp(&second)) == Ordering::Less,
                _ => false,
            },
            Method::Parallel | Method::Attendant => false,
        }
    }

    fn move_cursor(&mut self, key: Option<&PoolKey>, agent: &UserUri, at: Cursor) {
        let Some(pool) = key.and_then(|key| self.pools.get_mut(key)) else { return };
        let place = pool.members.iter().position(|member| member == agent);
        if pool.conf.round_robin_cursor == at && (at == Cursor::Answered || pool.conf.method == Method::RoundRobin) {
            pool.cursor = place;
        }
    }

    /// I12: whoever was passed over is not free any more.
    pub(super) fn end_of_step(&mut self, after: &BTreeMap<UserUri, AgentStatus>) -> Vec<String> {
        let choices = std::mem::take(&mut self.choices);
        let passed_over = choices.into_iter().filter_map(|choice| {
            let free = choice.passed_over.iter().find(|agent| after.get(*agent) == Some(&AgentStatus::Free))?;
            Some(format!("I12: {} is offered {} although it is {free}'s turn", choice.chosen, choice.call))
        });
        passed_over.collect()
    }
}
