//! The SIP edge: sockets, transactions, strict message checks, digest, and the registrar.
//!
//! Everything that comes in from the network passes, in this order, framing, the strict checks of [RFC 3261] and of
//! our own limits, the source's rate limit, digest, and only then a transaction and an event to the control side. What
//! a call means is decided elsewhere: this crate must not know dialogs, SDP, users' rights or conferences. The
//! contract with the control side is the crate `sip-api`.
//!
//! Transactions run on rsipstack's state machines, and only the module `stack` names it; its header lists where
//! rsipstack is wrong on the wire and what is done about it. Sockets, TLS, framing, parsing and printing are ours.
//!
//! What a peer may notice, beyond the RFCs:
//!
//! * a client whose Via names an address it does not have is answered at the port it sent from, with or without rport;
//! * a request with more than one meaning (two CSeq, two Content-Length ...) is answered 400, never guessed at;
//! * a request above 1,300 bytes goes over TCP where the peer takes a connection, even to one that came by UDP (RFC 3261
//!   18.1.1); its Contact still names the way the peer came; where he takes none, what is longer than a datagram fails
//!   ([`sip_api::ClientFailure::TooLong`]), and a response as long becomes 513;
//! * the error answers of the edge itself keep no state, except to requests whose sender has proved his identity;
//! * a next hop that is a name without a port is found by NAPTR and SRV records (RFC 3263), and up to eight places are tried
//!   one after another, by UDP as well: the next one after a timeout, a failed connection or a 503.
//!
//! Start reading at [`start`] and [`Edge`], then `reception`, where everything that comes in is sorted.
//!
//! [RFC 3261]: https://www.rfc-editor.org/rfc/rfc3261

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod counters;
mod credentials;
mod digest;
mod edge;
#[doc(hidden)]
pub mod fuzz;
mod hygiene;
mod message;
mod notice;
mod reception;
mod registrar;
mod registration;
mod secret;
mod stack;
mod throttle;
mod transport;

pub use config::{ListenAddress, Rate, RegistrationTimes, SipConfig, StartError, Timers, TlsConfig, TrustAnchors};
pub use counters::{CounterSnapshot, DropReason, RejectReason};
pub use credentials::{Credentials, Ha1};
pub use edge::{Edge, start};
pub use registration::{Registration, RegistrationKeeper, Registrations};
pub use transport::addresses_of;
