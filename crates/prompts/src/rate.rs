//! Any rate to the mixer's, for whole files: there is time, so the filter is computed for each sample.

use std::f64::consts::PI;

use mixer::SAMPLE_RATE;

/// Input samples on each side of an output sample that count.
const REACH: i64 = 24;

/// Interpolates with a windowed sinc. Rates are at most the mixer's, so nothing can fold back.
pub(crate) fn to_mixer_rate(samples: Vec<i16>, rate: u32) -> Vec<i16> {
    if rate == SAMPLE_RATE {
        return samples;
    }
    let length = samples.len() as u64 * u64::from(SAMPLE_RATE) / u64::from(rate);
    let step = f64::from(rate) / f64::from(SAMPLE_RATE);
    (0..length).map(|at| interpolate(&samples, at as f64 * step)).collect()
}

fn interpolate(samples: &[i16], at: f64) -> i16 {
    let nearest = at.floor() as i64;
    let sum: f64 = (nearest - REACH + 1..=nearest + REACH)
        .filter_map(|index| {
            let sample = *samples.get(usize::try_from(index).ok()?)?;
            Some(f64::from(sample) * kernel(at - index as f64))
        })
        .sum();
    sum.round().clamp(f64::from(i16::MIN), f64::from(i16::MAX)) as i16
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
        for rate in [8_000, 16_000, 22_050, 44_100] {
            let out = to_mixer_rate(sine(rate, 1_000.0, rate as usize / 2), rate);
            assert!((out.len() as i64 - 24_000).abs() <= 6);
            let wanted = sine(SAMPLE_RATE, 1_000.0, out.len());
            let worst = out[2_000..22_000].iter().zip(&wanted[2_000..22_000]).map(|(one, two)| (one - two).abs()).max();
            assert!(worst.is_some_and(|worst| worst < 60), "{rate} Hz: off by {worst:?}");
        }
    }
}
