//! The invariants of routing.md 3.5 that one state shows: what must hold between any two inputs. Tests and simulations ask
//! after each; the server does not.

use base::Duration;

use crate::Domain;
use crate::agent::AgentIx;
use crate::call::Phase;
use crate::config::NoAgentScope;
use crate::input::OfferNo;
use crate::offer::OfferState;
use crate::timers::{CallTimer, OfferTimer, Timer};

impl Domain {
    /// Every breach of an invariant that this state shows (I1 to I5, I9, I13, I16, I20 of routing.md 3.5); empty when all
    /// is well. It looks at everything there is: nothing for a server at work.
    pub fn breaches(&self) -> Vec<String> {
        let mut faults = Vec::new();
        one_winner_for_each_call(self, &mut faults);
        each_agent_has_one_owner(self, &mut faults);
        every_state_has_a_deadline(self, &mut faults);
        the_indexes_agree(self, &mut faults);
        nobody_waits_beside_a_ready_agent(self, &mut faults);
        nobody_waits_for_nobody(self, &mut faults);
        faults
    }
}

/// 64 times T1 (RFC 3261 17.1.1.1).
const GUARD: Duration = Duration::from_secs(32);

fn wins(state: OfferState) -> bool {
    matches!(state, OfferState::Connecting | OfferState::Talking)
}

/// I1, I5.
fn one_winner_for_each_call(domain: &Domain, faults: &mut Vec<String>) {
    for (id, call) in &domain.calls {
        let winners: Vec<OfferNo> = domain
            .offers
            .iter()
            .filter(|(_, offer)| offer.call == *id && wins(offer.state))
            .map(|(no, _)| *no)
            .collect();
        let wanted: Vec<OfferNo> = match &call.phase {
            Phase::Connecting(offer) | Phase::Connected(offer) => vec![*offer],
            Phase::Forwarding { agent, .. } => agent.iter().copied().collect(),
            Phase::Reattaching(crate::call::Before::Connected(offer)) => {
                winners.iter().copied().filter(|winner| winner == offer).collect()
            }
            _ => Vec::new(),
        };
        if winners != wanted {
            faults.push(format!("I1: call {id} in {:?} has the winners {winners:?}", call.phase));
        }
        if matches!(call.phase, Phase::Connected(_)) && !call.offers.is_empty() {
            faults.push(format!("I5: call {id} is connected and still rings"));
        }
        for number in &call.offers {
            let live = domain.offers.get(number).map(|offer| offer.state);
            if !matches!(live, Some(OfferState::Inviting | OfferState::Ringing | OfferState::Confirming)) {
                faults.push(format!("I5: call {id} counts on offer {number:?}, which is {live:?}"));
            }
        }
    }
}

/// I2, I3, I4.
fn each_agent_has_one_owner(domain: &Domain, faults: &mut Vec<String>) {
    for (place, agent) in domain.agents.iter().enumerate() {
        let ix = AgentIx(u32::try_from(place).expect("few agents"));
        let mine = domain.offers.iter().filter(|(_, offer)| offer.agent == ix);
        let (talks, rings): (Vec<_>, Vec<_>) = mine.partition(|(_, offer)| offer.won);
        if rings.len() > 1 {
            faults.push(format!("I2: {} has {} offers that are not won", agent.uri, rings.len()));
        }
        if agent.ring != rings.first().map(|(number, _)| **number) {
            faults.push(format!("I3: {} is owned by {:?}, not by {:?}", agent.uri, agent.ring, rings.first()));
        }
        let mut owned = agent.talks.clone();
        owned.sort_unstable();
        if owned != talks.iter().map(|(number, _)| **number).collect::<Vec<_>>() {
            faults.push(format!("I3: {} talks with {owned:?}, the offers say {talks:?}", agent.uri));
        }
    }
    for (number, offer) in &domain.offers {
        let ending = matches!(offer.state, OfferState::Withdrawing(_) | OfferState::Releasing(_));
        let limit = domain.timers.at(Timer::Offer(*number, OfferTimer::Guard));
        if ending && limit.is_none_or(|at| at > domain.now + GUARD) {
            faults.push(format!("I4: offer {number:?} is ending without a limit of 64 times T1: {limit:?}"));
        }
        if !ending && !domain.calls.contains_key(&offer.call) {
            faults.push(format!("I4: offer {number:?} in {:?} has no call", offer.state));
        }
    }
}

