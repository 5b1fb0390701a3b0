//! The sum of several frames, exact.

use crate::fade::{FADE_SAMPLES, rise};
use crate::{FRAME_SAMPLES, Frame};

/// The sum of up to 65,536 frames, sample by sample, in integers.
///
/// Integers because subtraction then undoes addition exactly: total minus own holds nothing of one's own, not even
/// rounding noise.
#[derive(Clone)]
pub struct Sum {
    samples: [i32; FRAME_SAMPLES],
}

impl Sum {
    /// A sum of nothing.
    pub const fn new() -> Self {
        Self { samples: [0; FRAME_SAMPLES] }
    }

    /// Makes it a sum of nothing again.
    pub fn clear(&mut self) {
        self.samples.fill(0);
    }

    /// Adds a frame.
    pub fn add(&mut self, frame: &Frame) {
        for (sum, &sample) in self.samples.iter_mut().zip(frame) {
            *sum += i32::from(sample);
        }
    }

    /// Adds another sum.
    pub fn add_sum(&mut self, other: &Self) {
        for (sum, &sample) in self.samples.iter_mut().zip(&other.samples) {
            *sum += sample;
        }
    }

    /// Takes a frame out that was added before.
    pub fn subtract(&mut self, frame: &Frame) {
        for (sum, &sample) in self.samples.iter_mut().zip(frame) {
            *sum -= i32::from(sample);
        }
    }

    /// Begins with `before` and goes over to itself in the first 5 ms.
    pub fn fade_from(&mut self, before: &Self) {
        for (at, (sample, &before)) in self.samples[..FADE_SAMPLES].iter_mut().zip(&before.samples).enumerate() {
            // Written so that nothing changes where both are equal.
            *sample = before + ((*sample - before) as f32 * rise(at)).round() as i32;
        }
    }

    /// Scales it by a gain that goes from one value to another along a straight line.
    pub fn scale(&mut self, before: f32, after: f32) {
        let step = (after - before) / FRAME_SAMPLES as f32;
        for (at, sample) in self.samples.iter_mut().enumerate() {
            *sample = (*sample as f32 * (before + step * (at + 1) as f32)).round() as i32;
        }
    }

    /// The samples.
    pub const fn samples(&self) -> &[i32; FRAME_SAMPLES] {
        &self.samples
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame() -> impl Strategy<Value = Frame> {
        any::<[i16; 32]>().prop_map(|seed| std::array::from_fn(|at| seed[at % 32].wrapping_add(at as i16)))
    }

    #[test]
    fn a_fade_begins_with_one_sum_and_ends_with_the_other() {
        let (mut before, mut after) = (Sum::new(), Sum::new());
        before.add(&[20_000; FRAME_SAMPLES]);
        after.add(&[-20_000; FRAME_SAMPLES]);
        after.fade_from(&before);
        let samples = after.samples();
        assert!(samples[0] > 19_990 && samples[FADE_SAMPLES - 1] < -19_990);
        assert!(samples.windows(2).all(|pair| pair[1] <= pair[0] && pair[0] - pair[1] < 300));
        assert!(samples[FADE_SAMPLES..].iter().all(|&sample| sample == -20_000));
        let unchanged = before.clone();
        before.fade_from(&unchanged);
        assert_eq!(before.samples(), unchanged.samples());
    }

    proptest! {
        #[test]
        fn total_minus_own_is_the_sum_of_the_others(own in frame(), one in frame(), two in frame()) {
            let mut minus = Sum::new();
            for frame in [&one, &own, &two] {
                minus.add(frame);
            }
            minus.subtract(&own);
            let mut others = Sum::new();
            others.add(&one);
            others.add(&two);
            prop_assert_eq!(minus.samples(), others.samples());
        }
    }
}
