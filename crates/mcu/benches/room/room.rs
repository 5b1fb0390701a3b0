//! A conference under the load of packets that were recorded before.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base::{ConferenceId, Duration, LegId, Timestamp};
use codecs::Codecs;
use mcu::{Conference, LegIdentity, PacketSink, Port};
use mcu_api::{AloneAudio, Codec, ConferenceMedia, Direction, LegMedia, OpusLimits, Prompt, SrtpKeys, SrtpProfile};
use media::{AudioLevel, LegConfig};
use mixer::{CodecFactory, EncoderSettings, Level, PACKET_BYTES_MAX, Sounds};

use crate::{heap, sound};

/// Packets of one recording, which is played round and round.
const RECORDED: usize = 200;
/// Recordings of each kind; the legs share them.
const RECORDINGS: usize = 3;
const LEVEL_EXTENSION: u8 = 1;
/// What one key adds.
const LOUDER_DB: i8 = 3;
/// The length of the prompt.
const PROMPT_TICKS: usize = 36;

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
    /// As the first, protected with AES-CM and HMAC-SHA1.
    SrtpCm,
    /// As the first, protected with AES-GCM.
    SrtpGcm,
    /// As the first, and what is sent to them in packets of 60 ms.
    LongPackets,
    /// A third each: Opus, PCMU, PCMA.
    Mixed,
    /// As the first, and a third each is sent to in packets of 20, 40 and 60 ms.
    MixedPacketTimes,
    /// As the first, and everybody hears all 3 dB louder, by a key.
    Louder,
    /// As the first, and everybody is played a prompt, over and over.
    Prompted,
}

impl Kind {
    pub(crate) const ALL: [Self; 11] = [
        Self::LowDelayWithLevel,
        Self::LowDelay,
        Self::Speech,
        Self::Pcmu,
        Self::SrtpCm,
        Self::SrtpGcm,
        Self::LongPackets,
        Self::Mixed,
        Self::MixedPacketTimes,
        Self::Louder,
        Self::Prompted,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::LowDelayWithLevel => "low-delay-with-level",
            Self::LowDelay => "low-delay",
            Self::Speech => "speech",
            Self::Pcmu => "pcmu",
            Self::SrtpCm => "srtp-cm",
            Self::SrtpGcm => "srtp-gcm",
            Self::LongPackets => "ptime-60",
            Self::Mixed => "mixed",
            Self::MixedPacketTimes => "mixed-ptime",
            Self::Louder => "louder",
            Self::Prompted => "prompted",
        }
    }

    const fn codec(self, leg: usize) -> Codec {
        match self {
            Self::Pcmu => Codec::Pcmu,
            Self::Mixed => [Codec::Opus, Codec::Pcmu, Codec::Pcma][leg % 3],
            _ => Codec::Opus,
        }
    }

    const fn has_level(self) -> bool {
        !matches!(self, Self::LowDelay | Self::Speech | Self::Pcmu)
    }

    const fn packet_time_ms(self, leg: usize) -> u8 {
        match self {
            Self::LongPackets => 60,
            Self::MixedPacketTimes => [20, 40, 60][leg % 3],
            _ => 20,
        }
    }

    fn srtp(self) -> Option<SrtpKeys> {
        let profile = match self {
            Self::SrtpCm => SrtpProfile::AesCm128HmacSha1_80,
            Self::SrtpGcm => SrtpProfile::AeadAes128Gcm,
            _ => return None,
        };
        // Both ends have the same keys, so that one description fits both.
        let key: Vec<u8> = (0..profile.key_length() as u8).collect();
        Some(SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: Vec::new() })
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
    /// By codec, in the order of [`CODECS`].
    voices: Vec<Vec<Recording>>,
    noises: Vec<Vec<Recording>>,
    phones: Vec<media::Leg>,
    packets: Vec<Vec<u8>>,
}

