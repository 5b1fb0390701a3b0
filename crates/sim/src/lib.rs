//! The whole control side in virtual time: the very engine of production between a seeded network with scripted
//! phones, a media side and a store that answer late or not at all, and checkers that look after every step.
//!
//! It decides nothing about the server. One seed and one commit are one run: clock, network and chance are its own.
//! It knows the engine by its inputs and effects alone, and must not look into the machines behind it.
//!
//! Start reading at [`run`]; then `world` (the loop), `check` (the rules), `phone` (who calls and is called), `stack`
//! (transactions) and `swarm` (what a seed switches off).
//!
//! ```
//! let report = sim::run(1, sim::Trace::Off);
//! assert!(report.broken.is_none(), "{report}");
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod check;
mod dice;
mod media;
mod phone;
mod queue;
mod roster;
mod scene;
mod stack;
mod store;
mod swarm;
mod wire;
mod world;

use std::collections::BTreeMap;
use std::fmt;

use base::Timestamp;

/// The SIP domain of the server.
pub(crate) const DOMAIN: &str = "example.com";

/// Whether a run writes its story down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trace {
    /// No.
    Off,
    /// Every datagram, command and event, one line each.
    On,
}

/// What kind of day a seed is run as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Day {
    /// Conferences, calls and response groups, and a server that goes on until it is stopped.
    Ordinary,
    /// Response groups alone, and a server that is killed at any boundary between two effects, some of its journal's last
    /// lines lost, and begins anew.
    Crashes,
    /// The same with a defect: after a restart nothing bounds how long an offer holds its agent (routing.md 3.6).
    CrashesWithoutGuard,
}

/// A rule that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// When.
    pub at: Timestamp,
    /// Which, and by whom.
    pub rule: String,
}

/// What became of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// Its seed.
    pub seed: u64,
    /// The first rule that was broken.
    pub broken: Option<Broken>,
    /// Events handled.
    pub steps: u64,
    /// How long the day was.
    pub until: Timestamp,
    /// How often what happened.
    pub counts: BTreeMap<&'static str, u64>,
    /// The story, when it was wanted.
    pub story: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.broken {
            None => write!(f, "seed {}: all rules hold", self.seed)?,
            Some(broken) => write!(f, "seed {}: at {} {}", self.seed, seconds(broken.at), broken.rule)?,
        }
        write!(f, " ({} events in {} s)", self.steps, seconds(self.until))
    }
}

/// Runs one ordinary day of a seed: people call, are called and command for a few minutes, then everybody goes home.
pub fn run(seed: u64, trace: Trace) -> Report {
    run_day(seed, Day::Ordinary, trace)
}

/// Runs one day of a seed.
pub fn run_day(seed: u64, day: Day, trace: Trace) -> Report {
    world::World::new(seed, day, trace).run()
}

/// A time in seconds, for people.
pub(crate) fn seconds(at: Timestamp) -> String {
    let micros = at.as_micros();
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}
