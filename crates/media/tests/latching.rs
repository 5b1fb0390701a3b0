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
fn another_port_of_the_signalled_host_is_learned_until_somebody_was_heard() {
    let moved = "192.0.2.1:4444";
    let mut leg = connected(Codec::Pcmu);
    assert!(send(&mut leg, ms(1_900), moved, 0, SSRC));
    assert_eq!(destination(&mut leg), Some(address(moved)));
    assert!(!send(&mut leg, ms(1_910), "192.0.2.1:5555", 1, SSRC), "the first port stays");

    // A phone that joins muted says nothing for a while.
    let mut leg = connected(Codec::Pcmu);
    assert!(!send(&mut leg, ms(60_000), ATTACKER, 0, SSRC));
    assert!(send(&mut leg, ms(60_010), moved, 0, SSRC));
    assert_eq!(destination(&mut leg), Some(address(moved)));
    assert!(!send(&mut leg, ms(60_020), "192.0.2.1:5555", 1, SSRC), "the first port stays");
    assert!(send(&mut leg, ms(60_030), PEER, 1, SSRC), "but the signalled address itself is always right");

    let mut leg = connected(Codec::Pcmu);
    assert!(send(&mut leg, ms(1_900), PEER, 0, SSRC));
    assert!(!send(&mut leg, ms(2_100), moved, 0, 77), "the signalled address was heard");
    assert_eq!(destination(&mut leg), Some(address(PEER)));
}

#[test]
fn a_row_from_the_host_of_the_signalling_is_learned_however_late() {
    // SDP names a private host, or a public one from which nothing comes.
    for (signalled, from_ms) in [(PRIVATE, 60_000), (PEER, 60_000), (PEER, 100)] {
        let remote_signalling = Some(address(NAT).ip());
        let media = LegMedia { remote_rtp: address(signalled), remote_signalling, ..media(Codec::Pcmu) };
        let mut leg = leg(1);
        leg.connect(Timestamp::ZERO, &media).expect("no keys");
        let mut accepted = |from_ms: u64, source, ssrc| {
            (0..50).filter(|n| send(&mut leg, ms(from_ms + u64::from(*n) * 20), source, *n, ssrc)).count()
        };
        assert_eq!(accepted(from_ms, ATTACKER, 77), 0, "{signalled}");
        assert_eq!(accepted(from_ms + 1_000, NAT, SSRC), 41, "{signalled}: ten in a row");
        assert_eq!(accepted(from_ms + 2_000, "203.0.113.9:31999", 78), 0, "{signalled}: one source alone");
    }
}

#[test]
fn another_port_of_the_same_host_may_go_on_with_the_stream_when_the_first_is_quiet() {
    let rebound = "192.0.2.1:4444";
    let mut leg = connected(Codec::Pcmu);
    (0..200).for_each(|n| assert!(send(&mut leg, ms(u64::from(n) * 20), PEER, n, SSRC)));
    assert!(!send(&mut leg, ms(4_000), rebound, 200, SSRC), "the first port was heard 20 ms ago");
    assert!(!send(&mut leg, ms(4_400), rebound, 220, 77), "another SSRC");
    assert!(!send(&mut leg, ms(4_400), rebound, 5_000, SSRC), "another place in the sequence");
    assert!(!send(&mut leg, ms(4_400), ATTACKER, 220, SSRC), "another host");
    assert!(send(&mut leg, ms(4_400), rebound, 220, SSRC));
    assert_eq!(destination(&mut leg), Some(address(rebound)));
}

/// Sends 20 ms packets of a stream; answers the time of the first one that was accepted, from the beginning on.
fn talk(leg: &mut Leg, from_ms: u64, source: &str, ssrc: u32, packets: u32) -> Option<u64> {
    let mut times = (0..packets).map(|n| (u64::from(n) * 20, n));
    let accepted = times.find(|&(at, n)| send(leg, ms(from_ms + at), source, n, ssrc))?;
    times
        .for_each(|(at, n)| assert!(send(leg, ms(from_ms + at), source, n, ssrc), "{at} ms: once heard, always heard"));
    Some(accepted.0)
}

