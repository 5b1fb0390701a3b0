//! How loud a frame is.

/// The level of a frame as RFC 6464 writes it: decibels below overload, 0 (a full-scale square wave) to 127 (silence).
///
/// Ordered by loudness: the louder level is the greater one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level(u8);

impl Level {
    /// Digital silence.
    pub const SILENT: Self = Self(127);

    /// The level `decibels` below overload; more than 127 is silence.
    pub const fn from_dbov(decibels: u8) -> Self {
        Self(if decibels > 127 { 127 } else { decibels })
    }

    /// Measures samples of a full scale of 32,768 by their root mean square (RFC 6464 appendix A).
    pub fn measure(samples: &[i16]) -> Self {
        Self::of_energy(samples.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum(), samples.len())
    }

    /// The level of so many samples whose squares add up to `energy`.
    pub fn of_energy(energy: u64, samples: usize) -> Self {
        Self::of_power(energy as f64 / samples.max(1) as f64 / (32_768.0 * 32_768.0))
    }

    /// The level of a mean square, in which a full-scale square wave has 1.
    pub fn of_power(power: f64) -> Self {
        if power <= 0.0 {
            return Self::SILENT;
        }
        Self((-10.0 * power.log10()).round().clamp(0.0, 127.0) as u8)
    }

    /// Decibels below overload, 0 to 127: the number on the wire.
    pub const fn dbov(self) -> u8 {
        self.0
    }
}

impl PartialOrd for Level {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Level {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.0.cmp(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_follow_rfc_6464() {
        let sine = |amplitude: f64| -> Vec<i16> {
            (0..960).map(|at| (amplitude * (f64::from(at) * 0.130_899_69).sin()) as i16).collect()
        };
        let cases: [(Vec<i16>, u8); 6] = [
            (vec![i16::MIN; 960], 0),
            (sine(32_767.0), 3),
            (sine(32_767.0 * 0.22), 16),
            (vec![1; 960], 90),
            (vec![0; 960], 127),
            (vec![], 127),
        ];
        for (samples, dbov) in cases {
            assert_eq!(Level::measure(&samples).dbov(), dbov);
        }
    }

    #[test]
    fn louder_is_greater() {
        assert!(Level::from_dbov(10) > Level::from_dbov(20));
        assert_eq!(Level::from_dbov(200), Level::SILENT);
    }
}
