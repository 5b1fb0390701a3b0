//! The stream a peer sends: which SSRC is believed, where it stands, and how well it arrives.
//!
//! RFC 3550 appendix A.1 (validity), A.3 (loss), A.8 (jitter). Stricter than A.1 in one point: another SSRC takes over
//! only after the present one has been quiet for a moment, so that somebody who forges the source address cannot speak
//! in between.
//!
//! A.1 takes whatever is up to 100 numbers behind for a late packet; a sender that begins anew there would be unheard until
//! it has caught up. So a packet from behind must also fit the time of a late one, and when for longer than a late burst
//! lasts only packets from behind come, in order, the sender has begun anew. (With SRTP neither comes here: to the replay
//! protection they are old.)

use base::{Duration, Timestamp};

use crate::rtp::Header;

/// A gap in the sequence that is still believed at once (about 20 s of 20 ms packets).
const DROPOUT_MAX: i32 = 1_000;
/// How far back a packet is still taken for a late one.
const MISORDER_MAX: i32 = 100;
/// When nothing came for so long but packets from behind, one after another, that hold as much, the sender has begun anew.
/// Those of a burst that is 120 ms late lie at most 100 ms apart: the newest packet was sent 20 ms after the last of them, and
/// came before the first. Where the delays differ by more than that, the packets do not come one after another.
const BEHIND: Duration = Duration::from_millis(120);
/// One number may be missing between two of them.
const BEHIND_STEP_MAX: u64 = 2;
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
    newest: Newest,
    behind: Option<Behind>,
    /// Interarrival jitter in microseconds, times 16.
    jitter_us_16: i64,
    heard: Timestamp,
    reported_expected: u64,
    reported_received: u64,
}

/// The time of the packet with the highest number.
#[derive(Clone, Copy, Debug)]
struct Newest {
    timestamp: i64,
    transit_us: i64,
}

