//! How steady a tone arrives: jumps of its phase or level, and whatever is not the tone.
//!
//! Each block of 5 ms is fitted with the tone by least squares, which gives its level, its phase against a clock of
//! samples, and a remainder. Slow change is no fault; a jump between neighbours, or a remainder well above G.711's own
//! noise (-37 dB), is one.

use std::f64::consts::{PI, TAU};

use crate::audio::{Heard, SAMPLE_RATE, TONE};

/// Samples of a block: 5 ms.
const BLOCK: usize = 40;
/// A jump of the phase in radians; one sample left out or repeated makes 0.8.
const PHASE_JUMP: f64 = 0.25;
/// A jump of the level, as a ratio: 1.5 dB.
const LEVEL_JUMP: f64 = 1.19;
/// Remainder against the tone, as a ratio of amplitudes: -20 dB.
const REMAINDER: f64 = 0.1;
/// Below this share of full scale there is no tone whose phase could be told.
const SILENCE: f64 = 0.003;

/// Joins packets by their timestamps; what is missing is silence. A timestamp that leaps by more than ten seconds starts
/// anew directly behind.
pub(crate) fn recording(packets: &[Heard]) -> Vec<i16> {
    const LEAP: usize = 10 * SAMPLE_RATE as usize;
    let mut samples: Vec<i16> = Vec::new();
    let mut origin: Option<(u32, usize)> = None;
    for packet in packets {
        let place = origin.map(|(start, base)| base + packet.timestamp.wrapping_sub(start) as usize);
        let at = place.filter(|at| *at <= samples.len() + LEAP).unwrap_or_else(|| {
            origin = Some((packet.timestamp, samples.len()));
            samples.len()
        });
        let end = at + packet.samples.len();
        samples.resize(samples.len().max(end), 0);
        samples[at..end].copy_from_slice(&packet.samples);
    }
    samples
}

/// Counts the places where the tone is not steady. Neighbouring faulty blocks are one place.
pub(crate) fn discontinuities(samples: &[i16]) -> usize {
    let blocks: Vec<Block> =
        samples.chunks_exact(BLOCK).enumerate().map(|(index, block)| Block::fit(index * BLOCK, block)).collect();
    let mut count = 0;
    let mut was_faulty = false;
    for pair in blocks.windows(2) {
        let is_faulty = pair[1].jumps_from(&pair[0]);
        if is_faulty && !was_faulty {
            count += 1;
        }
        was_faulty = is_faulty;
    }
    count
}

/// The tone in 5 ms of sound.
struct Block {
    amplitude: f64,
    phase: f64,
    /// Root of the mean square of what is not the tone, times the root of two: comparable to an amplitude.
    remainder: f64,
}

impl Block {
    fn fit(start: usize, samples: &[i16]) -> Self {
        let angle = |index: usize| TAU * ((start + index) as f64 * TONE / f64::from(SAMPLE_RATE)).fract();
        let (mut cc, mut cs, mut ss, mut xc, mut xs, mut xx) = (0.0, 0.0, 0.0, 0.0, 0.0, 0.0);
        for (index, sample) in samples.iter().enumerate() {
            let (sin, cos) = angle(index).sin_cos();
            let x = f64::from(*sample) / 32_768.0;
            (cc, cs, ss) = (cc + cos * cos, cs + cos * sin, ss + sin * sin);
            (xc, xs, xx) = (xc + x * cos, xs + x * sin, xx + x * x);
        }
        let determinant = cc * ss - cs * cs;
        let (a, b) = ((xc * ss - xs * cs) / determinant, (xs * cc - xc * cs) / determinant);
        let rest = (xx - a * xc - b * xs).max(0.0) / samples.len() as f64;
        Self { amplitude: a.hypot(b), phase: b.atan2(a), remainder: (2.0 * rest).sqrt() }
    }

    fn jumps_from(&self, before: &Self) -> bool {
        if self.amplitude < SILENCE {
            return true;
        }
        let turn = (self.phase - before.phase + PI).rem_euclid(TAU) - PI;
        let ratio = self.amplitude / before.amplitude.max(SILENCE);
        turn.abs() > PHASE_JUMP
            || !(1.0 / LEVEL_JUMP..=LEVEL_JUMP).contains(&ratio)
            || self.remainder > REMAINDER * self.amplitude
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use testkit::g711;

    use super::*;

    /// Two seconds of the tone as it comes out of G.711.
    fn steady() -> Vec<i16> {
        let sample = |index: usize| {
            let value = 9_000.0 * (TAU * index as f64 * TONE / f64::from(SAMPLE_RATE)).sin();
            g711::decode_ulaw(g711::encode_ulaw(value as i16))
        };
        (0..16_000).map(sample).collect()
    }

    #[test]
    fn a_steady_tone_has_none_wherever_it_starts() {
        for offset in 0..40 {
            assert_eq!(discontinuities(&steady()[offset..]), 0, "{offset}");
        }
    }

    type Plant = fn(&mut Vec<i16>);

    #[test]
    fn each_planted_fault_is_found_once() {
        let faults: [(&str, Plant); 7] = [
            ("a sample left out", |sound| _ = sound.remove(5_003)),
            ("a sample repeated", |sound| sound.insert(5_017, sound[5_017])),
            ("a frame left out", |sound| drop(sound.drain(5_000..5_160))),
            ("a frame repeated", |sound| drop(sound.splice(5_160..5_320, sound[5_000..5_160].to_vec()))),
            ("a gap", |sound| sound[5_003..5_163].fill(0)),
            ("a click", |sound| sound[5_003] = 32_000),
            ("a step of the level", |sound| sound[5_003..].iter_mut().for_each(|sample| *sample /= 2)),
        ];
        for (what, plant) in faults {
            let mut sound = steady();
            plant(&mut sound);
            let found = discontinuities(&sound);
            // A repeated frame and a gap have two edges 20 ms apart.
            let expected = if what == "a frame repeated" { 2..=2 } else { 1..=2 };
            assert!(expected.contains(&found), "{what}: {found}");
        }
    }

    #[test]
    fn slow_change_is_no_fault() {
        let mut sound = steady();
        for (index, sample) in sound.iter_mut().enumerate() {
            *sample = (f64::from(*sample) * (1.0 - index as f64 / 32_000.0)) as i16;
        }
        assert_eq!(discontinuities(&sound), 0);
    }

    #[test]
    fn a_missing_packet_is_silence_in_the_recording() {
        let packet = |timestamp, value| Heard { at: Instant::now(), timestamp, samples: vec![value; 160] };
        let samples = recording(&[packet(u32::MAX - 159, 1), packet(160, 3), packet(900_000_000, 4)]);
        let firsts: Vec<i16> = samples.chunks(160).map(|chunk| chunk[0]).collect();
        assert_eq!(firsts, [1, 0, 3, 4]);
    }
}
