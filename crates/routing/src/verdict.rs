//! What becomes of a target.

use base::{ConferenceNumber, Pii, UserUri};

use crate::number::InvalidNumber;
use crate::trunk::TrunkChoice;

/// Where a call to a target goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A user of this server; his devices are rung.
    LocalUser(UserUri),
    /// A conference of this server.
    Conference(ConferenceNumber),
    /// The telephone network: try the trunks in order, as [`crate::failover`] allows.
    Trunk {
        /// The global number, `+` first.
        number: Pii,
        /// The extension behind the number, if one was dialled along; the trunk is told (`;ext=`, RFC 3966 5.1.2).
        extension: Option<String>,
        /// At least one, at most [`crate::TRUNK_ATTEMPTS_MAX`].
        trunks: Vec<TrunkChoice>,
    },
    /// Somebody at another server, because external SIP is allowed.
    External(UserUri),
    /// Nowhere.
    Refused(RefusedTarget),
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RefusedTarget {
    /// It is no URI and no number.
    #[error("the target cannot be read")]
    Unreadable,
    /// Our domain has nobody of this name.
    #[error("there is nobody of this name here")]
    UnknownUser,
    /// The number is not one.
    #[error("the number is not valid: {0}")]
    InvalidNumber(InvalidNumber),
    /// The requester's location profile does not exist.
    #[error("the requester's location profile does not exist")]
    UnknownProfile,
    /// Somebody who has not proved who he is may not use a trunk or call other servers.
    #[error("only authenticated users may call outside")]
    NotAuthenticated,
    /// Emergency calls are not made by a conference server: the caller's own phone knows where he is.
    #[error("emergency numbers are not dialled by this server")]
    Emergency,
    /// No trunk is configured.
    #[error("there is no trunk")]
    NoTrunk,
    /// Trunks exist, but the prefix lists of all of them exclude the number.
    #[error("no trunk allows this number")]
    PrefixDenied,
    /// It is at another server, and external SIP is off.
    #[error("calls to other servers are not allowed")]
    ExternalDenied,
    /// It is a service of this server (a focus, a factory), not a person.
    #[error("the target is a service of this server, not a person")]
    Service,
}

impl RefusedTarget {
    /// The SIP status that says so (RFC 3261 21.4).
    pub const fn status(self) -> u16 {
        match self {
            // 484 lets a phone wait for more digits; what was dialled here is complete and is nobody's.
            Self::InvalidNumber(InvalidNumber::NoRule) => 404,
            Self::Unreadable | Self::InvalidNumber(_) => 484,
            Self::UnknownUser | Self::UnknownProfile | Self::NoTrunk => 404,
            Self::NotAuthenticated | Self::Emergency | Self::PrefixDenied | Self::ExternalDenied | Self::Service => 403,
        }
    }
}

/// A verdict and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// The verdict.
    pub verdict: Verdict,
    /// One sentence for each step, for the operator; telephone numbers are shortened.
    pub explanation: Vec<String>,
}
