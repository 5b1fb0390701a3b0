//! Who hears whom.

use base::LegId;
use mcu_api::{Codec, Direction, McuEvent, MediaFilter};

use crate::analysis::{decibels, rms, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

/// Tones in the telephone band. The first six lie in bands of Opus of their own, and none repeats within the time looked
/// at: the noise a codec makes of a tone must not gather where another one is looked for.
const TONES: [f64; 10] = [433.37, 967.19, 1_511.41, 2_053.13, 2_609.29, 3_163.31, 700.17, 1_240.23, 1_780.11, 2_330.43];

/// How long a phone listens until it knows what it hears, in seconds.
const LISTENING: f64 = 4.0;

/// How much sharper a bend a codec may make where the sound changes. A tone that is cut off makes one of 7,000.
const CODEC_NOISE: i32 = 300;

const CODECS: [Codec; 3] = [Codec::Opus, Codec::Pcmu, Codec::Pcma];

fn phone(leg: usize, first_codec: usize) -> Phone {
    Phone::new(leg as u64, CODECS[(leg + first_codec) % CODECS.len()], TONES[leg])
}

/// Checks how strong each phone hears each tone.
fn check_matrix(world: &World, hears: impl Fn(usize, usize) -> bool) {
    check_matrix_down_to(-60.0, world, hears);
}

fn check_matrix_down_to(floor: f64, world: &World, hears: impl Fn(usize, usize) -> bool) {
    for listener in &world.phones {
        for speaker in &world.phones {
            let strength = decibels(listener.last(LISTENING), speaker.frequency, AMPLITUDE);
            let (listener, speaker) = (listener.leg.0 as usize, speaker.leg.0 as usize);
            if hears(listener, speaker) {
                assert!(strength.abs() < 3.0, "leg {listener} hears leg {speaker} at {strength:.1} dB");
            } else {
                assert!(strength < floor, "leg {listener} hears leg {speaker} at {strength:.1} dB, though not to");
            }
        }
    }
}

#[test]
fn everybody_hears_all_others_and_nobody_himself() {
    for legs in 2..=6 {
        for first_codec in 0..CODECS.len() {
            let mut world = World::new(SETTINGS);
            (0..legs).for_each(|leg| world.join(phone(leg, first_codec)));
            world.run(LISTENING + 1.0);
            check_matrix(&world, |listener, speaker| listener != speaker);
        }
    }
}

#[test]
fn those_who_ask_for_error_correction_hear_and_are_heard() {
    let mut world = World::new(SETTINGS);
    for leg in 0..3 {
        world.join(Phone::new(leg, Codec::Opus, TONES[leg as usize]).with(|media| media.opus_fec = true));
    }
    world.run(LISTENING + 1.0);
    // The speech mode of Opus is made for voices; a pure tone has noise around it.
    check_matrix_down_to(-45.0, &world, |listener, speaker| listener != speaker);
}

#[test]
fn a_muted_leg_is_silent_within_a_tick_and_without_a_click() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Pcma, 400.0));
    world.join(Phone::new(1, Codec::Opus, 700.0).silent());
    world.run(2.0);
    let calm = sharpest_bend(world.phone(1).last(1.0));
    for _ in 0..5 {
        world.conference.set_filters(LegId(0), MediaFilter::Block, MediaFilter::Unblock);
        // The fade is in the first tick; the codec and the limiter add 5 ms, which end in the second.
        world.run(0.04);
        world.run(0.2);
        let level = rms(world.phone(1).last(0.2));
        assert!(level < AMPLITUDE * 1e-3, "{level} is heard of a muted leg");
        world.conference.set_filters(LegId(0), MediaFilter::Unblock, MediaFilter::Unblock);
        world.run(0.2);
        let level = rms(world.phone(1).last(0.1));
        assert!(level > AMPLITUDE * 0.6, "{level} is heard of an unmuted leg");
    }
    let sharpest = sharpest_bend(world.phone(1).last(2.2));
    assert!(sharpest < calm + CODEC_NOISE, "a click: {sharpest} against {calm} in the steady tone");
}

#[test]
fn somebody_who_leaves_while_speaking_leaves_no_click() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 400.0));
    world.join(Phone::new(1, Codec::Opus, 700.0).silent());
    world.join(Phone::new(2, Codec::Pcmu, 900.0).silent());
    world.run(2.0);
    let calm = sharpest_bend(world.phone(1).last(1.0));
    world.leave(0);
    world.run(0.5);
    let sharpest = sharpest_bend(world.phone(1).last(0.6));
    assert!(sharpest < calm + CODEC_NOISE, "a click: {sharpest} against {calm} in the steady tone");
    assert!(rms(world.phone(1).last(0.3)) < AMPLITUDE * 1e-3);
}

