//! What is wrong: the key, its value, why, and what to do.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong. Entries of a list are counted from 1: `user[2].uri`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) key: String,
    /// As TOML; `None` when the key is missing, has no value of its own or is a secret.
    pub(crate) value: Option<String>,
    /// The environment variable it stands in, if it is not the file.
    pub(crate) source: Option<String>,
    pub(crate) why: String,
}

impl Problem {
    pub(crate) fn new(key: impl Into<String>, value: Option<String>, why: impl Into<String>) -> Self {
        Self { key: key.into(), value, source: None, why: why.into() }
    }

    /// Finds out whether an environment variable says it; `variables` are keys with the names of theirs.
    pub(crate) fn note_source(&mut self, variables: &[(String, String)]) {
        // Without the numbers of entries: user[2].uri stands in CONVOKE__USER.
        let parts = self.key.split('.').map(|part| part.split('[').next().unwrap_or_default());
        let key = parts.collect::<Vec<_>>().join(".");
        let says = |path: &str| key.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.source = variables.iter().find(|(path, _)| says(path)).map(|(_, name)| name.clone());
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(source) = &self.source {
            write!(f, " (environment variable {source})")?;
        }
        write!(f, ": {}", self.why)
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
    #[error("{}: it is not valid TOML: {why}; correct it there", .path.as_ref().map_or("the configuration".to_owned(), |path| format!("--config {path:?}")))]
    Syntax {
        /// The file as given; `None` for a text that came otherwise.
        path: Option<PathBuf>,
        /// What was stumbled over, and where.
        why: String,
    },
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

    /// See [`Problem::note_source`].
    pub(crate) fn note_source(&mut self, variables: &[(String, String)]) {
        self.problem.note_source(variables);
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
