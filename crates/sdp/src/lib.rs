//! Offer/answer (RFC 3264) for one audio leg, as pure functions over a library's SDP grammar.
//!
//! It decides which line, codec, keys and direction two sides agree on, and writes our half. The grammar of lines is the
//! library's; unknown attributes are passed over, and so is ICE: a peer that offers it falls back to the plain address.
//!
//! Must not know: sockets, SIP, who is in the conference.
//! Start reading at [`answer`] and [`offer`], then [`LocalMedia`] and [`Session`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod answer;
mod body;
mod crypto;
mod format;
mod local;
mod offer;
mod peer;
mod read;
mod refusal;
mod session;
mod target;
mod write;

pub use answer::{Offer, answer};
pub use body::select_sdp;
pub use local::{LocalKey, LocalMedia, SrtpPolicy};
pub use offer::{PendingOffer, accept_answer, offer};
pub use refusal::{Refusal, RefusalKind};
pub use session::Session;
pub use target::is_forbidden_target;
