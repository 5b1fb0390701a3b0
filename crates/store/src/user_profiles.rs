//! Call-routing settings that users changed at run time, as rows. Their insides are nobody's business here.

use base::UserUri;
use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use crate::columns::Columns;
use crate::location::Location;
use crate::{StoreError, UserProfileRow};

/// Inserts or replaces the settings of a user.
pub(crate) async fn save(writer: &mut SqliteConnection, row: &UserProfileRow) -> sqlx::Result<()> {
    sqlx::query("INSERT OR REPLACE INTO user_profiles (user, profile_json, configured_json) VALUES (?, ?, ?)")
        .bind(row.user.as_str())
        .bind(&row.profile)
        .bind(&row.configured)
        .execute(writer)
        .await?;
    Ok(())
}

/// Deletes the settings of a user, if he has changed any.
pub(crate) async fn delete(writer: &mut SqliteConnection, user: &UserUri) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM user_profiles WHERE user = ?").bind(user.as_str()).execute(writer).await?;
    Ok(())
}

/// The settings of everybody who changed his.
pub(crate) async fn all(readers: &SqlitePool, location: &Location) -> Result<Vec<UserProfileRow>, StoreError> {
    let rows = sqlx::query("SELECT * FROM user_profiles ORDER BY user").fetch_all(readers).await;
    rows.map_err(|error| location.explain(error))?.iter().map(|row| read(row, location)).collect()
}

fn read(row: &SqliteRow, location: &Location) -> Result<UserProfileRow, StoreError> {
    let columns = Columns::new(row, location);
    Ok(UserProfileRow {
        user: columns.id("user")?,
        profile: columns.plain("profile_json")?,
        configured: columns.plain("configured_json")?,
    })
}
