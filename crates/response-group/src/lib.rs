//! Response groups as one pure machine: who is rung for which caller, and what becomes of him.
//!
//! It decides everything between a caller's arrival at a group and his end: welcome, hours and questions, his place in
//! the queue, which agents are rung and for how long, who wins, when an agent is free again, overflow and time-out. It
//! owns every agent's occupancy, so that nobody is offered two calls and no caller gets two agents.
//!
//! It must not know SIP, media, sockets, threads or clocks: what phones do is reported, time is an argument.
//!
//! Start reading at [`Domain::handle`], then [`Input`] and [`Output`]; the states and the table of what follows from
//! what stand in `offer`, `agent` and `call`, the five methods in `hunt`.
//!
//! # Driving it
//!
//! After each [`Domain::handle`] drain [`Domain::poll_output`] and ask [`Domain::poll_timeout`] when to hand in
//! [`Input::TimerFired`]. The first output of each input is its [`Output::Journal`] entry; it must be safe before what
//! follows is done. `now` must never go back over the life of a journal, also across restarts: the integrator adds
//! to the time since its start what the last entry of the journal says, and how long it was down.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod explain;
mod form;
mod hours;
mod input;
mod journal;
mod output;
mod validate;
mod wallboard;

use base::Timestamp;

pub use config::{
    Action, Agent, AgentGroup, Announcements, Answer, AnswerMode, Config, Confirm, Cursor, Deadline, Disposal, ExitKey,
    Method, NoAgentScope, OverflowCandidate, Participation, Question, Queue, ResponseGroup, Timing,
};
pub use explain::{Candidate, Line, Story, Why, explain};
pub use hours::{Day, Holiday, Hours};
pub use input::{AgentChange, Arrival, DialogNo, Input, MonitorMode, OfferNo, Presence, Refusal, SupervisorCommand};
pub use journal::{Entry, JournalError, replay};
pub use output::{
    AgentStatus, Announcement, CallRecord, CancelWhen, CloseReason, Decision, Failure, HistoryEntry, HistoryKind,
    Ineligible, OfferOrder, Outcome, Output, QueueResult, Rejection, Release, Segment, SegmentKind, Sound,
    WallboardEvent, Withdrawal,
};
pub use validate::Problem;
pub use wallboard::{AgentSnapshot, Counters, GroupSnapshot, Snapshot, WaitingSnapshot};

/// All response groups that share agents: the one owner of their calls, offers and agents.
#[derive(Clone, Debug)]
pub struct Domain {
    config: Config,
}

impl Domain {
    /// A machine with these groups; its first output is [`Entry::Opened`].
    pub fn new(now: Timestamp, config: Config) -> Result<Self, Vec<Problem>> {
        let _ = now;
        config.validate()?;
        Ok(Self { config })
    }

    /// The machine of a journal whose process ended. What the journal says was done is not done again; outputs begin
    /// with what a restart asks for: every open offer is cancelled once, every caller is attached again.
    pub fn restore(now: Timestamp, entries: &[Entry]) -> Result<Self, JournalError> {
        let (mut domain, _) = replay(entries)?;
        domain.handle(now, Input::Restarted);
        Ok(domain)
    }

    /// Takes one input and does what follows from it.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        let _ = (now, input);
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When [`Input::TimerFired`] is wanted; `None` when no time matters.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// The groups it works with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the wallboard shows.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let _ = now;
        Snapshot { groups: Vec::new(), agents: Vec::new(), stale_inputs: 0 }
    }
}
