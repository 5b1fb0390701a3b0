//! Where the database is: reading the address, making the file, and putting the path into every error.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::StoreError;

/// Read and written by the server's user alone: the file holds PINs and telephone numbers.
const MODE: u32 = 0o600;

/// The file of the database.
#[derive(Clone, Debug)]
pub(crate) struct Location(PathBuf);

impl Location {
    /// Reads a path, `sqlite:PATH` or `sqlite://PATH`. Other databases and databases in memory are refused.
    pub(crate) fn parse(path_or_url: &str) -> Result<Self, StoreError> {
        let path = match path_or_url.split_once(':') {
            Some(("sqlite", path)) => path.strip_prefix("//").unwrap_or(path),
            // One letter or a slash before the colon is a file name, not a scheme.
            Some((scheme, _)) if is_scheme(scheme) => {
                return Err(StoreError::Unsupported(format!("{scheme}:")));
            }
            _ => path_or_url,
        };
        if path.is_empty() || path == ":memory:" {
            return Err(StoreError::Unsupported(path_or_url.to_owned()));
        }
        Ok(Self(PathBuf::from(path)))
    }

    /// The file.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the file if there is none and finds out whether it may be written. SQLite gives its journal and its
    /// shared memory the mode of this file, so the mode is decided here.
    pub(crate) fn prepare(&self) -> Result<(), StoreError> {
        let existed = self.0.exists();
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(&self.0);
        opened.map_err(|error| self.explain_io(error))?;
        if !existed {
            self.sync_directory().map_err(|error| self.explain_io(error))?;
        }
        Ok(())
    }

    /// A new file is there after a power cut only when its directory was written.
    fn sync_directory(&self) -> std::io::Result<()> {
        let directory = match self.0.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        File::open(directory)?.sync_all()
    }

    fn explain_io(&self, error: std::io::Error) -> StoreError {
        let path = self.0.clone();
        match error.kind() {
            ErrorKind::NotFound => StoreError::CannotOpen { path, why: "its directory does not exist" },
            ErrorKind::NotADirectory => StoreError::CannotOpen { path, why: "a part of its path is not a directory" },
            ErrorKind::IsADirectory => StoreError::CannotOpen { path, why: "it is a directory" },
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreError::NoPermission { path },
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreError::DiskFull { path },
            _ => StoreError::Database { path, source: sqlx::Error::Io(error) },
        }
    }

    /// Names the path and the remedy of what SQLite reports (<https://www.sqlite.org/rescode.html>).
    pub(crate) fn explain(&self, error: sqlx::Error) -> StoreError {
        let path = self.0.clone();
        match primary_code(&error) {
            Some(3 | 8 | 23) => StoreError::NoPermission { path },
            Some(5 | 6) => StoreError::Locked { path },
            Some(11 | 26) => StoreError::Corrupt { path },
            Some(13) => StoreError::DiskFull { path },
            Some(14) => StoreError::CannotOpen { path, why: "SQLite cannot open its files" },
            _ => StoreError::Database { path, source: error },
        }
    }

    /// A row cannot be read back as what was written.
    pub(crate) fn corrupt(&self) -> StoreError {
        StoreError::Corrupt { path: self.0.clone() }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// The low byte of SQLite's extended result code.
fn primary_code(error: &sqlx::Error) -> Option<u32> {
    let code: u32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_sqlite_addresses_are_read() {
        for (text, path) in [
            ("convoke.db", "convoke.db"),
            ("/var/lib/convoke/convoke.db", "/var/lib/convoke/convoke.db"),
            ("sqlite:convoke.db", "convoke.db"),
            ("sqlite:/var/lib/convoke.db", "/var/lib/convoke.db"),
            ("sqlite:///var/lib/convoke.db", "/var/lib/convoke.db"),
            ("./a:b.db", "./a:b.db"),
        ] {
            let location = Location::parse(text).expect("supported");
            assert_eq!(location.path(), Path::new(path), "{text}");
        }
    }

    #[test]
    fn other_databases_are_refused_without_printing_their_password() {
        for text in ["postgres://u:secret@db/x", "postgresql:x", "mysql://x", "sqlite::memory:", "sqlite:", ""] {
            let error = Location::parse(text).expect_err(text).to_string();
            assert!(error.contains("not supported"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
