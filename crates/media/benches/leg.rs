//! What a leg costs for one packet each way: jitter buffer, SRTP, RTP header.
//!
//!     cargo bench -p media --bench leg

use std::net::{Ipv4Addr, SocketAddr};

use base::{Duration, Timestamp};
use divan::{Bencher, black_box};
use mcu_api::{Codec, Direction, LegMedia, OpusLimits, SrtpKeys, SrtpProfile};
use media::{Leg, LegConfig};

/// None, and the three profiles by number.
const PROTECTION: [Option<SrtpProfile>; 4] = [
    None,
    Some(SrtpProfile::AesCm128HmacSha1_80),
    Some(SrtpProfile::AesCm128HmacSha1_32),
    Some(SrtpProfile::AeadAes128Gcm),
];
/// Bytes of 20 ms of Opus at 32 kbit/s.
const PAYLOAD: [u8; 80] = [0xF8; 80];
const UNITS: u32 = 960;

fn main() {
    divan::main();
}

fn connected(srtp: Option<SrtpProfile>) -> Leg {
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000));
    let key = |profile: SrtpProfile| (0..profile.key_length() as u8).collect::<Vec<u8>>();
    let media = LegMedia {
        remote_rtp: peer,
        remote_rtcp: peer,
        rtcp_mux: true,
        codec: Codec::Opus,
        send_payload_type: 111,
        receive_payload_type: 111,
        telephone_event: None,
        packet_time_ms: 20,
        opus_fec: false,
        opus_dtx: false,
        opus_limits: OpusLimits::default(),
        remote_signalling: None,
        comfort_noise: None,
        audio_level_extension: None,
        direction: Direction::SendRecv,
        srtp: srtp.map(|profile| SrtpKeys {
            profile,
            local: key(profile),
            remote: key(profile),
            remote_mki: Vec::new(),
        }),
    };
    let mut leg = Leg::new(LegConfig {
        ssrc: 1,
        first_sequence: 1,
        first_timestamp: 1,
        jitter_max: Duration::from_millis(120),
        silence: None,
        cname: "convoke".to_owned(),
    });
    leg.connect(Timestamp::ZERO, &media).expect("keys fit");
    leg
}

/// A packet in and one unit out, as in every tick. The packets come from a second leg with the same keys, whose work
/// is not measured.
#[divan::bench(args = 0..PROTECTION.len())]
fn receive_and_pull(bencher: Bencher<'_, '_>, protection: usize) {
    let (mut leg, mut peer) = (connected(PROTECTION[protection]), connected(PROTECTION[protection]));
    let mut now = Timestamp::from_millis(20);
    let source = SocketAddr::from((Ipv4Addr::LOCALHOST, 4_000));
    let packets = std::iter::from_fn(move || {
        let mut packet = Vec::new();
        peer.write_rtp(Timestamp::ZERO, &PAYLOAD, UNITS, false, None, &mut packet);
        Some(packet)
    });
    let packets = std::sync::Mutex::new(packets);
    bencher.with_inputs(|| packets.lock().expect("one thread").next().expect("endless")).bench_local_refs(|packet| {
        leg.handle_rtp(now, source, packet);
        black_box(leg.pull(now + Duration::from_millis(10)));
        now = now + Duration::from_millis(20);
    });
}

/// Header, payload and protection of one packet to a listener.
#[divan::bench(args = 0..PROTECTION.len())]
fn write(bencher: Bencher<'_, '_>, protection: usize) {
    let mut leg = connected(PROTECTION[protection]);
    let mut packet = Vec::with_capacity(2_048);
    bencher.bench_local(|| leg.write_rtp(Timestamp::ZERO, black_box(&PAYLOAD), UNITS, false, None, &mut packet));
}
