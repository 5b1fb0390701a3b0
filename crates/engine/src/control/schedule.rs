//! A conference as the Focus Factory keeps it: its record, and what only scheduling clients care for.

use base::Timestamp;
use focus::ConferenceRecord;

/// A scheduled conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What its Focus goes by.
    pub record: ConferenceRecord,
    /// One more with each change; a client that changes another one than this is refused (c3p.md 2.4).
    pub version: u64,
    /// When it is deleted.
    pub expiry: Expiry,
    /// When it was last of use: scheduled, changed or held; in milliseconds since 1970.
    pub used: i64,
    /// When it was changed last, in milliseconds since 1970.
    pub updated: Option<i64>,
    /// A longer description.
    pub description: Option<String>,
    /// What the scheduling client keeps here for itself, as an XML document; its content has at most
    /// [`Schedule::DATA_MAX`] bytes.
    pub organizer_data: Option<String>,
    /// What every participant is given, likewise.
    pub notification_data: Option<String>,
}

/// When a conference is deleted (c3p.md 8.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// Never: a personal conference (c3p.md 2.4, `static`), or one that nobody scheduled.
    Never,
    /// Then, in milliseconds since 1970: its document said so.
    At(i64),
    /// When it was of no use for as long as the server keeps such: its document said nothing.
    Unused,
}

impl Schedule {
    /// Bytes of opaque data of one kind.
    pub const DATA_MAX: usize = 48 * 1024;

    /// Its version as the wire has it, where it is opaque and of 32 bits.
    pub(crate) fn wire_version(&self) -> u32 {
        u32::try_from(self.version & u64::from(u32::MAX)).unwrap_or(u32::MAX)
    }
}

impl From<ConferenceRecord> for Schedule {
    fn from(record: ConferenceRecord) -> Self {
        let (version, expiry, used, updated) = (1, Expiry::Never, 0, None);
        let (description, organizer_data, notification_data) = (None, None, None);
        Self { record, version, expiry, used, updated, description, organizer_data, notification_data }
    }
}

/// A point in time in milliseconds since 1970.
pub(crate) fn unix_ms(unix_start_ms: i64, at: Timestamp) -> i64 {
    unix_start_ms.saturating_add(i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX))
}

/// The other way round; what lies before the start of the process is its start.
pub(crate) fn timestamp(unix_start_ms: i64, unix_ms: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(unix_ms.saturating_sub(unix_start_ms)).unwrap_or(0))
}

/// Milliseconds since 1970 as an `xs:dateTime` in UTC, to the second.
pub(crate) fn format_time(unix_ms: i64) -> String {
    time::OffsetDateTime::from_unix_timestamp(unix_ms / 1_000)
        .ok()
        .and_then(|time| time.format(&time::format_description::well_known::Rfc3339).ok())
        .unwrap_or_default()
}
