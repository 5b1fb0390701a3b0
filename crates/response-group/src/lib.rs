//! Response groups as one pure machine: who is rung for which caller, and what becomes of him.
//!
//! It decides everything between a caller's arrival at a group and his end: welcome, hours and questions, his place in
//! the queue, which agents are rung and for how long, who wins, when an agent is free again, overflow and time-out. It
//! owns every agent's occupancy, so that nobody is offered two calls and no caller gets two agents.
//!
//! It must not know SIP, media, sockets, threads or clocks: what phones do is reported, time is an argument.
//!
//! Start reading at [`Domain::handle`], then [`Input`] and [`Output`]; the states and what follows from what stand in
//! `offer`, `agent` and `call`, who is rung next in `matching`, the five methods in `hunt`.
//!
//! # Driving it
//!
//! After each [`Domain::handle`] drain [`Domain::poll_output`] and ask [`Domain::poll_timeout`] when to hand in
//! [`Input::TimerFired`]. The first output of each input is its [`Output::Journal`] entry; it must be safe before what
//! follows is done. `now` must never go back over the life of a journal, also across restarts: the integrator adds
//! to the time since its start what the last entry of the journal says, and how long it was down.
//!
//! # Measuring it
//!
//! `cargo bench -p response-group` prints the cost of a step and of a selection beside their limits;
//! `cargo run --release -p response-group --example offers` makes a million offers to random phones and counts what
//! must not happen. `model` visits every interleaving of small cases in the ordinary tests.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agent;
mod call;
mod checks;
mod config;
mod configure;
mod connection;
mod explain;
mod fit;
mod form;
mod group;
mod hours;
mod hunt;
mod input;
mod journal;
mod matching;
#[cfg(test)]
mod model;
mod occupancy;
mod offer;
mod output;
mod queueing;
mod restart;
#[cfg(test)]
mod stories;
mod telling;
mod timers;
mod validate;
mod wallboard;
pub mod watch;
mod words;
mod workflow;

use std::collections::{BTreeMap, VecDeque};

use base::{CallId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

pub use config::{
    Action, Agent, AgentGroup, Announcements, Answer, AnswerMode, Config, Confirm, Cursor, Deadline, Disposal, ExitKey,
    Method, NoAgentScope, OverflowCandidate, Participation, Question, Queue, ResponseGroup, Timing,
};
pub use explain::{Candidate, Line, Story, Why, explain};
pub use fit::{Sounds, Surroundings};
pub use hours::{Day, Holiday, Hours};
pub use input::{
    AgentChange, Arrival, DialogNo, Input, KeptOut, MonitorMode, OfferNo, Presence, Refusal, SupervisorCommand,
    Unanswered,
};
pub use journal::{Entry, JournalError, replay};
pub use output::{
    AgentStatus, Announcement, CallRecord, CancelWhen, CloseReason, Decision, Failure, HistoryEntry, HistoryKind,
    Ineligible, OfferOrder, Outcome, Output, QueueResult, Rejection, Release, Segment, SegmentKind, Sound,
    WallboardEvent, Withdrawal,
};
pub use validate::Problem;
pub use wallboard::{AgentSnapshot, Counters, GroupSnapshot, Snapshot, TalkSnapshot, WaitingSnapshot};

use agent::{AgentEntry, AgentIx};
use call::Call;
use group::{Group, GroupIx, Pool};
use matching::Wake;
use offer::Offer;
use timers::{Timer, Timers};

/// All response groups that share agents: the one owner of their calls, offers and agents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Domain {
    config: Config,
    /// Number of the input being handled.
    seq: u64,
    now: Timestamp,
    next_offer: u64,
    groups: Vec<Group>,
    group_by_uri: BTreeMap<UserUri, GroupIx>,
    pools: Vec<Pool>,
    agents: Vec<AgentEntry>,
    agent_by_uri: BTreeMap<UserUri, AgentIx>,
    calls: BTreeMap<CallId, Call>,
    offers: BTreeMap<OfferNo, Offer>,
    timers: Timers,
    /// Nobody, between two inputs.
    #[serde(skip)]
    wake: Wake,
    /// Agents whose state may have changed with this input.
    #[serde(skip)]
    touched: Vec<AgentIx>,
    #[serde(skip)]
    outbox: VecDeque<Output>,
    stale: u64,
    /// The highest number of a call so far.
    last_call: CallId,
    #[cfg(test)]
    #[serde(skip)]
    fault: Option<Fault>,
}

