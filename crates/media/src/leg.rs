//! The leg: what a conference holds for each participant.

use std::collections::VecDeque;
use std::net::SocketAddr;

use base::{Duration, Timestamp};
use mcu_api::{Codec, Direction, LegFailure, LegMedia, LegStatistics, SrtpKeys};

use crate::handed::{AudioLevel, LegConfig, LegEvent, Port, Pulled};
use crate::jitter::{Arrival, JitterBuffer};
use crate::latch::{self, Claim, Latch};
use crate::reports::{Reports, SentSoFar};
use crate::rtcp;
use crate::rtp::{Header, Outgoing};
use crate::srtp;
use crate::stream::Stream;
use crate::telephone_event::DigitReceiver;

/// Bounds of [`LegConfig::jitter_max`].
const JITTER_MAX: std::ops::RangeInclusive<Duration> = Duration::from_millis(40)..=Duration::from_secs(1);
/// How long nothing may come before the audio counts as one-way; a peer that pauses sends something more often.
const ONE_WAY_AFTER: Duration = Duration::from_secs(5);
/// The longest a peer that reports by RTCP may be quiet: it is missed after five intervals (RFC 3550 6.3.5), which last up
/// to 7.5 s each, or longer at phones with an interval of their own. One that never reported may simply be muted.
const REPORTS_MISSED: Duration = Duration::from_secs(60);
/// A peer that reports this loss, in 1/256, or more hears nothing.
const ALL_LOST: u8 = 250;
/// Events kept until they are polled.
const EVENTS_MAX: usize = 32;
/// Comfort noise (RFC 3389): taken from anybody, agreed on or not.
const COMFORT_NOISE: u8 = 13;

/// One leg's media.
///
/// Feed it packets as they come, pull it once in every 20 ms, write what the conference wants the peer to hear, and
/// after each tick drain [`Leg::poll_rtcp`] and [`Leg::poll_event`].
#[derive(Debug)]
pub struct Leg {
    cname: String,
    silence: Option<Duration>,
    connection: Option<Connection>,
    stream: Stream,
    jitter: JitterBuffer,
    digits: DigitReceiver,
    sender: Sender,
    reports: Reports,
    events: VecDeque<LegEvent>,
    heard_anything: bool,
    /// When media came last, or could be expected again.
    heard: Timestamp,
    /// When media or a report came last, or could be expected again; a phone that is muted may send reports alone.
    alive: Timestamp,
    /// The peer reports by RTCP.
    peer_reports: bool,
    silence_reported: bool,
    /// Nobody would hear the peer if it sent something.
    silent_by_order: bool,
    /// The time of the last pull, and since when both directions should carry audio.
    pulled: Timestamp,
    both_ways_since: Option<Timestamp>,
    counters: Counters,
}

/// What offer and answer brought.
#[derive(Debug)]
struct Connection {
    media: LegMedia,
    latch: Latch,
    srtp: Option<Srtp>,
    /// Where the peer's RTCP comes from.
    rtcp_source: Option<SocketAddr>,
}

struct Srtp {
    keys: SrtpKeys,
    sender: srtp::Sender,
    receiver: srtp::Receiver,
}

/// Our side of the stream.
#[derive(Debug)]
struct Sender {
    ssrc: u32,
    sequence: u16,
    /// RTP time of the next packet.
    timestamp: u32,
    /// When the last packet was written, and its RTP time.
    written: (Timestamp, u32),
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    received_packets: u64,
    received_bytes: u64,
    sent_packets: u64,
    sent_bytes: u64,
    rejected_packets: u64,
}

/// What a packet carries, by its payload type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Audio,
    TelephoneEvent,
    ComfortNoise,
}

impl Leg {
    /// A leg that waits for [`Leg::connect`]; until then every packet is dropped and counted.
    pub fn new(config: LegConfig) -> Self {
        let jitter_max = config.jitter_max.clamp(*JITTER_MAX.start(), *JITTER_MAX.end());
        Self {
            cname: config.cname,
            silence: config.silence,
            connection: None,
            stream: Stream::new(Codec::Pcmu.clock_rate()),
            jitter: JitterBuffer::new(Codec::Pcmu, jitter_max),
            digits: DigitReceiver::default(),
            sender: Sender {
                ssrc: config.ssrc,
                sequence: config.first_sequence & 0x7FFF,
                timestamp: config.first_timestamp,
                written: (Timestamp::ZERO, config.first_timestamp),
            },
            reports: Reports::new(config.ssrc),
            events: VecDeque::new(),
            heard_anything: false,
            heard: Timestamp::ZERO,
            alive: Timestamp::ZERO,
            peer_reports: false,
            silence_reported: false,
            silent_by_order: false,
            pulled: Timestamp::ZERO,
            both_ways_since: None,
            counters: Counters::default(),
        }
    }

