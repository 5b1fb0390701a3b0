//! Digits as telephone-events (RFC 4733): one report for each press, whatever is lost, doubled or reordered.

use base::{Duration, Timestamp};

/// Updates of one press come at most this far apart; a sender that numbers each update anew is recognised by it.
const UPDATE_GAP: Duration = Duration::from_millis(150);

/// Recognises presses.
///
/// A press is known by its RTP timestamp, which all its packets share. So the first packet of a press reports it, even
/// if that is its last one, and the three copies of the end report nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct DigitReceiver {
    last: Option<Press>,
}

#[derive(Clone, Copy, Debug)]
struct Press {
    event: u8,
    timestamp: u32,
    duration: u16,
    ended: bool,
    heard: Timestamp,
}

impl DigitReceiver {
    /// Takes a packet's payload; answers a digit when it was pressed just now.
    pub(crate) fn receive(&mut self, now: Timestamp, timestamp: u32, marker: bool, payload: &[u8]) -> Option<char> {
        let &[event, flags, high, low] = payload.first_chunk()?;
        let press =
            Press { event, timestamp, duration: u16::from_be_bytes([high, low]), ended: flags & 0x80 != 0, heard: now };
        let Some(last) = &mut self.last else {
            self.last = Some(press);
            return digit(event);
        };
        let age = timestamp.wrapping_sub(last.timestamp) as i32;
        if age < 0 {
            return None;
        }
        if age == 0 || last.goes_on_in(&press, age, marker) {
            last.ended |= press.ended;
            if age > 0 || press.duration > last.duration {
                (last.timestamp, last.duration) = (timestamp, press.duration);
            }
            last.heard = now;
            return None;
        }
        self.last = Some(press);
        digit(event)
    }

    /// Forgets the last press: a new stream has other timestamps.
    pub(crate) fn restart(&mut self) {
        self.last = None;
    }
}

impl Press {
    /// Whether `next`, `age` clock units later, belongs to this press: the next segment of a press too long for one
    /// duration field (RFC 4733 2.5.1.3), or an update by a sender that wrongly moves the timestamp along.
    fn goes_on_in(&self, next: &Self, age: i32, marker: bool) -> bool {
        let segment = self.duration == u16::MAX || age == i32::from(self.duration);
        let update = next.duration > self.duration && age <= i32::from(next.duration);
        let soon = next.heard.since(self.heard) <= UPDATE_GAP;
        !self.ended && !marker && self.event == next.event && soon && (segment || update)
    }
}

/// The character of an event (RFC 4733 table 3).
fn digit(event: u8) -> Option<char> {
    b"0123456789*#ABCD".get(usize::from(event)).map(|&byte| char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `(milliseconds, timestamp, marker, event, end, duration)`
    type Packet = (u64, u32, bool, u8, bool, u16);

    fn digits(packets: &[Packet]) -> String {
        let mut receiver = DigitReceiver::default();
        let packets = packets.iter().filter_map(|&(at, timestamp, marker, event, end, duration)| {
            let [high, low] = duration.to_be_bytes();
            let payload = [event, if end { 0x8A } else { 0x0A }, high, low];
            receiver.receive(Timestamp::from_millis(at), timestamp, marker, &payload)
        });
        packets.collect()
    }

    fn press(at: u64, timestamp: u32, event: u8) -> [Packet; 6] {
        [
            (at, timestamp, true, event, false, 160),
            (at + 20, timestamp, false, event, false, 320),
            (at + 40, timestamp, false, event, false, 480),
            (at + 60, timestamp, false, event, true, 640),
            (at + 60, timestamp, false, event, true, 640),
            (at + 60, timestamp, false, event, true, 640),
        ]
    }

    #[test]
    fn every_press_counts_once_whatever_is_lost() {
        let presses = [press(0, 1000, 1), press(200, 2600, 1), press(400, 4200, 11)].concat();
        assert_eq!(digits(&presses), "11#");
        // Any pattern of loss that leaves one packet of each press alive.
        for first in 1..64_usize {
            for second in 1..64_usize {
                let pattern = first | second << 6 | 0b100_000 << 12;
                let left: Vec<Packet> = presses
                    .iter()
                    .enumerate()
                    .filter(|(n, _)| pattern >> n & 1 == 1)
                    .map(|(_, packet)| *packet)
                    .collect();
                assert_eq!(digits(&left), "11#", "{first:06b} {second:06b}");
            }
        }
    }

    #[test]
    fn late_and_doubled_packets_report_nothing() {
        let mut packets = [press(0, 1000, 5), press(100, 1800, 6)].concat();
        packets.extend(press(200, 1000, 5));
        assert_eq!(digits(&packets), "56");
    }

    #[test]
    fn a_long_press_in_segments_is_one_press() {
        let long = [
            (0, 1_000, true, 2, false, 160),
            (8_000, 1_000, false, 2, false, 65_535),
            (8_020, 66_535, false, 2, false, 160),
            (8_040, 66_535, false, 2, true, 320),
        ];
        assert_eq!(digits(&long), "2");
    }

    #[test]
    fn the_same_digit_again_is_told_from_an_update_by_the_end_before() {
        assert_eq!(digits(&[(0, 1_000, true, 4, true, 160), (60, 1_400, false, 4, false, 480)]), "44");
        assert_eq!(digits(&[(0, 1_000, true, 4, false, 160), (60, 1_400, false, 4, false, 480)]), "4");
    }

    #[test]
    fn a_sender_that_moves_the_timestamp_presses_once() {
        let odd = [
            (0, 1_000, true, 3, false, 160),
            (20, 1_160, false, 3, false, 320),
            (40, 1_320, false, 3, false, 480),
            (60, 1_480, false, 3, true, 640),
            (60, 1_480, false, 3, true, 640),
        ];
        assert_eq!(digits(&odd), "3");
    }

    #[test]
    fn other_events_and_stubs_are_ignored() {
        assert_eq!(digits(&[(0, 1, true, 16, false, 160), (0, 900, true, 255, true, 160)]), "");
        assert_eq!(DigitReceiver::default().receive(Timestamp::ZERO, 0, true, &[1, 2, 3]), None);
    }
}
