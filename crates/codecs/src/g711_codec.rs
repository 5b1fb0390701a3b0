//! G.711 at the mixer's rate.

use mixer::{CodecError, Decoder, Downsampler, Encoder, NARROW_FRAME_SAMPLES, RATE_RATIO, Upsampler};

use crate::concealment::Concealment;
use crate::g711::Law;

pub(crate) struct G711Decoder {
    law: Law,
    concealment: Concealment,
    upsampler: Upsampler,
}

impl G711Decoder {
    pub(crate) const fn new(law: Law) -> Self {
        Self { law, concealment: Concealment::new(), upsampler: Upsampler::new() }
    }

    fn decode_packet(&mut self, packet: &[u8], out: &mut [i16]) -> Result<usize, CodecError> {
        let length = packet.len() * RATE_RATIO;
        let out = out.get_mut(..length).ok_or(CodecError::Length)?;
        for (packet, out) in packet.chunks(NARROW_FRAME_SAMPLES).zip(out.chunks_mut(NARROW_FRAME_SAMPLES * RATE_RATIO))
        {
            let mut narrow = [0; NARROW_FRAME_SAMPLES];
            let narrow = &mut narrow[..packet.len()];
            for (sample, &byte) in narrow.iter_mut().zip(packet) {
                *sample = self.law.decode(byte);
            }
            self.concealment.hear(narrow);
            self.upsampler.process(narrow, out);
        }
        Ok(length)
    }

    fn conceal(&mut self, out: &mut [i16]) -> Result<usize, CodecError> {
        if !out.len().is_multiple_of(RATE_RATIO) {
            return Err(CodecError::Length);
        }
        for out in out.chunks_mut(NARROW_FRAME_SAMPLES * RATE_RATIO) {
            let mut narrow = [0; NARROW_FRAME_SAMPLES];
            let narrow = &mut narrow[..out.len() / RATE_RATIO];
            self.concealment.conceal(narrow);
            self.upsampler.process(narrow, out);
        }
        Ok(out.len())
    }
}

impl Decoder for G711Decoder {
    fn decode(&mut self, packet: Option<&[u8]>, fec: bool, out: &mut [i16]) -> Result<usize, CodecError> {
        match packet {
            Some([]) => Err(CodecError::Packet),
            Some(packet) if !fec => self.decode_packet(packet, out),
            _ => self.conceal(out),
        }
    }

    fn reset(&mut self) {
        *self = Self::new(self.law);
    }
}

pub(crate) struct G711Encoder {
    law: Law,
    downsampler: Downsampler,
    noise: Noise,
}

/// What is sent instead of digital silence: [`mixer::LINE_NOISE`], to peers who did not agree on its description (RFC 3389).
struct Noise(u32);

impl Noise {
    /// Peak in samples of white noise.
    const PEAK: u32 = 20;

    /// A sample; the quality of the generator does not matter.
    fn next(&mut self) -> i16 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((self.0 >> 16) % (2 * Self::PEAK + 1)) as i16 - Self::PEAK as i16
    }
}

impl G711Encoder {
    pub(crate) const fn new(law: Law) -> Self {
        Self { law, downsampler: Downsampler::new(), noise: Noise(1) }
    }
}

impl Encoder for G711Encoder {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        let length = pcm.len() / RATE_RATIO;
        if !pcm.len().is_multiple_of(RATE_RATIO) || out.len() < length {
            return Err(CodecError::Length);
        }
        for (pcm, out) in pcm.chunks(NARROW_FRAME_SAMPLES * RATE_RATIO).zip(out.chunks_mut(NARROW_FRAME_SAMPLES)) {
            let mut narrow = [0; NARROW_FRAME_SAMPLES];
            let narrow = &mut narrow[..pcm.len() / RATE_RATIO];
            self.downsampler.process(pcm, narrow);
            if narrow.iter().all(|&sample| sample == 0) {
                narrow.fill_with(|| self.noise.next());
            }
            for (byte, &sample) in out.iter_mut().zip(&*narrow) {
                *byte = self.law.encode(sample);
            }
        }
        Ok(length)
    }

    fn resume(&mut self, history: &[i16]) {
        self.downsampler = Downsampler::new();
        let mut narrow = [0; NARROW_FRAME_SAMPLES];
        for frame in history.chunks_exact(NARROW_FRAME_SAMPLES * RATE_RATIO) {
            self.downsampler.process(frame, &mut narrow);
        }
    }

    fn refresh(&mut self) {
        // No G.711 packet depends on an earlier one.
    }
}
