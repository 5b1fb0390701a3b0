//! What some listeners hear otherwise than their program, encoded once for all who hear the same.
//!
//! A branch goes on from a program, or from another branch when its listeners part: where one of them is played a prompt, or
//! wants to hear louder. Whoever heard the same so far and hears the same now stays in the same branch, and branches that
//! have become equal are joined; so the number of encodes grows with what is heard, not with the listeners.

use base::LegId;
use mixer::{Frame, Gain, SILENCE, Sounds, Sum};

use crate::announcement::Cue;
use crate::program::{Program, Programs, Track};
use crate::stream::{Format, Stream, StreamPool};

/// Branches that may begin in one conference at one tick, but for those of talkers; who would need a further one waits for the
/// next tick. It bounds how many a tick has to warm up.
const BEGUN_MAX: usize = 16;

/// What is heard at one tick.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hearing {
    /// What was heard at the last tick.
    pub(crate) program: Program,
    /// What is heard at this one.
    pub(crate) next: Program,
    /// How much louder everything is.
    pub(crate) gain: Gain,
    /// What is played over it.
    pub(crate) cue: Option<Cue>,
    /// The only leg that hears it so.
    pub(crate) alone: Option<LegId>,
}

impl Hearing {
    /// Whether it is what the program is.
    pub(crate) fn is_plain(&self) -> bool {
        self.program == self.next && self.gain.is_neutral() && self.cue.is_none() && self.alone.is_none()
    }
}

/// What a leg asks for.
#[derive(Clone, Copy)]
pub(crate) struct Wish {
    /// The branch it heard at the last tick; without one it heard the program.
    pub(crate) was: Option<usize>,
    pub(crate) format: Format,
    pub(crate) hearing: Hearing,
    /// It cannot wait: it would hear itself.
    pub(crate) must: bool,
}

/// The branches of one conference. Each keeps its place while somebody hears it.
pub(crate) struct Branches {
    branches: Vec<Option<Branch>>,
    /// Those begun at this tick that could have waited.
    begun: usize,
}

struct Branch {
    stream: Box<Stream>,
    /// What is heard in it at this tick; of the last one, until somebody wants it.
    hearing: Hearing,
    /// The tick at which it began, and the branch it went on from, if not from its program.
    begun_at: u64,
    parted_from: Option<usize>,
    /// Somebody hears it at this tick.
    wanted: bool,
    /// An equal one, which its listeners hear from this tick on.
    joined: Option<usize>,
}

impl Branches {
    pub(crate) const fn new() -> Self {
        Self { branches: Vec::new(), begun: 0 }
    }

    /// Between ticks: has room for so many.
    pub(crate) fn make_room(&mut self, room: usize) {
        self.branches.reserve(room.saturating_sub(self.branches.len()));
    }

    /// Begins another tick: joins those that have become equal.
    pub(crate) fn turn(&mut self, tick: u64) {
        self.begun = 0;
        for at in 1..self.branches.len() {
            let (earlier, later) = self.branches.split_at_mut(at);
            let Some(branch) = later[0].as_mut().filter(|branch| branch.may_join(tick)) else { continue };
            let is_equal = |other: &Branch| other.joined.is_none() && other.is_equal(branch);
            branch.joined = earlier.iter().position(|other| other.as_ref().is_some_and(is_equal));
        }
    }

    /// Where the listeners of a branch are from this tick on.
    pub(crate) fn follow(&mut self, at: usize) -> usize {
        let Some(other) = self.get(at).joined else { return at };
        self.get_mut(other).stream.refresh();
        other
    }

    /// Whether the listeners of a branch can hear its program's own stream from this tick on and notice nothing: the two
    /// limiters agree, and the packet that was begun is full.
    pub(crate) fn may_end(&self, at: usize, tick: u64, program: &Track) -> bool {
        let stream = &self.get(at).stream;
        stream.format().begins_packet(tick) && stream.track.limiter == program.limiter_before
    }

