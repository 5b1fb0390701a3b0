//! What people and machines get to see of runs.
//!
//! Start reading at [`table`] (the screen) and [`html`] (one file, no network); [`compare`] sets two reports beside each
//! other.

pub mod compare;
pub mod html;
pub mod junit;
pub mod svg;
pub mod table;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

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
        let text = fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| failed(error.to_string()))
    }
}

/// Writes a file, and its folder if that is missing. The file is there as a whole, or as it was.
pub fn write_file(path: &Path, text: &str) -> Result<(), Failure> {
    let beside = beside(path);
    let folder = path.parent().map_or(Ok(()), fs::create_dir_all);
    let written = folder.and_then(|()| match beside {
        Some(beside) => fs::write(&beside, text).and_then(|()| fs::rename(&beside, path)),
        None => fs::write(path, text),
    });
    written.map_err(|error| Failure(format!("{}: {error}", path.display())))
}

/// Whether [`write_file`] will be able to: a run that lasts for hours should not end with a report nobody gets. What the
/// file holds stays, and one that is missing stays missing. Its folder is made, but not one above that: where that is missing,
/// the name is more likely a slip of the pen.
///
/// # Errors
/// With the file's name and why it cannot be written.
pub fn check_writable(path: &Path) -> Result<(), Failure> {
    let tried = make_folder_of(path).and_then(|()| match beside(path) {
        Some(beside) => fs::File::create(&beside).and_then(|_| fs::remove_file(&beside)),
        None => fs::OpenOptions::new().append(true).open(path).map(drop),
    });
    tried.map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))
}

/// The name under which a file is written before it gets its own; none for what cannot be replaced: a device, a folder.
fn beside(path: &Path) -> Option<PathBuf> {
    if path.exists() && !path.is_file() {
        return None;
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    Some(name.into())
}

/// Makes the folder of a file, but not those above it.
fn make_folder_of(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty() && !folder.exists()) else {
        return Ok(());
    };
    fs::create_dir(folder).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("the folder above {} does not exist; make it", folder.display()))
        }
        _ => error,
    })
}

/// Text inside XML and HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_refused_before_the_run_when_it_cannot_be_written_and_otherwise_left_alone() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("reports/report.json");
        assert!(check_writable(&file).is_ok() && !file.exists(), "nothing is written before the run");
        for text in ["old", "new"] {
            assert!(check_writable(&file).is_ok() && write_file(&file, text).is_ok());
            assert!(check_writable(&file).is_ok() && fs::read_to_string(&file)? == text);
        }
        assert_eq!(fs::read_dir(folder.path().join("reports"))?.count(), 1, "nothing is left beside it");
        let far = folder.path().join("not/there/report.json");
        for bad in [file.join("below-a-file"), folder.path().to_path_buf(), far] {
            let Err(Failure(why)) = check_writable(&bad) else { panic!("{} is no file", bad.display()) };
            assert!(why.contains("cannot be written"), "{why}");
        }
        Ok(())
    }
}
