//! Legs, packets and a seeded network for the tests of the leg.
#![allow(dead_code, reason = "each test file uses a part")]

use std::net::SocketAddr;

use base::{Duration, Timestamp};
use mcu_api::{Codec, Direction, LegMedia, OpusLimits};
use media::{Leg, LegConfig};

/// Where the peer says it is.
pub(crate) const PEER: &str = "192.0.2.1:4000";
pub(crate) const JITTER_MAX: Duration = Duration::from_millis(120);

pub(crate) fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub(crate) fn ms(at: u64) -> Timestamp {
    Timestamp::from_millis(at)
}

pub(crate) fn media(codec: Codec) -> LegMedia {
    let payload_type = match codec {
        Codec::Opus => 111,
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
    };
    LegMedia {
        remote_rtp: address(PEER),
        remote_rtcp: address("192.0.2.1:4001"),
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
        audio_level_extension: Some(1),
        direction: Direction::SendRecv,
        srtp: None,
    }
}

pub(crate) fn leg(ssrc: u32) -> Leg {
    Leg::new(LegConfig {
        ssrc,
        first_sequence: 100,
        first_timestamp: 5_000,
        jitter_max: JITTER_MAX,
        silence: Some(Duration::from_secs(30)),
        cname: "test".to_owned(),
    })
}

pub(crate) fn connected(codec: Codec) -> Leg {
    let mut leg = leg(1);
    leg.connect(Timestamp::ZERO, &media(codec)).expect("no keys");
    leg
}

/// An RTP packet.
pub(crate) fn rtp(payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend_from_slice(&sequence.to_be_bytes());
    packet.extend_from_slice(&timestamp.to_be_bytes());
    packet.extend_from_slice(&ssrc.to_be_bytes());
    packet.extend_from_slice(payload);
    packet
}

/// A generator whose quality does not matter.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}
