//! The contract between the control side and the media side: plain serialisable commands and events.
//!
//! In one process they are two ends of a ring; on two nodes they are the same messages over the cluster bus. Nothing
//! else crosses (ARCHITECTURE.md, "The picture"). Commands of a conference are applied in order, as they
//! come, between two ticks; what one changes is heard from the next tick on.
//!
//! Must not know: either side's insides, sockets, SIP.
//! Start reading at [`McuCommand`] and [`McuEvent`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod announcement;
mod quality;

use std::net::{IpAddr, SocketAddr};

use base::{ConferenceId, LegId};
use serde::{Deserialize, Serialize};

pub use announcement::{Announcement, Background, Phrase, RecordingFormat, Spoken};
pub use quality::{EModel, LegStatistics};

/// An audio codec this server mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// Opus (RFC 6716, RFC 7587); RTP clock 48 kHz.
    Opus,
    /// G.711 mu-law; static payload type 0, 8 kHz.
    Pcmu,
    /// G.711 A-law; static payload type 8, 8 kHz.
    Pcma,
}

impl Codec {
    /// RTP clock rate in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma => 8_000,
        }
    }
}

/// Which way audio flows, as seen by the MCU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The MCU only sends (the peer listens).
    SendOnly,
    /// The MCU only receives.
    RecvOnly,
    /// Neither: the peer is on hold.
    Inactive,
}

impl Direction {
    /// Whether the MCU sends.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the MCU receives.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

/// Whether audio passes: `block` and `unblock` of c3p.md 2.8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MediaFilter {
    /// Audio passes.
    Unblock,
    /// Audio is stopped.
    Block,
}

/// The gains of [`McuCommand::SetGain`], in decibels.
pub const GAIN_DB: std::ops::RangeInclusive<i8> = -20..=12;

/// An SRTP protection profile of SDES (RFC 4568 6.2, RFC 7714 14.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SrtpProfile {
    /// AES_CM_128_HMAC_SHA1_80: 16 bytes key, 14 bytes salt.
    AesCm128HmacSha1_80,
    /// AES_CM_128_HMAC_SHA1_32: 16 bytes key, 14 bytes salt.
    AesCm128HmacSha1_32,
    /// AEAD_AES_128_GCM: 16 bytes key, 12 bytes salt.
    AeadAes128Gcm,
}

impl SrtpProfile {
    /// Length of master key and salt together, in bytes.
    pub const fn key_length(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 30,
            Self::AeadAes128Gcm => 28,
        }
    }
}

/// SRTP keys of both directions. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SrtpKeys {
    /// The profile, the same both ways.
    pub profile: SrtpProfile,
    /// Master key and salt we send with.
    pub local: Vec<u8>,
    /// Master key and salt the peer sends with.
    pub remote: Vec<u8>,
    /// The master key identifier in each packet of the peer, 1 to 128 bytes (RFC 3711 3.1). Empty: his packets have none,
    /// as ours never have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remote_mki: Vec<u8>,
}

impl std::fmt::Debug for SrtpKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SrtpKeys({:?}, ..)", self.profile)
    }
}

/// What offer and answer agreed on for one leg.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegMedia {
    /// Where the peer said it receives RTP. Packets are sent there until the peer's real source is learned (symmetric
    /// RTP under the latching rule, reliability.md A8).
    pub remote_rtp: SocketAddr,
    /// Where the peer said it receives RTCP.
    pub remote_rtcp: SocketAddr,
    /// The host its signalling comes from, where that may be the phone itself or its NAT.
    pub remote_signalling: Option<IpAddr>,
    /// RTP and RTCP share the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// The codec both ways.
    pub codec: Codec,
    /// Payload type of the packets we send.
    pub send_payload_type: u8,
    /// Payload type of the packets the peer sends.
    pub receive_payload_type: u8,
    /// Payload type of telephone-events (RFC 4733), both ways.
    pub telephone_event: Option<u8>,
    /// Packet length towards the peer in milliseconds: 20, 40 or 60.
    pub packet_time_ms: u8,
    /// The peer asked for Opus in-band FEC (`useinbandfec=1`).
    pub opus_fec: bool,
    /// The peer asked for discontinuous transmission (`usedtx=1`): nothing need be sent to it while nothing is heard.
    pub opus_dtx: bool,
    /// The most the peer takes of Opus.
    pub opus_limits: OpusLimits,
    /// Payload type of comfort noise (RFC 3389), beside G.711 only: while nothing is heard it is told so in place of
    /// packets of silence.
    pub comfort_noise: Option<u8>,
    /// Header extension id of the audio level (RFC 6464), 1 to 14.
    pub audio_level_extension: Option<u8>,
    /// Which way audio flows.
    pub direction: Direction,
    /// SRTP keys, when both agreed on SRTP.
    pub srtp: Option<SrtpKeys>,
}

