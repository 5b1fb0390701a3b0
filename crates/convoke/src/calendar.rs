//! The wall clock, for what people and other machines read. Durations never come from it.

use std::time::{SystemTime, UNIX_EPOCH};

use base::Timestamp;

/// When the process started, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calendar {
    start: i64,
}

impl Calendar {
    /// Reads the wall clock once.
    pub(crate) fn start_now() -> Self {
        Self { start: unix_millis() }
    }

    /// When the process started.
    pub(crate) fn start(self) -> i64 {
        self.start
    }

    /// The present, by the wall clock.
    pub(crate) fn now(self) -> i64 {
        unix_millis()
    }

    /// The wall-clock time of a timestamp, as if the wall clock had not been set since the start.
    pub(crate) fn millis(self, timestamp: Timestamp) -> i64 {
        self.start + i64::try_from(timestamp.as_micros() / 1_000).unwrap_or(i64::MAX / 2)
    }
}

fn unix_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
