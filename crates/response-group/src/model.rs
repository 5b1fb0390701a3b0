//! An exhaustive check of small cases: every interleaving of callers, phones, lost time and one crash.
//!
//! The machine is the one that ships. Around it stand phones that ring, answer, refuse, divert, stay silent or hang up,
//! and a network that keeps messages and delivers them in any order. Time stands still: any timer that is set may fire
//! at any moment, which covers every speed of phones and network. On each state the invariants that one state shows are
//! checked (`checks`), I2 and I14 against the phones, and over all states I8: everything can still come to rest. The cases
//! are one or two callers and agents, with the agent's key, forwards, transfers and a second group.

mod canonical;
mod cases;

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

use base::{CallId, Timestamp, UserUri};

use crate::config::{Action, Agent, AgentGroup, Config, Confirm, Method, ResponseGroup};
use crate::input::{AgentChange, Arrival, DialogNo, Input, OfferNo, Refusal};
use crate::offer::OfferState;
use crate::output::{Failure, Outcome, Output};
use crate::timers::{AgentTimer, CallTimer, OfferTimer, Timer};
use crate::{Domain, Fault};

/// A phone with one offer, and what is on its way between it and the server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Leg {
    offer: OfferNo,
    agent: u32,
    call: u64,
    phone: Phone,
    /// A CANCEL is on its way to the phone.
    cancel: bool,
    /// A BYE is on its way to the phone.
    bye: bool,
    /// On their way to the server, in no order.
    up: Vec<Up>,
    /// The server has ended or will end what was answered.
    released: bool,
}

/// What a phone does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Phone {
    /// The INVITE is on its way.
    Invited,
    Ringing,
    /// It answered, and believes in a conversation.
    Up,
    /// It is done with the offer.
    Idle,
}

/// A message to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Up {
    Ringing,
    Answer,
    Busy,
    Redirect,
    Cancelled,
    /// The dialog ended: the phone's BYE, or its answer to ours.
    Ended,
}

impl Up {
    /// Whether the server keeps waiting for it after a crash: a lost one is what the guard is for.
    fn input(self, offer: OfferNo) -> Input {
        let dialog = DialogNo(1);
        match self {
            Self::Ringing => Input::OfferProgressed { offer, ringing: true },
            Self::Answer => Input::OfferAnswered { offer, dialog, diverted: false },
            Self::Busy => Input::OfferRefused { offer, refusal: Refusal::Busy },
            Self::Redirect => Input::OfferRefused { offer, refusal: Refusal::Redirected },
            Self::Cancelled => Input::OfferRefused { offer, refusal: Refusal::Cancelled },
            Self::Ended => Input::OfferDialogEnded { offer, dialog },
        }
    }
}

/// A caller whose media are being attached again after a crash.
#[derive(Clone, Debug)]
struct Attaching {
    call: CallId,
    with_agent: bool,
    /// His own are here, and the machine knows it.
    back: bool,
}

#[derive(Clone)]
struct State {
    domain: Domain,
    legs: Vec<Leg>,
    /// Media joins asked for and not reported.
    joining: Vec<CallId>,
    /// Callers whose media are being attached again.
    attaching: Vec<Attaching>,
    /// Agents who were asked for the key.
    asking: Vec<OfferNo>,
    /// Callers for whom a target outside is called.
    forwarding: Vec<CallId>,
    /// Where agents who talk may send their caller, once.
    transfers: Vec<Action>,
    crashes: u32,
    departures: u32,
    patient: bool,
    faults: Vec<String>,
}

/// What is explored.
#[derive(Clone, Default)]
struct Case {
    method: Method,
    calls: u64,
    agents: u32,
    crashes: u32,
    /// How many agents go for good; then nobody waits for a time-out, and a group without agents sends its callers away.
    departures: u32,
    /// Agents press a key to take a call.
    confirm: bool,
    /// What becomes of a caller at the queue's time-out.
    timeout: Action,
    /// Where agents may send their callers.
    transfers: Vec<Action>,
    /// There is a second group with one more agent, which takes those of the first who wait too long or are sent there; the
    /// first one's queue holds only so many.
    second: Option<u32>,
    /// Phones ring, and are answered or fall silent: they neither refuse nor divert.
    patient: bool,
    fault: Option<Fault>,
    /// Breaches are passed over, to see what can still come to rest behind them.
    looks_at_rest_alone: bool,
}

