//! The log: one line per event, to standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Why the log was not set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter cannot be read.
    #[error("log filter {filter:?} is invalid ({why}): write a level such as info, or target=level,target=level")]
    Filter {
        /// The filter.
        filter: String,
        /// The library's words.
        why: String,
    },
    /// Somebody set up a log in this process before.
    #[error("the log was set up already")]
    Started,
}

/// Sets up the log of the process, once. The filter is a level (`info`) or a list (`info,sip=debug`); lines are text, or
/// JSON objects for a collector.
pub fn start_log(filter: &str, json: bool) -> Result<(), LogError> {
    let filter = read_filter(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(!json && std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    let started = if json { lines.json().flatten_event(true).try_init() } else { lines.try_init() };
    started.map_err(|_| LogError::Started)
}

fn read_filter(filter: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(filter).map_err(|error| LogError::Filter { filter: filter.to_owned(), why: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_lists_are_filters() {
        for good in ["info", "info,sip=debug", "warn,store=trace,engine=off"] {
            assert!(read_filter(good).is_ok(), "{good:?}");
        }
        let error = read_filter("sip=loud").expect_err("no level").to_string();
        assert!(error.contains("sip=loud") && error.contains("write a level"), "{error}");
    }

    #[test]
    fn a_log_is_set_up_once() {
        assert!(start_log("off", true).is_ok());
        assert!(matches!(start_log("off", false), Err(LogError::Started)));
    }
}
