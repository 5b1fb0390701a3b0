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
    let mut out = [0; PACKET_BYTES_MAX];
    let mut packet = |pcm| {
        let length = encoder.encode(pcm, &mut out).expect("a frame");
        out[..length].to_vec()
    };
    voice().iter().map(|pcm| packet(pcm)).collect()
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
