//! A sender whose clock is off, in virtual time: what a player gets who can play a little faster or slower.

mod common;

use base::{Duration, Timestamp};
use mcu_api::Codec;
use media::{Leg, Pulled};

use crate::common::{Dice, PEER, address, connected, rtp};

/// Samples of a tick, and what a player needs beyond that to play faster.
const UNIT: f64 = 960.0;
const AHEAD: f64 = 12.0;
/// First byte of a 20 ms Opus packet that does not tell whether it is quiet.
const LOUD: u8 = 0b1111_1000;
const MINUTE: u32 = 3_000;

/// How wrong a clock is at a packet, in parts per million: positive is fast.
type Clock = fn(u32) -> i64;

/// Plays as the mixer does, or 20 ms in each tick whatever the pace.
struct Player {
    paced: bool,
    held: f64,
    /// Units to be made up, and ticks without any.
    lost: u32,
    silent: u32,
    paces: Vec<i32>,
    numbers: Vec<u32>,
    delays_us: Vec<u32>,
}

impl Player {
    const fn new(paced: bool) -> Self {
        Self { paced, held: 0.0, lost: 0, silent: 0, paces: Vec::new(), numbers: Vec::new(), delays_us: Vec::new() }
    }

    fn tick(&mut self, leg: &mut Leg, now: Timestamp) {
        let held = Duration::from_micros((self.held / 0.048) as u64);
        let pace = if self.paced { leg.pace(now, held) } else { 0 };
        self.paces.push(pace);
        let wanted = UNIT + if pace > 0 { AHEAD } else { 0.0 };
        while self.held < wanted {
            match leg.pull(now) {
                Pulled::Frame(frame) => self.numbers.push(number(frame.payload)),
                Pulled::Continued => {}
                Pulled::Lost { .. } => self.lost += 1,
                Pulled::Silence | Pulled::Noise { .. } => {
                    self.silent += 1;
                    self.held = 0.0;
                    return;
                }
            }
            self.held += UNIT;
        }
        self.held -= UNIT * (1.0 + f64::from(pace) / 1e6);
        self.delays_us.push(leg.statistics().buffer_delay_us);
    }

    /// Packets between the first and the last that were played which were not.
    fn left_out(&self) -> u32 {
        let (first, last) = (self.numbers.first().expect("sound"), self.numbers.last().expect("sound"));
        last - first + 1 - self.numbers.len() as u32
    }

    /// Forgets what was counted; what is held stays.
    fn begin_to_count(&mut self) {
        *self = Self { held: self.held, ..Self::new(self.paced) };
    }

    fn delay_ms(&self) -> (u32, u32) {
        let sum: u64 = self.delays_us.iter().map(|&delay| u64::from(delay)).sum();
        let most = self.delays_us.iter().max().copied().unwrap_or_default();
        ((sum / self.delays_us.len() as u64 / 1_000) as u32, most / 1_000)
    }

    fn paced_share(&self) -> f64 {
        self.paces.iter().filter(|&&pace| pace != 0).count() as f64 / self.paces.len() as f64
    }
}

fn number(payload: &[u8]) -> u32 {
    payload.get(2..6).map_or(0, |bytes| u32::from_be_bytes(bytes.try_into().expect("four bytes")))
}

/// A sender with a clock of its own, and the network to us.
struct Sender<N> {
    codec: Codec,
    ppm: Clock,
    /// Whether it says something in this packet, or sends none.
    speaks: fn(u32) -> bool,
    network: N,
    next: u32,
    sequence: u16,
    sent_ns: i64,
}

impl<N: FnMut(u32) -> Option<u64>> Sender<N> {
    const fn new(codec: Codec, ppm: Clock, network: N) -> Self {
        Self { codec, ppm, speaks: |_| true, network, next: 0, sequence: 0, sent_ns: 0 }
    }

    /// When the next packet comes, with the packet. None overtakes another: the time is that of the latest before.
    fn send(&mut self) -> (u64, Option<Vec<u8>>) {
        let (n, at) = (self.next, self.sent_ns as u64 / 1_000);
        self.sent_ns += 20_000_000 - 20 * (self.ppm)(n);
        self.next += 1;
        let (payload_type, units) = if self.codec == Codec::Opus { (111, 960) } else { (0, 160) };
        let mut payload = vec![LOUD, 0];
        payload.extend(n.to_be_bytes());
        payload.resize(if self.codec == Codec::Opus { 40 } else { 160 }, 0x85);
        let speaks = (self.speaks)(n);
        self.sequence = self.sequence.wrapping_add(u16::from(speaks));
        let delay_us = (self.network)(n).filter(|_| speaks);
        let packet = delay_us.map(|_| rtp(payload_type, self.sequence, n.wrapping_mul(units), 9, &payload));
        (at + delay_us.unwrap_or_default(), packet)
    }
}

