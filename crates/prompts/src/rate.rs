//! Any rate to the mixer's, for whole files.
//!
//! A windowed sinc of 48 taps, computed once for each place between two input samples where output samples lie: 160 places
//! from 44.1 kHz, 320 from 22.05 kHz, 6 from 8 kHz. A rate that would need more than [`ROWS_MAX`] has that many, and what
//! lies between two is interpolated. Measured at each kind of rate: tones up to 0.4 of it lose less than 0.01 dB, and what
//! is not the tone is 74 dB below one of a third of the full scale.
//!
//! A library resamples streams in pieces, with a delay to be cut off again and an end to be pushed out: as much code as
//! this.

use std::f64::consts::PI;

use mixer::SAMPLE_RATE;

/// Input samples on each side of an output sample that count.
const REACH: usize = 24;
const TAPS: usize = 2 * REACH;

/// Places between two input samples for which there are taps, at most: as many as 11,025 Hz needs.
const ROWS_MAX: u32 = 640;

/// Interpolates with a windowed sinc. Rates are at most the mixer's, so nothing can fold back.
pub(crate) fn to_mixer_rate(mut samples: Vec<i16>, rate: u32) -> Vec<i16> {
    if rate == SAMPLE_RATE {
        return samples;
    }
    let length = samples.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(rate);
    // Silence before and after, so that each output sample has all its input samples.
    samples.splice(0..0, [0; REACH - 1]);
    samples.extend([0; REACH]);
    let (rate, phases) = (rate / gcd(rate, SAMPLE_RATE), SAMPLE_RATE / gcd(rate, SAMPLE_RATE));
    let rows = phases.min(ROWS_MAX);
    let table = table(rows);
    let rows_per_phase = f64::from(rows) / f64::from(phases);
    let (mut whole, mut phase) = (0, 0);
    let next = |_| {
        let row = f64::from(phase) * rows_per_phase;
        let sample = interpolate(&samples[whole..], &table[row as usize..], row.fract() as f32);
        phase += rate;
        if phase >= phases {
            phase -= phases;
            whole += 1;
        }
        sample
    };
    (0..length).map(next).collect()
}

/// The sample at a share of the way from one row of the table to the next.
fn interpolate(samples: &[i16], rows: &[[f32; TAPS]], share: f32) -> i16 {
    let mut sum = dot(samples, &rows[0]);
    if share > 0.0 {
        sum += share * (dot(samples, &rows[1]) - sum);
    }
    // What is too loud for a sample is cut off.
    sum.round() as i16
}

/// The inner product. Eight partial sums, because the compiler may not reorder one.
fn dot(samples: &[i16], taps: &[f32; TAPS]) -> f32 {
    let mut sums = [0.0; 8];
    for (samples, taps) in samples[..TAPS].as_chunks::<8>().0.iter().zip(taps.as_chunks::<8>().0) {
        for ((sum, &sample), tap) in sums.iter_mut().zip(samples).zip(taps) {
            *sum += f32::from(sample) * tap;
        }
    }
    sums.iter().sum()
}

/// The taps at each of so many places from one input sample to the next, both included.
fn table(rows: u32) -> Vec<[f32; TAPS]> {
    let taps = |row| {
        let first = f64::from(row) / f64::from(rows) + (REACH - 1) as f64;
        std::array::from_fn(|tap| kernel(first - tap as f64) as f32)
    };
    (0..=rows).map(taps).collect()
}

/// A sinc in a Hann window, its edge a little below half the input's rate so that images are well down.
fn kernel(distance: f64) -> f64 {
    const CUT_OFF: f64 = 0.94;
    let angle = PI * distance * CUT_OFF;
    let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
    CUT_OFF * sinc * (0.5 + 0.5 * (PI * distance / REACH as f64).cos())
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const AMPLITUDE: f64 = 10_000.0;
    /// The telephone's, those of CDs and their parts, one that has little in common with the mixer's, and one that has nothing.
    const RATES: [u32; 8] = [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 44_101, 47_999];

    fn sine(rate: u32, frequency: f64, length: usize) -> Vec<i16> {
        let step = TAU * frequency / f64::from(rate);
        (0..length).map(|at| (AMPLITUDE * (step * at as f64).sin()).round() as i16).collect()
    }

    /// The strength of a tone, and of all that is not the tone, in decibels relative to [`sine`].
    fn measure(samples: &[i16], frequency: f64) -> (f64, f64) {
        let step = TAU * frequency / f64::from(SAMPLE_RATE);
        let wave = |at: usize| (step * at as f64).sin_cos();
        let half = samples.len() as f64 / 2.0;
        let (sin, cos) = samples.iter().enumerate().fold((0.0, 0.0), |(sum_sin, sum_cos), (at, &sample)| {
            let (sin, cos) = wave(at);
            (sum_sin + f64::from(sample) * sin / half, sum_cos + f64::from(sample) * cos / half)
        });
        let rest = samples.iter().enumerate().map(|(at, &sample)| {
            let wave = wave(at);
            (f64::from(sample) - sin * wave.0 - cos * wave.1).powi(2)
        });
        let decibels = |amplitude: f64| 20.0 * (amplitude / AMPLITUDE).log10();
        (decibels(sin.hypot(cos)), decibels((rest.sum::<f64>() / half).sqrt()))
    }

    #[test]
    fn tones_pass_and_their_images_do_not() {
        for rate in RATES {
            for share in [0.01, 0.1, 0.2, 0.3, 0.4] {
                let frequency = (share * f64::from(rate) / 50.0).round() * 50.0;
                let out = to_mixer_rate(sine(rate, frequency, rate as usize / 2), rate);
                let (tone, rest) = measure(&out[2_400..21_600], frequency);
                assert!(tone.abs() < 0.01, "{frequency} Hz at {rate} Hz: {tone} dB");
                assert!(rest < -74.0, "{frequency} Hz at {rate} Hz leaves {rest} dB beside it");
            }
        }
    }

    #[test]
    fn a_sound_begins_and_ends_when_it_did() {
        for rate in RATES {
            for length in [0, 1, 2, 47, 999, rate as usize / 2] {
                let out = to_mixer_rate(sine(rate, 1_000.0, length), rate);
                assert_eq!(out.len(), length * SAMPLE_RATE as usize / rate as usize, "{length} samples of {rate} Hz");
                let wanted = sine(SAMPLE_RATE, 1_000.0, out.len());
                let inside = 200..out.len().saturating_sub(200).max(200);
                let off = out.iter().zip(&wanted).map(|(one, two)| (one - two).abs()).collect::<Vec<_>>();
                let worst = off.get(inside).and_then(|inside| inside.iter().max());
                assert!(worst.is_none_or(|&worst| worst < 5), "{rate} Hz: off by {worst:?}");
            }
        }
    }

    #[test]
    fn what_is_too_loud_is_cut_off() {
        let square: Vec<i16> = (0..800).map(|at| if at / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let out = to_mixer_rate(square, 8_000);
        assert!(out.contains(&i16::MAX) && out.contains(&i16::MIN));
        let middles = out.chunks_exact(240).enumerate().map(|(at, half_wave)| (at % 2 == 0, half_wave[120]));
        assert!(
            middles.into_iter().all(|(is_high, sample)| (sample > 30_000) == is_high && sample.unsigned_abs() > 30_000)
        );
    }
}