/// A phone that restarts while its NAT binds anew: nothing is as it was but the host.
#[test]
fn another_port_of_the_same_host_may_begin_anew_when_the_first_is_long_quiet() {
    const SILENT_MS: u64 = 4_000;
    let rebound = "192.0.2.1:4444";
    let quiet = || {
        let mut leg = connected(Codec::Pcmu);
        (0..200).for_each(|n| assert!(send(&mut leg, ms(u64::from(n) * 20), PEER, n, SSRC)));
        leg
    };
    for ssrc in [77, SSRC] {
        let mut leg = quiet();
        // From 980 ms of quiet on; 1 s, ten in a row, and a second one for the SSRC.
        let heard = talk(&mut leg, SILENT_MS + 960, rebound, ssrc, 100).expect("it is heard");
        assert!((200..=240).contains(&heard), "{ssrc}: {heard} ms");
        assert_eq!(destination(&mut leg), Some(address(rebound)));
        assert_eq!(leg.settled_peer(ms(SILENT_MS + 2_950)), None, "who is still at the first port must come through");
    }

    let mut leg = quiet();
    assert_eq!(talk(&mut leg, SILENT_MS + 2_000, ATTACKER, 77, 200), None, "another host");
    assert_eq!(talk(&mut leg, SILENT_MS + 7_000, rebound, 77, 9), None, "too few");
    assert!((0..99).all(|n| !send(&mut leg, ms(SILENT_MS + 8_000 + u64::from(n) * 20), rebound, n * 2, 77)), "gaps");
    assert_eq!(destination(&mut leg), Some(address(PEER)));

    // Never while the first is still there, however seldom it sends: its packets end the row, also of one who waits for them.
    for waits in [false, true] {
        let mut leg = quiet();
        let mut others = 0;
        for n in 0..2_000_u32 {
            let at = SILENT_MS + u64::from(n) * 20;
            if n % 59 == 0 {
                assert!(send(&mut leg, ms(at), PEER, 200 + n, SSRC));
            }
            if !waits || n % 59 > 49 {
                assert!(!send(&mut leg, ms(at + 1), rebound, others, 77), "{n}");
                others += 1;
            }
        }
        assert_eq!(destination(&mut leg), Some(address(PEER)));
    }

    let mut leg = quiet();
    for n in 0..200 {
        let at = ms(SILENT_MS + 2_000 + u64::from(n) * 20);
        assert!(!send(&mut leg, at, rebound, n, 77) && !send(&mut leg, at, "192.0.2.1:5555", n, 78), "two of them");
    }
}

/// Somebody behind the same NAT who takes the leg of a phone that is muted and sends nothing.
#[test]
fn who_was_taken_to_have_begun_anew_and_speaks_from_where_he_was_is_believed_at_once_and_for_good() {
    let (muted, attacker) = (NAT, "203.0.113.9:31999");
    let mut leg = behind_nat().0;
    (0..200).for_each(|n| _ = send(&mut leg, ms(u64::from(n) * 20), muted, n, SSRC));
    assert!(talk(&mut leg, 6_000, "203.0.113.9:32111", 76, 50).is_some());
    assert!(talk(&mut leg, 9_000, attacker, 77, 100).is_some());
    assert_eq!(destination(&mut leg), Some(address(attacker)));
    for n in 0..100_u32 {
        let at = 11_000 + u64::from(n) * 20;
        assert!(!send(&mut leg, ms(at + 1), attacker, 100 + n, 77) || n == 0);
        let heard = send(&mut leg, ms(at + 2), muted, 200 + n, SSRC);
        assert!(heard || n < 6, "{n}: his stream takes over when the other's has been quiet");
        assert_eq!(destination(&mut leg), Some(address(muted)));
    }
    assert_eq!(talk(&mut leg, 20_000, attacker, 77, 200), None, "not again");
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
    let rebound = "203.0.113.10:32000";
    assert!(!send(&mut leg, ms(4_000), rebound, 100, SSRC), "no offer and answer, no move to another host");
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
        Some(SrtpKeys { profile, local: vec![local; 30], remote: vec![remote; 30], remote_mki: Vec::new() })
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
}

/// A phone that changes its network in the middle of a call.
#[test]
fn with_srtp_an_authentic_newer_packet_is_followed_when_the_old_address_is_quiet() {
    const ELSEWHERE: &str = "198.51.100.7:5000";
    let keys = |local: u8, remote: u8| {
        let profile = SrtpProfile::AesCm128HmacSha1_80;
        Some(SrtpKeys { profile, local: vec![local; 30], remote: vec![remote; 30], remote_mki: Vec::new() })
    };
    let (mut server, mut phone) = (leg(1), leg(SSRC));
    server.connect(ms(0), &LegMedia { srtp: keys(1, 2), ..media(Codec::Pcmu) }).expect("keys fit");
    phone.connect(ms(0), &LegMedia { srtp: keys(2, 1), ..media(Codec::Pcmu) }).expect("keys fit");
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for n in 0..400 {
        let mut packet = Vec::new();
        phone.write_rtp(ms(n * 20), &[0x80; 160], 160, false, None, &mut packet);
        packets.push(packet);
    }
    let mut deliver = |at_ms: u64, from: &str, n: usize| {
        server.handle_rtp(ms(at_ms), address(from), &mut packets[n].clone());
        destination(&mut server).expect("there is one")
    };
    for n in (0..300).filter(|n| *n != 250) {
        assert_eq!(deliver(n as u64 * 20, PEER, n), address(PEER));
    }
    assert_eq!(deliver(6_000, ELSEWHERE, 300), address(PEER), "the old address was heard 20 ms ago");
    assert_eq!(deliver(6_500, ATTACKER, 299), address(PEER), "a replay");
    assert_eq!(deliver(6_500, ATTACKER, 250), address(PEER), "an old packet that was held back");
    assert_eq!(deliver(6_500, ELSEWHERE, 301), address(ELSEWHERE));
    assert_eq!(deliver(9_000, ATTACKER, 301), address(ELSEWHERE), "a replay");
    let mut rtcp = Vec::new();
    phone.poll_rtcp(ms(9_010), &mut rtcp).expect("a report is due");
    server.handle_rtcp(ms(9_010), address("198.51.100.7:5099"), &mut rtcp);
    let (to, _) = server.poll_rtcp(ms(9_020), &mut Vec::new()).expect("a report is due");
    assert_eq!(to, address("198.51.100.7:5099"), "reports go where the peer's come from");
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