/// The most a receiver of Opus takes (RFC 7587 6.1), in few steps, so that many can share what is encoded for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpusLimits {
    /// Bits per second on average (`maxaveragebitrate`), one of [`OpusLimits::BITRATES`]; `None`: as many as we like.
    pub bitrate: Option<u32>,
    /// Samples per second that it plays (`maxplaybackrate`), one of [`OpusLimits::PLAYBACK_RATES`]; `None`: 48,000.
    pub playback_rate: Option<u32>,
}

impl OpusLimits {
    /// Steps of the bit rate.
    pub const BITRATES: [u32; 6] = [6_000, 8_000, 12_000, 16_000, 24_000, 32_000];
    /// Sampling rates of the bandwidths of Opus below the full one, but for the medium one, which its low-delay mode has not.
    pub const PLAYBACK_RATES: [u32; 3] = [8_000, 16_000, 24_000];
    /// From so many bits per second on there is no need to keep to a limit.
    const AMPLE_BITRATE: u32 = 64_000;

    /// The steps that keep to what a peer said; the lowest where it asks for less than there is.
    pub fn of(bitrate: Option<u32>, playback_rate: Option<u32>) -> Self {
        let step = |steps: &[u32], most: u32| steps.iter().copied().rfind(|step| *step <= most).unwrap_or(steps[0]);
        Self {
            bitrate: bitrate.filter(|most| *most < Self::AMPLE_BITRATE).map(|most| step(&Self::BITRATES, most)),
            playback_rate: playback_rate.filter(|most| *most < 48_000).map(|most| step(&Self::PLAYBACK_RATES, most)),
        }
    }
}

/// What a conference's data plane does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceMedia {
    /// What somebody who is alone hears.
    pub alone: AloneAudio,
    /// Play a tone when somebody enters or leaves.
    pub entry_exit_tones: bool,
    /// Milliseconds without RTP and RTCP on a receiving leg before [`McuEvent::MediaTimeout`], 60,000 at most on one that has
    /// had RTCP; 0 = never.
    pub media_silence_ms: u32,
    /// Bound of each leg's jitter buffer in milliseconds.
    pub jitter_delay_max_ms: u16,
}

/// What somebody who is alone in a conference hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AloneAudio {
    /// Music made by the MCU.
    Music,
    /// Nothing.
    Silence,
}

/// A sound made by the MCU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Prompt {
    /// Somebody entered.
    Entry,
    /// Somebody left.
    Exit,
    /// A digit or PIN is wanted.
    EnterPin,
    /// What was entered was wrong.
    WrongPin,
    /// The person was muted.
    Muted,
    /// The person was unmuted.
    Unmuted,
    /// The conference will end soon.
    Ending,
}

