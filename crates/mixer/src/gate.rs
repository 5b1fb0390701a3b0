//! Silences one voice's line while nothing but its background is on it.

use crate::{FRAME_SAMPLES, Frame, SILENCE};

/// Samples in which the gate looks for an onset: 5 ms.
const BLOCK: usize = 240;
/// Samples of the attack where an onset comes at the very beginning of a frame; else it is the block before the onset.
const ATTACK: usize = 120;
/// Frames for which the gate stays open after the last one that was no background: 160 ms, longer than between syllables.
const HOLD_FRAMES: u8 = 8;
/// Frames in which it closes then: 100 ms.
const RELEASE_FRAMES: f32 = 5.0;

/// What opens the gate is this much louder than the background, in decibels; steady noise varies less.
const OPEN_DB: f32 = 9.0;
/// What keeps it open may be quieter by this.
const HYSTERESIS_DB: f32 = 3.0;
/// Louder than this, in dBov, is never background.
const NEVER_BACKGROUND_DBOV: f32 = -40.0;
/// Quieter than this is never a voice.
const NEVER_VOICE_DBOV: f32 = -64.0;
/// Where the background is taken to be at first.
const BACKGROUND_DBOV: f32 = -50.0;
/// How fast it rises, in decibels a frame: 5 dB in a second. It falls at once, so that gaps between words hold it down.
const BACKGROUND_RISE_DB: f32 = 0.1;

/// The noise gate of one voice.
///
/// Open, it changes nothing, bit for bit. It opens before the onset that it found within the frame, so that no syllable is
/// clipped and nothing is delayed; it closes along a straight line.
#[derive(Clone, Debug)]
pub struct NoiseGate {
    background_dbov: f32,
    /// Frames for which it stays open.
    hold: u8,
    /// 1 is open, 0 is closed.
    gain: f32,
}

impl NoiseGate {
    /// A closed gate that heard nothing yet.
    pub const fn new() -> Self {
        Self { background_dbov: BACKGROUND_DBOV, hold: 0, gain: 0.0 }
    }

    /// Whether nothing passes.
    pub const fn is_closed(&self) -> bool {
        self.gain == 0.0
    }

    /// Passes a frame on, or takes it away.
    pub fn process(&mut self, frame: &mut Frame) {
        let threshold = (self.background_dbov + OPEN_DB).clamp(NEVER_VOICE_DBOV, NEVER_BACKGROUND_DBOV);
        let onset = frame.chunks_exact(BLOCK).position(|block| dbov(block) >= threshold);
        let level = dbov(frame);
        self.follow(level);
        let goes_on = self.gain == 1.0 && level >= threshold - HYSTERESIS_DB;
        if onset.is_some() || goes_on {
            self.hold = HOLD_FRAMES;
        } else {
            self.hold = self.hold.saturating_sub(1);
        }
        match onset {
            _ if self.gain == 1.0 && self.hold > 0 => {}
            Some(block) => self.open(frame, block * BLOCK),
            None if self.is_closed() => *frame = SILENCE,
            None => self.close(frame),
        }
    }

    fn follow(&mut self, level: f32) {
        let risen = (self.background_dbov + BACKGROUND_RISE_DB).min(NEVER_BACKGROUND_DBOV);
        self.background_dbov = level.min(risen).max(NEVER_VOICE_DBOV - OPEN_DB);
    }

    /// Is open from sample `onset` on.
    fn open(&mut self, frame: &mut Frame, onset: usize) {
        let (begin, end) = if onset == 0 { (0, ATTACK) } else { (onset - BLOCK, onset) };
        scale(&mut frame[..begin], self.gain, self.gain);
        scale(&mut frame[begin..end], self.gain, 1.0);
        self.gain = 1.0;
    }

    fn close(&mut self, frame: &mut Frame) {
        let before = self.gain;
        self.gain = (before - 1.0 / RELEASE_FRAMES).max(0.0);
        // What rounding leaves of the last step is no frame of its own.
        if self.gain < 0.01 {
            self.gain = 0.0;
        }
        scale(frame, before, self.gain);
    }
}

impl Default for NoiseGate {
    fn default() -> Self {
        Self::new()
    }
}

/// The level of samples by their root mean square.
fn dbov(samples: &[i16]) -> f32 {
    let energy: f32 = samples.iter().map(|&sample| (f32::from(sample) / 32_768.0).powi(2)).sum();
    10.0 * (energy / samples.len() as f32).max(1e-13).log10()
}

