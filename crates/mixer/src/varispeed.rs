//! Playing a little faster or slower than it came: what a sender needs whose clock is off.
//!
//! As long as nothing is to be changed, samples are copied. Else each is found between those that came by a sinc of
//! 16 taps in a Kaiser window; of one that lies on a sample only that one is left, so that no seam is heard where it begins
//! and ends. Measured at every position between two samples, at the fastest pace: tones from 100 Hz to 15 kHz lose less than
//! 0.05 dB, and what is not the tone is 72 dB below one of half the full scale, as when a tone is rounded to 16 bits twice.
//!
//! A resampler of a library has a filter and a delay of its own for each stream, and would still have to be begun and ended
//! without a seam, which is the greater part of this file.

use std::sync::LazyLock;

use crate::resample::kaiser_sinc;
use crate::{FRAME_SAMPLES, Frame};

/// The fastest pace, and the slowest, in parts per million: 1.7 cents, a third of what a musician hears.
pub const PACE_MAX_PPM: i32 = 1_000;

/// Samples on either side of a position that have a say in what is there.
const REACH: usize = 8;
const TAPS: usize = 2 * REACH;
/// Positions between two samples for which there are taps; between two of these the taps are interpolated.
const PHASES: usize = 64;
const STOP_BAND_DB: f64 = 72.0;

/// Samples needed beyond a frame to play one at the fastest pace.
const AHEAD: usize = REACH + 4;
/// What may be held: one sample less than is enough, and another frame.
const HELD_MAX: usize = 2 * FRAME_SAMPLES + AHEAD;
const CAPACITY: usize = REACH + HELD_MAX;

/// Decoded samples of one stream, which are played at a pace that may be a little off.
#[derive(Clone)]
pub struct Varispeed {
    /// [`REACH`] samples that were played already, then those that are held.
    samples: [i16; CAPACITY],
    end: usize,
    /// How far behind the first of these the next position to be played is: from 0 to below 1.
    fraction: f64,
}

impl Varispeed {
    /// One that holds nothing.
    pub const fn new() -> Self {
        Self { samples: [0; CAPACITY], end: REACH, fraction: 0.0 }
    }

    /// How many samples are held: below a frame and a half millisecond after each [`Varispeed::play`].
    pub const fn held(&self) -> usize {
        self.end - REACH
    }

    /// How many samples have to be held to play a frame at this pace.
    pub const fn needed(&self, pace_ppm: i32) -> usize {
        // Whoever begins to play slower has no more than a frame.
        let begun = self.fraction > 0.0;
        FRAME_SAMPLES + if pace_ppm > 0 || (pace_ppm < 0 && begun) { AHEAD } else { 0 }
    }

    /// Whether the next frame is the one that comes next, as it is; it can then be [passed](Self::pass) by.
    pub const fn passes(&self, pace_ppm: i32) -> bool {
        pace_ppm == 0 && self.end == REACH && self.fraction == 0.0
    }

    /// The same as to push a frame and to play it at pace 0 while nothing is held.
    pub fn pass(&mut self, frame: &Frame) {
        self.samples[..REACH].copy_from_slice(&frame[FRAME_SAMPLES - REACH..]);
    }

    /// Takes samples. When there is no room, the oldest go.
    pub fn push(&mut self, samples: &[i16]) {
        let samples = &samples[samples.len().saturating_sub(HELD_MAX)..];
        self.forget((self.held() + samples.len()).saturating_sub(HELD_MAX));
        self.samples[self.end..self.end + samples.len()].copy_from_slice(samples);
        self.end += samples.len();
    }

    /// Plays the next frame, so many parts per million faster than it came (negative: slower), [`PACE_MAX_PPM`] at most;
    /// what is missing is silence.
    ///
    /// It takes some samples more than a frame to play at another pace. When a slower one begins they are not there yet, so
    /// that one frame is played slower by up to a hundredth. At pace 0 one frame goes back to a whole sample, the next ones
    /// are copied.
    pub fn play(&mut self, pace_ppm: i32, frame: &mut Frame) {
        if let Some(missing) = FRAME_SAMPLES.checked_sub(self.held()) {
            self.samples[self.end..self.end + missing].fill(0);
            self.end += missing;
        }
        if pace_ppm == 0 && self.fraction == 0.0 {
            frame.copy_from_slice(&self.samples[REACH..REACH + FRAME_SAMPLES]);
            return self.forget(FRAME_SAMPLES);
        }
        let step = self.step(pace_ppm);
        self.interpolate(step, frame);
        // So near to a sample it is one.
        let end = self.fraction + FRAME_SAMPLES as f64 * step;
        let whole = (end + 1e-6).floor();
        self.fraction = if end - whole < 1e-6 { 0.0 } else { end - whole };
        self.forget(whole as usize);
    }

    /// Forgets what is held.
    pub fn clear(&mut self) {
        self.samples[..REACH].fill(0);
        (self.end, self.fraction) = (REACH, 0.0);
    }

