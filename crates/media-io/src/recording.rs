//! Recordings: frames leave the tick through a ring, and one thread writes them.
//!
//! A recording is as long as the time from the order to begin to the order to end, to a frame: what a full ring could not
//! take, ticks that were left out, and the time until a busy worker came to it become silence. What goes wrong with a file ends its recording and nothing else.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use base::{ConferenceId, Timestamp};
use mcu::Recorder;
use mcu_api::{McuEvent, RecordingFormat};
use mixer::{CodecFactory, FRAME_MS, FRAME_SAMPLES, Frame, SILENCE};

use crate::events::Events;
use crate::recording_file::{self, RecordingFile};

/// Frames a ring holds: 5 s, longer than a disk stalls.
const RING_FRAMES: usize = 256;
/// Recordings that wait to be begun; a further one fails.
const STARTS_MAX: usize = 256;
/// How often the thread looks for frames.
const LOOK: Duration = Duration::from_millis(200);
/// Frames that may be missing at the beginning, and at the end, without a word: orders come between two ticks, and are
/// obeyed in the next one.
const EDGE_FRAMES: u64 = 2;
/// The longest silence put in for what is missing, in frames: an hour. More is a defect of the clock.
const GAP_MAX: u64 = 3_600 * 1_000 / FRAME_MS as u64;

/// The thread that writes.
pub(crate) struct Recordings {
    /// Taken when it ends.
    starts: Option<SyncSender<Recording>>,
    thread: Option<JoinHandle<()>>,
}

/// A frame and its place in the recording.
struct Timed {
    number: u64,
    frame: Frame,
}

/// The end of a recording that is in the tick.
struct Ring {
    frames: rtrb::Producer<Timed>,
    begun: Timestamp,
    /// Frames the recording should have by now.
    length: Arc<AtomicU64>,
}

impl Recorder for Ring {
    fn record(&mut self, now: Timestamp, frame: &Frame) {
        // A tick that was due before the order came is made up for after it.
        if now < self.begun {
            return;
        }
        let number = frames_until(self.begun, now);
        self.length.store(number + 1, Ordering::Release);
        // A full ring is no reason to wait: the writer fills what is missing with silence.
        let _ = self.frames.push(Timed { number, frame: *frame });
    }

    fn end(&mut self, at: Timestamp) {
        self.length.fetch_max(frames_until(self.begun, at), Ordering::AcqRel);
    }
}

/// Whole frames from one time to another.
fn frames_until(begun: Timestamp, at: Timestamp) -> u64 {
    (at.since(begun).as_micros() / (u128::from(FRAME_MS) * 1_000)) as u64
}

impl Recordings {
    /// Starts the thread; files go into `folder`.
    pub(crate) fn start(
        folder: Option<PathBuf>,
        codecs: Arc<dyn CodecFactory>,
        events: Arc<Events>,
    ) -> io::Result<Self> {
        for file in folder.iter().flat_map(|folder| recording_file::recover(folder)) {
            tracing::warn!(file, "a recording that an earlier process did not complete was found and given this name");
        }
        let (starts, inbox) = sync_channel(STARTS_MAX);
        let writer = Writer { folder, codecs, events, running: Vec::new() };
        let thread = std::thread::Builder::new().name("recordings".to_owned()).spawn(move || writer.run(&inbox))?;
        Ok(Self { starts: Some(starts), thread: Some(thread) })
    }

    /// Begins a recording `at` that time; its end in the tick. When it cannot be begun, gives what is to be reported.
    pub(crate) fn begin(
        &self,
        at: Timestamp,
        conference: &ConferenceId,
        name: &str,
        format: RecordingFormat,
    ) -> Result<Box<dyn Recorder>, McuEvent> {
        let (frames, inbox) = rtrb::RingBuffer::new(RING_FRAMES);
        let length = Arc::new(AtomicU64::new(0));
        let recording = Recording {
            conference: conference.clone(),
            name: name.to_owned(),
            format,
            frames: inbox,
            wanted: Arc::clone(&length),
            file: None,
            written: 0,
            missing: 0,
            error: None,
        };
        let begun = self.starts.as_ref().is_some_and(|starts| starts.try_send(recording).is_ok());
        if !begun {
            return Err(refusal(conference, name, "too many recordings begin at once"));
        }
        Ok(Box::new(Ring { frames, begun: at, length }))
    }
}

