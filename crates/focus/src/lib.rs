//! The Focus: the one authority over one active conference, as a pure machine.
//!
//! It decides who is admitted and as what, who may do what to whom, whom to call and in which order, what the roster
//! says, and when the conference ends (c3p.md sections 2.5 to 2.10, 3, 4 and 8).
//!
//! It must not know XML, SIP, SDP, media, sockets or clocks: requests arrive as typed values with a proven
//! [`Requester`], legs are numbers whose progress is reported, and time is an argument.
//!
//! Start reading at [`Focus::handle`], then [`Input`] and [`Output`]; the rules stand in `admission`, `control`,
//! `dial_out`, `legs` and `lifecycle`, each where it is decided.
//!
//! # Driving it
//!
//! After each [`Focus::handle`] the caller drains [`Focus::poll_output`] and asks [`Focus::poll_timeout`] when to hand
//! in [`Input::TimerFired`]. The outputs of one input come in this order: actions and events, notifications, outcomes,
//! ended subscriptions, hang-ups, the end of the conference. Changes of the roster that follow each other closely are
//! published together (`subscription`); the outcome of a command waits for the document that shows what it did, so that
//! it is never ahead of the roster it speaks of (c3p.md 8.4). Joins and refusals wait for nothing, and a participant who
//! is sent away still gets his answer.
//!
//! A leg is the Focus's from [`Outcome::Joined`], [`Outcome::NeedPin`], [`Outcome::Waiting`] or
//! [`Output::Dial`] on. It ends once: by
//! [`Input::LegEnded`] or by [`Output::HangUp`], whichever is first; whatever is reported of it later is ignored.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod admission;
mod command;
mod control;
mod dial_out;
mod document;
mod legs;
mod lifecycle;
mod lobby;
mod media_filters;
mod output;
mod record;
mod roster;
mod subscription;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;

use base::{AccessType, CommandId, EndpointId, LegId, Role, SubscriptionId, Termination, Timestamp, UserUri};

pub use command::{
    AdmissionChange, ControlRequest, Diagnostic, DialOut, Failure, FailureReason, JoinFocus, JoinMedia, LobbyAccess,
    Outcome, Requester, UsersMediaFilters,
};
pub use document::{
    ConferenceDescription, ConferenceState, Disconnection, DisconnectionMethod, ElementState, EndpointElement,
    EndpointStatus, JoiningMethod, MediaFilter, RosterDocument, SessionType, UserElement,
};
pub use output::{EndReason, FocusEvent, Output, Prompt, SubscriptionEnd};
pub use record::{ConferenceRecord, FocusConfig, Lobby, Pin};

use admission::PinEntry;
use dial_out::DialOuts;
use lifecycle::Phase;
use output::Outbox;
use roster::Roster;
use subscription::Subscriptions;
use timers::Timers;

/// What a Focus is told.
#[derive(Clone, Debug)]
pub enum Input {
    /// A device joins the Focus.
    JoinFocus(JoinFocus),
    /// An audio leg comes in.
    JoinMedia(JoinMedia),
    /// Digits that a caller typed after [`Outcome::NeedPin`].
    EnterPin {
        /// The caller's leg.
        leg: LegId,
        /// What he typed.
        pin: Pin,
    },
    /// Somebody wants something of the conference.
    Command {
        /// The command to answer.
        command: CommandId,
        /// Who asks.
        requester: Requester,
        /// What he asks.
        request: ControlRequest,
    },
    /// A dialled leg rings.
    LegAlerting {
        /// The leg.
        leg: LegId,
    },
    /// A leg is up: answered, and its media connected.
    LegConnected {
        /// The leg.
        leg: LegId,
    },
    /// The peer put a leg on hold or took it back.
    LegHeld {
        /// The leg.
        leg: LegId,
        /// Whether it is on hold.
        held: bool,
    },
    /// A leg ended, or a dial-out failed.
    LegEnded {
        /// The leg.
        leg: LegId,
        /// How.
        termination: Termination,
    },
    /// Somebody wants to be told of changes. For a known subscription it is a refresh, answered by a full document.
    Subscribe {
        /// The subscription.
        subscription: SubscriptionId,
        /// Who asks.
        requester: Requester,
    },
    /// He does not want it any more.
    Unsubscribe {
        /// The subscription.
        subscription: SubscriptionId,
    },
    /// Who speaks, loudest first.
    SpeakersChanged {
        /// The legs that speak.
        legs: Vec<LegId>,
    },
    /// Its record was replaced while it is on (c3p.md 2.4, `modifyConference`). Who is in stays in, with his role.
    Rescheduled {
        /// What it is from now on; with the same id and organizer.
        record: Box<ConferenceRecord>,
        /// Who replaced it.
        by: UserUri,
    },
    /// Something outside ends the conference: the organizer's account was removed, the server stops, the MCU is lost.
    End {
        /// Why.
        reason: EndReason,
    },
    /// The time of [`Focus::poll_timeout`] has come.
    TimerFired,
}