    /// Starts media, or changes it after a re-INVITE: address, codec, keys and direction may all be new.
    ///
    /// # Errors
    /// [`LegFailure::BadKeys`] when the SRTP keys do not fit the profile; the leg stays as it was.
    pub fn connect(&mut self, now: Timestamp, media: &LegMedia) -> Result<(), LegFailure> {
        let srtp = self.make_srtp(media.srtp.as_ref())?;
        let codec_before = self.media().map(|media| media.codec);
        let received_before = self.media().is_some_and(|media| media.direction.receives());
        let latch = match self.connection.take() {
            None => {
                self.reports.begin(now);
                Latch::new(now, media.remote_rtp, media.remote_signalling)
            }
            Some(mut connection) => {
                connection.latch.signal(now, media.remote_rtp, media.remote_signalling);
                connection.latch
            }
        };
        self.connection = Some(Connection { media: media.clone(), latch, srtp, rtcp_source: None });
        if codec_before != Some(media.codec) {
            self.stream.set_clock_rate(media.codec.clock_rate());
        }
        if codec_before != Some(media.codec) || !received_before {
            self.jitter.restart(media.codec);
        }
        self.heard = now;
        self.alive = now;
        self.silence_reported = false;
        self.both_ways_since = (media.direction == Direction::SendRecv).then_some(now);
        Ok(())
    }

    /// Whether the peer is muted here: a phone that knows it may stop sending, which is no fault then.
    pub fn set_muted(&mut self, muted: bool) {
        if self.silent_by_order != muted {
            self.silent_by_order = muted;
            self.heard = self.heard.max(self.pulled);
        }
    }

    /// Whether [`Leg::connect`] succeeded at least once.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// What was agreed last.
    pub fn media(&self) -> Option<&LegMedia> {
        self.connection.as_ref().map(|connection| &connection.media)
    }

