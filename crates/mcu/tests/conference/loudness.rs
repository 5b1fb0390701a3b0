//! Gains that somebody set, and the noise gate: what the others hear of them.

use base::LegId;
use mcu_api::Codec;

use crate::analysis::{decibels, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

const TONES: [f64; 3] = [450.0, 770.0, 1_130.0];

fn three() -> World {
    let mut world = World::new(SETTINGS);
    for (leg, tone) in (0..).zip(TONES) {
        world.join(Phone::new(leg, Codec::Opus, tone));
    }
    world.run(1.0);
    world
}

/// How loud a leg hears another now.
fn hears(world: &mut World, listener: u64, speaker: usize) -> f64 {
    decibels(world.phone(listener).last(0.5), TONES[speaker], AMPLITUDE)
}

#[test]
fn how_loud_one_is_heard_changes_for_all_others_and_only_for_him() {
    let mut world = three();
    let before = hears(&mut world, 1, 0);
    for (gain, least, most) in [(6, 4.5, 7.5), (-20, -21.5, -18.5), (0, -1.0, 1.0)] {
        world.conference.set_gain(LegId(0), gain, 0);
        world.run(1.5);
        for listener in [1, 2] {
            let change = hears(&mut world, listener, 0) - before;
            assert!((least..=most).contains(&change), "{gain} dB became {change} for {listener}");
        }
        let other = hears(&mut world, 1, 2);
        assert!(other.abs() < 3.0, "leg 2 is as loud as ever: {other} dB");
    }
}

#[test]
fn how_loud_one_hears_changes_for_him_alone() {
    let mut world = three();
    let before = [hears(&mut world, 0, 1), hears(&mut world, 0, 2), hears(&mut world, 1, 2)];
    for (gain, least, most) in [(6, 4.5, 7.5), (-20, -21.5, -18.5), (0, -1.0, 1.0)] {
        world.conference.set_gain(LegId(0), 0, gain);
        world.run(1.5);
        let now = [hears(&mut world, 0, 1), hears(&mut world, 0, 2), hears(&mut world, 1, 2)];
        for heard in 0..2 {
            let change = now[heard] - before[heard];
            assert!((least..=most).contains(&change), "{gain} dB became {change}");
        }
        assert!((now[2] - before[2]).abs() < 1.0, "somebody else hears it as before");
    }
}

#[test]
fn somebody_who_only_listens_hears_louder_and_goes_back_to_the_shared_stream_without_a_click() {
    let mut world = World::new(SETTINGS);
    let mut speaker = Phone::new(0, Codec::Opus, TONES[0]);
    speaker.amplitude = 0.05;
    world.join(speaker);
    world.join(Phone::new(1, Codec::Opus, 300.0).silent());
    world.run(2.0);
    let quiet = sharpest_bend(world.phone(1).last(1.0));
    for gain in [12, 0] {
        world.conference.set_gain(LegId(1), 0, gain);
        world.run(1.0);
        let heard = decibels(world.phone(1).last(0.5), TONES[0], 0.05);
        assert!((heard - f64::from(gain)).abs() < 1.5, "{gain} dB became {heard}");
    }
    let bend = sharpest_bend(world.phone(1).last(2.0));
    assert!(bend < 5 * quiet, "a click: {bend} against {quiet} of the tone, four times as loud for a while");
}
