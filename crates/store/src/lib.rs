//! What must last: conference records, call detail records, call histories, users' settings and registrations, in SQLite.
//!
//! What is acknowledged survives `kill -9` and a power cut (ARCHITECTURE.md, invariant 10): a save returns after the transaction
//! reached the disk. One writer, many readers. The rows are this crate's own; it decides nothing about conferences.
//!
//! Must not know: machines, SIP, the clock.
//! Start reading at [`Store`], then [`ConferenceRecord`] and [`Cdr`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod bounds;
mod cdrs;
mod columns;
mod conferences;
mod conversations;
mod error;
mod location;
mod records;
mod registrations;
mod schema;
mod user_profiles;

pub use bounds::CDR_TEXT_MAX;
pub use error::StoreError;
pub use records::{
    Cdr, CdrDirection, ConferenceRecord, EModel, Invited, Quality, RegistrationRow, UnixMillis, UserProfileRow,
};

use std::time::Duration;

use base::{ConferenceId, ConferenceNumber, ConversationEntry, UserUri};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::location::Location;

/// How long to wait for another process that holds the database, before it is an error.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections that read. In write-ahead mode they neither wait for the writer nor hold it up.
const READERS: u32 = 4;

/// Call detail records of one answer, at most.
pub const CDRS_MAX: u32 = 1_000;

/// Lines of one user's call history that are kept; the oldest go first.
pub const CONVERSATIONS_PER_USER: u32 = 1_000;

