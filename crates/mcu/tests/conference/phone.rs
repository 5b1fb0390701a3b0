//! A participant: speaks a tone through a real codec in RTP packets, and records what it hears.

use std::f64::consts::TAU;
use std::net::{Ipv4Addr, SocketAddr};

use base::LegId;
use codecs::Codecs;
use mcu_api::{Codec, Direction, LegMedia, OpusLimits};
use mixer::{
    CodecFactory, Decoder, Encoder, EncoderSettings, FRAME_SAMPLES, Frame, Level, PACKET_BYTES_MAX, PACKET_SAMPLES_MAX,
};

/// Header extension id of the level.
const LEVEL_EXTENSION: u8 = 1;

/// How loud a phone speaks, of full scale 1.
pub(crate) const AMPLITUDE: f64 = 0.22;

pub(crate) struct Phone {
    pub(crate) leg: LegId,
    pub(crate) media: LegMedia,
    /// The tone it speaks.
    pub(crate) frequency: f64,
    /// 0 is silence.
    pub(crate) amplitude: f64,
    /// What it says instead of the tone, silence after the end.
    pub(crate) speech: Option<Vec<i16>>,
    /// Everything heard so far, at 48 kHz.
    pub(crate) heard: Vec<i16>,
    /// Length in bytes of each packet received.
    pub(crate) lengths: Vec<usize>,
    /// First byte of each payload received: Opus says there what mode it is in.
    pub(crate) modes: Vec<u8>,
    /// Levels of the comfort noise it was told of.
    pub(crate) noises: Vec<u8>,
    encoder: Box<dyn Encoder>,
    decoder: Box<dyn Decoder>,
    spoken: usize,
    sequence: u16,
    /// Sequence number and timestamp the next packet must have.
    expected: Option<(u16, u32)>,
    /// Packets may be left out, whose time passes nevertheless.
    may_pause: bool,
}

impl Phone {
    pub(crate) fn new(leg: u64, codec: Codec, frequency: f64) -> Self {
        let address = |port: u64| SocketAddr::from((Ipv4Addr::LOCALHOST, (10_000 + 2 * leg + port) as u16));
        let payload_type = match codec {
            Codec::Opus => 111,
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        };
        let media = LegMedia {
            remote_rtp: address(0),
            remote_rtcp: address(1),
            rtcp_mux: false,
            codec,
            send_payload_type: payload_type,
            receive_payload_type: payload_type,
            telephone_event: Some(101),
            packet_time_ms: 20,
            opus_fec: false,
            opus_dtx: false,
            opus_limits: OpusLimits::default(),
            remote_signalling: None,
            comfort_noise: None,
            audio_level_extension: None,
            direction: Direction::SendRecv,
            srtp: None,
        };
        Self {
            leg: LegId(leg),
            media,
            frequency,
            amplitude: AMPLITUDE,
            speech: None,
            heard: Vec::new(),
            lengths: Vec::new(),
            modes: Vec::new(),
            noises: Vec::new(),
            encoder: encoder(codec, false),
            decoder: Codecs.decoder(codec).expect("decoder"),
            spoken: 0,
            sequence: 0,
            expected: None,
            may_pause: false,
        }
    }

    /// Speaks with in-band error correction from now on.
    pub(crate) fn with_fec(mut self) -> Self {
        let settings = EncoderSettings::for_mix(self.media.codec, true);
        self.encoder = Codecs.encoder(settings).expect("encoder");
        self
    }

    pub(crate) fn silent(mut self) -> Self {
        self.amplitude = 0.0;
        self
    }

