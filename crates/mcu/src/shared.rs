//! The streams that many listeners share.

use crate::branch::Branches;
use crate::listener::Mix;
use crate::program::Program;
use crate::stream::{Format, Stream, StreamPool};

/// Ticks after which a stream nobody hears is given back: 5 s.
const UNHEARD_TICKS: u64 = 250;

/// Streams and branches there is room for from the start, in a conference of as many legs.
const ROOM_MAX: usize = 32;

/// For each program and format that is heard, one stream; and the branches of the programs.
pub(crate) struct SharedStreams {
    streams: Vec<Shared>,
    pub(crate) branches: Branches,
}

struct Shared {
    program: Program,
    stream: Box<Stream>,
    /// Somebody hears it at this tick.
    wanted: bool,
    /// The tick at which it was heard last.
    heard_at: Option<u64>,
}

impl SharedStreams {
    pub(crate) const fn new() -> Self {
        Self { streams: Vec::new(), branches: Branches::new() }
    }

    /// Between ticks: a conference of so many legs needs no more memory at a tick than it has now, unless they hear more
    /// different things than is usual.
    pub(crate) fn make_room(&mut self, legs: usize) {
        let room = legs.min(ROOM_MAX);
        self.streams.reserve(room.saturating_sub(self.streams.len()));
        self.branches.make_room(room);
    }

    /// Asks for a program in a format at this tick; a `newcomer` did not hear this stream at the last one. Answers where
    /// [`SharedStreams::packet`] will have it, or `None` when no encoder can be made.
    pub(crate) fn want(
        &mut self,
        program: Program,
        format: Format,
        newcomer: bool,
        pool: &mut StreamPool,
    ) -> Option<usize> {
        let known = self.streams.iter().position(|one| one.program == program && one.stream.format() == format);
        let at = match known {
            Some(at) => at,
            None => {
                let stream = pool.take(format)?;
                self.streams.push(Shared { program, stream, wanted: false, heard_at: None });
                self.streams.len() - 1
            }
        };
        let shared = &mut self.streams[at];
        shared.wanted = true;
        if newcomer {
            shared.stream.refresh();
        }
        Some(at)
    }

    /// Encodes this tick's frame of every stream that was asked for, but for what one leg hears alone.
    pub(crate) fn encode(&mut self, tick: u64, mix: &Mix<'_>) {
        self.branches.render(tick, mix.programs, mix.sounds);
        for shared in self.streams.iter_mut().filter(|shared| shared.wanted) {
            let track = mix.programs.track(shared.program);
            if shared.heard_at.is_none_or(|heard_at| heard_at + 1 != tick) {
                shared.stream.begin(tick, track);
            }
            shared.stream.push(tick, track.frame());
            shared.heard_at = Some(tick);
        }
    }

    /// The stream [`SharedStreams::want`] told of.
    pub(crate) fn stream(&self, at: usize) -> &Stream {
        &self.streams[at].stream
    }

    /// Ends the tick: gives back what has not been heard for long.
    pub(crate) fn retire(&mut self, tick: u64, pool: &mut StreamPool) {
        self.branches.retire(pool);
        let mut at = 0;
        while let Some(shared) = self.streams.get_mut(at) {
            shared.wanted = false;
            if shared.heard_at.is_some_and(|heard_at| heard_at + UNHEARD_TICKS >= tick) {
                at += 1;
            } else {
                pool.give(self.streams.swap_remove(at).stream);
            }
        }
    }
}