/// A fault that a test of this crate can build in, to see that the checks find it (routing.md 3.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// An agent is free as soon as his offer is withdrawn: no Draining.
    FreesAtWithdrawal,
    /// A 200 after CANCEL is dropped.
    DropsLateAnswers,
    /// Offers found open after a restart have no limit.
    NoRestartGuard,
}

impl Domain {
    /// Whether the machine is to do this wrong.
    #[cfg(test)]
    fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Outside its own tests the machine has no fault to order.
    #[cfg(not(test))]
    const fn has(&self, _: Fault) -> bool {
        false
    }

    /// A machine with these groups; its first output is [`Entry::Opened`].
    pub fn new(now: Timestamp, config: Config) -> Result<Self, Vec<Problem>> {
        config.validate()?;
        Ok(Self::opened(now, config))
    }

    fn opened(now: Timestamp, config: Config) -> Self {
        let mut domain = Self {
            config: Config::default(),
            seq: 0,
            now,
            next_offer: 0,
            groups: Vec::new(),
            group_by_uri: BTreeMap::new(),
            pools: Vec::new(),
            agents: Vec::new(),
            agent_by_uri: BTreeMap::new(),
            calls: BTreeMap::new(),
            offers: BTreeMap::new(),
            timers: Timers::default(),
            wake: Wake::default(),
            touched: Vec::new(),
            outbox: VecDeque::new(),
            stale: 0,
            last_call: CallId(0),
            #[cfg(test)]
            fault: None,
        };
        let entry = Entry::Opened { at: now, config: Box::new(config.clone()) };
        domain.outbox.push_back(Output::Journal(Box::new(entry)));
        domain.configure(config);
        domain.tell_agents();
        domain
    }

    /// The machine of a journal whose process ended. What the journal says was done is not done again; outputs begin
    /// with what a restart asks for: every open offer is cancelled once, every caller is attached again.
    ///
    /// Beside it, what the calls that ended in the journal left: each [`Output::History`] and [`Output::Cdr`] once more, for
    /// the process may have ended before these were where they last.
    pub fn restore(now: Timestamp, entries: &[Entry]) -> Result<(Self, Vec<Output>), JournalError> {
        let (mut domain, left) = journal::state_of(entries)?;
        domain.handle(now, Input::Restarted);
        Ok((domain, left))
    }

    /// Its whole state, as an entry with which a new journal may begin: what was told before is not needed any more.
    ///
    /// To be asked for between two inputs, when every output of the last one has been taken.
    pub fn checkpoint(&self) -> Entry {
        debug_assert!(self.outbox.is_empty(), "outputs are no part of a checkpoint");
        journal::checkpoint(self)
    }

    /// The highest number of a call so far; the next one is larger.
    pub fn last_call(&self) -> CallId {
        self.last_call
    }