#[test]
fn a_deaf_leg_hears_silence_and_is_heard() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(phone(leg, 0)));
    world.conference.set_filters(LegId(1), MediaFilter::Unblock, MediaFilter::Block);
    world.run(LISTENING + 1.0);
    check_matrix(&world, |listener, speaker| listener != speaker && listener != 1);
    assert!(rms(world.phone(1).last(1.0)) < 1e-3);
}

#[test]
fn a_leg_on_hold_gets_nothing_and_gives_nothing() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(phone(leg, 0)));
    world.run(1.0);
    world.phone(2).media.direction = Direction::Inactive;
    world.reconnect(2);
    let packets = world.phone(2).lengths.len();
    world.run(2.0);
    assert_eq!(world.phone(2).lengths.len(), packets);
    assert!(decibels(world.phone(0).last(1.0), TONES[2], AMPLITUDE) < -60.0);
    world.phone(2).media.direction = Direction::SendRecv;
    world.phone(2).expect_anything();
    world.reconnect(2);
    world.run(LISTENING + 1.0);
    check_matrix(&world, |listener, speaker| listener != speaker);
}

#[test]
fn a_leg_that_only_listens_is_not_heard_and_one_that_only_speaks_gets_nothing() {
    let mut world = World::new(SETTINGS);
    world.join(phone(0, 0));
    world.join(phone(1, 0).with(|media| media.direction = Direction::SendOnly));
    world.join(phone(2, 0).with(|media| media.direction = Direction::RecvOnly));
    world.run(2.0);
    assert!(world.phone(2).heard.is_empty());
    world.phones.retain(|phone| phone.leg != LegId(2));
    assert!(decibels(world.phone(0).last(1.0), TONES[2], AMPLITUDE).abs() < 3.0);
    assert!(decibels(world.phone(0).last(1.0), TONES[1], AMPLITUDE) < -60.0);
    assert!(decibels(world.phone(1).last(1.0), TONES[0], AMPLITUDE).abs() < 3.0);
}

#[test]
fn a_leg_outside_the_mix_neither_hears_nor_is_heard() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(phone(leg, 0)));
    world.conference.set_in_mix(LegId(2), false);
    world.run(LISTENING + 1.0);
    check_matrix(&world, |listener, speaker| listener != speaker && listener != 2 && speaker != 2);
    world.conference.set_in_mix(LegId(2), true);
    world.run(LISTENING + 1.0);
    check_matrix(&world, |listener, speaker| listener != speaker);
}

#[test]
fn of_ten_who_speak_eight_are_heard_and_they_stay_the_same() {
    let mut world = World::new(SETTINGS);
    for leg in 0..10 {
        let mut phone = Phone::new(leg, Codec::Pcmu, TONES[leg as usize]);
        phone.amplitude = 0.05;
        world.join(phone);
    }
    world.join(Phone::new(10, Codec::Opus, 300.0).silent());
    let heard = |world: &mut World| -> Vec<usize> {
        let heard = world.phone(10).last(0.5).to_vec();
        (0..10).filter(|&leg| decibels(&heard, TONES[leg], 0.05) > -6.0).collect()
    };
    world.run(2.0);
    let first = heard(&mut world);
    assert_eq!(first.len(), 8);
    for _ in 0..4 {
        world.run(0.5);
        assert_eq!(heard(&mut world), first);
    }
    let outsider = (0..10).find(|leg| !first.contains(leg)).expect("two of ten");
    world.phone(outsider as u64).amplitude = 0.2;
    world.run(1.0);
    let outsider_strength = decibels(world.phone(10).last(0.5), TONES[outsider], 0.2);
    assert!(outsider_strength.abs() < 3.0, "{outsider_strength} dB of the one who raised his voice");
}

#[test]
fn who_speaks_is_reported_once_for_each_change() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(phone(leg, 0).silent()));
    world.run(1.0);
    world.phone(1).amplitude = 0.1;
    world.run(0.5);
    world.phone(0).amplitude = 0.3;
    world.run(0.5);
    world.phone(1).amplitude = 0.0;
    world.run(1.0);
    let speakers: Vec<Vec<u64>> = world
        .events
        .iter()
        .filter_map(|event| match event {
            McuEvent::ActiveSpeakers { speakers, .. } => Some(speakers.iter().map(|leg| leg.0).collect()),
            _ => None,
        })
        .collect();
    assert_eq!(speakers, [vec![1], vec![0, 1], vec![0]]);
}
