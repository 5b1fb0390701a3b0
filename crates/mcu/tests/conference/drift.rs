//! Talkers whose clocks are off, as others hear them.

use base::Timestamp;
use mcu::Port;
use mcu_api::Codec;

use crate::analysis::{discontinuities, rms};
use crate::phone::Phone;
use crate::world::{SETTINGS, World};

/// A tone that does not repeat with the packets.
const TONE: f64 = 1_013.0;

/// Leg 0 speaks to leg 1.
struct Talk {
    world: World,
    /// When the next packet is sent and when it comes, in microseconds.
    sent_us: f64,
    arrives_us: u64,
    /// How wrong its clock is: positive is fast.
    ppm: f64,
    jitter_us: u64,
    dice: u64,
}

impl Talk {
    fn new(codec: Codec, ppm: f64, jitter_us: u64) -> Self {
        let mut world = World::new(SETTINGS);
        world.join(Phone::new(0, codec, TONE));
        world.join(Phone::new(1, Codec::Pcma, 400.0).silent());
        Self { sent_us: 1_003_000.0, arrives_us: 1_003_000, ppm, jitter_us, dice: 7, world }
    }

    fn run(&mut self, seconds: u32) {
        for _ in 0..seconds * 50 {
            let tick = self.world.now.as_micros() + 10_000;
            while self.arrives_us <= tick {
                let (phone, at) = (&mut self.world.phones[0], Timestamp::from_micros(self.arrives_us));
                let mut packet = phone.speak();
                self.world.conference.handle_packet(at, phone.leg, Port::Rtp, phone.media.remote_rtp, &mut packet);
                self.sent_us += 20_000.0 * (1.0 - self.ppm / 1e6);
                self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let late_us = (self.dice >> 33) % (self.jitter_us + 1);
                self.arrives_us = self.arrives_us.max(self.sent_us as u64 + late_us);
            }
            self.world.step();
        }
    }

    /// How often the tone the others heard in the last seconds was broken, and the deepest dip of 20 ms in dB.
    fn judge(&mut self, seconds: u32) -> (usize, f64) {
        let heard = self.world.phone(1).last(f64::from(seconds));
        let levels = heard.chunks_exact(960).map(|piece| 20.0 * rms(piece).log10());
        let (low, high) = levels.fold((0.0_f64, -99.0_f64), |(low, high), level| (low.min(level), high.max(level)));
        (discontinuities(heard, TONE), high - low)
    }
}

#[test]
fn a_steady_tone_has_no_dip_whatever_the_clock() {
    for (codec, ppm, jitter_us) in [
        (Codec::Opus, 500.0, 2_000),
        (Codec::Opus, -500.0, 0),
        (Codec::Pcmu, 500.0, 0),
        (Codec::Pcmu, -500.0, 8_000),
        (Codec::Pcmu, 100.0, 2_000),
        (Codec::Pcmu, 0.0, 2_000),
    ] {
        let mut talk = Talk::new(codec, ppm, jitter_us);
        talk.run(50);
        let allocated = talk.world.allocated;
        talk.run(100);
        let (breaks, dip) = talk.judge(100);
        assert!(breaks == 0 && dip < 0.5, "{codec:?}, {ppm} ppm, {jitter_us} us: {breaks} breaks, {dip:.2} dB");
        assert_eq!(talk.world.allocated, allocated, "{codec:?}, {ppm} ppm: it is played in the memory that is there");
    }
}