    /// Names to `fetch` the memory, by address and length in bytes, that the leg points to and that the next packet and
    /// the next pull use: after 20 ms it is in no cache of the processor any more, and can be fetched while something
    /// else goes on.
    pub fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        if let Some(srtp) = self.srtp() {
            srtp.receiver.memory_ahead(fetch);
        }
        self.jitter.memory_ahead(fetch);
    }

    /// The same for the next [`Leg::write_rtp`].
    pub fn memory_ahead_of_write(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        if let Some(srtp) = self.srtp() {
            srtp.sender.memory_ahead(fetch);
        }
    }

    fn srtp(&self) -> Option<&Srtp> {
        self.connection.as_ref()?.srtp.as_ref()
    }

    /// Takes a datagram that arrived on the RTP port; with rtcp-mux it may be RTCP (RFC 5761 4). It is decrypted in
    /// place.
    pub fn handle_rtp(&mut self, now: Timestamp, source: SocketAddr, packet: &mut [u8]) {
        let multiplexed = self.media().is_some_and(|media| media.rtcp_mux);
        if multiplexed && rtcp::is_rtcp(packet) {
            self.handle_rtcp(now, source, packet);
        } else if self.accept_rtp(now, source, packet).is_none() {
            self.counters.rejected_packets += 1;
        }
    }

    /// Takes a datagram that arrived on the RTCP port. It is decrypted in place.
    pub fn handle_rtcp(&mut self, now: Timestamp, source: SocketAddr, packet: &mut [u8]) {
        if self.accept_rtcp(now, source, packet).is_none() {
            self.counters.rejected_packets += 1;
        }
    }

    /// How much faster than it came the peer's audio is to be played in this tick, because of its clock: in parts per
    /// million, 1000 at most, negative for slower, 0 for most peers at most times.
    ///
    /// For whoever decodes it and can do that; `held` is what he decoded and has not played. He then calls [`Leg::pull`], at
    /// the same time, as often as he needs 20 ms for this tick: mostly once, now and then twice or not at all.
    pub fn pace(&mut self, now: Timestamp, held: Duration) -> i32 {
        if self.media().is_some_and(|media| media.direction.receives()) { self.jitter.pace(now, held) } else { 0 }
    }

    /// The next 20 ms. Call it exactly once for each tick of a connected leg, whether the audio is used or not, unless
    /// [`Leg::pace`] is asked in this tick.
    pub fn pull(&mut self, now: Timestamp) -> Pulled<'_> {
        self.pulled = now;
        if !self.media().is_some_and(|media| media.direction.receives()) {
            return Pulled::Silence;
        }
        if !self.silence_reported && self.silence_allowed().is_some_and(|allowed| now.since(self.alive) >= allowed) {
            self.silence_reported = true;
            self.report(LegEvent::SilenceTimeout);
        }
        self.jitter.pull(now)
    }

    /// Where this leg's RTP comes from and goes to, while a socket may be bound to that peer: it is proven, packets come from
    /// there, and what strangers send would be rejected. (An authentic packet from elsewhere would be played all the same;
    /// it can only come when the peer moves, and then 200 ms pass until this answers `None`.) To be asked again all the
    /// time, and after each [`Leg::connect`].
    pub fn settled_peer(&self, now: Timestamp) -> Option<SocketAddr> {
        self.connection.as_ref()?.latch.settled(now)
    }

    /// Writes one RTP packet that carries `payload`, protected when SRTP is agreed.
    ///
    /// `samples` is the length of the payload in RTP clock units (Opus: 960 for 20 ms; G.711: 160); `marker` says that
    /// a talkspurt begins; `level` is written when RFC 6464 was agreed.
    /// Answers where to send `out`, or `None` when this leg does not send (on hold, not connected, no usable address);
    /// the RTP time advances in either case.
    pub fn write_rtp(
        &mut self,
        now: Timestamp,
        payload: &[u8],
        samples: u32,
        marker: bool,
        level: Option<AudioLevel>,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let payload_type = self.media().map_or(0, |media| media.send_payload_type);
        self.write(now, (payload_type, payload), samples, marker, level, out)
    }

    /// Writes a packet of comfort noise (RFC 3389) that stands for `samples` and all that is skipped after it; `None` also
    /// when none was agreed on.
    pub fn write_comfort_noise(
        &mut self,
        now: Timestamp,
        minus_dbov: u8,
        samples: u32,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        let payload_type = self.media().and_then(|media| media.comfort_noise)?;
        let level = AudioLevel { minus_dbov, voice: false };
        self.write(now, (payload_type, &[minus_dbov.min(127)]), samples, false, Some(level), out)
    }

    fn write(
        &mut self,
        now: Timestamp,
        (payload_type, payload): (u8, &[u8]),
        samples: u32,
        marker: bool,
        level: Option<AudioLevel>,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        out.clear();
        let timestamp = self.sender.timestamp;
        self.sender.written = (now, timestamp);
        self.skip(samples);
        let connection = self.connection.as_mut().filter(|connection| connection.media.direction.sends())?;
        let destination = connection.latch.destination()?;
        let extension = connection.media.audio_level_extension.filter(|id| (1..=14).contains(id));
        let outgoing = Outgoing {
            marker,
            payload_type,
            sequence: self.sender.sequence,
            timestamp,
            ssrc: self.sender.ssrc,
            level: extension.zip(level),
        };
        outgoing.write(payload, out);
        self.sender.sequence = self.sender.sequence.wrapping_add(1);
        if let Some(srtp) = &mut connection.srtp
            && !srtp.sender.protect_rtp(out)
        {
            return None;
        }
        self.counters.sent_packets += 1;
        self.counters.sent_bytes += payload.len() as u64;
        Some(destination)
    }

    /// Lets the RTP time pass without a packet: we send nothing for `samples` clock units (DTX).
    pub fn skip(&mut self, samples: u32) {
        self.sender.timestamp = self.sender.timestamp.wrapping_add(samples);
    }

    /// The RTCP report that is due now, if any: about one in 5 s. Call it after each tick until it answers `None`.
    pub fn poll_rtcp(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<(SocketAddr, Port)> {
        out.clear();
        if !self.reports.is_due(now) {
            return None;
        }
        let sent = self.sent_so_far(now)?;
        self.reports.write_due(now, &self.cname, sent, &mut self.stream, out);
        self.address_rtcp(out)
    }

    /// The last RTCP packet of this leg, with a BYE; for the moment of its removal.
    pub fn write_bye(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<(SocketAddr, Port)> {
        out.clear();
        let sent = self.sent_so_far(now)?;
        self.reports.write(now, &self.cname, sent, &mut self.stream, out);
        rtcp::write_bye(self.sender.ssrc, out);
        self.address_rtcp(out)
    }

    /// The next thing that happened. At most 32 are kept; when full, the newest is dropped.
    pub fn poll_event(&mut self) -> Option<LegEvent> {
        self.events.pop_front()
    }

    /// What was counted since the leg was made.
    pub fn statistics(&self) -> LegStatistics {
        let jitter = self.jitter.counters();
        let e_model = self.media().and_then(|media| jitter.reception.e_model(media.codec));
        LegStatistics {
            received_packets: self.counters.received_packets,
            received_bytes: self.counters.received_bytes,
            sent_packets: self.counters.sent_packets,
            sent_bytes: self.counters.sent_bytes,
            lost_packets: self.stream.lost(),
            late_packets: jitter.late_packets,
            concealed_frames: jitter.reception.concealed,
            rejected_packets: self.counters.rejected_packets,
            jitter_us: self.stream.jitter_us(),
            buffer_delay_us: saturated(jitter.delay_us),
            buffer_delay_max_us: saturated(self.jitter.bound_us()),
            round_trip_us: self.reports.round_trip_us(),
            mos_hundredths: e_model.map_or(0, |model| model.mos_hundredths()),
            e_model: e_model.unwrap_or_default(),
            remote_loss_fraction: self.reports.remote_loss(),
            one_way: self.is_one_way(),
        }
    }

    /// Whether the peer loses so much of what we send that in-band error correction is worth its bits.
    pub fn peer_loses(&self, now: Timestamp) -> bool {
        self.reports.peer_loses(now)
    }

    /// How long the peer may send nothing at all.
    fn silence_allowed(&self) -> Option<Duration> {
        let reported = |silence: Duration| if self.peer_reports { silence.min(REPORTS_MISSED) } else { silence };
        self.silence.map(reported)
    }

    /// Both directions should carry audio, and one does not: nothing comes though we send and the peer did
    /// not mean to be quiet, or the peer reports that it gets nothing of ours.
    fn is_one_way(&self) -> bool {
        let Some(since) = self.both_ways_since else { return false };
        let long = |from: Timestamp| self.pulled.since(from) >= ONE_WAY_AFTER;
        if !long(since) || self.counters.sent_packets == 0 {
            return false;
        }
        // A phone that is muted may say so by reports of one who sends nothing.
        let quiet_on_purpose = self.silent_by_order || self.reports.peer_is_silent(self.pulled);
        (long(self.heard) && !quiet_on_purpose) || self.reports.remote_loss() >= ALL_LOST
    }

    /// Keys that did not change keep their state: a sender that began anew would use its key stream twice, and a
    /// receiver that began anew could be fed old packets.
    fn make_srtp(&mut self, keys: Option<&SrtpKeys>) -> Result<Option<Srtp>, LegFailure> {
        let Some(keys) = keys else { return Ok(None) };
        let (sender, receiver) = (srtp::Sender::new(keys)?, srtp::Receiver::new(keys)?);
        let mut fresh = Srtp { keys: keys.clone(), sender, receiver };
        let before = self.connection.as_mut().and_then(|connection| connection.srtp.take());
        if let Some(before) = before.filter(|before| before.keys.profile == keys.profile) {
            if before.keys.local == keys.local {
                fresh.sender = before.sender;
            }
            if before.keys.remote == keys.remote {
                fresh.receiver = before.receiver;
            }
        }
        Ok(Some(fresh))
    }

    /// Checks a packet from the cheapest to the dearest test; `None` when it is not used.
    fn accept_rtp(&mut self, now: Timestamp, source: SocketAddr, packet: &mut [u8]) -> Option<()> {
        let connection = self.connection.as_mut()?;
        let header = Header::read(packet)?;
        let content = Content::of(&connection.media, header.payload_type)?;
        let length = match &mut connection.srtp {
            Some(srtp) => srtp.receiver.unprotect_rtp(packet, &header)?,
            None => packet.len(),
        };
        let packet = packet.get(..length)?;
        let payload = header.payload(packet)?;
        let claim = Claim {
            source,
            ssrc: header.ssrc,
            sequence: header.sequence,
            authentic: connection.srtp.is_some(),
            expected: self.stream.expected(),
        };
        if !connection.latch.judge(now, claim) {
            return None;
        }
        let level = connection.media.audio_level_extension.and_then(|id| header.audio_level(packet, id));
        let receives = connection.media.direction.receives();
        let place = self.stream.place(now, &header, content != Content::TelephoneEvent)?;
        self.note_arrival(now, payload.len());
        if place.restarted {
            self.jitter.restart(self.media()?.codec);
            self.digits.restart();
        }
        if receives {
            let arrival = Arrival { at: now, sequence: place.sequence, timestamp: place.timestamp, payload, level };
            self.file(content, &header, &arrival);
        }
        Some(())
    }

    fn file(&mut self, content: Content, header: &Header, arrival: &Arrival<'_>) {
        if content == Content::Audio {
            self.jitter.insert(arrival);
            return;
        }
        // RFC 3389 3: the first byte is the level. The shape of the spectrum that may follow is not used.
        let minus_dbov = arrival.payload.first().map(|level| level & 0x7F);
        let level = minus_dbov.filter(|_| content == Content::ComfortNoise);
        let level = level.map(|minus_dbov| AudioLevel { minus_dbov, voice: false });
        self.jitter.insert_pause(&Arrival { level, ..*arrival });
        if content == Content::TelephoneEvent
            && let Some(digit) = self.digits.receive(arrival.at, header.timestamp, header.marker, arrival.payload)
        {
            self.report(LegEvent::Digit(digit));
        }
    }

    fn note_arrival(&mut self, now: Timestamp, bytes: usize) {
        self.counters.received_packets += 1;
        self.counters.received_bytes += bytes as u64;
        self.heard = now;
        self.alive = now;
        self.silence_reported = false;
        if !self.heard_anything {
            self.heard_anything = true;
            self.report(LegEvent::MediaStarted);
        }
    }

    /// RTCP is advice: it must come from the host we exchange media with, and changes nothing but figures; it does show
    /// that the peer is there.
    fn accept_rtcp(&mut self, now: Timestamp, source: SocketAddr, packet: &mut [u8]) -> Option<()> {
        let connection = self.connection.as_mut()?;
        let length = match &mut connection.srtp {
            Some(srtp) => srtp.receiver.unprotect_rtcp(packet)?,
            None => packet.len(),
        };
        let from_peer = connection.latch.is_peer(source.ip());
        if !from_peer && connection.srtp.is_none() {
            return None;
        }
        let is_report = self.reports.receive(now, packet.get(..length)?, &self.stream)?;
        if from_peer {
            connection.rtcp_source = Some(source);
        }
        if is_report {
            self.alive = now;
            self.peer_reports = true;
            self.silence_reported = false;
        }
        Some(())
    }

    fn sent_so_far(&self, now: Timestamp) -> Option<SentSoFar> {
        let clock_rate = u128::from(self.media()?.codec.clock_rate());
        let (written, timestamp) = self.sender.written;
        let since = now.since(written).as_micros() * clock_rate / 1_000_000;
        let Counters { sent_packets: packets, sent_bytes: bytes, .. } = self.counters;
        Some(SentSoFar { rtp_time: timestamp.wrapping_add(since as u32), packets, bytes })
    }

    fn address_rtcp(&mut self, out: &mut Vec<u8>) -> Option<(SocketAddr, Port)> {
        let connection = self.connection.as_mut()?;
        let address = connection.rtcp_address();
        let protected = match &mut connection.srtp {
            Some(srtp) => srtp.sender.protect_rtcp(out),
            None => true,
        };
        if protected && address.is_some() {
            return address;
        }
        out.clear();
        None
    }

    fn report(&mut self, event: LegEvent) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        }
    }
}

