//! Every codec through the mixer's traits: what goes in comes out, losses are bridged, seams are not heard.

use std::f64::consts::TAU;

use codecs::Codecs;
use mcu_api::{Codec, OpusLimits};
use mixer::{CodecFactory, Decoder, Encoder, EncoderSettings, FRAME_SAMPLES, PACKET_BYTES_MAX, PACKET_SAMPLES_MAX};
use proptest::prelude::*;

const SETTINGS: [EncoderSettings; 4] = [
    EncoderSettings::for_mix(Codec::Opus, false),
    EncoderSettings::for_mix(Codec::Opus, true),
    EncoderSettings::for_mix(Codec::Pcmu, false),
    EncoderSettings::for_mix(Codec::Pcma, false),
];

fn tone(frequency: f64, frames: usize) -> Vec<i16> {
    let sample = |at: usize| (7_200.0 * (TAU * frequency * at as f64 / 48_000.0).sin()).round() as i16;
    (0..frames * FRAME_SAMPLES).map(sample).collect()
}

/// Amplitude of a frequency.
fn amplitude(samples: &[i16], frequency: f64) -> f64 {
    let (re, im) = samples.iter().enumerate().fold((0.0, 0.0), |(re, im), (at, &sample)| {
        let (sin, cos) = (TAU * frequency * at as f64 / 48_000.0).sin_cos();
        (re + f64::from(sample) * cos, im + f64::from(sample) * sin)
    });
    2.0 * f64::hypot(re, im) / samples.len() as f64
}

fn encode(encoder: &mut dyn Encoder, pcm: &[i16]) -> Vec<u8> {
    let mut packet = vec![0; PACKET_BYTES_MAX];
    let length = encoder.encode(pcm, &mut packet).expect("a whole number of frames");
    packet.truncate(length);
    packet
}

fn decode(decoder: &mut dyn Decoder, packet: &[u8]) -> Vec<i16> {
    let mut out = vec![0; PACKET_SAMPLES_MAX];
    let length = decoder.decode(Some(packet), false, &mut out).expect("a packet of this codec");
    out.truncate(length);
    out
}

/// The largest second difference: what a click shows and a tone does not.
fn roughness(samples: &[i16]) -> i32 {
    let bend = |three: &[i16]| (i32::from(three[0]) - 2 * i32::from(three[1]) + i32::from(three[2])).abs();
    samples.windows(3).map(bend).max().expect("three samples or more")
}

#[test]
fn a_tone_passes_every_codec_in_packets_of_20_40_and_60_ms() {
    for settings in SETTINGS {
        for frames in [1, 2, 3] {
            let mut encoder = Codecs.encoder(settings).expect("encoder");
            let mut decoder = Codecs.decoder(settings.codec).expect("decoder");
            let pcm = tone(1_000.0, 60);
            let heard: Vec<i16> = pcm
                .chunks(frames * FRAME_SAMPLES)
                .flat_map(|pcm| decode(&mut *decoder, &encode(&mut *encoder, pcm)))
                .collect();
            assert_eq!(heard.len(), pcm.len());
            let amplitude = amplitude(&heard[9_600..], 1_000.0);
            assert!((6_800.0..7_600.0).contains(&amplitude), "{settings:?} x {frames}: {amplitude}");
        }
    }
}

#[test]
fn a_lost_packet_is_bridged() {
    for settings in SETTINGS {
        let mut encoder = Codecs.encoder(settings).expect("encoder");
        let mut decoder = Codecs.decoder(settings.codec).expect("decoder");
        let packets: Vec<_> = tone(400.0, 20).chunks(FRAME_SAMPLES).map(|pcm| encode(&mut *encoder, pcm)).collect();
        packets[..10].iter().for_each(|packet| drop(decode(&mut *decoder, packet)));
        for (packet, fec) in [(None, false), (Some(&packets[12][..]), true)] {
            let mut bridge = [0; FRAME_SAMPLES];
            assert_eq!(decoder.decode(packet, fec, &mut bridge), Ok(FRAME_SAMPLES));
            let amplitude = amplitude(&bridge, 400.0);
            assert!(amplitude > 2_000.0, "{settings:?} fec {fec}: {amplitude}");
        }
        packets[12..].iter().for_each(|packet| drop(decode(&mut *decoder, packet)));
    }
}

#[test]
fn error_correction_tells_of_the_lost_packet() {
    // The tone changes with the lost packet, so that only the packet after it can tell its frequency.
    let pcm: Vec<i16> = [tone(300.0, 25), tone(700.0, 25)].concat();
    let mut encoder = Codecs.encoder(EncoderSettings::for_mix(Codec::Opus, true)).expect("encoder");
    let packets: Vec<_> = pcm.chunks(FRAME_SAMPLES).map(|pcm| encode(&mut *encoder, pcm)).collect();
    let bridge = |fec: bool| {
        let mut decoder = Codecs.decoder(Codec::Opus).expect("decoder");
        packets[..25].iter().for_each(|packet| drop(decode(&mut *decoder, packet)));
        let mut bridge = [0; FRAME_SAMPLES];
        let packet = fec.then_some(&packets[26][..]);
        decoder.decode(packet, fec, &mut bridge).expect("a bridge");
        amplitude(&bridge, 700.0)
    };
    let (with, without) = (bridge(true), bridge(false));
    assert!(with > 3_000.0 && without < 1_500.0, "with error correction {with}, without {without}");
}

