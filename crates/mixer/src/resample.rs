//! Between 8 kHz, the rate of the telephone, and 48 kHz, the mixer's.
//!
//! One linear-phase low-pass serves both ways: flat to 3.4 kHz, 6 dB down at 4 kHz, more than 60 dB down from 4.6 kHz on.
//! Upwards it removes the images, downwards what would fold back into the telephone band.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::SAMPLE_RATE;

/// The telephone's rate in Hz.
pub const NARROW_RATE: u32 = 8_000;

/// 48 kHz samples for each 8 kHz sample.
pub const RATE_RATIO: usize = (SAMPLE_RATE / NARROW_RATE) as usize;

/// Samples of 20 ms at 8 kHz.
pub const NARROW_FRAME_SAMPLES: usize = 160;

/// Taps of one phase. Together with [`STOP_BAND_DB`] this gives the transition band from 3.4 to 4.6 kHz.
const PHASE_TAPS: usize = 32;
const TAPS: usize = PHASE_TAPS * RATE_RATIO;
const STOP_BAND_DB: f64 = 72.0;

/// Fractional bits of the taps in either direction. A tap fits 16 bits, and a sum of products of any samples 32: the taps'
/// magnitudes add up to less than 2 downwards, and than 2.4 in a phase upwards.
const DOWN_BITS: u32 = 15;
const UP_BITS: u32 = 14;

/// Products that are added up at once, so that the processor multiplies eight pairs with one instruction.
const LANES: usize = 32;

/// Samples worked on at once, so that the working buffer lives in the resampler.
const NARROW_CHUNK: usize = NARROW_FRAME_SAMPLES;
const WIDE_CHUNK: usize = NARROW_CHUNK * RATE_RATIO;

/// Earlier samples the first output of a chunk needs.
const NARROW_HISTORY: usize = PHASE_TAPS - 1;
const WIDE_HISTORY: usize = TAPS - RATE_RATIO;

/// From 8 to 48 kHz. Delay: 2 ms.
#[derive(Clone)]
pub struct Upsampler {
    /// History, then the chunk at hand.
    samples: [i16; NARROW_HISTORY + NARROW_CHUNK],
}

impl Upsampler {
    /// An upsampler that heard silence so far.
    pub const fn new() -> Self {
        Self { samples: [0; NARROW_HISTORY + NARROW_CHUNK] }
    }

    /// Converts any number of samples; `wide` must be [`RATE_RATIO`] times as long as `narrow`.
    pub fn process(&mut self, narrow: &[i16], wide: &mut [i16]) {
        assert_eq!(narrow.len() * RATE_RATIO, wide.len(), "the caller sizes both buffers");
        let phases = &FILTER.phases;
        for (narrow, wide) in narrow.chunks(NARROW_CHUNK).zip(wide.chunks_mut(WIDE_CHUNK)) {
            self.samples[NARROW_HISTORY..][..narrow.len()].copy_from_slice(narrow);
            for (window, wide) in self.samples.windows(PHASE_TAPS).zip(wide.chunks_exact_mut(RATE_RATIO)) {
                for (taps, wide) in phases.iter().zip(wide) {
                    *wide = rounded(dot(window, taps), UP_BITS);
                }
            }
            self.samples.copy_within(narrow.len()..narrow.len() + NARROW_HISTORY, 0);
        }
    }
}

impl Default for Upsampler {
    fn default() -> Self {
        Self::new()
    }
}

/// From 48 to 8 kHz. Delay: 2 ms.
#[derive(Clone)]
pub struct Downsampler {
    /// History, then the chunk at hand.
    samples: [i16; WIDE_HISTORY + WIDE_CHUNK],
}

impl Downsampler {
    /// A downsampler that heard silence so far.
    pub const fn new() -> Self {
        Self { samples: [0; WIDE_HISTORY + WIDE_CHUNK] }
    }