impl Connection {
    /// Where our RTCP goes. Behind a NAT the address in SDP is of no use, and the source of the peer's RTCP is; where SRTCP
    /// proves that, it is the better one in any case.
    fn rtcp_address(&self) -> Option<(SocketAddr, Port)> {
        let proven = self.rtcp_source.filter(|_| self.srtp.is_some());
        let (address, port) = if self.media.rtcp_mux {
            (self.latch.destination()?, Port::Rtp)
        } else if let Some(source) = proven {
            (source, Port::Rtcp)
        } else if self.latch.is_at_signalled_host() {
            (self.media.remote_rtcp, Port::Rtcp)
        } else {
            (self.rtcp_source?, Port::Rtcp)
        };
        latch::is_sendable(address).then_some((address, port))
    }
}

impl Content {
    fn of(media: &LegMedia, payload_type: u8) -> Option<Self> {
        match payload_type {
            audio if audio == media.receive_payload_type => Some(Self::Audio),
            event if Some(event) == media.telephone_event => Some(Self::TelephoneEvent),
            noise if noise == COMFORT_NOISE || Some(noise) == media.comfort_noise => Some(Self::ComfortNoise),
            _ => None,
        }
    }
}

fn saturated(micros: i64) -> u32 {
    u32::try_from(micros).unwrap_or(u32::MAX)
}

impl std::fmt::Debug for Srtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.keys.fmt(f)
    }
}
