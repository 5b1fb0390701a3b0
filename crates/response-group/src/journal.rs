//! The journal: what was told and what was decided, in order.
//!
//! Inputs are written before anything that follows from them is done (write-ahead); decisions are written beside them
//! so that a reader needs no machine. Replaying the inputs gives the same decisions and outputs, byte for byte.

use base::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Domain;
use crate::config::Config;
use crate::input::Input;
use crate::output::{Decision, Output};

/// The form of the state in a checkpoint. It rises with each change of what the machine holds that an older form does not
/// read as.
const VERSION: u32 = 1;

/// One line of a journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// The journal begins with these groups.
    Opened {
        /// When.
        at: Timestamp,
        /// The groups.
        config: Box<Config>,
    },
    /// The journal begins in the middle: with the machine's state after all that an earlier one holds.
    Checkpoint {
        /// Which form the state has.
        version: u32,
        /// Number of the last input before.
        seq: u64,
        /// When.
        at: Timestamp,
        /// The machine's whole state.
        state: serde_json::Value,
    },
    /// The machine was told something.
    Told {
        /// Number of the input, from 1, without gaps.
        seq: u64,
        /// When.
        at: Timestamp,
        /// What.
        told: Input,
    },
    /// The machine decided something because of input `seq`.
    Decided {
        /// Number of the input.
        seq: u64,
        /// When.
        at: Timestamp,
        /// What.
        decided: Decision,
    },
}

/// A journal that cannot be replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// It begins neither with [`Entry::Opened`] nor with [`Entry::Checkpoint`].
    NotOpened,
    /// Its checkpoint is of another version.
    Version {
        /// Which.
        version: u32,
    },
    /// Its checkpoint cannot be read.
    Checkpoint {
        /// Why.
        why: String,
    },
    /// An input is missing before this one.
    Gap {
        /// Number of the input found.
        seq: u64,
    },
}

pub(crate) fn checkpoint(domain: &Domain) -> Entry {
    let state = serde_json::to_value(domain).expect("every part of the machine has a JSON form");
    Entry::Checkpoint { version: VERSION, seq: domain.seq, at: domain.now, state }
}

impl std::fmt::Display for JournalError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOpened => f.write_str("it does not begin as a journal does"),
            Self::Version { version } => write!(f, "its checkpoint has version {version}, this server reads {VERSION}"),
            Self::Checkpoint { why } => write!(f, "its checkpoint cannot be read: {why}"),
            Self::Gap { seq } => write!(f, "an input is missing before input {seq}: the file is not whole"),
        }
    }
}

/// Feeds a journal's inputs to a new machine and gives back every output, in order.
///
/// What it gives is equal to what the first machine gave, up to the last input of the journal.
pub fn replay(entries: &[Entry]) -> Result<(Domain, Vec<Output>), JournalError> {
    let mut outputs = Vec::new();
    let domain = feed(entries, |domain, _| outputs.extend(std::iter::from_fn(|| domain.poll_output())))?;
    Ok((domain, outputs))
}

/// The machine at the end of a journal, and what the calls that ended in it left: histories and records, in order.
pub(crate) fn state_of(entries: &[Entry]) -> Result<(Domain, Vec<Output>), JournalError> {
    let mut left = Vec::new();
    let leaves = |output: &Output| matches!(output, Output::History(_) | Output::Cdr(_));
    let domain = feed(entries, |domain, _| left.extend(domain.outbox.drain(..).filter(leaves)))?;
    Ok((domain, left))
}

/// Feeds the inputs one by one; `after` sees the machine after each, and must take its outputs.
pub(crate) fn feed(
    entries: &[Entry],
    mut after: impl FnMut(&mut Domain, Option<&Input>),
) -> Result<Domain, JournalError> {
    let mut domain = match entries.first() {
        Some(Entry::Opened { at, config }) => Domain::opened(*at, Config::clone(config)),
        Some(Entry::Checkpoint { version: VERSION, state, .. }) => serde_json::from_value(state.clone())
            .map_err(|error| JournalError::Checkpoint { why: error.to_string() })?,
        Some(Entry::Checkpoint { version, .. }) => return Err(JournalError::Version { version: *version }),
        _ => return Err(JournalError::NotOpened),
    };
    after(&mut domain, None);
    for entry in entries {
        let Entry::Told { seq, at, told } = entry else { continue };
        if *seq != domain.seq + 1 {
            return Err(JournalError::Gap { seq: *seq });
        }
        domain.handle(*at, told.clone());
        after(&mut domain, Some(told));
    }
    Ok(domain)
}