/// What the control side wants of the media side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum McuCommand {
    /// Make the data plane of a conference. A second one for the same id changes its settings.
    CreateConference {
        /// The conference.
        conference: ConferenceId,
        /// Its settings.
        media: ConferenceMedia,
    },
    /// End it and every leg in it. Answered by one [`McuEvent::LegRemoved`] for each leg.
    EndConference {
        /// The conference.
        conference: ConferenceId,
    },
    /// Lease ports for a leg. Answered by [`McuEvent::LegReserved`] or [`McuEvent::LegFailed`].
    ReserveLeg {
        /// The conference it will belong to; it must exist.
        conference: ConferenceId,
        /// The leg; a new number.
        leg: LegId,
    },
    /// Start media on a reserved leg, or change it after a re-INVITE.
    ConnectLeg {
        /// The leg.
        leg: LegId,
        /// What was agreed.
        media: LegMedia,
    },
    /// Whether a connected leg takes part in the mix (false: it hears prompts and music only, and nobody hears it).
    /// A leg takes part from its first [`McuCommand::ConnectLeg`] unless this said otherwise before.
    SetInMix {
        /// The leg.
        leg: LegId,
        /// Whether it takes part.
        in_mix: bool,
    },
    /// Set the media filters of a leg (mute is ingress `Block`).
    SetFilters {
        /// The leg.
        leg: LegId,
        /// From the participant into the mix.
        ingress: MediaFilter,
        /// From the mix to the participant.
        egress: MediaFilter,
    },
    /// Make a leg louder or quieter, in decibels; held within [`GAIN_DB`]. 0 is as it comes.
    SetGain {
        /// The leg.
        leg: LegId,
        /// From the participant into the mix: how loud the others hear him.
        ingress_db: i8,
        /// From the mix to the participant: how loud he hears everything.
        egress_db: i8,
    },
    /// Play a prompt to one leg.
    PlayPrompt {
        /// The leg.
        leg: LegId,
        /// What to play.
        prompt: Prompt,
    },
    /// Say something to one leg, in place of what is being said to it. Answered by [`McuEvent::AnnouncementEnded`].
    Announce {
        /// The leg.
        leg: LegId,
        /// What to say.
        announcement: Announcement,
    },
    /// Say something to everybody who takes part. Where something is being said to all already, nothing is: where many
    /// come and go at once, nobody wants to hear of each.
    AnnounceToAll {
        /// The conference.
        conference: ConferenceId,
        /// What to say.
        announcement: Announcement,
        /// Who does not hear it: the one it tells of.
        except: Option<LegId>,
    },
    /// Stop what is being said to a leg.
    StopAnnouncement {
        /// The leg.
        leg: LegId,
    },
    /// Set what a leg hears while it hears no mix: it is alone, or not in the mix.
    SetBackground {
        /// The leg.
        leg: LegId,
        /// What it hears.
        background: Background,
    },
    /// Set who hears a leg: everybody in the mix, or one leg alone (a supervisor whispers to an agent).
    SetAudience {
        /// The leg that speaks.
        leg: LegId,
        /// The only leg that hears it; `None` = everybody.
        only: Option<LegId>,
    },
    /// Record what everybody together says. Answered by [`McuEvent::RecordingEnded`], once, when it is over.
    StartRecording {
        /// The conference. One recording at a time; a second one ends the first.
        conference: ConferenceId,
        /// Name of the file inside the configured folder, without extension.
        name: String,
        /// Its form.
        format: RecordingFormat,
    },
    /// End the recording of a conference. The end of the conference does the same.
    StopRecording {
        /// The conference.
        conference: ConferenceId,
    },
    /// End a leg's media and give its ports back (after the drain time). Answered by [`McuEvent::LegRemoved`].
    RemoveLeg {
        /// The leg.
        leg: LegId,
    },
}

/// Why a leg could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LegFailure {
    /// No port is free.
    NoPort,
    /// No such conference.
    NoConference,
    /// The worker is overloaded.
    Overload,
    /// The SRTP keys do not fit the profile.
    BadKeys,
    /// A defect of the media side ended the conference.
    Internal,
}

/// What the media side tells the control side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum McuEvent {
    /// Ports are leased; these go into the SDP.
    LegReserved {
        /// The leg.
        leg: LegId,
        /// Where we receive RTP.
        rtp: SocketAddr,
        /// Where we receive RTCP.
        rtcp: SocketAddr,
    },
    /// The leg could not be made, or fell with its conference. It is gone.
    LegFailed {
        /// The leg.
        leg: LegId,
        /// Why.
        failure: LegFailure,
    },
    /// The first RTP packet of the peer arrived.
    MediaStarted {
        /// The leg.
        leg: LegId,
    },
    /// A telephone-event digit was pressed: `0`-`9`, `*`, `#`, `A`-`D`. Once for each press.
    Digit {
        /// The leg.
        leg: LegId,
        /// The digit.
        digit: char,
    },
    /// Who speaks changed. Loudest first.
    ActiveSpeakers {
        /// The conference.
        conference: ConferenceId,
        /// The legs that speak.
        speakers: Vec<LegId>,
    },
    /// Nothing arrived on a receiving leg for the configured time.
    MediaTimeout {
        /// The leg.
        leg: LegId,
    },
    /// What was said to a leg is over. Once for each [`McuCommand::Announce`] unless the leg went first.
    AnnouncementEnded {
        /// The leg.
        leg: LegId,
        /// It was said to its end; false when it was stopped, replaced or could not be played.
        completed: bool,
    },
    /// How a connected leg fares; every few seconds.
    LegQuality {
        /// The leg.
        leg: LegId,
        /// Figures since it was reserved.
        statistics: LegStatistics,
    },
    /// A recording is over and its file complete.
    RecordingEnded {
        /// The conference.
        conference: ConferenceId,
        /// Name of the file inside the configured folder, with extension.
        file: String,
        /// Its length in milliseconds.
        length_ms: u64,
        /// What went wrong, if something did; the file holds what was recorded until then.
        error: Option<String>,
    },
    /// A leg is gone, with its final figures. Exactly once for each reserved leg that did not fail.
    LegRemoved {
        /// The leg.
        leg: LegId,
        /// Final figures.
        statistics: LegStatistics,
    },
    /// The data plane of a conference ended by a defect; its legs are gone.
    ConferenceFailed {
        /// The conference.
        conference: ConferenceId,
        /// Its legs.
        legs: Vec<LegId>,
    },
}
