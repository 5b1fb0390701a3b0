//! Call detail records and lines of call histories that the disk did not take, kept until it does.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use base::ConversationEntry;
use store::{Cdr, Store, StoreError};

use super::batch::Left;

/// The first wait before records are tried again; each refusal doubles it.
const PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest wait.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Records of one attempt, so that whoever waits for the disk waits for one transaction at most.
const ATTEMPT: usize = 128;

/// Where records go.
pub(super) trait Disk: Sync {
    /// As [`Store::append_records`].
    fn append(
        &self,
        cdrs: &[Cdr],
        entries: &[ConversationEntry],
    ) -> impl Future<Output = Result<usize, StoreError>> + Send;
}

impl Disk for Store {
    async fn append(&self, cdrs: &[Cdr], entries: &[ConversationEntry]) -> Result<usize, StoreError> {
        self.append_records(cdrs, entries).await
    }
}

/// How call detail records fare, for the metrics.
#[derive(Debug, Default)]
pub(crate) struct CdrTally {
    failures: AtomicU64,
    lost: AtomicU64,
    waiting: AtomicU64,
}

impl CdrTally {
    /// Times the database did not take records.
    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Records that were given up; each stands in the log.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Records that wait for the disk now.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Gives a record up: the log is where it lasts.
    pub(super) fn lose(&self, cdr: &Cdr, why: &str) {
        self.lost.fetch_add(1, Ordering::Relaxed);
        tracing::error!(?cdr, why, "a call detail record is lost but for this line");
    }
}

/// The records that wait, oldest first.
pub(super) struct Backlog {
    cdrs: VecDeque<Cdr>,
    /// Lines of histories, as many as records at most.
    lines: VecDeque<ConversationEntry>,
    /// Calls of response groups of whom a record waits, or may wait.
    waiting: Vec<Left>,
    /// Those of whom none does any more, until somebody asks.
    stored: Vec<Left>,
    room: usize,
    pause: Duration,
    due: Option<Instant>,
    tally: Arc<CdrTally>,
}

impl Backlog {
    /// Room for so many records, and for so many lines; the oldest is given up for a further one.
    pub(super) fn new(room: usize, tally: Arc<CdrTally>) -> Self {
        Self {
            cdrs: VecDeque::new(),
            lines: VecDeque::new(),
            waiting: Vec::new(),
            stored: Vec::new(),
            room,
            pause: PAUSE_MIN,
            due: None,
            tally,
        }
    }

