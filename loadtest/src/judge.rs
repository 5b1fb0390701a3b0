//! What the callers heard: who was in it, how late it was, how good it must have seemed.
//!
//! Judging happens after the run, from recorded packets, so that it costs the media threads nothing.

pub mod delay;
pub mod hearing;
pub mod opinion;
pub mod sound;
