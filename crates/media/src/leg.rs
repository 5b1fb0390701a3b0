//! The leg: what a conference holds for each participant.

use std::net::SocketAddr;

use base::{Duration, Timestamp};
use mcu_api::{LegFailure, LegMedia, LegStatistics};

/// What a leg is made of. The random values are drawn by the caller.
#[derive(Clone, Debug)]
pub struct LegConfig {
    /// The SSRC we send with; random (RFC 3550 8.1).
    pub ssrc: u32,
    /// Sequence number of our first packet; random, its highest bit is cleared (RFC 3711 3.3.1 asks for that).
    pub first_sequence: u16,
    /// RTP timestamp of our first packet; random.
    pub first_timestamp: u32,
    /// Bound of the delay the jitter buffer adds; held between 40 ms and 1 s.
    pub jitter_max: Duration,
    /// Media silence after which [`LegEvent::SilenceTimeout`] is reported; `None` = never.
    pub silence: Option<Duration>,
    /// Canonical name in our RTCP (RFC 3550 6.5.1); at most 255 bytes are sent. It should say nothing about the person.
    pub cname: String,
}

/// The client-to-mixer audio level of one packet (RFC 6464).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// Level below the overload point in dB: 0 (loudest) to 127 (silence).
    pub minus_dbov: u8,
    /// The sender believes that this is speech.
    pub voice: bool,
}

/// One piece of received audio, not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// The codec's payload. G.711: exactly 20 ms (160 bytes), cut or joined from the peer's packets. Opus: one whole
    /// packet of `units` times 20 ms (shorter packets of one configuration are joined to 20 ms).
    pub payload: &'a [u8],
    /// How many ticks the payload lasts: 1 to 6. The next `units - 1` pulls answer [`Pulled::Continued`].
    pub units: u8,
    /// Level of the (loudest) packet, when the peer sends it.
    pub level: Option<AudioLevel>,
}

/// What one 20 ms tick gets from a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled<'a> {
    /// Audio: decode it and play the first 20 ms.
    Frame(Frame<'a>),
    /// The next 20 ms of the Opus packet that was handed out last.
    Continued,
    /// A unit is missing: conceal it. `next` is the payload that follows it directly, when that is already here, so
    /// that its in-band FEC can be used; it will be handed out by the next pull too.
    Lost {
        /// The payload after the missing one.
        next: Option<&'a [u8]>,
    },
    /// The peer sends nothing on purpose (DTX, comfort noise, hold), has not begun, or is away for so long that
    /// concealing makes no sense.
    Silence,
}

/// What a leg tells its conference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The first RTP packet of the peer was accepted. Once for each leg.
    MediaStarted,
    /// A digit was pressed: `0`-`9`, `*`, `#`, `A`-`D`. Once for each press.
    Digit(char),
    /// Nothing was accepted for [`LegConfig::silence`] though the peer should send. Once for each silence.
    SilenceTimeout,
}

/// Which of a leg's two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// The even port: RTP, and RTCP too when multiplexed.
    Rtp,
    /// The odd port: RTCP.
    Rtcp,
}

/// One leg's media.
///
/// Feed it packets as they come, pull it once in every 20 ms, write what the conference wants the peer to hear, and
/// after each tick drain [`Leg::poll_rtcp`] and [`Leg::poll_event`].
#[derive(Debug)]
pub struct Leg {
    media: Option<LegMedia>,
    statistics: LegStatistics,
}

impl Leg {
    /// A leg that waits for [`Leg::connect`]; until then every packet is dropped and counted.
    pub fn new(_config: LegConfig) -> Self {
        Self { media: None, statistics: LegStatistics::default() }
    }

    /// Starts media, or changes it after a re-INVITE: address, codec, keys and direction may all be new.
    ///
    /// # Errors
    /// [`LegFailure::BadKeys`] when the SRTP keys do not fit the profile; the leg stays as it was.
    pub fn connect(&mut self, _now: Timestamp, media: &LegMedia) -> Result<(), LegFailure> {
        self.media = Some(media.clone());
        Ok(())
    }

    /// Whether [`Leg::connect`] succeeded at least once.
    pub fn is_connected(&self) -> bool {
        self.media.is_some()
    }

    /// What was agreed last.
    pub fn media(&self) -> Option<&LegMedia> {
        self.media.as_ref()
    }

    /// Takes a datagram that arrived on the RTP port; with rtcp-mux it may be RTCP (RFC 5761 4). It is decrypted in
    /// place.
    pub fn handle_rtp(&mut self, _now: Timestamp, _source: SocketAddr, _packet: &mut [u8]) {}

    /// Takes a datagram that arrived on the RTCP port. It is decrypted in place.
    pub fn handle_rtcp(&mut self, _now: Timestamp, _source: SocketAddr, _packet: &mut [u8]) {}

    /// The next 20 ms. Call it exactly once for each tick of a connected leg, whether the audio is used or not.
    pub fn pull(&mut self, _now: Timestamp) -> Pulled<'_> {
        Pulled::Silence
    }

    /// Writes one RTP packet that carries `payload`, protected when SRTP is agreed.
    ///
    /// `samples` is the length of the payload in RTP clock units (Opus: 960 for 20 ms; G.711: 160); `marker` says that
    /// a talkspurt begins; `level` is written when RFC 6464 was agreed.
    /// Answers where to send `out`, or `None` when this leg does not send (on hold, not connected, no usable address);
    /// the RTP time advances in either case.
    pub fn write_rtp(
        &mut self,
        _now: Timestamp,
        _payload: &[u8],
        _samples: u32,
        _marker: bool,
        _level: Option<AudioLevel>,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        out.clear();
        None
    }

    /// Lets the RTP time pass without a packet: we send nothing for `samples` clock units (DTX).
    pub fn skip(&mut self, _samples: u32) {}

    /// The RTCP report that is due now, if any: about one in 5 s. Call it after each tick until it answers `None`.
    pub fn poll_rtcp(&mut self, _now: Timestamp, out: &mut Vec<u8>) -> Option<(SocketAddr, Port)> {
        out.clear();
        None
    }

    /// The last RTCP packet of this leg, with a BYE; for the moment of its removal.
    pub fn write_bye(&mut self, _now: Timestamp, out: &mut Vec<u8>) -> Option<(SocketAddr, Port)> {
        out.clear();
        None
    }

    /// The next thing that happened. At most 32 are kept; when full, the newest is dropped.
    pub fn poll_event(&mut self) -> Option<LegEvent> {
        None
    }

    /// What was counted since the leg was made.
    pub fn statistics(&self) -> LegStatistics {
        self.statistics
    }
}
