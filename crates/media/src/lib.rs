//! One leg's media, without a socket: RTP and RTCP, jitter buffer, loss decisions, telephone-events, SRTP.
//!
//! Decides: which packets are believed and from whom (reliability.md A8 to A11), when a packet is played, at which pace
//! because of the peer's clock, when it is given up as lost, when the peer is silent, and where our own packets go.
//! Must not know: sockets, clocks, threads, codecs' libraries, mixing, conferences. Time and random numbers arrive as
//! arguments.
//! Start reading at [`Leg`], then [`Pulled`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod delay;
mod drift;
mod handed;
mod jitter;
mod latch;
mod leg;
mod mos;
mod opus_packet;
mod reports;
mod rtcp;
mod rtp;
mod slots;
mod srtp;
mod stream;
mod telephone_event;
mod unit;

pub use handed::{AudioLevel, Frame, LegConfig, LegEvent, Port, Pulled};
pub use leg::Leg;