    /// How far to go for each sample of the next frame.
    fn step(&self, pace_ppm: i32) -> f64 {
        let pace = f64::from(pace_ppm.clamp(-PACE_MAX_PPM, PACE_MAX_PPM));
        let wanted = if pace_ppm == 0 {
            (FRAME_SAMPLES as f64 - self.fraction) / FRAME_SAMPLES as f64
        } else {
            1.0 + pace / 1e6
        };
        let last = self.held() - 1 - REACH;
        wanted.min((last as f64 - self.fraction) / (FRAME_SAMPLES - 1) as f64)
    }

    fn interpolate(&self, step: f64, frame: &mut Frame) {
        let mut samples = [0.0; CAPACITY];
        for (to, &from) in samples.iter_mut().zip(&self.samples[..self.end]) {
            *to = f32::from(from);
        }
        let phases = &*PHASE_TAPS;
        for (at, sample) in frame.iter_mut().enumerate() {
            let position = self.fraction + at as f64 * step;
            let whole = position as usize;
            let phase = (position - whole as f64) * PHASES as f64;
            let (row, share) = (phase as usize, phase.fract() as f32);
            let (one, next) = (&phases[row], &phases[row + 1]);
            let taps: [f32; TAPS] = std::array::from_fn(|tap| one[tap] + share * (next[tap] - one[tap]));
            // The tap before the middle lies on the sample before the position.
            *sample = dot(&samples[whole + 1..whole + 1 + TAPS], &taps).round() as i16;
        }
    }

    /// Drops the oldest samples, but for those that the next ones need beside them.
    fn forget(&mut self, samples: usize) {
        self.samples.copy_within(samples..self.end, 0);
        self.end -= samples;
    }
}

/// The inner product. Eight partial sums, because the compiler may not reorder one.
fn dot(samples: &[f32], taps: &[f32; TAPS]) -> f32 {
    let mut sums = [0.0; 8];
    for (samples, taps) in samples.as_chunks::<8>().0.iter().zip(taps.as_chunks::<8>().0) {
        for ((sum, sample), tap) in sums.iter_mut().zip(samples).zip(taps) {
            *sum += sample * tap;
        }
    }
    sums.iter().sum()
}

impl Default for Varispeed {
    fn default() -> Self {
        Self::new()
    }
}

