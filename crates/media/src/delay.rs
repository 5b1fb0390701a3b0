//! How long to hold packets back: the target delay of a jitter buffer, from how packets arrived.
//!
//! A packet's transit is its arrival time minus its media time; only differences of transits mean anything. The
//! fastest packet of the last seconds marks zero. How much later than that the others come is counted, and the target
//! is the delay at which all but a few are in time. Because zero is re-learned, clock drift is followed. When the packet
//! that marked zero is forgotten, those that are remembered are counted anew.

use base::{Duration, Timestamp};

use crate::drift::Drift;

/// Width of the first counters, microseconds, and how many there are: on a good network each millisecond counts.
const FINE_US: i64 = 1_000;
const FINE_BINS: usize = 20;
/// Width of the counters after those, and how many there are; what lies beyond counts as the last.
const COARSE_US: i64 = 5_000;
const COARSE_BINS: usize = 60;
const BINS: usize = FINE_BINS + COARSE_BINS;
/// Share of the packets that should be in time, per mille.
const IN_TIME_PER_MILLE: u32 = 985;
/// The least target: what a good sender's own timer is off.
const TARGET_MIN_US: i64 = 2_000;
/// Packets that come this soon after another, and less late, were held up together with it.
const TOGETHER: Duration = Duration::from_millis(2);
/// Packets a window must have before its fastest one says anything.
const WINDOW_PACKETS_MIN: u32 = 25;
/// Bound of [`DelayEstimator::slowing_us`]: two windows at 500 ppm.
const SLOWING_MAX_US: i64 = 5_000;
/// Memory is two windows of this length, the older forgotten as a whole.
const WINDOW: Duration = Duration::from_secs(5);

/// Learns the target delay.
#[derive(Clone, Debug)]
pub(crate) struct DelayEstimator {
    current: Window,
    previous: Window,
    window_end: Timestamp,
    target_us: i64,
    drift: Drift,
    /// Arrival and transit of the packet before.
    last: Option<(Timestamp, i64)>,
}

#[derive(Clone, Debug)]
struct Window {
    fastest_us: i64,
    /// When the fastest packet arrived.
    fastest_at: Timestamp,
    counts: [u16; BINS],
    total: u32,
}

impl Window {
    const EMPTY: Self = Self { fastest_us: i64::MAX, fastest_at: Timestamp::ZERO, counts: [0; BINS], total: 0 };

    /// Counts from a fastest packet that is so much slower, as if it had been the fastest all the time. What a counter
    /// holds is taken for as late as may be, so that the delay is not too short.
    fn count_from_later(&mut self, later_us: i64) {
        for old in 0..BINS {
            let count = std::mem::take(&mut self.counts[old]);
            let late_us = (end_us(old) - 1 - later_us).max(0);
            // Never a counter that is still to be moved.
            let sum = &mut self.counts[bin(late_us)];
            *sum = sum.saturating_add(count);
        }
        self.total = self.counts.iter().map(|&count| u32::from(count)).sum();
    }
}

impl DelayEstimator {
    /// An estimator that has seen nothing.
    pub(crate) fn new() -> Self {
        Self {
            current: Window::EMPTY,
            previous: Window::EMPTY,
            window_end: Timestamp::ZERO,
            target_us: TARGET_MIN_US,
            drift: Drift::default(),
            last: None,
        }
    }

    /// Takes the transit of a packet that arrived `now`.
    pub(crate) fn observe(&mut self, now: Timestamp, transit_us: i64) {
        if now >= self.window_end {
            if self.current.total >= WINDOW_PACKETS_MIN {
                self.drift.observe(self.current.fastest_at, self.current.fastest_us);
            }
            let fastest_us = self.fastest_us();
            self.previous = std::mem::replace(&mut self.current, Window::EMPTY);
            self.previous.count_from_later(self.previous.fastest_us - fastest_us);
            self.window_end = now + WINDOW;
        }
        if transit_us < self.current.fastest_us {
            (self.current.fastest_us, self.current.fastest_at) = (transit_us, now);
        }
        // What a stall of the network lets go at once is one delay, not as many as there are packets in it.
        let last = self.last.replace((now, transit_us));
        if last.is_some_and(|(at, transit)| now.since(at) < TOGETHER && transit_us < transit) {
            return;
        }
        let late_us = transit_us.saturating_sub(self.fastest_us()).max(0);
        let count = &mut self.current.counts[bin(late_us)];
        if let Some(more) = count.checked_add(1) {
            *count = more;
            self.current.total += 1;
        }
        self.target_us = self.quantile_us().max(TARGET_MIN_US);
    }

    /// Transit of the fastest packet of the last seconds.
    pub(crate) fn fastest_us(&self) -> i64 {
        self.current.fastest_us.min(self.previous.fastest_us)
    }

    /// The delay, counted from the fastest packet, at which nearly all packets are in time.
    pub(crate) fn target_us(&self) -> i64 {
        self.target_us
    }

    /// How much later packets will come, in the next seconds, than the target says: the sender's clock is slow. At most
    /// 5 ms; 0 when it is not, or not known.
    pub(crate) fn slowing_us(&self) -> i64 {
        if self.previous.total == 0 || self.current.total < WINDOW_PACKETS_MIN {
            return 0;
        }
        (2 * (self.current.fastest_us - self.previous.fastest_us)).clamp(0, SLOWING_MAX_US)
    }