/// The database. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    location: Location,
    /// One connection: saves of this process queue here and never meet in SQLite.
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens (and makes, with mode 0600) the database at a path or `sqlite:PATH`, and brings its tables up to date. Its
    /// directory must exist.
    pub async fn open(path_or_url: &str) -> Result<Self, StoreError> {
        Self::open_within(path_or_url, BUSY_TIMEOUT).await
    }

    async fn open_within(path_or_url: &str, busy_timeout: Duration) -> Result<Self, StoreError> {
        let location = Location::parse(path_or_url)?;
        location.prepare()?;
        let options = SqliteConnectOptions::new()
            .filename(location.path())
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(busy_timeout);
        // A connection to a file does not age; neither is closed before the store is.
        let pool = || SqlitePoolOptions::new().idle_timeout(None).max_lifetime(None).test_before_acquire(false);
        let writer = pool().max_connections(1).after_release(|connection, _| Box::pin(is_usable(connection)));
        let writer = writer.connect_with(options.clone()).await;
        let writer = writer.map_err(|error| location.explain(error))?;
        let readers = pool().max_connections(READERS).connect_lazy_with(options.read_only(true));
        let store = Self { location, writer, readers };
        let mut transaction = store.begin().await?;
        schema::migrate(&mut transaction, &store.location).await?;
        store.commit(transaction).await?;
        Ok(store)
    }

    /// Opens a database that is there, of this build's version, to read from it alone, also while a server writes to it. A
    /// save fails.
    pub async fn open_read_only(path_or_url: &str) -> Result<Self, StoreError> {
        let location = Location::parse(path_or_url)?;
        let options = SqliteConnectOptions::new().filename(location.path()).read_only(true).busy_timeout(BUSY_TIMEOUT);
        let pool = || SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options.clone());
        let store = Self { writer: pool(), readers: pool(), location };
        schema::check(&store.readers, &store.location).await?;
        Ok(store)
    }

    /// Inserts or replaces a conference. On return it is on the disk. `created` is taken at the first save and stays.
    ///
    /// Fails with [`StoreError::Stale`] when a newer version is stored, with [`StoreError::NumberTaken`] when another
    /// conference has or had the number, with [`StoreError::Invalid`] when a text is too long; nothing is written then.
    pub async fn save_conference(&self, record: &ConferenceRecord) -> Result<(), StoreError> {
        bounds::check_conference(record)?;
        let mut transaction = self.begin().await?;
        conferences::save(&mut transaction, &self.location, record).await?;
        self.commit(transaction).await
    }

    /// A conference was of use at that time; an earlier time changes nothing, nor does one for a conference that is not there.
    pub async fn note_use(&self, id: &ConferenceId, used: UnixMillis) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let noted = conferences::note_use(&mut transaction, id, used).await;
        noted.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await
    }

    /// Deletes a conference; its number stays taken. Whether there was one.
    pub async fn delete_conference(&self, id: &ConferenceId) -> Result<bool, StoreError> {
        let mut transaction = self.begin().await?;
        let found = conferences::delete(&mut transaction, id).await.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await?;
        Ok(found)
    }

    /// One conference.
    pub async fn conference(&self, id: &ConferenceId) -> Result<Option<ConferenceRecord>, StoreError> {
        conferences::one(&self.readers, &self.location, id).await
    }

    /// The conferences of one organiser, oldest first.
    pub async fn conferences_of(&self, organizer: &UserUri) -> Result<Vec<ConferenceRecord>, StoreError> {
        conferences::of(&self.readers, &self.location, organizer).await
    }

    /// Every conference, oldest first.
    pub async fn load_all(&self) -> Result<Vec<ConferenceRecord>, StoreError> {
        conferences::all(&self.readers, &self.location).await
    }

    /// Every number that was ever given, so that a new one is drawn beside them.
    pub async fn numbers(&self) -> Result<Vec<ConferenceNumber>, StoreError> {
        conferences::numbers(&self.readers, &self.location).await
    }

    /// Appends call detail records in one transaction; a segment id that is there already is left as it is. How many
    /// were new. When one is invalid, none is written.
    pub async fn append_cdrs(&self, cdrs: &[Cdr]) -> Result<usize, StoreError> {
        self.append_records(cdrs, &[]).await
    }

    /// Appends lines of users' call histories in one transaction. When one is invalid, none is written.
    pub async fn append_conversations(&self, entries: &[ConversationEntry]) -> Result<(), StoreError> {
        self.append_records(&[], entries).await.map(drop)
    }

    /// The same of lines that may be there already: a line with the same user, call, kind and beginning is left as it is.
    pub async fn append_missing_conversations(&self, entries: &[ConversationEntry]) -> Result<(), StoreError> {
        entries.iter().try_for_each(bounds::check_conversation)?;
        let mut transaction = self.begin().await?;
        let appended = conversations::append_missing(&mut transaction, entries).await;
        appended.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await
    }

    /// Appends what calls leave in one transaction, which is one wait for the disk: call detail records as by
    /// [`Store::append_cdrs`], and lines of call histories. How many records were new. When one is invalid, none of all
    /// is written.
    pub async fn append_records(&self, cdrs: &[Cdr], entries: &[ConversationEntry]) -> Result<usize, StoreError> {
        cdrs.iter().try_for_each(bounds::check_cdr)?;
        entries.iter().try_for_each(bounds::check_conversation)?;
        let mut transaction = self.begin().await?;
        let failed = |error| self.location.explain(error);
        let new = cdrs::append(&mut transaction, cdrs).await.map_err(failed)?;
        conversations::append(&mut transaction, entries).await.map_err(failed)?;
        self.commit(transaction).await?;
        Ok(new)
    }

    /// The latest lines of a user's call history that ended before a time, latest first, at most `limit`. A limit
    /// outside 1 to [`CONVERSATIONS_PER_USER`] is moved to the nearer end.
    pub async fn conversations_of(
        &self,
        user: &UserUri,
        ended: UnixMillis,
        limit: u32,
    ) -> Result<Vec<ConversationEntry>, StoreError> {
        let limit = limit.clamp(1, CONVERSATIONS_PER_USER);
        conversations::of(&self.readers, &self.location, user, ended, limit).await
    }

    /// The lines of one call in the histories of all who had to do with it, as they were written, by the Call-ID of the
    /// caller's leg; two hundred at most. Lines are looked through for it: not for what happens often.
    pub async fn conversations_of_call(&self, sip_call_id: &str) -> Result<Vec<ConversationEntry>, StoreError> {
        conversations::of_call(&self.readers, &self.location, sip_call_id).await
    }

    /// How many missed calls each user has not seen; users without any are left out.
    pub async fn unseen_missed_calls(&self) -> Result<Vec<(UserUri, u32)>, StoreError> {
        conversations::unseen(&self.readers, &self.location).await
    }

    /// A user has seen his missed calls.
    pub async fn mark_missed_calls_seen(&self, user: &UserUri) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let marked = conversations::mark_seen(&mut transaction, user).await;
        marked.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await
    }

    /// Inserts or replaces the settings a user changed at run time. On return they are on the disk.
    pub async fn save_user_profile(&self, row: &UserProfileRow) -> Result<(), StoreError> {
        bounds::check_user_profile(row)?;
        let mut transaction = self.begin().await?;
        let saved = user_profiles::save(&mut transaction, row).await;
        saved.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await
    }

    /// Deletes the settings a user changed at run time, if he did.
    pub async fn delete_user_profile(&self, user: &UserUri) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        let deleted = user_profiles::delete(&mut transaction, user).await;
        deleted.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await
    }

    /// The settings of everybody who changed his at run time.
    pub async fn user_profiles(&self) -> Result<Vec<UserProfileRow>, StoreError> {
        user_profiles::all(&self.readers, &self.location).await
    }

    /// Replaces the registered devices of users in one transaction; a user without any is forgotten. A user with a device
    /// whose texts are too long keeps what he had.
    pub async fn save_registrations(&self, users: &[(UserUri, Vec<RegistrationRow>)]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        for (user, devices) in users.iter().filter(|(_, devices)| devices.iter().all(bounds::is_registration_short)) {
            let replaced = registrations::replace(&mut transaction, user, devices).await;
            replaced.map_err(|error| self.location.explain(error))?;
        }
        self.commit(transaction).await
    }

    /// Every device that is registered at this time, with its user; those whose time is over are deleted.
    pub async fn registrations(&self, now: UnixMillis) -> Result<Vec<(UserUri, RegistrationRow)>, StoreError> {
        let mut transaction = self.begin().await?;
        let expired = registrations::expire(&mut transaction, now).await;
        expired.map_err(|error| self.location.explain(error))?;
        self.commit(transaction).await?;
        registrations::all(&self.readers, &self.location).await
    }

    /// The latest call detail records that ended before a time, latest first, at most `limit`. A limit outside 1 to
    /// 1,000 is moved to the nearer end.
    pub async fn cdrs_before(&self, ended: UnixMillis, limit: u32) -> Result<Vec<Cdr>, StoreError> {
        cdrs::before(&self.readers, &self.location, ended, limit.clamp(1, CDRS_MAX)).await
    }

    /// Waits for running work and closes the files; every later call fails.
    pub async fn close(&self) {
        // The writer last: whoever closes last folds the journal into the database, and readers may not write.
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Begins a transaction that has the right to write from its first statement, so that it cannot fail half-way
    /// because another process wrote in between. Dropped without a commit, it leaves nothing.
    async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.location.explain(error))
    }

    async fn commit(&self, transaction: Transaction<'static, Sqlite>) -> Result<(), StoreError> {
        transaction.commit().await.map_err(|error| self.location.explain(error))
    }
}

/// Whether a connection that comes back may be used again. On some errors, a full disk among them, SQLite rolls back by
/// itself; the library's own rollback then fails and it believes for ever that a transaction is open. Such a connection
/// is replaced, or the first full disk would be the end of saving.
async fn is_usable(connection: &mut SqliteConnection) -> sqlx::Result<bool> {
    // A rollback may still be queued; the answer to the ping comes after it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

#[cfg(test)]
mod tests;
