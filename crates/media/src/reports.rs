//! When our RTCP reports are due, and what the peer's tell us.

use base::{Duration, Timestamp};

use crate::rtcp::{self, Echo, Report, Sent};
use crate::stream::Stream;

/// Mean time between reports (RFC 3550 6.2).
const INTERVAL: Duration = Duration::from_secs(5);
/// Loss, in 1/256, from which error correction is worth its bits: 2 %.
const LOSS_WORTH_FEC: u8 = 5;
/// How long a report of loss counts, so that two good reports in a row do not end the correction.
const LOSS_REMEMBERED: Duration = Duration::from_secs(30);
/// How long a report counts that the peer sends nothing: some intervals of a slow phone.
const SILENT_REMEMBERED: Duration = Duration::from_secs(60);
/// A longer round trip is a lie or of no use.
const ROUND_TRIP_MAX_US: u64 = 30_000_000;

/// RTCP of one leg.
#[derive(Clone, Debug)]
pub(crate) struct Reports {
    ssrc: u32,
    next: Timestamp,
    /// State of the generator that spreads reports in time; its quality does not matter.
    spread: u32,
    /// Middle NTP time of our last two sender reports.
    ours: [Option<u32>; 2],
    /// The peer's last sender report and when it came.
    theirs: Option<(u32, Timestamp)>,
    packets_reported: u64,
    round_trip_us: u32,
    /// What the peer said last of the stream we send, in 1/256.
    remote_loss: u8,
    /// Until when the peer counts as one that loses packets.
    loses_until: Timestamp,
    /// The packets the peer says it has sent.
    their_packets: Option<u32>,
    /// When the peer reported last that it has sent nothing since its report before.
    silent_at: Option<Timestamp>,
}

/// What we have sent so far.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SentSoFar {
    /// The RTP time of now.
    pub(crate) rtp_time: u32,
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
}

impl Reports {
    /// Reports of a leg that sends with `ssrc`.
    pub(crate) fn new(ssrc: u32) -> Self {
        let (next, ours, theirs) = (Timestamp::ZERO, [None; 2], None);
        Self {
            ssrc,
            next,
            spread: ssrc,
            ours,
            theirs,
            packets_reported: 0,
            round_trip_us: 0,
            remote_loss: 0,
            loses_until: Timestamp::ZERO,
            their_packets: None,
            silent_at: None,
        }
    }

    /// Media begins: the first report follows after half the time.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.next = now + self.interval() / 2;
    }

    /// Round trip in microseconds; 0 before it is known.
    pub(crate) fn round_trip_us(&self) -> u32 {
        self.round_trip_us
    }

    /// The loss of what we send, as the peer reported it last, in 1/256.
    pub(crate) fn remote_loss(&self) -> u8 {
        self.remote_loss
    }

    /// Whether the peer has lost, within the last half minute, so much of what we send that error correction pays.
    pub(crate) fn peer_loses(&self, now: Timestamp) -> bool {
        now < self.loses_until
    }

    /// Whether the peer's last report said that it sends nothing, and came not long ago.
    pub(crate) fn peer_is_silent(&self, now: Timestamp) -> bool {
        self.silent_at.is_some_and(|at| now.since(at) < SILENT_REMEMBERED)
    }

    /// Takes a compound packet of the peer; `None` when it is malformed, else whether it brought a report.
    pub(crate) fn receive(&mut self, now: Timestamp, packet: &[u8], stream: &Stream) -> Option<bool> {
        let heard = rtcp::read(packet, self.ssrc)?;
        if let Some((ssrc, ntp)) = heard.sender_report
            && stream.expected().is_some_and(|(expected, _)| expected == ssrc)
        {
            self.theirs = Some((ntp, now));
        }
        if let Some(Echo { fraction_lost, last_report, delay }) = heard.echo {
            self.remote_loss = fraction_lost;
            if fraction_lost >= LOSS_WORTH_FEC {
                self.loses_until = now + LOSS_REMEMBERED;
            }
            self.measure(now, last_report, delay);
        }
        if heard.is_report {
            let speaks = heard.sent_packets.is_some() && heard.sent_packets != self.their_packets;
            self.silent_at = (!speaks).then_some(now);
            self.their_packets = heard.sent_packets.or(self.their_packets);
        }
        Some(heard.is_report)
    }

    /// Whether a report is due.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        now >= self.next
    }

    /// Writes the report that is due.
    pub(crate) fn write_due(
        &mut self,
        now: Timestamp,
        cname: &str,
        sent: SentSoFar,
        stream: &mut Stream,
        out: &mut Vec<u8>,
    ) {
        self.next = now + self.interval();
        self.write(now, cname, sent, stream, out);
    }

    /// Writes a report.
    pub(crate) fn write(
        &mut self,
        now: Timestamp,
        cname: &str,
        so_far: SentSoFar,
        stream: &mut Stream,
        out: &mut Vec<u8>,
    ) {
        let speaks = so_far.packets > self.packets_reported;
        self.packets_reported = so_far.packets;
        let sent = speaks.then_some(Sent {
            rtp_time: so_far.rtp_time,
            packets: so_far.packets as u32,
            bytes: so_far.bytes as u32,
        });
        if speaks {
            self.ours = [Some(rtcp::middle_ntp(now)), self.ours[0]];
        }
        let (last_report, since) = self.theirs.map_or((0, 0), |(ntp, at)| {
            let since = u64::try_from(now.since(at).as_micros()).unwrap_or(u64::MAX);
            (ntp, u32::try_from(since.saturating_mul(65_536) / 1_000_000).unwrap_or(u32::MAX))
        });
        let reception = stream.report().map(|reception| (reception, last_report, since));
        Report { ssrc: self.ssrc, cname, sent, reception }.write(now, out);
    }

    /// RFC 3550 6.4.1: now, minus our report, minus the peer's delay. Only an echo of a report that we did send counts.
    fn measure(&mut self, now: Timestamp, last_report: u32, delay: u32) {
        if !self.ours.contains(&Some(last_report)) {
            return;
        }
        let elapsed = rtcp::middle_ntp(now).wrapping_sub(last_report);
        let Some(units) = elapsed.checked_sub(delay) else { return };
        let micros = u64::from(units) * 1_000_000 / 65_536;
        if micros <= ROUND_TRIP_MAX_US {
            self.round_trip_us = (micros as u32).max(1);
        }
    }

    /// Half to one and a half times the mean (RFC 3550 6.3.1), so that legs that began together do not report together.
    fn interval(&mut self) -> Duration {
        self.spread = self.spread.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        INTERVAL / 2 + INTERVAL.mul_f64(f64::from(self.spread >> 8) / f64::from(1 << 24))
    }
}
