//! What a recorder is given, and what is reported of each leg's quality.

use std::sync::{Arc, Mutex};

use base::{LegId, Timestamp};
use mcu::{Port, Recorder};
use mcu_api::{Codec, LegStatistics, McuEvent};
use mixer::Frame;

use crate::analysis::{decibels, rms, sharpest_bend};
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

#[derive(Clone, Default)]
struct Tape(Arc<Mutex<Vec<(Timestamp, Frame)>>>);

impl Recorder for Tape {
    fn record(&mut self, now: Timestamp, frame: &Frame) {
        self.0.lock().expect("one thread").push((now, *frame));
    }

    fn end(&mut self, at: Timestamp) {
        let tape = self.0.lock().expect("one thread");
        assert!(tape.last().is_some_and(|(last, _)| at.since(*last).as_millis() <= 20), "it ends after the last frame");
    }
}

#[test]
fn a_recording_holds_everybody_and_every_tick() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0));
    world.join(Phone::new(1, Codec::Pcmu, 800.0));
    world.join(Phone::new(2, Codec::Pcmu, 1_100.0));
    world.conference.set_audience(LegId(2), Some(LegId(1)));
    world.run(1.0);
    let (first, second) = (Tape::default(), Tape::default());
    world.conference.start_recording(world.now, Box::new(first.clone()));
    world.run(2.0);
    world.conference.start_recording(world.now, Box::new(second.clone()));
    world.run(1.0);
    world.conference.stop_recording(world.now);
    world.run(1.0);
    let recorded = first.0.lock().expect("one thread");
    assert_eq!((recorded.len(), second.0.lock().expect("one thread").len()), (100, 50));
    assert!(recorded.windows(2).all(|pair| pair[1].0.since(pair[0].0).as_millis() == 20));
    let sound: Vec<i16> = recorded.iter().flat_map(|(_, frame)| *frame).collect();
    for frequency in [500.0, 800.0] {
        assert!(decibels(&sound, frequency, AMPLITUDE).abs() < 1.0, "{frequency} Hz");
    }
    assert!(decibels(&sound, 1_100.0, AMPLITUDE) < -45.0, "what is whispered is not recorded");
}

fn qualities(world: &World, of: u64) -> Vec<LegStatistics> {
    let quality = |event: &McuEvent| match event {
        McuEvent::LegQuality { leg, statistics } if leg.0 == of => Some(*statistics),
        _ => None,
    };
    world.events.iter().filter_map(quality).collect()
}

#[test]
fn quality_is_reported_each_five_seconds() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0));
    world.join(Phone::new(1, Codec::Pcma, 800.0));
    world.run(20.0);
    for leg in [0, 1] {
        let reports = qualities(&world, leg);
        assert!((3..=4).contains(&reports.len()), "leg {leg}: {}", reports.len());
        let last = reports.last().expect("reports");
        assert!(last.mos_hundredths >= 435 && !last.one_way && last.lost_packets == 0, "leg {leg}: {last:?}");
        assert!(last.buffer_delay_us <= 20_000, "leg {leg}: {last:?}");
    }
}

/// A receiver report of leg `leg` about what it gets.
fn report_loss(world: &mut World, leg: u64, fraction: u8) {
    let mut report = vec![0x81, 201, 0, 7];
    report.extend((0x1000 + leg as u32).to_be_bytes());
    report.extend((0x2000 + leg as u32).to_be_bytes());
    report.extend([fraction, 0, 0, 0]);
    report.extend([0; 16]);
    let from = world.phone(leg).media.remote_rtcp;
    world.conference.handle_packet(world.now, LegId(leg), Port::Rtcp, from, &mut report);
}

#[test]
fn error_correction_begins_where_loss_is_reported_and_leaves_no_seam() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0));
    for leg in 1..3 {
        world.join(Phone::new(leg, Codec::Opus, 500.0).silent().with(|media| media.opus_fec = true));
    }
    world.run(2.0);
    let is_speech_mode = |world: &mut World, leg| world.phone(leg).modes.last().is_some_and(|toc| toc >> 3 < 16);
    assert!(!is_speech_mode(&mut world, 1) && !is_speech_mode(&mut world, 2), "low delay while nothing is lost");
    let calm = sharpest_bend(world.phone(1).last(1.0));
    report_loss(&mut world, 1, 26);
    world.run(2.0);
    assert!(is_speech_mode(&mut world, 1), "SILK or hybrid, which has error correction");
    assert!(!is_speech_mode(&mut world, 2), "the other one loses nothing");
    let sharpest = sharpest_bend(world.phone(1).last(2.5));
    // The tone itself bends by 31 and its coded form by little more; a click would bend by thousands.
    assert!(sharpest < calm * 4, "a click of {sharpest} against {calm}");
    for _ in 0..8 {
        report_loss(&mut world, 1, 0);
        world.run(5.0);
    }
    assert!(!is_speech_mode(&mut world, 1), "and ends half a minute after the last loss");
}

