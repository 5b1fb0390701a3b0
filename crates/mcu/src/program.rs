//! What can be heard in a conference: its programs, each the same for all who hear it.

use std::sync::Arc;

use mixer::{Clip, FRAME_SAMPLES, Frame, Limiter, SILENCE, Sounds, Sum};

use crate::playlist::Playlist;

/// What a leg hears, but for what is his alone (his own voice left out, a prompt added).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Nothing.
    Silence,
    /// The music of those who wait.
    Music,
    /// The tone that says that it rings elsewhere.
    Ringback,
    /// The operator's own music, by its place in [`Programs`].
    File(u8),
    /// Everybody who is heard, and announcements.
    Common,
}

/// Some of the programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProgramSet(u16);

impl ProgramSet {
    /// Adds a program.
    pub(crate) const fn insert(&mut self, program: Program) {
        self.0 |= Self::bit(program);
    }

    /// Adds those of another set.
    pub(crate) const fn add(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// Whether a program is among them.
    pub(crate) const fn contains(self, program: Program) -> bool {
        self.0 & Self::bit(program) != 0
    }

    const fn bit(program: Program) -> u16 {
        match program {
            Program::Silence => 1,
            Program::Music => 1 << 1,
            Program::Ringback => 1 << 2,
            Program::Common => 1 << 3,
            // At most FILES_MAX of them.
            Program::File(at) => 1 << (4 + at),
        }
    }
}

/// Frames of the past a track keeps: what a stream needs that begins in the last third of a 60 ms packet.
const PAST: usize = 4;

/// The sound of a program, or of a branch of one: this tick's and a little of the past.
#[derive(Clone)]
pub(crate) struct Track {
    /// This tick's sum, before the limiter.
    pub(crate) sum: Sum,
    /// The limiter after this tick, and as it was before it.
    pub(crate) limiter: Limiter,
    pub(crate) limiter_before: Limiter,
    frames: [Frame; PAST + 1],
    newest: usize,
}

impl Track {
    /// One that was silent so far.
    pub(crate) const fn new() -> Self {
        Self {
            sum: Sum::new(),
            limiter: Limiter::new(),
            limiter_before: Limiter::new(),
            frames: [SILENCE; PAST + 1],
            newest: 0,
        }
    }

    /// Goes on with this tick's sum: makes its frame.
    pub(crate) fn advance(&mut self, sum: &Sum) {
        self.sum.clone_from(sum);
        self.newest = (self.newest + 1) % self.frames.len();
        self.limiter_before.clone_from(&self.limiter);
        self.limiter.process(&self.sum, &mut self.frames[self.newest]);
    }

    /// Becomes what `other`, which has advanced at this tick, was before it.
    pub(crate) fn go_on_from(&mut self, other: &Self) {
        self.clone_from(other);
        self.limiter.clone_from(&other.limiter_before);
        self.newest = (other.newest + other.frames.len() - 1) % other.frames.len();
    }

    /// This tick's frame.
    pub(crate) const fn frame(&self) -> &Frame {
        &self.frames[self.newest]
    }

    /// The frame of `ticks_ago`, 1 to 4.
    pub(crate) fn past(&self, ticks_ago: usize) -> &Frame {
        debug_assert!((1..=PAST).contains(&ticks_ago));
        &self.frames[(self.newest + self.frames.len() - ticks_ago) % self.frames.len()]
    }
}

static SILENT: Track = Track::new();

/// Files of the operator's that can be heard in one conference at a time; a further one is silence.
const FILES_MAX: usize = 8;

/// The sound of every program at this tick.
pub(crate) struct Programs {
    common: Box<Track>,
    music: Loop,
    ringback: Loop,
    files: Vec<Option<FileLoop>>,
}

/// Something that is heard over and over.
struct Loop {
    /// Present while somebody hears it.
    track: Option<Box<Track>>,
    position: usize,
}

struct FileLoop {
    name: String,
    sound: Arc<Playlist>,
    play: Loop,
}

impl Programs {
    pub(crate) fn new() -> Self {
        Self { common: Box::new(Track::new()), music: Loop::new(), ringback: Loop::new(), files: Vec::new() }
    }

    /// The program of a file; whoever hears the same file hears the same program.
    pub(crate) fn file(&mut self, name: &str, sound: Arc<Playlist>) -> Program {
        let known = self.files.iter().position(|file| file.as_ref().is_some_and(|file| file.name == name));
        let free = || self.files.iter().position(Option::is_none);
        let at = known.or_else(free).unwrap_or(self.files.len());
        if at == FILES_MAX {
            return Program::Silence;
        }
        if at == self.files.len() {
            self.files.push(None);
        }
        self.files[at].get_or_insert_with(|| FileLoop { name: name.to_owned(), sound, play: Loop::new() });
        Program::File(at as u8)
    }

    /// Forgets the files that nobody is to hear any more.
    pub(crate) fn keep_files(&mut self, wanted: ProgramSet) {
        for (at, file) in self.files.iter_mut().enumerate() {
            file.take_if(|_| !wanted.contains(Program::File(at as u8)));
        }
    }

    /// Goes to the next tick: `total` is all that is heard in the conference.
    pub(crate) fn advance(&mut self, total: &Sum, sounds: &Sounds, wanted: ProgramSet) {
        self.common.advance(total);
        self.music.advance(wanted.contains(Program::Music), Some(sounds.music()));
        self.ringback.advance(wanted.contains(Program::Ringback), Some(sounds.ringback()));
        for (at, file) in self.files.iter_mut().enumerate() {
            if let Some(file) = file {
                file.play.advance(wanted.contains(Program::File(at as u8)), file.sound.single());
            }
        }
    }

    /// This tick's frame of all that is heard in the conference.
    pub(crate) const fn common(&self) -> &Frame {
        self.common.frame()
    }

    /// The sound of a program. What nobody was to hear at this tick is silent.
    pub(crate) fn track(&self, program: Program) -> &Track {
        let looped = match program {
            Program::Silence => return &SILENT,
            Program::Common => return &self.common,
            Program::Music => Some(&self.music),
            Program::Ringback => Some(&self.ringback),
            Program::File(at) => self.files.get(usize::from(at)).and_then(Option::as_ref).map(|file| &file.play),
        };
        looped.and_then(|looped| looped.track.as_deref()).unwrap_or(&SILENT)
    }
}

impl Loop {
    const fn new() -> Self {
        Self { track: None, position: 0 }
    }

    /// Goes to the next tick. Whoever comes after a time in which nobody heard it hears it from its beginning.
    fn advance(&mut self, wanted: bool, clip: Option<&Clip>) {
        let Some(clip) = clip.filter(|_| wanted) else {
            *self = Self::new();
            return;
        };
        let track = self.track.get_or_insert_with(|| Box::new(Track::new()));
        let mut frame = SILENCE;
        clip.read_looped(self.position, &mut frame);
        self.position = (self.position + FRAME_SAMPLES) % clip.len();
        let mut sum = Sum::new();
        sum.add(&frame);
        track.advance(&sum);
    }
}
