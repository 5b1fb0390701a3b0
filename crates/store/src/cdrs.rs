//! Call detail records as rows.

use base::{ConferenceId, Pii, Termination, UserUri};
use sqlx::query_builder::Separated;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Sqlite, SqliteConnection, SqlitePool};

use crate::columns::{Columns, json, word};
use crate::location::Location;
use crate::{Cdr, StoreError, UnixMillis};

/// Rows of one statement: SQLite takes 32,766 parameters at most, and a statement is read anew for each number of rows.
const ROWS: usize = 64;

/// Writes records unless their segment ids are there already. How many were new.
pub(crate) async fn append(writer: &mut SqliteConnection, cdrs: &[Cdr]) -> sqlx::Result<usize> {
    let mut new = 0;
    for cdrs in cdrs.chunks(ROWS) {
        let mut query = QueryBuilder::new(
            "INSERT OR IGNORE INTO cdrs (segment_id, conference, call, sip_call_id, direction, user, requested_by,
                 dialled, number, trunk, started, answered, ended, duration_ms, result, reason, sip_status, codec,
                 encrypted, quality_json, claimed, segment, outcome) ",
        );
        query.push_values(cdrs, bind);
        let done = query.build().persistent(false).execute(&mut *writer).await?;
        new += usize::try_from(done.rows_affected()).unwrap_or(usize::MAX);
    }
    Ok(new)
}

fn bind(mut row: Separated<'_, Sqlite, &'static str>, cdr: &Cdr) {
    row.push_bind(&cdr.segment_id)
        .push_bind(cdr.conference.as_ref().map(ConferenceId::as_str))
        .push_bind(cdr.call.cast_signed())
        .push_bind(&cdr.sip_call_id)
        .push_bind(word(&cdr.direction))
        .push_bind(cdr.user.as_ref().map(UserUri::as_str))
        .push_bind(cdr.requested_by.as_ref().map(UserUri::as_str))
        .push_bind(cdr.dialled.as_ref().map(Pii::expose))
        .push_bind(cdr.number.as_ref().map(Pii::expose))
        .push_bind(&cdr.trunk)
        .push_bind(cdr.started)
        .push_bind(cdr.answered)
        .push_bind(cdr.ended)
        .push_bind(cdr.duration_ms.cast_signed())
        .push_bind(word(&cdr.termination.result))
        .push_bind(word(&cdr.termination.reason))
        .push_bind(cdr.sip_status)
        .push_bind(&cdr.codec)
        .push_bind(cdr.encrypted)
        .push_bind(json(&cdr.quality))
        .push_bind(cdr.claimed.as_ref().map(UserUri::as_str))
        .push_bind(&cdr.segment)
        .push_bind(&cdr.outcome);
}

/// The latest records that ended before a time, latest first; of those that ended together, the last written first.
pub(crate) async fn before(
    readers: &SqlitePool,
    location: &Location,
    ended: UnixMillis,
    limit: u32,
) -> Result<Vec<Cdr>, StoreError> {
    let rows = sqlx::query("SELECT * FROM cdrs WHERE ended < ? ORDER BY ended DESC, sequence DESC LIMIT ?")
        .bind(ended)
        .bind(limit)
        .fetch_all(readers)
        .await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

fn read(row: &SqliteRow, location: &Location) -> Result<Cdr, StoreError> {
    let columns = Columns::new(row, location);
    Ok(Cdr {
        segment_id: columns.plain("segment_id")?,
        conference: columns.optional_id("conference")?,
        call: columns.unsigned("call")?,
        sip_call_id: columns.plain("sip_call_id")?,
        direction: columns.word("direction")?,
        user: columns.optional_id("user")?,
        claimed: columns.optional_id("claimed")?,
        requested_by: columns.optional_id("requested_by")?,
        dialled: columns.optional_pii("dialled")?,
        number: columns.optional_pii("number")?,
        trunk: columns.plain("trunk")?,
        started: columns.plain("started")?,
        answered: columns.plain("answered")?,
        ended: columns.plain("ended")?,
        duration_ms: columns.unsigned("duration_ms")?,
        termination: Termination { result: columns.word("result")?, reason: columns.word("reason")? },
        sip_status: columns.plain("sip_status")?,
        codec: columns.plain("codec")?,
        encrypted: columns.plain("encrypted")?,
        quality: columns.json("quality_json")?,
        segment: columns.plain("segment")?,
        outcome: columns.plain("outcome")?,
    })
}