/// Lets a player play so many packets from a sender.
struct Call<N> {
    leg: Leg,
    sender: Sender<N>,
    next: (u64, Option<Vec<u8>>),
    now_us: u64,
    last_us: u64,
    player: Player,
}

impl<N: FnMut(u32) -> Option<u64>> Call<N> {
    fn new(mut sender: Sender<N>, paced: bool) -> Self {
        let leg = connected(sender.codec);
        let next = sender.send();
        Self { leg, sender, next, now_us: 7_000, last_us: 0, player: Player::new(paced) }
    }

    fn run(&mut self, ticks: u32) {
        for _ in 0..ticks {
            while self.next.0 <= self.now_us {
                let (at, packet) = std::mem::replace(&mut self.next, self.sender.send());
                self.last_us = self.last_us.max(at);
                if let Some(mut packet) = packet {
                    self.leg.handle_rtp(Timestamp::from_micros(self.last_us), address(PEER), &mut packet);
                }
            }
            self.player.tick(&mut self.leg, Timestamp::from_micros(self.now_us));
            self.now_us += 20_000;
        }
    }
}

/// What went wrong in four minutes of sound without a pause, after a first one.
#[derive(Debug, Default, PartialEq, Eq)]
struct Faults {
    made_up: u32,
    left_out: u32,
    silent: u32,
    concealed: u64,
    late: u64,
}

fn faults(call: &mut Call<impl FnMut(u32) -> Option<u64>>, ticks: u32) -> Faults {
    let before = call.leg.statistics();
    call.player.begin_to_count();
    call.run(ticks);
    let after = call.leg.statistics();
    // A packet of G.711 is cut, and comes out under its number once, twice or not at all.
    let left_out = if call.sender.codec == Codec::Opus { call.player.left_out() } else { 0 };
    Faults {
        made_up: call.player.lost,
        left_out,
        silent: call.player.silent,
        concealed: after.concealed_frames - before.concealed_frames,
        late: after.late_packets - before.late_packets,
    }
}

fn steady(codec: Codec, ppm: Clock, jitter_us: u64, paced: bool) -> (Faults, Player) {
    let mut dice = Dice(31);
    let network = move |_| Some(30_000 + dice.below(jitter_us + 1));
    let mut call = Call::new(Sender::new(codec, ppm, network), paced);
    call.run(MINUTE);
    (faults(&mut call, 4 * MINUTE), call.player)
}

const CLOCKS: [(i64, Clock); 6] =
    [(500, |_| 500), (-500, |_| -500), (100, |_| 100), (-100, |_| -100), (20, |_| 20), (0, |_| 0)];

#[test]
fn a_steady_sound_is_played_whole_whatever_the_clock() {
    for (ppm, clock) in CLOCKS {
        for (codec, jitter_us) in
            [(Codec::Opus, 0), (Codec::Opus, 1_000), (Codec::Opus, 8_000), (Codec::Opus, 30_000), (Codec::Pcmu, 2_000)]
        {
            let (faults, player) = steady(codec, clock, jitter_us, true);
            let share = player.paced_share();
            let case = format!("{codec:?}, {ppm} ppm, {jitter_us} us: {share:.3} paced, {:?} ms", player.delay_ms());
            assert_eq!(faults, Faults::default(), "{case}");
            // Twice as fast as the clock at its worst: half of the time.
            let most = ppm.abs() as f64 / 1_000.0;
            assert!(share <= most * 1.2 + 0.12 && (ppm != 0 || share == 0.0), "{case}");
            // A tick, where it falls, and what is never mended.
            let (mean, most) = player.delay_ms();
            let jitter = jitter_us as u32 / 1_000;
            assert!(mean <= 22 + jitter / 2 && most <= 28 + jitter, "{case}");
        }
    }
}

/// The same played at one pace: what the others are spared.
#[test]
fn at_one_pace_a_steady_sound_has_slips() {
    let slips = |clock| {
        let (faults, player) = steady(Codec::Opus, clock, 1_000, false);
        assert_eq!(player.paced_share(), 0.0);
        (faults.left_out, faults.made_up)
    };
    let (fast, slow) = (slips(|_| 500), slips(|_| -500));
    assert!((5..=7).contains(&fast.0) && (5..=7).contains(&slow.1), "six units in four minutes: {fast:?} {slow:?}");
}

