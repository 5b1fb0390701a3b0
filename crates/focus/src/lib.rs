//! The Focus: the one authority over one active conference, as a pure machine.
//!
//! It decides who is admitted and as what, who may do what to whom, whom to call and in which order, what the roster
//! says, and when the conference ends (c3p.md sections 2.5 to 2.10, 3, 4 and 8).
//!
//! It must not know XML, SIP, SDP, media, sockets or clocks: requests arrive as typed values with a proven
//! [`Requester`], legs are numbers whose progress is reported, and time is an argument.
//!
//! Start reading at [`Focus::handle`], then [`Input`] and [`Output`]; the rules stand in `admission`, `control`,
//! `dial_out` and `lifecycle`, each where it is decided.
//!
//! # Driving it
//!
//! After each [`Focus::handle`] the caller drains [`Focus::poll_output`] and asks [`Focus::poll_timeout`] when to hand
//! in [`Input::TimerFired`]. The outputs of one input come in this order: actions and events, notifications, outcomes,
//! ended subscriptions, hang-ups, the end of the conference. So an outcome is never ahead of the roster it speaks of
//! (c3p.md 8.4), and a participant who is sent away still gets his answer.
//!
//! A leg is the Focus's from [`Outcome::Joined`], [`Outcome::NeedPin`] or [`Output::Dial`] on. It ends once: by
//! [`Input::LegEnded`] or by [`Output::HangUp`], whichever is first; whatever is reported of it later is ignored.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod command;
mod document;
mod output;
mod record;

use base::{CommandId, LegId, SubscriptionId, Termination, Timestamp};

pub use command::{
    ControlRequest, Diagnostic, DialOut, Failure, FailureReason, JoinFocus, JoinMedia, Outcome, Requester,
};
pub use document::{
    ConferenceDescription, ConferenceState, Disconnection, DisconnectionMethod, ElementState, EndpointElement,
    EndpointStatus, JoiningMethod, MediaFilter, RosterDocument, SessionType, UserElement,
};
pub use output::{EndReason, FocusEvent, Output, Prompt, SubscriptionEnd};
pub use record::{ConferenceRecord, FocusConfig, Pin};

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
    /// Something outside ends the conference: the organizer's account was removed, the server stops, the MCU is lost.
    End {
        /// Why.
        reason: EndReason,
    },
    /// The time of [`Focus::poll_timeout`] has come.
    TimerFired,
}

/// One active conference.
#[derive(Debug)]
pub struct Focus {
    record: ConferenceRecord,
    config: FocusConfig,
    outputs: std::collections::VecDeque<Output>,
}

impl Focus {
    /// A Focus nobody is in yet.
    pub fn new(_now: Timestamp, record: ConferenceRecord, config: FocusConfig) -> Self {
        Self { record, config, outputs: std::collections::VecDeque::new() }
    }

    /// Takes one input and does what follows from it.
    pub fn handle(&mut self, _now: Timestamp, _input: Input) {}

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::TimerFired`] is wanted; `None` when no time matters.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        (self.config.first_join_wait > base::Duration::ZERO).then_some(Timestamp::ZERO)
    }

    /// What the conference was scheduled as.
    pub fn record(&self) -> &ConferenceRecord {
        &self.record
    }
}