/// What was found.
struct Found {
    states: usize,
    fault: Option<String>,
    /// States from which not everything can come to rest.
    stuck: usize,
}

const STATES_MAX: usize = 400_000;

fn uri(name: &str, number: u32) -> UserUri {
    UserUri::parse(&format!("sip:{name}{number}@x")).expect("a name of the model")
}

impl Case {
    fn start(&self) -> State {
        let mut domain = Domain::opened(Timestamp::ZERO, self.config());
        domain.fault = self.fault;
        let mut state = State {
            domain,
            legs: Vec::new(),
            joining: Vec::new(),
            attaching: Vec::new(),
            asking: Vec::new(),
            forwarding: Vec::new(),
            transfers: self.transfers.clone(),
            crashes: self.crashes,
            departures: self.departures,
            patient: self.patient,
            faults: Vec::new(),
        };
        for agent in 0..self.agents + u32::from(self.second.is_some()) {
            let change = AgentChange::Registered { registered: true };
            state.tell(Input::AgentChanged { agent: uri("agent", agent), change });
        }
        for call in 0..self.calls {
            state.tell(Input::CallerArrived(Arrival {
                call: CallId(call),
                reference: String::new(),
                group: uri("group", 0),
                caller: String::new(),
                unix_seconds: 0,
                hops: 0,
            }));
        }
        state
    }

    fn config(&self) -> Config {
        let mut groups = vec![self.group(0, 0..self.agents)];
        groups[0].queue.timeout_action = self.timeout.clone().into();
        if let Some(threshold) = self.second {
            groups[0].queue.overflow_threshold = Some(threshold);
            groups[0].queue.overflow_action = Action::Group { target: uri("group", 1) }.into();
            groups.push(self.group(1, self.agents..self.agents + 1));
        }
        let mut config = Config { groups, ..Config::default() };
        // Pauses only decide when an agent is free; without them the same interleavings take fewer states.
        config.timing.unreachable_delay_seconds = 0;
        config
    }

    fn group(&self, number: u32, agents: Range<u32>) -> ResponseGroup {
        let agents = agents.map(|agent| Agent::new(uri("agent", agent))).collect();
        let pool = AgentGroup {
            method: self.method,
            agents,
            busy_delay_seconds: 0,
            decline_delay_seconds: 0,
            confirm: if self.confirm { Confirm::Always } else { Confirm::Never },
            ..AgentGroup::default()
        };
        let mut group = ResponseGroup::new(uri("group", number), "group", pool);
        if self.departures == 0 {
            group.queue.timeout_seconds = Some(60);
        } else {
            group.queue.no_agent_action = Some(Action::Disconnect.into());
        }
        group
    }

    fn explore(&self) -> Found {
        let start = self.start();
        let mut index = HashMap::from([(start.key(), 0_usize)]);
        let mut queue = VecDeque::from([(0_usize, start)]);
        let mut before: Vec<Vec<u32>> = vec![Vec::new()];
        let mut at_rest = Vec::new();
        let mut fault = None;
        while let Some((place, state)) = queue.pop_front() {
            if state.is_at_rest() {
                at_rest.push(place);
            }
            for mut next in state.successors() {
                if self.looks_at_rest_alone {
                    next.faults.clear();
                }
                if let Some(found) = next.faults.first() {
                    // The shortest way to a breach is told; what lies behind it is of no interest.
                    fault.get_or_insert_with(|| found.clone());
                    continue;
                }
                let known = index.len();
                let to = *index.entry(next.key()).or_insert(known);
                if to == known {
                    before.push(Vec::new());
                    queue.push_back((to, next));
                }
                before[to].push(u32::try_from(place).expect("fewer states than that"));
            }
            if index.len() > STATES_MAX {
                panic!("the case is not small: {}", state.canonical());
            }
        }
        let stuck = index.len() - reaching(&before, at_rest);
        Found { states: index.len(), fault, stuck }
    }
}

