//! The journal of the response groups: an append-only file of lines in `data_dir`.
//!
//! A line is in the operating system's hands before anything that follows from it leaves the process: kill -9 loses
//! nothing. It is on the disk at most a second later: a power failure loses at most the decisions of that second. Phones
//! that ring because of them stop by themselves, for each INVITE carries `Expires`.
//!
//! Nothing leaves on account of a line that was not written because the disk is full: the file holds room for a good many
//! more lines than it has, and when no more can be had groups take no calls, while those on the line still use it.
//!
//! A large journal is replaced by a new one that begins with the machine's state; the old one is kept beside it. So is one
//! that could not be written: what it lacks is in that state.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use engine::GroupJournal;

/// Name of the file in `data_dir`.
const NAME: &str = "response-groups.journal";

/// Read and written by the server's user alone: it says who called whom.
const MODE: u32 = 0o600;

/// Beyond this size, in bytes, a new file is begun.
const LARGE: u64 = 64 * 1024 * 1024;

/// How often what was written is forced onto the disk.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How long after a failure a new file is tried, at the earliest.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Room on the disk that is held beyond the end of the file, in bytes. A call writes a few thousand in all.
const ROOM: u64 = 256 * 1024;

/// How lines are written; a test has it fail.
type WriteLines = fn(&File, &[u8]) -> io::Result<()>;

/// How room is held, from an offset on; a test has it fail.
type HoldRoom = fn(&File, u64, u64) -> io::Result<()>;

/// The journal of a running server.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    disk: Arc<Disk>,
    lines: Vec<u8>,
    /// Bytes of the file that are whole lines.
    size: u64,
    /// Bytes after them that were found at the start and cut off.
    torn: u64,
    /// At which size a new file is begun.
    large: u64,
    /// It could not be written; a new file is not tried before this.
    broken: Option<Instant>,
    /// Up to which offset room is held.
    room: u64,
    /// No more room could be held; it is not tried before this.
    scarce: Option<Instant>,
    failures: u64,
    /// What was last said of it.
    told_sound: bool,
    write: WriteLines,
    hold: HoldRoom,
}

/// The file, as the thread that forces it onto the disk sees it.
#[derive(Debug)]
struct Disk {
    file: Mutex<Arc<File>>,
    dirty: AtomicBool,
}

impl Disk {
    fn file(&self) -> Arc<File> {
        Arc::clone(&self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn sync(&self) {
        if self.dirty.swap(false, Ordering::AcqRel)
            && let Err(error) = self.file().sync_data()
        {
            tracing::error!(%error, "the response groups' journal does not reach the disk");
        }
    }
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
        let failed = |error: io::Error| format!("{}: {error}", path.display());
        finish_replacing(&path).map_err(failed)?;
        let (records, size) = read(&path)?;
        let torn = std::fs::metadata(&path).map_or(0, |file| file.len() - size);
        if torn > 0 {
            let (path, lines) = (path.display(), records.len());
            tracing::warn!(%path, lines, torn_bytes = torn, "the end of the response groups' journal is torn and cut off; the lines before it hold");
        }
        let file = append_to(&path).map_err(failed)?;
        file.set_len(size).map_err(failed)?;
        let old = path.with_extension("journal.old");
        if old.exists() {
            std::fs::set_permissions(&old, Permissions::from_mode(MODE)).map_err(failed)?;
        }
        let disk = Arc::new(Disk { file: Mutex::new(Arc::new(file)), dirty: AtomicBool::new(false) });
        let watched = Arc::downgrade(&disk);
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || sync(&watched)).map_err(failed)?;
        let mut journal = Self {
            path,
            disk,
            lines: Vec::new(),
            size,
            torn,
            large: LARGE,
            broken: None,
            room: size,
            scarce: None,
            failures: 0,
            told_sound: true,
            write: |mut file, lines| file.write_all(lines),
            hold: hold_room,
        };
        journal.keep_room();
        Ok((journal, records))
    }

    /// How many bytes were cut off its end when it was opened.
    pub(crate) fn torn_bytes(&self) -> u64 {
        self.torn
    }

    /// Adds a line; it leaves with [`Journal::flush`].
    pub(crate) fn append(&mut self, record: &GroupJournal) {
        if let Err(error) = serde_json::to_writer(&mut self.lines, record) {
            tracing::error!(%error, "a journal record has no text form");
        }
        self.lines.push(b'\n');
    }

