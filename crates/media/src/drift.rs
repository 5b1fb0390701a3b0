//! How wrong a sender's clock is, and at which pace its audio is to be played because of that.

use base::Timestamp;

use crate::unit::UNIT_MS;

/// Windows that are remembered, and how few may decide.
const POINTS: usize = 8;
const POINTS_MIN: usize = 4;
/// The most by which an estimate may be wrong, as the spread of the points about their line says (one standard error), and
/// how often that goes into a slope that is no accident.
const ERROR_MAX_PPM: f64 = 20.0;
const CERTAIN: f64 = 4.0;
/// A clock that is less wrong fills or empties a unit in more than ten minutes.
const WORTH_PPM: f64 = 30.0;
/// No clock is as wrong as that: a queue somewhere fills or empties.
const CLOCK_MAX_PPM: f64 = 900.0;

/// The pace at which a wrong delay is mended, in parts per million: 1.7 cents, a third of what a musician hears.
const PACE_PPM: i32 = 1_000;
/// How near the delay may come to what would need a whole unit left out or inserted, microseconds.
const MARGIN_US: i64 = 2_000;
/// What the player may hold and still hold nothing, microseconds: half a millisecond is left of each change of pace.
const NOTHING_US: i64 = 600;
const UNIT_US: i64 = UNIT_MS as i64 * 1_000;

/// Learns how wrong the clock is: how fast the transit of the fastest packets changes from window to window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drift {
    /// The newest last.
    points: [Point; POINTS],
    count: usize,
    ppm: i32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Point {
    at: Timestamp,
    transit_us: i64,
}

impl Drift {
    /// Takes the transit of the fastest packet of a window, which arrived `at`.
    ///
    /// As many of the last windows as lie on one line tell: after another path, or another clock, that is fewer for a
    /// while. As long as there is no such line the clock is taken for as wrong as before.
    pub(crate) fn observe(&mut self, at: Timestamp, transit_us: i64) {
        self.points.rotate_left(1);
        self.points[POINTS - 1] = Point { at, transit_us };
        self.count = (self.count + 1).min(POINTS);
        let lengths = (POINTS_MIN..=self.count).rev();
        let mut lines = lengths.map(|length| slope(&self.points[POINTS - length..]));
        if let Some((slope, error)) = lines.find(|&(_, error)| error <= ERROR_MAX_PPM) {
            let worth = (WORTH_PPM.max(CERTAIN * error)..=CLOCK_MAX_PPM).contains(&slope.abs());
            // A packet takes less and less time when its sender's clock is fast.
            self.ppm = if worth { -slope.round() as i32 } else { 0 };
        }
    }

    /// How much faster than ours the clock runs, in parts per million; negative: slower. 0 when it is not known, or not worth
    /// to be minded.
    pub(crate) const fn ppm(&self) -> i32 {
        self.ppm
    }
}

/// The slope of the line through three points or more, in microseconds per second, by least squares, and its standard
/// error.
fn slope(points: &[Point]) -> (f64, f64) {
    let newest = points[points.len() - 1];
    let count = points.len() as f64;
    let places = points.iter().map(|point| {
        let age = newest.at.since(point.at).as_micros() as f64 / 1e6;
        (-age, (point.transit_us - newest.transit_us) as f64)
    });
    let (x_sum, y_sum) = places.clone().fold((0.0, 0.0), |(xs, ys), (x, y)| (xs + x, ys + y));
    let places = places.map(|(x, y)| (x - x_sum / count, y - y_sum / count));
    let (xx, xy) = places.clone().fold((0.0, 0.0), |(xx, xy), (x, y)| (xx + x * x, xy + x * y));
    let slope = xy / xx;
    let rest: f64 = places.map(|(x, y)| (y - slope * x).powi(2)).sum();
    (slope, (rest / (count - 2.0) / xx).sqrt())
}

/// Chooses the pace at which the audio of a peer whose clock is off is played, so that no unit has to be left out or
/// inserted.
///
/// The delay goes to and fro within one unit, as it would by where the ticks fall: a fast sender fills the buffer, and when
/// there is a unit too many it is handed out beside the next one, and both are played a little faster until nothing is left.
/// A slow sender empties it, and before a unit is missing those that are here are played a little slower until one can be
/// spared. A unit too many is mended so whatever it comes from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    ppm: i32,
}

impl Pace {
    /// The pace of this tick, in parts per million. The unit that comes next is late by `late_us` (`None` when nothing is
    /// being played), and so late for `long` that one would be left out; `held_us` were handed out and not yet played.
    pub(crate) fn turn(&mut self, late_us: Option<i64>, long: bool, held_us: i64, drift_ppm: i32) -> i32 {
        let wanted = late_us.map_or(0, |late_us| wanted(late_us, long, drift_ppm));
        if wanted != 0 || held_us < NOTHING_US {
            self.ppm = wanted;
        }
        self.ppm
    }