    /// How much faster than ours the sender's clock runs, in parts per million; 0 when that is not known or not worth to be
    /// minded.
    pub(crate) fn drift_ppm(&self) -> i32 {
        self.drift.ppm()
    }

    fn quantile_us(&self) -> i64 {
        let total = self.current.total + self.previous.total;
        let wanted = (total * IN_TIME_PER_MILLE).div_ceil(1000);
        let mut seen = 0;
        for (bin, (&new, &old)) in self.current.counts.iter().zip(&self.previous.counts).enumerate() {
            seen += u32::from(new) + u32::from(old);
            if seen >= wanted {
                return end_us(bin);
            }
        }
        end_us(BINS - 1)
    }
}

/// The counter of a lateness.
fn bin(late_us: i64) -> usize {
    let fine = late_us / FINE_US;
    let bin = if fine < FINE_BINS as i64 {
        fine
    } else {
        FINE_BINS as i64 + (late_us - FINE_BINS as i64 * FINE_US) / COARSE_US
    };
    usize::try_from(bin).unwrap_or(BINS).min(BINS - 1)
}

/// The least lateness that no longer falls into a counter.
fn end_us(bin: usize) -> i64 {
    let end = bin as i64 + 1;
    end.min(FINE_BINS as i64) * FINE_US + (end - FINE_BINS as i64).max(0) * COARSE_US
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn after(transits_us: impl Iterator<Item = i64>) -> DelayEstimator {
        let mut estimator = DelayEstimator::new();
        for (tick, transit_us) in (0..).zip(transits_us) {
            estimator.observe(Timestamp::from_millis(tick * 20), transit_us);
        }
        estimator
    }

    #[test]
    fn the_target_covers_nearly_all_packets() {
        assert_eq!(after((0..500).map(|_| 7_000_000)).target_us(), TARGET_MIN_US);
        let spread = after((0..500).map(|n| -3_000_000 + n * 37 % 61 * 1_000)).target_us();
        assert!((55_000..=65_000).contains(&spread), "{spread}");
        let rare = after((0..500).map(|n| if n % 100 == 0 { 200_000 } else { 0 })).target_us();
        assert_eq!(rare, TARGET_MIN_US, "one packet in a hundred does not count");
    }

    #[test]
    fn a_little_jitter_costs_a_little_delay() {
        let target = after((0..500).map(|n| n * 37 % 5 * 1_000)).target_us();
        assert_eq!(target, 5_000);
        for late_us in 0..400_000 {
            assert!(late_us < end_us(bin(late_us)) || bin(late_us) == BINS - 1);
            assert!(bin(late_us) == 0 || late_us >= end_us(bin(late_us) - 1));
        }
    }

    #[test]
    fn zero_is_learned_anew_when_the_path_gets_longer() {
        let mut estimator = after((0..500).map(|n| if n < 250 { 0 } else { 50_000 }));
        assert_eq!(estimator.fastest_us(), 0);
        for tick in 500..1200 {
            estimator.observe(Timestamp::from_millis(tick * 20), 50_000);
        }
        assert_eq!((estimator.fastest_us(), estimator.target_us()), (50_000, TARGET_MIN_US));
    }

    /// The jitter of before and that of after are one; a step between them is none.
    #[test]
    fn a_longer_path_is_as_jittery_as_before() {
        let mut estimator = DelayEstimator::new();
        for tick in 0..2_000_u64 {
            let step_us = if tick < 400 { 0 } else { 80_000 };
            estimator.observe(Timestamp::from_millis(tick * 20), step_us + (tick * 37 % 41) as i64 * 1_000);
            let target_ms = estimator.target_us() / 1_000;
            // While the fastest packets of the shorter path are remembered, the others are late by the step.
            let expected = if (400..750).contains(&tick) { 35..=125 } else { 35..=45 };
            assert!(tick < 100 || expected.contains(&target_ms), "{target_ms} ms at {} ms", tick * 20);
        }
    }

    proptest! {
        /// On a path that changes its length and has no jitter, the longest delay of the memory is enough.
        #[test]
        fn steps_of_the_path_are_not_counted_twice(
            steps in prop::collection::vec((1_usize..700, 0_i64..300_000), 1..8),
            pause_ms in 0_u64..400,
        ) {
            let (mut estimator, mut now) = (DelayEstimator::new(), Timestamp::ZERO);
            // Each step's last packet, and its transit.
            let mut remembered: Vec<(Timestamp, i64)> = Vec::new();
            for (packets, transit_us) in steps {
                remembered.push((now, transit_us));
                for _ in 0..packets {
                    now = now + Duration::from_millis(20);
                    estimator.observe(now, transit_us);
                    remembered.last_mut().expect("this step").0 = now;
                    remembered.retain(|&(last, _)| now.since(last) <= WINDOW + WINDOW);
                    let most_us = remembered.iter().map(|&(_, transit_us)| transit_us).max().expect("this step");
                    let delay_us = estimator.fastest_us() + estimator.target_us();
                    prop_assert!(delay_us <= most_us + 2 * COARSE_US, "{delay_us} us at {now:?} for {most_us}");
                }
                now = now + Duration::from_millis(pause_ms);
            }
        }
    }
}