impl Input {
    /// The command it wants answered.
    pub fn command(&self) -> Option<CommandId> {
        match self {
            Self::JoinFocus(join) => Some(join.command),
            Self::JoinMedia(join) => Some(join.command),
            Self::Command { command, .. } => Some(*command),
            _ => None,
        }
    }
}

/// One active conference.
#[derive(Debug)]
pub struct Focus {
    record: ConferenceRecord,
    config: FocusConfig,
    phase: Phase,
    locked: bool,
    /// Who may enter now, and who waits.
    access: AccessType,
    lobby: Lobby,
    promote_authenticated: bool,
    /// "Mute all" holds: attendees who join are muted.
    mute_attendees: bool,
    roster: Roster,
    pin_entries: BTreeMap<LegId, PinEntry>,
    /// The commands that brought those who wait in the lobby.
    waiting: BTreeMap<LegId, CommandId>,
    dial_outs: DialOuts,
    subscriptions: Subscriptions,
    speakers: Vec<(UserUri, EndpointId)>,
    timers: Timers,
    outbox: Outbox,
}

impl Focus {
    /// A Focus nobody is in yet. It ends by itself unless its first input brings somebody.
    pub fn new(record: ConferenceRecord, config: FocusConfig) -> Self {
        let (locked, access, lobby) = (record.locked, record.access, record.lobby);
        let promote_authenticated = record.promote_authenticated;
        Self {
            record,
            config,
            phase: Phase::Idle,
            locked,
            access,
            lobby,
            promote_authenticated,
            mute_attendees: false,
            roster: Roster::default(),
            pin_entries: BTreeMap::new(),
            waiting: BTreeMap::new(),
            dial_outs: DialOuts::default(),
            subscriptions: Subscriptions::new(locked),
            speakers: Vec::new(),
            timers: Timers::default(),
            outbox: Outbox::default(),
        }
    }