/// What is reported of a recording that did not come about.
pub(crate) fn refusal(conference: &ConferenceId, name: &str, why: &str) -> McuEvent {
    McuEvent::RecordingEnded {
        conference: conference.clone(),
        file: name.to_owned(),
        length_ms: 0,
        error: Some(why.to_owned()),
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        self.starts = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that writes recordings ended by a defect");
        }
    }
}

/// What the thread holds.
struct Writer {
    folder: Option<PathBuf>,
    codecs: Arc<dyn CodecFactory>,
    events: Arc<Events>,
    running: Vec<Recording>,
}

/// One recording, as the thread sees it.
struct Recording {
    conference: ConferenceId,
    name: String,
    format: RecordingFormat,
    frames: rtrb::Consumer<Timed>,
    /// Frames it should have.
    wanted: Arc<AtomicU64>,
    file: Option<RecordingFile>,
    written: u64,
    /// Frames that were put in as silence.
    missing: u64,
    error: Option<String>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Recording>) {
        let mut open = true;
        while open || !self.running.is_empty() {
            match inbox.recv_timeout(LOOK) {
                Ok(recording) => self.open(recording),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    // Nothing begins any more; those that run end with their conferences, which is before this.
                    if std::mem::take(&mut open) {
                        continue;
                    }
                    std::thread::sleep(LOOK);
                }
            }
            self.write_all();
        }
    }

    fn open(&mut self, mut recording: Recording) {
        let Self { folder, codecs, .. } = self;
        let opened = match folder {
            Some(folder) => RecordingFile::create(folder, &recording.name, recording.format, &**codecs),
            None => Err(io::Error::new(io::ErrorKind::NotFound, "no recordings_dir is configured")),
        };
        match opened {
            Ok(file) => recording.file = Some(file),
            Err(error) => recording.fail(&error),
        }
        self.running.push(recording);
    }

    fn write_all(&mut self) {
        for recording in &mut self.running {
            // Asked before the ring is emptied, so that nothing pushed before the end is left behind.
            recording.write();
        }
        // One that failed is over at once, so that nobody is told any longer that he is recorded.
        let over = |recording: &mut Recording| {
            recording.error.is_some() || (recording.frames.is_abandoned() && recording.frames.is_empty())
        };
        let events = &self.events;
        for recording in self.running.extract_if(.., over) {
            events.tell(recording.finish());
        }
    }
}

impl Recording {
    fn write(&mut self) {
        // After a failure nothing is written, and nothing counts as written.
        while self.error.is_none()
            && let Ok(Timed { number, frame }) = self.frames.pop()
        {
            let at_edge = self.written == 0;
            let silent = self.pad(number);
            self.count_missing(silent, at_edge);
            if number >= self.written && self.error.is_none() {
                self.put(&frame);
            }
        }
    }

    /// Fills with silence up to a frame; says how many frames that took.
    fn pad(&mut self, until: u64) -> u64 {
        let (begun, until) = (self.written, until.min(self.written + GAP_MAX));
        while self.written < until && self.error.is_none() {
            self.put(&SILENCE);
        }
        self.written - begun
    }

    fn count_missing(&mut self, frames: u64, at_edge: bool) {
        if !at_edge || frames > EDGE_FRAMES {
            self.missing += frames;
        }
    }

    /// Gives it the length it should have.
    fn complete(&mut self) {
        if self.error.is_none() {
            let silent = self.pad(self.wanted.load(Ordering::Acquire));
            self.count_missing(silent, true);
        }
    }

    fn put(&mut self, frame: &Frame) {
        self.written += 1;
        let outcome = self.file.as_mut().map_or(Ok(()), |file| file.write(frame));
        if let Err(error) = outcome {
            self.written -= 1;
            self.fail(&error);
        }
    }

    /// What follows is thrown away; what was written stays.
    fn fail(&mut self, error: &io::Error) {
        if self.error.is_none() {
            tracing::error!(conference = %self.conference, %error, "a recording failed");
            self.error = Some(error.to_string());
            self.finish_file();
        }
    }

