//! One encoded stream: frames in, packets out.

use std::sync::Arc;

use mcu_api::{Codec, LegMedia};
use mixer::{CodecFactory, Encoder, EncoderSettings, FRAME_MS, FRAME_SAMPLES, Frame, Level, Limiter, PACKET_BYTES_MAX};

use crate::program::Track;

/// Frames of the longest packet sent: 60 ms.
const PACKET_FRAMES_MAX: usize = 3;

/// Earlier frames an encoder hears before it goes on with another stream's sound. Two settle its filters.
const WARM_UP_FRAMES: usize = 2;

/// Streams kept for the next talker: as many as can be heard at once.
const IDLE_MAX: usize = mixer::HEARD_MAX;

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
        Self { settings: EncoderSettings::for_mix(media.codec, media.opus_fec && peer_loses), frames }
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
    /// For a stream of one leg alone: it began as its program's.
    pub(crate) limiter: Limiter,
    encoder: Box<dyn Encoder>,
    pcm: [i16; PACKET_FRAMES_MAX * FRAME_SAMPLES],
    filled: usize,
    packet: [u8; PACKET_BYTES_MAX],
    length: usize,
    level: Level,
}

impl Stream {
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
        self.filled = waiting * FRAME_SAMPLES;
        copy_past(track, waiting, &mut self.pcm[..self.filled]);
        self.length = 0;
    }

    /// Makes the next packet decodable for somebody who heard none of the earlier ones.
    pub(crate) fn refresh(&mut self) {
        self.encoder.refresh();
    }

    /// Takes this tick's frame; encodes when a packet is full.
    pub(crate) fn push(&mut self, tick: u64, frame: &Frame) {
        self.length = 0;
        let filled = self.filled;
        self.pcm[filled..filled + FRAME_SAMPLES].copy_from_slice(frame);
        self.filled += FRAME_SAMPLES;
        if self.format.ends_packet(tick) {
            let pcm = &self.pcm[..self.filled];
            self.level = Level::measure(pcm);
            self.length = self.encoder.encode(pcm, &mut self.packet).unwrap_or_default();
            self.filled = 0;
        }
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

/// Makes streams and keeps a few for re-use, so that a change of talkers seldom allocates.
pub(crate) struct StreamPool {
    codecs: Arc<dyn CodecFactory>,
    idle: Vec<Box<Stream>>,
}

impl StreamPool {
    pub(crate) fn new(codecs: Arc<dyn CodecFactory>) -> Self {
        Self { codecs, idle: Vec::with_capacity(IDLE_MAX) }
    }

    /// A stream that has yet to [`Stream::begin`]; `None` when no encoder can be made.
    pub(crate) fn take(&mut self, format: Format) -> Option<Box<Stream>> {
        if let Some(at) = self.idle.iter().position(|stream| stream.format.settings == format.settings) {
            let mut stream = self.idle.swap_remove(at);
            stream.format = format;
            return Some(stream);
        }
        let encoder = self.codecs.encoder(format.settings).ok()?;
        Some(Box::new(Stream {
            format,
            limiter: Limiter::new(),
            encoder,
            pcm: [0; PACKET_FRAMES_MAX * FRAME_SAMPLES],
            filled: 0,
            packet: [0; PACKET_BYTES_MAX],
            length: 0,
            level: Level::SILENT,
        }))
    }

    /// Takes a stream back that is no longer heard.
    pub(crate) fn give(&mut self, stream: Box<Stream>) {
        if self.idle.len() < IDLE_MAX {
            self.idle.push(stream);
        }
    }
}
