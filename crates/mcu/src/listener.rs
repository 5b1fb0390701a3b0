//! What one leg hears: its program's stream, or a branch while something is otherwise for him.

use base::LegId;
use mixer::{Frame, Gain, Level, SILENCE, Sounds, Sum};

use crate::announcement::Prompts;
use crate::branch::{Hearing, Wish};
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
    /// It has to wait for a branch, and hears what others hear.
    waits: bool,
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
    /// The branch in this place.
    Branch(usize),
}

/// What there is to hear at this tick.
pub(crate) struct Mix<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) sounds: &'a Sounds,
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
            begins: false,
            prompts: Prompts::new(),
            player: Player::default(),
            gain: Gain::new(),
            silent_packets: 0,
            said: None,
            waits: false,
        }
    }

    /// Sets what the leg is sent from this tick on; `None` is nothing.
    pub(crate) fn tune(&mut self, format: Option<Format>, program: Program) {
        if self.format != format {
            self.begins |= self.format.is_none();
            self.format = format;
            self.route = Route::None;
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
        leg: LegId,
        personal: Personal<'_>,
        mix: &Mix<'_>,
        shared: &mut SharedStreams,
        pool: &mut StreamPool,
    ) {
        let Some(format) = self.format else { return };
        let hears_others = self.program == Program::Common || self.next == Program::Common;
        let must = hears_others && personal.differs();
        let hearing = self.hearing(leg, must, mix.sounds);
        let was = match self.route {
            Route::Branch(at) => Some(shared.branches.follow(at)),
            Route::None | Route::Shared(_) => None,
        };
        let may_end = |at| shared.branches.may_end(at, tick, mix.programs.track(self.program));
        let is_common = hearing.is_plain() && was.is_none_or(may_end);
        let wish = Wish { was, format, hearing, must };
        let branch = (!is_common).then(|| shared.branches.want(tick, wish, mix.programs, pool)).flatten();
        let waits = !is_common && !must && branch.is_none();
        if waits && !self.waits {
            pool.note_waiting();
        }
        self.waits = waits;
        self.program = self.next;
        self.route = if let Some(at) = branch {
            self.gain.settle();
            if hearing.cue.is_some() {
                self.prompts.advance();
            }
            Route::Branch(at)
        } else if must {
            Route::None
        } else {
            let newcomer = !matches!(self.route, Route::Shared(_));
            shared.want(self.program, format, newcomer, pool).map_or(Route::None, Route::Shared)
        };
    }

    /// What is to be heard at this tick. Prompts wait for the end of an announcement.
    fn hearing(&mut self, leg: LegId, differs: bool, sounds: &Sounds) -> Hearing {
        let announced = self.player.is_sounding();
        Hearing {
            program: self.program,
            next: self.next,
            gain: self.gain,
            cue: if announced { None } else { self.prompts.cue(sounds) },
            alone: (differs || announced).then_some(leg),
        }
    }

    /// Makes this tick's part of a branch that is the leg's alone, and gives up an announcement that cannot be played.
    pub(crate) fn render_alone(
        &mut self,
        tick: u64,
        personal: Personal<'_>,
        mix: &Mix<'_>,
        shared: &mut SharedStreams,
    ) {
        if self.format.is_some() && self.player.give_up() {
            self.said = Some(false);
        }
        let Route::Branch(at) = self.route else { return };
        if !shared.branches.is_alone(at) {
            return;
        }
        let mut frame = SILENCE;
        let said = self.player.read(&mut frame);
        self.said = self.said.or((said == Said::End).then_some(true));
        let said = matches!(said, Said::Sound | Said::End).then_some(&frame);
        shared.branches.render_alone(
            at,
            tick,
            |program| personal_sum(program, personal, mix.programs),
            said,
            mix.sounds,
        );
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
            Route::Branch(at) => Some(shared.branches.stream(at)),
        }
    }

    /// The format in which the leg is sent to.
    pub(crate) const fn format(&self) -> Option<Format> {
        self.format
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
