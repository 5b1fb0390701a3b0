//! How loud a voice is made: by itself, slowly, and by somebody's wish.

use mcu_api::GAIN_DB;

use crate::{Frame, LIMITER_CEILING, Level, Sum};

/// Frames below this are not speech and teach nothing.
const SPEECH: Level = Level::from_dbov(50);
/// Between these levels, in dBov, a voice is left as it is, bit for bit: talkers may differ, and most phones lie here.
const QUIETEST_DB: f32 = -34.0;
const LOUDEST_DB: f32 = -14.0;
/// Bounds of the gain, in decibels.
const GAIN_MIN_DB: f32 = -9.0;
const GAIN_MAX_DB: f32 = 12.0;
/// How much of the way to a louder or quieter frame the level goes in one frame: time constants of half a second and of
/// three seconds, so that a word is no reason to change and a pause none at all.
const RISE: f32 = 0.04;
const FALL: f32 = 0.0067;
/// The fastest change of the gain, in decibels a frame: 3 dB in a second upwards, 10 dB downwards.
const UP_DB: f32 = 0.06;
const DOWN_DB: f32 = 0.2;

/// The automatic level of one voice.
///
/// The gain follows the level of speech over seconds and is bounded, so background never swells in a pause; within a frame
/// it moves along a straight line, so it never jumps.
#[derive(Clone, Debug)]
pub struct AutoGain {
    /// Level of the speech so far, dBov; begins where nothing is to be done.
    level_db: f32,
    gain_db: f32,
    gain: f32,
}

impl AutoGain {
    /// A voice that said nothing yet.
    pub const fn new() -> Self {
        Self { level_db: 0.5 * (QUIETEST_DB + LOUDEST_DB), gain_db: 0.0, gain: 1.0 }
    }

    /// Learns from a frame as it came.
    pub fn listen(&mut self, frame: &Frame) {
        let level = Level::measure(frame);
        if level >= SPEECH {
            let louder = -f32::from(level.dbov()) - self.level_db;
            self.level_db += louder * if louder > 0.0 { RISE } else { FALL };
        }
        let wanted = wanted_db(self.level_db);
        self.gain_db += (wanted - self.gain_db).clamp(-DOWN_DB, UP_DB);
        // Somebody quiet who shouts is brought down within this frame, before he is distorted for longer.
        let bearable_db = 20.0 * bearable(frame).log10();
        self.gain_db = self.gain_db.min(bearable_db.max(0.0));
    }

    /// Applies the gain to a frame, from what it was at the end of the last one.
    pub fn apply(&mut self, frame: &mut Frame) {
        let before = self.gain;
        self.gain = if self.gain_db == 0.0 { 1.0 } else { 10f32.powf(self.gain_db / 20.0) };
        if before == 1.0 && self.gain == 1.0 {
            return;
        }
        scale(frame, before, self.gain);
    }

    /// The gain now, in decibels.
    pub const fn gain_db(&self) -> f32 {
        self.gain_db
    }
}

impl Default for AutoGain {
    fn default() -> Self {
        Self::new()
    }
}

/// A gain that somebody set. It goes over to a new value within one frame, along a straight line, so that it makes no click.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gain {
    wanted: f32,
    now: f32,
}

impl Gain {
    /// What leaves everything as it is.
    pub const fn new() -> Self {
        Self { wanted: 1.0, now: 1.0 }
    }

    /// Sets it; held within [`GAIN_DB`].
    pub fn set_db(&mut self, decibels: i8) {
        let decibels = decibels.clamp(*GAIN_DB.start(), *GAIN_DB.end());
        self.wanted = if decibels == 0 { 1.0 } else { 10f32.powf(f32::from(decibels) / 20.0) };
    }

    /// Whether it leaves everything as it is, and has ceased to do otherwise.
    pub const fn is_neutral(&self) -> bool {
        self.wanted == 1.0 && self.now == 1.0
    }

    /// Takes it for gone over to what was set: a copy of it was applied.
    pub const fn settle(&mut self) {
        self.now = self.wanted;
    }

    /// Applies it to a frame, from what it was at the end of the last one. Less where the frame would be distorted.
    pub fn apply(&mut self, frame: &mut Frame) {
        if self.is_neutral() {
            return;
        }
        let before = self.now;
        self.now = self.wanted.min(bearable(frame).max(1.0));
        scale(frame, before, self.now);
    }

    /// Applies it to a sum, which a limiter follows.
    pub fn apply_to_sum(&mut self, sum: &mut Sum) {
        if !self.is_neutral() {
            sum.scale(self.now, self.wanted);
            self.settle();
        }
    }
}

impl Default for Gain {
    fn default() -> Self {
        Self::new()
    }
}

/// The gain that a frame bears undistorted.
fn bearable(frame: &Frame) -> f32 {
    let peak = frame.iter().fold(1, |peak, sample| peak.max(sample.unsigned_abs()));
    f32::from(LIMITER_CEILING) / f32::from(peak)
}

/// Scales a frame by a gain that goes from one value to another along a straight line.
fn scale(frame: &mut Frame, before: f32, after: f32) {
    let step = (after - before) / frame.len() as f32;
    for (at, sample) in frame.iter_mut().enumerate() {
        // The cast saturates.
        *sample = (f32::from(*sample) * (before + step * (at + 1) as f32)).round() as i16;
    }
}

