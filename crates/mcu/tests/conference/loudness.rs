//! Gains that somebody set, and the noise gate: what the others hear of them.

use base::LegId;
use mcu_api::Codec;

use crate::analysis::{decibels, rms, sharpest_bend};
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

/// Two words, a pause of 0.8 s between them, over noise of about -50 dBov.
fn words_over_noise() -> Vec<i16> {
    let mut state = 7_u32;
    let second = |from: f64, to: f64, at: usize| (from..to).contains(&(at as f64 / 48_000.0));
    let sample = |at: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let noise = 180.0 * (f64::from(state >> 8) / f64::from(1 << 23) - 1.0);
        let word = second(2.0, 2.5, at) || second(3.3, 3.8, at);
        let tone = if word { 7_000.0 * (std::f64::consts::TAU * TONES[0] * at as f64 / 48_000.0).sin() } else { 0.0 };
        (noise + tone) as i16
    };
    (0..48_000 * 5).map(sample).collect()
}

#[test]
fn a_noise_gate_silences_the_pauses_of_a_voice_and_leaves_its_words() {
    for gated in [false, true] {
        let mut world = World::new(SETTINGS);
        world.conference.set_noise_gate(gated);
        let mut speaker = Phone::new(0, Codec::Pcmu, TONES[0]);
        speaker.speech = Some(words_over_noise());
        world.join(speaker);
        world.join(Phone::new(1, Codec::Pcmu, 300.0).silent());
        world.run(4.4);
        let heard = &world.phone(1).heard;
        let at = |seconds: f64| (seconds * 48_000.0) as usize;
        for word in [2.0, 3.3] {
            let strength = decibels(&heard[at(word + 0.1)..at(word + 0.5)], TONES[0], 7_000.0 / 32_768.0);
            assert!(strength.abs() < 1.5, "the word at {word} s: {strength} dB, gated: {gated}");
        }
        // The gate is closed 260 ms after the first word; whoever is not gated is in the mix for another 140 ms.
        let pause = rms(&heard[at(2.84)..at(2.89)]);
        assert_eq!(pause < 1e-3, gated, "{pause} in the pause, gated: {gated}");
    }
}