    fn finish_file(&mut self) {
        let Some(file) = self.file.take() else { return };
        let safe = file.safe();
        let (name, completed) = file.finish(self.error.is_none());
        self.name = name;
        if let Err(error) = completed {
            self.error.get_or_insert_with(|| error.to_string());
        }
        if self.error.is_some() {
            self.written = safe;
        }
    }

    fn finish(mut self) -> McuEvent {
        self.complete();
        self.finish_file();
        if self.missing > 0 {
            tracing::warn!(conference = %self.conference, frames = self.missing, "silence was recorded in place of sound");
        }
        let length_ms = self.written * u64::from(FRAME_MS);
        McuEvent::RecordingEnded { conference: self.conference, file: self.name, length_ms, error: self.error }
    }
}

const _: () = assert!(FRAME_SAMPLES == 960, "a frame is 20 ms at 48 kHz");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A recording to which the ticks gave these frames.
    fn with_frames(numbers: impl IntoIterator<Item = u64>, file: Option<RecordingFile>) -> Recording {
        let (mut frames, inbox) = rtrb::RingBuffer::new(RING_FRAMES);
        for number in numbers {
            let pushed = frames.push(Timed { number, frame: SILENCE });
            assert!(pushed.is_ok(), "room for all");
        }
        Recording {
            conference: ConferenceId::parse("RECORDED").expect("valid"),
            name: "talk".to_owned(),
            format: RecordingFormat::Wav,
            frames: inbox,
            wanted: Arc::default(),
            file,
            written: 0,
            missing: 0,
            error: None,
        }
    }

    #[test]
    fn of_a_recording_that_fails_before_its_first_sound_nothing_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut recording = with_frames([3], Some(RecordingFile::on_a_full_disk(folder.path())));
        recording.write();
        assert_eq!((recording.written, recording.missing, recording.error.is_some()), (0, 0, true));
    }

    /// The orders to begin and to end wait for a tick; sound is missing where more than that is silent.
    #[test]
    fn only_sound_that_was_lost_counts_as_missing() {
        for (first, last, wanted, left_out, missing) in [
            (0, 9, 10, 99, 0),
            (1, 9, 11, 99, 0),
            (2, 9, 12, 99, 0),
            (3, 9, 10, 99, 3),
            (0, 9, 13, 99, 3),
            (1, 9, 10, 5, 1),
        ] {
            let mut recording = with_frames((first..=last).filter(|&number| number != left_out), None);
            recording.wanted.store(wanted, Ordering::Release);
            recording.write();
            recording.complete();
            assert_eq!((recording.written, recording.missing), (wanted, missing), "from {first} to {last} of {wanted}");
        }
    }

    proptest! {
        /// Whatever ticks are late or left out, and however long the orders lie in the queue.
        #[test]
        fn a_recording_has_the_length_of_the_time_it_took(
            begun_us in 0_u64..100_000,
            first_us in 0_u64..100_000,
            left_out in prop::collection::vec(any::<bool>(), 0..100),
            rest_us in 0_u64..200_000,
        ) {
            let (frames, mut taken) = rtrb::RingBuffer::new(RING_FRAMES);
            let length = Arc::new(AtomicU64::new(0));
            let begun = Timestamp::from_micros(begun_us);
            let mut ring = Ring { frames, begun, length: Arc::clone(&length) };
            let mut now_us = first_us;
            let mut last_us = begun_us;
            for left_out in left_out {
                if !left_out {
                    ring.record(Timestamp::from_micros(now_us), &SILENCE);
                    last_us = last_us.max(now_us);
                }
                now_us += 20_000;
            }
            let end_us = last_us + rest_us;
            ring.end(Timestamp::from_micros(end_us));
            let recorded_us = length.load(Ordering::Acquire) * 20_000;
            prop_assert!(recorded_us.abs_diff(end_us - begun_us) <= 20_000, "{recorded_us} of {}", end_us - begun_us);
            let mut next = 0;
            while let Ok(Timed { number, .. }) = taken.pop() {
                prop_assert!(number >= next, "each frame has its own place");
                next = number + 1;
            }
        }
    }
}