fn scale(samples: &mut [i16], before: f32, after: f32) {
    let step = (after - before) / samples.len().max(1) as f32;
    for (at, sample) in samples.iter_mut().enumerate() {
        *sample = (f32::from(*sample) * (before + step * (at + 1) as f32)).round() as i16;
    }
}

const _: () = assert!(FRAME_SAMPLES.is_multiple_of(BLOCK));

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    const SECOND: usize = 48_000;

    /// White noise of a level.
    fn noise(dbov: f64, samples: usize) -> Vec<f64> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / f64::from(1 << 23) - 1.0
        };
        (0..samples).map(|_| next() * 3f64.sqrt() * 32_768.0 * 10f64.powf(dbov / 20.0)).collect()
    }

    /// Adds a tone of a level from one sample to another.
    fn add_tone(to: &mut [f64], dbov: f64, range: std::ops::Range<usize>) {
        let amplitude = 32_768.0 * 2f64.sqrt() * 10f64.powf(dbov / 20.0);
        for at in range {
            to[at] += amplitude * (TAU * 300.0 * at as f64 / 48_000.0).sin();
        }
    }

    /// What goes into the gate and what leaves it.
    fn run(sound: &[f64]) -> (Vec<i16>, Vec<i16>) {
        let before: Vec<i16> = sound.iter().map(|sample| sample.round() as i16).collect();
        let mut gate = NoiseGate::new();
        let frames = before.chunks_exact(FRAME_SAMPLES).flat_map(|samples| {
            let mut frame: Frame = samples.try_into().expect("a frame");
            gate.process(&mut frame);
            frame
        });
        let after = frames.collect();
        (before, after)
    }

    #[test]
    fn steady_noise_is_taken_away_whatever_the_line_was_before() {
        for quiet_dbov in [-50.0, -90.0] {
            let sound = [noise(quiet_dbov, 2 * SECOND), noise(-50.0, 6 * SECOND)].concat();
            let (_, after) = run(&sound);
            let rest = &after[after.len() - SECOND..];
            assert!(rest.iter().all(|&sample| sample == 0), "after {quiet_dbov} dBov: {} dBov is left", dbov(rest));
        }
    }

    #[test]
    fn an_onset_is_not_clipped_wherever_in_a_frame_it_comes() {
        for offset in (0..FRAME_SAMPLES).step_by(37) {
            for voice_dbov in [-20.0, -36.0] {
                let mut sound = noise(-50.0, 5 * SECOND);
                let onset = 4 * SECOND + offset;
                add_tone(&mut sound, voice_dbov, onset..5 * SECOND);
                let (before, after) = run(&sound);
                let first = onset..onset + FRAME_SAMPLES;
                let lost = dbov(&before[first.clone()]) - dbov(&after[first]);
                assert!(lost.abs() < 1.5, "{lost} dB of the first 20 ms at {voice_dbov} dBov, offset {offset}");
                assert!(after[..4 * SECOND - FRAME_SAMPLES].ends_with(&SILENCE), "it was closed before");
            }
        }
    }

    #[test]
    fn between_syllables_nothing_is_changed() {
        let mut sound = noise(-55.0, 8 * SECOND);
        for syllable in 0..20 {
            let begin = 2 * SECOND + syllable * 12 * SECOND / 60;
            add_tone(&mut sound, -24.0, begin..begin + SECOND / 10);
        }
        let (before, after) = run(&sound);
        let spoken = 2 * SECOND + FRAME_SAMPLES..6 * SECOND;
        assert_eq!(before[spoken.clone()], after[spoken]);
        assert!(after[7 * SECOND..].iter().all(|&sample| sample == 0), "afterwards it closes");
    }

    #[test]
    fn it_makes_no_click() {
        let mut sound = vec![0.0; 6 * SECOND];
        add_tone(&mut sound, -52.0, 0..6 * SECOND);
        add_tone(&mut sound, -30.0, 2 * SECOND..3 * SECOND);
        let (before, after) = run(&sound);
        let steepest = |samples: &[i16]| samples.windows(2).map(|two| (two[1] - two[0]).unsigned_abs()).max();
        assert!(steepest(&after) <= steepest(&before).map(|step| step + 2), "{:?}", steepest(&after));
        let closing = 3 * SECOND + SECOND / 10..4 * SECOND;
        assert!(steepest(&after[closing.clone()]) <= steepest(&before[closing]).map(|step| step + 2));
    }
}
