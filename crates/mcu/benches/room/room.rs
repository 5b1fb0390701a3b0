//! A conference under the load of packets that were recorded before.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::{ConferenceId, Duration, LegId, Timestamp};
use codecs::Codecs;
use mcu::{Conference, LegIdentity, PacketSink, Port};
use mcu_api::{AloneAudio, Codec, ConferenceMedia, Direction, LegMedia};
use mixer::{CodecFactory, EncoderSettings, Level, PACKET_BYTES_MAX, Sounds};

use crate::sound;

/// Packets of one recording, which is played round and round.
const RECORDED: usize = 200;
/// Recordings of each kind; the legs share them.
const RECORDINGS: usize = 3;
const LEVEL_EXTENSION: u8 = 1;

/// What the packets of a room are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Opus in low-delay mode, with the level of RFC 6464.
    LowDelayWithLevel,
    /// Opus in low-delay mode (CELT).
    LowDelay,
    /// Opus in speech mode (SILK and hybrid).
    Speech,
    /// G.711.
    Pcmu,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::LowDelayWithLevel, Self::LowDelay, Self::Speech, Self::Pcmu];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LowDelayWithLevel => "low-delay-with-level",
            Self::LowDelay => "low-delay",
            Self::Speech => "speech",
            Self::Pcmu => "pcmu",
        }
    }

    const fn codec(self) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            _ => Codec::Opus,
        }
    }
}

/// Payloads with their levels.
type Recording = Vec<(Vec<u8>, u8)>;

pub(crate) struct Room {
    kind: Kind,
    conference: Conference,
    now: Timestamp,
    tick: usize,
    talkers: usize,
    voices: Vec<Recording>,
    noises: Vec<Recording>,
    media: Vec<LegMedia>,
    packet: Vec<u8>,
}

struct Nowhere;

impl PacketSink for Nowhere {
    fn send(&mut self, _: LegId, _: Port, _: SocketAddr, packet: &[u8]) {
        std::hint::black_box(packet);
    }
}

impl Room {
    pub(crate) fn new(legs: usize, talkers: usize, kind: Kind) -> Self {
        let settings = ConferenceMedia {
            alone: AloneAudio::Silence,
            entry_exit_tones: false,
            media_silence_ms: 30_000,
            jitter_delay_max_ms: 120,
        };
        let id = ConferenceId::parse("K3V9PX2Q").expect("valid");
        let mut conference = Conference::new(id, settings, Arc::new(Codecs), Arc::new(Sounds::new()));
        let now = Timestamp::from_millis(1_000);
        let media: Vec<_> = (0..legs).map(|leg| media(leg, kind)).collect();
        for (leg, media) in (0..).zip(&media) {
            let identity =
                LegIdentity { ssrc: leg as u32, first_sequence: 7, first_timestamp: 9, cname: "convoke".to_owned() };
            conference.add_leg(LegId(leg), identity);
            conference.connect(now, LegId(leg), media).expect("no keys");
        }
        let recordings = |make: &dyn Fn(usize, usize) -> mixer::Frame| {
            (0..RECORDINGS).map(|which| record(kind, |number| make(number, which))).collect()
        };
        Self {
            kind,
            conference,
            now,
            tick: 0,
            talkers,
            voices: recordings(&|number, which| sound::voice(number, 110.0 + 40.0 * which as f64)),
            noises: recordings(&|number, which| sound::noise(number, which as u64 + 1)),
            media,
            packet: Vec::new(),
        }
    }

    /// Everybody sends a packet, then the conference ticks.
    pub(crate) fn tick(&mut self) {
        for leg in 0..self.media.len() {
            self.write_packet(leg);
            let source = self.media[leg].remote_rtp;
            self.conference.handle_packet(self.now, LegId(leg as u64), Port::Rtp, source, &mut self.packet);
        }
        self.now = self.now + Duration::from_millis(10);
        self.conference.tick(self.now, &mut Nowhere);
        while self.conference.poll_event().is_some() {}
        self.now = self.now + Duration::from_millis(10);
        self.tick += 1;
    }

    fn write_packet(&mut self, leg: usize) {
        let recordings = if leg < self.talkers { &self.voices } else { &self.noises };
        let (payload, level) = &recordings[leg % RECORDINGS][(self.tick + leg * 7) % RECORDED];
        let with_level = self.kind == Kind::LowDelayWithLevel;
        let units = self.kind.codec().clock_rate() / 50;
        self.packet.clear();
        self.packet.extend([if with_level { 0x90 } else { 0x80 }, self.media[leg].receive_payload_type]);
        self.packet.extend((self.tick as u16).to_be_bytes());
        self.packet.extend((self.tick as u32).wrapping_mul(units).to_be_bytes());
        self.packet.extend((leg as u32 + 0x1000).to_be_bytes());
        if with_level {
            self.packet.extend([0xBE, 0xDE, 0, 1, LEVEL_EXTENSION << 4, *level, 0, 0]);
        }
        self.packet.extend(payload);
    }
}

fn media(leg: usize, kind: Kind) -> LegMedia {
    let address = |port: usize| SocketAddr::from((Ipv4Addr::LOCALHOST, (10_000 + 2 * leg + port) as u16));
    let payload_type = if kind.codec() == Codec::Opus { 111 } else { 0 };
    LegMedia {
        remote_rtp: address(0),
        remote_rtcp: address(1),
        rtcp_mux: false,
        codec: kind.codec(),
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        telephone_event: Some(101),
        packet_time_ms: 20,
        opus_fec: false,
        opus_dtx: false,
        comfort_noise: None,
        audio_level_extension: (kind == Kind::LowDelayWithLevel).then_some(LEVEL_EXTENSION),
        direction: Direction::SendRecv,
        srtp: None,
    }
}

fn record(kind: Kind, make: impl Fn(usize) -> mixer::Frame) -> Recording {
    // Error correction is what makes the speech mode.
    let settings = EncoderSettings::for_mix(kind.codec(), kind == Kind::Speech);
    let mut encoder = Codecs.encoder(settings).expect("encoder");
    (0..RECORDED)
        .map(|number| {
            let frame = make(number);
            let mut payload = [0; PACKET_BYTES_MAX];
            let length = encoder.encode(&frame, &mut payload).expect("one frame");
            (payload[..length].to_vec(), Level::measure(&frame).dbov())
        })
        .collect()
}
