//! Encoding is shared: its cost grows with the talkers and formats, not with the listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{Duration, LegId};
use codecs::Codecs;
use mcu::Pools;
use mcu_api::{Codec, OpusLimits, Prompt};
use mixer::{CodecError, CodecFactory, Decoder, Encoder, EncoderSettings, Gauge};

use crate::analysis::decibels;
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

#[derive(Default)]
struct Counting {
    encoded: Arc<AtomicUsize>,
    decoded: Arc<AtomicUsize>,
    encoders: Arc<AtomicUsize>,
}

impl CodecFactory for Counting {
    fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(Counted { inner: Codecs.decoder(codec)?, count: self.decoded.clone() }))
    }

    fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
        Codecs.gauge(codec)
    }

    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
        self.encoders.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Counted { inner: Codecs.encoder(settings)?, count: self.encoded.clone() }))
    }
}

struct Counted<T: ?Sized> {
    inner: Box<T>,
    count: Arc<AtomicUsize>,
}

impl Decoder for Counted<dyn Decoder> {
    fn decode(&mut self, packet: Option<&[u8]>, fec: bool, out: &mut [i16]) -> Result<usize, CodecError> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.inner.decode(packet, fec, out)
    }

    fn reset(&mut self) {
        self.inner.reset();
    }
}

impl Encoder for Counted<dyn Encoder> {
    fn encode(&mut self, pcm: &[i16], out: &mut [u8]) -> Result<usize, CodecError> {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.inner.encode(pcm, out)
    }

    fn resume(&mut self, history: &[i16]) {
        self.inner.resume(history);
    }

    fn refresh(&mut self) {
        self.inner.refresh();
    }
}

#[test]
fn k_talkers_make_k_plus_one_mixes_in_each_format() {
    let counting = Counting::default();
    let (encoded, decoded) = (counting.encoded.clone(), counting.decoded.clone());
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    for leg in 0..3 {
        world.join(Phone::new(leg, Codec::Opus, 500.0 + 100.0 * leg as f64));
    }
    for leg in 3..20 {
        let codec = if leg % 2 == 0 { Codec::Opus } else { Codec::Pcmu };
        world.join(Phone::new(leg, codec, 300.0).with(|media| media.direction = mcu_api::Direction::SendOnly));
    }
    world.run(2.0);
    encoded.store(0, Ordering::Relaxed);
    decoded.store(0, Ordering::Relaxed);
    world.run(1.0);
    assert_eq!(encoded.load(Ordering::Relaxed), 50 * (3 + 2), "a mix for each talker, one for each format");
    assert_eq!(decoded.load(Ordering::Relaxed), 50 * 3);
}

/// The only talker hears nothing, and after him nobody hears anything: silence is encoded no more.
#[test]
fn one_talker_makes_one_mix_and_silence_makes_none() {
    let counting = Counting::default();
    let encoded = counting.encoded.clone();
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    world.join(Phone::new(0, Codec::Opus, 500.0));
    (1..6).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 300.0).silent()));
    world.run(2.0);
    encoded.store(0, Ordering::Relaxed);
    world.run(1.0);
    assert_eq!(encoded.load(Ordering::Relaxed), 50, "the mix of the listeners");
    world.phone(0).amplitude = 0.0;
    world.run(2.0);
    encoded.store(0, Ordering::Relaxed);
    world.run(1.0);
    assert_eq!(encoded.load(Ordering::Relaxed), 0);
}

/// Where nothing tells how loud background is, it is decoded now and then only.
#[test]
fn background_is_decoded_once_in_four_seconds() {
    let counting = Counting::default();
    let decoded = counting.decoded.clone();
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    (0..20).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 0.0).noisy(10)));
    world.run(2.0);
    decoded.store(0, Ordering::Relaxed);
    world.run(8.0);
    let decoded = decoded.load(Ordering::Relaxed);
    assert!((80..=120).contains(&decoded), "{decoded} packets in 8 s; twice two of each leg would be 80");
}

/// Whoever wants to hear louder by as much as others shares his mix with them, whenever he said so.
#[test]
fn those_who_hear_louder_share_a_mix_for_each_loudness() {
    let counting = Counting::default();
    let encoded = counting.encoded.clone();
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    world.join(Phone::new(0, Codec::Opus, 500.0));
    (1..=30).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 300.0).silent()));
    world.run(1.0);
    let gain_of = |leg: u64| [3, -6, 0][(leg as usize - 1) / 10];
    for leg in 1..=20 {
        world.conference.set_gain(LegId(leg), 0, gain_of(leg));
        world.run(0.06);
    }
    encoded.store(0, Ordering::Relaxed);
    world.run(1.0);
    assert_eq!(encoded.load(Ordering::Relaxed), 50 * 3, "as it is, louder, and quieter");
    for leg in 1..=30 {
        let heard = decibels(world.phone(leg).last(0.5), 500.0, AMPLITUDE);
        assert!((heard - f64::from(gain_of(leg))).abs() < 1.5, "leg {leg} hears it {heard} dB louder");
    }
    (1..=30).for_each(|leg| world.conference.set_gain(LegId(leg), 0, 0));
    for _ in 0..10 {
        encoded.store(0, Ordering::Relaxed);
        world.tick();
        assert!(encoded.load(Ordering::Relaxed) <= 3, "those who change at once change together");
    }
    assert_eq!(encoded.load(Ordering::Relaxed), 1, "all hear the same again");
}

