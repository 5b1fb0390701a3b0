//! Conferences and their numbers as rows.

use base::{ConferenceId, ConferenceNumber, Pii, UserUri};
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use crate::columns::{Columns, json, word};
use crate::location::Location;
use crate::{ConferenceRecord, StoreError, UnixMillis};

/// Writes one conference inside a transaction that may write.
pub(crate) async fn save(
    writer: &mut Transaction<'static, Sqlite>,
    location: &Location,
    record: &ConferenceRecord,
) -> Result<(), StoreError> {
    refuse_stale(writer, location, record).await?;
    if let Some(number) = &record.number {
        claim_number(writer, location, number, &record.id).await?;
    }
    upsert(writer, record).await.map_err(|error| location.explain(error))
}

async fn refuse_stale(
    writer: &mut SqliteConnection,
    location: &Location,
    record: &ConferenceRecord,
) -> Result<(), StoreError> {
    let stored: Option<i64> = sqlx::query_scalar("SELECT version FROM conferences WHERE id = ?")
        .bind(record.id.as_str())
        .fetch_optional(writer)
        .await
        .map_err(|error| location.explain(error))?;
    match stored.map(i64::cast_unsigned) {
        Some(stored) if stored > record.version => Err(StoreError::Stale { id: record.id.as_str().to_owned(), stored }),
        _ => Ok(()),
    }
}

/// Gives a number to a conference for ever, unless another one has or had it.
async fn claim_number(
    writer: &mut SqliteConnection,
    location: &Location,
    number: &ConferenceNumber,
    id: &ConferenceId,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR IGNORE INTO conference_numbers (number, conference) VALUES (?, ?)")
        .bind(number.as_str())
        .bind(id.as_str())
        .execute(&mut *writer)
        .await
        .map_err(|error| location.explain(error))?;
    let owner: String = sqlx::query_scalar("SELECT conference FROM conference_numbers WHERE number = ?")
        .bind(number.as_str())
        .fetch_one(writer)
        .await
        .map_err(|error| location.explain(error))?;
    if owner == id.as_str() { Ok(()) } else { Err(StoreError::NumberTaken { number: number.as_str().to_owned() }) }
}

/// The first `created` stays: a conference is made once.
async fn upsert(writer: &mut SqliteConnection, record: &ConferenceRecord) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO conferences (id, organizer, subject, description, access, pin, number, expiry, version,
             invited_json, locked, personal, lobby, organizer_data, notification_data, created, updated, phones_pass_lobby,
             promote_authenticated, used)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET organizer = excluded.organizer, subject = excluded.subject,
             description = excluded.description, access = excluded.access, pin = excluded.pin,
             number = excluded.number, expiry = excluded.expiry, version = excluded.version,
             invited_json = excluded.invited_json, locked = excluded.locked, personal = excluded.personal,
             lobby = excluded.lobby, organizer_data = excluded.organizer_data,
             notification_data = excluded.notification_data, updated = excluded.updated,
             phones_pass_lobby = excluded.phones_pass_lobby, promote_authenticated = excluded.promote_authenticated,
             used = MAX(used, excluded.used)",
    )
    .bind(record.id.as_str())
    .bind(record.organizer.as_str())
    .bind(&record.subject)
    .bind(&record.description)
    .bind(word(&record.access))
    .bind(record.pin.as_ref().map(Pii::expose))
    .bind(record.number.as_ref().map(ConferenceNumber::as_str))
    .bind(record.expiry)
    .bind(record.version.cast_signed())
    .bind(json(&record.invited))
    .bind(record.locked)
    .bind(record.personal)
    .bind(record.lobby)
    .bind(&record.organizer_data)
    .bind(&record.notification_data)
    .bind(record.created)
    .bind(record.updated)
    .bind(record.phones_pass_lobby)
    .bind(record.promote_authenticated)
    .bind(record.used)
    .execute(writer)
    .await
    .map(drop)
}

/// Moves the time a conference was last of use; nothing happens to one that is not there.
pub(crate) async fn note_use(writer: &mut SqliteConnection, id: &ConferenceId, used: UnixMillis) -> sqlx::Result<()> {
    let statement = sqlx::query("UPDATE conferences SET used = MAX(used, ?) WHERE id = ?");
    statement.bind(used).bind(id.as_str()).execute(writer).await.map(drop)
}

/// Deletes the row and leaves the number taken. Whether there was one.
pub(crate) async fn delete(writer: &mut SqliteConnection, id: &ConferenceId) -> sqlx::Result<bool> {
    let result = sqlx::query("DELETE FROM conferences WHERE id = ?").bind(id.as_str()).execute(writer).await?;
    Ok(result.rows_affected() > 0)
}

/// One conference.
pub(crate) async fn one(
    readers: &SqlitePool,
    location: &Location,
    id: &ConferenceId,
) -> Result<Option<ConferenceRecord>, StoreError> {
    let row = sqlx::query("SELECT * FROM conferences WHERE id = ?").bind(id.as_str()).fetch_optional(readers).await;
    row.map_err(|error| location.explain(error))?.map(|row| read(&row, location)).transpose()
}

/// The conferences of one organiser, oldest first.
pub(crate) async fn of(
    readers: &SqlitePool,
    location: &Location,
    organizer: &UserUri,
) -> Result<Vec<ConferenceRecord>, StoreError> {
    let rows = sqlx::query("SELECT * FROM conferences WHERE organizer = ? ORDER BY created, id")
        .bind(organizer.as_str())
        .fetch_all(readers)
        .await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

/// Every conference, oldest first.
pub(crate) async fn all(readers: &SqlitePool, location: &Location) -> Result<Vec<ConferenceRecord>, StoreError> {
    let rows = sqlx::query("SELECT * FROM conferences ORDER BY created, id").fetch_all(readers).await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

/// Every number that was ever given, in the order of their digits.
pub(crate) async fn numbers(readers: &SqlitePool, location: &Location) -> Result<Vec<ConferenceNumber>, StoreError> {
    let rows = sqlx::query("SELECT number FROM conference_numbers ORDER BY number").fetch_all(readers).await;
    let rows = rows.map_err(|error| location.explain(error))?;
    rows.iter().map(|row| Columns::new(row, location).id("number")).collect()
}

fn read(row: &SqliteRow, location: &Location) -> Result<ConferenceRecord, StoreError> {
    let columns = Columns::new(row, location);
    Ok(ConferenceRecord {
        id: columns.id("id")?,
        organizer: columns.id("organizer")?,
        subject: columns.plain("subject")?,
        description: columns.plain("description")?,
        access: columns.word("access")?,
        pin: columns.optional_pii("pin")?,
        number: columns.optional_id("number")?,
        expiry: columns.plain("expiry")?,
        version: columns.unsigned("version")?,
        invited: columns.json("invited_json")?,
        locked: columns.plain("locked")?,
        personal: columns.plain("personal")?,
        lobby: columns.plain("lobby")?,
        phones_pass_lobby: columns.plain("phones_pass_lobby")?,
        promote_authenticated: columns.plain("promote_authenticated")?,
        organizer_data: columns.plain("organizer_data")?,
        notification_data: columns.plain("notification_data")?,
        created: columns.plain("created")?,
        updated: columns.plain("updated")?,
        used: columns.plain("used")?,
    })
}
