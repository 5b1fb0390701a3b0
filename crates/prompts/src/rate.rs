//! Any rate to the mixer's, for whole files.

use std::f64::consts::PI;

use mixer::SAMPLE_RATE;

/// Input samples on each side of an output sample that count.
const REACH: usize = 24;
const TAPS: usize = 2 * REACH;
/// Products that are added up at once, so that the processor can.
const LANES: usize = 8;

/// Interpolates with a windowed sinc. Rates are at most the mixer's, so nothing can fold back.
pub(crate) fn to_mixer_rate(samples: Vec<i16>, rate: u32) -> Vec<i16> {
    if rate == SAMPLE_RATE {
        return samples;
    }
    let length = samples.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(rate);
    let filters = Filters::new(rate, length);
    (0..length).map(|at| filters.interpolate(&samples, at)).collect()
}

/// The taps for each place that output samples have between input samples. Places come again: at 44.1 kHz there are 160.
struct Filters {
    /// Output samples until the places come again, and input samples in that time.
    period: u64,
    input_period: u64,
    taps: Vec<[f32; TAPS]>,
}

impl Filters {
    /// For a file that gives as many output samples.
    fn new(rate: u32, length: u64) -> Self {
        let common = u64::from(gcd(rate, SAMPLE_RATE));
        let (period, input_period) = (u64::from(SAMPLE_RATE) / common, u64::from(rate) / common);
        let taps = (0..period.min(length)).map(|at| {
            let behind = (at * input_period % period) as f64 / period as f64;
            std::array::from_fn(|tap| kernel(behind + (REACH - 1) as f64 - tap as f64) as f32)
        });
        Self { period, input_period, taps: taps.collect() }
    }

    /// Output sample `at`.
    fn interpolate(&self, samples: &[i16], at: u64) -> i16 {
        let taps = &self.taps[(at % self.period) as usize];
        let nearest = (at * self.input_period / self.period) as usize;
        let first = nearest.checked_sub(REACH - 1);
        let sum = match first.and_then(|first| samples.get(first..first + TAPS)) {
            Some(window) => dot(window, taps),
            // Before the file and behind it is silence.
            None => {
                let sample = |tap: usize| samples.get((nearest + tap).checked_sub(REACH - 1)?).copied();
                dot(&std::array::from_fn::<_, TAPS, _>(|tap| sample(tap).unwrap_or(0)), taps)
            }
        };
        sum.round().clamp(f32::from(i16::MIN), f32::from(i16::MAX)) as i16
    }
}

fn dot(samples: &[i16], taps: &[f32; TAPS]) -> f32 {
    let mut sums = [0.0; LANES];
    for (samples, taps) in samples.chunks_exact(LANES).zip(taps.chunks_exact(LANES)) {
        for ((sum, &sample), &tap) in sums.iter_mut().zip(samples).zip(taps) {
            *sum += f32::from(sample) * tap;
        }
    }
    sums.iter().sum()
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// A sinc in a Hann window, its edge a little below half the input's rate so that images are well down.
fn kernel(distance: f64) -> f64 {
    const CUT_OFF: f64 = 0.94;
    let angle = PI * distance * CUT_OFF;
    let sinc = if angle.abs() < 1e-9 { 1.0 } else { angle.sin() / angle };
    CUT_OFF * sinc * (0.5 + 0.5 * (PI * distance / REACH as f64).cos())
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(rate: u32, frequency: f64, length: usize) -> Vec<i16> {
        let step = TAU * frequency / f64::from(rate);
        (0..length).map(|at| (10_000.0 * (step * at as f64).sin()).round() as i16).collect()
    }

    #[test]
    fn a_tone_stays_that_tone() {
        for rate in [8_000, 11_025, 16_000, 22_050, 44_100, 47_999] {
            let out = to_mixer_rate(sine(rate, 1_000.0, rate as usize / 2), rate);
            assert!((out.len() as i64 - 24_000).abs() <= 6);
            let wanted = sine(SAMPLE_RATE, 1_000.0, out.len());
            let worst = out[2_000..22_000].iter().zip(&wanted[2_000..22_000]).map(|(one, two)| (one - two).abs()).max();
            assert!(worst.is_some_and(|worst| worst < 60), "{rate} Hz: off by {worst:?}");
        }
    }

    #[test]
    fn the_filters_of_a_long_file_are_as_few_as_its_rate_has_places() {
        let ten_minutes = 600 * u64::from(SAMPLE_RATE);
        for (rate, places) in [(8_000, 6), (22_050, 320), (44_100, 160), (47_999, 48_000)] {
            assert_eq!(Filters::new(rate, ten_minutes).taps.len(), places, "{rate} Hz");
        }
        assert_eq!(Filters::new(47_999, 100).taps.len(), 100, "a short file has no use for more");
    }

    #[test]
    fn the_ends_of_a_file_are_heard() {
        for length in [0, 1, 20, 60] {
            let out = to_mixer_rate(vec![10_000; length], 24_000);
            assert_eq!(out.len(), 2 * length);
            for sample in [out.first(), out.iter().nth_back(1)].into_iter().flatten() {
                assert!((9_000..11_000).contains(sample), "{length} samples: {sample}");
            }
        }
    }
}
