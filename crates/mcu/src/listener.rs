//! What one leg hears: a shared stream, or one of its own while something is his alone.

use mixer::{Frame, Gain, Level, SILENCE, Sounds, Sum};

use crate::announcement::Prompts;
use crate::playlist::{Player, Said};
use crate::program::{Program, ProgramSet, Programs};
use crate::shared::SharedStreams;
use crate::stream::{Format, Stream, StreamPool};

/// Silent packets that are sent before the first one is left out.
const SILENT_BEFORE: u32 = 10;
/// Of silent packets, each with such a number is sent: one in 400 ms, as Opus encoders do (RFC 6716 2.1.9).
const SILENT_SENT: u32 = 20;

/// The way of the mix to one leg.
pub(crate) struct Listener {
    /// The format agreed on; `None` while the leg is not sent to.
    format: Option<Format>,
    /// What was heard at the last tick.
    program: Program,
    /// What is to be heard at this tick.
    next: Program,
    route: Route,
    /// A stream for this leg alone.
    private: Option<Box<Stream>>,
    /// The next packet is the first one after a time without.
    begins: bool,
    pub(crate) prompts: Prompts,
    pub(crate) player: Player,
    /// How much louder than it is the leg wants to hear everything.
    pub(crate) gain: Gain,
    /// Packets in a row that held nothing to hear.
    silent_packets: u32,
    /// What the player came to an end with at this tick: whether all was said.
    said: Option<bool>,
}

/// Where a listener is in a pause: nothing that could be heard is in the packet at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// In none.
    No,
    /// With this packet it begins.
    Begins,
    /// It goes on.
    GoesOn,
    /// It goes on, and it is time for a sign of life, so that the way stays open and nobody takes it for lost.
    Renewed,
}

/// Where this tick's packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// There is none.
    None,
    /// The shared stream with this number.
    Shared(usize),
    /// The leg's own stream.
    Private,
}

/// What a leg hears otherwise than the others who hear the same program.
#[derive(Clone, Copy, Default)]
pub(crate) struct Personal<'a> {
    /// It has, or may have at any moment, a part in the mix, which it is not to hear.
    pub(crate) talks: bool,
    /// Its part in this tick's mix.
    pub(crate) own: Option<&'a Frame>,
    /// An announcement it is not to hear.
    pub(crate) hidden: Option<&'a Frame>,
    /// What others say to it alone; present from the first such word until the whisperer has been quiet for a while.
    pub(crate) whispered: Option<&'a Sum>,
}

impl Personal<'_> {
    /// Whether the leg hears anything otherwise than the others, or may at any moment.
    const fn differs(&self) -> bool {
        self.talks || self.own.is_some() || self.hidden.is_some() || self.whispered.is_some()
    }
}

impl Listener {
    pub(crate) fn new() -> Self {
        Self {
            format: None,
            program: Program::Silence,
            next: Program::Silence,
            route: Route::None,
            private: None,
            begins: false,
            prompts: Prompts::new(),
            player: Player::default(),
            gain: Gain::new(),
            silent_packets: 0,
            said: None,
        }
    }

    /// Sets what the leg is sent from this tick on; `None` is nothing.
    pub(crate) fn tune(&mut self, format: Option<Format>, program: Program, pool: &mut StreamPool) {
        if self.format != format {
            self.begins |= self.format.is_none();
            self.format = format;
            self.route = Route::None;
            self.release(pool);
        }
        self.next = program;
        if format.is_none() {
            // Whoever is sent to again begins in silence, so that the mix is faded in.
            self.program = Program::Silence;
            self.prompts.clear();
        }
    }

    /// The programs whose sound is needed at this tick.
    pub(crate) fn needs(&self) -> ProgramSet {
        let mut needed = ProgramSet::default();
        if self.format.is_some() {
            needed.insert(self.program);
            needed.insert(self.next);
        }
        needed
    }

    /// Decides where this tick's packet comes from and asks for it.
    pub(crate) fn plan(
        &mut self,
        tick: u64,
        personal: Personal<'_>,
        programs: &Programs,
        shared: &mut SharedStreams,
        pool: &mut StreamPool,
    ) {
        let Some(format) = self.format else { return };
        if self.must_be_private(tick, format, personal, programs) {
            self.route = if self.begin_private(tick, format, programs, pool) { Route::Private } else { Route::None };
            return;
        }
        self.release(pool);
        let newcomer = !matches!(self.route, Route::Shared(_));
        self.route = shared.want(self.program, format, newcomer, pool).map_or(Route::None, Route::Shared);
    }