/// I9.
fn every_state_has_a_deadline(domain: &Domain, faults: &mut Vec<String>) {
    for (number, offer) in &domain.offers {
        let timer = match offer.state {
            OfferState::Inviting if !offer.provisional => OfferTimer::Provisional,
            OfferState::Inviting | OfferState::Ringing => OfferTimer::Alert,
            OfferState::Confirming => OfferTimer::Confirm,
            OfferState::Talking => OfferTimer::Talk,
            OfferState::Connecting => continue,
            OfferState::Withdrawing(_) | OfferState::Releasing(_) => OfferTimer::Guard,
        };
        if domain.timers.at(Timer::Offer(*number, timer)).is_none() {
            faults.push(format!("I9: offer {number:?} in {:?} has no {timer:?} limit", offer.state));
        }
    }
    for (id, call) in &domain.calls {
        let timer = match &call.phase {
            Phase::Greeting(_) => CallTimer::Step,
            Phase::Connecting(_) => CallTimer::Bridge,
            Phase::Forwarding { .. } => CallTimer::Forward,
            Phase::Reattaching(_) => CallTimer::Reattach,
            Phase::Queued if call.deadline.is_some() => CallTimer::Queue,
            Phase::Queued | Phase::Connected(_) => continue,
        };
        if domain.timers.at(Timer::Call(*id, timer)).is_none() {
            faults.push(format!("I9: call {id} in {:?} has no {timer:?} limit", call.phase));
        }
    }
    for (timer, _) in domain.timers.all() {
        let alive = match timer {
            Timer::Call(call, _) => domain.calls.contains_key(&call),
            Timer::Offer(offer, _) => domain.offers.contains_key(&offer),
            Timer::Agent(..) | Timer::NoAgent(_) => true,
        };
        if !alive {
            faults.push(format!("I16: {timer:?} belongs to nothing"));
        }
    }
}

/// The ordered lists say what a scan would say.
fn the_indexes_agree(domain: &Domain, faults: &mut Vec<String>) {
    for (place, pool) in domain.pools.iter().enumerate() {
        let name = &pool.conf.name;
        let ready: Vec<AgentIx> = pool
            .members
            .iter()
            .copied()
            .filter(|agent| domain.agents[agent.0 as usize].obstacle(pool).is_none())
            .collect();
        let mut listed: Vec<AgentIx> = pool.ready.iter().map(|key| key.agent).collect();
        let mut expected = ready;
        listed.sort_unstable();
        expected.sort_unstable();
        if listed != expected {
            faults.push(format!("I3: pool {name} lists {listed:?} as ready, who is ready is {expected:?}"));
        }
        let absent = |agent: &&AgentIx| domain.agents[agent.0 as usize].absence(pool).is_none();
        if pool.members.iter().filter(absent).count() != pool.present as usize {
            faults.push(format!("I20: pool {name} miscounts who is there"));
        }
        for key in &pool.hungry {
            let wants = domain.calls.get(&key.call).is_some_and(|call| {
                call.phase == Phase::Queued && call.hungry.iter().any(|pool| pool.0 as usize == place)
            });
            if !wants {
                faults.push(format!("I13: pool {name} lists call {} as hungry", key.call));
            }
        }
    }
    for group in &domain.groups {
        for key in group.line.iter() {
            let stands = domain.calls.get(&key.call).is_some_and(|call| call.in_line && call.key == Some(*key));
            if !stands {
                faults.push(format!("I8: the line of {} holds call {}", group.conf.uri, key.call));
            }
        }
    }
}

/// I13, and that nobody is forgotten: after settling, no ready agent is left whom a waiting call would take.
fn nobody_waits_beside_a_ready_agent(domain: &Domain, faults: &mut Vec<String>) {
    for call in domain.calls.values().filter(|call| call.phase == Phase::Queued && !call.overtime) {
        if !call.offers.is_empty() {
            continue;
        }
        for pool in &call.pools {
            let pool = &domain.pools[pool.0 as usize];
            let left = pool.ready.iter().find(|key| !call.excludes(key.agent, domain.now));
            if let Some(key) = left {
                faults.push(format!("I13: call {} waits while agent {} is ready", call.id, key.agent.0));
            }
        }
    }
}

/// I20: whom nobody can serve is about to be sent on, where his group says where to.
fn nobody_waits_for_nobody(domain: &Domain, faults: &mut Vec<String>) {
    for call in domain.calls.values().filter(|call| call.phase == Phase::Queued && call.offers.is_empty()) {
        let group = domain.group(call.group);
        let queue = &group.conf.queue;
        let applies = queue.no_agent_action.is_some() && queue.no_agent_applies_to == NoAgentScope::All;
        let somebody = call.pools.iter().map(|pool| &domain.pools[pool.0 as usize]).any(|pool| {
            let here = |agent: &AgentIx| domain.agents[agent.0 as usize].absence(pool).is_none();
            pool.members.iter().any(here)
        });
        let sent_on = group.gone || domain.timers.at(Timer::NoAgent(call.group)).is_some();
        if applies && !somebody && !sent_on {
            faults.push(format!("I20: call {} waits for ever at {}, where nobody is", call.id, group.conf.uri));
        }
    }
}
