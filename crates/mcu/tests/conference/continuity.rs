//! What is heard has no seams.

use base::LegId;
use mcu_api::{Codec, MediaFilter, Prompt};

use crate::analysis::{decibels, discontinuities, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

/// The tone listened to. It does not repeat with the packets, so that a packet put in the wrong place is noticed.
const TONE: f64 = 1_013.0;

#[test]
fn a_steady_tone_of_a_minute_has_no_discontinuity() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, TONE));
    world.join(Phone::new(1, Codec::Opus, 400.0).silent());
    world.join(Phone::new(2, Codec::Pcmu, 400.0).silent());
    world.join(Phone::new(3, Codec::Pcma, 400.0).silent().with(|media| media.packet_time_ms = 60));
    world.join(Phone::new(4, Codec::Opus, 400.0).silent().with(|media| media.packet_time_ms = 40));
    world.run(62.0);
    for listener in 1..=4 {
        let heard = world.phone(listener).last(60.0).to_vec();
        assert_eq!(discontinuities(&heard, TONE), 0, "leg {listener}");
        let strength = decibels(&heard, TONE, AMPLITUDE);
        assert!(strength.abs() < 0.5, "leg {listener} hears the tone at {strength} dB");
    }
}

#[test]
fn others_who_come_speak_and_go_do_not_disturb_a_tone() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, TONE));
    world.join(Phone::new(1, Codec::Opus, 400.0).silent());
    world.join(Phone::new(2, Codec::Pcmu, 400.0).silent().with(|media| media.packet_time_ms = 60));
    world.run(2.0);
    let calm = [1, 2].map(|leg| sharpest_bend(world.phone(leg).last(1.0)));
    for round in 0..4 {
        // The listeners become talkers, which gives each a stream of his own, and fall silent again. They are quiet, since
        // a tone that begins in the middle of a piece would itself be a discontinuity.
        for listener in [1, 2] {
            world.phone(listener).amplitude = 0.01;
        }
        world.join(Phone::new(3, Codec::Pcma, 2_600.0).silent());
        world.run(0.5 + 0.02 * f64::from(round));
        for listener in [1, 2] {
            world.phone(listener).amplitude = 0.0;
        }
        world.leave(3);
        world.run(1.0);
    }
    for (listener, calm) in [1, 2].into_iter().zip(calm) {
        let heard = world.phone(listener).last(5.0);
        let sharpest = sharpest_bend(heard);
        assert!(sharpest < calm * 2, "leg {listener}: {sharpest} against {calm}");
        assert_eq!(discontinuities(heard, TONE), 0, "leg {listener}");
    }
}

#[test]
fn eight_loud_voices_do_not_clip() {
    let mut world = World::new(SETTINGS);
    for leg in 0..8 {
        let mut phone = Phone::new(leg, Codec::Opus, 400.0 + 290.0 * leg as f64);
        phone.amplitude = 0.8;
        world.join(phone);
    }
    world.join(Phone::new(8, Codec::Opus, 400.0).silent());
    world.join(Phone::new(9, Codec::Pcma, 400.0).silent());
    world.run(3.0);
    for listener in [8, 9] {
        let heard = world.phone(listener).last(2.0);
        let peak = heard.iter().map(|sample| sample.unsigned_abs()).max().expect("samples");
        assert!((20_000..32_767).contains(&peak), "leg {listener}: peak {peak}");
        let strengths: Vec<f64> = (0..8).map(|leg| decibels(heard, 400.0 + 290.0 * f64::from(leg), 1.0)).collect();
        let (weakest, strongest) =
            strengths.iter().fold((0.0f64, -99.0f64), |(low, high), &s| (low.min(s), high.max(s)));
        assert!(strongest - weakest < 3.0, "leg {listener} hears the voices at {strengths:?}");
    }
}

#[test]
fn being_made_deaf_and_hearing_again_makes_no_click() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0));
    world.join(Phone::new(1, Codec::Opus, 400.0).silent());
    world.join(Phone::new(2, Codec::Pcmu, 400.0).silent().with(|media| media.packet_time_ms = 40));
    world.run(2.0);
    let calm = [1, 2].map(|leg| sharpest_bend(world.phone(leg).last(1.0)));
    for round in 0..6 {
        let egress = if round % 2 == 0 { MediaFilter::Block } else { MediaFilter::Unblock };
        for leg in [1, 2] {
            world.conference.set_filters(LegId(leg), MediaFilter::Unblock, egress);
        }
        world.run(0.22);
    }
    for (leg, calm) in [1, 2].into_iter().zip(calm) {
        let sharpest = sharpest_bend(world.phone(leg).last(1.3));
        assert!(sharpest < calm * 2, "leg {leg}: {sharpest} against {calm}");
    }
}

#[test]
fn a_prompt_into_a_mix_that_is_being_limited_leaves_no_seam() {
    let mut world = World::new(SETTINGS);
    for leg in 0..3 {
        let mut phone = Phone::new(leg, Codec::Pcmu, 300.0 + 113.0 * leg as f64);
        phone.amplitude = 0.7;
        world.join(phone);
    }
    world.join(Phone::new(3, Codec::Opus, 400.0).silent());
    world.join(Phone::new(4, Codec::Opus, 400.0).silent());
    world.run(2.0);
    for _ in 0..4 {
        world.conference.play_prompt(LegId(4), Prompt::WrongPin);
        world.run(1.13);
    }
    let [calm, prompted] = [3, 4].map(|leg| sharpest_bend(world.phone(leg).last(4.4)));
    assert!(prompted < calm * 5 / 4, "{prompted} against {calm}");
}
