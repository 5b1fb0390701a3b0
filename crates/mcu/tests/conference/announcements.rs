//! What is said to one leg, what it hears while it waits, and what somebody whispers to it.

use std::sync::Arc;

use base::LegId;
use mcu::{Playlist, PlaylistItem};
use mcu_api::{AloneAudio, Background, Codec, ConferenceMedia, McuEvent};
use mixer::Clip;

use crate::analysis::{decibels, rms, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

/// A tone as it would come out of a sound file.
fn tone(frequency: f64, seconds: f64) -> Clip {
    let step = std::f64::consts::TAU * frequency / 48_000.0;
    let sample = |at: usize| (AMPLITUDE * 32_767.0 * (step * at as f64).sin()).round() as i16;
    Clip::new((0..(seconds * 48_000.0) as usize).map(sample).collect()).expect("samples")
}

fn list(items: Vec<PlaylistItem>) -> Arc<Playlist> {
    let list = Playlist::new();
    list.fill(Some(items));
    Arc::new(list)
}

fn said(frequency: f64, seconds: f64) -> Arc<Playlist> {
    list(vec![PlaylistItem::Clip(tone(frequency, seconds))])
}

fn endings(world: &World) -> Vec<(u64, bool)> {
    let ending = |event: &McuEvent| match event {
        McuEvent::AnnouncementEnded { leg, completed } => Some((leg.0, *completed)),
        _ => None,
    };
    world.events.iter().filter_map(ending).collect()
}

#[test]
fn an_announcement_is_heard_by_one_leg_over_the_mix() {
    for codec in [Codec::Opus, Codec::Pcma] {
        let mut world = World::new(SETTINGS);
        world.join(Phone::new(0, Codec::Opus, 500.0));
        world.join(Phone::new(1, codec, 400.0).silent());
        world.join(Phone::new(2, codec, 400.0).silent());
        world.run(1.0);
        world.conference.announce(LegId(1), said(1_500.0, 2.0));
        world.run(1.9);
        assert_eq!(endings(&world), []);
        for (frequency, to_one, to_other) in [(500.0, true, true), (1_500.0, true, false)] {
            for (leg, heard) in [(1, to_one), (2, to_other)] {
                let strength = decibels(world.phone(leg).last(1.5), frequency, AMPLITUDE);
                assert_eq!(strength > -3.0, heard, "{codec:?}: leg {leg} hears {frequency} Hz at {strength} dB");
                assert!(heard || strength < -45.0, "{codec:?}: leg {leg} hears {frequency} Hz at {strength} dB");
            }
        }
        world.run(2.0);
        assert_eq!(endings(&world), [(1, true)]);
        assert!(decibels(world.phone(1).last(1.0), 1_500.0, AMPLITUDE) < -45.0, "it is over");
    }
}

#[test]
fn an_announcement_replaces_the_one_before_and_each_ends_once() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0).silent());
    world.run(0.5);
    world.conference.announce(LegId(0), said(1_500.0, 30.0));
    world.run(1.0);
    let calm = sharpest_bend(world.phone(0).last(0.5));
    world.conference.announce(LegId(0), said(1_400.0, 30.0));
    world.run(1.0);
    assert_eq!(endings(&world), [(0, false)]);
    assert!(decibels(world.phone(0).last(0.5), 1_500.0, AMPLITUDE) < -45.0);
    world.conference.stop_announcement(LegId(0));
    world.conference.stop_announcement(LegId(0));
    world.run(0.5);
    assert_eq!(endings(&world), [(0, false), (0, false)]);
    assert!(rms(world.phone(0).last(0.3)) < 1e-3, "it is silent");
    let sharpest = sharpest_bend(&world.phone(0).heard);
    assert!(sharpest < calm * 2, "a click of {sharpest} against {calm}");
}

#[test]
fn what_cannot_be_played_ends_at_once_and_what_is_late_is_waited_for() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Pcmu, 500.0).silent());
    let (missing, late) = (Arc::new(Playlist::new()), Arc::new(Playlist::new()));
    missing.fill(None);
    world.conference.announce(LegId(0), missing);
    world.run(0.1);
    assert_eq!(endings(&world), [(0, false)]);
    world.conference.announce(LegId(0), Arc::clone(&late));
    world.run(0.5);
    assert_eq!(endings(&world), [(0, false)]);
    late.fill(Some(vec![PlaylistItem::Pause(9_600), PlaylistItem::Clip(tone(900.0, 0.6))]));
    world.run(0.8);
    assert!(decibels(world.phone(0).last(0.5), 900.0, AMPLITUDE) > -3.0);
    world.run(0.2);
    assert_eq!(endings(&world), [(0, false), (0, true)]);
}

#[test]
fn an_announcement_waits_while_the_leg_is_not_connected() {
    let mut world = World::new(SETTINGS);
    let phone = Phone::new(0, Codec::Opus, 500.0).silent();
    assert!(world.conference.add_leg(LegId(0), crate::world::identity(LegId(0))));
    world.conference.announce(LegId(0), said(900.0, 0.5));
    world.run(1.0);
    world.conference.connect(world.now, LegId(0), &phone.media).expect("no keys");
    world.phones.push(phone);
    world.run(0.4);
    assert!(decibels(world.phone(0).last(0.3), 900.0, AMPLITUDE) > -3.0, "it is heard from its beginning");
    world.run(0.3);
    assert_eq!(endings(&world), [(0, true)]);
}

