//! Percentiles, histograms and a small random generator.

use serde::{Deserialize, Serialize};

/// The nearest-rank percentile, `share` from 0 to 1; NaN of nothing.
pub fn percentile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Counts values in classes of equal width; what lies beyond the last class is counted in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Width of a class.
    pub width: f64,
    /// How many values fell into each.
    pub counts: Vec<u64>,
}

impl Histogram {
    /// An empty one.
    pub fn new(width: f64, classes: usize) -> Self {
        Self { width, counts: vec![0; classes] }
    }

    /// Counts a value; a negative one counts as 0.
    pub fn add(&mut self, value: f64) {
        let class = (value / self.width).max(0.0) as usize;
        let last = self.counts.len() - 1;
        self.counts[class.min(last)] += 1;
    }

    /// Takes over the counts of another one of the same shape.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
    }

    /// The upper end of the class in which that share of the values ends; NaN of nothing.
    pub fn percentile(&self, share: f64) -> f64 {
        let total: u64 = self.counts.iter().sum();
        let rank = (share * total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (class, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank && total > 0 {
                return (class + 1) as f64 * self.width;
            }
        }
        f64::NAN
    }
}

/// SplitMix64: the same seed gives the same numbers on every machine and with every version of every library.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but without, 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// True with that probability, in percent.
    pub fn percent(&mut self, percent: f64) -> bool {
        self.unit() * 100.0 < percent
    }

    /// A whole number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(
            [percentile(&values, 0.5), percentile(&values, 0.99), percentile(&values, 1.0)],
            [50.0, 99.0, 100.0]
        );
        assert_eq!(percentile(&[7.0], 0.99), 7.0);
        assert!(percentile(&[], 0.5).is_nan());
    }

    #[test]
    fn a_histogram_knows_its_percentiles_to_a_class() {
        let mut histogram = Histogram::new(0.5, 10);
        assert!(histogram.percentile(0.5).is_nan());
        for value in [-1.0, 0.1, 0.6, 99.0] {
            histogram.add(value);
        }
        assert_eq!([0.5, 0.75, 1.0].map(|share| histogram.percentile(share)), [0.5, 1.0, 5.0]);
        let mut twice = histogram.clone();
        twice.merge(&histogram);
        assert_eq!(twice.counts.iter().sum::<u64>(), 8);
    }

    #[test]
    fn random_numbers_are_even_and_repeat_with_their_seed() {
        let mut random = Random::new(5);
        let count = (0..10_000).filter(|_| random.percent(20.0)).count();
        assert!((1_850..2_150).contains(&count), "{count}");
        assert_eq!(Random::new(1).next(), 0x910a_2dec_8902_5cc1);
        assert!((0..1_000).all(|_| random.below(3) < 3));
    }
}