/// How many states can reach one of those at rest.
fn reaching(before: &[Vec<u32>], at_rest: Vec<usize>) -> usize {
    let mut seen = vec![false; before.len()];
    let mut open = at_rest;
    let mut count = 0;
    while let Some(place) = open.pop() {
        if !std::mem::replace(&mut seen[place], true) {
            count += 1;
            open.extend(before[place].iter().map(|place| *place as usize));
        }
    }
    count
}

impl State {
    fn tell(&mut self, input: Input) {
        self.domain.handle(Timestamp::ZERO, input);
        self.carry_out();
    }

    fn fire(&mut self, timer: Timer) {
        let absent = match timer {
            Timer::Call(call, CallTimer::Reattach) if !self.is_back(call) => Some(call),
            _ => None,
        };
        self.domain.timers.clear(timer);
        self.domain.fire(timer);
        self.domain.settle();
        self.domain.tell_agents();
        self.carry_out();
        if let Some(call) = absent.filter(|call| self.domain.calls.contains_key(call)) {
            self.faults.push(format!("I17: {call} is served, whose caller did not come back"));
        }
    }

    /// Whether the machine was told that a caller is here again, and not yet whether his agent is.
    fn is_back(&self, call: CallId) -> bool {
        self.attaching.iter().any(|attaching| attaching.call == call && attaching.back)
    }

    fn carry_out(&mut self) {
        let back: Vec<CallId> = self.attaching.iter().filter(|it| it.back).map(|it| it.call).collect();
        while let Some(output) = self.domain.poll_output() {
            match output {
                Output::Offer(order) => self.invite(order.offer, &order.agent, order.call),
                Output::Withdraw { offer, .. } => self.send_phone(offer, |leg| leg.cancel = true),
                Output::AckBye { offer, .. } => self.send_phone(offer, |leg| {
                    leg.bye = true;
                    leg.released = true;
                }),
                Output::Bridge { call, .. } => self.joining.push(call),
                Output::Unbridge { call, .. } => {
                    self.joining.retain(|joining| *joining != call);
                    // Nobody waits for his agent any more.
                    self.attaching.retain(|attaching| attaching.call != call);
                }
                Output::Reattach { call, agent } => {
                    self.attaching.push(Attaching { call, with_agent: agent.is_some(), back: false });
                }
                Output::AskConfirm { offer, .. } => self.asking.push(offer),
                Output::Forward { call, .. } => self.forwarding.push(call),
                Output::Cdr(record) => {
                    self.forwarding.retain(|call| *call != record.call);
                    self.joining.retain(|call| *call != record.call);
                    if back.contains(&record.call) && record.outcome == (Outcome::Failed { why: Failure::Restart }) {
                        self.faults.push(format!("I17: {} was here again and is lost", record.call));
                    }
                    self.attaching.retain(|attaching| attaching.call != record.call);
                }
                _ => {}
            }
        }
        self.faults.extend(self.domain.breaches());
        self.look_at_phones();
    }

    fn invite(&mut self, offer: OfferNo, agent: &UserUri, call: CallId) {
        let agent = self.domain.agent_named(agent).expect("an agent of the model").0;
        self.legs.push(Leg {
            offer,
            agent,
            call: call.0,
            phone: Phone::Invited,
            cancel: false,
            bye: false,
            up: Vec::new(),
            released: false,
        });
    }

    fn send_phone(&mut self, offer: OfferNo, send: impl Fn(&mut Leg)) {
        if let Some(leg) = self.legs.iter_mut().find(|leg| leg.offer == offer) {
            send(leg);
        }
    }

    /// Whether an agent is still to press the key.
    fn is_asked(&self, offer: OfferNo) -> bool {
        self.domain.offers.get(&offer).is_some_and(|offer| offer.state == OfferState::Confirming)
    }