    /// Converts any number of samples; `wide` must be [`RATE_RATIO`] times as long as `narrow`.
    pub fn process(&mut self, wide: &[i16], narrow: &mut [i16]) {
        assert_eq!(narrow.len() * RATE_RATIO, wide.len(), "the caller sizes both buffers");
        let taps = &FILTER.taps;
        for (wide, narrow) in wide.chunks(WIDE_CHUNK).zip(narrow.chunks_mut(NARROW_CHUNK)) {
            self.samples[WIDE_HISTORY..][..wide.len()].copy_from_slice(wide);
            for (window, narrow) in self.samples.windows(TAPS).step_by(RATE_RATIO).zip(narrow) {
                *narrow = rounded(dot(window, taps), DOWN_BITS);
            }
            self.samples.copy_within(wide.len()..wide.len() + WIDE_HISTORY, 0);
        }
    }
}

impl Default for Downsampler {
    fn default() -> Self {
        Self::new()
    }
}

/// The inner product of as many samples and taps, a multiple of [`LANES`].
fn dot(samples: &[i16], taps: &[i16]) -> i32 {
    let chunks = samples.as_chunks::<LANES>().0.iter().zip(taps.as_chunks::<LANES>().0);
    let product = |(&sample, &tap): (&i16, &i16)| i32::from(sample) * i32::from(tap);
    chunks.map(|(samples, taps)| samples.iter().zip(taps).map(product).sum::<i32>()).sum()
}

