//! A leg from outside: two of them talk to each other over a wire of this file's.

mod common;

use std::net::SocketAddr;

use base::{Duration, Timestamp};
use mcu_api::{Codec, Direction, LegFailure, LegMedia, SrtpKeys, SrtpProfile};
use media::{AudioLevel, Leg, LegConfig, LegEvent, Port, Pulled};

use crate::common::{JITTER_MAX, PEER, address, connected, leg, media, ms, rtp};

const LEVEL: AudioLevel = AudioLevel { minus_dbov: 30, voice: true };

/// Two legs whose packets reach each other after `delay`; tells what the second heard.
struct Wire {
    legs: [Leg; 2],
    now: Timestamp,
    heard: Vec<Option<AudioLevel>>,
}

impl Wire {
    fn new(one: &LegMedia, other: &LegMedia) -> Self {
        let mut legs = [leg(1), leg(2)];
        legs[0].connect(ms(0), one).expect("keys fit");
        legs[1].connect(ms(0), other).expect("keys fit");
        Self { legs, now: ms(0), heard: Vec::new() }
    }

    /// Both talk; RTP arrives at once, RTCP after `delay`.
    fn run(&mut self, ticks: u32, delay: Duration) {
        let mut packet = Vec::new();
        for _ in 0..ticks {
            self.now = self.now + Duration::from_millis(20);
            for from in [0, 1] {
                let to = 1 - from;
                if self.legs[from].write_rtp(self.now, &[0x80; 160], 160, false, Some(LEVEL), &mut packet).is_some() {
                    self.legs[to].handle_rtp(self.now, address(PEER), &mut packet);
                }
                while let Some((_, port)) = self.legs[from].poll_rtcp(self.now, &mut packet) {
                    let (at, source) = (self.now + delay, address(PEER));
                    match port {
                        Port::Rtp => self.legs[to].handle_rtp(at, source, &mut packet),
                        Port::Rtcp => self.legs[to].handle_rtcp(at, source, &mut packet),
                    }
                }
            }
            self.legs[0].pull(self.now);
            if let Pulled::Frame(frame) = self.legs[1].pull(self.now) {
                assert_eq!(frame.payload, [0x80; 160]);
                self.heard.push(frame.level);
            }
        }
    }
}

fn srtp_pair(profile: SrtpProfile, seed: u8) -> [Option<SrtpKeys>; 2] {
    let (one, other) = (vec![seed; profile.key_length()], vec![seed + 1; profile.key_length()]);
    [
        Some(SrtpKeys { profile, local: one.clone(), remote: other.clone(), remote_mki: Vec::new() }),
        Some(SrtpKeys { profile, local: other, remote: one, remote_mki: Vec::new() }),
    ]
}

fn events(leg: &mut Leg) -> Vec<LegEvent> {
    std::iter::from_fn(|| leg.poll_event()).collect()
}

#[test]
fn two_legs_talk_in_the_clear_and_under_every_srtp_profile() {
    let profiles =
        [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32, SrtpProfile::AeadAes128Gcm].map(Some);
    for profile in profiles.into_iter().chain([None]) {
        for rtcp_mux in [false, true] {
            let [one, other] = profile.map_or([None, None], |profile| srtp_pair(profile, 1));
            let with = |srtp| LegMedia { rtcp_mux, srtp, ..media(Codec::Pcmu) };
            let mut wire = Wire::new(&with(one), &with(other));
            wire.run(1_000, Duration::from_millis(30));
            assert!(wire.heard.len() >= 995 && wire.heard.iter().all(|level| *level == Some(LEVEL)), "{profile:?}");
            let statistics = wire.legs[1].statistics();
            assert_eq!((statistics.received_packets, statistics.received_bytes), (1_000, 160_000));
            assert_eq!((statistics.sent_packets, statistics.lost_packets, statistics.rejected_packets), (1_000, 0, 0));
            // RTCP takes 30 ms each way.
            assert!((55_000..65_000).contains(&statistics.round_trip_us), "{profile:?}: {}", statistics.round_trip_us);
            assert_eq!(events(&mut wire.legs[1]), [LegEvent::MediaStarted]);
        }
    }
}

