//! RTP bleed and injection (reliability.md A8): who is believed, and who gets our packets.

mod common;

use std::net::SocketAddr;

use base::Timestamp;
use mcu_api::{Codec, Direction, LegMedia, SrtpKeys, SrtpProfile};
use media::{Leg, Pulled};

use crate::common::{PEER, address, connected, leg, media, ms, rtp};

const ATTACKER: &str = "198.51.100.66:9000";
const PRIVATE: &str = "10.0.0.5:4000";
const NAT: &str = "203.0.113.9:31000";
const SSRC: u32 = 9;

/// Sends the packet numbered `n` of a stream; answers whether it was accepted.
fn send(leg: &mut Leg, at: Timestamp, source: &str, n: u32, ssrc: u32) -> bool {
    let before = leg.statistics().received_packets;
    let mut packet = rtp(0, n as u16, n * 160, ssrc, &[0x80; 160]);
    leg.handle_rtp(at, address(source), &mut packet);
    leg.statistics().received_packets > before
}

fn destination(leg: &mut Leg) -> Option<SocketAddr> {
    leg.write_rtp(Timestamp::ZERO, &[0; 160], 160, false, None, &mut Vec::new())
}

fn behind_nat() -> (Leg, LegMedia) {
    let media = LegMedia { remote_rtp: address(PRIVATE), remote_rtcp: address("10.0.0.5:4001"), ..media(Codec::Pcmu) };
    let mut leg = leg(1);
    leg.connect(Timestamp::ZERO, &media).expect("no keys");
    (leg, media)
}

#[test]
fn an_attacker_elsewhere_is_neither_heard_nor_sent_to() {
    // Before the peer speaks, while it speaks, and after the learning time; with another SSRC and with the peer's.
    for (from_ms, ssrc) in [(0, SSRC), (0, 77), (1_000, SSRC), (1_000, 77), (5_000, SSRC), (5_000, 77)] {
        let mut leg = connected(Codec::Pcmu);
        for n in 0..400_u32 {
            let now = ms(u64::from(n) * 20 + 1);
            if now >= ms(500) {
                assert!(send(&mut leg, now, PEER, n, SSRC), "{from_ms} ms: the peer is heard");
            }
            if now >= ms(from_ms) {
                assert!(!send(&mut leg, now, ATTACKER, n + 5, ssrc), "{from_ms} ms: the attacker is not");
            }
            assert_eq!(destination(&mut leg), Some(address(PEER)), "{from_ms} ms");
        }
        assert!(leg.statistics().rejected_packets >= 100);
    }
}

#[test]
fn a_peer_is_settled_while_nobody_else_could_be_taken() {
    let mut leg = connected(Codec::Pcmu);
    for n in 0..400_u32 {
        let now = ms(u64::from(n) * 20);
        assert_eq!(
            leg.settled_peer(now),
            (n >= 100).then_some(address(PEER)),
            "{now:?}: the learning time is over or not"
        );
        send(&mut leg, now, PEER, n, SSRC);
    }
    assert_eq!(leg.settled_peer(ms(7_980 + 199)), Some(address(PEER)));
    assert_eq!(leg.settled_peer(ms(7_980 + 200)), None, "a quiet peer may have moved");
    send(&mut leg, ms(8_300), PEER, 400, SSRC);
    assert_eq!(leg.settled_peer(ms(8_310)), Some(address(PEER)));
    leg.connect(ms(8_320), &media(Codec::Pcmu)).expect("no keys");
    assert_eq!(leg.settled_peer(ms(8_320)), None, "the next offer may bring another address");

    // Whoever was only found may still be proven wrong by the address in SDP.
    let (mut leg, _) = behind_nat();
    (0..400).for_each(|n| _ = send(&mut leg, ms(u64::from(n) * 20), NAT, n, SSRC));
    assert_eq!((destination(&mut leg), leg.settled_peer(ms(7_990))), (Some(address(NAT)), None));
}

#[test]
fn a_flood_before_the_peer_does_not_shut_it_out() {
    for (mut leg, source) in [(connected(Codec::Pcmu), PEER), (behind_nat().0, NAT)] {
        for n in 0..2_000_u32 {
            let attacker = format!("198.51.100.{}:{}", n % 200 + 1, 1_024 + n);
            assert!(!send(&mut leg, ms(u64::from(n / 4)), &attacker, n * 7, n));
        }
        let accepted = (0..50).filter(|&n| send(&mut leg, ms(600 + u64::from(n) * 20), source, n, SSRC)).count();
        assert!(accepted >= 40, "{source}: {accepted} of 50");
        assert_eq!(destination(&mut leg), Some(address(source)));
    }
}

#[test]
fn another_port_of_the_signalled_host_is_learned_at_once_but_only_in_time() {
    let moved = "192.0.2.1:4444";
    let mut leg = connected(Codec::Pcmu);
    assert!(send(&mut leg, ms(1_900), moved, 0, SSRC));
    assert_eq!(destination(&mut leg), Some(address(moved)));
    assert!(!send(&mut leg, ms(1_910), "192.0.2.1:5555", 1, SSRC), "the first port stays");

    let mut leg = connected(Codec::Pcmu);
    assert!(!send(&mut leg, ms(2_100), moved, 0, SSRC), "the learning time is over");
    assert_eq!(destination(&mut leg), Some(address(PEER)));
}

