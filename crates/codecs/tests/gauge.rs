//! The level read from a packet against the level of the sound that the decoder makes of it.

use std::f64::consts::TAU;

use codecs::Codecs;
use mcu_api::Codec;
use mixer::{CodecFactory, Gauged, Level, PACKET_BYTES_MAX, PACKET_SAMPLES_MAX};
use opus::{Application, Bitrate, Channels};
use proptest::prelude::*;

const RATE: f64 = 48_000.0;
/// Half a second at the beginning, in which the filters of the codec settle.
const SETTLING: usize = 24_000;

/// Two seconds of sound of an amplitude of 0.1.
fn sounds() -> Vec<(&'static str, Vec<f64>)> {
    let noise = |dullness: f64| {
        let (mut state, mut dull) = (88_172_645_463_325_252_u64, 0.0);
        move |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            dull += ((state >> 40) as f64 / f64::from(1 << 24) - 0.5 - dull) * dullness;
            0.3 * dull
        }
    };
    let tone = |frequency: f64| move |at: f64| 0.1 * (TAU * frequency * at).sin();
    let voice = |at: f64| {
        let phase = TAU * (130.0 * at + 2.0 * (TAU * 0.7 * at).sin());
        (1..20).map(|harmonic| 0.1 / f64::from(harmonic) * (f64::from(harmonic) * phase).sin()).sum::<f64>()
    };
    let sample = |sound: &mut dyn FnMut(f64) -> f64| (0..96_000).map(|at| sound(f64::from(at) / RATE)).collect();
    vec![
        ("white noise", sample(&mut noise(1.0))),
        ("dull noise", sample(&mut noise(0.3))),
        ("rumble", sample(&mut noise(0.03))),
        ("300 Hz", sample(&mut tone(300.0))),
        ("1000 Hz", sample(&mut tone(1_000.0))),
        ("3100 Hz", sample(&mut tone(3_100.0))),
        ("voice", sample(&mut { voice })),
    ]
}

/// Largest and mean difference between gauged and true level, in decibels; positive where it was gauged too loud.
fn errors(sound: &[f64], gain: f64, frame: usize, bitrate: i32) -> (f64, f64) {
    let mut encoder = opus::Encoder::new(48_000, Channels::Mono, Application::LowDelay).expect("encoder");
    encoder.set_bitrate(Bitrate::Bits(bitrate)).expect("bit rate");
    let (mut gauge, mut decoder) = (Codecs.gauge(Codec::Opus), Codecs.decoder(Codec::Opus).expect("decoder"));
    let (mut largest, mut sum, mut count) = (0.0_f64, 0.0, 0.0);
    for (number, pcm) in sound.chunks_exact(frame).enumerate() {
        let pcm: Vec<i16> = pcm.iter().map(|sample| (sample * gain * 32_767.0).round() as i16).collect();
        let (mut packet, mut out) = ([0; PACKET_BYTES_MAX], [0; PACKET_SAMPLES_MAX]);
        let length = encoder.encode(&pcm, &mut packet).expect("a frame");
        let Gauged::Level(gauged) = gauge.gauge(&packet[..length]) else { panic!("CELT tells its level") };
        let decoded = decoder.decode(Some(&packet[..length]), false, &mut out).expect("a packet");
        if number * frame > SETTLING {
            let error = f64::from(Level::measure(&out[..decoded]).dbov()) - f64::from(gauged.dbov());
            largest = if error.abs() > largest.abs() { error } else { largest };
            (sum, count) = (sum + error, count + 1.0);
        }
    }
    (largest, sum / count)
}