#[test]
fn keys_may_change_and_stay_under_a_re_invite() {
    let profile = SrtpProfile::AeadAes128Gcm;
    let with = |srtp| LegMedia { srtp, ..media(Codec::Pcmu) };
    let [one, other] = srtp_pair(profile, 1);
    let mut wire = Wire::new(&with(one.clone()), &with(other.clone()));
    wire.run(50, Duration::ZERO);
    let mut captured = Vec::new();
    wire.legs[0].write_rtp(wire.now, &[0x80; 160], 160, false, None, &mut captured);
    wire.legs[1].handle_rtp(wire.now, address(PEER), &mut captured.clone());
    wire.legs[0].connect(wire.now, &with(one)).expect("keys fit");
    wire.legs[1].connect(wire.now, &with(other)).expect("keys fit");
    wire.legs[1].handle_rtp(wire.now, address(PEER), &mut captured);
    assert_eq!(wire.legs[1].statistics().rejected_packets, 1, "the same keys: the replay window goes on");
    wire.run(50, Duration::ZERO);
    let [one, other] = srtp_pair(profile, 7);
    wire.legs[0].connect(wire.now, &with(one)).expect("keys fit");
    wire.legs[1].connect(wire.now, &with(other)).expect("keys fit");
    wire.run(50, Duration::ZERO);
    let statistics = wire.legs[1].statistics();
    assert_eq!((statistics.received_packets, statistics.rejected_packets), (151, 1));
}

#[test]
fn bad_keys_leave_the_leg_as_it_was() {
    let mut leg = connected(Codec::Pcmu);
    let keys = SrtpKeys {
        profile: SrtpProfile::AeadAes128Gcm,
        local: vec![1; 28],
        remote: vec![2; 30],
        remote_mki: Vec::new(),
    };
    let outcome = leg.connect(ms(10), &LegMedia { srtp: Some(keys), ..media(Codec::Pcmu) });
    assert_eq!(outcome, Err(LegFailure::BadKeys));
    let mut packet = Vec::new();
    assert!(leg.write_rtp(ms(20), &[1; 160], 160, true, None, &mut packet).is_some());
    assert_eq!((packet.len(), packet[1]), (172, 0x80), "in the clear, with the marker");
}

#[test]
fn time_goes_on_while_nothing_is_sent() {
    let mut leg = connected(Codec::Opus);
    let mut timestamps = Vec::new();
    let mut packet = Vec::new();
    for tick in 0..4 {
        match tick {
            1 => leg.skip(960),
            2 => {
                leg.connect(ms(40), &LegMedia { direction: Direction::Inactive, ..media(Codec::Opus) })
                    .expect("no keys");
                assert_eq!(leg.write_rtp(ms(40), &[1], 960, false, None, &mut packet), None);
                assert!(packet.is_empty());
                leg.connect(ms(45), &media(Codec::Opus)).expect("no keys");
            }
            _ => {
                leg.write_rtp(ms(tick * 20), &[1], 960, false, None, &mut packet).expect("sends");
                timestamps.push((packet[3], u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]])));
            }
        }
    }
    assert_eq!(timestamps, [(100, 5_000), (101, 5_000 + 3 * 960)]);
}

#[test]
fn digits_are_reported_once_each_and_make_no_loss() {
    let mut leg = connected(Codec::Pcmu);
    let mut sequence = 0;
    let mut send = |leg: &mut Leg, at: u64, payload_type: u8, timestamp: u32, payload: &[u8]| {
        let mut packet = rtp(payload_type, sequence, timestamp, 9, payload);
        leg.handle_rtp(ms(at), address(PEER), &mut packet);
        sequence += 1;
    };
    let mut lost = 0;
    for n in 0..100_u32 {
        let at = u64::from(n) * 20;
        match n {
            // Two presses of 5 updates and 3 ends each instead of audio.
            40..48 | 60..68 => {
                let begun = if n < 50 { 40 } else { 60 };
                let end = if n % 20 >= 5 { 0x8A } else { 0x0A };
                let duration = ((n - begun + 1) * 160) as u8;
                send(&mut leg, at, 101, begun * 160, &[5, end, 0, duration]);
            }
            _ => send(&mut leg, at, 0, n * 160, &[0x80; 160]),
        }
        lost += usize::from(matches!(leg.pull(ms(at + 5)), Pulled::Lost { .. }));
    }
    assert_eq!(events(&mut leg), [LegEvent::MediaStarted, LegEvent::Digit('5'), LegEvent::Digit('5')]);
    assert!(lost <= 2, "{lost}");
    assert_eq!(leg.statistics().lost_packets, 0);
}