/// The taps of each position, and of the sample after it.
static PHASE_TAPS: LazyLock<[[f32; TAPS]; PHASES + 1]> = LazyLock::new(|| {
    std::array::from_fn(|phase| {
        let position = (REACH - 1) as f64 + phase as f64 / PHASES as f64;
        let taps: [f64; TAPS] =
            std::array::from_fn(|tap| kaiser_sinc(tap as f64 - position, 1.0, REACH as f64, STOP_BAND_DB));
        let gain: f64 = taps.iter().sum();
        taps.map(|tap| (tap / gain) as f32)
    })
});

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::SILENCE;

    const AMPLITUDE: f64 = 16_384.0;

    fn sine(frequency: f64, from: usize) -> Frame {
        std::array::from_fn(|at| {
            let angle = TAU * frequency * (from + at) as f64 / 48_000.0;
            (AMPLITUDE * angle.sin()).round() as i16
        })
    }

    /// Plays a tone for so many frames at a pace for each; answers what was played, how many units it took, and what was held
    /// after each frame.
    fn play(frequency: f64, frames: usize, pace: impl Fn(usize) -> i32) -> (Vec<i16>, usize, Vec<usize>) {
        let (mut varispeed, mut played, mut units, mut held) = (Varispeed::new(), Vec::new(), 0, Vec::new());
        for number in 0..frames {
            while varispeed.held() < varispeed.needed(pace(number)) {
                varispeed.push(&sine(frequency, units * FRAME_SAMPLES));
                units += 1;
            }
            let mut frame = SILENCE;
            varispeed.play(pace(number), &mut frame);
            played.extend(frame);
            held.push(varispeed.held());
        }
        (played, units, held)
    }

    /// How much is in a piece beside the best sine of a frequency, and how strong that is: in dB, relative to the tone.
    fn rest_and_strength(samples: &[i16], frequency: f64) -> (f64, f64) {
        let angle = |at: usize| TAU * frequency * at as f64 / 48_000.0;
        // Least squares for a sine and a cosine.
        let mut sums = [0.0; 5];
        for (at, &sample) in samples.iter().enumerate() {
            let ((s, c), y) = (angle(at).sin_cos(), f64::from(sample));
            [s * s, s * c, c * c, s * y, c * y].iter().zip(&mut sums).for_each(|(&add, sum)| *sum += add);
        }
        let [ss, sc, cc, sy, cy] = sums;
        let determinant = ss * cc - sc * sc;
        let (a, b) = ((sy * cc - cy * sc) / determinant, (cy * ss - sy * sc) / determinant);
        let rest: f64 = samples
            .iter()
            .enumerate()
            .map(|(at, &sample)| {
                let (s, c) = angle(at).sin_cos();
                (f64::from(sample) - a * s - b * c).powi(2)
            })
            .sum();
        let rest = (2.0 * rest / samples.len() as f64).sqrt();
        (20.0 * (rest / AMPLITUDE).log10(), 20.0 * (f64::hypot(a, b) / AMPLITUDE).log10())
    }

    #[test]
    fn a_tone_stays_pure_and_as_loud_as_it_was() {
        for pace in [-PACE_MAX_PPM, -50, 50, PACE_MAX_PPM] {
            for frequency in [100.0, 1_000.0, 3_000.0, 7_000.0, 12_000.0, 15_000.0] {
                let (played, ..) = play(frequency, 200, |_| pace);
                let heard = frequency * (1.0 + f64::from(pace) / 1e6);
                for piece in played[FRAME_SAMPLES..].chunks_exact(FRAME_SAMPLES) {
                    let (rest, strength) = rest_and_strength(piece, heard);
                    assert!(
                        rest < -72.0 && strength.abs() < 0.05,
                        "{frequency} Hz, {pace} ppm: {rest:.1}, {strength:.3} dB"
                    );
                }
            }
        }
    }

    #[test]
    fn it_takes_as_many_samples_as_the_pace_says() {
        for (pace, units) in [(0, 4_000), (1_000, 4_004), (-1_000, 3_996), (500, 4_002), (-250, 3_999)] {
            let (_, taken, held) = play(440.0, 4_000, |_| pace);
            assert!(taken.abs_diff(units) <= 1, "{pace} ppm: {taken} units");
            assert!(held.iter().all(|&held| held < FRAME_SAMPLES + 24), "{pace} ppm");
        }
    }

    #[test]
    fn without_a_pace_it_copies() {
        let (played, _, held) = play(700.0, 50, |_| 0);
        let sent: Vec<i16> = (0..50).flat_map(|number| sine(700.0, number * FRAME_SAMPLES)).collect();
        assert_eq!(played, sent);
        assert!(held.iter().all(|&held| held == 0));
    }

    /// The pace changes to and fro; the tone bends no sharper than a tone does.
    #[test]
    fn a_pace_begins_and_ends_without_a_click() {
        let bend = |samples: &[i16]| {
            let bend = |w: &[i16]| (i32::from(w[0]) - 2 * i32::from(w[1]) + i32::from(w[2])).abs();
            samples.windows(3).map(bend).max().expect("samples")
        };
        let turns = [0, 1_000, 0, -1_000, 0, 0, -1_000, 1_000];
        let (played, _, held) = play(1_013.0, 2_000, |number| turns[number / 37 % turns.len()]);
        let calm = bend(&sine(1_013.0, 0));
        assert!(bend(&played) <= calm + 8, "{} against {calm}", bend(&played));
        assert!(held.iter().any(|&held| held > 500), "the pace was another one");
        // Where the pace is 0 for longer, a frame is a copy.
        let at = (0..2_000).rfind(|number| number % 37 == 30 && turns[number / 37 % turns.len()] == 0).expect("one");
        let frame = &played[at * FRAME_SAMPLES..][..FRAME_SAMPLES];
        let sent: Vec<i16> = (0..2_010).flat_map(|number| sine(1_013.0, number * FRAME_SAMPLES)).collect();
        assert!(sent.windows(FRAME_SAMPLES).any(|sent| sent == frame));
    }

    #[test]
    fn a_frame_that_passes_is_known_to_the_next_one() {
        let (mut passing, mut pushing, mut passed, mut pushed) = (Varispeed::new(), Varispeed::new(), SILENCE, SILENCE);
        assert!(passing.passes(0) && !passing.passes(1));
        passing.pass(&sine(440.0, 0));
        pushing.push(&sine(440.0, 0));
        pushing.play(0, &mut pushed);
        for varispeed in [&mut passing, &mut pushing] {
            varispeed.push(&sine(440.0, FRAME_SAMPLES));
            assert!(!varispeed.passes(0));
        }
        passing.play(-1_000, &mut passed);
        pushing.play(-1_000, &mut pushed);
        assert_eq!(passed, pushed);
        assert!(passed[..20].iter().all(|&sample| sample != 0));
    }

    #[test]
    fn whatever_comes_it_plays() {
        let mut varispeed = Varispeed::new();
        let mut frame = [1; FRAME_SAMPLES];
        varispeed.play(1_000, &mut frame);
        assert_eq!(frame, SILENCE);
        for _ in 0..5 {
            varispeed.push(&[7; FRAME_SAMPLES]);
        }
        assert_eq!(varispeed.held(), HELD_MAX);
        varispeed.play(-500, &mut frame);
        assert_eq!(frame[REACH..], [7; FRAME_SAMPLES][REACH..]);
        varispeed.clear();
        assert_eq!(varispeed.held(), 0);
    }
}
