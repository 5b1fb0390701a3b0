//! Whoever begins to speak is heard from the first moment, though nobody decoded him before.

use mcu_api::Codec;

use crate::phone::Phone;
use crate::world::{SETTINGS, World};

/// Energy of 20 ms from each tick on after somebody began to speak.
fn energies(heard: &[i16]) -> Vec<f64> {
    heard.chunks_exact(960).map(|frame| frame.iter().map(|&sample| f64::from(sample).powi(2)).sum()).collect()
}

/// What a listener hears of a talker who was silent for some seconds and now says something. `warm` keeps the talker
/// listened to all the time, by a whisper that is audible.
fn onset(codec: Codec, fec: bool, level: bool, warm: bool) -> Vec<f64> {
    let mut world = World::new(SETTINGS);
    let mut talker = Phone::new(1, codec, 700.0).with(|media| media.opus_fec = fec);
    if level {
        talker = talker.with_level();
    }
    talker.amplitude = if warm { 0.0012 } else { 0.0 };
    world.join(talker);
    world.join(Phone::new(2, codec, 300.0).silent());
    // As long as a whisper takes to become background, less a little.
    world.run(1.0);
    world.phone(1).amplitude = 0.22;
    world.run(0.3);
    energies(world.phone(2).last(0.3))
}

#[test]
fn the_first_20_ms_are_as_loud_as_if_everybody_were_decoded() {
    for (codec, fec, level) in [
        (Codec::Opus, false, false),
        (Codec::Opus, false, true),
        (Codec::Opus, true, false),
        (Codec::Pcmu, false, false),
        (Codec::Pcma, false, true),
    ] {
        let (cold, warm) = (onset(codec, fec, level, false), onset(codec, fec, level, true));
        let loudest = warm.iter().copied().fold(0.0, f64::max);
        let begins = |energies: &[f64]| energies.iter().position(|&energy| energy > loudest / 10.0);
        let at = begins(&warm).expect("it is heard");
        assert_eq!(begins(&cold), Some(at), "{codec:?} {fec} {level}: not a tick later");
        for tick in at..at + 3 {
            let decibels = 10.0 * (cold[tick] / warm[tick]).log10();
            assert!(decibels.abs() < 1.5, "{codec:?} {fec} {level}: {decibels:.1} dB off in tick {tick}");
        }
    }
}
