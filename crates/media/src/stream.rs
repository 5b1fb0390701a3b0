//! The stream a peer sends: which SSRC is believed, where it stands, and how well it arrives.
//!
//! RFC 3550 appendix A.1 (validity), A.3 (loss), A.8 (jitter). Stricter than A.1 in one point: another SSRC takes over
//! only after the present one has been quiet for a moment, so that somebody who forges the source address cannot speak
//! in between.

use base::{Duration, Timestamp};

use crate::rtp::Header;

/// A gap in the sequence that is still believed at once (about 20 s of 20 ms packets).
const DROPOUT_MAX: i32 = 1_000;
/// How far back a packet is still taken for a late one.
const MISORDER_MAX: i32 = 100;
/// How long the present SSRC must be quiet before another one takes over.
const TAKEOVER_QUIET: Duration = Duration::from_millis(100);
/// After a longer gap, the least time that each of the packets lasted that are missing: with that it is a cut of the network,
/// and otherwise the sender counts anew.
const PACKET_LEAST: Duration = Duration::from_millis(10);
/// What the first packets after a cut may come too early, beside the clocks' difference.
const CUT_SLACK: Duration = Duration::from_secs(1);
/// A change of the transit that is a new time line of the sender, not jitter, microseconds.
const TRANSIT_JUMP_US: i64 = 1_000_000;

/// Packets are numbered from one cycle up, so that those before the first have a number too.
const FIRST_CYCLE: u64 = 0x1_0000;

/// Where a believed packet stands in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Extended sequence number; never 0.
    pub(crate) sequence: u64,
    /// Extended RTP timestamp.
    pub(crate) timestamp: i64,
    /// A new time line begins with this packet; nothing older fits to it.
    pub(crate) restarted: bool,
}

/// What a report block says (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reception {
    pub(crate) ssrc: u32,
    pub(crate) fraction_lost: u8,
    pub(crate) lost: u32,
    /// The cycles of the sequence number that were counted are the upper 16 bits.
    pub(crate) highest_sequence: u32,
    /// In clock units.
    pub(crate) jitter: u32,
}

/// The stream of the peer.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    clock_rate: u32,
    source: Option<Source>,
    candidate: Option<Candidate>,
    /// Lost packets of earlier sources.
    lost_before: u64,
}

/// The believed source.
#[derive(Clone, Debug)]
struct Source {
    ssrc: u32,
    first: u64,
    highest: u64,
    received: u64,
    timestamp: i64,
    transit_us: i64,
    /// Interarrival jitter in microseconds, times 16.
    jitter_us_16: i64,
    heard: Timestamp,
    reported_expected: u64,
    reported_received: u64,
}

/// A packet that does not fit. When the next one follows it directly, a new source begins there.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    ssrc: u32,
    next: u16,
}

impl Stream {
    /// A stream that has not begun.
    pub(crate) fn new(clock_rate: u32) -> Self {
        Self { clock_rate, source: None, candidate: None, lost_before: 0 }
    }

    /// The codec changed: the next packet begins a new time line.
    pub(crate) fn set_clock_rate(&mut self, clock_rate: u32) {
        self.lost_before = self.lost();
        (self.clock_rate, self.source, self.candidate) = (clock_rate, None, None);
    }

    /// The believed SSRC and the sequence number that comes next.
    pub(crate) fn expected(&self) -> Option<(u32, u16)> {
        self.source.as_ref().map(|source| (source.ssrc, (source.highest + 1) as u16))
    }

    /// Places a packet; `None` when it is not believed (yet). `timed` is false for packets whose timestamp is not that
    /// of their sending (telephone-events).
    pub(crate) fn place(&mut self, now: Timestamp, header: &Header, timed: bool) -> Option<Place> {
        let Some(source) = &mut self.source else { return Some(self.begin(now, header)) };
        let distance = i32::from(header.sequence.wrapping_sub(source.highest as u16) as i16);
        if header.ssrc != source.ssrc || !(-MISORDER_MAX..=DROPOUT_MAX).contains(&distance) {
            return self.consider(now, header, timed);
        }
        let sequence = source.highest.checked_add_signed(i64::from(distance)).filter(|&sequence| sequence > 0)?;
        self.candidate = None;
        Some(source.take(now, header, sequence, timed, self.clock_rate))
    }

    /// Packets that never came.
    pub(crate) fn lost(&self) -> u64 {
        let now = self.source.as_ref().map_or(0, |source| source.expected().saturating_sub(source.received));
        self.lost_before + now
    }

    /// Interarrival jitter in microseconds.
    pub(crate) fn jitter_us(&self) -> u32 {
        self.source.as_ref().map_or(0, |source| u32::try_from(source.jitter_us_16 >> 4).unwrap_or(u32::MAX))
    }