#[test]
fn a_clock_that_turns_is_followed() {
    let turning = |n: u32| if (n / (3 * MINUTE)).is_multiple_of(2) { 500 } else { -500 };
    let mut dice = Dice(32);
    let mut call = Call::new(Sender::new(Codec::Opus, turning, move |_| Some(30_000 + dice.below(2_000))), true);
    for turn in 0..6 {
        let learning = faults(&mut call, MINUTE);
        assert!(learning.made_up + learning.left_out <= 1, "turn {turn}: {learning:?}");
        assert_eq!(faults(&mut call, 2 * MINUTE), Faults::default(), "turn {turn}");
        assert!(call.player.delay_ms().1 <= 48, "turn {turn}: {:?}", call.player.delay_ms());
    }
}

/// What jitter leaves behind is played away where nothing can be left out unheard.
#[test]
fn a_delay_that_is_not_needed_any_more_goes_without_a_slip() {
    let mut dice = Dice(33);
    let network =
        move |n: u32| Some(if (MINUTE..MINUTE + 500).contains(&n) { dice.below(40_000) } else { dice.below(1_000) });
    let mut call = Call::new(Sender::new(Codec::Opus, |_| 0, network), true);
    call.run(MINUTE + 520);
    let after = faults(&mut call, 2 * MINUTE);
    assert_eq!((after.made_up, after.left_out), (0, 0), "{after:?}");
    assert!(call.player.paces.iter().any(|&pace| pace > 0));
    assert_eq!(call.player.paces.last(), Some(&0));
    let end = call.player.delays_us[call.player.delays_us.len() - 1];
    assert!(end <= 30_000, "{end} us");
}

/// Speech and pauses in turn, a network that stands still each minute, and a peer that holds for two minutes.
#[test]
fn pauses_bursts_and_a_hold_leave_the_delay_where_it_was() {
    for clock in [|_| 500, |_| -500] as [Clock; 2] {
        let call = |paced| {
            let mut dice = Dice(34);
            let stall_us = |n: u32| if n % MINUTE < 8 { u64::from(8 - n % MINUTE) * 20_000 } else { 0 };
            let network = move |n: u32| Some(30_000 + dice.below(4_000) + stall_us(n));
            let speaks = |n| n % 400 < 300 && !(10 * MINUTE..12 * MINUTE).contains(&n);
            let sender = Sender { speaks, ..Sender::new(Codec::Opus, clock, network) };
            Call::new(sender, paced)
        };
        let (mut paced, mut plain) = (call(true), call(false));
        for call in [&mut paced, &mut plain] {
            call.run(16 * MINUTE);
        }
        let [(mean, most), (mean_before, most_before)] = [paced.player.delay_ms(), plain.player.delay_ms()];
        assert!(
            most <= 120 && most <= most_before + 20 && mean <= mean_before + 10,
            "{mean} and {most} ms, at one pace {mean_before} and {most_before}"
        );
        let [played, played_before] = [&paced, &plain].map(|call| call.player.numbers.len());
        assert!(played + 8 >= played_before, "{played} packets were played, at one pace {played_before}");
        // After the hold nothing is to be learned anew.
        paced.player.begin_to_count();
        paced.run(250);
        assert!(paced.player.lost <= 12, "{} made up", paced.player.lost);
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

    /// Whatever the network and the clock do, nothing is played later than the bound, what the player holds counted.
    #[test]
    fn the_bound_holds_on_any_network(
        fates in proptest::collection::vec((0_u64..300_000, 0_u8..10), 50..1_200),
        ppm in proptest::sample::select(CLOCKS.map(|(_, clock)| clock).to_vec()),
        steady in 0_u32..1_200,
    ) {
        let ticks = fates.len() as u32;
        let network = move |n: u32| {
            let (delay_us, fate) = fates[n as usize % fates.len()];
            let delay_us = if n < steady { delay_us % 2_000 } else { delay_us };
            (fate > 0).then_some(delay_us)
        };
        let mut call = Call::new(Sender::new(Codec::Opus, ppm, network), true);
        for _ in 0..ticks {
            call.run(1);
            let statistics = call.leg.statistics();
            proptest::prop_assert!(statistics.buffer_delay_us <= statistics.buffer_delay_max_us);
        }
    }
}
