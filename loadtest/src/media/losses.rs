//! When packets were lost. That they were is known only when the next one comes; between that one and the one before is when
//! they should have come.

use std::collections::BTreeMap;

/// Time that is told apart, in ns.
const CLASS: i64 = 100_000_000;

/// Lost packets by time, see [`crate::sys::wall_nanos`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Losses {
    classes: BTreeMap<i64, f64>,
}

impl Losses {
    /// Packets that are missing at `now`, since the one before came at `last` (0: nobody knows); fewer than 0 when some came
    /// after all.
    pub fn add(&mut self, last: i64, now: i64, count: i64) {
        let (first, end) = (if last > 0 && count > 0 { last.min(now) } else { now } / CLASS, now / CLASS);
        let each = count as f64 / (end - first + 1) as f64;
        (first..=end).for_each(|class| *self.classes.entry(class).or_default() += each);
    }

    /// Takes over what another one saw.
    pub fn merge(&mut self, other: &Self) {
        for (class, count) in &other.classes {
            *self.classes.entry(*class).or_default() += count;
        }
    }

    /// Packets lost from one moment up to another.
    pub fn between(&self, from: i64, to: i64) -> f64 {
        let (first, end) = (from / CLASS, to / CLASS);
        if first >= end {
            return 0.0;
        }
        self.classes.range(first..end).map(|(_, count)| count).sum::<f64>().max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn a_cut_is_counted_while_it_lasts_and_not_when_it_is_over() {
        let mut losses = Losses::default();
        losses.add(10 * SECOND, 12 * SECOND, 100);
        let halves: Vec<i64> =
            (19..26).map(|half| losses.between(half * SECOND / 2, (half + 1) * SECOND / 2).round() as i64).collect();
        assert_eq!(halves, [0, 24, 24, 24, 24, 5, 0]);
        assert!((losses.between(0, 20 * SECOND) - 100.0).abs() < 1e-6);
    }

    #[test]
    fn a_packet_that_comes_late_is_not_lost() {
        let mut losses = Losses::default();
        losses.add(SECOND, SECOND + 1, 1);
        losses.add(SECOND + 1, SECOND + 2, -1);
        losses.add(0, 5 * SECOND, 3);
        assert_eq!((losses.between(0, 2 * SECOND), losses.between(0, 9 * SECOND)), (0.0, 3.0));
    }
}
