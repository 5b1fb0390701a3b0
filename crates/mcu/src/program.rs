//! What can be heard in a conference: three programs, each the same for all who hear it.

use mixer::{FRAME_SAMPLES, Frame, Limiter, SILENCE, Sounds, Sum};

/// What a leg hears, but for what is his alone (his own voice left out, a prompt added).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// Nothing.
    Silence,
    /// The music of those who wait.
    Music,
    /// Everybody who is heard, and announcements.
    Common,
}

/// Frames of the past a track keeps: what a stream needs that begins in the last third of a 60 ms packet.
const PAST: usize = 4;

/// One program's sound: this tick's and a little of the past.
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
    const fn new() -> Self {
        Self {
            sum: Sum::new(),
            limiter: Limiter::new(),
            limiter_before: Limiter::new(),
            frames: [SILENCE; PAST + 1],
            newest: 0,
        }
    }

    /// Makes this tick's frame out of this tick's sum.
    fn advance(&mut self) {
        self.newest = (self.newest + 1) % self.frames.len();
        self.limiter_before.clone_from(&self.limiter);
        self.limiter.process(&self.sum, &mut self.frames[self.newest]);
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

/// The sound of every program at this tick.
pub(crate) struct Programs {
    common: Box<Track>,
    /// Present while somebody hears it.
    music: Option<Box<Track>>,
    music_position: usize,
}

impl Programs {
    pub(crate) fn new() -> Self {
        Self { common: Box::new(Track::new()), music: None, music_position: 0 }
    }

    /// Goes to the next tick: `total` is all that is heard in the conference.
    pub(crate) fn advance(&mut self, total: &Sum, music_wanted: bool, sounds: &Sounds) {
        self.common.sum.clone_from(total);
        self.common.advance();
        if !music_wanted {
            self.music = None;
            self.music_position = 0;
            return;
        }
        let music = self.music.get_or_insert_with(|| Box::new(Track::new()));
        let mut frame = SILENCE;
        sounds.music().read_looped(self.music_position, &mut frame);
        self.music_position = (self.music_position + FRAME_SAMPLES) % sounds.music().len();
        music.sum.clear();
        music.sum.add(&frame);
        music.advance();
    }

    /// The sound of a program. Music that nobody was to hear at this tick is silent.
    pub(crate) fn track(&self, program: Program) -> &Track {
        match program {
            Program::Silence => &SILENT,
            Program::Music => self.music.as_deref().unwrap_or(&SILENT),
            Program::Common => &self.common,
        }
    }
}
