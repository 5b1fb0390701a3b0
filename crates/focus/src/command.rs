//! What is asked of a Focus, who asks, and what is answered.

use std::sync::Arc;

use base::{AccessType, CommandId, EndpointId, LegId, Role, Termination, UserUri};

use crate::document::{MediaFilter, RosterDocument};
use crate::record::{Lobby, Pin};

/// Who asks, as the edge has proven it. User URIs are compared as they are, so the edge hands in addresses of record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requester {
    /// A user whose credentials the edge has checked.
    Authenticated(UserUri),
    /// Somebody nobody vouches for, such as a phone; the URI is what he says he is. In the roster he becomes a guest of
    /// his own, so that nobody gets another's rights by claiming to be him.
    Unauthenticated(UserUri),
    /// Whoever sits at a leg of this conference: digits typed on it, or a request inside its dialog.
    Participant(LegId),
    /// The server's own operator surface (REST, administration); it has the organizer's rights.
    Operator,
}

/// A C3P INVITE with `addUser`: a device joins the Focus itself (c3p.md 2.5).
///
/// There is no wanted role: what is granted follows from the conference's list alone, because the clients in the field
/// ask for `attendee` whoever they are.
#[derive(Clone, Debug)]
pub struct JoinFocus {
    /// The command to answer.
    pub command: CommandId,
    /// The Focus dialog.
    pub leg: LegId,
    /// Who asks.
    pub requester: Requester,
    /// Who joins; the requester himself unless the operator vouches for another.
    pub user: UserUri,
    /// The joining device.
    pub endpoint: EndpointId,
    /// How the user is to be shown.
    pub display_name: Option<String>,
    /// What a user without an account enters; he is not asked for it here.
    pub pin: Option<Pin>,
    /// The client understands that it may have to wait ([`Outcome::Waiting`]); another is refused where it would wait.
    pub lobby_capable: bool,
}

/// A media INVITE: a phone that dials the conference, or a client that calls the MCU URI (c3p.md 4.5).
#[derive(Clone, Debug)]
pub struct JoinMedia {
    /// The command to answer.
    pub command: CommandId,
    /// The audio leg.
    pub leg: LegId,
    /// Who calls.
    pub requester: Requester,
    /// The device, if it gave itself a name; else the Focus makes one of the leg's number.
    pub endpoint: Option<EndpointId>,
    /// How the user is to be shown.
    pub display_name: Option<String>,
    /// The PIN, if it came with the call.
    pub pin: Option<Pin>,
}

/// `addUser` with dial-out (c3p.md 2.6).
#[derive(Clone, Debug)]
pub struct DialOut {
    /// The number the new leg shall have. The leg exists from [`crate::Output::Dial`] on.
    pub leg: LegId,
    /// Under which user the called person stands in the roster.
    pub user: UserUri,
    /// The endpoint; a second request for the same one does not ring twice.
    pub endpoint: EndpointId,
    /// Whom to call.
    pub target: UserUri,
    /// The target is an account of this server, so that whoever answers is an authenticated user.
    pub target_is_account: bool,
    /// How the user is to be shown.
    pub display_name: Option<String>,
    /// The role he shall have.
    pub role: Option<Role>,
}

/// What a participant or the operator may ask of a conference (c3p.md 2.8).
#[derive(Clone, Debug)]
pub enum ControlRequest {
    /// Call somebody.
    DialOut(DialOut),
    /// Eject a user, or leave with all devices.
    DeleteUser {
        /// The user.
        user: UserUri,
    },
    /// Eject one device of a user.
    DeleteEndpoint {
        /// The user.
        user: UserUri,
        /// The device.
        endpoint: EndpointId,
    },
    /// Promote or demote.
    ModifyUserRoles {
        /// The user.
        user: UserUri,
        /// His new role.
        role: Role,
    },
    /// Lock or unlock; later clients change with it who may enter.
    ModifyConferenceLock {
        /// Whether newcomers are kept out.
        locked: bool,
        /// What else is to hold from now on.
        admission: AdmissionChange,
    },
    /// Let people who wait in the lobby in, or send them away.
    SetLobbyAccess {
        /// Whom; nobody named means everybody who waits.
        users: Vec<UserUri>,
        /// In or away.
        access: LobbyAccess,
    },
    /// Mute or unmute one endpoint; `None` leaves a filter as it is.
    ModifyEndpointMedia {
        /// The user.
        user: UserUri,
        /// The endpoint.
        endpoint: EndpointId,
        /// From the participant into the mix.
        ingress: Option<MediaFilter>,
        /// From the mix to the participant.
        egress: Option<MediaFilter>,
    },
    /// Mute or unmute everybody, and attendees who join later. Unmuting leaves alone who muted himself.
    MuteAll {
        /// Whether they are muted.
        muted: bool,
        /// Presenters and the organizer are left alone.
        except_presenters: bool,
    },
    /// Set the filters of many at once. Who asks is never muted by it.
    ModifyUsersMediaFilters(UsersMediaFilters),
    /// End the meeting.
    DeleteConference,
    /// Read the whole roster.
    GetConference,
}

/// What a [`ControlRequest::ModifyConferenceLock`] changes besides the lock, until the conference is deactivated. `None`
/// leaves it as it is. Who is in stays in, and who waits goes on waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdmissionChange {
    /// Who may enter.
    pub access: Option<AccessType>,
    /// Who waits.
    pub lobby: Option<Lobby>,
    /// Whether authenticated users become presenters when they join; who is in keeps his role.
    pub promote_authenticated: Option<bool>,
}