    /// Hands what was added to the operating system. Must come before any other effect is carried out.
    ///
    /// When that fails the file is cut back to its last whole line. Nothing more is added to it, because lines that follow
    /// a gap say nothing; see [`Journal::begin_anew`].
    pub(crate) fn flush(&mut self) {
        let lines = std::mem::take(&mut self.lines);
        if lines.is_empty() || self.broken.is_some() {
            return;
        }
        let file = self.disk.file();
        match (self.write)(&file, &lines) {
            Ok(()) => self.size += lines.len() as u64,
            Err(error) => {
                self.break_off(&error);
                if let Err(error) = file.set_len(self.size) {
                    tracing::error!(%error, "the torn end of the response groups' journal cannot be cut off");
                }
                self.room = self.size;
            }
        }
        self.disk.dirty.store(true, Ordering::Release);
    }

    /// Holds room for further lines, so that those that find the disk full are written all the same. To be asked for after
    /// each [`Journal::flush`], also where nothing was written.
    pub(crate) fn keep_room(&mut self) {
        let early = self.scarce.is_some_and(|retry| Instant::now() < retry);
        if self.broken.is_some() || early || self.room >= self.size + ROOM / 2 {
            return;
        }
        match (self.hold)(&self.disk.file(), self.size, ROOM) {
            Ok(()) => {
                self.room = self.size + ROOM;
                if self.scarce.take().is_some() {
                    tracing::info!("there is room for the response groups' journal again");
                }
            }
            // Some file systems hold none: there a full disk shows when a line does not fit.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => self.room = u64::MAX,
            Err(error) => {
                self.failures += 1;
                if self.scarce.replace(Instant::now() + RETRY_AFTER).is_none() {
                    let path = self.path.display();
                    tracing::error!(%error, %path, "there is no room for the response groups' journal to grow; groups take no calls until there is");
                }
            }
        }
    }

    fn break_off(&mut self, error: &io::Error) {
        self.failures += 1;
        // Said once, not with each call.
        if self.broken.replace(Instant::now() + RETRY_AFTER).is_none() {
            let path = self.path.display();
            tracing::error!(%error, %path, "the response groups' journal cannot be written; groups take no calls until it can");
        }
    }

    /// Whether a new file is due: this one is large, or broken and its time has come.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        self.broken.map_or(self.size > self.large, |retry| Instant::now() >= retry)
    }

    /// Begins a new file with these records, which say all that is not over, and keeps the old one beside it.
    pub(crate) fn begin_anew(&mut self, records: &[GroupJournal]) {
        match self.replace(records) {
            Ok(()) if self.broken.take().is_some() => {
                tracing::info!("the response groups' journal is written again");
            }
            Ok(()) => {}
            Err(error) if self.broken.is_some() => self.break_off(&error),
            Err(error) => {
                // The old file is as good as before; try again when it has grown a good deal.
                self.large = self.size + LARGE / 4;
                tracing::error!(%error, "the response groups' journal is large, and a new one cannot be begun");
            }
        }
    }

    fn replace(&mut self, records: &[GroupJournal]) -> io::Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        let new = self.path.with_extension("journal.new");
        let file = append_to(&new)?;
        // Half a file of an earlier attempt says nothing.
        file.set_len(0)?;
        (self.write)(&file, &lines)?;
        file.sync_data()?;
        std::fs::rename(&self.path, self.path.with_extension("journal.old"))?;
        std::fs::rename(&new, &self.path)?;
        *self.disk.file.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(file);
        (self.size, self.large) = (lines.len() as u64, LARGE.max(2 * lines.len() as u64));
        self.room = self.size;
        Ok(())
    }

    /// How often it could not be written since this was asked last.
    pub(crate) fn take_failures(&mut self) -> u64 {
        std::mem::take(&mut self.failures)
    }

    /// Whether it can be written and has room to grow, if that has changed since this was asked last.
    pub(crate) fn take_change(&mut self) -> Option<bool> {
        let sound = self.broken.is_none() && self.scarce.is_none();
        (std::mem::replace(&mut self.told_sound, sound) != sound).then_some(sound)
    }
}

/// A file that was made by an earlier version may be readable by others.
fn append_to(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
    file.set_permissions(Permissions::from_mode(MODE))?;
    Ok(file)
}

/// Why a line is no record. The form of a record has many variants, so that its own words would say nothing.
fn fault_of(line: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(_) => "it is JSON, but no record that this version writes".to_owned(),
        Err(error) => format!("it is no JSON ({error})"),
    }
}

/// Holds room on the disk beyond the end of a file, whose length stays what it is.
fn hold_room(file: &File, from: u64, length: u64) -> io::Result<()> {
    Ok(rustix::fs::fallocate(file, rustix::fs::FallocateFlags::KEEP_SIZE, from, length)?)
}

