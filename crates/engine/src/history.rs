//! Lines of users' call histories.

use base::{ConversationEntry, Timestamp};

use crate::Engine;
use crate::event::EngineEvent;

impl Engine {
    /// Writes one line of a user's call history; a missed call is told to his devices as well.
    pub(crate) fn write_history(&mut self, entry: ConversationEntry) {
        self.event(EngineEvent::Conversation(Box::new(entry)));
    }

    /// A time of this process as milliseconds since 1970.
    pub(crate) fn unix_ms(&self, at: Timestamp) -> i64 {
        self.config.unix_start_ms.saturating_add(i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX))
    }
}
