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
    let written = make_folder_of(path).and_then(|()| std::fs::write(path, text));
    written.map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// Whether [`write_file`] will be able to: a run that lasts for hours should not end with a report nobody gets. What the
/// file holds stays; one that is missing is there afterwards, and empty.
///
/// # Errors
/// With the file's name and why it cannot be written.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    let open = || std::fs::OpenOptions::new().append(true).create(true).open(path);
    let opened = make_folder_of(path).and_then(|()| open());
    opened.map(drop).map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))
}

fn make_folder_of(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        Some(folder) => std::fs::create_dir_all(folder),
        None => Ok(()),
    }
}

/// Text inside XML and HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_refused_before_the_run_when_it_cannot_be_written_and_otherwise_left_alone() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("deep/er/report.json");
        assert!(check_writable(&file).is_ok());
        std::fs::write(&file, "old")?;
        assert!(check_writable(&file).is_ok() && std::fs::read_to_string(&file)? == "old");
        for bad in [file.join("below-a-file"), folder.path().to_path_buf()] {
            let Err(Failure(why)) = check_writable(&bad) else { panic!("{} is no file", bad.display()) };
            assert!(why.contains("cannot be written"), "{why}");
        }
        Ok(())
    }
}