    /// The report block since the last call; `None` before the first packet.
    pub(crate) fn report(&mut self) -> Option<Reception> {
        let jitter_us = u64::from(self.jitter_us());
        let jitter = jitter_us * u64::from(self.clock_rate) / 1_000_000;
        let source = self.source.as_mut()?;
        let expected = source.expected() - source.reported_expected;
        let received = source.received - source.reported_received;
        (source.reported_expected, source.reported_received) = (source.expected(), source.received);
        let lost = expected.saturating_sub(received);
        Some(Reception {
            ssrc: source.ssrc,
            fraction_lost: (lost * 256).checked_div(expected).unwrap_or(0).min(255) as u8,
            lost: source.expected().saturating_sub(source.received).min(0x7F_FFFF) as u32,
            highest_sequence: (source.highest - FIRST_CYCLE) as u32,
            jitter: u32::try_from(jitter).unwrap_or(u32::MAX),
        })
    }

    /// A packet of another source, or far away in the sequence: believed when a second one confirms it.
    fn consider(&mut self, now: Timestamp, header: &Header, timed: bool) -> Option<Place> {
        let confirmed =
            self.candidate.is_some_and(|candidate| candidate.ssrc == header.ssrc && candidate.next == header.sequence);
        let quiet = self.source.as_ref().is_none_or(|source| now.since(source.heard) >= TAKEOVER_QUIET);
        if confirmed && quiet {
            self.candidate = None;
            let clock_rate = self.clock_rate;
            let cut = self.source.as_mut().and_then(|source| {
                let sequence = source.after_cut(now, header, clock_rate)?;
                Some(source.take(now, header, sequence, timed, clock_rate))
            });
            return Some(cut.unwrap_or_else(|| self.begin(now, header)));
        }
        self.candidate = Some(Candidate { ssrc: header.ssrc, next: header.sequence.wrapping_add(1) });
        None
    }

    fn begin(&mut self, now: Timestamp, header: &Header) -> Place {
        self.lost_before = self.lost();
        self.candidate = None;
        let sequence = FIRST_CYCLE + u64::from(header.sequence);
        let timestamp = i64::from(header.timestamp);
        self.source = Some(Source {
            ssrc: header.ssrc,
            first: sequence,
            highest: sequence,
            received: 1,
            timestamp,
            transit_us: transit_us(now, timestamp, self.clock_rate),
            jitter_us_16: 0,
            heard: now,
            reported_expected: 0,
            reported_received: 0,
        });
        Place { sequence, timestamp, restarted: true }
    }
}

impl Source {
    fn expected(&self) -> u64 {
        self.highest - self.first + 1
    }

    /// Takes a believed packet of that extended sequence number.
    fn take(&mut self, now: Timestamp, header: &Header, sequence: u64, timed: bool, clock_rate: u32) -> Place {
        self.highest = self.highest.max(sequence);
        self.received += 1;
        self.heard = now;
        let mut place = Place { sequence, timestamp: self.next_timestamp(header), restarted: false };
        if timed {
            place.restarted = self.time(now, &mut place.timestamp, clock_rate);
        }
        place
    }

    /// The extended timestamp of a packet.
    fn next_timestamp(&self, header: &Header) -> i64 {
        let step = header.timestamp.wrapping_sub(self.timestamp as u32) as i32;
        self.timestamp + i64::from(step)
    }

    /// The extended sequence number of a packet far ahead in the sequence, when only the network was away meanwhile: the time
    /// line went on, and there was time to send all that is missing. It was lost then, and counts.
    fn after_cut(&self, now: Timestamp, header: &Header, clock_rate: u32) -> Option<u64> {
        let ahead = header.sequence.wrapping_sub(self.highest as u16);
        let sent_on = PACKET_LEAST * u32::from(ahead) <= now.since(self.heard) + CUT_SLACK;
        let transit_us = transit_us(now, self.next_timestamp(header), clock_rate);
        let goes_on = (transit_us - self.transit_us).abs() <= TRANSIT_JUMP_US;
        (header.ssrc == self.ssrc && sent_on && goes_on).then(|| self.highest + u64::from(ahead))
    }

    /// Follows the time line; `true`, with a fresh timestamp, when it jumped.
    fn time(&mut self, now: Timestamp, timestamp: &mut i64, clock_rate: u32) -> bool {
        let transit = transit_us(now, *timestamp, clock_rate);
        let change = (transit - self.transit_us).abs();
        if change > TRANSIT_JUMP_US {
            // The extended timestamp begins anew, so that no row of jumps can make it overflow.
            *timestamp = i64::from(*timestamp as u32);
            self.timestamp = *timestamp;
            self.transit_us = transit_us(now, *timestamp, clock_rate);
            return true;
        }
        self.jitter_us_16 += change - (self.jitter_us_16 >> 4);
        self.transit_us = transit;
        self.timestamp = *timestamp;
        false
    }
}

