//! Thousands of light callers in one process, and the judge of what they hear.
//!
//! It decides when a plan's callers come, speak and go, what counts as heard, and whether the figures are good enough; it
//! doubts itself first: a generator that was late, starved or lost packets on its own sockets gives no verdict.
//! It must not know the server's crates: it sees what a phone sees, and what the kernel and `/metrics` say of a process.
//!
//! Start reading at [`plan`] (what is to happen), then [`run`] (how it happens), [`media`] (the thread with the timer
//! wheel), [`judge`] (who heard whom, how late) and [`results`].

#![deny(unsafe_code)]

mod audio_ports;
pub mod capacity;
pub mod goals;
pub mod judge;
pub mod machine;
pub mod media;
pub mod peers;
pub mod plan;
pub mod process;
pub mod relay;
pub mod results;
pub mod run;
pub mod signalling;
pub mod statistics;
pub mod sys;
pub mod target;
pub mod usage;

use std::fmt;

/// Why something could not be done, for people.
#[derive(Clone, Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self(error.to_string())
    }
}
