//! The journal of the response groups: an append-only file of lines in `data_dir`.
//!
//! A line is in the operating system's hands before anything that follows from it leaves the process: kill -9 loses
//! nothing. It is on the disk at most a second later: a power failure loses at most the decisions of that second. Phones
//! that ring because of them stop by themselves, for each INVITE carries `Expires`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use engine::GroupJournal;

/// Name of the file in `data_dir`.
const NAME: &str = "response-groups.journal";

/// Beyond this size a start with nobody on the line begins a new file and keeps the old one beside it.
const LARGE: u64 = 64 * 1024 * 1024;

/// How often what was written is forced onto the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The journal of a running server.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Arc<File>,
    lines: Vec<u8>,
    dirty: Arc<AtomicBool>,
    failed: bool,
}

/// Where the journal of this data directory is.
pub(crate) fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join(NAME)
}

impl Journal {
    /// Opens the journal and gives back what it holds. A torn last line (the power failed while it was written) is cut
    /// off; anything else that cannot be read is an error, because half a history is none.
    pub(crate) fn open(data_dir: &Path) -> Result<(Self, Vec<GroupJournal>), String> {
        let path = path_in(data_dir);
        let (records, sound) = read(&path)?;
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        file.set_len(sound).map_err(failed)?;
        let (file, dirty) = (Arc::new(file), Arc::new(AtomicBool::new(false)));
        let (disk, written) = (Arc::clone(&file), Arc::clone(&dirty));
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || sync(&disk, &written)).map_err(failed)?;
        Ok((Self { file, lines: Vec::new(), dirty, failed: false }, records))
    }

    /// Moves a large journal aside; see [`LARGE`].
    pub(crate) fn retire_large(data_dir: &Path) -> Result<bool, String> {
        let path = path_in(data_dir);
        let large = std::fs::metadata(&path).is_ok_and(|metadata| metadata.len() > LARGE);
        if large {
            let old = path.with_extension("journal.old");
            std::fs::rename(&path, &old).map_err(|error| format!("{}: {error}", old.display()))?;
        }
        Ok(large)
    }

    /// Adds a line; it leaves with [`Journal::flush`].
    pub(crate) fn append(&mut self, record: &GroupJournal) {
        if let Err(error) = serde_json::to_writer(&mut self.lines, record) {
            tracing::error!(%error, "a journal record has no text form");
        }
        self.lines.push(b'\n');
    }

    /// Hands what was added to the operating system. Must come before any other effect is carried out.
    pub(crate) fn flush(&mut self) {
        if self.lines.is_empty() {
            return;
        }
        let result = (&*self.file).write_all(&self.lines);
        self.lines.clear();
        self.dirty.store(true, Ordering::Release);
        match result {
            Ok(()) => self.failed = false,
            // People must still be able to talk when the disk is full; said once, not with each call.
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::error!(%error, "the response groups' journal cannot be written; a crash now would lose callers");
            }
            Err(_) => {}
        }
    }
}

fn sync(file: &File, dirty: &AtomicBool) {
    loop {
        std::thread::sleep(SYNC_EVERY);
        if dirty.swap(false, Ordering::AcqRel)
            && let Err(error) = file.sync_data()
        {
            tracing::error!(%error, "the response groups' journal does not reach the disk");
        }
    }
}

/// The records of a journal file, and how many bytes of it are sound. A file that is not there is empty.
pub(crate) fn read(path: &Path) -> Result<(Vec<GroupJournal>, u64), String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let (mut records, mut sound) = (Vec::new(), 0);
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line).map_err(|error| format!("{}: {error}", path.display()))?;
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok((records, sound));
        }
        let record = serde_json::from_slice(&line).map_err(|error| {
            format!("{}, line {}: {error}; move the file away to begin anew", path.display(), records.len() + 1)
        })?;
        records.push(record);
        sound += length as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::WireRecord;

    fn record() -> GroupJournal {
        GroupJournal::Wire(WireRecord::File { config: Box::default() })
    }

    #[test]
    fn what_was_flushed_is_read_back_and_a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, records) = Journal::open(folder.path()).expect("opened");
        assert!(records.is_empty());
        journal.append(&record());
        journal.append(&record());
        journal.flush();
        let path = path_in(folder.path());
        let mut torn = OpenOptions::new().append(true).open(&path).expect("open");
        torn.write_all(b"{\"wire\":\"fi").expect("written");
        let (mut journal, records) = Journal::open(folder.path()).expect("opened");
        assert_eq!(records, [record(), record()]);
        journal.append(&record());
        journal.flush();
        assert_eq!(read(&path).expect("read").0.len(), 3);
    }

    #[test]
    fn a_line_that_is_none_is_told_with_its_number() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(path_in(folder.path()), "{}\n").expect("written");
        let told = Journal::open(folder.path()).expect_err("no record");
        assert!(told.contains("line 1"), "{told}");
    }
}
