//! A voice and a room, made up.

use std::f64::consts::TAU;

use mixer::{FRAME_SAMPLES, Frame};

/// 20 ms of something like speech: a gliding pitch with its harmonics, in four syllables a second.
pub(crate) fn voice(number: usize, pitch: f64) -> Frame {
    std::array::from_fn(|at| {
        let seconds = (number * FRAME_SAMPLES + at) as f64 / 48_000.0;
        let syllable = (TAU * 2.0 * seconds).sin().abs().sqrt();
        let phase = TAU * (pitch * seconds + 3.0 * (TAU * 0.7 * seconds).sin());
        let tone: f64 = (1..20).map(|harmonic| (f64::from(harmonic) * phase).sin() / f64::from(harmonic)).sum();
        (5_000.0 * syllable * tone) as i16
    })
}

/// 20 ms of room noise, about -56 dBov, duller than white.
pub(crate) fn noise(number: usize, seed: u64) -> Frame {
    let white = |at: usize| {
        let mut bits = (at as u64 ^ seed << 40).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        bits = (bits ^ bits >> 31).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        (bits >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    std::array::from_fn(|at| {
        let at = number * FRAME_SAMPLES + at + 8;
        (360.0 * (0..8).map(|back| white(at - back) / 8.0).sum::<f64>()) as i16
    })
}
