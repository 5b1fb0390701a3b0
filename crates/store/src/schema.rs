//! The tables, and how an older database becomes the newest one.

use sqlx::{AssertSqlSafe, SqliteConnection, SqlitePool};

use crate::{StoreError, location::Location};

/// One script per schema version, oldest first. A published script is never changed; a change of the tables is a
/// further one. The version of a database is the number of scripts it has seen, kept in SQLite's `user_version`.
const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_conferences_and_cdrs.sql"),
    include_str!("../migrations/0002_call_history_and_user_profiles.sql"),
    include_str!("../migrations/0003_claimed_identity.sql"),
    include_str!("../migrations/0004_lobby.sql"),
    include_str!("../migrations/0005_group_segments.sql"),
    include_str!("../migrations/0006_registrations.sql"),
    include_str!("../migrations/0007_last_use.sql"),
    include_str!("../migrations/0008_group_errands.sql"),
    include_str!("../migrations/0009_call_id_in_histories.sql"),
];

/// The newest schema version this build knows.
const KNOWN: i64 = MIGRATIONS.len() as i64;

/// Finds out whether the tables are those of this build.
pub(crate) async fn check(readers: &SqlitePool, location: &Location) -> Result<(), StoreError> {
    let found: Result<i64, _> = sqlx::query_scalar("PRAGMA user_version").fetch_one(readers).await;
    match found.map_err(|error| location.explain(error))? {
        KNOWN => Ok(()),
        found if found > KNOWN => Err(StoreError::Newer { path: location.path().to_owned(), found, known: KNOWN }),
        found => Err(StoreError::Older { path: location.path().to_owned(), found, known: KNOWN }),
    }
}

/// Brings the tables up to date in one transaction; a newer database is refused untouched. `writer` must be inside a
/// transaction that may write, so that two servers that start together do it once.
pub(crate) async fn migrate(writer: &mut SqliteConnection, location: &Location) -> Result<(), StoreError> {
    let failed = |error| location.explain(error);
    let found: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *writer).await.map_err(failed)?;
    if found > KNOWN {
        return Err(StoreError::Newer { path: location.path().to_owned(), found, known: KNOWN });
    }
    let done = usize::try_from(found).map_err(|_| StoreError::Corrupt { path: location.path().to_owned() })?;
    for script in &MIGRATIONS[done..] {
        sqlx::raw_sql(*script).execute(&mut *writer).await.map_err(failed)?;
    }
    if found < KNOWN {
        // A pragma takes no parameters; the text is a number of our own.
        let statement = AssertSqlSafe(format!("PRAGMA user_version = {KNOWN}"));
        sqlx::raw_sql(statement).execute(writer).await.map_err(failed)?;
        tracing::info!(path = ?location.path(), from = found, to = KNOWN, "database schema brought up to date");
    }
    Ok(())
}
