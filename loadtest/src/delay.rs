//! The delay of marked bursts: when each was sent, and when its first loud sample could be played.

use std::time::{Duration, Instant};

use crate::audio::{AMPLITUDE, Heard, SAMPLE_RATE};

/// Loud is a third of the burst's amplitude: a server that fades in is not punished for its first millisecond.
const LOUD: i32 = (AMPLITUDE / 3.0 * 32_768.0) as i32;
/// A burst begins after this much quiet, in samples: longer than the pauses inside a tone, shorter than between bursts.
const QUIET: u32 = SAMPLE_RATE / 10;
/// A burst that takes longer counts as lost.
const LIMIT: Duration = Duration::from_millis(350);

/// When each burst begins at the ear: the arrival of the packet that carries its first loud sample, plus that sample's
/// place in the packet. A listener whose own buffer is empty plays it then.
pub(crate) fn beginnings(packets: &[Heard]) -> Vec<Instant> {
    let mut found = Vec::new();
    let mut quiet = QUIET;
    for packet in packets {
        for (index, sample) in packet.samples.iter().enumerate() {
            if i32::from(*sample).abs() < LOUD {
                quiet = quiet.saturating_add(1);
                continue;
            }
            if quiet >= QUIET {
                found.push(packet.at + Duration::from_secs_f64(index as f64 / f64::from(SAMPLE_RATE)));
            }
            quiet = 0;
        }
    }
    found
}

/// The delay of each burst in milliseconds; `None` for one that did not come.
pub(crate) fn delays(sent: &[Instant], heard: &[Instant]) -> Vec<Option<f64>> {
    let delay_of = |sent: &Instant| {
        let next = heard.iter().find(|heard| *heard >= sent)?;
        let delay = *next - *sent;
        (delay <= LIMIT).then_some(delay.as_secs_f64() * 1_000.0)
    };
    sent.iter().map(delay_of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Packets of 20 ms, loud from the given samples on, for 100 ms each, sent `delay` after they should be.
    fn packets(start: Instant, delay: Duration, bursts: &[usize]) -> Vec<Heard> {
        let is_loud = |sample: usize| bursts.iter().any(|burst| (*burst..burst + 800).contains(&sample));
        let packet = |index: usize| Heard {
            at: start + delay + Duration::from_millis(20) * index as u32,
            timestamp: index as u32 * 160,
            // A tone passes through zero: single quiet samples end no burst.
            samples: (0..160).map(|at| if is_loud(index * 160 + at) && at % 4 != 3 { 9_000 } else { 0 }).collect(),
        };
        (0..200).map(packet).collect()
    }

    #[test]
    fn a_planted_delay_is_found_to_the_sample() {
        let start = Instant::now();
        let sent: Vec<Instant> = [4_000, 8_000, 12_000].map(|at| start + Duration::from_micros(at * 125)).to_vec();
        // The second burst begins 5 ms inside a packet.
        let heard = beginnings(&packets(start, Duration::from_millis(30), &[4_000, 8_040, 12_000]));
        let found: Vec<i64> =
            delays(&sent, &heard).into_iter().map(|delay| delay.map_or(-1, |ms| ms.round() as i64)).collect();
        assert_eq!(found, [30, 35, 30]);
    }

    #[test]
    fn a_lost_burst_is_not_taken_for_the_next_one() {
        let start = Instant::now();
        let sent: Vec<Instant> = [4_000, 8_000, 12_000].map(|at| start + Duration::from_micros(at * 125)).to_vec();
        let heard = beginnings(&packets(start, Duration::from_millis(10), &[4_000, 12_000]));
        assert_eq!(delays(&sent, &heard).iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    }
}