fn transit_us(now: Timestamp, timestamp: i64, clock_rate: u32) -> i64 {
    let arrival = i64::try_from(now.as_micros()).unwrap_or(i64::MAX);
    arrival.saturating_sub(timestamp * 1_000 / i64::from(clock_rate / 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Outgoing;

    fn header(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        let mut bytes = Vec::new();
        Outgoing { marker: false, payload_type: 0, sequence, timestamp, ssrc, level: None }.write(&[], &mut bytes);
        Header::read(&bytes).expect("valid")
    }

    fn ms(at: u64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    #[test]
    fn sequence_and_timestamp_wrap() {
        let mut stream = Stream::new(8_000);
        let first = stream.place(ms(0), &header(1, 65_535, u32::MAX - 79), true).expect("first");
        let second = stream.place(ms(20), &header(1, 0, 80), true).expect("second");
        assert_eq!(second, Place { sequence: first.sequence + 1, timestamp: first.timestamp + 160, restarted: false });
        assert_eq!((stream.lost(), stream.jitter_us()), (0, 0));
    }

    #[test]
    fn another_ssrc_needs_two_packets_and_a_quiet_predecessor() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 10, 0), true).expect("first");
        assert_eq!(stream.place(ms(5), &header(2, 70, 0), true), None);
        assert_eq!(stream.place(ms(6), &header(2, 71, 160), true), None, "the first one spoke 6 ms ago");
        assert!(stream.place(ms(20), &header(1, 11, 160), true).is_some());
        assert_eq!(stream.place(ms(140), &header(2, 77, 0), true), None);
        assert!(stream.place(ms(160), &header(2, 78, 160), true).expect("two in a row").restarted);
        assert_eq!(stream.place(ms(180), &header(1, 12, 320), true), None);
    }

    #[test]
    fn far_sequence_numbers_need_a_second_packet() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 10, 0), true).expect("first");
        assert_eq!(stream.place(ms(20), &header(1, 30_000, 160), true), None);
        assert!(stream.place(ms(140), &header(1, 11, 1_120), true).is_some(), "the old place is still good");
        assert_eq!(stream.place(ms(300), &header(1, 40_000, 0), true), None);
        assert!(stream.place(ms(320), &header(1, 40_001, 160), true).expect("in a row").restarted);
    }

    /// 25 s without a packet while the sender counts on, its clock a little wrong.
    #[test]
    fn what_a_long_cut_of_the_network_took_is_lost() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 65_000, 0), true).expect("first");
        let after = |n: u16| header(1, 65_000_u16.wrapping_add(n), u32::from(n) * 160);
        assert_eq!(stream.place(ms(25_050), &after(1_250), true), None, "far ahead");
        let second = stream.place(ms(25_070), &after(1_251), true).expect("in a row");
        assert_eq!(second, Place { sequence: FIRST_CYCLE + 66_251, timestamp: 1_251 * 160, restarted: false });
        assert_eq!(stream.lost(), 1_250);
        assert_eq!(stream.report().map(|report| (report.lost, report.highest_sequence)), Some((1_250, 66_251)));
    }

    /// There was no time to send what seems to be missing, or the time line is another one.
    #[test]
    fn a_sender_that_counts_anew_has_lost_nothing() {
        for (sequence, timestamp) in [(30_000, 25_000 * 8), (1_260, 77)] {
            let mut stream = Stream::new(8_000);
            stream.place(ms(0), &header(1, 10, 0), true).expect("first");
            assert_eq!(stream.place(ms(25_000), &header(1, sequence, timestamp), true), None, "far ahead");
            let second = stream.place(ms(25_020), &header(1, sequence + 1, timestamp + 160), true).expect("in a row");
            assert_eq!((second.restarted, stream.lost()), (true, 0), "from {sequence}");
        }
    }

    #[test]
    fn cycles_are_reported_as_they_were_counted() {
        let mut stream = Stream::new(8_000);
        for (number, sequence, highest) in [(0, 65_534, 65_534), (1, 65_535, 65_535), (2, 0, 0x1_0000)] {
            stream.place(ms(number * 20), &header(1, sequence, number as u32 * 160), true).expect("in order");
            assert_eq!(stream.report().map(|report| report.highest_sequence), Some(highest));
        }
    }

    #[test]
    fn a_timestamp_jump_begins_a_new_time_line() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 10, 0), true).expect("first");
        let jumped = stream.place(ms(20), &header(1, 11, 0x8000_0000), true).expect("same source");
        assert_eq!(jumped, Place { sequence: 0x1_0000 + 11, timestamp: 0x8000_0000, restarted: true });
        assert!(!stream.place(ms(40), &header(1, 12, 0x8000_00A0), true).expect("same source").restarted);
    }

    #[test]
    fn loss_is_reported_since_the_last_report() {
        let mut stream = Stream::new(8_000);
        for sequence in (0..100).filter(|sequence| sequence % 4 != 1) {
            stream.place(ms(u64::from(sequence) * 20), &header(1, sequence, u32::from(sequence) * 160), true);
        }
        let report = stream.report().expect("begun");
        assert_eq!((report.lost, report.fraction_lost), (25, 64));
        assert_eq!(stream.report().expect("begun").fraction_lost, 0);
    }
}
