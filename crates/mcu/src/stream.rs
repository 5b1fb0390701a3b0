//! One encoded stream: frames in, packets out.

use std::sync::Arc;

use mcu_api::{Codec, LegMedia};
use mixer::{CodecFactory, Encoder, EncoderSettings, FRAME_MS, FRAME_SAMPLES, Frame, Level, PACKET_BYTES_MAX, Sum};

use crate::idle::Idle;
use crate::program::Track;
use crate::ready::Ready;

/// Frames of the longest packet sent: 60 ms.
const PACKET_FRAMES_MAX: usize = 3;

/// Earlier frames an encoder hears before it goes on with another stream's sound. Two settle its filters.
const WARM_UP_FRAMES: usize = 2;

/// Streams kept for the next talker.
const IDLE_MAX: usize = 32;

/// Opus streams that the conferences of one thread have at most beside those nobody can do without (a mix for those who only
/// listen, and each talker's own). To encode one takes about 70 us, so that so many take half of a tick. The other codecs cost a
/// tenth and are not counted.
const COUNTED_MAX: usize = 128;

/// What the packets of a stream are like. Legs of the same format can share a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Format {
    settings: EncoderSettings,
    /// 20 ms frames in each packet, 1 to 3.
    frames: u8,
}

impl Format {
    /// The format a leg agreed on. Error correction costs bits and time, so there is some only towards a peer that loses
    /// packets.
    pub(crate) fn of(media: &LegMedia, peer_loses: bool) -> Self {
        let frames = (u32::from(media.packet_time_ms) / FRAME_MS).clamp(1, PACKET_FRAMES_MAX as u32) as u8;
        let settings = EncoderSettings::for_mix(media.codec, media.opus_fec && peer_loses);
        Self { settings: settings.limited_to(media.opus_limits), frames }
    }

    const fn codec(self) -> Codec {
        self.settings.codec
    }

    /// Length of one frame in RTP clock units.
    pub(crate) const fn frame_units(self) -> u32 {
        self.codec().clock_rate() * FRAME_MS / 1_000
    }

    /// Length of one packet in RTP clock units.
    pub(crate) const fn packet_units(self) -> u32 {
        self.frame_units() * self.frames as u32
    }

    /// Whether a packet begins with this tick's frame. All streams of one format keep the same beat, so that a leg can
    /// be moved from one to the other.
    pub(crate) const fn begins_packet(self, tick: u64) -> bool {
        tick.is_multiple_of(self.frames as u64)
    }

    /// Whether a packet ends with this tick's frame.
    pub(crate) const fn ends_packet(self, tick: u64) -> bool {
        self.begins_packet(tick + 1)
    }
}

/// An encoder with the packet it is filling and the one it made last.
pub(crate) struct Stream {
    format: Format,
    /// For the stream of a branch: its sound.
    pub(crate) track: Track,
    encoder: Box<dyn Encoder>,
    pcm: [i16; PACKET_FRAMES_MAX * FRAME_SAMPLES],
    filled: usize,
    packet: [u8; PACKET_BYTES_MAX],
    length: usize,
    level: Level,
    /// Length of the last packet, when it held nothing but silence.
    silent: Option<usize>,
    /// The encoder said the same of the last two packets of silence, and so will of a third.
    settled: bool,
    /// One of those that may be refused.
    counted: Option<Arc<()>>,
}

impl Stream {
    /// One that has yet to [`Stream::begin`]; of one frame in a packet.
    pub(crate) fn new(settings: EncoderSettings, encoder: Box<dyn Encoder>) -> Box<Self> {
        Box::new(Self {
            format: Format { settings, frames: 1 },
            track: Track::new(),
            encoder,
            pcm: [0; PACKET_FRAMES_MAX * FRAME_SAMPLES],
            filled: 0,
            packet: [0; PACKET_BYTES_MAX],
            length: 0,
            level: Level::SILENT,
            silent: None,
            settled: false,
            counted: None,
        })
    }

    /// The format of its packets.
    pub(crate) const fn format(&self) -> Format {
        self.format
    }

    /// Begins at this tick, as the continuation of what `track` was until the last one.
    pub(crate) fn begin(&mut self, tick: u64, track: &Track) {
        let waiting = (tick % u64::from(self.format.frames)) as usize;
        let mut heard = [0; WARM_UP_FRAMES * FRAME_SAMPLES];
        copy_past(track, waiting + WARM_UP_FRAMES, &mut heard);
        self.encoder.resume(&heard);
        self.wake();
        self.filled = waiting * FRAME_SAMPLES;
        copy_past(track, waiting, &mut self.pcm[..self.filled]);
        self.length = 0;
    }

    /// Takes this tick's sum into its own sound, and encodes that; it `begins` at this tick or goes on.
    pub(crate) fn go_on(&mut self, tick: u64, sum: &Sum, begins: bool) {
        self.track.advance(sum);
        if begins {
            let track = self.track.clone();
            self.begin(tick, &track);
        }
        let frame = *self.track.frame();
        self.push(tick, &frame);
    }

