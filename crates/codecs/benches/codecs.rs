//! What codecs cost for 20 ms, and what it costs to gauge a packet instead of decoding it.
//!
//!     cargo bench -p codecs

use std::cell::Cell;
use std::f64::consts::TAU;

use codecs::Codecs;
use divan::{Bencher, black_box};
use mcu_api::Codec;
use mixer::{CodecFactory, EncoderSettings, FRAME_SAMPLES, Frame, PACKET_BYTES_MAX, PACKET_SAMPLES_MAX};

/// Frames of sound, which go round and round.
const FRAMES: usize = 100;

/// Opus as mixes are encoded, Opus in speech mode (which error correction needs), G.711.
const KINDS: [(&str, Codec, bool); 3] =
    [("low delay", Codec::Opus, false), ("speech", Codec::Opus, true), ("PCMU", Codec::Pcmu, false)];

fn main() {
    divan::main();
}

fn voice() -> Vec<Frame> {
    let sample = |at: usize| {
        let seconds = at as f64 / 48_000.0;
        let phase = TAU * (130.0 * seconds + 2.0 * (TAU * 0.7 * seconds).sin());
        let tone: f64 = (1..20).map(|harmonic| (f64::from(harmonic) * phase).sin() / f64::from(harmonic)).sum();
        (5_000.0 * (TAU * 2.0 * seconds).sin().abs() * tone) as i16
    };
    (0..FRAMES).map(|number| std::array::from_fn(|at| sample(number * FRAME_SAMPLES + at))).collect()
}

fn packets(codec: Codec, fec: bool) -> Vec<Vec<u8>> {
    let mut encoder = Codecs.encoder(EncoderSettings::for_mix(codec, fec)).expect("encoder");
    let mut encode = |pcm: &Frame| {
        let mut out = [0; PACKET_BYTES_MAX];
        let length = encoder.encode(pcm, &mut out).expect("a frame");
        out[..length].to_vec()
    };
    voice().iter().map(&mut encode).collect()
}

fn rounds() -> impl Fn() -> usize {
    let next = Cell::new(0);
    move || next.replace((next.get() + 1) % FRAMES)
}

#[divan::bench(args = KINDS.map(|kind| kind.0))]
fn encode(bencher: Bencher<'_, '_>, kind: &str) {
    let (_, codec, fec) = *KINDS.iter().find(|one| one.0 == kind).expect("listed");
    let mut encoder = Codecs.encoder(EncoderSettings::for_mix(codec, fec)).expect("encoder");
    let (voice, next, mut out) = (voice(), rounds(), [0; PACKET_BYTES_MAX]);
    bencher.bench_local(|| encoder.encode(black_box(&voice[next()]), &mut out));
}

#[divan::bench(args = KINDS.map(|kind| kind.0))]
fn decode(bencher: Bencher<'_, '_>, kind: &str) {
    let (_, codec, fec) = *KINDS.iter().find(|one| one.0 == kind).expect("listed");
    let mut decoder = Codecs.decoder(codec).expect("decoder");
    let (packets, next, mut out) = (packets(codec, fec), rounds(), [0; PACKET_SAMPLES_MAX]);
    bencher.bench_local(|| decoder.decode(Some(black_box(&packets[next()])), false, &mut out));
}

#[divan::bench(args = KINDS.map(|kind| kind.0))]
fn gauge(bencher: Bencher<'_, '_>, kind: &str) {
    let (_, codec, fec) = *KINDS.iter().find(|one| one.0 == kind).expect("listed");
    let mut gauge = Codecs.gauge(codec);
    let (packets, next) = (packets(codec, fec), rounds());
    bencher.bench_local(|| gauge.gauge(black_box(&packets[next()])));
}

/// Somebody begins to speak whom nobody decoded so far: a decoder that was another's hears his last four packets.
#[divan::bench(args = KINDS.map(|kind| kind.0))]
fn warm_a_decoder(bencher: Bencher<'_, '_>, kind: &str) {
    let (_, codec, fec) = *KINDS.iter().find(|one| one.0 == kind).expect("listed");
    let mut decoder = Codecs.decoder(codec).expect("decoder");
    let (packets, next, mut out) = (packets(codec, fec), rounds(), [0; PACKET_SAMPLES_MAX]);
    bencher.bench_local(|| {
        decoder.reset();
        for _ in 0..4 {
            let _ = decoder.decode(Some(black_box(&packets[next()])), false, &mut out);
        }
    });
}

/// A stream goes over from the mix of all to one of its own: the encoder hears the last two frames first.
#[divan::bench(args = KINDS.map(|kind| kind.0))]
fn resume_an_encoder(bencher: Bencher<'_, '_>, kind: &str) {
    let (_, codec, fec) = *KINDS.iter().find(|one| one.0 == kind).expect("listed");
    let mut encoder = Codecs.encoder(EncoderSettings::for_mix(codec, fec)).expect("encoder");
    let history = voice()[..2].concat();
    bencher.bench_local(|| encoder.resume(black_box(&history)));
}

/// A packet of so many frames of 20 ms, for those who agreed on long packets.
#[divan::bench(args = [1, 2, 3])]
fn encode_a_long_packet(bencher: Bencher<'_, '_>, frames: usize) {
    let mut encoder = Codecs.encoder(EncoderSettings::for_mix(Codec::Opus, false)).expect("encoder");
    let (sound, mut out) = (voice()[..frames].concat(), [0; PACKET_BYTES_MAX]);
    bencher.bench_local(|| encoder.encode(black_box(&sound), &mut out));
}
