//! The background of somebody who sends none.

use crate::{Frame, Level};

/// What is sent where there is nothing at all to hear, by codecs and to peers that have no pauses of their own: a faint noise, so
/// that nobody takes the line for dead. What is quieter nobody hears on a telephone.
pub const LINE_NOISE: Level = Level::from_dbov(69);

/// Share of the way to the next random number that the noise goes with each sample: no more treble than a telephone has.
const SMOOTHING: f32 = 0.325;

/// Comfort noise of a level (RFC 3389), with the spectrum of a quiet room. Goes over to a new level within one frame.
#[derive(Clone, Debug)]
pub struct ComfortNoise {
    state: u32,
    last: f32,
    /// `None` before the first frame.
    scale: Option<f32>,
}

impl ComfortNoise {
    /// Noise that begins at the level it is first given.
    pub const fn new() -> Self {
        Self { state: 1, last: 0.0, scale: None }
    }

    /// Begins anew.
    pub const fn restart(&mut self) {
        self.scale = None;
    }

    /// Fills a frame.
    pub fn fill(&mut self, level: Level, frame: &mut Frame) {
        // Uniform numbers have a mean square of a third, and the smoothing leaves SMOOTHING / (2 - SMOOTHING) of it.
        let of_unit = (SMOOTHING / (2.0 - SMOOTHING) / 3.0).sqrt();
        let wanted = match level {
            Level::SILENT => 0.0,
            level => 32_768.0 * 10f32.powf(-f32::from(level.dbov()) / 20.0) / of_unit,
        };
        let mut scale = self.scale.replace(wanted).unwrap_or(wanted);
        let step = (wanted - scale) / frame.len() as f32;
        for sample in frame.iter_mut() {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let random = (self.state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            self.last += SMOOTHING * (random - self.last);
            scale += step;
            // The cast saturates.
            *sample = (self.last * scale).round() as i16;
        }
    }
}

impl Default for ComfortNoise {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SILENCE;

    #[test]
    fn it_is_as_loud_as_was_said() {
        for dbov in [30, 45, 60, 70] {
            let (mut noise, mut frame) = (ComfortNoise::new(), SILENCE);
            let mut second = Vec::new();
            for _ in 0..50 {
                noise.fill(Level::from_dbov(dbov), &mut frame);
                second.extend(frame);
            }
            assert!(Level::measure(&second).dbov().abs_diff(dbov) <= 1, "{:?}", Level::measure(&second));
            let first = Level::measure(&second[..960]).dbov();
            assert!(first.abs_diff(dbov) <= 2, "from its first frame on: {first}");
        }
        let (mut noise, mut frame) = (ComfortNoise::new(), SILENCE);
        noise.fill(Level::from_dbov(60), &mut frame);
        noise.fill(Level::from_dbov(40), &mut frame);
        let (begin, end) = (Level::measure(&frame[..96]), Level::measure(&frame[864..]));
        assert!(begin < Level::from_dbov(50) && end > Level::from_dbov(44), "a new level comes in one frame");
        let mut frame = [1; crate::FRAME_SAMPLES];
        ComfortNoise::new().fill(Level::SILENT, &mut frame);
        assert_eq!(frame, SILENCE);
    }
}
