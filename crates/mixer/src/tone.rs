//! Notes: what the server's sounds and its music are made of.

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::fade::{FADE_SAMPLES, rise};
use crate::{Frame, SAMPLE_RATE};

/// A recording at the mixer's rate, made once and played by everybody. A clone shares the samples.
#[derive(Clone, Debug)]
pub struct Clip {
    samples: Arc<[i16]>,
}

impl Clip {
    /// A clip of samples at the mixer's rate, its ends softened so that they make no click; `None` of none.
    pub fn new(mut samples: Vec<i16>) -> Option<Self> {
        let edge = FADE_SAMPLES.min(samples.len() / 2);
        for at in 0..edge {
            let gain = rise(at * FADE_SAMPLES / edge);
            let last = samples.len() - 1 - at;
            for end in [at, last] {
                samples[end] = (f32::from(samples[end]) * gain).round() as i16;
            }
        }
        (!samples.is_empty()).then(|| Self { samples: samples.into() })
    }

    /// Copies 20 ms from `position` (in samples) on into `out`, silence after the end; false when `position` lies at or
    /// after the end.
    pub fn read(&self, position: usize, out: &mut Frame) -> bool {
        self.copy(position, out);
        position < self.samples.len()
    }

    /// Copies samples from `position` on into `out`, silence after the end.
    pub fn copy(&self, position: usize, out: &mut [i16]) {
        let rest = self.samples.get(position..).unwrap_or_default();
        let length = rest.len().min(out.len());
        out[..length].copy_from_slice(&rest[..length]);
        out[length..].fill(0);
    }

    /// Copies 20 ms from `position` (in samples) on into `out`, going on at the beginning after the end.
    pub fn read_looped(&self, position: usize, out: &mut Frame) {
        let from = position % self.samples.len();
        for (out, &sample) in out.iter_mut().zip(self.samples.iter().cycle().skip(from)) {
            *out = sample;
        }
    }

    /// Length in samples; at least 1.
    #[allow(clippy::len_without_is_empty, reason = "a clip is never empty")]
    pub fn len(&self) -> usize {
        self.samples.len()
    }
}

/// One note of a clip.
#[derive(Clone, Copy)]
pub(crate) struct Note {
    /// When it begins, in milliseconds.
    pub(crate) start_ms: u32,
    /// How long it lasts, in milliseconds; it is faded out over its last [`EDGE_MS`].
    pub(crate) length_ms: u32,
    /// The fundamental in Hz.
    pub(crate) frequency: f64,
    /// Peak amplitude of the fundamental; full scale is 1.
    pub(crate) amplitude: f64,
    /// After this many milliseconds the note has fallen to a third, as a plucked string does. 0: it does not fall.
    pub(crate) decay_ms: u32,
    /// Amplitudes of the second and third harmonic, relative to the fundamental.
    pub(crate) harmonics: [f64; 2],
}

/// Attack and release of a note.
const EDGE_MS: u32 = 8;

/// Plays notes into a clip of `length_ms`; what lasts beyond its end goes on at its beginning.
pub(crate) fn render(length_ms: u32, notes: &[Note]) -> Clip {
    let mut sound = vec![0.0; samples(length_ms).max(1)];
    for note in notes {
        note.play(&mut sound);
    }
    Clip { samples: sound.into_iter().map(|sample| (sample * 32_767.0).round() as i16).collect() }
}

impl Note {
    fn play(&self, sound: &mut [f64]) {
        let (start, length, edge) = (samples(self.start_ms), samples(self.length_ms), samples(EDGE_MS) as f64);
        let decay = if self.decay_ms == 0 { 1.0 } else { (-1.1 / samples(self.decay_ms) as f64).exp() };
        let partials = [(1.0, 1.0), (2.0, self.harmonics[0]), (3.0, self.harmonics[1])];
        for (multiple, strength) in partials.into_iter().filter(|&(_, strength)| strength > 0.0) {
            let mut amplitude = self.amplitude * strength;
            let mut oscillator = Oscillator::new(self.frequency * multiple);
            for at in 0..length {
                let (begun, left) = (at as f64 / edge, (length - at) as f64 / edge);
                let envelope = begun.min(left).min(1.0);
                sound[(start + at) % sound.len()] += oscillator.next() * amplitude * envelope;
                amplitude *= decay;
            }
        }
    }
}

/// A sine by rotation of a vector: two multiplications instead of a call of `sin` for each sample.
struct Oscillator {
    re: f64,
    im: f64,
    step: (f64, f64),
}

impl Oscillator {
    fn new(frequency: f64) -> Self {
        Self { re: 1.0, im: 0.0, step: (TAU * frequency / f64::from(SAMPLE_RATE)).sin_cos() }
    }

    fn next(&mut self) -> f64 {
        let sample = self.im;
        let (sin, cos) = self.step;
        (self.re, self.im) = (self.re * cos - self.im * sin, self.re * sin + self.im * cos);
        sample
    }
}

const fn samples(milliseconds: u32) -> usize {
    (milliseconds as usize) * (SAMPLE_RATE as usize) / 1_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FRAME_SAMPLES;

    const NOTE: Note =
        Note { start_ms: 10, length_ms: 50, frequency: 500.0, amplitude: 0.5, decay_ms: 0, harmonics: [0.0, 0.0] };

    #[test]
    fn a_clip_is_followed_by_silence_or_by_itself() {
        let clip = render(30, &[NOTE]);
        assert_eq!(clip.len(), 1_440);
        let (mut one, mut two, mut looped) = ([0; FRAME_SAMPLES], [7; FRAME_SAMPLES], [0; FRAME_SAMPLES]);
        assert!(clip.read(0, &mut one) && clip.read(960, &mut two));
        assert!(two[480..].iter().all(|&sample| sample == 0));
        assert!(!clip.read(1_440, &mut looped) && !clip.read(usize::MAX, &mut looped));
        clip.read_looped(1_440 * 3 + 960, &mut looped);
        assert_eq!((&looped[..480], &looped[480..]), (&two[..480], &one[..480]));
    }

    #[test]
    fn a_note_begins_and_ends_without_a_click() {
        let clip = render(100, &[NOTE]);
        let steepest = 0.5 * 32_767.0 * TAU * 500.0 / 48_000.0 * 1.1;
        for pair in clip.samples.windows(2) {
            assert!((f64::from(pair[1]) - f64::from(pair[0])).abs() < steepest);
        }
        assert!(clip.samples.iter().any(|&sample| sample > 16_000));
    }
}