    /// When the disk is to be tried again, if anything waits.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Calls of response groups whose records the disk has, each once. A call one of whose records was given up for want of
    /// room is not among them.
    pub(super) fn take_stored(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.stored)
    }

    /// Writes new records; those that the disk refuses are kept. All records of the calls of response groups are among them.
    pub(super) async fn write(
        &mut self,
        cdrs: Vec<Cdr>,
        calls: Vec<Left>,
        entries: &[ConversationEntry],
        disk: &impl Disk,
        now: Instant,
    ) {
        if cdrs.is_empty() && entries.is_empty() {
            // What these leave was written before, or waits.
            self.waiting.extend(calls);
            return self.settle();
        }
        match disk.append(&cdrs, entries).await {
            Ok(_) => {
                self.stored.extend(calls);
                if self.count() > 0 {
                    self.due = Some(now);
                }
            }
            Err(error) => {
                self.waiting.extend(calls);
                if self.waiting.len() > self.room {
                    self.waiting.clear();
                }
                let refused = self.part(cdrs, &error, disk).await;
                let lines = part_lines(entries.to_vec(), &error, disk).await;
                if !(refused.is_empty() && lines.is_empty()) {
                    self.keep(refused, lines, &error, now);
                }
                self.settle();
            }
        }
    }

    /// Tries the oldest records again.
    pub(super) async fn retry(&mut self, disk: &impl Disk, now: Instant) {
        let oldest: Vec<Cdr> = self.cdrs.drain(..ATTEMPT.min(self.cdrs.len())).collect();
        let room = ATTEMPT - oldest.len();
        let lines: Vec<ConversationEntry> = self.lines.drain(..room.min(self.lines.len())).collect();
        let count = oldest.len() + lines.len();
        if count == 0 {
            return;
        }
        let (mut refused, mut refused_lines) = (Vec::new(), Vec::new());
        if let Err(error) = disk.append(&oldest, &lines).await {
            refused = self.part(oldest, &error, disk).await;
            refused_lines = part_lines(lines, &error, disk).await;
            if refused.len() + refused_lines.len() == count {
                self.wait(count + self.count(), &error, now);
            }
        }
        let done = count - refused.len() - refused_lines.len();
        if done > 0 {
            tracing::info!(done, "records of calls that waited for the disk are done with");
            self.pause = PAUSE_MIN;
            // What was refused again waits longer than what has not been tried.
            self.due = Some(if self.count() == 0 { now + PAUSE_MIN } else { now });
        }
        // Last, so that what is refused for its own sake does not stand before the others.
        self.cdrs.extend(refused);
        self.lines.extend(refused_lines);
        self.settle();
    }

    /// The server ends: a last attempt for each record, and a line in the log for what cannot be written.
    pub(super) async fn close(&mut self, disk: &impl Disk, now: Instant) {
        let mut waiting = usize::MAX;
        while self.count() < waiting {
            waiting = self.count();
            self.retry(disk, now).await;
        }
        if waiting > 0 {
            let why = "the server ends and the disk does not take it";
            self.cdrs.drain(..).for_each(|cdr| self.tally.lose(&cdr, why));
            self.lines.drain(..).for_each(|line| lose_line(&line, why));
            self.waiting.clear();
        }
        self.settle();
    }

    /// After a refusal: those of the records to try again. Unless the disk refuses everything, each is tried alone, so
    /// that none suffers for another, and what can never be written is given up.
    async fn part(&self, cdrs: Vec<Cdr>, error: &StoreError, disk: &impl Disk) -> Vec<Cdr> {
        self.tally.failures.fetch_add(1, Ordering::Relaxed);
        if refuses_everything(error) {
            return cdrs;
        }
        let mut refused = Vec::new();
        for cdr in cdrs {
            match disk.append(std::slice::from_ref(&cdr), &[]).await {
                Ok(_) => {}
                Err(error @ StoreError::Invalid(_)) => self.tally.lose(&cdr, &error.to_string()),
                Err(_) => refused.push(cdr),
            }
        }
        refused
    }

    fn count(&self) -> usize {
        self.cdrs.len() + self.lines.len()
    }

    fn keep(&mut self, cdrs: Vec<Cdr>, lines: Vec<ConversationEntry>, error: &StoreError, now: Instant) {
        if self.due.is_none() {
            self.wait(cdrs.len() + lines.len(), error, now);
        }
        for line in lines {
            if self.lines.len() >= self.room
                && let Some(oldest) = self.lines.pop_front()
            {
                lose_line(&oldest, "too many wait for the disk");
                self.waiting.clear();
            }
            self.lines.push_back(line);
        }
        for cdr in cdrs {
            if self.cdrs.len() >= self.room
                && let Some(oldest) = self.cdrs.pop_front()
            {
                self.tally.lose(&oldest, "too many wait for the disk");
                self.waiting.clear();
            }
            self.cdrs.push_back(cdr);
        }
    }

    fn wait(&mut self, waiting: usize, error: &StoreError, now: Instant) {
        let pause = self.pause;
        tracing::error!(%error, waiting, ?pause, "records of calls could not be stored; they are tried again");
        self.due = Some(now + pause);
        self.pause = (pause * 2).min(PAUSE_MAX);
    }

    fn settle(&mut self) {
        if self.count() == 0 {
            self.due = None;
            self.pause = PAUSE_MIN;
            self.stored.append(&mut self.waiting);
        }
        self.tally.waiting.store(self.cdrs.len() as u64, Ordering::Relaxed);
    }
}

/// As [`Backlog::part`], of lines of histories.
async fn part_lines(lines: Vec<ConversationEntry>, error: &StoreError, disk: &impl Disk) -> Vec<ConversationEntry> {
    if refuses_everything(error) {
        return lines;
    }
    let mut refused = Vec::new();
    for line in lines {
        match disk.append(&[], std::slice::from_ref(&line)).await {
            Ok(_) => {}
            Err(error @ StoreError::Invalid(_)) => lose_line(&line, &error.to_string()),
            Err(_) => refused.push(line),
        }
    }
    refused
}

/// Gives a line up. Who called whom stands in the call detail record, not in the log.
fn lose_line(line: &ConversationEntry, why: &str) {
    tracing::error!(call = %line.call, why, "a line of a call history is lost");
}