/// A process that ended while it put a new file in the place of the old one had written the new one whole before.
fn finish_replacing(path: &Path) -> io::Result<()> {
    let new = path.with_extension("journal.new");
    match (path.exists(), new.exists()) {
        (false, true) => std::fs::rename(new, path),
        (true, true) => std::fs::remove_file(new),
        (_, false) => Ok(()),
    }
}

/// Forces what was written onto the disk, as long as the journal is there.
fn sync(disk: &Weak<Disk>) {
    loop {
        std::thread::sleep(SYNC_EVERY);
        let Some(disk) = disk.upgrade() else { return };
        disk.sync();
    }
}

/// The records of a journal file, and how many bytes of it are sound. A file that is not there is empty.
pub(crate) fn read(path: &Path) -> Result<(Vec<GroupJournal>, u64), String> {
    let failed = |error: io::Error| format!("{}: {error}", path.display());
    match std::fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        // A device has no end, and a directory no lines.
        Ok(found) if !found.is_file() => {
            let what = if found.is_dir() { "a directory" } else { "no regular file" };
            return Err(format!(
                "{}: this is {what}, and a journal is a file; move it away, or name another data_dir or FILE",
                path.display()
            ));
        }
        found => found.map_err(failed)?,
    };
    let file = File::open(path).map_err(failed)?;
    let (mut records, mut sound) = (Vec::new(), 0);
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = lines.read_until(b'\n', &mut line).map_err(failed)?;
        if length == 0 || line.last() != Some(&b'\n') {
            return Ok((records, sound));
        }
        let record = serde_json::from_slice(&line).map_err(|_| {
            let (path, whole) = (path.display(), records.len());
            let fault = fault_of(&line);
            format!(
                "{path}, line {} cannot be read: {fault}. Move the file away to begin anew, which forgets sign-ins, pauses, changes at run time and \
                 callers on the line; or keep what stands before it (head -n {whole}), which forgets what came after",
                whole + 1
            )
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

    fn other() -> GroupJournal {
        GroupJournal::Wire(WireRecord::Called { invites: Vec::new() })
    }

    fn records(folder: &Path) -> Vec<GroupJournal> {
        read(&path_in(folder)).expect("it can be read").0
    }

    #[test]
    fn what_is_no_regular_file_is_not_read() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(path_in(folder.path())).expect("made");
        for path in [path_in(folder.path()), PathBuf::from("/dev/zero")] {
            let told = read(&path).expect_err("it is refused");
            assert!(told.contains(&path.display().to_string()) && told.contains("move it away"), "{told}");
        }
        assert!(Journal::open(folder.path()).is_err_and(|told| told.contains("this is a directory")));
    }

    #[test]
    fn nobody_else_may_read_it_nor_the_one_before_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = path_in(folder.path());
        let files = [path.clone(), path.with_extension("journal.old")];
        let others_may_read = |path: &PathBuf| {
            std::fs::write(path, "").expect("written");
            std::fs::set_permissions(path, Permissions::from_mode(0o644)).expect("own file");
        };
        let mode = |path: &PathBuf| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
        drop(Journal::open(folder.path()).expect("opens"));
        assert_eq!(mode(&files[0]), 0o600, "a new one");
        files.iter().for_each(others_may_read);
        let (mut journal, _) = Journal::open(folder.path()).expect("opens");
        assert_eq!(files.each_ref().map(mode), [0o600; 2], "those of an earlier version");
        others_may_read(&path.with_extension("journal.new"));
        journal.begin_anew(&[record()]);
        assert_eq!(files.each_ref().map(mode), [0o600; 2], "after a new one was begun");
    }

    #[test]
    fn what_was_flushed_is_read_back_and_a_torn_line_is_cut_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, found) = Journal::open(folder.path()).expect("opened");
        assert!(found.is_empty());
        journal.append(&record());
        journal.append(&record());
        journal.flush();
        let path = path_in(folder.path());
        let mut torn = OpenOptions::new().append(true).open(&path).expect("open");
        torn.write_all(b"{\"wire\":\"fi").expect("written");
        let (mut journal, found) = Journal::open(folder.path()).expect("opened");
        assert_eq!((found, journal.torn_bytes()), (vec![record(), record()], 11));
        journal.append(&record());
        journal.flush();
        assert_eq!(records(folder.path()).len(), 3);
    }

    #[test]
    fn a_line_that_is_none_is_told_with_its_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let whole = serde_json::to_string(&record()).expect("it has a text form");
        for (line, fault) in [("{}", "no record"), ("{\"garb\u{0}", "no JSON")] {
            std::fs::write(path_in(folder.path()), format!("{whole}\n{line}\n{whole}\n")).expect("written");
            let told = Journal::open(folder.path()).expect_err("no record");
            for word in ["line 2", fault, "sign-ins", "head -n 1"] {
                assert!(told.contains(word), "{word:?} in {told}");
            }
        }
    }

    /// The disk is full in the middle of a line: what was whole stays readable, and a new file makes up for the rest.
    #[test]
    fn a_write_that_fails_half_way_leaves_whole_lines_and_is_made_up_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(folder.path()).expect("opened");
        journal.append(&record());
        journal.flush();
        assert_eq!(journal.take_change(), None);
        journal.write = |mut file, lines| {
            file.write_all(&lines[..lines.len() / 2])?;
            Err(io::ErrorKind::StorageFull.into())
        };
        journal.append(&other());
        journal.flush();
        assert_eq!((journal.take_change(), journal.take_failures()), (Some(false), 1));
        assert_eq!(records(folder.path()), [record()], "no torn line is left");
        journal.append(&other());
        journal.flush();
        assert_eq!(records(folder.path()), [record()], "nothing follows a gap");
        assert!(!journal.wants_checkpoint(), "the disk is left alone for a moment");
        journal.begin_anew(&[other()]);
        assert_eq!((journal.take_change(), journal.take_failures()), (None, 1), "it is still full");
        assert_eq!(records(folder.path()), [record()]);
        journal.write = |mut file, lines| file.write_all(lines);
        journal.begin_anew(&[other()]);
        assert_eq!(journal.take_change(), Some(true));
        journal.append(&record());
        journal.flush();
        assert_eq!(records(folder.path()), [other(), record()]);
    }

    /// The disk fills up: lines at hand still have a place, and groups hear of it before one has none.
    #[test]
    fn a_disk_without_room_is_told_while_lines_are_still_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(folder.path()).expect("opened");
        journal.hold = |_, _, _| Err(io::ErrorKind::StorageFull.into());
        let mut written = 0;
        while journal.take_change().is_none() {
            journal.append(&record());
            journal.flush();
            journal.keep_room();
            written += 1;
        }
        assert!(journal.size < ROOM, "there is room left when it is said");
        assert_eq!((journal.take_failures(), journal.broken), (1, None));
        journal.append(&other());
        journal.flush();
        assert_eq!(records(folder.path()).len(), written + 1);
        journal.scarce = Some(Instant::now());
        journal.hold = hold_room;
        journal.keep_room();
        assert_eq!(journal.take_change(), Some(true));
    }

    #[test]
    fn room_that_is_held_is_no_part_of_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(folder.path()).expect("opened");
        assert!(journal.room >= ROOM);
        journal.append(&record());
        journal.flush();
        let length = std::fs::metadata(path_in(folder.path())).expect("there").len();
        assert_eq!(length, journal.size);
    }

    #[test]
    fn a_large_file_is_replaced_while_running_and_kept_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(folder.path()).expect("opened");
        journal.large = 1;
        assert!(!journal.wants_checkpoint());
        journal.append(&record());
        journal.flush();
        assert!(journal.wants_checkpoint());
        journal.begin_anew(&[other()]);
        assert!(!journal.wants_checkpoint());
        journal.append(&record());
        journal.flush();
        assert_eq!(records(folder.path()), [other(), record()]);
        let old = read(&path_in(folder.path()).with_extension("journal.old")).expect("it can be read").0;
        assert_eq!(old, [record()]);
    }

    #[test]
    fn a_process_that_died_between_two_files_has_lost_neither() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = Journal::open(folder.path()).expect("opened");
        journal.append(&record());
        journal.flush();
        let path = path_in(folder.path());
        let new = path.with_extension("journal.new");
        std::fs::write(&new, "half a li").expect("written");
        assert_eq!(Journal::open(folder.path()).expect("opened").1, [record()]);
        std::fs::rename(&path, &new).expect("renamed");
        assert_eq!(Journal::open(folder.path()).expect("opened").1, [record()]);
    }

    #[test]
    fn the_thread_that_syncs_ends_with_its_journal() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = Journal::open(folder.path()).expect("opened");
        let disk = Arc::downgrade(&journal.disk);
        drop(journal);
        // It may be at work just now; then it lets go and finds nothing the next time.
        let deadline = Instant::now() + Duration::from_secs(10);
        while disk.strong_count() > 0 && Instant::now() < deadline {
            std::thread::yield_now();
        }
        assert_eq!(disk.strong_count(), 0);
    }
}
