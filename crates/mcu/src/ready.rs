//! Streams that are made before they are needed, so that the tick makes none.

use mixer::EncoderSettings;

use crate::idle::KEPT_TICKS;
use crate::stream::Stream;

/// Formats whose streams are made before they are needed; a further one takes the place of that which was not for the longest.
const FORMATS_MAX: usize = 8;

/// Streams of a format that wait while it is in demand: so many may begin at one tick, in all conferences of the thread.
const IN_DEMAND: usize = 4;

/// Streams that wait of a format which was not needed for long, or never.
const AT_REST: usize = 1;

/// Streams that are made at most between two ticks.
const MADE_MAX: usize = 8;

/// The streams that wait.
pub(crate) struct Ready {
    formats: Vec<Waiting>,
    /// A format that was needed and is not among them.
    unknown: Option<EncoderSettings>,
    tick: u64,
}

/// Those of one format.
struct Waiting {
    settings: EncoderSettings,
    streams: Vec<Box<Stream>>,
    /// When one was needed last.
    needed: Option<u64>,
}

impl Ready {
    pub(crate) fn new() -> Self {
        Self { formats: Vec::with_capacity(FORMATS_MAX), unknown: None, tick: 0 }
    }

    /// Another tick begins.
    pub(crate) const fn turn(&mut self) {
        self.tick += 1;
    }

    /// Between ticks: streams of this format will be needed, `now` or perhaps later.
    pub(crate) fn expect(&mut self, settings: EncoderSettings, now: bool) {
        let needed = now.then_some(self.tick);
        if let Some(known) = self.formats.iter_mut().find(|known| known.settings == settings) {
            known.needed = known.needed.max(needed);
            return;
        }
        if self.formats.len() == FORMATS_MAX {
            let longest = self.formats.iter().enumerate().min_by_key(|(_, known)| known.needed).map(|(at, _)| at);
            longest.into_iter().for_each(|at| drop(self.formats.swap_remove(at)));
        }
        self.formats.push(Waiting { settings, streams: Vec::with_capacity(IN_DEMAND), needed });
    }

    /// A stream of this format is needed.
    pub(crate) fn note(&mut self, settings: EncoderSettings) {
        match self.formats.iter_mut().find(|known| known.settings == settings) {
            Some(known) => known.needed = Some(self.tick),
            None => self.unknown = Some(settings),
        }
    }

    /// One that waits.
    pub(crate) fn take(&mut self, settings: EncoderSettings) -> Option<Box<Stream>> {
        self.formats.iter_mut().find(|known| known.settings == settings)?.streams.pop()
    }

    /// Between ticks: makes those that are missing beside the ones `idle` elsewhere, and gives up those that are too many.
    pub(crate) fn fill(
        &mut self,
        idle: impl Fn(EncoderSettings) -> usize,
        make: impl Fn(EncoderSettings) -> Option<Box<Stream>>,
    ) {
        if let Some(settings) = self.unknown.take() {
            self.expect(settings, true);
        }
        let mut left = MADE_MAX;
        for known in &mut self.formats {
            let in_demand = known.needed.is_some_and(|needed| needed + KEPT_TICKS >= self.tick);
            let wanted = if in_demand { IN_DEMAND } else { AT_REST };
            known.streams.truncate(wanted);
            let missing = wanted.saturating_sub(known.streams.len() + idle(known.settings)).min(left);
            let before = known.streams.len();
            known.streams.extend((0..missing).map_while(|_| make(known.settings)));
            left -= known.streams.len() - before;
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::Codecs;
    use mcu_api::{Codec, OpusLimits};
    use mixer::CodecFactory;

    use super::*;

    fn settings(bitrate: Option<u32>) -> EncoderSettings {
        EncoderSettings::for_mix(Codec::Opus, false).limited_to(OpusLimits { bitrate, playback_rate: None })
    }

    fn make(settings: EncoderSettings) -> Option<Box<Stream>> {
        Some(Stream::new(settings, Codecs.encoder(settings).ok()?))
    }

    fn waiting(ready: &Ready) -> Vec<usize> {
        ready.formats.iter().map(|known| known.streams.len()).collect()
    }

    #[test]
    fn many_wait_while_they_are_in_demand_and_one_afterwards() {
        let mut ready = Ready::new();
        ready.expect(settings(None), false);
        ready.fill(|_| 0, make);
        assert_eq!(waiting(&ready), [1], "perhaps later");
        assert!(ready.take(settings(None)).is_some() && ready.take(settings(None)).is_none());
        ready.note(settings(None));
        ready.fill(|_| 3, make);
        assert_eq!(waiting(&ready), [1], "three are idle");
        ready.fill(|_| 0, make);
        assert_eq!(waiting(&ready), [4]);
        (0..=KEPT_TICKS).for_each(|_| ready.turn());
        ready.fill(|_| 0, make);
        assert_eq!(waiting(&ready), [1]);
    }

    #[test]
    fn few_are_made_at_a_time_and_of_few_formats() {
        let mut ready = Ready::new();
        let known: Vec<_> = OpusLimits::BITRATES[..3].iter().map(|&rate| settings(Some(rate))).collect();
        known.iter().for_each(|&settings| ready.expect(settings, true));
        ready.fill(|_| 0, make);
        assert_eq!(waiting(&ready), [4, 4, 0]);
        ready.fill(|_| 0, make);
        assert_eq!(waiting(&ready), [4, 4, 4]);

        ready.turn();
        known.iter().skip(1).for_each(|&settings| ready.note(settings));
        let others =
            (0..6).map(|n| EncoderSettings { fec: n % 2 == 1, ..settings(Some(OpusLimits::BITRATES[3 + n / 2])) });
        for settings in others {
            assert!(ready.take(settings).is_none());
            ready.note(settings);
            ready.fill(|_| 0, make);
        }
        let stays = |settings| ready.formats.iter().any(|known| known.settings == settings);
        assert_eq!((ready.formats.len(), stays(known[0]), stays(known[1])), (FORMATS_MAX, false, true));
    }
}