#[test]
fn who_waits_hears_the_background_set_for_him() {
    let mut world = World::new(ConferenceMedia { alone: AloneAudio::Music, ..SETTINGS });
    for leg in 0..5 {
        world.join(Phone::new(leg, [Codec::Opus, Codec::Pcmu][leg as usize % 2], 300.0).silent());
        world.conference.set_in_mix(LegId(leg), false);
    }
    let file = said(1_300.0, 1.0);
    for (leg, background) in [
        (1, Background::Silence),
        (2, Background::Ringback),
        (3, Background::File("music.wav".to_owned())),
        (4, Background::File("none.wav".to_owned())),
    ] {
        let sound = matches!(leg, 3).then(|| Arc::clone(&file));
        world.conference.set_background(LegId(leg), &background, sound);
    }
    world.run(6.0);
    assert!(rms(world.phone(0).last(1.0)) > 0.01, "music");
    for leg in [1, 4] {
        assert!(rms(world.phone(leg).last(5.0)) < 1e-3, "leg {leg}: silence");
    }
    assert!(decibels(world.phone(3).last(2.0), 1_300.0, AMPLITUDE) > -2.0, "the file, over and over");
    let ringing = world.phone(2).heard.chunks_exact(4_800).map(|piece| decibels(piece, 425.0, 0.1) > -6.0);
    let ringing: Vec<bool> = ringing.collect();
    let on = ringing.iter().filter(|on| **on).count();
    assert!((18..=21).contains(&on), "1 s in 5 s: {ringing:?}");
    assert!(world.phones.iter().all(|phone| sharpest_bend(&phone.heard) < 1_200));
    world.conference.set_background(LegId(3), &Background::Alone, None);
    world.conference.announce(LegId(3), said(700.0, 1.0));
    world.run(0.9);
    let heard = world.phone(3).last(0.7);
    assert!(decibels(heard, 700.0, AMPLITUDE) > -2.0 && rms(heard) < 1.1 * AMPLITUDE / 2f64.sqrt(), "without music");
    world.run(1.5);
    assert!(rms(world.phone(3).last(1.0)) > 0.01, "now music");
}

#[test]
fn a_whisper_is_heard_by_one_leg_alone() {
    let mut world = World::new(SETTINGS);
    for leg in 0..4 {
        world.join(Phone::new(leg, [Codec::Opus, Codec::Pcma][leg as usize % 2], 500.0 + 300.0 * leg as f64));
    }
    world.phone(3).amplitude = 0.0;
    world.run(1.0);
    let heard_by = |world: &mut World| -> Vec<bool> {
        let strengths = (0..4).map(|leg| decibels(world.phone(leg).last(0.8), 500.0, AMPLITUDE));
        strengths.map(|strength| strength > -25.0).collect()
    };
    assert_eq!(heard_by(&mut world), [false, true, true, true]);
    let calm: Vec<i32> = (0..4).map(|leg| sharpest_bend(world.phone(leg).last(0.8))).collect();
    world.conference.set_audience(LegId(0), Some(LegId(2)));
    world.run(1.0);
    assert_eq!(heard_by(&mut world), [false, false, true, false]);
    for (leg, frequency) in [(2, 800.0), (0, 800.0), (0, 1_100.0), (3, 800.0), (3, 1_100.0)] {
        assert!(decibels(world.phone(leg).last(0.8), frequency, AMPLITUDE) > -3.0, "leg {leg}, {frequency} Hz");
    }
    world.conference.set_audience(LegId(0), Some(LegId(3)));
    world.run(1.0);
    assert_eq!(heard_by(&mut world), [false, false, false, true]);
    world.conference.set_audience(LegId(0), None);
    world.run(1.0);
    assert_eq!(heard_by(&mut world), [false, true, true, true]);
    for (leg, calm) in calm.into_iter().enumerate() {
        let sharpest = sharpest_bend(world.phone(leg as u64).last(3.5));
        assert!(sharpest < calm * 2, "leg {leg}: a click of {sharpest} against {calm}");
    }
}

#[test]
fn who_whispers_is_not_reported_as_a_speaker_and_his_listener_may_go() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 500.0)));
    world.phone(1).amplitude = 0.0;
    world.phone(2).amplitude = 0.0;
    world.conference.set_audience(LegId(0), Some(LegId(1)));
    world.run(1.0);
    let spoke = world.events.iter().any(|event| matches!(event, McuEvent::ActiveSpeakers { .. }));
    assert!(!spoke, "{:?}", world.events);
    world.leave(1);
    world.run(1.0);
    assert!(decibels(world.phone(2).last(0.8), 500.0, AMPLITUDE) < -45.0);
}

#[test]
fn what_is_said_to_all_is_heard_by_all_but_the_one_it_tells_of_and_one_at_a_time() {
    let mut world = World::new(SETTINGS);
    (0..3).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 500.0).silent()));
    world.run(1.0);
    let late = Arc::new(Playlist::new());
    world.conference.announce_to_all(Arc::clone(&late), Some(LegId(2)));
    world.run(0.5);
    late.fill(Some(vec![PlaylistItem::Clip(tone(1_500.0, 1.5))]));
    world.conference.announce_to_all(said(700.0, 1.0), None);
    world.run(1.4);
    for (leg, heard) in [(0, true), (1, true), (2, false)] {
        let strength = decibels(world.phone(leg).last(1.0), 1_500.0, AMPLITUDE);
        assert!(if heard { strength.abs() < 3.0 } else { strength < -45.0 }, "leg {leg}: {strength} dB");
        assert!(decibels(world.phone(leg).last(1.0), 700.0, AMPLITUDE) < -45.0, "one at a time");
    }
    world.run(2.0);
    assert!(rms(world.phone(0).last(1.0)) < 1e-4, "it is over");
    assert_eq!(endings(&world), [], "nobody is owed an end");
    world.leave(1);
    world.leave(2);
    world.conference.announce_to_all(said(700.0, 1.0), None);
    world.run(0.9);
    assert!(decibels(world.phone(0).last(0.6), 700.0, AMPLITUDE).abs() < 3.0, "the last one hears it too");
}
