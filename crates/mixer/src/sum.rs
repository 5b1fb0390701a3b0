//! The sum of several frames, exact.

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

    /// Takes a frame out that was added before.
    pub fn subtract(&mut self, frame: &Frame) {
        for (sum, &sample) in self.samples.iter_mut().zip(frame) {
            *sum -= i32::from(sample);
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
