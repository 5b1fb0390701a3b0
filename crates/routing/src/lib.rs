//! Numbers and location profiles, dial plan, trunk choice: a verdict for each target; and users' forwarding settings: a
//! plan for each call.
//!
//! It decides where a call to a dialled string, a `sip:` or a `tel:` target goes, and why. Default deny: what no rule
//! allows is refused. And it decides who rings for a user, when, and where the call goes that nobody takes.
//!
//! Must not know: who asks beyond his name, SIP messages, sockets, where users and conferences are kept.
//! Start reading at [`Router::route`], then [`LocationProfile`]; and at [`plan`], then [`UserProfile`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clean;
mod number;
mod profile;
mod ring_plan;
mod router;
mod trunk;
mod user_profile;
mod verdict;

pub use number::{InvalidNumber, Normalized, Number};
pub use profile::{LocationProfile, ProfileError, Rule};
pub use ring_plan::{
    CallKind, Diversion, DiversionReason, RingPlan, RingTarget, RingWho, Ringing, Sensitivity, Unavailable, plan,
    plan_sensitive,
};
pub use router::{DEFAULT_PROFILE, Directory, Router, Target};
pub use trunk::{AttemptOutcome, Failover, InvalidTarget, Trunk, TrunkChoice, TrunkTarget, TrunkTransport, failover};
pub use user_profile::{ProfileProblem, UserProfile, World};
pub use verdict::{RefusedTarget, Routing, Verdict};

/// Characters of a dialled string that are looked at.
pub const DIALLED_MAX: usize = 64;

/// Trunks tried for one call (routing.md 5.3).
pub const TRUNK_ATTEMPTS_MAX: usize = 3;
