//! One direction of a bad network, as a pure machine: a datagram in, the time it leaves or its loss out.

use std::time::Duration;

use crate::plan::Impairment;
use crate::statistics::Random;

/// What waits longer than this for a slow line is lost.
const QUEUE: f64 = 0.5;

/// One direction.
#[derive(Clone, Debug)]
pub struct Line {
    impairment: Impairment,
    random: Random,
    /// Gilbert-Elliott: in the bad state everything is lost.
    bad: bool,
    /// When the line has sent what it was given, in seconds.
    free_at: f64,
    /// When the last datagram in order leaves, in seconds.
    last: f64,
}

impl Line {
    /// A line whose whole fate hangs on its seed and on what is sent when.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self { impairment, random: Random::new(seed), bad: false, free_at: 0.0, last: 0.0 }
    }

    /// Takes a datagram of so many bytes at `now` since the start; answers when it leaves, or `None` when it is lost.
    pub fn pass(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let now = now.as_secs_f64();
        // Random numbers are drawn whether or not they matter, so that one setting does not change another's luck.
        let (lost, jitter, hurries) =
            (self.is_lost(), self.random.unit(), self.random.percent(self.impairment.reorder));
        if lost || self.is_cut(now) {
            return None;
        }
        let sent = self.through_bottleneck(now, bytes)?;
        let jitter = (2.0 * jitter - 1.0) * self.impairment.jitter_ms;
        let arrives = sent + (self.impairment.delay_ms + jitter).max(0.0) / 1_000.0;
        if hurries {
            // It goes ahead: only the bottleneck holds it.
            return Some(Duration::from_secs_f64(sent));
        }
        self.last = self.last.max(arrives);
        Some(Duration::from_secs_f64(self.last))
    }

    /// Mean loss and mean length of its runs give both probabilities of the Gilbert-Elliott chain.
    fn is_lost(&mut self) -> bool {
        let share = self.impairment.loss / 100.0;
        let luck = self.random.unit();
        if self.impairment.burst <= 1.0 {
            return luck < share;
        }
        let leave = 1.0 / self.impairment.burst;
        let enter = share * leave / (1.0 - share).max(1e-9);
        self.bad = if self.bad { luck >= leave } else { luck < enter };
        self.bad
    }

    fn is_cut(&self, now: f64) -> bool {
        let every = self.impairment.cut_every_seconds;
        every > 0.0 && now % every >= every - self.impairment.cut_seconds
    }

    fn through_bottleneck(&mut self, now: f64, bytes: usize) -> Option<f64> {
        if self.impairment.rate_kbit <= 0.0 {
            return Some(now);
        }
        // Addresses and lengths of IP and UDP are on the line too.
        let time = (bytes + 28) as f64 * 8.0 / (self.impairment.rate_kbit * 1_000.0);
        let sent = self.free_at.max(now) + time;
        if sent - now > QUEUE {
            return None;
        }
        self.free_at = sent;
        Some(sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a packet each 20 ms.
    fn fates(impairment: Impairment, count: u32) -> Vec<Option<f64>> {
        let mut line = Line::new(impairment, 7);
        (0..count).map(|index| line.pass(at(index), 172).map(|out| (out - at(index)).as_secs_f64() * 1_000.0)).collect()
    }

    fn at(index: u32) -> Duration {
        Duration::from_millis(20) * index
    }

    fn lost(fates: &[Option<f64>]) -> f64 {
        100.0 * fates.iter().filter(|fate| fate.is_none()).count() as f64 / fates.len() as f64
    }

    #[test]
    fn a_good_line_changes_nothing() {
        assert!(fates(Impairment::default(), 100).iter().all(|fate| *fate == Some(0.0)));
    }

    #[test]
    fn loss_is_as_frequent_and_as_long_as_asked() {
        for burst in [0.0, 4.0] {
            let fates = fates(Impairment { loss: 20.0, burst, ..Impairment::default() }, 50_000);
            let runs = fates.windows(2).filter(|pair| pair[0].is_some() && pair[1].is_none()).count();
            let length = lost(&fates) / 100.0 * 50_000.0 / runs as f64;
            assert!((lost(&fates) - 20.0).abs() < 1.5, "{}", lost(&fates));
            let expected = if burst > 1.0 { burst } else { 1.25 };
            assert!((length - expected).abs() < 0.3, "burst {burst}: {length}");
        }
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_breaks_it() {
        let jittery = Impairment { delay_ms: 40.0, jitter_ms: 30.0, ..Impairment::default() };
        let mut line = Line::new(jittery.clone(), 3);
        let out: Vec<Duration> = (0..1_000).filter_map(|index| line.pass(at(index), 172)).collect();
        assert!(out.windows(2).all(|pair| pair[0] <= pair[1]));
        let delays = fates(jittery.clone(), 1_000).into_iter().flatten().collect::<Vec<_>>();
        assert!(delays.iter().all(|delay| (9.9..=70.1).contains(delay)));
        let mut line = Line::new(Impairment { reorder: 10.0, ..jittery }, 3);
        let out: Vec<Duration> = (0..1_000).filter_map(|index| line.pass(at(index), 172)).collect();
        assert!(out.windows(2).filter(|pair| pair[0] > pair[1]).count() > 50);
    }

    #[test]
    fn a_slow_line_delays_and_then_drops() {
        // 200 bytes on the line each 20 ms are 80 kbit/s.
        assert!(fates(Impairment { rate_kbit: 81.0, ..Impairment::default() }, 500).iter().all(Option::is_some));
        let slow = fates(Impairment { rate_kbit: 40.0, ..Impairment::default() }, 2_000);
        assert!((lost(&slow) - 50.0).abs() < 3.0, "{}", lost(&slow));
        assert!(slow.iter().flatten().all(|delay| *delay <= 500.0));
    }

    #[test]
    fn a_cut_ends() {
        let cut = fates(Impairment { cut_every_seconds: 10.0, cut_seconds: 2.0, ..Impairment::default() }, 1_000);
        assert_eq!(lost(&cut), 20.0);
        assert!(cut[399].is_some() && cut[400].is_none() && cut[499].is_none() && cut[500].is_some());
    }

    #[test]
    fn the_same_seed_is_the_same_fate() {
        let lossy = Impairment { loss: 5.0, jitter_ms: 9.0, reorder: 2.0, ..Impairment::default() };
        assert_eq!(fates(lossy.clone(), 500), fates(lossy, 500));
    }
}