/// What becomes of people who wait (c3p.md 2.8, `setLobbyAccess`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LobbyAccess {
    /// They come in.
    Granted,
    /// They are sent away.
    Denied,
}

/// Filters for a set of users (c3p.md 2.8, `modifyUsersMediaFilters`): mute all, mute all but some, mute some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsersMediaFilters {
    /// These users; nobody named means everybody.
    pub users: Vec<UserUri>,
    /// Of them those with this role alone.
    pub role: Option<Role>,
    /// But not these.
    pub except: Vec<UserUri>,
    /// From the participants into the mix; `None` leaves it as it is.
    pub ingress: Option<MediaFilter>,
    /// From the mix to the participants.
    pub egress: Option<MediaFilter>,
}

/// The answer to a command: [`Outcome::Pending`], [`Outcome::Waiting`] and [`Outcome::NeedPin`] any number of times, then exactly one other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Under way; the client's watchdog starts again.
    Pending,
    /// The caller must enter the PIN: answer the call, ask, and hand in [`crate::Input::EnterPin`]. The leg belongs to
    /// the Focus now; it must not be in the mix before [`Outcome::Joined`].
    NeedPin {
        /// Entries that are left.
        tries_left: u8,
    },
    /// The joiner is in the lobby until a presenter decides: answer the call or the dialog. The leg belongs to the Focus
    /// now; it must not be in the mix before [`Outcome::Joined`].
    Waiting {
        /// The user as he stands in the roster.
        user: UserUri,
        /// The endpoint as it stands in the roster.
        endpoint: EndpointId,
    },
    /// A join was admitted, or a dial-out is connected.
    Joined {
        /// The user as he stands in the roster; another than he said when that one is taken (see [`Requester`]).
        user: UserUri,
        /// The endpoint as it stands in the roster.
        endpoint: EndpointId,
        /// The role granted.
        role: Role,
    },
    /// The request was carried out.
    Done,
    /// The whole roster, for `GetConference`.
    Conference(Arc<RosterDocument>),
    /// Refused or failed. A join that is refused before [`Outcome::NeedPin`] or [`Outcome::Waiting`] never becomes the
    /// Focus's leg.
    Failure(Failure),
}

impl Outcome {
    /// Whether no other outcome follows.
    pub const fn is_final(&self) -> bool {
        !matches!(self, Self::Pending | Self::NeedPin { .. } | Self::Waiting { .. })
    }
}

/// Why a command failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason, in the machine's words.
    pub reason: FailureReason,
    /// The number of the rule that refused (c3p.md 2.10).
    pub diagnostic: Option<Diagnostic>,
    /// How the leg ended that the command was about.
    pub termination: Option<Termination>,
}

impl Failure {
    /// A refusal with a diagnostic number.
    pub(crate) const fn diagnosed(reason: FailureReason, diagnostic: Diagnostic) -> Self {
        Self { reason, diagnostic: Some(diagnostic), termination: None }
    }
}

impl From<FailureReason> for Failure {
    fn from(reason: FailureReason) -> Self {
        Self { reason, diagnostic: None, termination: None }
    }
}

/// Reasons of failure: those of c3p.md 2.9 a Focus can have, and two that have no name there: the lock, and one user's share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureReason {
    /// The requester may not do this.
    Forbidden,
    /// Somebody without an account, where only accounts are admitted.
    AnonymousUsersNotAllowed,
    /// The PIN was wrong or missing.
    InvalidPasscode,
    /// The conference is locked.
    ConferenceLocked,
    /// None of those to be let in waits any more.
    AlreadyAdmitted,
    /// Nobody can have this role.
    InvalidRole,
    /// The user is not who asks, or nobody is at that address.
    InvalidUserEntity,
    /// No such user in the roster.
    UserDoesNotExist,
    /// No such endpoint of this user.
    EndpointDoesNotExist,
    /// The endpoint has no audio.
    MediaDoesNotExist,
    /// The conference is full.
    MaximumMeetingSizeExceeded,
    /// The user is in the conference with as many devices as one may be.
    TooManyEndpoints,
    /// No common codec with the called person.
    MediaNotSupported,
    /// Nobody answered, or nothing was entered, in time.
    Timeout,
    /// Something else ended first what the request was about.
    RequestCancelled,
    /// The server is at a limit.
    ServerBusy,
    /// A defect or a lost part of this server.
    ServerInternalError,
    /// Everything else.
    OtherFailure,
}

/// An ErrorId of the `ms-diagnostics` header (c3p.md 2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Diagnostic(pub u16);

impl Diagnostic {
    /// Authorisation failed.
    pub const AUTHORISATION_FAILED: Self = Self(3014);
    /// Attendees may not dial out to a third party.
    pub const ATTENDEE_DIAL_OUT: Self = Self(3015);
    /// The role value is invalid.
    pub const ROLE_INVALID: Self = Self(3016);
    /// An attendee may not dial out to somebody as presenter who is not listed as one.
    pub const ATTENDEE_DIAL_OUT_TO_PRESENTER: Self = Self(3017);
    /// This destination is forbidden to anonymous users.
    pub const ANONYMOUS_DESTINATION: Self = Self(3019);
}