    /// Asks for a branch at this tick; `None` when there is none, so that the leg has to wait.
    pub(crate) fn want(&mut self, tick: u64, wish: Wish, programs: &Programs, pool: &mut StreamPool) -> Option<usize> {
        if let Some(at) = wish.was {
            let branch = self.get_mut(at);
            if !branch.wanted {
                (branch.hearing, branch.wanted) = (wish.hearing, true);
            }
            if branch.hearing == wish.hearing {
                return Some(at);
            }
        }
        let fits = |branch: &Branch| {
            let begun = branch.begun_at == tick && branch.parted_from == wish.was;
            begun && branch.hearing == wish.hearing && branch.stream.format() == wish.format
        };
        let known = self.branches.iter().position(|branch| branch.as_ref().is_some_and(fits));
        known.or_else(|| self.begin(tick, wish, programs, pool))
    }

    fn begin(&mut self, tick: u64, wish: Wish, programs: &Programs, pool: &mut StreamPool) -> Option<usize> {
        let mut stream = if wish.must {
            pool.take(wish.format)?
        } else {
            let free = self.begun < BEGUN_MAX;
            let stream = free.then(|| pool.take_counted(wish.format)).flatten()?;
            self.begun += 1;
            stream
        };
        match wish.was {
            Some(at) => stream.track.clone_from(&self.get(at).stream.track),
            None => stream.track.go_on_from(programs.track(wish.hearing.program)),
        }
        let branch =
            Branch { stream, hearing: wish.hearing, begun_at: tick, parted_from: wish.was, wanted: true, joined: None };
        let free = self.branches.iter().position(Option::is_none);
        let at = free.unwrap_or(self.branches.len());
        match self.branches.get_mut(at) {
            Some(place) => *place = Some(branch),
            None => self.branches.push(Some(branch)),
        }
        Some(at)
    }

    /// Makes this tick's part of those that are nobody's alone.
    pub(crate) fn render(&mut self, tick: u64, programs: &Programs, sounds: &Sounds) {
        let shared = self.branches.iter_mut().flatten().filter(|branch| branch.hearing.alone.is_none());
        for branch in shared.filter(|branch| branch.wanted) {
            branch.render(tick, |program| programs.track(program).sum.clone(), None, sounds);
        }
    }

    /// Whether a branch is one leg's alone at this tick.
    pub(crate) fn is_alone(&self, at: usize) -> bool {
        self.get(at).hearing.alone.is_some()
    }

    /// Makes this tick's part of a branch that is one leg's alone: `hears` tells what he hears of a program, and `said` is
    /// said to him.
    pub(crate) fn render_alone(
        &mut self,
        at: usize,
        tick: u64,
        hears: impl Fn(Program) -> Sum,
        said: Option<&Frame>,
        sounds: &Sounds,
    ) {
        self.get_mut(at).render(tick, hears, said, sounds);
    }

    /// The stream of a branch.
    pub(crate) fn stream(&self, at: usize) -> &Stream {
        &self.get(at).stream
    }

    /// Ends the tick: gives back what nobody hears any more.
    pub(crate) fn retire(&mut self, pool: &mut StreamPool) {
        for place in &mut self.branches {
            if let Some(gone) = place.take_if(|branch| !std::mem::take(&mut branch.wanted)) {
                pool.give(gone.stream);
            }
        }
    }

    fn get(&self, at: usize) -> &Branch {
        self.branches[at].as_ref().expect("a branch stays while it has listeners")
    }

    fn get_mut(&mut self, at: usize) -> &mut Branch {
        self.branches[at].as_mut().expect("a branch stays while it has listeners")
    }
}

impl Branch {
    /// Whether its listeners may go over to an equal one at this tick.
    fn may_join(&self, tick: u64) -> bool {
        self.hearing.alone.is_none() && self.stream.format().begins_packet(tick)
    }

    fn is_equal(&self, other: &Self) -> bool {
        let same = self.stream.format() == other.stream.format() && self.hearing == other.hearing;
        same && self.stream.track.limiter == other.stream.track.limiter
    }

    fn render(&mut self, tick: u64, hears: impl Fn(Program) -> Sum, said: Option<&Frame>, sounds: &Sounds) {
        let Hearing { program, next, mut gain, cue, .. } = self.hearing;
        let mut sum = hears(next);
        if program != next {
            sum.fade_from(&hears(program));
        }
        if let Some(frame) = said {
            sum.add(frame);
        }
        if let Some(cue) = cue {
            let mut frame = SILENCE;
            cue.read(sounds, &mut frame);
            sum.add(&frame);
        }
        gain.apply_to_sum(&mut sum);
        self.stream.go_on(tick, &sum, self.begun_at == tick);
    }
}