    /// Makes the next packet decodable for somebody who heard none of the earlier ones.
    pub(crate) fn refresh(&mut self) {
        self.encoder.refresh();
        self.settled = false;
    }

    /// Takes this tick's frame; encodes when a packet is full.
    ///
    /// Silence that lasts is encoded no more: the packet made last says it already, and encoder and listener's decoder
    /// rest in the same state until sound begins again.
    pub(crate) fn push(&mut self, tick: u64, frame: &Frame) {
        self.length = 0;
        let filled = self.filled;
        self.pcm[filled..filled + FRAME_SAMPLES].copy_from_slice(frame);
        self.filled += FRAME_SAMPLES;
        if self.format.ends_packet(tick) {
            self.finish_packet();
            self.filled = 0;
        }
    }

    fn finish_packet(&mut self) {
        let pcm = &self.pcm[..self.filled];
        if pcm.iter().any(|&sample| sample != 0) {
            self.level = Level::measure(pcm);
            self.length = self.encoder.encode(pcm, &mut self.packet).unwrap_or_default();
            return self.wake();
        }
        self.level = Level::SILENT;
        let before = self.silent.unwrap_or_default();
        if !self.settled {
            let mut packet = [0; PACKET_BYTES_MAX];
            let length = self.encoder.encode(pcm, &mut packet).unwrap_or_default();
            self.settled = length > 0 && packet[..length] == self.packet[..before];
            self.packet[..length].copy_from_slice(&packet[..length]);
            self.silent = Some(length);
        }
        self.length = self.silent.unwrap_or_default();
    }

    /// Whatever comes next is encoded.
    fn wake(&mut self) {
        (self.silent, self.settled) = (None, false);
    }

    /// The packet that ended at this tick, with its level.
    pub(crate) fn packet(&self) -> Option<(&[u8], Level)> {
        (self.length > 0).then(|| (&self.packet[..self.length], self.level))
    }
}

/// Copies what `track` was from `ticks_ago` on.
fn copy_past(track: &Track, ticks_ago: usize, to: &mut [i16]) {
    for (ticks_ago, to) in (1..=ticks_ago).rev().zip(to.chunks_exact_mut(FRAME_SAMPLES)) {
        to.copy_from_slice(track.past(ticks_ago));
    }
}

/// Keeps streams for re-use and makes others before they are needed, so that the tick makes none but for a talker whose format
/// nobody expected, or whom too many others preceded at the same tick.
pub(crate) struct StreamPool {
    codecs: Arc<dyn CodecFactory>,
    idle: Idle<Box<Stream>>,
    ready: Ready,
    /// Held by each stream that is counted, so that none is forgotten, whatever becomes of its conference.
    counted: Arc<()>,
    /// Listeners who had to wait for a stream.
    waited: u64,
}

impl StreamPool {
    pub(crate) fn new(codecs: Arc<dyn CodecFactory>) -> Self {
        Self { codecs, idle: Idle::new(IDLE_MAX), ready: Ready::new(), counted: Arc::new(()), waited: 0 }
    }

    /// Another tick begins.
    pub(crate) fn turn(&mut self) {
        self.idle.turn();
        self.ready.turn();
    }

    /// Between ticks: a leg that agreed on this begins.
    pub(crate) fn expect(&mut self, media: &LegMedia) {
        self.ready.expect(Format::of(media, false).settings, true);
        if media.opus_fec {
            self.ready.expect(Format::of(media, true).settings, false);
        }
    }

    /// Between ticks: makes what may be needed at the next ones.
    pub(crate) fn prepare(&mut self) {
        let (idle, codecs) = (&self.idle, &self.codecs);
        self.ready.fill(
            |settings| idle.count(|stream| stream.format.settings == settings),
            |settings| Some(Stream::new(settings, codecs.encoder(settings).ok()?)),
        );
    }

    /// A stream that has yet to [`Stream::begin`], for somebody who cannot wait; `None` when no encoder can be made.
    pub(crate) fn take(&mut self, format: Format) -> Option<Box<Stream>> {
        let codecs = Arc::clone(&self.codecs);
        let made = || Some(Stream::new(format.settings, codecs.encoder(format.settings).ok()?));
        let mut stream = self.waiting(format.settings).or_else(made)?;
        stream.format = format;
        Some(stream)
    }

    /// The same for somebody who can: `None` while there is none but in the making, and while [`COUNTED_MAX`] such streams of
    /// Opus are in use.
    pub(crate) fn take_counted(&mut self, format: Format) -> Option<Box<Stream>> {
        let counts = matches!(format.codec(), Codec::Opus);
        if counts && Arc::strong_count(&self.counted) > COUNTED_MAX {
            return None;
        }
        let mut stream = self.waiting(format.settings)?;
        stream.format = format;
        stream.counted = counts.then(|| Arc::clone(&self.counted));
        Some(stream)
    }