#[test]
fn a_listener_moves_between_two_streams_of_one_sound_without_a_seam() {
    for settings in SETTINGS {
        let mut shared = Codecs.encoder(settings).expect("encoder");
        let mut private = Codecs.encoder(settings).expect("encoder");
        let mut decoder = Codecs.decoder(settings.codec).expect("decoder");
        let pcm = tone(1_000.0, 60);
        let mut heard = Vec::new();
        for (number, frame) in pcm.chunks(FRAME_SAMPLES).enumerate() {
            let at = number * FRAME_SAMPLES;
            if number == 20 {
                private.resume(&pcm[at - 2 * FRAME_SAMPLES..at]);
            }
            if number == 40 {
                shared.refresh();
            }
            let packet = encode(&mut *shared, frame);
            let packet = if (20..40).contains(&number) { encode(&mut *private, frame) } else { packet };
            heard.extend(decode(&mut *decoder, &packet));
        }
        let (calm, switched) = (&heard[14_400..18_200], &heard[18_240..48_000]);
        let (calm, switched) = (roughness(calm), roughness(switched));
        assert!(switched < calm * 3 / 2 + 60, "{settings:?}: {switched} at the seams, {calm} elsewhere");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn arbitrary_packets_do_no_harm(
        packets in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..1_600), any::<bool>()), 1..8),
    ) {
        for codec in [Codec::Opus, Codec::Pcmu, Codec::Pcma] {
            let mut decoder = Codecs.decoder(codec).expect("decoder");
            let mut out = [0; PACKET_SAMPLES_MAX];
            for (packet, fec) in &packets {
                let room = if *fec { FRAME_SAMPLES } else { PACKET_SAMPLES_MAX };
                if let Ok(length) = decoder.decode(Some(packet), *fec, &mut out[..room]) {
                    prop_assert!(length <= room);
                }
                prop_assert_eq!(decoder.decode(None, false, &mut out[..FRAME_SAMPLES]), Ok(FRAME_SAMPLES));
            }
        }
    }
}

#[test]
fn a_silent_telephone_line_is_not_dead() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        let mut encoder = Codecs.encoder(EncoderSettings::for_mix(codec, false)).expect("an encoder");
        let mut decoder = Codecs.decoder(codec).expect("a decoder");
        let heard: Vec<i16> = (0..50).flat_map(|_| decode(&mut *decoder, &encode(&mut *encoder, &[0; 960]))).collect();
        let level = mixer::Level::measure(&heard[9_600..]).dbov();
        assert!((64..=76).contains(&level), "{codec:?}: -{level} dBov");
    }
}

/// Bits per second of two seconds of noise.
fn noise_bitrate(settings: EncoderSettings) -> usize {
    let mut encoder = Codecs.encoder(settings).expect("encoder");
    let mut state = 1_u32;
    let noise: Vec<i16> = (0..100 * FRAME_SAMPLES)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8_192
        })
        .collect();
    noise.chunks(FRAME_SAMPLES).map(|pcm| encode(&mut *encoder, pcm).len()).sum::<usize>() * 8 / 2
}

#[test]
fn opus_keeps_to_what_its_receiver_takes() {
    for fec in [false, true] {
        let settings = |bitrate, playback_rate| {
            EncoderSettings::for_mix(Codec::Opus, fec).limited_to(OpusLimits { bitrate, playback_rate })
        };
        assert!(noise_bitrate(settings(None, None)) > 50_000);
        for most in OpusLimits::BITRATES {
            let got = noise_bitrate(settings(Some(most), None));
            assert!(got <= most as usize * 11 / 10, "FEC {fec}: {got} of {most} bit/s");
        }
        // Nor are bits sent that a narrower bandwidth has no use for.
        for (rate, most) in OpusLimits::PLAYBACK_RATES.into_iter().zip([32_000, 40_000, 48_000]) {
            let got = noise_bitrate(settings(None, Some(rate)));
            assert!(got <= most * 11 / 10, "FEC {fec}, {rate} Hz: {got} bit/s");
        }
        // What lies above half the rate is not there.
        for rate in OpusLimits::PLAYBACK_RATES {
            let frequency = f64::from(rate) * 0.625;
            let mut encoder = Codecs.encoder(settings(None, Some(rate))).expect("encoder");
            let mut decoder = Codecs.decoder(Codec::Opus).expect("decoder");
            let pcm = tone(frequency, 60);
            let heard: Vec<i16> =
                pcm.chunks(FRAME_SAMPLES).flat_map(|pcm| decode(&mut *decoder, &encode(&mut *encoder, pcm))).collect();
            let level = amplitude(&heard[9_600..], frequency);
            assert!(level < 720.0, "FEC {fec}, {rate} Hz: {level}");
        }
    }
}