const CODECS: [Codec; 3] = [Codec::Opus, Codec::Pcmu, Codec::Pcma];
/// Where all phones are.
const PHONE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 10_000);

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
        let mut phones = Vec::new();
        for leg in 0..legs {
            let (id, media) = (LegId(leg as u64), media(leg, kind));
            let identity =
                LegIdentity { ssrc: leg as u32, first_sequence: 7, first_timestamp: 9, cname: "convoke".to_owned() };
            heap::counted(|| {
                conference.add_leg(id, identity);
                conference.connect(now, id, &media).expect("keys fit");
                conference.set_gain(id, 0, if kind == Kind::Louder { LOUDER_DB } else { 0 });
            });
            phones.push(phone(leg, now, &media));
        }
        let recordings = |make: &dyn Fn(usize, usize) -> mixer::Frame| -> Vec<Vec<Recording>> {
            let of = |codec| (0..RECORDINGS).map(|which| record(kind, codec, |number| make(number, which))).collect();
            CODECS.map(of).into()
        };
        Self {
            kind,
            conference,
            now,
            tick: 0,
            talkers,
            voices: recordings(&|number, which| sound::voice(number, 110.0 + 40.0 * which as f64)),
            noises: recordings(&|number, which| sound::noise(number, which as u64 + 1)),
            phones,
            packets: vec![Vec::new(); legs],
        }
    }

    /// Everybody writes a packet.
    pub(crate) fn prepare(&mut self) {
        for (leg, (phone, packet)) in self.phones.iter_mut().zip(&mut self.packets).enumerate() {
            let codec = self.kind.codec(leg);
            let at = CODECS.iter().position(|&one| one == codec).expect("listed");
            let recordings = if leg < self.talkers { &self.voices[at] } else { &self.noises[at] };
            let (payload, minus_dbov) = &recordings[leg % RECORDINGS][(self.tick + leg * 7) % RECORDED];
            let level = AudioLevel { minus_dbov: *minus_dbov, voice: leg < self.talkers };
            phone.write_rtp(self.now, payload, codec.clock_rate() / 50, false, Some(level), packet);
        }
    }

    /// Everybody's packet is handed in, then the conference ticks.
    pub(crate) fn tick(&mut self) {
        heap::counted(|| {
            for (leg, packet) in (0..).zip(&mut self.packets) {
                self.conference.handle_packet(self.now, LegId(leg), Port::Rtp, PHONE, packet);
                if self.kind == Kind::Prompted && self.tick.is_multiple_of(PROMPT_TICKS) {
                    self.conference.play_prompt(LegId(leg), Prompt::Ending);
                }
            }
            self.now = self.now + Duration::from_millis(10);
            self.conference.tick(self.now);
            self.conference.send(self.now, &mut Nowhere);
            while self.conference.poll_event().is_some() {}
        });
        self.now = self.now + Duration::from_millis(10);
        self.tick += 1;
    }
}

/// The other end of a leg.
fn phone(leg: usize, now: Timestamp, media: &LegMedia) -> media::Leg {
    let mut phone = media::Leg::new(LegConfig {
        ssrc: leg as u32 + 0x1000,
        first_sequence: 1,
        first_timestamp: 1,
        jitter_max: Duration::from_millis(120),
        silence: None,
        cname: "phone".to_owned(),
    });
    phone.connect(now, media).expect("keys fit");
    phone
}

fn media(leg: usize, kind: Kind) -> LegMedia {
    let payload_type = match kind.codec(leg) {
        Codec::Opus => 111,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    };
    LegMedia {
        remote_rtp: PHONE,
        remote_rtcp: PHONE,
        rtcp_mux: true,
        codec: kind.codec(leg),
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        telephone_event: Some(101),
        packet_time_ms: kind.packet_time_ms(leg),
        opus_fec: false,
        opus_dtx: false,
        opus_limits: OpusLimits::default(),
        remote_signalling: None,
        comfort_noise: None,
        audio_level_extension: kind.has_level().then_some(LEVEL_EXTENSION),
        direction: Direction::SendRecv,
        srtp: kind.srtp(),
    }
}

fn record(kind: Kind, codec: Codec, make: impl Fn(usize) -> mixer::Frame) -> Recording {
    // Error correction is what makes the speech mode.
    let settings = EncoderSettings::for_mix(codec, kind == Kind::Speech);
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