    /// One that is used no more, or was made for whoever comes.
    fn waiting(&mut self, settings: EncoderSettings) -> Option<Box<Stream>> {
        self.ready.note(settings);
        self.idle.take(|stream| stream.format.settings == settings).or_else(|| self.ready.take(settings))
    }

    /// Takes a stream back that is no longer heard.
    pub(crate) fn give(&mut self, mut stream: Box<Stream>) {
        stream.counted = None;
        self.idle.give(stream);
    }

    /// A listener has to wait for a stream.
    pub(crate) fn note_waiting(&mut self) {
        self.waited += 1;
    }

    /// Listeners who had to wait for a stream so far.
    pub(crate) const fn waited(&self) -> u64 {
        self.waited
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use codecs::Codecs;
    use mixer::{PACKET_SAMPLES_MAX, SILENCE};

    use super::*;

    /// What a listener hears, and where the encoder rested.
    fn play(fec: bool, sound: &[Frame], may_rest: bool) -> (Vec<i16>, Vec<bool>) {
        let settings = EncoderSettings::for_mix(Codec::Opus, fec);
        let mut stream = StreamPool::new(Arc::new(Codecs)).take(Format { settings, frames: 1 }).expect("an encoder");
        let mut decoder = Codecs.decoder(Codec::Opus).expect("a decoder");
        let (mut heard, mut rested) = (Vec::new(), Vec::new());
        for (tick, frame) in (0..).zip(sound) {
            rested.push(stream.settled && *frame == SILENCE);
            if !may_rest {
                stream.wake();
            }
            stream.push(tick, frame);
            let (packet, _) = stream.packet().expect("a packet in each tick");
            let mut pcm = [0; PACKET_SAMPLES_MAX];
            let length = decoder.decode(Some(packet), false, &mut pcm).expect("a packet of the codec");
            heard.extend(&pcm[..length]);
        }
        (heard, rested)
    }

    #[test]
    fn streams_that_can_be_done_without_are_counted_whatever_becomes_of_them() {
        let mut pool = StreamPool::new(Arc::new(Codecs));
        let format = |codec| Format { settings: EncoderSettings::for_mix(codec, false), frames: 1 };
        fn take_all(pool: &mut StreamPool, format: Format, streams: &mut Vec<Box<Stream>>) {
            for _ in 0..=COUNTED_MAX {
                pool.prepare();
                streams.extend(pool.take_counted(format));
            }
        }
        let mut streams = Vec::new();
        take_all(&mut pool, format(Codec::Opus), &mut streams);
        assert_eq!(streams.len(), 128);
        assert!(pool.take(format(Codec::Opus)).is_some());
        assert!(pool.take_counted(format(Codec::Pcmu)).is_none(), "nobody expected that");
        pool.prepare();
        assert!(pool.take_counted(format(Codec::Pcmu)).is_some(), "and it is not counted");
        let given = streams.pop().expect("one of them");
        pool.give(given);
        streams.pop();
        take_all(&mut pool, format(Codec::Opus), &mut streams);
        assert_eq!(streams.len(), 128);
    }

    #[test]
    fn silence_that_lasts_is_encoded_no_more_and_nobody_hears_that() {
        let voice = |number: usize| -> Frame {
            std::array::from_fn(|at| {
                let seconds = (number * FRAME_SAMPLES + at) as f64 / 48_000.0;
                let tones =
                    (1..12).map(|harmonic| (TAU * 140.0 * f64::from(harmonic) * seconds).sin() / f64::from(harmonic));
                (4_000.0 * tones.sum::<f64>()) as i16
            })
        };
        let speaks = |number: usize| number % 60 < 20;
        let sound: Vec<Frame> = (0..180).map(|number| if speaks(number) { voice(number) } else { SILENCE }).collect();
        for fec in [false, true] {
            let ((heard, rested), (wanted, _)) = (play(fec, &sound, true), play(fec, &sound, false));
            let resting = rested.iter().filter(|&&rested| rested).count();
            // The library's filter against a constant offset takes a third of a second to come to rest.
            assert!(fec || resting > 60, "the encoder rests in {resting} of 120 silent ticks");
            let energy = |heard: &[i16]| heard.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
            let faint = energy(&wanted[..FRAME_SAMPLES * 10]) / 10.0 / 1_000.0;
            let bend = |heard: &[i16]| {
                heard.windows(3).map(|w| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs()).max()
            };
            let frames = heard.chunks_exact(FRAME_SAMPLES).zip(wanted.chunks_exact(FRAME_SAMPLES)).enumerate();
            for (number, (heard, wanted)) in frames {
                let decibels = 10.0 * ((energy(heard) + faint) / (energy(wanted) + faint)).log10();
                assert!(decibels.abs() < 0.5, "{fec}: frame {number} is {decibels:.2} dB off");
            }
            let (sharpest, calm) = (bend(&heard).expect("sound"), bend(&wanted).expect("sound"));
            assert!(sharpest <= calm * 5 / 4, "{fec}: a click: {sharpest} against {calm}");
        }
    }
}