fn wanted_db(level_db: f32) -> f32 {
    if level_db < QUIETEST_DB {
        (QUIETEST_DB - level_db).min(GAIN_MAX_DB)
    } else if level_db > LOUDEST_DB {
        (LOUDEST_DB - level_db).max(GAIN_MIN_DB)
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;
    use crate::{FRAME_SAMPLES, SILENCE};

    /// Feeds a tone of a level in dBov for some frames and gives what leaves.
    fn run(gain: &mut AutoGain, dbov: f64, frames: usize) -> Vec<i16> {
        let amplitude = 32_768.0 * 2f64.sqrt() * 10f64.powf(dbov / 20.0);
        let sample = |at: usize| (amplitude * (TAU * 500.0 * at as f64 / 48_000.0).sin()).round() as i16;
        (0..frames)
            .flat_map(|number| {
                let mut frame: Frame = std::array::from_fn(|at| sample(number * FRAME_SAMPLES + at));
                gain.listen(&frame);
                gain.apply(&mut frame);
                frame
            })
            .collect()
    }

    fn level(samples: &[i16]) -> i32 {
        -i32::from(Level::measure(samples).dbov())
    }

    #[test]
    fn voices_are_brought_together() {
        for (dbov, wanted) in [(-46.0, -34), (-40.0, -34), (-34.0, -34), (-26.0, -26), (-16.0, -16), (-6.0, -14)] {
            let out = run(&mut AutoGain::new(), dbov, 1_500);
            let settled = level(&out[out.len() - 48_000..]);
            assert!((settled - wanted).abs() <= 1, "{dbov} dBov becomes {settled}");
        }
    }

    #[test]
    fn what_may_be_background_is_left_as_it_is() {
        let mut gain = AutoGain::new();
        run(&mut gain, -53.0, 1_500);
        assert_eq!(gain.gain_db(), 0.0);
    }

    #[test]
    fn a_usual_voice_passes_bit_for_bit() {
        let mut gain = AutoGain::new();
        let untouched: Vec<i16> = run(&mut AutoGain::new(), -20.0, 50);
        let after_minutes: Vec<i16> = {
            run(&mut gain, -20.0, 6_000);
            run(&mut gain, -20.0, 50)
        };
        assert_eq!((gain.gain_db(), untouched), (0.0, after_minutes));
    }

    #[test]
    fn a_set_gain_is_reached_in_one_frame_without_a_click_and_taken_back_bit_for_bit() {
        let mut gain = Gain::new();
        let tone: Frame =
            std::array::from_fn(|at| (3_000.0 * (TAU * 500.0 * at as f64 / 48_000.0).sin()).round() as i16);
        let mut run = |decibels: i8| {
            gain.set_db(decibels);
            let mut frames = [tone, tone];
            frames.iter_mut().for_each(|frame| gain.apply(frame));
            frames
        };
        let all = [run(12), run(-20), run(0)];
        for (frames, decibels) in all.iter().zip([12, -20, 0]) {
            let change = level(&frames[1]) - level(&tone);
            assert!((change - decibels).abs() <= 1, "{change} dB instead of {decibels}");
        }
        assert_eq!(all[2][1], tone);
        let out = all.concat().concat();
        let steepest = 3_000.0 * 4.0 * TAU * 500.0 / 48_000.0;
        let step = out.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(step.is_some_and(|step| f64::from(step) < steepest * 1.1), "{step:?} against {steepest}");
    }

    #[test]
    fn a_set_gain_does_not_distort() {
        let mut gain = Gain::new();
        gain.set_db(127);
        let loud: Frame =
            std::array::from_fn(|at| (20_000.0 * (TAU * 500.0 * at as f64 / 48_000.0).sin()).round() as i16);
        let mut out = loud;
        (0..2).for_each(|_| {
            out = loud;
            gain.apply(&mut out);
        });
        let peak = out.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(peak.is_some_and(|peak| peak <= LIMITER_CEILING.unsigned_abs() + 1), "{peak:?}");
        let mut sum = Sum::new();
        sum.add(&loud);
        gain.apply_to_sum(&mut sum);
        assert!(sum.samples().iter().any(|&sample| sample > 70_000), "a sum is left to its limiter");
    }

    #[test]
    fn the_gain_never_jumps_and_background_never_swells() {
        let mut gain = AutoGain::new();
        let out = [run(&mut gain, -45.0, 800), run(&mut gain, -8.0, 200), run(&mut gain, -45.0, 400)].concat();
        // The steepest slope of the loudest tone, at the gain it meets first.
        let steepest = 32_768.0 * 2f64.sqrt() * 10f64.powf((-8.0 + 11.0) / 20.0) * TAU * 500.0 / 48_000.0;
        let step = out.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max();
        assert!(step.is_some_and(|step| f64::from(step) < steepest * 1.1), "{step:?} against {steepest}");
        let distorted = out.iter().filter(|sample| sample.unsigned_abs() >= 32_767).count();
        assert!(distorted < FRAME_SAMPLES / 2, "{distorted} samples are cut off");
        let before = gain.gain_db();
        run(&mut gain, -60.0, 3_000);
        assert!(gain.gain_db() <= before.max(0.0) + GAIN_MAX_DB);
        let mut silence = SILENCE;
        gain.apply(&mut silence);
        assert_eq!(silence, SILENCE);
    }
}