#[test]
fn a_prompt_to_all_is_encoded_once_in_each_format() {
    let counting = Counting::default();
    let encoded = counting.encoded.clone();
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    world.join(Phone::new(0, Codec::Opus, 500.0));
    for leg in 1..=30 {
        let codec = if leg % 2 == 0 { Codec::Opus } else { Codec::Pcmu };
        world.join(Phone::new(leg, codec, 300.0).silent());
    }
    world.run(1.0);
    (1..=30).for_each(|leg| world.conference.play_prompt(LegId(leg), Prompt::Ending));
    for tick in 0..60 {
        encoded.store(0, Ordering::Relaxed);
        world.tick();
        assert_eq!(encoded.load(Ordering::Relaxed), 2, "tick {tick}: a mix for each format");
        if tick == 30 {
            assert!((1..=30).all(|leg| decibels(world.phone(leg).last(0.2), 523.3, 0.12) > -12.0), "all hear it");
        }
    }
}

/// Whoever spoke had a mix of his own; what is played meanwhile does not keep him in it.
#[test]
fn those_who_fall_silent_share_a_prompt_that_is_being_played() {
    let counting = Counting::default();
    let encoded = counting.encoded.clone();
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    (0..6).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 500.0 + 100.0 * leg as f64)));
    world.run(1.0);
    for leg in 0..6 {
        (0..4).for_each(|_| world.conference.play_prompt(LegId(leg), Prompt::Ending));
        world.phone(leg).amplitude = if leg == 0 { AMPLITUDE } else { 0.0 };
    }
    world.run(2.0);
    encoded.store(0, Ordering::Relaxed);
    world.run(0.5);
    assert_eq!(encoded.load(Ordering::Relaxed), 25 * 2, "the talker's, and that of the others");
}

#[test]
fn who_has_to_wait_for_a_stream_is_counted_once() {
    let mut world = World::new(SETTINGS);
    let mut pools = Pools::new(Arc::new(Codecs));
    world.join(Phone::new(0, Codec::Opus, 500.0));
    for (leg, gain) in (1..=24).zip(-20..) {
        world.join(Phone::new(leg, Codec::Opus, 300.0).silent());
        world.conference.set_gain(LegId(leg), 0, gain);
    }
    // Each begins in silence, which differs as well.
    let media = world.phone(0).media.clone();
    world
        .conference
        .with_pools(&mut pools, |conference| conference.connect(world.now, LegId(0), &media))
        .expect("no keys");
    let mut waited = Vec::new();
    for _ in 0..4 {
        pools.prepare();
        pools.turn();
        let (now, sink) = (world.now, &mut world.sink);
        world.conference.with_pools(&mut pools, |conference| {
            conference.tick(now);
            conference.send(now, sink);
        });
        waited.push(pools.waited());
        world.now = world.now + Duration::from_millis(20);
    }
    // The 25 have 24 wishes, and 4 are fulfilled in a tick.
    assert_eq!(waited, [20; 4]);
}

/// More different loudnesses and limits than there may be streams: the rest hear what all hear, and whoever talks hears
/// all but himself.
#[test]
fn streams_that_can_be_done_without_are_bounded_and_a_tick_makes_few_of_them() {
    let counting = Counting::default();
    let (encoded, encoders) = (counting.encoded.clone(), counting.encoders.clone());
    let mut world = World::with_codecs(SETTINGS, Arc::new(counting));
    (0..2).for_each(|leg| world.join(Phone::new(leg, Codec::Opus, 500.0 + 300.0 * leg as f64)));
    world.phone(1).amplitude = 0.0;
    let gains: Vec<i8> = (-20..=12).filter(|&gain| gain != 0).collect();
    let limits = OpusLimits::BITRATES[..5].iter().map(|&rate| OpusLimits { bitrate: Some(rate), playback_rate: None });
    let wishes: Vec<_> = limits.flat_map(|limits| gains.iter().map(move |&gain| (limits, gain))).collect();
    for (leg, (limits, _)) in (2..).zip(&wishes) {
        world.join(Phone::new(leg, Codec::Opus, 300.0).silent().with(|media| media.opus_limits = *limits));
    }
    world.run(1.0);
    for (leg, (_, gain)) in (2..).zip(&wishes) {
        world.conference.set_gain(LegId(leg), 0, *gain);
    }
    for _ in 0..20 {
        encoders.store(0, Ordering::Relaxed);
        world.tick();
        assert!(encoders.load(Ordering::Relaxed) <= 16, "made in a tick");
    }
    world.phone(1).amplitude = AMPLITUDE;
    world.run(0.5);
    encoded.store(0, Ordering::Relaxed);
    world.tick();
    let encoded = encoded.load(Ordering::Relaxed);
    // Five formats of those who wait, and the two who talk.
    assert!((128..=128 + 5 + 2).contains(&encoded), "{encoded} streams");
    assert!(decibels(world.phone(1).last(0.3), 500.0, AMPLITUDE) > -3.0, "who talks hears the other");
    assert!(decibels(world.phone(1).last(0.3), 800.0, AMPLITUDE) < -35.0, "and not himself");
    let last = 1 + wishes.len() as u64;
    assert!(decibels(world.phone(last).last(0.3), 500.0, AMPLITUDE).abs() < 3.0, "who waits hears what all hear");
}
