//! Fades: the only way a sound begins or ends in the middle, so that no click is heard.

use crate::Frame;

/// Length of a fade in samples: 5 ms, too short to soften a syllable, long enough to make no click.
pub(crate) const FADE_SAMPLES: usize = 240;

/// Begins a frame from silence.
pub fn fade_in(frame: &mut Frame) {
    for (at, sample) in frame[..FADE_SAMPLES].iter_mut().enumerate() {
        *sample = scale(*sample, rise(at));
    }
}

/// Ends a frame in silence after its first 5 ms.
pub fn fade_out(frame: &mut Frame) {
    for (at, sample) in frame[..FADE_SAMPLES].iter_mut().enumerate() {
        *sample = scale(*sample, 1.0 - rise(at));
    }
    frame[FADE_SAMPLES..].fill(0);
}

/// The rise from 0 to 1: `3 t^2 - 2 t^3`, level at both ends so that not even the slope jumps.
pub(crate) fn rise(at: usize) -> f32 {
    let t = (at as f32 + 0.5) / FADE_SAMPLES as f32;
    t * t * (3.0 - 2.0 * t)
}

fn scale(sample: i16, gain: f32) -> i16 {
    (f32::from(sample) * gain).round() as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FRAME_SAMPLES, SILENCE};

    const LOUD: Frame = [i16::MIN; FRAME_SAMPLES];

    /// The largest step from one sample to the next, beginning after `before`.
    fn largest_step(before: i16, frame: &Frame) -> i32 {
        let mut last = i32::from(before);
        let steps = frame.iter().map(|&sample| {
            let step = (i32::from(sample) - last).abs();
            last = i32::from(sample);
            step
        });
        steps.max().expect("a frame has samples")
    }

    #[test]
    fn a_fade_has_no_steps() {
        // 1.5 / 240 of full scale is the steepest slope of the rise.
        let bound = 32_768 * 3 / (2 * FADE_SAMPLES as i32) + 2;
        let mut begun = LOUD;
        fade_in(&mut begun);
        assert!(largest_step(0, &begun) <= bound);
        assert_eq!(begun[FADE_SAMPLES..], LOUD[FADE_SAMPLES..]);
        let mut ended = LOUD;
        fade_out(&mut ended);
        assert!(largest_step(i16::MIN, &ended) <= bound);
        assert_eq!(ended[FADE_SAMPLES..], SILENCE[FADE_SAMPLES..]);
    }
}
