//! What the system tests are made of: somebody else's phones, and the server as a process of its own.
//!
//! A pass means that the server talks to the world and not to itself: baresip, linphonec and SIPp are other people's
//! SIP and RTP. Each phone plays a tone of its own and records what it hears; [`testkit::tone`] tells who was heard.
//! Everything stays on 127.0.0.1. Must not know the server's crates: the binary and its documented configuration alone.
//!
//! Start reading at [`Server`], then [`Baresip`]; `tests/conference.rs` shows both at work.

#![forbid(unsafe_code)]

mod agent;
mod baresip;
mod device;
mod line_options;
mod linphone;
pub mod meeting;
mod ports;
mod process;
mod server;
mod sipp;
mod turn;
mod wait;

pub use agent::SippAgent;
pub use baresip::Baresip;
pub use device::{Behaviour, Device};
pub use line_options::{Codec, LineOptions};
pub use linphone::Linphone;
pub use server::{Certificate, PASSWORD, Server, ServerOptions};
pub use sipp::{Sipp, SippReport};
pub use turn::{Turn, alone};
pub use wait::{Line, eventually};
