//! What is in a recording: the strength of a tone, clicks, jumps.

use std::f64::consts::TAU;

/// Samples of 10 ms.
const PIECE: usize = 480;

/// Amplitude (of full scale 1) and phase of a frequency in a piece of a recording at 48 kHz that begins at sample
/// `start`.
fn tone(piece: &[i16], start: usize, frequency: f64) -> (f64, f64) {
    let (re, im) = (start..).zip(piece).fold((0.0, 0.0), |(re, im), (at, &sample)| {
        let (sin, cos) = (TAU * frequency * at as f64 / 48_000.0).sin_cos();
        (re + f64::from(sample) * sin, im + f64::from(sample) * cos)
    });
    (2.0 * f64::hypot(re, im) / piece.len() as f64 / 32_768.0, im.atan2(re))
}

/// Strength of a frequency in decibels relative to `amplitude`; seen through a Hann window, so that tones beside it do
/// not count.
pub(crate) fn decibels(samples: &[i16], frequency: f64, amplitude: f64) -> f64 {
    let window = |at: usize| (0.5 * TAU * at as f64 / samples.len() as f64).sin().powi(2);
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, &sample)| {
        let (sin, cos) = (TAU * frequency * at as f64 / 48_000.0).sin_cos();
        let sample = f64::from(sample) * window(at);
        (re + sample * sin, im + sample * cos)
    });
    let found = 4.0 * f64::hypot(re, im) / samples.len() as f64 / 32_768.0;
    20.0 * (found / amplitude).max(1e-9).log10()
}

/// Root mean square of a recording, full scale 1.
pub(crate) fn rms(samples: &[i16]) -> f64 {
    let energy: f64 = samples.iter().map(|&sample| (f64::from(sample) / 32_768.0).powi(2)).sum();
    (energy / samples.len() as f64).sqrt()
}

/// The sharpest bend (second difference): large at a click, small in a tone.
pub(crate) fn sharpest_bend(samples: &[i16]) -> i32 {
    let bend = |three: &[i16]| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])).abs();
    samples.windows(3).map(bend).max().expect("three samples or more")
}

/// Counts the 10 ms pieces of a steady tone whose amplitude is off by 1 dB or whose phase by 0.1 radian, compared with
/// the piece before.
pub(crate) fn discontinuities(samples: &[i16], frequency: f64) -> usize {
    let pieces = samples.chunks_exact(PIECE).enumerate();
    let pieces: Vec<(f64, f64)> = pieces.map(|(number, piece)| tone(piece, number * PIECE, frequency)).collect();
    let differs = |two: &[(f64, f64)]| {
        let ratio = 20.0 * (two[1].0 / two[0].0).log10();
        let turn = (two[1].1 - two[0].1 + 1.5 * TAU).rem_euclid(TAU) - 0.5 * TAU;
        !(ratio.abs() < 1.0 && turn.abs() < 0.1)
    };
    pieces.windows(2).filter(|two| differs(two)).count()
}

#[test]
fn a_gap_and_a_slip_are_found() {
    let sample = |at| (7_000.0 * (TAU * 1_013.0 * f64::from(at) / 48_000.0).sin()) as i16;
    let steady: Vec<i16> = (0..48_000).map(sample).collect();
    assert_eq!(discontinuities(&steady, 1_013.0), 0);
    let mut gap = steady.clone();
    gap[24_000..24_480].fill(0);
    assert!(discontinuities(&gap, 1_013.0) > 0);
    let slip = [&steady[..24_000], &steady[24_002..]].concat();
    assert!(discontinuities(&slip, 1_013.0) > 0);
    assert!(sharpest_bend(&gap) > 2 * sharpest_bend(&steady));
}