    /// I2 on the phones themselves, and I14: an answered phone belongs to an offer or is being told to end.
    fn look_at_phones(&mut self) {
        let asked: Vec<OfferNo> = self.asking.iter().copied().filter(|offer| self.is_asked(*offer)).collect();
        self.asking = asked;
        for leg in &mut self.legs {
            // What cannot matter any more is forgotten: it would only multiply the states.
            let open = self.domain.offers.contains_key(&leg.offer);
            leg.up.retain(|message| open || *message == Up::Answer);
            if leg.phone == Phone::Idle {
                (leg.cancel, leg.bye, leg.released) = (false, false, false);
            }
        }
        self.legs.retain(|leg| leg.phone != Phone::Idle || !leg.up.is_empty() || leg.cancel || leg.bye);
        for (place, leg) in self.legs.iter().enumerate() {
            let owned = self.domain.offers.contains_key(&leg.offer);
            let alive = |leg: &Leg| matches!(leg.phone, Phone::Invited | Phone::Ringing);
            let clash = self.legs[..place].iter().any(|other| other.agent == leg.agent && alive(other) && alive(leg));
            // After the guard the phone is given up; before it, it is owned.
            if clash && owned {
                self.faults.push(format!("I2: the phone of agent {} rings for two calls", leg.agent));
            }
            let answered = leg.phone == Phone::Up && !leg.up.contains(&Up::Answer) && !leg.up.contains(&Up::Ended);
            let offer = self.domain.offers.get(&leg.offer);
            let known = leg.released || leg.bye || offer.is_some_and(|offer| offer.dialog.is_some());
            if answered && !known {
                self.faults.push(format!("I14: agent {} answered and nobody told him to end", leg.agent));
            }
        }
    }

    fn is_at_rest(&self) -> bool {
        let agents_free = self.domain.agents.iter().all(|agent| agent.ring.is_none() && agent.talks.is_empty());
        self.domain.calls.is_empty() && self.domain.offers.is_empty() && agents_free
    }

    fn successors(&self) -> Vec<State> {
        let mut next = Vec::new();
        let mut add = |act: &dyn Fn(&mut State)| {
            let mut state = self.clone();
            act(&mut state);
            state.look_at_phones();
            next.push(state);
        };
        for place in 0..self.legs.len() {
            self.leg_successors(place, &mut add);
        }
        for call in &self.joining {
            let joined = |state: &mut State, ok: bool| {
                state.joining.retain(|joining| joining != call);
                state.tell(if ok {
                    Input::Bridged { call: *call, unconfirmed: false }
                } else {
                    Input::BridgeFailed { call: *call }
                });
            };
            add(&|state| joined(state, true));
            add(&|state| joined(state, false));
        }
        for (place, attaching) in self.attaching.iter().enumerate() {
            let Attaching { call, with_agent, back } = *attaching;
            for (caller, agent) in [(true, with_agent), (true, false), (false, with_agent)] {
                add(&|state| {
                    state.attaching.remove(place);
                    state.tell(Input::Reattached { call, caller, agent });
                });
            }
            if with_agent && !back {
                add(&|state| {
                    state.attaching[place].back = true;
                    state.tell(Input::CallerBack { call });
                });
            }
        }
        for offer in &self.asking {
            for accepted in [true, false] {
                add(&|state| state.tell(Input::OfferConfirmed { offer: *offer, accepted }));
            }
        }
        for call in &self.forwarding {
            for connected in [true, false] {
                add(&|state| {
                    state.forwarding.retain(|forwarding| forwarding != call);
                    state.tell(Input::ForwardEnded { call: *call, connected, status: None });
                });
            }
        }
        let talking = self.domain.offers.iter().filter(|(_, offer)| offer.state == OfferState::Talking);
        for (offer, _) in talking {
            for (place, target) in self.transfers.iter().enumerate() {
                add(&|state| {
                    state.transfers.remove(place);
                    state.tell(Input::AgentTransferred { offer: *offer, target: target.clone(), consulted: false });
                });
            }
        }
        for call in self.domain.calls.keys() {
            add(&|state| state.tell(Input::CallerLeft { call: *call }));
        }
        let timers: Vec<Timer> =
            self.domain.timers.all().map(|(timer, _)| timer).filter(|timer| self.may_fire(timer)).collect();
        for timer in timers {
            add(&|state| state.fire(timer));
        }
        if self.crashes > 0 {
            add(&State::crash);
        }
        for agent in self.domain.agents.iter().filter(|agent| agent.registered && self.departures > 0) {
            add(&|state| {
                state.departures -= 1;
                let change = AgentChange::Registered { registered: false };
                state.tell(Input::AgentChanged { agent: agent.uri.clone(), change });
            });
        }
        next
    }