    /// The pace of the last tick that had one.
    pub(crate) const fn ppm(&self) -> i32 {
        self.ppm
    }
}

fn wanted(late_us: i64, long: bool, drift_ppm: i32) -> i32 {
    // What a slow sender is behind when a unit was gained.
    let lost_us = UNIT_US * i64::from(drift_ppm.abs()) / i64::from(PACE_PPM);
    if (drift_ppm > 0 || long) && late_us > UNIT_US + MARGIN_US {
        PACE_PPM
    } else if drift_ppm < 0 && late_us < lost_us + MARGIN_US {
        -PACE_PPM
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is learned from windows of 5 s, each with the transit of its fastest packet in microseconds.
    fn after(transits_us: impl IntoIterator<Item = i64>) -> Drift {
        let mut drift = Drift::default();
        for (window, transit_us) in (1..).zip(transits_us) {
            drift.observe(Timestamp::from_millis(window * 5_000 + window * 37 % 400), transit_us);
        }
        drift
    }

    /// Transits of a clock that is off by so much, as they are in windows of 5 s.
    fn transits(ppm: i64) -> impl Iterator<Item = i64> + Clone {
        (1..).map(move |window: i64| 70_000 - ppm * (window * 5_000 + window * 37 % 400) / 1_000)
    }

    #[test]
    fn a_clock_is_known_after_four_windows() {
        for ppm in [-500, -100, 100, 500] {
            assert_eq!(after(transits(ppm).take(3)).ppm(), 0);
            assert!(after(transits(ppm).take(4)).ppm().abs_diff(ppm as i32) <= 1);
            assert!(after(transits(ppm).take(100)).ppm().abs_diff(ppm as i32) <= 1);
        }
        assert_eq!(after(transits(0).take(100)).ppm(), 0);
        assert_eq!(after(transits(25).take(100)).ppm(), 0, "not worth it");
        assert_eq!(after(transits(3_000).take(100)).ppm(), 0, "no clock");
    }

    #[test]
    fn jitter_makes_no_drift() {
        for ppm in [0, 200] {
            let jittery = (0..).zip(transits(ppm)).map(|(n, transit)| transit + n * n * 7_919 % 500);
            for windows in 8..100 {
                let known = after(jittery.clone().take(windows)).ppm();
                assert!(known.abs_diff(ppm as i32) <= if ppm == 0 { 0 } else { 30 }, "{ppm}: {known}");
            }
        }
        let wild = (0..).zip(transits(0)).map(|(n, transit)| transit + n * n * 7_919 % 40_000);
        assert_eq!(after(wild.take(100)).ppm(), 0);
    }

    #[test]
    fn another_path_and_another_clock_are_learned() {
        let jump = |after: usize| {
            transits(300).enumerate().map(move |(n, transit)| if n < after { transit } else { transit + 25_000 })
        };
        for windows in 20..40 {
            assert!(after(jump(20).take(windows)).ppm().abs_diff(300) <= 1, "a longer path is no other clock");
        }
        let turn = |windows| {
            (0..windows).scan(0, |transit, n| {
                *transit += if n < 20 { -2_500 } else { 2_500 };
                Some(*transit)
            })
        };
        assert!(after(turn(20)).ppm() > 450);
        assert!(after(turn(25)).ppm() < -450, "{}", after(turn(25)).ppm());
    }

    /// A player that holds what was not played; how late the units are by themselves is what the drift makes of it.
    #[test]
    fn the_delay_stays_within_a_unit_and_a_little_more() {
        for drift_ppm in [-900_i32, -500, -100, -50, 50, 100, 500, 900] {
            let (mut pace, mut late_us, mut held_us) = (Pace::default(), 23_000.0, 0.0);
            let (mut units, mut most_us) = (0, 0.0_f64);
            for tick in 0..500_000 {
                let ppm = pace.turn(Some(late_us as i64), false, held_us as i64, drift_ppm);
                while held_us < 20_000.0 + if ppm > 0 { 250.0 } else { 0.0 } {
                    (held_us, late_us, units) = (held_us + 20_000.0, late_us - 20_000.0, units + 1);
                    // The unit that was taken was here.
                    assert!(late_us > -20_000.0, "{drift_ppm} ppm: {late_us}");
                }
                held_us -= 20_000.0 * (1.0 + f64::from(ppm) / 1e6);
                late_us += 20_000.0 * (1.0 + f64::from(drift_ppm) / 1e6);
                if tick > 2_000 {
                    most_us = most_us.max(late_us + held_us);
                }
            }
            assert!(most_us < 26_000.0, "{drift_ppm} ppm: {most_us}");
            let expected = 500_000.0 * (1.0 + f64::from(drift_ppm) / 1e6);
            assert!((f64::from(units) - expected).abs() < 3.0);
        }
    }
}
