//! Scripted callers, talking robots and the tone oracle, over real SIP and RTP.
//!
//! What a test or the demo needs from the other end of the line: a phone that registers, calls, answers, plays, records
//! and hangs up; a C3P client; and the means to say who was heard in a recording. It decides nothing about a conference.
//!
//! Must not know the server's crates: it is written from the standards and the documented wire alone, in plain text, so
//! that an error in the server's own parser or writer cannot hide itself. It reads only what it needs and checks little.
//!
//! Start reading at [`ScriptedPhone`], then [`ConferenceClient`] and [`tone`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod agent;
pub mod c3p;
mod client;
mod dialog;
pub mod digest;
mod error;
pub mod g711;
mod message;
mod phone;
mod robot;
mod rtp;
mod sdp;
pub mod tone;
mod transport;
pub mod wav;

pub use agent::{Agent, AgentOptions, IncomingRequest};
pub use client::{ConferenceClient, RosterUser};
pub use dialog::Dialog;
pub use digest::Credentials;
pub use error::Error;
pub use message::{SipMessage, uri_of};
pub use phone::{AnswerMode, Call, OutgoingCall, PhoneOptions, ScriptedPhone};
pub use robot::{Clip, Robot};
pub use rtp::{AudioPort, SAMPLE_RATE};
pub use transport::Transport;
