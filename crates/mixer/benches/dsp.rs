//! What the mixer does to 20 ms of sound, and to choose who is heard.
//!
//!     cargo bench -p mixer

use std::f64::consts::TAU;

use divan::{Bencher, black_box};
use mixer::{
    Downsampler, FRAME_SAMPLES, Frame, Level, Limiter, NARROW_FRAME_SAMPLES, SILENCE, SpeakerChoice, Speech, Sum,
    Upsampler, Varispeed,
};

fn main() {
    divan::main();
}

fn tone(amplitude: f64) -> Frame {
    std::array::from_fn(|at| (32_767.0 * amplitude * (TAU * 440.0 * at as f64 / 48_000.0).sin()) as i16)
}

#[divan::bench]
fn add_a_voice(bencher: Bencher<'_, '_>) {
    let (mut sum, frame) = (Sum::new(), tone(0.01));
    bencher.bench_local(|| sum.add(black_box(&frame)));
}

/// A talker's own mix: all, less his voice.
#[divan::bench]
fn take_a_voice_out(bencher: Bencher<'_, '_>) {
    let (mut total, own) = (Sum::new(), tone(0.2));
    total.add(&own);
    bencher.bench_local(|| {
        let mut sum = black_box(&total).clone();
        sum.subtract(&own);
        sum
    });
}

/// Voices at this amplitude, three of them: the limiter rests, or works.
#[divan::bench(args = [0.2, 0.8])]
fn limit(bencher: Bencher<'_, '_>, amplitude: f64) {
    let (mut sum, mut limiter, mut out) = (Sum::new(), Limiter::new(), SILENCE);
    (0..3).for_each(|_| sum.add(&tone(amplitude)));
    bencher.bench_local(|| limiter.process(black_box(&sum), &mut out));
}

#[divan::bench]
fn measure_a_level(bencher: Bencher<'_, '_>) {
    let frame = tone(0.2);
    bencher.bench_local(|| Level::measure(black_box(&frame)));
}

#[divan::bench]
fn up_from_8_khz(bencher: Bencher<'_, '_>) {
    let (mut upsampler, narrow, mut wide) = (Upsampler::new(), [1_000; NARROW_FRAME_SAMPLES], SILENCE);
    bencher.bench_local(|| upsampler.process(black_box(&narrow), &mut wide));
}

#[divan::bench]
fn down_to_8_khz(bencher: Bencher<'_, '_>) {
    let (mut downsampler, wide, mut narrow) = (Downsampler::new(), tone(0.2), [0; NARROW_FRAME_SAMPLES]);
    debug_assert_eq!(wide.len(), FRAME_SAMPLES);
    bencher.bench_local(|| downsampler.process(black_box(&wide), &mut narrow));
}

/// A frame of somebody whose clock is off, in parts per million; at 0 it is copied.
#[divan::bench(args = [0, 1_000, -1_000])]
fn play_at_a_pace(bencher: Bencher<'_, '_>, pace: i32) {
    let (mut varispeed, unit, mut out) = (Varispeed::new(), tone(0.2), SILENCE);
    bencher.bench_local(|| {
        while varispeed.held() < varispeed.needed(pace) {
            varispeed.push(black_box(&unit));
        }
        varispeed.play(pace, &mut out);
    });
}

/// Who is decoded, and who is heard: each of so many legs tells its level, three of them speak.
#[divan::bench(args = [10, 100, 1_000])]
fn choose_whom_to_decode(bencher: Bencher<'_, '_>, legs: usize) {
    let mut voices = vec![Speech::new(); legs];
    let mut choice = SpeakerChoice::new(16);
    let level = |leg: usize| Level::from_dbov(if leg.is_multiple_of(legs / 3 + 1) { 25 } else { 58 });
    bencher.bench_local(|| {
        for (leg, voice) in voices.iter_mut().enumerate() {
            voice.update(level(leg));
        }
        let noticed = voices.iter().enumerate().filter(|(_, voice)| voice.is_noticed());
        choice.choose(noticed.map(|(leg, voice)| (leg, voice, voice.is_heard()))).len()
    });
}
