//! What must last: conference records and call detail records, in SQLite.
//!
//! What is acknowledged survives `kill -9` (design.md invariant 10): a save returns after the transaction reached the
//! disk. One writer, many readers. The rows are this crate's own; it decides nothing about conferences.
//!
//! Must not know: machines, SIP, the clock.
//! Start reading at [`Store`], then [`ConferenceRecord`] and [`Cdr`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod error;
mod records;

pub use error::StoreError;
pub use records::{Cdr, CdrDirection, ConferenceRecord, Invited, Quality, UnixMillis};

use base::{ConferenceId, UserUri};

/// The database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {}

impl Store {
    /// Opens (and makes) the database at a path or `sqlite:PATH`, and brings its tables up to date.
    pub async fn open(_path_or_url: &str) -> Result<Self, StoreError> {
        Ok(Self {})
    }

    /// Inserts or replaces a conference. On return it is on the disk.
    pub async fn save_conference(&self, _record: &ConferenceRecord) -> Result<(), StoreError> {
        Ok(())
    }

    /// Deletes a conference; its number stays taken. Whether there was one.
    pub async fn delete_conference(&self, _id: &ConferenceId) -> Result<bool, StoreError> {
        Ok(false)
    }

    /// One conference.
    pub async fn conference(&self, _id: &ConferenceId) -> Result<Option<ConferenceRecord>, StoreError> {
        Ok(None)
    }

    /// The conferences of one organiser, oldest first.
    pub async fn conferences_of(&self, _organizer: &UserUri) -> Result<Vec<ConferenceRecord>, StoreError> {
        Ok(Vec::new())
    }

    /// Every conference, oldest first.
    pub async fn load_all(&self) -> Result<Vec<ConferenceRecord>, StoreError> {
        Ok(Vec::new())
    }

    /// Every number that was ever given, so that a new one is drawn beside them.
    pub async fn numbers(&self) -> Result<Vec<base::ConferenceNumber>, StoreError> {
        Ok(Vec::new())
    }

    /// Appends call detail records in one transaction; a segment id that is there already is left as it is. How many
    /// were new.
    pub async fn append_cdrs(&self, _cdrs: &[Cdr]) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// The latest call detail records that ended before a time, latest first, at most `limit` (1 to 1,000).
    pub async fn cdrs_before(&self, _ended: UnixMillis, _limit: u32) -> Result<Vec<Cdr>, StoreError> {
        Ok(Vec::new())
    }

    /// Waits for running work and closes the files.
    pub async fn close(&self) {}
}
