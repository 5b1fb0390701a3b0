//! What the conference itself lets be heard: music, tones, prompts; and packets of every length.

use base::LegId;
use mcu_api::{AloneAudio, Codec, ConferenceMedia, Prompt};

use crate::analysis::{decibels, rms, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

const MUSIC: ConferenceMedia = ConferenceMedia { alone: AloneAudio::Music, ..SETTINGS };

#[test]
fn who_is_alone_hears_music_until_somebody_comes() {
    for codec in [Codec::Opus, Codec::Pcma] {
        let mut world = World::new(MUSIC);
        world.join(Phone::new(0, codec, 1_000.0));
        world.run(3.0);
        assert!(rms(world.phone(0).last(2.0)) > 0.01, "there is music");
        assert!(decibels(world.phone(0).last(1.0), 1_000.0, AMPLITUDE) < -45.0, "but not his own voice");
        world.join(Phone::new(1, Codec::Opus, 500.0).silent());
        world.run(1.5);
        assert!(rms(world.phone(0).last(1.0)) < 1e-3, "the music ends");
        world.leave(1);
        world.run(2.0);
        assert!(rms(world.phone(0).last(1.0)) > 0.01, "and begins again");
        let sharpest = sharpest_bend(&world.phone(0).heard);
        assert!(sharpest < 600, "a click of {sharpest}");
    }
}

#[test]
fn who_is_alone_hears_silence_if_so_configured() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 1_000.0));
    world.run(2.0);
    assert!(rms(&world.phone(0).heard) < 1e-4);
    assert_eq!(world.phone(0).lengths.len(), 100, "in a continuous stream");
}

#[test]
fn who_waits_outside_the_mix_hears_music() {
    let mut world = World::new(MUSIC);
    (0..3).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 3_000.0 + 100.0 * leg as f64)));
    world.conference.set_in_mix(LegId(2), false);
    world.run(2.0);
    assert!(rms(world.phone(2).last(1.0)) > 0.01);
    assert!(decibels(world.phone(2).last(1.0), 3_000.0, AMPLITUDE) < -45.0);
    assert!(decibels(world.phone(0).last(1.0), 3_100.0, AMPLITUDE).abs() < 3.0);
}

#[test]
fn the_others_hear_who_comes_and_goes() {
    let mut world = World::new(ConferenceMedia { entry_exit_tones: true, ..SETTINGS });
    let join = |world: &mut World, leg| {
        world.join(Phone::new(leg, Codec::Opus, 300.0).silent());
        world.run(0.5);
    };
    join(&mut world, 0);
    assert!(rms(&world.phone(0).heard) < 1e-4, "the first one is told of nobody");
    join(&mut world, 1);
    assert!(rms(world.phone(0).last(0.5)) > 0.01, "he is told of the second one");
    assert!(rms(&world.phone(1).heard) < 1e-3, "who does not hear himself enter");
    join(&mut world, 2);
    world.leave(2);
    world.run(0.5);
    for leg in [0, 1] {
        assert!(rms(world.phone(leg).last(0.5)) > 0.01, "leg {leg} is told of the third one's leaving");
    }
    world.conference.set_in_mix(LegId(1), false);
    world.run(0.5);
    assert!(rms(world.phone(0).last(0.5)) > 0.01, "being taken out of the mix is leaving too");
    assert!(rms(world.phone(1).last(0.4)) < 1e-3);
}

#[test]
fn a_prompt_is_heard_by_one_leg_and_mixed_with_the_others() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 1_000.0));
    world.join(Phone::new(1, Codec::Pcmu, 300.0).silent());
    world.join(Phone::new(2, Codec::Opus, 300.0).silent());
    world.run(2.0);
    world.conference.play_prompt(LegId(1), Prompt::Muted);
    world.conference.play_prompt(LegId(1), Prompt::Ending);
    world.run(1.0);
    assert!(decibels(world.phone(1).last(1.0), 523.3, AMPLITUDE) > -20.0);
    assert!(decibels(world.phone(1).last(1.0), 1_000.0, AMPLITUDE).abs() < 3.0);
    assert!(decibels(world.phone(2).last(1.0), 523.3, AMPLITUDE) < -50.0);
    world.run(1.0);
    assert!(decibels(world.phone(1).last(1.0), 523.3, AMPLITUDE) < -50.0);
}

#[test]
fn a_prompt_ends_without_a_click_in_packets_of_every_length() {
    for packet_time_ms in [20, 40, 60] {
        for phase in 0..3 {
            let mut world = World::new(SETTINGS);
            world.join(Phone::new(0, Codec::Pcmu, 300.0).silent().with(|media| media.packet_time_ms = packet_time_ms));
            world.run(0.6 + 0.02 * f64::from(phase));
            world.conference.play_prompt(LegId(0), Prompt::Muted);
            world.run(1.0);
            let sharpest = sharpest_bend(&world.phone(0).heard);
            assert!(sharpest < 80, "{packet_time_ms} ms, phase {phase}: {sharpest}");
        }
    }
}

#[test]
fn a_prompt_is_heard_outside_the_mix() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Pcma, 300.0).silent());
    world.conference.set_in_mix(LegId(0), false);
    world.run(1.0);
    world.conference.play_prompt(LegId(0), Prompt::EnterPin);
    world.run(0.5);
    assert!(decibels(world.phone(0).last(0.5), 784.0, AMPLITUDE) > -20.0);
}

#[test]
fn packets_have_the_length_the_peer_asked_for() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 1_000.0));
    for (leg, codec) in [(1, Codec::Pcmu), (4, Codec::Pcma)] {
        for (leg, packet_time_ms) in (leg..).zip([20, 40, 60]) {
            let phone = Phone::new(leg, codec, 300.0).silent();
            world.join(phone.with(|media| media.packet_time_ms = packet_time_ms));
        }
    }
    world.run(3.0);
    for leg in 1..=6 {
        let phone = world.phone(leg);
        let wanted = usize::from(phone.media.packet_time_ms) * 8;
        assert!(phone.lengths.iter().all(|&length| length == wanted), "leg {leg}: {:?}", &phone.lengths[..3]);
        assert!(decibels(phone.last(1.0), 1_000.0, AMPLITUDE).abs() < 3.0);
    }
}

#[test]
fn a_codec_changed_by_a_re_invite_is_used_at_once() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 1_000.0));
    world.join(Phone::new(1, Codec::Opus, 600.0));
    world.run(1.0);
    let phone = Phone::new(1, Codec::Pcma, 600.0);
    world.conference.connect(world.now, LegId(1), &phone.media).expect("no keys");
    *world.phone(1) = phone;
    world.run(2.0);
    assert!(decibels(world.phone(1).last(1.0), 1_000.0, AMPLITUDE).abs() < 3.0);
    assert!(decibels(world.phone(0).last(1.0), 600.0, AMPLITUDE).abs() < 3.0);
}