#[test]
fn celt_frames_tell_their_level() {
    let mut wrong = Vec::new();
    for frame in [240, 480, 960, 1_920, 2_880] {
        for (name, sound) in sounds() {
            for (gain, bitrate) in [(1.0, 32_000), (0.05, 32_000), (1.0, 64_000), (0.02, 20_000)] {
                let (largest, mean) = errors(&sound, gain, frame, bitrate);
                // Sound between the harmonics of a pitch is gauged too loud by as much as the post-filter lifts those.
                if !(-7.0..=12.0).contains(&mean) || !(-11.0..=14.0).contains(&largest) {
                    wrong.push(format!("{frame} {name} {gain} {bitrate}: mean {mean:.1}, largest {largest:.1}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn g711_tells_its_level_exactly() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let loud = if codec == Codec::Pcmu { 0x80 } else { 0xAA };
        let Gauged::Level(level) = Codecs.gauge(codec).gauge(&[loud; 160]) else { panic!("G.711 tells its level") };
        assert_eq!(level.dbov(), 0);
        let silence = if codec == Codec::Pcmu { 0xFF } else { 0xD5 };
        let Gauged::Level(level) = Codecs.gauge(codec).gauge(&[silence; 160]) else { panic!("G.711 tells its level") };
        assert!(level.dbov() >= 72, "{codec:?}: {level:?}");
    }
}

#[test]
fn speech_mode_tells_voice_from_noise() {
    let mut encoder = opus::Encoder::new(48_000, Channels::Mono, Application::Voip).expect("encoder");
    encoder.set_bitrate(Bitrate::Bits(20_000)).expect("bit rate");
    encoder.set_signal(opus::Signal::Voice).expect("a setting");
    let mut gauge = Codecs.gauge(Codec::Opus);
    let mut gauged = |sound: &[f64], gain: f64| -> Vec<Gauged> {
        let frames = sound.chunks_exact(960).map(|pcm| {
            let pcm: Vec<i16> = pcm.iter().map(|sample| (sample * gain * 32_767.0).round() as i16).collect();
            let mut packet = [0; PACKET_BYTES_MAX];
            let length = encoder.encode(&pcm, &mut packet).expect("a frame");
            gauge.gauge(&packet[..length])
        });
        frames.collect()
    };
    let sounds = sounds();
    let noise = gauged(&sounds[1].1, 0.02);
    let background = noise[50..].iter().filter(|gauged| matches!(gauged, Gauged::Background { .. })).count();
    assert!(background > 45, "{background} of 50 frames of noise are background");
    let voice = gauged(&sounds[6].1, 1.0);
    let voiced = voice[..50].iter().filter(|&&gauged| gauged == Gauged::Voice).count();
    assert!(voiced > 45, "{voiced} of the first 50 frames of a voice are one");
    assert_eq!(voice[0], Gauged::Voice, "already the first one");
}

/// The excitations of what is background, after the first second, to an encoder set up as phones' are.
fn excitations(sound: &[f64]) -> Vec<u8> {
    let mut encoder = opus::Encoder::new(48_000, Channels::Mono, Application::Voip).expect("encoder");
    encoder.set_bitrate(Bitrate::Bits(32_000)).expect("bit rate");
    encoder.set_complexity(5).expect("a setting");
    encoder.set_inband_fec(true).expect("a setting");
    encoder.set_packet_loss_perc(5).expect("a setting");
    let mut gauge = Codecs.gauge(Codec::Opus);
    let frames = sound.chunks_exact(960).map(|pcm| {
        let pcm: Vec<i16> = pcm.iter().map(|sample| (sample * 32_767.0).round() as i16).collect();
        let mut packet = [0; PACKET_BYTES_MAX];
        let length = encoder.encode(&pcm, &mut packet).expect("a frame");
        gauge.gauge(&packet[..length])
    });
    let background = |gauged| match gauged {
        Gauged::Background { excitation_db } => Some(excitation_db),
        Gauged::Voice | Gauged::Level(_) => None,
    };
    frames.skip(50).filter_map(background).collect()
}

/// An encoder gets used to a tone, however loud, and takes it for background; but its excitation is another than that of the
/// noise before it.
#[test]
fn a_tone_that_speech_mode_takes_for_background_is_told_from_noise() {
    let noise: Vec<f64> = sounds()[0].1.iter().map(|sample| sample * 0.01).collect();
    let tone: Vec<f64> = (0..96_000).map(|at| 0.22 * (TAU * 440.0 * f64::from(at) / RATE).sin()).collect();
    let (noise, tone) = (excitations(&noise), excitations(&tone));
    assert!(noise.len() > 45 && tone.len() > 45, "{} and {} of 50 frames are background", noise.len(), tone.len());
    let ends = |all: &[u8]| (all.iter().copied().min().expect("some"), all.iter().copied().max().expect("some"));
    let ((quietest, loudest), (least, most)) = (ends(&noise), ends(&tone));
    assert!(loudest - quietest <= 2 && most - least <= 2, "{quietest} to {loudest} dB, {least} to {most} dB");
    assert!(least >= loudest + 4, "{quietest} to {loudest} dB for noise, {least} to {most} dB for a tone");
}

proptest! {
    #[test]
    fn any_bytes_are_gauged(packets in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..8)) {
        for codec in [Codec::Opus, Codec::Pcmu] {
            let mut gauge = Codecs.gauge(codec);
            for packet in &packets {
                gauge.gauge(packet);
            }
        }
    }
}
