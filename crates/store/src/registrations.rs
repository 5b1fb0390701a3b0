//! Registered devices, as rows. Their texts are SIP's business.

use base::UserUri;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use crate::columns::Columns;
use crate::location::Location;
use crate::{RegistrationRow, StoreError, UnixMillis};

/// Replaces the devices of a user.
pub(crate) async fn replace(
    writer: &mut SqliteConnection,
    user: &UserUri,
    devices: &[RegistrationRow],
) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM registrations WHERE user = ?").bind(user.as_str()).execute(&mut *writer).await?;
    for device in devices {
        sqlx::query(
            "INSERT INTO registrations (user, contact, path, transport, local, remote, instance, preference, call_id, cseq, \
             expires) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .bind(user.as_str())
        .bind(&device.contact)
        .bind(&device.path)
        .bind(&device.transport)
        .bind(&device.local)
        .bind(&device.remote)
        .bind(&device.instance)
        .bind(device.preference)
        .bind(&device.call_id)
        .bind(device.cseq)
        .bind(device.expires)
        .execute(&mut *writer)
        .await?;
    }
    Ok(())
}

/// Deletes what has expired.
pub(crate) async fn expire(writer: &mut SqliteConnection, now: UnixMillis) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM registrations WHERE expires <= ?").bind(now).execute(writer).await?;
    Ok(())
}

/// Every device.
pub(crate) async fn all(
    readers: &SqlitePool,
    location: &Location,
) -> Result<Vec<(UserUri, RegistrationRow)>, StoreError> {
    let rows = sqlx::query("SELECT * FROM registrations ORDER BY user, rowid").fetch_all(readers).await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

fn read(row: &SqliteRow, location: &Location) -> Result<(UserUri, RegistrationRow), StoreError> {
    let columns = Columns::new(row, location);
    let device = RegistrationRow {
        contact: columns.plain("contact")?,
        path: columns.plain("path")?,
        transport: columns.plain("transport")?,
        local: columns.plain("local")?,
        remote: columns.plain("remote")?,
        instance: columns.plain("instance")?,
        preference: columns.plain("preference")?,
        call_id: columns.plain("call_id")?,
        cseq: columns.plain("cseq")?,
        expires: columns.plain("expires")?,
    };
    Ok((columns.id("user")?, device))
}
