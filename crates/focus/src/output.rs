//! What a Focus wants done and what it tells.

use std::collections::VecDeque;
use std::sync::Arc;

use base::{AccessType, CommandId, EndpointId, LegId, Role, SubscriptionId, Termination, UserUri};

use crate::command::{FailureReason, Outcome};
use crate::document::{JoiningMethod, MediaFilter, RosterDocument, SessionType};
use crate::record::Lobby;

/// What a Focus wants of its surroundings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Answer a command.
    Outcome {
        /// The command.
        command: CommandId,
        /// The answer.
        outcome: Outcome,
    },
    /// Call somebody. From here on the leg exists.
    Dial {
        /// The new leg.
        leg: LegId,
        /// Under which user he stands in the roster.
        user: UserUri,
        /// Whom to call.
        target: UserUri,
        /// How he is shown.
        display_name: Option<String>,
        /// Who asked, for caller id and the rights of the telephone side; `None` is the operator.
        requested_by: Option<UserUri>,
    },
    /// End a leg, whatever its state: Focus dialog, audio, or still ringing. Its audio leaves the mix at once.
    HangUp {
        /// The leg.
        leg: LegId,
        /// Why.
        termination: Termination,
    },
    /// Set the media filters of a connected leg.
    SetFilters {
        /// The leg.
        leg: LegId,
        /// From the participant into the mix.
        ingress: MediaFilter,
        /// From the mix to the participant.
        egress: MediaFilter,
    },
    /// Play something to a leg. (Entry and exit tones are the mixer's own.)
    Prompt {
        /// The leg.
        leg: LegId,
        /// What to play.
        prompt: Prompt,
    },
    /// Send a document to a subscriber: first a full one, then changes.
    Notify {
        /// The subscription.
        subscription: SubscriptionId,
        /// 1 for the first document of the subscription, then one more for each.
        version: u32,
        /// What to send; shared by all subscribers.
        document: Arc<RosterDocument>,
    },
    /// A subscription was refused or is over.
    SubscriptionEnded {
        /// The subscription.
        subscription: SubscriptionId,
        /// Why.
        reason: SubscriptionEnd,
    },
    /// Something happened; for call detail records, telemetry and the event stream.
    Event(FocusEvent),
    /// The conference is over. Nothing follows: the Focus answers nothing any more and is to be dropped.
    ConferenceEnded {
        /// Why.
        reason: EndReason,
    },
}

/// What a participant is told by sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prompt {
    /// The PIN is wanted.
    EnterPin,
    /// What was entered was wrong.
    WrongPin,
    /// He is muted now.
    Muted,
    /// He is heard again.
    Unmuted,
    /// The conference ends soon.
    Ending,
}

/// Why a subscription is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SubscriptionEnd {
    /// Only participants, the organizer and the operator may watch.
    Forbidden,
    /// The conference has as many subscriptions as it may have.
    LimitReached,
    /// The subscriber is not in the conference any more.
    Left,
    /// The conference is over.
    ConferenceEnded,
}

/// Why a conference ended (c3p.md 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// A presenter ended it.
    Deleted,
    /// Everybody left, or nobody came.
    Empty,
    /// No authenticated user was in for the grace time.
    NoAuthenticatedUser,
    /// Nobody joined for the longest time a meeting may last.
    MaximumLength,
    /// The server stops.
    ServerStopping,
    /// The MCU that mixed it is gone.
    McuLost,
}

/// What happened in a conference. `by` is who did it; `None` is the operator or the conference itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FocusEvent {
    /// The first endpoint came into the roster.
    Activated,
    /// An endpoint is in the conference.
    EndpointJoined {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// Its leg.
        leg: LegId,
        /// What it takes part in.
        session: SessionType,
        /// How it came in.
        method: JoiningMethod,
        /// The user's role.
        role: Role,
    },
    /// An endpoint is out of the roster.
    EndpointLeft {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// Its leg.
        leg: LegId,
        /// Whether it had been in the conference.
        was_in: bool,
        /// How it ended.
        termination: Termination,
        /// Who did it.
        by: Option<UserUri>,
    },
    /// Somebody waits in the lobby.
    EnteredLobby {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// Its leg.
        leg: LegId,
    },
    /// Somebody was not admitted.
    JoinRefused {
        /// Who he said he is.
        user: UserUri,
        /// Why.
        reason: FailureReason,
    },
    /// A dial-out was authorised.
    DialOutRequested {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// Its leg.
        leg: LegId,
        /// Whom to call.
        target: UserUri,
        /// Who asked.
        by: Option<UserUri>,
    },
    /// A user's role is another.
    RoleChanged {
        /// The user.
        user: UserUri,
        /// His role now.
        role: Role,
        /// Who did it.
        by: Option<UserUri>,
    },
    /// The conference was locked or unlocked.
    LockChanged {
        /// Whether it is locked now.
        locked: bool,
        /// Who did it.
        by: Option<UserUri>,
    },
    /// Other people may enter, or wait, from now on.
    AdmissionChanged {
        /// Who may enter.
        access: AccessType,
        /// Who waits.
        lobby: Lobby,
        /// Whether authenticated users who join become presenters.
        promote_authenticated: bool,
        /// Who did it.
        by: Option<UserUri>,
    },
    /// An endpoint was muted, unmuted, deafened or undeafened.
    FiltersChanged {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// Its leg.
        leg: LegId,
        /// From the participant into the mix.
        ingress: MediaFilter,
        /// From the mix to the participant.
        egress: MediaFilter,
        /// Who did it.
        by: Option<UserUri>,
    },
    /// Other people speak now, loudest first. It is no change of the roster.
    SpeakersChanged {
        /// Who speaks.
        speakers: Vec<(UserUri, EndpointId)>,
    },
}

/// The outputs of one input, gathered until all of it is known and then put into their order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    gathered: Vec<Output>,
    /// Outcomes that wait for the next document.
    held: Vec<Output>,
    ready: VecDeque<Output>,
}

impl Outbox {
    /// Adds an output of the input being handled.
    pub(crate) fn push(&mut self, output: Output) {
        self.gathered.push(output);
    }

    /// Keeps an outcome back until [`Outbox::release`].
    pub(crate) fn hold(&mut self, outcome: Output) {
        self.held.push(outcome);
    }

    /// Adds what was kept back.
    pub(crate) fn release(&mut self) {
        self.gathered.append(&mut self.held);
    }

    /// Whether the input being handled sends somebody away.
    pub(crate) fn hangs_up(&self) -> bool {
        self.gathered.iter().any(|output| matches!(output, Output::HangUp { .. }))
    }

    /// Adds an event.
    pub(crate) fn event(&mut self, event: FocusEvent) {
        self.push(Output::Event(event));
    }

    /// Hands out what the input led to.
    pub(crate) fn commit(&mut self) {
        self.gathered.sort_by_key(rank);
        self.ready.extend(self.gathered.drain(..));
    }

    /// The next output.
    pub(crate) fn pop(&mut self) -> Option<Output> {
        self.ready.pop_front()
    }
}

/// The order of the outputs of one input; those of the same rank stay as they came (c3p.md 8.4).
fn rank(output: &Output) -> u8 {
    match output {
        Output::Dial { .. } | Output::SetFilters { .. } | Output::Prompt { .. } | Output::Event(_) => 0,
        Output::Notify { .. } => 1,
        Output::Outcome { .. } => 2,
        Output::SubscriptionEnded { .. } => 3,
        Output::HangUp { .. } => 4,
        Output::ConferenceEnded { .. } => 5,
    }
}
