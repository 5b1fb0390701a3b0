//! The roster as it is published: what a conference-info document says, without its markup (c3p.md 3.1 to 3.3).

use std::sync::Arc;

use base::{
    AccessType, ConferenceId, ConferenceNumber, EndpointId, LegId, Role, Termination, TerminationReason,
    TerminationResult, Timestamp, UserUri,
};

/// One published state or change of a conference. Its version belongs to the subscription, so that one document serves
/// every subscriber.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterDocument {
    /// Whether this is everything, a change, or the end.
    pub state: ElementState,
    /// What rarely changes during a meeting; in full documents, and in partial ones when it did.
    pub description: Option<Arc<ConferenceDescription>>,
    /// The conference as a whole, always complete.
    pub conference: ConferenceState,
    /// The users: all of them, or those who changed.
    pub users: Vec<Arc<UserElement>>,
}

/// How an element relates to what the subscriber knows (RFC 4575 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ElementState {
    /// It replaces what was known.
    Full,
    /// It changes what was known; children that are not named stay.
    Partial,
    /// It is gone.
    Deleted,
}

/// `conference-description`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceDescription {
    /// The id of the conference.
    pub id: ConferenceId,
    /// The number people dial.
    pub number: Option<ConferenceNumber>,
    /// What it is about.
    pub subject: Option<String>,
    /// Whom it belongs to.
    pub organizer: UserUri,
    /// How the organizer is shown.
    pub organizer_name: Option<String>,
    /// Who may enter.
    pub access: AccessType,
}

/// `conference-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConferenceState {
    /// Users with at least one endpoint that is connected or on hold.
    pub user_count: usize,
    /// Somebody is in, or being called.
    pub active: bool,
    /// Newcomers are kept out.
    pub locked: bool,
    /// Attendees who join are muted, because somebody muted all.
    pub mutes_attendees: bool,
}

/// `user`. In a partial document a user is `Full` (he replaces what was known), `Partial` (only his endpoints named
/// `Deleted` go, the others replace what was known) or `Deleted`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserElement {
    /// Who he is.
    pub entity: UserUri,
    /// How this relates to what was known.
    pub state: ElementState,
    /// How he is shown.
    pub display_name: Option<String>,
    /// What he may do.
    pub role: Role,
    /// His devices.
    pub endpoints: Vec<EndpointElement>,
}

/// `endpoint`. One that ended is `Deleted` and says how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointElement {
    /// Which device.
    pub entity: EndpointId,
    /// How this relates to what was known.
    pub state: ElementState,
    /// The leg it is.
    pub leg: LegId,
    /// What it takes part in.
    pub session: SessionType,
    /// Whom a dial-out calls, or who a caller nobody vouches for says he is.
    pub uri: Option<UserUri>,
    /// What it is doing.
    pub status: EndpointStatus,
    /// How it came in.
    pub joining_method: JoiningMethod,
    /// When it came in; `None` while it is on its way.
    pub joined: Option<Timestamp>,
    /// Who asked for it, when it was somebody else's doing.
    pub joined_by: Option<UserUri>,
    /// The server knows who is at this endpoint (`authMethod`).
    pub authenticated: bool,
    /// What passes from the participant into the mix.
    pub ingress: MediaFilter,
    /// What passes from the mix to the participant.
    pub egress: MediaFilter,
    /// How it ended.
    pub disconnection: Option<Disconnection>,
}

/// `msci:session-type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SessionType {
    /// A dialog with the Focus.
    Focus,
    /// Audio.
    AudioVideo,
}

/// `status` of an endpoint (c3p.md 3.2, 3.4).
///
/// `disconnecting` is missing: a leg the Focus hangs up leaves the mix with that very output, and a roster that still
/// showed it would say less than the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndpointStatus {
    /// Not in yet, and not called yet: the dial-out waits for the leader's own leg (C10).
    Pending,
    /// In the lobby: it waits until a presenter lets it in.
    Waiting,
    /// Being called.
    DialingOut,
    /// It rings.
    Alerting,
    /// Admitted; the call is being answered.
    DialingIn,
    /// In the conference.
    Connected,
    /// In the conference, with its audio on hold.
    OnHold,
    /// Gone.
    Disconnected,
}

impl EndpointStatus {
    /// Whether the endpoint is in the conference.
    pub const fn is_in(self) -> bool {
        matches!(self, Self::Connected | Self::OnHold)
    }
}

/// `joining-method`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum JoiningMethod {
    /// It called the conference.
    DialedIn,
    /// The conference called it.
    DialedOut,
}

/// `disconnection-method` and `disconnection-info`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disconnection {
    /// How, in the roster's words.
    pub method: DisconnectionMethod,
    /// When.
    pub at: Timestamp,
    /// How, in the server's words.
    pub termination: Termination,
    /// Who did it, when it was somebody else.
    pub by: Option<UserUri>,
}

/// `disconnection-method` (c3p.md 3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisconnectionMethod {
    /// The person left.
    Departed,
    /// He was ejected, or the conference ended.
    Booted,
    /// The call failed.
    Failed,
    /// He was busy.
    Busy,
}

impl From<Termination> for DisconnectionMethod {
    fn from(termination: Termination) -> Self {
        match (termination.reason, termination.result) {
            (TerminationReason::Busy, _) => Self::Busy,
            (TerminationReason::Booted | TerminationReason::ConferenceEnded, _) => Self::Booted,
            (TerminationReason::Replaced | TerminationReason::AnsweredElsewhere, _) => Self::Departed,
            (TerminationReason::Departed, TerminationResult::Completed | TerminationResult::Cancelled) => {
                Self::Departed
            }
            _ => Self::Failed,
        }
    }
}

/// Whether audio passes: `block` and `unblock` (c3p.md 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MediaFilter {
    /// Audio passes.
    Unblock,
    /// Audio is stopped.
    Block,
}