#[test]
fn silence_is_reported_once_and_only_while_the_peer_should_speak() {
    let hold = LegMedia { direction: Direction::SendOnly, ..media(Codec::Pcmu) };
    let silent_until = |leg: &mut Leg, from: u64, to: u64| {
        for second in from..to {
            leg.pull(ms(second * 1_000));
        }
        events(leg)
    };
    let mut leg = connected(Codec::Pcmu);
    assert_eq!(silent_until(&mut leg, 0, 30), []);
    assert_eq!(silent_until(&mut leg, 30, 90), [LegEvent::SilenceTimeout]);
    leg.connect(ms(90_000), &hold).expect("no keys");
    assert_eq!(silent_until(&mut leg, 90, 200), [], "on hold");
    leg.connect(ms(200_000), &media(Codec::Pcmu)).expect("no keys");
    assert_eq!(silent_until(&mut leg, 200, 230), []);
    leg.handle_rtp(ms(229_000), address(PEER), &mut rtp(0, 1, 160, 9, &[0x80; 160]));
    assert_eq!(silent_until(&mut leg, 230, 259), [LegEvent::MediaStarted]);
    assert_eq!(silent_until(&mut leg, 259, 300), [LegEvent::SilenceTimeout]);
}

/// A muted phone may send reports alone, so they are a sign of life. One that has sent them and stops is gone, and known to
/// be so sooner than one that never did (RFC 3550 6.3.5).
#[test]
fn reports_keep_a_silent_call_and_their_end_ends_it_sooner() {
    let report = || vec![0x80, 201, 0, 1, 0, 0, 0, 9];
    let config = |silence| LegConfig {
        ssrc: 1,
        first_sequence: 1,
        first_timestamp: 1,
        jitter_max: JITTER_MAX,
        silence,
        cname: "test".to_owned(),
    };
    for (silence, ends) in [(Some(300), Some(360)), (Some(30), Some(330)), (None, None)] {
        let mut leg = Leg::new(config(silence.map(Duration::from_secs)));
        leg.connect(Timestamp::ZERO, &media(Codec::Pcmu)).expect("no keys");
        leg.handle_rtp(ms(0), address(PEER), &mut rtp(0, 1, 160, 9, &[0x80; 160]));
        assert_eq!(events(&mut leg), [LegEvent::MediaStarted]);
        for second in 0..900 {
            if second <= 300 && second % 5 == 0 {
                leg.handle_rtcp(ms(second * 1_000), address("192.0.2.1:4001"), &mut report());
                leg.handle_rtcp(ms(second * 1_000), address("198.51.100.66:9001"), &mut report());
            }
            if second > 300 {
                leg.handle_rtcp(ms(second * 1_000), address("198.51.100.66:9001"), &mut report());
            }
            leg.pull(ms(second * 1_000));
            let expected = if ends == Some(second) { vec![LegEvent::SilenceTimeout] } else { Vec::new() };
            assert_eq!(events(&mut leg), expected, "{silence:?} s allowed, second {second}");
        }
    }
}