    /// Takes one input and does what follows from it.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        self.seq += 1;
        // A clock that went back would make waiting times negative; it stands still instead.
        self.now = self.now.max(now);
        let entry = Entry::Told { seq: self.seq, at: self.now, told: input.clone() };
        self.outbox.push_back(Output::Journal(Box::new(entry)));
        self.dispatch(input);
        self.settle();
        self.tell_agents();
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop_front()
    }

    /// When [`Input::TimerFired`] is wanted; `None` when no time matters.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// The groups it works with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who calls, and which group he called, while his call lasts.
    pub fn parties(&self, call: CallId) -> Option<(&str, &UserUri)> {
        self.calls.get(&call).map(|call| (call.caller.as_str(), &call.called))
    }

    /// Whom an offer is made to, while anything of it is left.
    pub fn agent_of(&self, offer: OfferNo) -> Option<&UserUri> {
        self.offers.get(&offer).map(|offer| &self.agents[offer.agent.0 as usize].uri)
    }

    /// What in an agent's own settings keeps him from calls, as far as it was told.
    pub fn kept_out(&self, agent: &UserUri) -> Option<KeptOut> {
        self.agents[self.agent_named(agent)?.0 as usize].kept_out
    }

    /// What an agent does outside the groups, as far as it was told; `None` for who never was one.
    pub fn outside(&self, agent: &UserUri) -> Option<(u32, Option<Unanswered>)> {
        let entry = &self.agents[self.agent_named(agent)?.0 as usize];
        Some((entry.external_calls, entry.unanswered))
    }

    /// Whether an address is one of its groups'.
    pub fn has_group(&self, uri: &UserUri) -> bool {
        self.group_by_uri.get(uri).is_some_and(|group| !self.group(*group).gone)
    }

    /// Whether an agent belongs to a group, or to one of its agent groups.
    pub fn belongs_to(&self, agent: &UserUri, group: &UserUri, agent_group: Option<&str>) -> bool {
        !self.memberships_in(agent, group, agent_group).is_empty()
    }

    /// Whether an address is one of its agents'.
    pub fn has_agent(&self, uri: &UserUri) -> bool {
        self.agent_named(uri).is_some_and(|agent| !self.agents[agent.0 as usize].memberships.is_empty())
    }

    fn dispatch(&mut self, input: Input) {
        match input {
            Input::CallerArrived(arrival) => self.caller_arrived(arrival),
            Input::CallerLeft { call } => self.caller_left(call, None),
            Input::CallerNotConfirmed { call } => self.caller_left(call, Some(Failure::NotConfirmed)),
            Input::CallerRefused { call, why } => self.caller_left(call, Some(why)),
            Input::CallerDigit { call, digit } => self.caller_digit(call, digit),
            Input::AnnouncementEnded { call } => self.announcement_ended(call),
            Input::OfferProgressed { offer, ringing } => self.offer_progressed(offer, ringing),
            Input::OfferDiverting { offer } => self.offer_diverting(offer),
            Input::OfferAnswered { offer, dialog, diverted } => self.offer_answered(offer, dialog, diverted),
            Input::OfferRefused { offer, refusal } => self.offer_refused(offer, refusal),
            Input::OfferConfirmed { offer, accepted } => self.offer_confirmed(offer, accepted),
            Input::OfferDialogEnded { offer, dialog } => self.offer_dialog_ended(offer, dialog),
            Input::Bridged { call, unconfirmed } => self.bridged(call, unconfirmed),
            Input::CallerConfirmed { call } => self.caller_confirmed(call),
            Input::BridgeFailed { call } => self.bridge_failed(call),
            Input::ForwardEnded { call, connected, .. } => self.forward_ended(call, connected),
            Input::AgentTransferred { offer, target, .. } => self.agent_transferred(offer, target),
            Input::AgentChanged { agent, change } => match self.agent_named(&agent) {
                Some(agent) => self.agent_told(agent, change),
                None => self.stale(),
            },
            Input::AgentSigned { agent, group, agent_group, signed_in } => {
                self.agent_signed(&agent, &group, agent_group.as_deref(), signed_in);
            }
            Input::Supervise { call, command } => self.supervise(call, command),
            Input::Configured { config } => self.configure(*config),
            Input::Restarted => self.restarted(),
            Input::Stopping => self.stopping(),
            Input::CallerBack { call } => self.caller_back(call),
            Input::PhonesAwaited { call } => self.phones_awaited(call),
            Input::Reattached { call, caller, agent } => self.reattached(call, caller, agent),
            Input::TimerFired => self.timer_fired(),
        }
    }

    fn timer_fired(&mut self) {
        match self.timers.pop_due(self.now) {
            Some(timer) => self.fire(timer),
            None => self.stale(),
        }
    }

    /// A timer that is set belongs to something that is there: whoever ends clears his timers.
    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Call(call, timer) => self.call_timer(call, timer),
            Timer::Offer(offer, timer) => self.offer_timer(offer, timer),
            Timer::Agent(agent, timer) => self.agent_timer(agent, timer),
            Timer::NoAgent(group) => self.no_agent_timer(group),
        }
    }

    fn stale(&mut self) {
        self.stale += 1;
    }

    fn decide(&mut self, decided: Decision) {
        let entry = Entry::Decided { seq: self.seq, at: self.now, decided };
        self.outbox.push_back(Output::Journal(Box::new(entry)));
    }
}
