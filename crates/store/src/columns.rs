//! Values of the domain as columns, and back. Reading fails when a column does not hold what was written there.

use base::Pii;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::{Sqlite, SqliteRow};

use crate::StoreError;
use crate::location::Location;

/// A list or a set of figures as JSON.
pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and figures have a JSON form")
}

/// A value whose JSON form is one string (an enum without data) as that bare word.
pub(crate) fn word<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        other => unreachable!("an enum without data is one word, not {other:?}"),
    }
}

/// A row being read.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    location: &'r Location,
}

impl<'r> Columns<'r> {
    pub(crate) fn new(row: &'r SqliteRow, location: &'r Location) -> Self {
        Self { row, location }
    }

    /// A column of one of SQLite's own types.
    pub(crate) fn plain<T>(&self, name: &str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>,
    {
        self.row.try_get(name).map_err(|_| self.location.corrupt())
    }

    /// An unsigned number; SQLite keeps the same 64 bits as a signed one.
    pub(crate) fn unsigned(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.plain::<i64>(name)?.cast_unsigned())
    }

    /// An identifier, checked as at its first reading.
    pub(crate) fn id<T: TryFrom<String>>(&self, name: &str) -> Result<T, StoreError> {
        T::try_from(self.plain(name)?).map_err(|_| self.location.corrupt())
    }

    /// An identifier that may be absent.
    pub(crate) fn optional_id<T: TryFrom<String>>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let text: Option<String> = self.plain(name)?;
        text.map(T::try_from).transpose().map_err(|_| self.location.corrupt())
    }

    /// Personal text that may be absent.
    pub(crate) fn optional_pii(&self, name: &str) -> Result<Option<Pii>, StoreError> {
        Ok(self.plain::<Option<String>>(name)?.map(Pii::new))
    }

    /// What [`word`] wrote.
    pub(crate) fn word<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        let word = serde_json::Value::String(self.plain(name)?);
        serde_json::from_value(word).map_err(|_| self.location.corrupt())
    }

    /// What [`word`] wrote, or nothing.
    pub(crate) fn optional_word<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, StoreError> {
        let word = self.plain::<Option<String>>(name)?.map(serde_json::Value::String);
        word.map(serde_json::from_value).transpose().map_err(|_| self.location.corrupt())
    }

    /// What [`json`] wrote.
    pub(crate) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        let text: String = self.plain(name)?;
        serde_json::from_str(&text).map_err(|_| self.location.corrupt())
    }
}