/// Packets from behind, one after another, since the newest one came: a late burst, or a sender that began anew.
#[derive(Clone, Copy, Debug)]
struct Behind {
    /// When the first came, and its timestamp.
    since: Timestamp,
    from: i64,
    last: u64,
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
        let clock_rate = self.clock_rate;
        let Some(source) = &mut self.source else { return Some(self.begin(now, header)) };
        let distance = i32::from(header.sequence.wrapping_sub(source.highest as u16) as i16);
        if header.ssrc != source.ssrc || !(-MISORDER_MAX..=DROPOUT_MAX).contains(&distance) {
            return self.consider(now, header, timed);
        }
        let sequence = source.highest.checked_add_signed(i64::from(distance)).filter(|&sequence| sequence > 0)?;
        let place = Place { sequence, timestamp: source.extended(header.timestamp), restarted: false };
        if distance <= 0 {
            if timed && source.began_anew(now, &place, clock_rate) {
                return Some(self.begin(now, header));
            }
            if timed && !source.may_be_late(now, place.timestamp, clock_rate) {
                return self.consider(now, header, timed);
            }
        }
        self.candidate = None;
        Some(source.take(now, place, timed, clock_rate))
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
                let place = source.after_cut(now, header, clock_rate)?;
                Some(source.take(now, place, timed, clock_rate))
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
        let transit_us = transit_us(now, timestamp, self.clock_rate);
        self.source = Some(Source {
            ssrc: header.ssrc,
            first: sequence,
            highest: sequence,
            received: 1,
            timestamp,
            transit_us,
            newest: Newest { timestamp, transit_us },
            behind: None,
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

    /// Takes a packet that is believed.
    fn take(&mut self, now: Timestamp, mut place: Place, timed: bool, clock_rate: u32) -> Place {
        let newest = place.sequence > self.highest;
        if newest {
            self.highest = place.sequence;
            self.behind = None;
        }
        self.received += 1;
        self.heard = now;
        if timed {
            place.restarted = self.time(now, &mut place.timestamp, clock_rate);
            if newest {
                self.newest = Newest { timestamp: self.timestamp, transit_us: self.transit_us };
            }
        }
        place
    }

    /// The extended timestamp of a packet.
    fn extended(&self, timestamp: u32) -> i64 {
        self.timestamp + i64::from(timestamp.wrapping_sub(self.timestamp as u32) as i32)
    }

    /// The place of a packet far ahead in the sequence, when only the network was away meanwhile: the time line went on, and
    /// there was time to send all that is missing. It was lost then, and counts.
    fn after_cut(&self, now: Timestamp, header: &Header, clock_rate: u32) -> Option<Place> {
        let ahead = u16::try_from(header.sequence.wrapping_sub(self.highest as u16) as i16).ok()?;
        let timestamp = self.extended(header.timestamp);
        let sent_on = PACKET_LEAST * u32::from(ahead) <= now.since(self.heard) + CUT_SLACK;
        let goes_on = (transit_us(now, timestamp, clock_rate) - self.transit_us).abs() <= TRANSIT_JUMP_US;
        let place = Place { sequence: self.highest + u64::from(ahead), timestamp, restarted: false };
        (header.ssrc == self.ssrc && ahead > 0 && sent_on && goes_on).then_some(place)
    }

    /// Whether a packet with a lower number than the newest, and with this timestamp, can be one that is late: then it was
    /// sent before that one, and not so long before that its number would be of another time line.
    fn may_be_late(&self, now: Timestamp, timestamp: i64, clock_rate: u32) -> bool {
        let late_us = transit_us(now, timestamp, clock_rate) - self.newest.transit_us;
        timestamp <= self.newest.timestamp && late_us <= TRANSIT_JUMP_US
    }

    /// Notes a packet from behind; whether with it there were so many that they are not late, but the sender begins anew.
    fn began_anew(&mut self, now: Timestamp, place: &Place, clock_rate: u32) -> bool {
        let follows = |behind: &Behind| (1..=BEHIND_STEP_MAX).contains(&place.sequence.wrapping_sub(behind.last));
        let begun = Behind { since: now, from: place.timestamp, last: place.sequence };
        let row = Behind { last: place.sequence, ..self.behind.filter(follows).unwrap_or(begun) };
        self.behind = Some(row);
        let holds = (place.timestamp - row.from) * 1_000 / i64::from(clock_rate / 1_000);
        now.since(row.since) >= BEHIND && holds >= BEHIND.as_micros() as i64
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
    use proptest::collection::vec;
    use proptest::prelude::*;

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
    fn a_late_packet_of_an_old_time_line_is_of_no_use() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 10, 0), true).expect("first");
        assert!(stream.place(ms(40), &header(1, 12, 0x8000_0000), true).expect("same source").restarted);
        assert_eq!(stream.place(ms(41), &header(1, 11, 160), true), None, "it would begin the old line anew");
        assert!(!stream.place(ms(60), &header(1, 13, 0x8000_00A0), true).expect("same source").restarted);
    }

    /// A network that repeats a packet, or sends a few after a pause of the speaker.
    #[test]
    fn stragglers_are_no_new_beginning() {
        for stragglers in [
            [(300, 2), (350, 2), (450, 2), (500, 2)],
            [(300, 2), (310, 3), (450, 4), (460, 5)],
            [(300, 0), (350, 3), (400, 6), (500, 9)],
        ] {
            let mut stream = Stream::new(8_000);
            for n in 0..=10_u16 {
                stream.place(ms(u64::from(n) * 20), &header(1, n, u32::from(n) * 160), true).expect("in order");
            }
            for (at, n) in stragglers {
                let place = stream.place(ms(at), &header(1, n, u32::from(n) * 160), true).expect("late");
                assert!(!place.restarted, "{n} at {at} ms");
            }
        }
    }

    /// Some of its packets are as late as late ones can be, others later.
    #[test]
    fn a_sender_that_begins_anew_at_the_bound_of_what_may_be_late_is_heard() {
        let mut stream = Stream::new(8_000);
        (0..60).for_each(|n| _ = stream.place(ms(u64::from(n) * 20), &header(1, n, u32::from(n) * 160), true));
        let mut places = (0..20_u16).map(|n| {
            let at = 1_200 + u64::from(n) * 20 + u64::from(n % 3 > 0);
            stream.place(ms(at), &header(1, 10 + n, u32::from(10 + n) * 160), true)
        });
        assert_eq!(places.position(|place| place.is_some_and(|place| place.restarted)), Some(6));
    }