    /// Takes one input and does what follows from it. A Focus that ended takes nothing any more.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        if self.is_ended() {
            return;
        }
        self.dispatch(now, input);
        if !self.is_ended() {
            self.settle(now);
        }
        match self.is_ended() {
            true => self.outbox.release(),
            false => self.publish(now),
        }
        self.outbox.commit();
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outbox.pop()
    }

    /// When [`Input::TimerFired`] is wanted; `None` when no time matters.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// What the conference was scheduled as.
    pub fn record(&self) -> &ConferenceRecord {
        &self.record
    }

    /// Who speaks at this moment, loudest first.
    pub fn speakers(&self) -> &[(UserUri, EndpointId)] {
        &self.speakers
    }

    /// Whether newcomers are kept out now.
    pub fn is_locked(&self) -> bool {
        self.locked
    }

    /// Whether attendees who join are muted, because somebody muted all.
    pub fn mutes_attendees(&self) -> bool {
        self.mute_attendees
    }

    /// What passes from a participant into the mix; `None` when the leg is not in the roster.
    pub fn ingress(&self, leg: LegId) -> Option<MediaFilter> {
        self.roster.endpoint(leg).map(|endpoint| endpoint.ingress)
    }

    /// Whether the conference is over.
    pub fn is_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// What a user is: his role in the roster while he is in or being called, else the one the record gives him. Who
    /// waits in the lobby has no role yet.
    pub fn role_of(&self, user: &UserUri) -> Option<Role> {
        let admitted = self.roster.user(user).filter(|user| !user.is_waiting());
        admitted.map(|user| user.role).or_else(|| self.record.listed_role(user))
    }

    /// Whether a leg is this Focus's: in the roster (also before it is dialled), or entering the PIN.
    pub fn holds(&self, leg: LegId) -> bool {
        self.roster.user_of(leg).is_some() || self.pin_entries.contains_key(&leg)
    }

    /// Whose leg it is and which endpoint; `None` for callers who are entering the PIN.
    pub fn participant(&self, leg: LegId) -> Option<(&UserUri, &EndpointId)> {
        Some((self.roster.user_of(leg)?, &self.roster.endpoint(leg)?.id))
    }

    /// The whole roster as it is now, what is not published yet included.
    pub fn roster_document(&self) -> Arc<RosterDocument> {
        Arc::new(RosterDocument {
            state: ElementState::Full,
            description: Some(Arc::new(self.description())),
            conference: self.conference_state(),
            users: self.roster.current(),
        })
    }

    /// What documents say of the conference as a whole.
    fn conference_state(&self) -> ConferenceState {
        self.roster.state(self.locked, self.mute_attendees)
    }

    /// What documents say of the conference, with who may enter now.
    fn description(&self) -> ConferenceDescription {
        ConferenceDescription { access: self.access, ..self.record.description() }
    }

    fn dispatch(&mut self, now: Timestamp, input: Input) {
        if let Input::LegAlerting { leg } | Input::LegConnected { leg } | Input::LegEnded { leg, .. } = input {
            self.show_dial_out(now, leg);
        }
        match input {
            Input::JoinFocus(join) => self.join_focus(now, join),
            Input::JoinMedia(join) => self.join_media(now, join),
            Input::EnterPin { leg, pin } => self.enter_pin(now, leg, &pin),
            Input::Command { command, requester, request } => self.command(now, command, &requester, request),
            Input::LegAlerting { leg } => self.leg_alerting(leg),
            Input::LegConnected { leg } => self.leg_connected(now, leg),
            Input::LegHeld { leg, held } => self.leg_held(leg, held),
            Input::LegEnded { leg, termination } => self.leg_ended(now, leg, termination),
            Input::Subscribe { subscription, requester } => self.subscribe(subscription, &requester),
            Input::Unsubscribe { subscription } => self.unsubscribe(subscription),
            Input::SpeakersChanged { legs } => self.speakers_changed(&legs),
            Input::Rescheduled { record, by } => self.reschedule(*record, by),
            Input::End { reason } => self.end(now, reason),
            Input::TimerFired => self.timer_fired(now),
        }
    }

    fn speakers_changed(&mut self, legs: &[LegId]) {
        let known = |leg: &LegId| self.participant(*leg).map(|(user, endpoint)| (user.clone(), endpoint.clone()));
        let speakers: Vec<_> = legs.iter().filter_map(known).collect();
        if speakers != self.speakers {
            self.speakers.clone_from(&speakers);
            self.outbox.event(FocusEvent::SpeakersChanged { speakers });
        }
    }

    /// Answers a command: after the document that shows what it did, if it did anything.
    fn answer(&mut self, command: CommandId, outcome: Outcome) {
        let speaks_of_roster = match &outcome {
            Outcome::Joined { .. } | Outcome::Done => true,
            Outcome::Failure(failure) => failure.termination.is_some(),
            _ => false,
        };
        let output = Output::Outcome { command, outcome };
        match speaks_of_roster {
            true => self.outbox.hold(output),
            false => self.outbox.push(output),
        }
    }

    fn fail(&mut self, command: CommandId, failure: Failure) {
        self.answer(command, Outcome::Failure(failure));
    }

    /// Answers without regard to documents: who joins watches nothing yet, and his call waits for it.
    fn answer_at_once(&mut self, command: CommandId, outcome: Outcome) {
        self.outbox.push(Output::Outcome { command, outcome });
    }

    fn fail_at_once(&mut self, command: CommandId, failure: Failure) {
        self.answer_at_once(command, Outcome::Failure(failure));
    }
}
