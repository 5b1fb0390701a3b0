//! Lines of users' call histories as rows.

use std::collections::BTreeSet;

use base::{CallId, ConversationEntry, GroupErrand, Termination, UserUri};
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite, SqliteConnection, SqlitePool};

use crate::columns::{Columns, json, word};
use crate::location::Location;
use crate::{CONVERSATIONS_PER_USER, StoreError, UnixMillis};

/// Rows of one statement: SQLite takes 32,766 parameters at most, and a statement is read anew for each number of rows.
const ROWS: usize = 64;

/// Lines of one call that are told: a call rings at most some dozens, and a caller may use a Call-ID again.
const CALL_LINES_MAX: u32 = 200;

/// Writes those of the lines that are not there already: one for each call, and for each time it began for a user.
pub(crate) async fn append_missing(writer: &mut SqliteConnection, entries: &[ConversationEntry]) -> sqlx::Result<()> {
    let mut missing = Vec::new();
    for entry in entries {
        let known: Option<i64> = sqlx::query_scalar(
            "SELECT sequence FROM conversations WHERE user = ? AND call = ? AND kind = ? AND started = ? LIMIT 1",
        )
        .bind(entry.user.as_str())
        .bind(entry.call.0.cast_signed())
        .bind(word(&entry.kind))
        .bind(entry.started)
        .fetch_optional(&mut *writer)
        .await?;
        if known.is_none() {
            missing.push(entry.clone());
        }
    }
    append(writer, &missing).await
}

/// Writes lines; what lies beyond a user's last [`CONVERSATIONS_PER_USER`] goes.
pub(crate) async fn append(writer: &mut SqliteConnection, entries: &[ConversationEntry]) -> sqlx::Result<()> {
    for entries in entries.chunks(ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT INTO conversations (user, kind, call, peer, peer_name, dialled, answered_by, started, answered,
                 ended, result, reason, errand, sip_call_id, seen) ",
        );
        query.push_values(entries, bind);
        query.build().persistent(false).execute(&mut *writer).await?;
    }
    shorten(writer, entries).await
}

/// Deletes what lies beyond the last lines of whoever got one. Finding the end of a long history costs more than a line: once
/// for each user, however many lines he got. One statement for all of them, because each is a way to the database's thread and
/// back.
async fn shorten(writer: &mut SqliteConnection, entries: &[ConversationEntry]) -> sqlx::Result<()> {
    let users: BTreeSet<&str> = entries.iter().map(|entry| entry.user.as_str()).collect();
    if users.is_empty() {
        return Ok(());
    }
    // CROSS JOIN keeps the order: from each user to his lines.
    sqlx::query(
        "DELETE FROM conversations WHERE sequence IN
             (SELECT old.sequence FROM json_each(?1) AS named CROSS JOIN conversations AS old
              WHERE old.user = named.value AND old.sequence <=
                  (SELECT sequence FROM conversations WHERE user = named.value ORDER BY sequence DESC LIMIT 1 OFFSET ?2))",
    )
    .bind(json(&users))
    .bind(CONVERSATIONS_PER_USER)
    .execute(&mut *writer)
    .await?;
    Ok(())
}

fn bind(mut row: Separated<'_, Sqlite, &'static str>, entry: &ConversationEntry) {
    row.push_bind(entry.user.as_str())
        .push_bind(word(&entry.kind))
        .push_bind(entry.call.0.cast_signed())
        .push_bind(entry.peer.as_str())
        .push_bind(&entry.peer_name)
        .push_bind(entry.dialled.as_ref().map(UserUri::as_str))
        .push_bind(entry.answered_by.as_ref().map(UserUri::as_str))
        .push_bind(entry.started)
        .push_bind(entry.answered)
        .push_bind(entry.ended)
        .push_bind(word(&entry.termination.result))
        .push_bind(word(&entry.termination.reason))
        .push_bind(entry.errand.map(GroupErrand::as_str))
        .push_bind(&entry.sip_call_id)
        .push_bind(false);
}

/// The latest lines of a user that ended before a time, latest first.
pub(crate) async fn of(
    readers: &SqlitePool,
    location: &Location,
    user: &UserUri,
    ended: UnixMillis,
    limit: u32,
) -> Result<Vec<ConversationEntry>, StoreError> {
    let rows = sqlx::query(
        "SELECT * FROM conversations WHERE user = ? AND ended < ? ORDER BY ended DESC, sequence DESC LIMIT ?",
    )
    .bind(user.as_str())
    .bind(ended)
    .bind(limit)
    .fetch_all(readers)
    .await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

/// The lines of one call, whosever they are, in the order in which they were written.
pub(crate) async fn of_call(
    readers: &SqlitePool,
    location: &Location,
    sip_call_id: &str,
) -> Result<Vec<ConversationEntry>, StoreError> {
    let rows = sqlx::query("SELECT * FROM conversations WHERE sip_call_id = ? ORDER BY sequence LIMIT ?")
        .bind(sip_call_id)
        .bind(CALL_LINES_MAX)
        .fetch_all(readers)
        .await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

/// How many missed calls each user has not seen.
pub(crate) async fn unseen(readers: &SqlitePool, location: &Location) -> Result<Vec<(UserUri, u32)>, StoreError> {
    let rows = sqlx::query(
        "SELECT user, COUNT(*) AS missed FROM conversations WHERE kind = 'missed' AND seen = 0 GROUP BY user ORDER BY user",
    )
    .fetch_all(readers)
    .await;
    let rows = rows.map_err(|error| location.explain(error))?;
    let read = |row: &SqliteRow| {
        let missed: i64 = row.try_get("missed").map_err(|_| location.corrupt())?;
        Ok((Columns::new(row, location).id("user")?, u32::try_from(missed).unwrap_or(u32::MAX)))
    };
    rows.iter().map(read).collect()
}

/// A user has seen his missed calls.
pub(crate) async fn mark_seen(writer: &mut SqliteConnection, user: &UserUri) -> sqlx::Result<()> {
    sqlx::query("UPDATE conversations SET seen = 1 WHERE user = ? AND kind = 'missed' AND seen = 0")
        .bind(user.as_str())
        .execute(writer)
        .await?;
    Ok(())
}

fn read(row: &SqliteRow, location: &Location) -> Result<ConversationEntry, StoreError> {
    let columns = Columns::new(row, location);
    Ok(ConversationEntry {
        user: columns.id("user")?,
        kind: columns.word("kind")?,
        call: CallId(columns.unsigned("call")?),
        peer: columns.id("peer")?,
        peer_name: columns.plain("peer_name")?,
        dialled: columns.optional_id("dialled")?,
        answered_by: columns.optional_id("answered_by")?,
        started: columns.plain("started")?,
        answered: columns.plain("answered")?,
        ended: columns.plain("ended")?,
        termination: Termination { result: columns.word("result")?, reason: columns.word("reason")? },
        errand: columns.optional_word("errand")?,
        sip_call_id: columns.plain("sip_call_id")?,
    })
}
