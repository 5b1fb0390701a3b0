//! Enumerated values.

use base::{AccessType, Role};

macro_rules! tokens {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal),+ $(,)? })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The wire spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// Reads the wire spelling; case is significant.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

tokens! {
    /// The commands this crate reads and writes (c3p.md 2.4 to 2.8). A response names the command it answers.
    Verb {
        /// What the Factory can do.
        GetConferencingCapabilities = "getConferencingCapabilities", // [V]
        /// Create a conference.
        AddConference = "addConference", // [V]
        /// Change a conference's schedule, or the state of one of its MCUs.
        ModifyConference = "modifyConference", // [V]
        /// Delete a conference's record, or end an active one.
        DeleteConference = "deleteConference", // [V]
        /// List the organiser's conferences.
        GetConferences = "getConferences", // [V]
        /// Read one conference.
        GetConference = "getConference", // [V]
        /// Read the Factory's certificate.
        GetEncryptionKey = "getEncryptionKey", // [V]
        /// Join, or bring somebody in.
        AddUser = "addUser", // [V]
        /// Eject, or leave.
        DeleteUser = "deleteUser", // [V]
        /// Promote or demote.
        ModifyUserRoles = "modifyUserRoles", // [V-impl]
        /// Lock or unlock.
        ModifyConferenceLock = "modifyConferenceLock", // [V]
        /// Mute or unmute.
        ModifyEndpointMedia = "modifyEndpointMedia", // [V-impl]
        /// A trusted party vouches for a user.
        EndorseUser = "endorseUser", // [V]
        /// Let people who wait in the lobby in, or send them away.
        SetLobbyAccess = "setLobbyAccess", // [V-impl]
        /// Mute or unmute many.
        ModifyUsersMediaFilters = "modifyUsersMediaFilters", // [M]
        /// Change an endpoint.
        ModifyEndpoint = "modifyEndpoint", // [M]
        /// Eject one endpoint of a user.
        DeleteEndpoint = "deleteEndpoint", // [M]
        /// Add a stream to an endpoint.
        AddEndpointMedia = "addEndpointMedia", // [M]
        /// End a stream of an endpoint.
        DeleteEndpointMedia = "deleteEndpointMedia", // [M]
    }

    /// How complete a document or one of its elements is (RFC 4575 5.1). Absent means full.
    State {
        /// All of it: replaces what the receiver knew.
        Full = "full", // [V]
        /// What changed: to be merged.
        Partial = "partial", // [V]
        /// It is gone.
        Deleted = "deleted", // [V-impl]
    }

    /// Where an endpoint stands (RFC 4575 5.6.4; c3p.md 3.2).
    EndpointStatus {
        /// Not yet in.
        Pending = "pending", // [M]
        /// The focus is calling it.
        DialingOut = "dialing-out", // [M]
        /// It is calling the focus.
        DialingIn = "dialing-in", // [M]
        /// It rings.
        Alerting = "alerting", // [M]
        /// On hold, or waiting in the lobby.
        OnHold = "on-hold", // [V-impl]
        /// In.
        Connected = "connected", // [V-impl]
        /// Muted by the focus; RFC 4575 alone, our rosters show the media filter instead (c3p.md 3.4).
        MutedViaFocus = "muted-via-focus", // [M]
        /// On its way out.
        Disconnecting = "disconnecting", // [M]
        /// Out.
        Disconnected = "disconnected", // [V-impl]
    }

    /// How an endpoint came in (c3p.md 3.2).
    JoiningMethod {
        /// It called.
        DialedIn = "dialed-in", // [V-impl]
        /// It was called.
        DialedOut = "dialed-out", // [V-impl]
        /// It hosts the focus.
        FocusOwner = "focus-owner", // [V-impl]
    }

    /// How an endpoint went out (c3p.md 3.2).
    DisconnectionMethod {
        /// It left.
        Departed = "departed", // [V-impl]
        /// It was ejected.
        Booted = "booted", // [V-impl]
        /// It failed.
        Failed = "failed", // [V-impl]
        /// It was busy.
        Busy = "busy", // [V-impl]
    }

    /// Which way media flows, as the endpoint sees it (RFC 4575 5.8.5).
    MediaStatus {
        /// Both ways.
        SendRecv = "sendrecv", // [V-impl]
        /// The endpoint only sends.
        SendOnly = "sendonly", // [M]
        /// The endpoint only receives: it is muted.
        RecvOnly = "recvonly", // [V-impl]
        /// Neither.
        Inactive = "inactive", // [M]
    }

    /// Whether media passes in one direction (c3p.md 2.8). Mute is an ingress filter of `Block`.
    MediaFilter {
        /// It is stopped.
        Block = "block", // [V-impl]
        /// It passes.
        Unblock = "unblock", // [V-impl]
    }

    /// What becomes of people in the lobby (c3p.md 2.8).
    LobbyAccess {
        /// They come in.
        Granted = "granted", // [V-impl]
        /// They are sent away.
        Denied = "denied", // [V-impl]
    }

    /// The `code` of a response (c3p.md 2.1).
    Code {
        /// Not yet decided; another response follows.
        Pending = "pending", // [M]
        /// Done.
        Success = "success", // [V]
        /// Refused or failed.
        Failure = "failure", // [V]
    }

    /// A kind of conferencing server; the token stands in MCU URIs, purposes, session types and entity views.
    McuType {
        /// Instant messages.
        Chat = "chat", // [V]
        /// Audio and video.
        AudioVideo = "audio-video", // [V]
        /// Application sharing.
        ApplicationSharing = "applicationsharing", // [V-impl]
        /// Web conferencing.
        DataConf = "data-conf", // [M-low]
        /// An audio conferencing provider's bridge.
        PhoneConf = "phone-conf", // [M]
    }
}

