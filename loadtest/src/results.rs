//! What people and machines get to see of runs.
//!
//! Start reading at [`table`] (the screen) and [`html`] (one file, no network); [`compare`] sets two reports beside each
//! other.

pub mod compare;
pub mod html;
pub mod junit;
pub mod svg;
pub mod table;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::run::outcome::Outcome;

/// The report for machines.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// All runs in their order.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// Writes it as JSON.
    pub fn write(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).map_err(|error| Failure(error.to_string()))?;
        write_file(path, &format!("{text}\n"))
    }

    /// Reads what [`Report::write`] wrote.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let failed = |why: String| Failure(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }
}

/// Writes a file, and its folder if that is missing.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure(format!("{}: {error}", path.display()));
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::write(path, text).map_err(failed)
}

/// Text inside XML and HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
