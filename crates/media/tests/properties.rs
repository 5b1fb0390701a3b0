//! Arbitrary packets at arbitrary times: no panic, the bound of the delay holds, memory stays small.

mod common;

use base::{Duration, Timestamp};
use mcu_api::{Codec, LegMedia, SrtpKeys, SrtpProfile};
use media::{Leg, Pulled};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::common::{JITTER_MAX, PEER, address, leg, media, rtp};

/// What happens next to a leg.
#[derive(Clone, Debug)]
enum Step {
    /// A packet with a valid header; sequence and timestamp move by these steps.
    Rtp { payload_type: u8, sequence: i16, timestamp: i32, same_source: bool, payload: Vec<u8> },
    /// Any bytes, to either port.
    Bytes { bytes: Vec<u8>, rtcp: bool },
    /// Time passes, in milliseconds, with a pull in every 20.
    Time(u16),
    /// A re-INVITE.
    Connect { opus: bool, srtp: bool },
}

fn step() -> impl Strategy<Value = Step> {
    let payload_type = prop_oneof![4 => Just(111_u8), 4 => Just(0), 1 => Just(101), 1 => Just(13), 1 => any::<u8>()];
    let sequence = prop_oneof![6 => Just(1_i16), 2 => -20_i16..20, 1 => any::<i16>()];
    let timestamp = prop_oneof![4 => Just(960_i32), 4 => Just(160), 2 => -5_000..5_000, 1 => any::<i32>()];
    let payload =
        prop_oneof![3 => vec(any::<u8>(), 160), 3 => vec(any::<u8>(), 0..200), 1 => vec(any::<u8>(), 1_400..1_700)];
    prop_oneof![
        10 => (payload_type, sequence, timestamp, prop::bool::weighted(0.95), payload).prop_map(
            |(payload_type, sequence, timestamp, same_source, payload)| Step::Rtp {
                payload_type, sequence, timestamp, same_source, payload
            }
        ),
        2 => (vec(any::<u8>(), 0..120), any::<bool>()).prop_map(|(bytes, rtcp)| Step::Bytes { bytes, rtcp }),
        6 => (0_u16..60).prop_map(Step::Time),
        1 => (0_u16..3_000).prop_map(Step::Time),
        1 => (any::<bool>(), prop::bool::weighted(0.2)).prop_map(|(opus, srtp)| Step::Connect { opus, srtp }),
    ]
}

struct Run {
    leg: Leg,
    now: Timestamp,
    next_pull: Timestamp,
    sequence: u16,
    timestamp: u32,
}

impl Run {
    fn new() -> Self {
        let (now, next_pull) = (Timestamp::ZERO, Timestamp::from_millis(20));
        Self { leg: leg(1), now, next_pull, sequence: 65_500, timestamp: u32::MAX - 3_000 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Rtp { payload_type, sequence, timestamp, same_source, payload } => {
                self.sequence = self.sequence.wrapping_add_signed(sequence);
                self.timestamp = self.timestamp.wrapping_add_signed(timestamp);
                let ssrc = if same_source { 9 } else { 10 };
                let mut packet = rtp(payload_type, self.sequence, self.timestamp, ssrc, &payload);
                self.leg.handle_rtp(self.now, address(PEER), &mut packet);
            }
            Step::Bytes { mut bytes, rtcp: true } => self.leg.handle_rtcp(self.now, address(PEER), &mut bytes),
            Step::Bytes { mut bytes, rtcp: false } => self.leg.handle_rtp(self.now, address(PEER), &mut bytes),
            Step::Time(ms) => {
                self.now = self.now + Duration::from_millis(u64::from(ms));
                self.pull();
            }
            Step::Connect { opus, srtp } => {
                let keys = SrtpKeys {
                    profile: SrtpProfile::AeadAes128Gcm,
                    local: vec![1; 28],
                    remote: vec![2; 28],
                    remote_mki: Vec::new(),
                };
                let codec = if opus { Codec::Opus } else { Codec::Pcmu };
                let media = LegMedia { srtp: srtp.then_some(keys), rtcp_mux: opus, ..media(codec) };
                self.leg.connect(self.now, &media).expect("keys fit");
            }
        }
    }

    fn pull(&mut self) {
        while self.next_pull <= self.now {
            if let Pulled::Frame(frame) = self.leg.pull(self.next_pull) {
                assert!((1..=6).contains(&frame.units));
                assert!(!frame.payload.is_empty() && frame.payload.len() <= 1_700);
                let waited = Duration::from_micros(self.leg.statistics().buffer_delay_us.into());
                // 200 ms is the longest packet there is; handing it out takes that long.
                assert!(waited <= JITTER_MAX.max(Duration::from_millis(220)), "{waited:?}");
            }
            while self.leg.poll_rtcp(self.next_pull, &mut Vec::new()).is_some() {}
            self.leg.write_rtp(self.next_pull, &[1; 20], 160, false, None, &mut Vec::new());
            while self.leg.poll_event().is_some() {}
            self.next_pull = self.next_pull + Duration::from_millis(20);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_the_leg_stands(steps in vec(step(), 1..200)) {
        let mut run = Run::new();
        run.step(Step::Connect { opus: true, srtp: false });
        steps.into_iter().for_each(|step| run.step(step));
    }

    /// Packets of at most 20 ms, in any order and with any delay: none is handed out after the bound.
    #[test]
    fn the_delay_stays_under_the_bound(arrivals in vec((0_u64..4_000, 0_u32..200), 1..300)) {
        let mut arrivals = arrivals;
        arrivals.sort_unstable();
        let mut leg = leg(1);
        leg.connect(Timestamp::ZERO, &media(Codec::Pcmu)).expect("no keys");
        let mut arrivals = arrivals.into_iter().peekable();
        for tick in 1..=210_u64 {
            let now = Timestamp::from_millis(tick * 20);
            while let Some((at, n)) = arrivals.next_if(|(at, _)| Timestamp::from_millis(*at) <= now) {
                let mut packet = rtp(0, n as u16, n * 160, 9, &[0x80; 160]);
                leg.handle_rtp(Timestamp::from_millis(at), address(PEER), &mut packet);
            }
            leg.pull(now);
            prop_assert!(leg.statistics().buffer_delay_us <= JITTER_MAX.as_micros() as u32);
        }
    }
}
