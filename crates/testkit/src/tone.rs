//! The tone oracle: each participant sends a pure tone of his own, and a recording tells who was heard.
//!
//! Goertzel's filter measures one frequency; the tones of [`TONES`] are no multiples of each other and lie inside the
//! G.711 band, so they stay apart after any codec and any mix.

use std::fmt;

use crate::wav::Sound;

/// Frequencies in Hz, one for each participant.
pub const TONES: [u32; 12] = [440, 620, 790, 1010, 1270, 1530, 1810, 2090, 2350, 2630, 2890, 3110];

/// Amplitude of the tones, as a share of full scale: four at once do not clip.
pub const AMPLITUDE: f64 = 0.22;

/// A tone louder than this counts as heard, in dB of full scale; a participant at [`AMPLITUDE`] arrives near -13 dB.
pub const HEARD_DB: f64 = -40.0;

/// A pure tone of [`AMPLITUDE`].
pub fn sine(frequency: u32, seconds: f64, rate: u32) -> Sound {
    let count = (seconds * f64::from(rate)) as usize;
    let step = std::f64::consts::TAU * f64::from(frequency) / f64::from(rate);
    let samples =
        (0..count).map(|index| (AMPLITUDE * f64::from(i16::MAX) * (step * index as f64).sin()) as i16).collect();
    Sound { rate, samples }
}

/// Level of one frequency in dB of full scale (a full-scale sine is 0 dB), over the whole sound with a Hann window.
pub fn level_db(sound: &Sound, frequency: u32) -> f64 {
    20.0 * amplitude(&sound.samples, sound.rate, frequency).max(1e-9).log10()
}

/// The share of 20 ms frames in which the tone lies more than 12 dB below its median: audible drop-outs.
pub fn drop_outs(sound: &Sound, frequency: u32) -> f64 {
    let frame = sound.rate as usize / 50;
    let levels: Vec<f64> =
        sound.samples.chunks_exact(frame.max(1)).map(|frame| amplitude(frame, sound.rate, frequency)).collect();
    let mut sorted = levels.clone();
    sorted.sort_by(f64::total_cmp);
    let Some(median) = sorted.get(sorted.len() / 2) else { return 1.0 };
    let threshold = median / 4.0;
    levels.iter().filter(|level| **level < threshold).count() as f64 / levels.len() as f64
}

/// Amplitude of one frequency, 0 to 1 (Goertzel).
fn amplitude(samples: &[i16], rate: u32, frequency: u32) -> f64 {
    if samples.len() < 64 {
        return 0.0;
    }
    let count = samples.len() as f64;
    let coefficient = 2.0 * (std::f64::consts::TAU * f64::from(frequency) / f64::from(rate)).cos();
    let window = std::f64::consts::TAU / (count - 1.0);
    let (mut before, mut last) = (0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let weighted = f64::from(*sample) / 32_768.0 * (0.5 - 0.5 * (window * index as f64).cos());
        (before, last) = (last, weighted + coefficient * last - before);
    }
    let power = before * before + last * last - coefficient * before * last;
    4.0 * power.max(0.0).sqrt() / count
}

/// What one participant sent and what he recorded.
#[derive(Clone, Debug)]
pub struct Listener {
    /// His name, for the report.
    pub name: String,
    /// The tone he sent, in Hz.
    pub tone: u32,
    /// What he heard while everybody was there.
    pub heard: Sound,
}

/// Who heard whom: levels in dB, one row for each listener.
#[derive(Clone, Debug)]
pub struct Matrix {
    names: Vec<String>,
    tones: Vec<u32>,
    levels: Vec<Vec<f64>>,
}

impl Matrix {
    /// Measures every tone in every recording.
    pub fn measure(listeners: &[Listener]) -> Self {
        let tones: Vec<u32> = listeners.iter().map(|listener| listener.tone).collect();
        Self {
            names: listeners.iter().map(|listener| listener.name.clone()).collect(),
            levels: listeners
                .iter()
                .map(|listener| tones.iter().map(|tone| level_db(&listener.heard, *tone)).collect())
                .collect(),
            tones,
        }
    }

    /// Every breach of "everybody hears everybody else and nobody hears himself".
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (row, name) in self.names.iter().enumerate() {
            for (column, other) in self.names.iter().enumerate() {
                let level = self.levels[row][column];
                if row == column && level > HEARD_DB {
                    faults.push(format!("{name} hears himself at {level:.1} dB"));
                } else if row != column && level <= HEARD_DB {
                    faults.push(format!("{name} does not hear {other} ({level:.1} dB)"));
                }
            }
        }
        faults
    }

    /// Panics with the whole matrix when there is a fault.
    pub fn assert_complete(&self) {
        let faults = self.faults();
        assert!(faults.is_empty(), "{}\n{self}", faults.join("\n"));
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:16}", "heard by, dB")?;
        for tone in &self.tones {
            write!(f, "{tone:>8}")?;
        }
        for (name, levels) in self.names.iter().zip(&self.levels) {
            write!(f, "\n{name:16}")?;
            for level in levels {
                write!(f, "{level:8.1}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(tones: &[u32]) -> Sound {
        let mut sum = sine(tones[0], 1.0, 8_000);
        for tone in &tones[1..] {
            for (sample, other) in sum.samples.iter_mut().zip(sine(*tone, 1.0, 8_000).samples) {
                *sample += other;
            }
        }
        sum
    }

    #[test]
    fn a_tone_is_found_at_its_level_and_no_other() {
        let sound = sine(1010, 1.0, 8_000);
        let expected = 20.0 * AMPLITUDE.log10();
        assert!((level_db(&sound, 1010) - expected).abs() < 0.1);
        for tone in TONES.iter().filter(|tone| **tone != 1010) {
            assert!(level_db(&sound, *tone) < -80.0, "{tone}");
        }
    }

    #[test]
    fn the_matrix_names_who_is_missing_and_who_hears_himself() {
        let listener = |name: &str, tone, heard: &[u32]| Listener { name: name.into(), tone, heard: mix(heard) };
        let good =
            [listener("ann", 440, &[620, 790]), listener("bob", 620, &[440, 790]), listener("eve", 790, &[440, 620])];
        Matrix::measure(&good).assert_complete();
        let bad = [listener("ann", 440, &[440, 620]), listener("bob", 620, &[790])];
        let faults = Matrix::measure(&bad).faults();
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].contains("ann hears himself") && faults[1].contains("bob does not hear ann"), "{faults:?}");
    }

    #[test]
    fn a_gap_is_a_drop_out() {
        let mut sound = sine(440, 1.0, 8_000);
        assert_eq!(drop_outs(&sound, 440), 0.0);
        sound.samples[1_600..2_400].fill(0);
        assert!((drop_outs(&sound, 440) - 0.1).abs() < 0.001);
    }
}
