//! Numbers and location profiles, dial plan, trunk choice: a verdict for each target.
//!
//! It decides where a call to a dialled string, a `sip:` or a `tel:` target goes, and why. Default deny: what no rule
//! allows is refused.
//!
//! Must not know: who asks beyond his name, SIP messages, sockets, where users and conferences are kept.
//! Start reading at [`Router::route`], then [`LocationProfile`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod number;
mod trunk;
mod verdict;

pub use number::{InvalidNumber, Normalized, Number};
pub use trunk::{AttemptOutcome, Failover, InvalidTarget, Trunk, TrunkChoice, TrunkTarget, TrunkTransport};
pub use verdict::{RefusedTarget, Routing, Verdict};

/// Characters of a dialled string that are looked at.
pub const DIALLED_MAX: usize = 64;

/// Trunks tried for one call (routing.md 5.3).
pub const TRUNK_ATTEMPTS_MAX: usize = 3;

use base::{ConferenceNumber, UserUri};

/// One rule of a location profile (c3p.md 6.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Regular expression over the cleaned dialled string; it must match the whole of it.
    pub pattern: String,
    /// What it becomes; `$1` ... stand for the groups.
    pub translation: String,
}

/// Why a profile is refused at load.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("location profile {profile:?}: {why}")]
pub struct ProfileError {
    /// The profile.
    pub profile: String,
    /// What is wrong and what to write instead.
    pub why: String,
}

/// An ordered list of rules; the first that matches wins.
#[derive(Clone, Debug)]
pub struct LocationProfile {}

impl LocationProfile {
    /// Compiles a profile.
    pub fn compile(_name: &str, _rules: &[Rule]) -> Result<Self, ProfileError> {
        Ok(Self {})
    }

    /// The numbers that are emergency calls for users of this profile, as dialled.
    #[must_use]
    pub fn with_emergency(self, _numbers: &[String]) -> Self {
        self
    }

    /// Cleans and normalises a dialled string.
    pub fn normalize(&self, _dialled: &str) -> Normalized {
        Normalized { number: Number::Invalid(InvalidNumber::NoRule), rule: None, extension: None }
    }
}

/// Who and what exists here; asked for each target, because conferences come and go.
pub trait Directory {
    /// Whether this address of record (`sip:` form) is a user of this server.
    fn is_user(&self, user: &UserUri) -> bool;
    /// The user whose telephone number or extension this is.
    fn user_of_number(&self, number: &str) -> Option<UserUri>;
    /// Whether this is the number of a conference of this server.
    fn is_conference(&self, number: &ConferenceNumber) -> bool;
}

/// The dial plan.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// Domains of this server, lower case.
    pub domains: Vec<String>,
    /// Location profiles by name; a user without one has `default`.
    pub profiles: std::collections::BTreeMap<String, LocationProfile>,
    /// Trunks in order of preference.
    pub trunks: Vec<Trunk>,
    /// Calls to other servers are allowed.
    pub allow_external_sip: bool,
}

/// A target and who wants it.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The authenticated user who asks; `None` for anonymous.
    pub requester: Option<&'a UserUri>,
    /// The name of his location profile; `None` for `default`.
    pub profile: Option<&'a str>,
    /// A dialled string, a `sip:`, `sips:` or `tel:` URI.
    pub target: &'a str,
}

impl Router {
    /// Where the target goes, and why.
    pub fn route(&self, _target: Target<'_>, _directory: &dyn Directory) -> Routing {
        Routing { verdict: Verdict::Refused(RefusedTarget::Unreadable), explanation: Vec::new() }
    }
}

/// Whether the next trunk may be tried after an attempt (routing.md 5.3). `early_media`: a provisional response with
/// media had come.
pub fn failover(_outcome: AttemptOutcome, _early_media: bool) -> Failover {
    Failover::Stop
}
