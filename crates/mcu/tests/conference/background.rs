//! What encoders take for background: room noise, and a tone that they got used to.

use base::LegId;
use mcu_api::{Codec, MediaFilter};

use crate::analysis::{decibels, rms};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

/// A tone that Opus' speech mode takes for a voice no longer than 0.8 s.
const TONE: f64 = 440.0;
/// Enough time for that, and for everybody's noise to be known as such.
const SETTLING: f64 = 3.0;

fn tone() -> Phone {
    Phone::new(0, Codec::Opus, TONE).with_fec()
}

/// Twenty who send room noise, of whom leg 0 is one.
fn crowd() -> World {
    let mut world = World::new(SETTINGS);
    (0..20).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 0.0).noisy(6)));
    world
}

#[test]
fn a_steady_tone_is_heard_among_the_noise_of_many() {
    let mut world = crowd();
    let mut tone = tone();
    for _ in 0..(SETTLING * 50.0) as usize {
        world.tick();
        tone.speak();
    }
    let noise = rms(world.phone(1).last(1.0));
    assert!(noise < 1e-4, "nobody's noise is heard: {noise}");
    world.phone(0).go_on_as(tone);
    world.run(0.8);
    for leg in 1..20 {
        let strength = decibels(world.phone(leg).last(0.7), TONE, AMPLITUDE);
        assert!(strength.abs() < 3.0, "leg {leg} hears it at {strength:.1} dB");
    }
    assert!(rms(world.phone(0).last(0.5)) < 1e-4, "nobody hears himself");
}

#[test]
fn a_steady_tone_is_heard_when_its_leg_is_unmuted() {
    let mut world = World::new(SETTINGS);
    world.join(tone());
    world.join(Phone::new(1, Codec::Opus, 0.0).silent());
    world.conference.set_filters(LegId(0), MediaFilter::Block, MediaFilter::Unblock);
    world.run(SETTLING);
    world.conference.set_filters(LegId(0), MediaFilter::Unblock, MediaFilter::Unblock);
    world.run(0.6);
    let strength = decibels(world.phone(1).last(0.5), TONE, AMPLITUDE);
    assert!(strength.abs() < 3.0, "{strength:.1} dB");
}
