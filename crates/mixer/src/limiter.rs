//! Keeps a sum within what 16 bits can carry.

use crate::{FRAME_SAMPLES, Frame, Sum};

/// The loudest sample that leaves the limiter: 0.9 dB below full scale, since a lossy codec may overshoot a little.
pub const LIMITER_CEILING: i16 = 29_500;

/// How much later a sample leaves the limiter, in samples: 2.5 ms.
pub const LIMITER_DELAY: usize = 120;

const BLOCK: usize = LIMITER_DELAY;

/// What is left of a gain reduction after one block. The time constant is 250 ms: slow against the period of the lowest
/// voice, so that the gain does not follow the waveform; fast enough that a cough does not hush the room.
const RELEASE: f32 = 0.99;

/// A limiter that looks one block ahead.
///
/// Each block of 2.5 ms has a gain that its loudest sample bears; from block to block the gain moves along a straight
/// line that stays below the gains of both. So nothing ever clips, the gain never jumps, and a sum that is not too loud
/// passes bit for bit, only later by [`LIMITER_DELAY`]. Two limiters that are equal go on alike.
#[derive(Clone, Debug, PartialEq)]
pub struct Limiter {
    /// The block that waits for its successor.
    held: [i32; BLOCK],
    /// The gain the held block bears.
    held_gain: f32,
    /// The gain at the held block's first sample.
    start_gain: f32,
}

impl Limiter {
    /// A limiter at rest.
    pub const fn new() -> Self {
        Self { held: [0; BLOCK], held_gain: 1.0, start_gain: 1.0 }
    }

    /// Takes one frame's sum and gives the frame that leaves.
    pub fn process(&mut self, sum: &Sum, out: &mut Frame) {
        let (blocks, rest) = sum.samples().as_chunks::<BLOCK>();
        debug_assert!(rest.is_empty() && blocks.len() * BLOCK == FRAME_SAMPLES);
        for (block, out) in blocks.iter().zip(out.as_chunks_mut::<BLOCK>().0) {
            self.process_block(block, out);
        }
    }

    fn process_block(&mut self, block: &[i32; BLOCK], out: &mut [i16; BLOCK]) {
        let gain = bearable_gain(block).min(released(self.held_gain));
        let end_gain = gain.min(self.held_gain);
        if self.start_gain == 1.0 && end_gain == 1.0 {
            for (out, &sample) in out.iter_mut().zip(&self.held) {
                *out = sample as i16;
            }
        } else {
            let slope = (end_gain - self.start_gain) / BLOCK as f32;
            for (at, (out, &sample)) in out.iter_mut().zip(&self.held).enumerate() {
                *out = (sample as f32 * (self.start_gain + slope * at as f32)).round() as i16;
            }
        }
        self.held = *block;
        self.held_gain = gain;
        self.start_gain = end_gain;
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::new()
    }
}

/// The gain at which the loudest sample of a block reaches the ceiling, at most 1.
fn bearable_gain(block: &[i32; BLOCK]) -> f32 {
    let peak = block.iter().fold(0, |peak, sample| peak.max(sample.unsigned_abs()));
    if peak <= u32::from(LIMITER_CEILING.unsigned_abs()) { 1.0 } else { f32::from(LIMITER_CEILING) / peak as f32 }
}

/// The gain one block after a reduction, if nothing loud follows.
fn released(gain: f32) -> f32 {
    let gain = 1.0 - (1.0 - gain) * RELEASE;
    if gain > 0.999 { 1.0 } else { gain }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use proptest::prelude::*;

    use super::*;

    /// Sums tones of the given frequencies and amplitude (of full scale 1) and gives frame after frame.
    fn tones(frequencies: &[f64], amplitude: f64, frames: usize) -> Vec<Sum> {
        let tone = |frequency: f64, at: usize| {
            (32_767.0 * amplitude * (TAU * frequency * at as f64 / 48_000.0).sin()).round() as i16
        };
        let frame = |frequency: f64, number: usize| -> Frame {
            std::array::from_fn(|at| tone(frequency, number * FRAME_SAMPLES + at))
        };
        (0..frames)
            .map(|number| {
                let mut sum = Sum::new();
                frequencies.iter().for_each(|&frequency| sum.add(&frame(frequency, number)));
                sum
            })
            .collect()
    }

    fn limit(sums: &[Sum]) -> Vec<i16> {
        let mut limiter = Limiter::new();
        let mut out = [0; FRAME_SAMPLES];
        sums.iter()
            .flat_map(|sum| {
                limiter.process(sum, &mut out);
                out
            })
            .collect()
    }

    #[test]
    fn what_is_not_too_loud_passes_bit_for_bit() {
        let sums = tones(&[1_000.0], 0.22, 50);
        let wanted: Vec<i16> = sums.iter().flat_map(|sum| *sum.samples()).map(|sample| sample as i16).collect();
        let got = limit(&sums);
        assert_eq!(got[LIMITER_DELAY..], wanted[..wanted.len() - LIMITER_DELAY]);
    }

    #[test]
    fn eight_loud_tones_stay_below_the_ceiling_without_a_jump() {
        let frequencies = [310.0, 430.0, 570.0, 710.0, 890.0, 1_050.0, 1_310.0, 1_570.0];
        let out = limit(&tones(&frequencies, 0.9, 100));
        let peak = out.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!((28_000..=29_501).contains(&peak), "peak {peak}");
        // The steepest slope of the tones themselves, before the gain of about 1 / 7, bounds the step of what leaves.
        let steepest: f64 = frequencies.iter().map(|frequency| 0.9 * 32_767.0 * TAU * frequency / 48_000.0).sum();
        let step = out.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(f64::from(step.expect("samples")) < steepest / 4.0, "step {step:?}");
    }

    #[test]
    fn the_gain_does_not_pump_between_the_periods_of_a_low_tone() {
        let out = limit(&tones(&[100.0, 100.0], 0.9, 100));
        let settled = &out[out.len() / 2..];
        let peaks: Vec<u16> = settled
            .chunks_exact(480)
            .map(|period| period.iter().map(|sample| sample.unsigned_abs()).max().expect("samples"))
            .collect();
        let (low, high) = (peaks.iter().min().expect("periods"), peaks.iter().max().expect("periods"));
        assert!(f32::from(*low) / f32::from(*high) > 0.97, "peaks move between {low} and {high}");
    }

    proptest! {
        #[test]
        fn nothing_clips(seed in any::<[i32; 24]>()) {
            let mut limiter = Limiter::new();
            let mut out = [0; FRAME_SAMPLES];
            let mut sum = Sum::new();
            for frame in seed.chunks(8) {
                sum.clear();
                for voice in frame {
                    sum.add(&std::array::from_fn(|at| (voice.rotate_left(at as u32 / 40) >> 16) as i16));
                }
                limiter.process(&sum, &mut out);
                prop_assert!(out.iter().all(|sample| sample.unsigned_abs() <= LIMITER_CEILING.unsigned_abs() + 1));
            }
        }
    }
}
