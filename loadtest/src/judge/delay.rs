//! How late a chirp arrives: from the moment its packet was sent to the moment a listener without a buffer plays it.

use crate::judge::sound::{Ear, payload_of, units_per_sample};
use crate::media::clips::{CHIRP_SAMPLES, RATE, chirp};
use crate::media::leg::LegRecord;
use crate::plan::Codec;

/// A chirp that takes longer counts as lost, in samples: 400 ms.
const REACH: usize = RATE * 2 / 5;
/// Likeness to the chirp, 0 to 1, from which it counts as found; speech alone stays below 0.2.
const LIKENESS: f64 = 0.45;

/// The delays in ms of the chirps sent at `sent`; `None` for those that did not come. Chirps near the end of the
/// recording, which could not have come yet, are left out.
pub fn delays(sent: &[i64], record: &LegRecord, codec: Codec) -> Vec<Option<f64>> {
    let track = Track::of(record, codec);
    let pattern = chirp();
    let complete = |start: &&i64| track.spans(**start, (REACH + CHIRP_SAMPLES) as i64);
    sent.iter().filter(complete).map(|start| track.delay_of(*start, &pattern)).collect()
}

/// What was heard on the line of time: runs of samples, each with the arrival of its packet.
struct Track {
    samples: Vec<f64>,
    /// For each packet the place of its first sample and its arrival.
    packets: Vec<(usize, i64)>,
}

impl Track {
    /// Places packets by their timestamps; what is missing is silence.
    fn of(record: &LegRecord, codec: Codec) -> Self {
        const LEAP: i64 = 10 * RATE as i64;
        let mut ear = Ear::new(codec);
        let mut track = Self { samples: Vec::new(), packets: Vec::new() };
        let mut origin: Option<(u32, usize)> = None;
        for heard in &record.heard {
            let decoded = ear.decode(payload_of(record, heard));
            let step =
                |start: u32| i64::from(heard.timestamp.wrapping_sub(start) as i32) / i64::from(units_per_sample(codec));
            let place = origin.map(|(start, base)| base as i64 + step(start));
            let at = match place {
                Some(at) if at >= 0 && at <= track.samples.len() as i64 + LEAP => at as usize,
                _ => {
                    origin = Some((heard.timestamp, track.samples.len()));
                    track.samples.len()
                }
            };
            track.samples.resize(track.samples.len().max(at + decoded.len()), 0.0);
            for (slot, sample) in track.samples[at..].iter_mut().zip(&decoded) {
                *slot = f64::from(*sample) / 32_768.0;
            }
            track.packets.push((at, heard.at));
        }
        track.packets.sort_unstable_by_key(|(place, _)| *place);
        track
    }

    /// Whether so many samples after `start` were recorded.
    fn spans(&self, start: i64, samples: i64) -> bool {
        let (Some(first), Some(last)) = (self.packets.first(), self.packets.last()) else { return false };
        first.1 <= start && start + samples * 1_000_000_000 / RATE as i64 <= last.1
    }

    fn delay_of(&self, start: i64, pattern: &[f64]) -> Option<f64> {
        // Search from the first packet that arrived after the sending; its samples may be no earlier than the chirp.
        let from = self.packets.iter().find(|(_, at)| *at >= start)?.0;
        let (place, likeness) = self.best_match(from, pattern)?;
        (likeness >= LIKENESS).then(|| (self.played_at(place) - start) as f64 / 1e6)
    }

    /// The most similar place within reach, and how similar it is.
    fn best_match(&self, from: usize, pattern: &[f64]) -> Option<(usize, f64)> {
        let energy: f64 = pattern.iter().map(|sample| sample * sample).sum();
        let end = (from + REACH).min(self.samples.len().checked_sub(pattern.len())?);
        let candidates = (from..end).map(|place| {
            let window = &self.samples[place..place + pattern.len()];
            let power: f64 = window.iter().map(|sample| sample * sample).sum();
            let product: f64 = window.iter().zip(pattern).map(|(one, other)| one * other).sum();
            // Codecs may turn the phase: both signs count.
            (place, product.abs() / (power * energy).sqrt().max(1e-6))
        });
        candidates.max_by(|one, two| one.1.total_cmp(&two.1))
    }

    /// When a listener without a buffer plays that sample: at the arrival of its packet, plus its place in it.
    fn played_at(&self, place: usize) -> i64 {
        let after = self.packets.partition_point(|(first, _)| *first <= place);
        let (first, at) = self.packets[after.saturating_sub(1)];
        at + (place - first.min(place)) as i64 * 1_000_000_000 / RATE as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::clips::{CHIRP_FRAME, CHIRP_PERIOD, Clips, Sound};
    use crate::media::leg::Heard;

    /// What a listener records to whom the chirping loop comes `delay_ms` late; packets of `lost` frames are missing.
    fn recorded(codec: Codec, delay_ms: i64, lost: std::ops::Range<usize>) -> (Vec<i64>, LegRecord) {
        let clips = Clips::shared(codec);
        let mut record = LegRecord::default();
        let mut sent = Vec::new();
        for (index, frame) in clips.of(Sound::Chirp).iter().enumerate() {
            let now = 1_000_000_000 + index as i64 * 20_000_000;
            if index % CHIRP_PERIOD == CHIRP_FRAME {
                sent.push(now);
            }
            if lost.contains(&index) {
                continue;
            }
            let (start, length) = (record.payloads.len() as u32, frame.payload.len() as u16);
            record.payloads.extend(&frame.payload);
            let timestamp = (index as u32 * 160).wrapping_mul(units_per_sample(codec));
            record.heard.push(Heard { at: now + delay_ms * 1_000_000, timestamp, start, length });
        }
        (sent, record)
    }

    #[test]
    fn a_planted_delay_is_found() {
        for (codec, look_ahead) in [(Codec::Pcmu, 0.0), (Codec::Opus, 6.5)] {
            for planted in [7, 33, 120] {
                let (sent, record) = recorded(codec, planted, 0..0);
                let found = delays(&sent, &record, codec);
                assert!(found.len() >= 2, "{codec:?}: {found:?}");
                for delay in found {
                    let delay = delay.unwrap_or(f64::NAN);
                    let error = delay - planted as f64 - look_ahead;
                    assert!(error.abs() < 1.5, "{codec:?} {planted}: {delay}");
                }
            }
        }
    }

    #[test]
    fn a_lost_chirp_is_told() {
        let (sent, record) = recorded(Codec::Pcmu, 20, CHIRP_FRAME..CHIRP_FRAME + 4);
        let found = delays(&sent, &record, Codec::Pcmu);
        assert_eq!((found[0], found[1].is_some()), (None, true), "{found:?}");
    }
}
