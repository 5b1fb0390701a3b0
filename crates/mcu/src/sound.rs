//! A decoder and what it decoded, and the decoders kept for the next talker.

use std::ops::Range;
use std::sync::Arc;

use base::Duration;
use mcu_api::Codec;
use mixer::{
    CodecFactory, Decoder, FRAME_SAMPLES, Frame, PACKET_SAMPLES_MAX, SAMPLE_RATE, SILENCE, Varispeed, fade_out,
};

use crate::idle::Idle;

/// Sounds kept for the next talker.
const IDLE_MAX: usize = 64;

/// The sound of one leg that is listened to.
pub(crate) struct Sound {
    codec: Codec,
    decoder: Box<dyn Decoder>,
    /// The last packet, decoded.
    packet: [i16; PACKET_SAMPLES_MAX],
    /// The part of it that was not used yet.
    ready: Range<usize>,
    /// What was decoded before and not played yet, at the pace that the peer's clock needs.
    varispeed: Varispeed,
    /// This tick's frame. Until it is played, the newest unit: mostly they are the same.
    pub(crate) frame: Frame,
    /// The frame holds a unit that is not played yet.
    decoded: bool,
}

impl Sound {
    /// The codec of the packets it takes.
    pub(crate) const fn codec(&self) -> Codec {
        self.codec
    }

    /// Decodes a packet of so many 20 ms units; what cannot be decoded is concealed.
    pub(crate) fn decode(&mut self, payload: &[u8], units: u8) {
        let length = (usize::from(units) * FRAME_SAMPLES).clamp(FRAME_SAMPLES, PACKET_SAMPLES_MAX);
        let decoded = self
            .decoder
            .decode(Some(payload), false, &mut self.packet)
            .unwrap_or_else(|_| self.decoder.decode(None, false, &mut self.packet[..length]).unwrap_or_default());
        if let Some(missing) = self.packet.get_mut(decoded..length) {
            missing.fill(0);
        }
        self.ready = 0..length;
    }

    /// Leaves out so many 20 ms units of the decoded packet: their time has passed.
    pub(crate) fn skip(&mut self, units: u8) {
        self.ready.start = (self.ready.start + usize::from(units) * FRAME_SAMPLES).min(self.ready.end);
    }

    /// What was decoded and is not played yet.
    pub(crate) const fn held(&self) -> Duration {
        Duration::from_micros(self.held_samples() as u64 * 1_000_000 / SAMPLE_RATE as u64)
    }

    const fn held_samples(&self) -> usize {
        self.varispeed.held() + if self.decoded { FRAME_SAMPLES } else { 0 }
    }

    /// Whether another unit is needed to play this tick's frame at this pace, in parts per million.
    pub(crate) const fn needs_more(&self, pace_ppm: i32) -> bool {
        self.held_samples() < self.varispeed.needed(pace_ppm)
    }

    /// Has the next 20 ms of the decoded packet played next; false when it is used up.
    pub(crate) fn next_unit(&mut self) -> bool {
        let end = self.ready.start + FRAME_SAMPLES;
        if end > self.ready.end {
            return false;
        }
        self.keep();
        self.frame.copy_from_slice(&self.packet[self.ready.start..end]);
        self.ready.start = end;
        true
    }

    /// Has what a lost packet might have held played next; `next` is the packet after it.
    pub(crate) fn conceal(&mut self, next: Option<&[u8]>) {
        self.keep();
        let with_fec = self.decoder.decode(next, next.is_some(), &mut self.frame);
        if with_fec.is_err() && self.decoder.decode(None, false, &mut self.frame).is_err() {
            self.frame = SILENCE;
        }
        self.ready = 0..0;
    }

    /// Makes room for another unit.
    fn keep(&mut self) {
        if std::mem::replace(&mut self.decoded, true) {
            self.varispeed.push(&self.frame);
        }
    }

    /// Fills this tick's frame.
    pub(crate) fn play(&mut self, pace_ppm: i32) {
        if self.decoded && self.varispeed.passes(pace_ppm) {
            self.varispeed.pass(&self.frame);
        } else {
            self.keep();
            self.varispeed.play(pace_ppm, &mut self.frame);
        }
        self.decoded = false;
    }

    /// Nothing is left to play: the peer is silent.
    pub(crate) fn pause(&mut self) {
        self.ready = 0..0;
        self.decoded = false;
        self.varispeed.clear();
    }

    /// Lets the sound die away in this tick's frame, which holds audio already if it is `filled`.
    pub(crate) fn fade_out(&mut self, filled: bool) {
        if !filled {
            self.conceal(None);
            self.play(0);
            self.pause();
        }
        fade_out(&mut self.frame);
    }
}

/// Makes sounds, and keeps those nobody needs at the moment: a decoder is large, and most legs never speak.
pub(crate) struct SoundPool {
    codecs: Arc<dyn CodecFactory>,
    idle: Idle<Box<Sound>>,
}

impl SoundPool {
    pub(crate) fn new(codecs: Arc<dyn CodecFactory>) -> Self {
        Self { codecs, idle: Idle::new(IDLE_MAX) }
    }

    pub(crate) fn codecs(&self) -> &dyn CodecFactory {
        &*self.codecs
    }

    /// Another tick begins.
    pub(crate) fn turn(&mut self) {
        self.idle.turn();
    }

    /// A sound that has heard nothing; `None` when no decoder can be made.
    pub(crate) fn take(&mut self, codec: Codec) -> Option<Box<Sound>> {
        if let Some(mut sound) = self.idle.take(|sound| sound.codec == codec) {
            sound.decoder.reset();
            sound.pause();
            return Some(sound);
        }
        let decoder = self.codecs.decoder(codec).ok()?;
        Some(Box::new(Sound {
            codec,
            decoder,
            packet: [0; PACKET_SAMPLES_MAX],
            ready: 0..0,
            varispeed: Varispeed::new(),
            frame: SILENCE,
            decoded: false,
        }))
    }

    /// Takes a sound back.
    pub(crate) fn give(&mut self, sound: Box<Sound>) {
        self.idle.give(sound);
    }
}
