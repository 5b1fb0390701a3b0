//! The vocabulary every other crate speaks: ids, time, limits, how things end, and redacted personal data.
//!
//! Decides nothing. Must not know any protocol, machine or adapter.
//! Start reading at the identifiers, such as [`ConferenceId`], then [`Timestamp`] and [`Termination`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod conversation;
mod id;
mod limits;
mod pii;
mod shown;
mod termination;
mod time;

pub use conversation::{ConversationEntry, ConversationKind, GroupErrand};
pub use id::{
    CallId, CommandId, ConferenceId, ConferenceNumber, EndpointId, InvalidId, LegId, OfferId, SubscriptionId, UserUri,
};
pub use limits::Limits;
pub use pii::Pii;
pub use shown::Shown;
pub use termination::{Termination, TerminationReason, TerminationResult};
pub use time::{Duration, Timestamp};

/// What a user may do in a conference (c3p.md 2.8). Ordered by power: `Attendee < Presenter < Organizer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Hears and speaks; controls only himself.
    Attendee,
    /// Leads: may dial out, mute, eject, promote, lock and end the conference.
    Presenter,
    /// The presenter the conference belongs to; regains the role on every rejoin.
    Organizer,
}

/// Who may enter a conference (requirement C23; c3p.md 2.4, `admission-policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessType {
    /// Any authenticated user of the server.
    Open,
    /// Authenticated users on the conference's list only.
    Closed,
    /// Anybody who gives the PIN (or anybody at all when the conference has none).
    Anonymous,
}

impl std::fmt::Display for AccessType {
    /// As the configuration writes it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Anonymous => "anonymous",
        })
    }
}