/// A phone that sends nothing: dead towards us, muted at the phone (its reports say that it sends nothing), muted here.
#[test]
fn a_muted_phone_is_not_one_way_audio() {
    let receiver_report = || vec![0x80, 201, 0, 1, 0, 0, 0, 9];
    let sender_report = |packets: u32| {
        let mut report = vec![0x80, 200, 0, 6, 0, 0, 0, 9];
        [0, 0, 0, packets, packets * 160].iter().for_each(|word| report.extend_from_slice(&word.to_be_bytes()));
        report
    };
    type Reports<'a> = &'a dyn Fn(u32) -> Option<Vec<u8>>;
    let cases: [(&str, Reports<'_>, bool, bool); 5] = [
        ("says nothing at all", &|_| None, false, true),
        ("says by reports that it sends", &|n| Some(sender_report(100 + n * 250)), false, true),
        ("says by sender reports that it sends no more", &|_| Some(sender_report(100)), false, false),
        ("reports as one who only receives", &|_| Some(receiver_report()), false, false),
        ("is muted here", &|_| None, true, false),
    ];
    for (what, reports, muted, one_way) in cases {
        let mut leg = connected(Codec::Pcmu);
        leg.set_muted(muted);
        for n in 0..1_000_u32 {
            let now = ms(u64::from(n) * 20);
            if n < 100 {
                leg.handle_rtp(now, address(PEER), &mut rtp(0, n as u16, n * 160, 9, &[0x80; 160]));
            }
            if let Some(mut report) = reports(n / 250).filter(|_| n % 250 == 120) {
                leg.handle_rtcp(now, address("192.0.2.1:4001"), &mut report);
            }
            leg.pull(now);
            leg.write_rtp(now, &[0xFF; 160], 160, false, None, &mut Vec::new());
        }
        assert_eq!(leg.statistics().one_way, one_way, "a phone that {what}");
    }
}

#[test]
fn comfort_noise_is_no_loss_and_other_payload_types_are_refused() {
    let mut leg = connected(Codec::Pcmu);
    for n in 0..50_u16 {
        let timestamp = u32::from(n) * 160;
        let (payload_type, payload): (u8, &[u8]) = if n < 10 { (0, &[0x80; 160]) } else { (13, &[40]) };
        leg.handle_rtp(ms(u64::from(n) * 20), address(PEER), &mut rtp(payload_type, n, timestamp, 9, payload));
        let pulled = leg.pull(ms(u64::from(n) * 20 + 10));
        assert!(!matches!(pulled, Pulled::Lost { .. }), "{n}");
    }
    assert_eq!(leg.statistics().rejected_packets, 0);
    leg.handle_rtp(ms(1_000), address(PEER), &mut rtp(34, 50, 8_000, 9, &[0; 160]));
    assert_eq!(leg.statistics().rejected_packets, 1);
}

#[test]
fn comfort_noise_tells_its_level_until_audio_comes_again() {
    let mut leg = connected(Codec::Pcmu);
    let mut heard = Vec::new();
    for n in 0..40_u16 {
        // Speech, a silence descriptor and one louder, nothing, speech again.
        let sent: Option<(u8, Vec<u8>)> = match n {
            0..10 | 30.. => Some((0, vec![0x80; 160])),
            10 => Some((13, vec![60, 0x7F])),
            20 => Some((13, vec![0x80 | 48])),
            _ => None,
        };
        let number = match n {
            0..=10 => n,
            20 => 11,
            _ => n.saturating_sub(18),
        };
        if let Some((payload_type, payload)) = sent {
            let mut packet = rtp(payload_type, number, u32::from(n) * 160, 9, &payload);
            leg.handle_rtp(ms(u64::from(n) * 20), address(PEER), &mut packet);
        }
        heard.push(match leg.pull(ms(u64::from(n) * 20 + 10)) {
            Pulled::Frame(_) => None,
            Pulled::Noise { minus_dbov } => Some(minus_dbov),
            other => panic!("{other:?} at {n}"),
        });
    }
    let louder = heard.iter().position(|level| *level == Some(48)).expect("the second level");
    assert!(heard[12..louder].iter().all(|level| *level == Some(60)) && (20..24).contains(&louder), "{heard:?}");
    assert!(heard[louder..28].iter().all(|level| *level == Some(48)), "{heard:?}");
    assert_eq!((heard[5], heard[39]), (None, None), "while there is audio there is no noise");
    assert_eq!(leg.statistics().concealed_frames, 0);
}

#[test]
fn comfort_noise_is_sent_where_it_was_agreed_on() {
    let mut leg = connected(Codec::Pcmu);
    let mut out = Vec::new();
    assert_eq!(leg.write_comfort_noise(ms(20), 127, 160, &mut out), None);
    let agreed = LegMedia { comfort_noise: Some(13), ..media(Codec::Pcmu) };
    leg.connect(ms(20), &agreed).expect("no keys");
    assert_eq!(leg.write_comfort_noise(ms(20), 127, 160, &mut out), Some(address(PEER)));
    let (payload_type, first_time) = (out[1], u32::from_be_bytes([out[4], out[5], out[6], out[7]]));
    assert_eq!((payload_type, out.last()), (13, Some(&127)));
    leg.skip(160);
    leg.write_rtp(ms(60), &[0xFF; 160], 160, true, None, &mut out).expect("it sends");
    let next_time = u32::from_be_bytes([out[4], out[5], out[6], out[7]]);
    assert_eq!((out[1] & 0x7F, next_time - first_time), (0, 320), "the clock goes on");
}

#[test]
fn rtcp_from_others_or_malformed_changes_nothing() {
    let mut leg = connected(Codec::Pcmu);
    leg.handle_rtp(ms(10), address(PEER), &mut rtp(0, 1, 160, 9, &[0x80; 160]));
    let bye = [0x80, 201, 0, 1, 0, 0, 0, 9, 0x81, 203, 0, 1, 0, 0, 0, 9];
    let lie = [0x81, 201, 0, 1, 0, 0, 0, 9];
    let elsewhere: SocketAddr = address("198.51.100.66:9001");
    leg.handle_rtcp(ms(20), elsewhere, &mut bye.to_vec());
    leg.handle_rtcp(ms(20), address("192.0.2.1:4001"), &mut lie.to_vec());
    assert_eq!(leg.statistics().rejected_packets, 2);
    leg.handle_rtcp(ms(20), address("192.0.2.1:4001"), &mut bye.to_vec());
    leg.handle_rtp(ms(30), address(PEER), &mut rtp(0, 2, 320, 9, &[0x80; 160]));
    let statistics = leg.statistics();
    assert_eq!((statistics.received_packets, statistics.rejected_packets), (2, 2), "a BYE ends nothing");
    assert_eq!(events(&mut leg), [LegEvent::MediaStarted]);
}

#[test]
fn a_goodbye_is_said() {
    let mut leg = connected(Codec::Pcmu);
    let mut packet = Vec::new();
    assert_eq!(leg.write_bye(ms(50), &mut packet), Some((address("192.0.2.1:4001"), Port::Rtcp)));
    assert_eq!(packet[packet.len() - 8..], [0x81, 203, 0, 1, 0, 0, 0, 1]);
}

/// A phone whose stream begins anew some numbers back, under its old SSRC: to the numbers its packets are late ones.
#[test]
fn a_sender_that_begins_anew_not_far_back_is_heard_soon() {
    const ANEW: u32 = 200;
    // Numbers back, and what is added to the timestamps, which else go back with the numbers.
    for (back, time) in [(7, 0), (50, 0), (100, 0), (50, 51 * 160), (100, 101 * 160), (60, 0x7000_0000)] {
        let mut leg = connected(Codec::Pcmu);
        let mut heard_at = None;
        for n in 0..ANEW + 100 {
            let (number, time) = if n < ANEW { (n, 0) } else { (n - 1 - back, time) };
            let now = ms(u64::from(n) * 20);
            leg.handle_rtp(now, address(PEER), &mut rtp(0, number as u16, number * 160 + time, 9, &[0x80; 160]));
            let heard = matches!(leg.pull(now), Pulled::Frame(_));
            if n >= ANEW {
                heard_at = heard_at.filter(|_| heard).or(heard.then_some((n - ANEW) * 20));
            }
        }
        assert!(heard_at.is_some_and(|at| at <= 200), "{back} back, time + {time}: heard from {heard_at:?} ms on");
    }
}
