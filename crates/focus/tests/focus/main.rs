//! The rules of the Focus as scenarios, and its invariants as properties over random inputs.
//!
//! Start reading at `world`, which is the conference all of them play in.

mod admission;
mod control;
mod dial_out;
mod lifecycle;
mod lobby;
mod properties;
mod roster;
mod world;
