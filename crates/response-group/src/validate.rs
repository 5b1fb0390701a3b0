//! What is wrong with a configuration, with the key and what to write instead.

use crate::config::Config;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `response_group[0].queue.overflow_action`.
    pub key: String,
    /// What stands there.
    pub value: String,
    /// What to write instead.
    pub remedy: String,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} = {}: {}", self.key, self.value, self.remedy)
    }
}

impl Config {
    /// Every problem of the configuration; a domain takes only one without any.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        Ok(())
    }
}