    #[test]
    fn what_the_network_held_back_and_lets_go_at_once_is_no_new_beginning() {
        let mut stream = Stream::new(8_000);
        stream.place(ms(0), &header(1, 0, 0), true).expect("first");
        stream.place(ms(400), &header(1, 20, 20 * 160), true).expect("on another way");
        for n in 1..20_u16 {
            let place = stream.place(ms(500 + u64::from(n)), &header(1, n, u32::from(n) * 160), true).expect("late");
            assert!(!place.restarted, "{n}");
        }
    }

    /// What the timestamps of a sender do that begins anew some numbers back.
    #[derive(Clone, Copy, Debug)]
    enum Clock {
        /// They go back as far as the numbers do.
        Back,
        /// They run on.
        On,
        /// They begin anywhere.
        Anywhere(u32),
    }

    fn clock() -> impl Strategy<Value = Clock> {
        prop_oneof![Just(Clock::Back), Just(Clock::On), any::<u32>().prop_map(Clock::Anywhere)]
    }

    proptest! {
        /// Within 200 ms of its first packet a sender that began anew is heard, however far back, and stays so.
        #[test]
        fn a_sender_that_begins_anew_is_heard_again(
            back in 1_u16..=100,
            clock in clock(),
            packet_ms in prop_oneof![Just(10_u64), Just(20), Just(30), Just(60)],
            pause_ms in 0_u64..3_000,
            jitter_ms in vec(0_u64..15, 300),
            lossy in any::<bool>(),
        ) {
            const BEFORE: u16 = 150;
            let samples = packet_ms as u32 * 8;
            let mut stream = Stream::new(8_000);
            let (mut at, mut played) = (0, 0);
            for n in 0..BEFORE {
                at = u64::from(n) * packet_ms;
                let place = stream.place(ms(at + jitter_ms[usize::from(n)] * packet_ms / 20), &header(1, n, u32::from(n) * samples), true);
                played = place.expect("it is in order").sequence;
            }
            let anew = at + packet_ms + pause_ms;
            let first_time = match clock {
                Clock::Back => u32::from(BEFORE - back) * samples,
                Clock::On => u32::from(BEFORE) * samples + pause_ms as u32 * 8,
                Clock::Anywhere(time) => time,
            };
            for n in (0..150).filter(|n| !lossy || n % 5 != 3) {
                let since = u64::from(n) * packet_ms;
                let late = jitter_ms[usize::from(BEFORE + n)] * packet_ms / 20;
                let time = first_time.wrapping_add(u32::from(n) * samples);
                let place = stream.place(ms(anew + since + late), &header(1, BEFORE - back + n, time), true);
                if place.is_some_and(|place| place.restarted) {
                    played = 0;
                }
                let new = place.is_some_and(|place| place.sequence > played);
                prop_assert!(new || since < 200, "unheard {since} ms after it began anew");
                played = place.map_or(played, |place| played.max(place.sequence));
            }
        }

        /// A network that delays packets by up to 120 ms, in bursts or one by one, with a sender that pauses now and then:
        /// each is in its place.
        #[test]
        fn what_is_late_is_no_new_beginning(packets in vec((1_u64..=3, 0_u64..=120, 0_u8..10), 2..200)) {
            let (mut sent, mut burst) = (0, 0);
            let mut arrivals: Vec<(u64, u16, u64)> = Vec::new();
            for (n, (steps, delay, kind)) in packets.into_iter().enumerate() {
                // Mostly a burst goes on as it was; a pause is rare.
                burst = if kind < 3 { delay } else { burst };
                sent += 20 * if kind == 9 { steps * 20 } else { 1 };
                arrivals.push((sent + burst, n as u16, sent));
            }
            arrivals.sort_unstable();
            let mut stream = Stream::new(8_000);
            let begun = stream.place(ms(arrivals[0].0), &header(1, arrivals[0].1, arrivals[0].2 as u32 * 8), true);
            let begun = begun.expect("the first").sequence - u64::from(arrivals[0].1);
            for (at, n, sent) in arrivals.into_iter().skip(1) {
                let place = stream.place(ms(at), &header(1, n, sent as u32 * 8), true).expect("it is in its place");
                prop_assert!(!place.restarted && place.sequence == begun + u64::from(n), "{n} at {at} ms");
            }
        }
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
