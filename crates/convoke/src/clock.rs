//! The one clock of the process.

use std::time::Instant;

use base::Timestamp;

/// Turns the machine's monotonic clock into [`Timestamp`]s.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// Starts at zero now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// The instant all timestamps count from.
    pub(crate) fn epoch(&self) -> Instant {
        self.start
    }

    /// The present.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The standard library's instant for a timestamp of this clock.
    pub(crate) fn instant(&self, timestamp: Timestamp) -> Instant {
        self.start + std::time::Duration::from_micros(timestamp.as_micros())
    }
}
