//! What a leg is given and what it hands out.

use base::Duration;

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
    /// How long the peer may send neither RTP nor RTCP before [`LegEvent::SilenceTimeout`] is reported, 60 s at most once it
    /// has sent RTCP; `None` = for ever.
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
    /// How many ticks the payload lasts: 1 to 6. The next `units - 1` pulls answer [`Pulled::Continued`]. With lengths
    /// that are no multiple of 20 ms this alternates (30 ms: 1, 2, 1, 2 ...), so decode into a queue and take 20 ms from
    /// it in each tick; when it runs short, fill with concealment.
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
    /// The peer sends nothing on purpose (DTX, hold), has not begun, or is away for so long that concealing makes no sense.
    Silence,
    /// The same, and the peer said how loud the background is that it does not send (RFC 3389).
    Noise {
        /// Level below the overload point in dB, 0 to 127.
        minus_dbov: u8,
    },
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
