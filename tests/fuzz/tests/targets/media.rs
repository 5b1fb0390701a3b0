//! Packets: everything a leg does with what arrives on its two ports, and the Opus decoder behind it.

use std::cell::RefCell;

use base::{Duration, Timestamp};
use fuzz::target;
use mcu_api::{Codec, Direction, LegMedia, OpusLimits, SrtpKeys, SrtpProfile};
use media::{Leg, LegConfig, Pulled};
use mixer::{CodecFactory, PACKET_SAMPLES_MAX};

const TELEPHONE_EVENT: u8 = 101;

fn media(codec: Codec, srtp: Option<SrtpProfile>) -> LegMedia {
    let key = |fill: u8, profile: SrtpProfile| vec![fill; profile.key_length()];
    LegMedia {
        remote_rtp: ([127, 0, 0, 1], 4_000).into(),
        remote_rtcp: ([127, 0, 0, 1], 4_001).into(),
        rtcp_mux: true,
        codec,
        send_payload_type: 96,
        receive_payload_type: 96,
        telephone_event: Some(TELEPHONE_EVENT),
        packet_time_ms: 20,
        opus_fec: true,
        opus_dtx: true,
        opus_limits: OpusLimits::default(),
        remote_signalling: None,
        comfort_noise: None,
        audio_level_extension: Some(1),
        direction: Direction::SendRecv,
        srtp: srtp.map(|profile| SrtpKeys {
            profile,
            local: key(1, profile),
            remote: key(2, profile),
            remote_mki: vec![1; usize::from(profile == SrtpProfile::AesCm128HmacSha1_80)],
        }),
    }
}

fn leg(media: &LegMedia) -> Leg {
    let mut leg = Leg::new(LegConfig {
        ssrc: 1,
        first_sequence: 0,
        first_timestamp: 0,
        jitter_max: Duration::from_millis(200),
        silence: Some(Duration::from_secs(30)),
        cname: "c".to_owned(),
    });
    leg.connect(Timestamp::ZERO, media).expect("keys that fit");
    leg
}

/// An RTP packet of the peer.
fn rtp(payload_type: u8, sequence: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type];
    packet.extend(sequence.to_be_bytes());
    packet.extend((u32::from(sequence) * 960).to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend(payload);
    packet
}

fn packets() -> Vec<Vec<u8>> {
    let mut extended = rtp(96, 7, &[0xBE, 0xDE, 0, 1, 0x10, 0x85, 0, 0, 0x78, 1, 2, 3]);
    extended[0] |= 0x10;
    let mut padded = rtp(96, 8, &[0x78, 1, 2, 3, 0, 0, 0, 4]);
    padded[0] |= 0x20;
    vec![
        rtp(96, 1, &[0x78, 1, 2, 3]),
        rtp(96, 2, &[0x7B, 0x43, 4, 1, 2, 3, 4, 5, 6, 7]),
        rtp(TELEPHONE_EVENT, 3, &[5, 0x0A, 0, 160]),
        rtp(TELEPHONE_EVENT, 4, &[5, 0x8A, 3, 32]),
        rtp(13, 5, &[64]),
        rtp(96, 6, &[0xFF; 160]),
        extended,
        padded,
    ]
}

fn rtcp() -> Vec<Vec<u8>> {
    let sender_report = [&[0x80, 200, 0, 6, 0, 0, 0, 9][..], &[0; 20]].concat();
    let report = [&[0x81, 201, 0, 7, 0, 0, 0, 9, 0, 0, 0, 1][..], &[0; 20]].concat();
    let description = vec![0x81, 202, 0, 3, 0, 0, 0, 9, 1, 3, b'a', b'b', b'c', 0, 0, 0];
    let bye = vec![0x81, 203, 0, 1, 0, 0, 0, 9];
    vec![[&sender_report[..], &description].concat(), [&report[..], &bye].concat(), sender_report, bye]
}

/// A packet goes to both ports of one leg, which is then asked for everything it makes of it.
fn feed(leg: &mut Leg, now: Timestamp, packet: &[u8]) {
    let source = ([127, 0, 0, 1], 4_000).into();
    leg.handle_rtp(now, source, &mut packet.to_vec());
    leg.handle_rtcp(now, source, &mut packet.to_vec());
    if let Pulled::Frame(frame) = leg.pull(now) {
        assert!((1..=6).contains(&frame.units) && !frame.payload.is_empty());
    }
    while leg.poll_event().is_some() {}
    let mut out = Vec::new();
    leg.poll_rtcp(now, &mut out);
}

fn run(name: &'static str, media: &LegMedia) {
    // One leg takes all of them, because its state is what a hostile sequence aims at; a new one now and then.
    let state = RefCell::new((leg(media), 0_u64));
    target(name).seeds(packets()).seeds(rtcp()).largest(1_500).run(|packet| {
        let (peer, count) = &mut *state.borrow_mut();
        *count += 1;
        if count.is_multiple_of(500) {
            *peer = leg(media);
        }
        feed(peer, Timestamp::from_millis(*count * 7), packet);
    });
}

#[test]
fn rtp_and_rtcp_of_an_opus_leg() {
    run("rtp-opus", &media(Codec::Opus, None));
}

#[test]
fn rtp_and_rtcp_of_a_g711_leg() {
    run("rtp-g711", &media(Codec::Pcmu, None));
}

#[test]
fn srtp() {
    run("srtp-cm", &media(Codec::Pcmu, Some(SrtpProfile::AesCm128HmacSha1_80)));
    run("srtp-gcm", &media(Codec::Opus, Some(SrtpProfile::AeadAes128Gcm)));
}

#[test]
fn opus() {
    let seeds: [&[u8]; 4] = [&[0x78, 1, 2, 3], &[0x7B, 0x43, 4, 1, 2, 3, 4, 5, 6, 7], &[0x08, 0xFF, 0], &[0xFC; 40]];
    let mut out = vec![0_i16; PACKET_SAMPLES_MAX];
    let decoder = RefCell::new(codecs::Codecs.decoder(Codec::Opus).expect("an Opus decoder"));
    let out = RefCell::new(&mut out);
    target("opus").seeds(seeds).largest(1_500).rounds(4_000).run(|packet| {
        let (mut decoder, mut out) = (decoder.borrow_mut(), out.borrow_mut());
        if let Ok(samples) = decoder.decode(Some(packet), false, &mut out[..]) {
            assert!(samples <= PACKET_SAMPLES_MAX);
        }
        let _concealed = decoder.decode(Some(packet), true, &mut out[..960]);
    });
}
