//! The SIP edge: sockets, transactions, strict message checks, digest, and the registrar.
//!
//! Everything that comes in from the network passes, in this order, framing, the strict checks of [RFC 3261] and of
//! our own limits, the source's rate limit, digest, and only then a transaction and an event to the control side. What
//! a call means is decided elsewhere: this crate must not know dialogs, SDP, users' rights or conferences. The
//! contract with the control side is the crate `sip-api`.
//!
//! Start reading at [`start`] and [`Edge`].
//!
//! [RFC 3261]: https://www.rfc-editor.org/rfc/rfc3261

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod counters;
mod credentials;
mod digest;
mod edge;
mod message;
mod registrar;
mod secret;
mod throttle;

pub use config::{ListenAddress, Rate, RegistrationTimes, SipConfig, StartError, Timers, TlsConfig, TrustAnchors};
pub use counters::{CounterSnapshot, DropReason, RejectReason};
pub use credentials::{Credentials, Ha1};
pub use edge::{Edge, start};
