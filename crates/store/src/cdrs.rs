//! Call detail records as rows.

use base::{ConferenceId, Pii, Termination, UserUri};
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use crate::columns::{Columns, json, word};
use crate::location::Location;
use crate::{Cdr, StoreError, UnixMillis};

/// Writes one record unless its segment id is there already. Whether it was new.
pub(crate) async fn append(writer: &mut SqliteConnection, cdr: &Cdr) -> sqlx::Result<bool> {
    let result = sqlx::query(
        "INSERT OR IGNORE INTO cdrs (segment_id, conference, call, sip_call_id, direction, user, requested_by, dialled,
             number, trunk, started, answered, ended, duration_ms, result, reason, sip_status, codec, encrypted,
             quality_json, claimed, segment, outcome)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&cdr.segment_id)
    .bind(cdr.conference.as_ref().map(ConferenceId::as_str))
    .bind(cdr.call.cast_signed())
    .bind(&cdr.sip_call_id)
    .bind(word(&cdr.direction))
    .bind(cdr.user.as_ref().map(UserUri::as_str))
    .bind(cdr.requested_by.as_ref().map(UserUri::as_str))
    .bind(cdr.dialled.as_ref().map(Pii::expose))
    .bind(cdr.number.as_ref().map(Pii::expose))
    .bind(&cdr.trunk)
    .bind(cdr.started)
    .bind(cdr.answered)
    .bind(cdr.ended)
    .bind(cdr.duration_ms.cast_signed())
    .bind(word(&cdr.termination.result))
    .bind(word(&cdr.termination.reason))
    .bind(cdr.sip_status)
    .bind(&cdr.codec)
    .bind(cdr.encrypted)
    .bind(json(&cdr.quality))
    .bind(cdr.claimed.as_ref().map(UserUri::as_str))
    .bind(&cdr.segment)
    .bind(&cdr.outcome)
    .execute(writer)
    .await?;
    Ok(result.rows_affected() > 0)
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