    /// A timer may fire at any moment, but a guard only when nothing of its offer is on its way any more: 64 times T1
    /// is longer than any message takes. One pass through the agents is explored; the longest conversation is an ending
    /// like any other.
    fn may_fire(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Offer(offer, OfferTimer::Guard) => !self.legs.iter().any(|leg| leg.offer == *offer),
            Timer::Offer(_, OfferTimer::Talk) => false,
            Timer::Call(_, CallTimer::Retry | CallTimer::Announce) | Timer::Agent(_, AgentTimer::Lease) => false,
            _ => true,
        }
    }

    fn leg_successors(&self, place: usize, add: &mut impl FnMut(&dyn Fn(&mut State))) {
        let leg = &self.legs[place];
        let mut phone = |to: Phone, sends: Option<Up>| {
            add(&|state: &mut State| {
                let leg = &mut state.legs[place];
                leg.phone = to;
                leg.up.extend(sends);
            });
        };
        match leg.phone {
            Phone::Invited => {
                phone(Phone::Ringing, Some(Up::Ringing));
                if !self.patient {
                    phone(Phone::Idle, Some(Up::Redirect));
                }
            }
            Phone::Ringing => {
                phone(Phone::Up, Some(Up::Answer));
                if !self.patient {
                    phone(Phone::Idle, Some(Up::Busy));
                }
            }
            Phone::Up if !leg.bye => phone(Phone::Idle, Some(Up::Ended)),
            Phone::Up | Phone::Idle => {}
        }
        // CANCEL waits for the INVITE; it ends ringing and nothing else.
        if leg.cancel && leg.phone != Phone::Invited {
            add(&|state| {
                let leg = &mut state.legs[place];
                leg.cancel = false;
                if leg.phone == Phone::Ringing {
                    leg.phone = Phone::Idle;
                    leg.up.push(Up::Cancelled);
                }
            });
        }
        if leg.bye {
            add(&|state| {
                let leg = &mut state.legs[place];
                leg.bye = false;
                if leg.phone == Phone::Up {
                    leg.phone = Phone::Idle;
                    leg.up.push(Up::Ended);
                }
            });
        }
        let mut messages = leg.up.clone();
        messages.sort_unstable();
        messages.dedup();
        for message in messages {
            // One dialog's BYE cannot overtake its 200: the server knows no such dialog before.
            if message == Up::Ended && leg.up.contains(&Up::Answer) {
                continue;
            }
            add(&|state| {
                let leg = &mut state.legs[place];
                let first = leg.up.iter().position(|other| *other == message).expect("just seen");
                leg.up.remove(first);
                let offer = leg.offer;
                state.tell(message.input(offer));
            });
        }
    }

    /// The process dies: what is on its way to it may be lost with it, and it begins anew on its journal.
    fn crash(&mut self) {
        self.crashes -= 1;
        self.joining.clear();
        self.attaching.clear();
        self.asking.clear();
        self.forwarding.clear();
        for leg in &mut self.legs {
            // A 200 is sent again by the phone until it is acknowledged; other messages are lost.
            leg.up.retain(|message| *message == Up::Answer);
        }
        self.tell(Input::Restarted);
    }
}