/// A sum of products with taps of so many fractional bits, as a sample. What is too loud for one is cut off.
fn rounded(sum: i32, bits: u32) -> i16 {
    ((sum + (1 << (bits - 1))) >> bits).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

static FILTER: LazyLock<Filter> = LazyLock::new(Filter::design);

struct Filter {
    /// The low-pass at 48 kHz, with a gain of 1.
    taps: [i16; TAPS],
    /// The same cut for upsampling: taps of each output phase, oldest sample first, with a gain of [`RATE_RATIO`].
    phases: [[i16; PHASE_TAPS]; RATE_RATIO],
}

impl Filter {
    /// A sinc in a Kaiser window.
    fn design() -> Self {
        let centre = (TAPS - 1) as f64 / 2.0;
        let tap = |at: usize| kaiser_sinc(at as f64 - centre, RATE_RATIO as f64, centre + 0.5, STOP_BAND_DB);
        let raw: [f64; TAPS] = std::array::from_fn(tap);
        let gain: f64 = raw.iter().sum();
        let scaled = |tap: f64, bits: u32| (tap / gain * f64::from(1 << bits)).round() as i16;
        let taps = raw.map(|tap| scaled(tap, DOWN_BITS));
        let phases = std::array::from_fn(|phase| {
            std::array::from_fn(|at| {
                scaled(RATE_RATIO as f64 * raw[(PHASE_TAPS - 1 - at) * RATE_RATIO + phase], UP_BITS)
            })
        });
        Self { taps, phases }
    }
}

/// A sinc, with its zeros `spacing` samples apart, in a Kaiser window that reaches as far as `reach`; not normalised.
pub(crate) fn kaiser_sinc(distance: f64, spacing: f64, reach: f64, stop_band_db: f64) -> f64 {
    let beta = 0.1102 * (stop_band_db - 8.7);
    let angle = PI * distance / spacing;
    let sinc = if angle == 0.0 { 1.0 } else { angle.sin() / angle };
    let edge = (distance / reach).abs().min(1.0);
    sinc * bessel_i0(beta * (1.0 - edge * edge).sqrt())
}

/// The modified Bessel function of order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for n in 1..40 {
        term *= (x / (2.0 * f64::from(n))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const AMPLITUDE: f64 = 20_000.0;

    fn sine(frequency: f64, rate: u32, samples: usize) -> Vec<i16> {
        let step = TAU * frequency / f64::from(rate);
        (0..samples).map(|at| (AMPLITUDE * (step * at as f64).sin()).round() as i16).collect()
    }

    /// The strength of a frequency in decibels relative to the tests' sine.
    fn strength(samples: &[i16], frequency: f64, rate: u32) -> f64 {
        let step = TAU * frequency / f64::from(rate);
        let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, &sample)| {
            let (sin, cos) = (step * at as f64).sin_cos();
            (re + f64::from(sample) * cos, im + f64::from(sample) * sin)
        });
        20.0 * (2.0 * f64::hypot(re, im) / samples.len() as f64 / AMPLITUDE).max(1e-9).log10()
    }

    fn up(narrow: &[i16]) -> Vec<i16> {
        let mut wide = vec![0; narrow.len() * RATE_RATIO];
        Upsampler::new().process(narrow, &mut wide);
        wide
    }

    fn down(wide: &[i16]) -> Vec<i16> {
        let mut narrow = vec![0; wide.len() / RATE_RATIO];
        Downsampler::new().process(wide, &mut narrow);
        narrow
    }

    #[test]
    fn the_telephone_band_passes_both_ways() {
        for frequency in [50.0, 300.0, 1_000.0, 2_000.0, 3_000.0, 3_400.0] {
            let wide = up(&sine(frequency, NARROW_RATE, 8_000));
            let upwards = strength(&wide[4_800..43_200], frequency, SAMPLE_RATE);
            assert!(upwards.abs() < 0.1, "{frequency} Hz upwards {upwards} dB");
            let narrow = down(&sine(frequency, SAMPLE_RATE, 48_000));
            let downwards = strength(&narrow[800..7_200], frequency, NARROW_RATE);
            assert!(downwards.abs() < 0.1, "{frequency} Hz downwards {downwards} dB");
        }
    }

    #[test]
    fn images_are_60_db_down() {
        for frequency in [300.0, 1_000.0, 3_400.0] {
            let wide = up(&sine(frequency, NARROW_RATE, 8_000));
            for image in (1..=2).flat_map(|n| [8_000.0 * f64::from(n) - frequency, 8_000.0 * f64::from(n) + frequency])
            {
                let image_strength = strength(&wide[4_800..43_200], image, SAMPLE_RATE);
                assert!(image_strength < -60.0, "{frequency} Hz has an image at {image} Hz of {image_strength} dB");
            }
        }
    }

    #[test]
    fn nothing_folds_back() {
        for frequency in [4_600.0, 5_000.0, 6_300.0, 7_900.0, 12_000.0, 15_100.0, 20_000.0] {
            let narrow = down(&sine(frequency, SAMPLE_RATE, 48_000));
            let energy: f64 = narrow[800..].iter().map(|&sample| f64::from(sample).powi(2)).sum();
            let rms = (energy / (narrow.len() - 800) as f64).sqrt();
            let decibels = 20.0 * (rms / (AMPLITUDE / 2f64.sqrt())).max(1e-9).log10();
            assert!(decibels < -60.0, "{frequency} Hz folds back with {decibels} dB");
        }
    }

    #[test]
    fn the_phase_is_linear() {
        let mut impulse = [0; NARROW_FRAME_SAMPLES];
        impulse[0] = 10_000;
        let response = &up(&impulse)[..TAPS];
        assert!(response.iter().eq(response.iter().rev()));
    }

    #[test]
    fn the_loudest_sound_of_all_is_cut_off() {
        let loud = |taps: &[i16], sign: bool| -> Vec<i16> {
            taps.iter().map(|&tap| if (tap > 0) == sign { i16::MAX } else { i16::MIN }).collect()
        };
        for (sign, most) in [(true, i16::MAX), (false, i16::MIN)] {
            let heard = down(&loud(&FILTER.taps, sign));
            assert_eq!(heard.last(), Some(&most));
            for (phase, taps) in FILTER.phases.iter().enumerate() {
                let heard = up(&loud(taps, sign));
                assert_eq!(heard[(PHASE_TAPS - 1) * RATE_RATIO + phase], most);
            }
        }
    }

    #[test]
    fn the_size_of_the_pieces_does_not_matter() {
        let narrow = sine(700.0, NARROW_RATE, 2_000);
        let whole = up(&narrow);
        let mut upsampler = Upsampler::new();
        let mut pieces = vec![0; whole.len()];
        for (narrow, wide) in narrow.chunks(70).zip(pieces.chunks_mut(70 * RATE_RATIO)) {
            upsampler.process(narrow, wide);
        }
        assert_eq!(pieces, whole);
        let mut downsampler = Downsampler::new();
        let mut back = vec![0; narrow.len()];
        for (wide, narrow) in whole.chunks(70 * RATE_RATIO).zip(back.chunks_mut(70)) {
            downsampler.process(wide, narrow);
        }
        assert_eq!(back, down(&whole));
    }
}