    /// Sends room noise of -62 dBov, from Opus' speech mode; for so many seconds, then silence.
    pub(crate) fn noisy(mut self, seconds: usize) -> Self {
        let mut state = 0x9E37_79B9_7F4A_7C15 ^ self.leg.0 << 20;
        let noise = std::iter::repeat_with(|| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f64 / f64::from(1 << 24) - 0.5
        });
        self.speech = Some(noise.map(|white| (white * 90.0) as i16).take(seconds * 48_000).collect());
        self.with_fec()
    }

    /// From now on says what `other` was saying, which is as old, as if it had been the encoder's sound all the time.
    pub(crate) fn go_on_as(&mut self, other: Self) {
        (self.encoder, self.speech) = (other.encoder, other.speech);
        (self.frequency, self.amplitude) = (other.frequency, other.amplitude);
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut LegMedia)) -> Self {
        change(&mut self.media);
        // Error correction is what makes Opus' speech mode.
        self.encoder = encoder(self.media.codec, self.media.opus_fec);
        self
    }

    /// Sends and wants the level of each packet (RFC 6464).
    pub(crate) fn with_level(self) -> Self {
        self.with(|media| media.audio_level_extension = Some(LEVEL_EXTENSION))
    }

    /// The next 20 ms of speech as an RTP packet.
    pub(crate) fn speak(&mut self) -> Vec<u8> {
        let step = TAU * self.frequency / 48_000.0;
        let sample = |at: usize| (self.amplitude * 32_767.0 * (step * (self.spoken + at) as f64).sin()).round() as i16;
        let pcm: Frame = match &self.speech {
            Some(speech) => std::array::from_fn(|at| speech.get(self.spoken + at).copied().unwrap_or_default()),
            None => std::array::from_fn(sample),
        };
        self.sequence = self.sequence.wrapping_add(1);
        let timestamp = (self.spoken as u64 * u64::from(self.media.codec.clock_rate()) / 48_000) as u32;
        self.spoken += FRAME_SAMPLES;
        let extended = self.media.audio_level_extension.is_some();
        let mut packet = vec![if extended { 0x90 } else { 0x80 }, self.media.receive_payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend((0x1000 + self.leg.0 as u32).to_be_bytes());
        if extended {
            packet.extend([0xBE, 0xDE, 0, 1, LEVEL_EXTENSION << 4, Level::measure(&pcm).dbov(), 0, 0]);
        }
        let mut payload = [0; PACKET_BYTES_MAX];
        let length = self.encoder.encode(&pcm, &mut payload).expect("one frame");
        packet.extend(&payload[..length]);
        packet
    }

    /// Takes an RTP packet; sequence numbers and timestamps must go on without a gap.
    pub(crate) fn listen(&mut self, packet: &[u8]) {
        let (first, header) = if self.media.audio_level_extension.is_some() { (0x90, 20) } else { (0x80, 12) };
        let payload_type = packet[1] & 0x7f;
        let is_noise = Some(payload_type) == self.media.comfort_noise;
        assert_eq!(packet[0], first, "an RTP header");
        assert!(is_noise || payload_type == self.media.send_payload_type, "payload type {payload_type}");
        let sequence = u16::from_be_bytes([packet[2], packet[3]]);
        let timestamp = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        if let Some(expected) = self.expected {
            let pause = timestamp.wrapping_sub(expected.1);
            let paused = self.may_pause
                && pause.is_multiple_of(960 / self.samples_of_unit())
                && pause <= 20 * 960 / self.samples_of_unit();
            assert_eq!(sequence, expected.0, "a continuous stream to leg {}", self.leg);
            assert!(paused || timestamp == expected.1, "a continuous time line to leg {}", self.leg);
        }
        if is_noise {
            let units = u32::from(self.media.packet_time_ms) * self.media.codec.clock_rate() / 1_000;
            self.expected = Some((sequence.wrapping_add(1), timestamp.wrapping_add(units)));
            return self.noises.push(packet[header]);
        }
        let mut pcm = [0; PACKET_SAMPLES_MAX];
        let length = self.decoder.decode(Some(&packet[header..]), false, &mut pcm).expect("a packet of the codec");
        assert_eq!(length, usize::from(self.media.packet_time_ms) * 48, "the packet time agreed on");
        let units = length as u32 * self.media.codec.clock_rate() / 48_000;
        self.expected = Some((sequence.wrapping_add(1), timestamp.wrapping_add(units)));
        self.heard.extend(&pcm[..length]);
        self.lengths.push(packet.len() - header);
        self.modes.push(packet[header]);
    }

    /// From now on packets may be left out.
    pub(crate) const fn pause_allowed(&mut self) {
        self.may_pause = self.media.opus_dtx || self.media.comfort_noise.is_some();
    }

    /// Samples at 48 kHz for each unit of the RTP clock.
    fn samples_of_unit(&self) -> u32 {
        48_000 / self.media.codec.clock_rate()
    }

    /// Says by comfort noise how loud its background is, and nothing else in this tick.
    pub(crate) fn speak_noise(&mut self, minus_dbov: u8) -> Vec<u8> {
        let mut packet = self.speak();
        packet.truncate(12);
        packet[1] = 13;
        packet.push(minus_dbov);
        packet
    }

    /// Says nothing in this tick.
    pub(crate) const fn pause(&mut self) {
        self.spoken += FRAME_SAMPLES;
    }

    /// Forgets how the stream went on: it was interrupted on purpose.
    pub(crate) fn expect_anything(&mut self) {
        self.expected = None;
    }

    /// The last `seconds` of what was heard.
    pub(crate) fn last(&self, seconds: f64) -> &[i16] {
        let length = (seconds * 48_000.0) as usize;
        &self.heard[self.heard.len().checked_sub(length).expect("it listened that long")..]
    }
}

fn encoder(codec: Codec, fec: bool) -> Box<dyn Encoder> {
    Codecs.encoder(EncoderSettings::for_mix(codec, fec)).expect("encoder")
}