#[test]
fn a_row_of_packets_is_learned_when_sdp_names_a_private_host() {
    let (mut leg, _) = behind_nat();
    let accepted: Vec<u32> = (0..50).filter(|&n| send(&mut leg, ms(u64::from(n) * 20), NAT, n, SSRC)).collect();
    assert_eq!(accepted, (9..50).collect::<Vec<_>>(), "ten in a row");
    assert_eq!(destination(&mut leg), Some(address(NAT)));
    assert!(!send(&mut leg, ms(1_010), ATTACKER, 50, SSRC), "nobody else is learned after that");
    assert!(send(&mut leg, ms(9_000), PRIVATE, 50, SSRC), "but the signalled address itself is always right");
    assert_eq!(destination(&mut leg), Some(address(PRIVATE)));
}

#[test]
fn two_rows_contradict_each_other() {
    let (mut leg, _) = behind_nat();
    for n in 0..90 {
        let now = ms(u64::from(n) * 20);
        assert!(!send(&mut leg, now, NAT, n, SSRC) && !send(&mut leg, now, ATTACKER, n, 77));
    }
    assert_eq!(destination(&mut leg), Some(address(PRIVATE)), "rather to nobody than to the wrong one");
}

#[test]
fn after_a_re_invite_the_known_stream_may_move_and_nobody_else() {
    let (mut leg, media) = behind_nat();
    for n in 0..100 {
        send(&mut leg, ms(u64::from(n) * 20), NAT, n, SSRC);
    }
    let rebound = "203.0.113.9:32000";
    assert!(!send(&mut leg, ms(4_000), rebound, 100, SSRC), "no offer and answer, no move");
    leg.connect(ms(5_000), &media).expect("no keys");
    assert!(!send(&mut leg, ms(5_010), ATTACKER, 3, 77), "another SSRC");
    assert!(!send(&mut leg, ms(5_020), ATTACKER, 5_000, SSRC), "another place in the sequence");
    assert!(send(&mut leg, ms(5_030), rebound, 101, SSRC));
    assert_eq!(destination(&mut leg), Some(address(rebound)));

    // Another address in SDP starts learning anew.
    leg.connect(ms(9_000), &LegMedia { remote_rtp: address("192.0.2.7:6000"), ..media }).expect("no keys");
    assert_eq!(destination(&mut leg), Some(address("192.0.2.7:6000")));
    assert!(!send(&mut leg, ms(9_010), rebound, 102, SSRC));
    assert!(send(&mut leg, ms(9_020), "192.0.2.7:6000", 103, SSRC));
}

#[test]
fn with_srtp_only_authentic_packets_teach_a_source() {
    let keys = |local: u8, remote: u8| {
        let profile = SrtpProfile::AesCm128HmacSha1_80;
        Some(SrtpKeys { profile, local: vec![local; 30], remote: vec![remote; 30] })
    };
    let mut server = leg(1);
    server.connect(ms(0), &LegMedia { srtp: keys(1, 2), ..media(Codec::Pcmu) }).expect("keys fit");
    let mut phone = leg(SSRC);
    phone.connect(ms(0), &LegMedia { srtp: keys(2, 1), ..media(Codec::Pcmu) }).expect("keys fit");

    for n in 0..50 {
        assert!(!send(&mut server, ms(10 + n), ATTACKER, n as u32, SSRC), "not authentic");
        assert!(!send(&mut server, ms(10 + n), PEER, n as u32, SSRC), "not even from the right address");
    }
    let mut packet = Vec::new();
    phone.write_rtp(ms(100), &[0x80; 160], 160, false, None, &mut packet);
    let captured = packet.clone();
    server.handle_rtp(ms(100), address(NAT), &mut packet);
    assert_eq!((server.statistics().received_packets, destination(&mut server)), (1, Some(address(NAT))));
    server.handle_rtp(ms(110), address(ATTACKER), &mut captured.clone());
    assert_eq!(server.statistics().received_packets, 1, "a replay");
    assert_eq!(destination(&mut server), Some(address(NAT)));
    phone.write_rtp(ms(120), &[0x80; 160], 160, false, None, &mut packet);
    server.handle_rtp(ms(5_000), address(ATTACKER), &mut packet);
    assert_eq!(destination(&mut server), Some(address(NAT)), "nothing is learned later, however authentic");
}

#[test]
fn nothing_is_sent_to_addresses_that_are_nobody() {
    for nobody in
        ["0.0.0.0:4000", "192.0.2.1:0", "224.0.0.1:4000", "255.255.255.255:4000", "[::]:4000", "[ff02::1]:4000"]
    {
        let mut leg = leg(1);
        leg.connect(
            ms(0),
            &LegMedia { remote_rtp: address(nobody), remote_rtcp: address(nobody), ..media(Codec::Pcmu) },
        )
        .expect("no keys");
        assert_eq!(destination(&mut leg), None, "{nobody}");
        assert_eq!(leg.poll_rtcp(ms(60_000), &mut Vec::new()), None, "{nobody}");
    }
}

#[test]
fn an_unconnected_leg_is_deaf_and_mute() {
    let mut leg = leg(1);
    assert!(!send(&mut leg, ms(0), PEER, 0, SSRC));
    assert_eq!((destination(&mut leg), leg.pull(ms(20))), (None, Pulled::Silence));
    assert_eq!(leg.statistics().rejected_packets, 1);
    let hold = LegMedia { direction: Direction::Inactive, ..media(Codec::Pcmu) };
    leg.connect(ms(100), &hold).expect("no keys");
    assert_eq!(destination(&mut leg), None, "on hold");
}