/// Another token for [`McuType::DataConf`], read and never written [M-low].
pub(crate) const DATA_CONF_ALIAS: &str = "meeting";

/// The session type of an endpoint that joined the focus itself [V-impl].
pub(crate) const SESSION_TYPE_FOCUS: &str = "focus";

/// The type of audio media (RFC 4575 5.8.2) [V].
pub(crate) const MEDIA_TYPE_AUDIO: &str = "audio";

/// The role of an initial filter that speaks for everybody without a rule of his own [V-impl].
pub(crate) const FILTER_ROLE_DEFAULT: &str = "default";

/// `result` of an `endorseUser` that succeeded [V].
pub(crate) const ENDORSE_SUCCESS: &str = "success";

/// `result` of an `endorseUser` that failed [V].
pub(crate) const ENDORSE_FAILURE: &str = "otherFailure";

/// Keys of `connection-info`, compared without regard to case \[V\].
pub mod connection_key {
    /// A SIP URI to send the media INVITE to.
    pub const MCU_SERVER_URI: &str = "mcu-server-uri";
    /// The conference's URI at that MCU.
    pub const MCU_CONFERENCE_URI: &str = "mcu-conference-uri";
}

/// The wire spelling of a role [V].
pub(crate) const fn role(role: Role) -> &'static str {
    match role {
        Role::Attendee => "attendee",
        Role::Presenter => "presenter",
        Role::Organizer => "organizer",
    }
}

/// Reads a role.
pub(crate) fn parse_role(text: &str) -> Option<Role> {
    [Role::Attendee, Role::Presenter, Role::Organizer].into_iter().find(|known| role(*known) == text)
}

/// The wire spelling of an admission policy [V].
pub(crate) const fn admission_policy(access: AccessType) -> &'static str {
    match access {
        AccessType::Open => "openAuthenticated",
        AccessType::Closed => "closedAuthenticated",
        AccessType::Anonymous => "anonymous",
    }
}

/// Reads an admission policy.
pub(crate) fn parse_admission_policy(text: &str) -> Option<AccessType> {
    [AccessType::Open, AccessType::Closed, AccessType::Anonymous]
        .into_iter()
        .find(|known| admission_policy(*known) == text)
}

/// Reads an `xs:boolean`.
pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// The kind of session an endpoint holds (c3p.md 3.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SessionType {
    /// It joined the focus itself.
    Focus,
    /// It is at a conferencing server.
    Mcu(McuType),
    /// Something else.
    Other(String),
}

impl SessionType {
    /// The wire spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Focus => SESSION_TYPE_FOCUS,
            Self::Mcu(mcu) => mcu.as_str(),
            Self::Other(text) => text,
        }
    }

    /// Reads any text.
    pub fn parse(text: &str) -> Self {
        match McuType::from_token(text) {
            _ if text == SESSION_TYPE_FOCUS => Self::Focus,
            Some(mcu) => Self::Mcu(mcu),
            None => Self::Other(text.to_owned()),
        }
    }
}

impl McuType {
    /// Reads a token, the older name of the web conferencing server included.
    pub fn from_token(text: &str) -> Option<Self> {
        if text == DATA_CONF_ALIAS { Some(Self::DataConf) } else { Self::parse(text) }
    }
}

/// The type of one stream (RFC 4575 5.8.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MediaType {
    /// Audio.
    Audio,
    /// Anything else: video, chat ...
    Other(String),
}

impl MediaType {
    /// The wire spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => MEDIA_TYPE_AUDIO,
            Self::Other(text) => text,
        }
    }

    /// Reads any text.
    pub fn parse(text: &str) -> Self {
        if text == MEDIA_TYPE_AUDIO { Self::Audio } else { Self::Other(text.to_owned()) }
    }
}