    /// A leg has a stream of its own while what it hears differs from its program, until the two limiters agree again,
    /// and until the packet that was begun is full.
    fn must_be_private(&self, tick: u64, format: Format, personal: Personal<'_>, programs: &Programs) -> bool {
        let hears_others = self.program == Program::Common || self.next == Program::Common;
        let differs = hears_others && personal.differs();
        let changes = self.program != self.next;
        let bound = self.private.as_ref().is_some_and(|private| {
            !format.begins_packet(tick) || private.limiter != programs.track(self.program).limiter_before
        });
        let louder = !self.gain.is_neutral();
        differs || changes || bound || louder || self.prompts.is_playing() || self.player.is_sounding()
    }

    fn begin_private(&mut self, tick: u64, format: Format, programs: &Programs, pool: &mut StreamPool) -> bool {
        if self.private.is_none() {
            let Some(mut stream) = pool.take(format) else { return false };
            let track = programs.track(self.program);
            stream.begin(tick, track);
            stream.limiter.clone_from(&track.limiter_before);
            self.private = Some(stream);
        }
        true
    }

    /// Makes this tick's part of the leg's own stream, if it has one.
    pub(crate) fn render_private(&mut self, tick: u64, personal: Personal<'_>, programs: &Programs, sounds: &Sounds) {
        let (program, next) = (self.program, self.next);
        self.program = next;
        let may_say = self.format.is_some() && (self.prompts.is_playing() || !self.player.is_idle());
        if !may_say && self.route != Route::Private {
            return;
        }
        let mut said = SILENCE;
        let says = may_say && self.say(sounds, &mut said);
        let Some(private) = self.private.as_mut().filter(|_| self.route == Route::Private) else { return };
        let mut sum = personal_sum(next, personal, programs);
        if program != next {
            sum.fade_from(&personal_sum(program, personal, programs));
        }
        if says {
            sum.add(&said);
        }
        self.gain.apply_to_sum(&mut sum);
        let mut frame = SILENCE;
        private.limiter.process(&sum, &mut frame);
        private.push(tick, &frame);
    }

    /// Reads the next 20 ms of what is said to this leg; prompts wait for the end of an announcement. While the leg is not
    /// sent to, an announcement waits.
    fn say(&mut self, sounds: &Sounds, frame: &mut Frame) -> bool {
        match self.player.read(frame) {
            Said::Sound => return true,
            Said::End => {
                self.said = Some(true);
                return true;
            }
            Said::Failed => self.said = Some(false),
            Said::Nothing => {}
        }
        self.prompts.read(sounds, frame)
    }

    /// Whether what was announced came to its end at this tick, and was all said; once.
    pub(crate) fn take_said(&mut self) -> Option<bool> {
        self.said.take()
    }

    /// Whether the packet at hand has to be sent to somebody who agreed that silence need not be. Nothing is left out
    /// before nothing has been heard for 200 ms.
    pub(crate) fn pause(&mut self, level: Level) -> Pause {
        if level > Level::SILENT {
            self.begins |= self.silent_packets >= SILENT_BEFORE;
            self.silent_packets = 0;
            return Pause::No;
        }
        self.silent_packets += 1;
        match self.silent_packets {
            ..SILENT_BEFORE => Pause::No,
            SILENT_BEFORE => Pause::Begins,
            later if later.is_multiple_of(SILENT_SENT) => Pause::Renewed,
            _ => Pause::GoesOn,
        }
    }

    /// Whether the packet at hand is the first one after a time without (RFC 3551 4.1); true once.
    pub(crate) fn take_marker(&mut self) -> bool {
        std::mem::take(&mut self.begins)
    }

    /// The stream this tick's packet comes from.
    pub(crate) fn stream<'a>(&'a self, shared: &'a SharedStreams) -> Option<&'a Stream> {
        match self.route {
            Route::None => None,
            Route::Shared(at) => Some(shared.stream(at)),
            Route::Private => self.private.as_deref(),
        }
    }

    /// The format in which the leg is sent to.
    pub(crate) const fn format(&self) -> Option<Format> {
        self.format
    }

    /// Gives the leg's own stream back.
    pub(crate) fn release(&mut self, pool: &mut StreamPool) {
        if let Some(private) = self.private.take() {
            pool.give(private);
        }
    }
}

/// A program as one leg is to hear it: without his own voice and without what is hidden from him.
fn personal_sum(program: Program, personal: Personal<'_>, programs: &Programs) -> Sum {
    let mut sum = programs.track(program).sum.clone();
    if program == Program::Common {
        // With the fault injected everybody hears himself: the load test must notice (`make loadtest-broken`).
        let own = personal.own.filter(|_| cfg!(not(feature = "fault-injection")));
        own.into_iter().chain(personal.hidden).for_each(|frame| sum.subtract(frame));
        if let Some(whispered) = personal.whispered {
            sum.add_sum(whispered);
        }
    }
    sum
}