/// Whether no record could have been written, whatever is in it.
const fn refuses_everything(error: &StoreError) -> bool {
    use StoreError::{CannotOpen, Corrupt, DiskFull, Locked, NoPermission};
    matches!(error, NoPermission { .. } | CannotOpen { .. } | DiskFull { .. } | Locked { .. } | Corrupt { .. })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::AtomicBool;

    use base::CallId;

    use super::*;

    /// A disk that is full for a while, and one record that it never takes.
    #[derive(Default)]
    struct FakeDisk {
        full: AtomicBool,
        attempts: AtomicU64,
        written: Mutex<Vec<u64>>,
        lines: Mutex<Vec<u64>>,
    }

    const INVALID: u64 = 666;

    impl FakeDisk {
        fn full() -> Self {
            Self { full: AtomicBool::new(true), ..Self::default() }
        }

        fn free(&self) {
            self.full.store(false, Ordering::Relaxed);
        }

        fn written(&self) -> Vec<u64> {
            self.written.lock().expect("no panic").clone()
        }
    }

    impl Disk for FakeDisk {
        async fn append(&self, cdrs: &[Cdr], lines: &[ConversationEntry]) -> Result<usize, StoreError> {
            self.attempts.fetch_add(1, Ordering::Relaxed);
            if cdrs.iter().any(|cdr| cdr.call == INVALID) {
                return Err(StoreError::Invalid("too long"));
            }
            if self.full.load(Ordering::Relaxed) {
                return Err(StoreError::DiskFull { path: "full.db".into() });
            }
            self.written.lock().expect("no panic").extend(cdrs.iter().map(|cdr| cdr.call));
            self.lines.lock().expect("no panic").extend(lines.iter().map(|line| line.call.0));
            Ok(cdrs.len())
        }
    }

    fn cdrs(calls: impl IntoIterator<Item = u64>) -> Vec<Cdr> {
        let ended = base::Termination::completed(base::TerminationReason::Departed);
        calls.into_iter().map(|call| Cdr { call, ..super::super::segment_of_nobody(ended) }).collect()
    }

    fn backlog(room: usize) -> (Backlog, Arc<CdrTally>) {
        let tally = Arc::new(CdrTally::default());
        (Backlog::new(room, Arc::clone(&tally)), tally)
    }

    #[tokio::test]
    async fn what_a_full_disk_refuses_is_tried_ever_more_rarely_and_written_when_there_is_room() {
        let (disk, (mut backlog, tally)) = (FakeDisk::full(), backlog(1_000));
        let start = Instant::now();
        backlog.write(cdrs([1, 2]), Vec::new(), &[], &disk, start).await;
        assert_eq!((tally.failures(), tally.waiting(), tally.lost()), (1, 2, 0));
        let mut pauses = Vec::new();
        let mut now = start;
        for _ in 0..8 {
            let due = backlog.due().expect("records wait");
            pauses.push((due - now).as_secs());
            now = due;
            backlog.retry(&disk, now).await;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        disk.free();
        backlog.retry(&disk, now).await;
        assert_eq!(disk.written(), [1, 2]);
        assert_eq!((backlog.due(), tally.waiting(), tally.lost()), (None, 0, 0));
        disk.full.store(true, Ordering::Relaxed);
        backlog.write(cdrs([3]), Vec::new(), &[], &disk, now).await;
        assert_eq!(backlog.due(), Some(now + PAUSE_MIN), "the next trouble begins with the shortest pause");
    }

    fn lines(calls: impl IntoIterator<Item = u64>) -> Vec<ConversationEntry> {
        let user = |name: &str| base::UserUri::parse(&format!("sip:{name}@example.com")).expect("valid");
        let line = |call| ConversationEntry {
            user: user("ann"),
            kind: base::ConversationKind::Missed,
            call: CallId(call),
            peer: user("bob"),
            peer_name: None,
            dialled: None,
            answered_by: None,
            started: 1,
            answered: None,
            ended: 2,
            termination: base::Termination::completed(base::TerminationReason::Departed),
            errand: None,
            sip_call_id: None,
        };
        calls.into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn lines_of_histories_wait_for_the_disk_with_the_records() {
        let (disk, (mut backlog, _)) = (FakeDisk::full(), backlog(3));
        let now = Instant::now();
        backlog.write(cdrs([1]), vec![Left::Call(CallId(1))], &lines([1, 2]), &disk, now).await;
        backlog.write(Vec::new(), Vec::new(), &lines([3, 4]), &disk, now).await;
        let due = backlog.due().expect("they wait");
        backlog.retry(&disk, due).await;
        disk.free();
        backlog.retry(&disk, due).await;
        let written = disk.lines.lock().expect("no panic").clone();
        assert_eq!((disk.written(), written), (vec![1], vec![2, 3, 4]), "the oldest makes room");
        assert_eq!((backlog.due(), backlog.take_stored()), (None, Vec::new()), "one line of the call is lost");

        // Without any record a line waits too, and the call is stored with it.
        disk.full.store(true, Ordering::Relaxed);
        backlog.write(Vec::new(), vec![Left::Call(CallId(5))], &lines([5]), &disk, now).await;
        assert_eq!(backlog.take_stored(), Vec::new());
        disk.free();
        backlog.close(&disk, now).await;
        assert_eq!(backlog.take_stored(), [Left::Call(CallId(5))]);

        // What has no record at all is stored with the lines before it.
        let visit = || vec![Left::Visit("v".to_owned())];
        disk.full.store(true, Ordering::Relaxed);
        backlog.write(Vec::new(), Vec::new(), &lines([6]), &disk, now).await;
        backlog.write(Vec::new(), visit(), &[], &disk, now).await;
        assert_eq!(backlog.take_stored(), Vec::new());
        disk.free();
        backlog.close(&disk, now).await;
        assert_eq!(backlog.take_stored(), visit());
    }

    #[tokio::test]
    async fn a_full_disk_is_not_asked_about_each_record() {
        let (disk, (mut backlog, _)) = (FakeDisk::full(), backlog(1_000));
        backlog.write(cdrs(1..=100), Vec::new(), &[], &disk, Instant::now()).await;
        assert_eq!(disk.attempts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_record_that_gets_through_brings_those_that_wait() {
        let (disk, (mut backlog, tally)) = (FakeDisk::full(), backlog(1_000));
        let now = Instant::now();
        backlog.write(cdrs(1..=300), Vec::new(), &[], &disk, now).await;
        disk.free();
        backlog.write(cdrs([301]), Vec::new(), &[], &disk, now).await;
        let mut attempts = 0;
        while backlog.due() == Some(now) {
            backlog.retry(&disk, now).await;
            attempts += 1;
        }
        assert_eq!(attempts, 3, "each attempt is bounded");
        assert_eq!(disk.written(), std::iter::once(301).chain(1..=300).collect::<Vec<_>>());
        assert_eq!((backlog.due(), tally.waiting()), (None, 0));
    }

    /// A call of a group is said to be stored when none of its records waits; when one was given up, it is not.
    #[tokio::test]
    async fn calls_of_groups_are_stored_with_the_last_of_their_records() {
        let (disk, (mut backlog, _)) = (FakeDisk::default(), backlog(3));
        let (now, call) = (Instant::now(), |number| vec![Left::Call(CallId(number))]);
        backlog.write(cdrs([1, 1]), call(1), &[], &disk, now).await;
        assert_eq!((backlog.take_stored(), backlog.take_stored()), (call(1), Vec::new()));
        disk.full.store(true, Ordering::Relaxed);
        backlog.write(cdrs([2, 2]), call(2), &[], &disk, now).await;
        assert_eq!(backlog.take_stored(), Vec::new());
        disk.free();
        backlog.retry(&disk, now).await;
        assert_eq!(backlog.take_stored(), call(2));
        disk.full.store(true, Ordering::Relaxed);
        backlog.write(cdrs([3, 3, 3, 3]), call(3), &[], &disk, now).await;
        disk.free();
        backlog.retry(&disk, now).await;
        assert_eq!(backlog.take_stored(), Vec::new(), "one of its records is in the log alone");
    }

    #[tokio::test]
    async fn the_oldest_is_given_up_for_a_new_one() {
        let (disk, (mut backlog, tally)) = (FakeDisk::full(), backlog(3));
        let now = Instant::now();
        backlog.write(cdrs(1..=5), Vec::new(), &[], &disk, now).await;
        assert_eq!((tally.waiting(), tally.lost()), (3, 2));
        disk.free();
        backlog.retry(&disk, now).await;
        assert_eq!(disk.written(), [3, 4, 5]);
    }

    #[tokio::test]
    async fn one_that_can_never_be_written_holds_no_other_up() {
        let (disk, (mut backlog, tally)) = (FakeDisk::default(), backlog(10));
        backlog.write(cdrs([1, INVALID, 2]), Vec::new(), &[], &disk, Instant::now()).await;
        assert_eq!(disk.written(), [1, 2]);
        assert_eq!((backlog.due(), tally.waiting(), tally.lost()), (None, 0, 1));
    }

    #[tokio::test]
    async fn the_end_of_the_server_writes_what_it_can_and_gives_up_the_rest() {
        let (disk, (mut kept, tally)) = (FakeDisk::full(), backlog(1_000));
        let now = Instant::now();
        kept.write(cdrs(1..=200), Vec::new(), &[], &disk, now).await;
        disk.free();
        kept.close(&disk, now).await;
        assert_eq!((disk.written().len(), tally.lost()), (200, 0));
        let (disk, (mut kept, tally)) = (FakeDisk::full(), backlog(1_000));
        kept.write(cdrs(1..=200), Vec::new(), &[], &disk, now).await;
        kept.close(&disk, now).await;
        assert_eq!((tally.waiting(), tally.lost(), kept.due()), (0, 200, None));
    }
}
