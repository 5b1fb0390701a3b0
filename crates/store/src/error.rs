//! What can go wrong, where, and what to do about it.

use std::path::PathBuf;

/// Why the store did not do it. Each names the database and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names a database this build cannot use.
    #[error(
        "database {0:?} is not supported yet, only SQLite files are: write sqlite:PATH or leave [database] url out"
    )]
    Unsupported(String),
    /// The file or its directory may not be written.
    #[error("no permission for the database {path:?}: give the server's user write access to it and its directory")]
    NoPermission {
        /// The database.
        path: PathBuf,
    },
    /// There is no directory for the file, or something else is in its place.
    #[error("the database {path:?} cannot be opened, {why}: create its directory or correct data_dir")]
    CannotOpen {
        /// The database.
        path: PathBuf,
        /// What is in the way.
        why: &'static str,
    },
    /// There is no room left.
    #[error("no space left for the database {path:?}: free space on its disk; nothing was written")]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// Somebody else holds the database.
    #[error("the database {path:?} is locked: stop the other process that uses it; nothing was written")]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// The file is not a database, or it is damaged.
    #[error("{path:?} is not an intact database: restore it from a backup, or move it away to start with a new one")]
    Corrupt {
        /// The database.
        path: PathBuf,
    },
    /// The file was written by a newer version of this server.
    #[error("the database {path:?} has schema version {found}, this server knows {known}: run the newer server")]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version this build knows.
        known: i64,
    },
    /// The file was written by an older version of this server, and was to be read alone.
    #[error(
        "the database {path:?} has schema version {found}, this server has {known}: start it once, which brings it up to date"
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest schema version this build knows.
        known: i64,
    },
    /// The number belongs, or once belonged, to another conference.
    #[error("conference number {number} is taken: choose another one")]
    NumberTaken {
        /// The number.
        number: String,
    },
    /// A newer version of the conference is stored already.
    #[error("conference {id} is stored in version {stored}: read it again before saving")]
    Stale {
        /// The conference.
        id: String,
        /// The version stored.
        stored: u64,
    },
    /// A row breaks a bound of this crate.
    #[error("not stored: {0}")]
    Invalid(&'static str),
    /// Anything else.
    #[error("the database {path:?} failed: {source}")]
    Database {
        /// The database.
        path: PathBuf,
        /// The library's words.
        source: sqlx::Error,
    },
}
