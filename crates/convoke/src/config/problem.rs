//! What is wrong: the key, its value, why, and what to do.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong. Entries of a list are counted from 1: `user[2].uri`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    /// As TOML; `None` when the key is missing, has no value of its own or is a secret.
    pub(crate) value: Option<String>,
    pub(crate) why: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, value: Option<String>, why: impl Into<String>) -> Self {
        Self { key: key.into(), value, why: why.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value}: {}", self.key, self.why),
            None => write!(f, "{}: {}", self.key, self.why),
        }
    }
}

/// Why a configuration could not be read at all.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error(
        "--config {path:?}: {why}; give the path of a readable file (`convoke config print-default` prints one to \
         begin with)"
    )]
    File {
        /// As given.
        path: PathBuf,
        /// What the operating system says.
        why: String,
    },
    /// It is not TOML.
    #[error("the configuration is not valid TOML: {0}")]
    Syntax(String),
    /// Keys or values that cannot be understood; at least one.
    #[error("{}", lines(.0))]
    Keys(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(Problem::to_string).collect();
    lines.join("\n")
}

/// What a check found in a configuration that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    problem: Problem,
    is_error: bool,
}

impl Finding {
    /// The server does not start with it.
    pub(crate) fn error(key: impl Into<String>, value: Option<String>, why: impl Into<String>) -> Self {
        Self { problem: Problem::new(key, value, why), is_error: true }
    }

    /// The server starts, but somebody should know.
    pub(crate) fn warning(key: impl Into<String>, value: Option<String>, why: impl Into<String>) -> Self {
        Self { problem: Problem::new(key, value, why), is_error: false }
    }

    /// Whether the server refuses to start.
    pub(crate) fn is_error(&self) -> bool {
        self.is_error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", if self.is_error { "error" } else { "warning" }, self.problem)
    }
}
