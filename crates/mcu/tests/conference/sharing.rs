//! Encoding is shared: its cost grows with the talkers and formats, not with the listeners.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use codecs::Codecs;
use mcu_api::Codec;
use mixer::{CodecError, CodecFactory, Decoder, Encoder, EncoderSettings, Gauge};

use crate::phone::Phone;
use crate::world::{SETTINGS, World};

#[derive(Default)]
struct Counting {
    encoded: Arc<AtomicUsize>,
    decoded: Arc<AtomicUsize>,
}

impl CodecFactory for Counting {
    fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(Counted { inner: Codecs.decoder(codec)?, count: self.decoded.clone() }))
    }

    fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
        Codecs.gauge(codec)
    }

    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
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