#[test]
fn nothing_is_sent_while_nothing_is_heard_to_who_agreed_on_that() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0).silent());
    world.join(Phone::new(1, Codec::Opus, 500.0).silent().with(|media| media.opus_dtx = true));
    world.join(Phone::new(2, Codec::Opus, 500.0).silent());
    world.phones.iter_mut().for_each(Phone::pause_allowed);
    world.run(1.0);
    let before: Vec<usize> = world.phones.iter().map(|phone| phone.lengths.len()).collect();
    world.run(4.0);
    let sent: Vec<usize> =
        world.phones.iter().zip(before).map(|(phone, before)| phone.lengths.len() - before).collect();
    assert_eq!(sent, [200, 10, 200], "one packet in 400 ms");
    world.phone(0).amplitude = AMPLITUDE;
    world.run(1.0);
    for leg in [1, 2] {
        assert!(decibels(world.phone(leg).last(0.5), 500.0, AMPLITUDE).abs() < 1.0, "leg {leg} hears who speaks");
    }
}

#[test]
fn a_silent_mix_is_told_by_comfort_noise_to_who_agreed_on_that() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Opus, 500.0).silent());
    world.join(Phone::new(1, Codec::Pcmu, 500.0).silent().with(|media| media.comfort_noise = Some(13)));
    world.join(Phone::new(2, Codec::Pcmu, 500.0).silent());
    world.phones.iter_mut().for_each(Phone::pause_allowed);
    world.run(1.0);
    let counts = |world: &World| -> Vec<(usize, usize)> {
        world.phones.iter().map(|phone| (phone.lengths.len(), phone.noises.len())).collect()
    };
    let before = counts(&world);
    world.run(4.0);
    let after = counts(&world);
    let sent: Vec<(usize, usize)> =
        after.iter().zip(&before).map(|(after, before)| (after.0 - before.0, after.1 - before.1)).collect();
    assert_eq!(sent, [(200, 0), (0, 10), (200, 0)], "one description of the silence in 400 ms, and nothing else");
    let line_noise = mixer::LINE_NOISE.dbov();
    assert!(world.phone(1).noises.iter().all(|level| *level == line_noise), "what the others' packets hold");
    let heard = mixer::Level::measure(world.phone(2).last(1.0));
    assert!(heard.dbov().abs_diff(line_noise) <= 1, "{heard:?}");
    world.phone(0).amplitude = AMPLITUDE;
    world.run(1.0);
    for leg in [1, 2] {
        assert!(decibels(world.phone(leg).last(0.5), 500.0, AMPLITUDE).abs() < 1.5, "leg {leg} hears who speaks");
    }
}

#[test]
fn comfort_noise_fills_the_pause_of_somebody_who_is_heard() {
    let mut world = World::new(SETTINGS);
    world.join(Phone::new(0, Codec::Pcmu, 500.0));
    // G.711 is never quite silent, so he has Opus.
    world.join(Phone::new(1, Codec::Opus, 300.0).silent());
    world.run(2.0);
    for tick in 0..50 {
        let mut listener = world.phone(1).speak();
        let from = world.phone(1).media.remote_rtp;
        world.conference.handle_packet(world.now, LegId(1), Port::Rtp, from, &mut listener);
        if tick == 0 {
            let mut noise = world.phone(0).speak_noise(50);
            let from = world.phone(0).media.remote_rtp;
            world.conference.handle_packet(world.now, LegId(0), Port::Rtp, from, &mut noise);
        } else {
            world.phone(0).pause();
        }
        world.step();
    }
    // While the voice still has its place, 400 ms, the noise is there; the second tenth of a second lies within.
    let pause = &world.phone(1).last(1.0)[7_200..12_000];
    let level = 20.0 * rms(pause).log10();
    assert!((-54.0..-46.0).contains(&level), "{level} dBov");
    let tenths: Vec<f64> =
        world.phone(1).last(1.0).chunks_exact(4_800).map(|tenth| 20.0 * rms(tenth).log10()).collect();
    assert!(rms(world.phone(1).last(0.3)) < 1e-4, "afterwards background gives its place up: {tenths:?}");
}
