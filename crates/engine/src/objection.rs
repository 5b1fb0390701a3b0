//! Why a command from outside is not carried out.

use std::fmt;

/// What kind of thing stands against a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectionKind {
    /// The response groups' journal cannot be written, so that the change would not last.
    JournalFailed,
    /// There are no response groups.
    NoGroups,
    /// The configuration of the groups is wrong.
    InvalidConfiguration,
    /// A key is missing that another one wants.
    MissingKey,
    /// A number is outside its range.
    OutOfRange,
    /// Somebody is no agent, or not of the group that is named.
    NotAnAgent,
    /// There is no such call.
    NoSuchCall,
    /// Somebody takes no part in a call as its supervisor.
    NotASupervisor,
    /// Somebody cannot take part in a call as its supervisor.
    InvalidSupervisor,
    /// Nobody can be sent to the target.
    InvalidTarget,
    /// There is no such conference.
    NoSuchConference,
    /// The conference has no such device with audio.
    NoSuchDevice,
}

/// One thing that is to blame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// Where it stands in the command, as a path through its JSON form: `config.groups[0].welcome`, counted from 0.
    pub field: Option<String>,
    /// What is wrong, which value, what to do: a sentence for who gave the command.
    pub why: String,
}

/// Why a command is not carried out: nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// What kind of thing it is.
    pub kind: ObjectionKind,
    /// What is to blame, at least one thing.
    pub blames: Vec<Blame>,
}

impl Objection {
    /// One thing is wrong, with the key that is to blame.
    pub(crate) fn to(kind: ObjectionKind, field: &str, why: impl Into<String>) -> Self {
        Self { kind, blames: vec![Blame { field: Some(field.to_owned()), why: why.into() }] }
    }

    /// One thing is wrong, and no key is to blame.
    pub(crate) fn new(kind: ObjectionKind, why: impl Into<String>) -> Self {
        Self { kind, blames: vec![Blame { field: None, why: why.into() }] }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, blame) in self.blames.iter().enumerate() {
            let between = if place > 0 { "; " } else { "" };
            write!(f, "{between}{}", blame.why)?;
        }
        Ok(())
    }
}
