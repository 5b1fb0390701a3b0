//! The media side's contact with the machine: UDP sockets, port leases, and one worker thread per core.
//!
//! Decides: which worker hosts a conference, which ports a leg gets, when a tick is due and what to do when it is late,
//! and that a defect in one conference ends that conference and nothing else.
//! Must not know: who is admitted and why, what RTP looks like inside, SIP.
//! Start reading at [`MediaServer`], then at the modules `worker` (the loop) and `host` (commands).
//!
//! Unsafe code is in the module `sys` alone, around system calls.

#![deny(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod counters;
mod events;
mod host;
mod languages;
mod legs;
mod library;
mod ports;
mod recording;
mod recording_file;
mod routes;
mod server;
mod sound_files;
mod sys;
mod worker;

pub use config::MediaConfig;
pub use counters::MediaCounters;
pub use events::EventSink;
pub use languages::{FoundLanguage, FoundLanguages, LanguageError, read_languages};
pub use server::{MediaServer, StartError};
