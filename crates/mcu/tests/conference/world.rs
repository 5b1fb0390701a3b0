//! A conference with its phones, in virtual time.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use base::{ConferenceId, Duration, LegId, Timestamp};
use codecs::Codecs;
use mcu::{Conference, LegIdentity, PacketSink, Port};
use mcu_api::{AloneAudio, ConferenceMedia, McuEvent};
use mixer::{CodecFactory, Sounds};

use crate::allocation::allocations_so_far;
use crate::phone::Phone;

static SOUNDS: LazyLock<Arc<Sounds>> = LazyLock::new(|| Arc::new(Sounds::new()));

pub(crate) const SETTINGS: ConferenceMedia = ConferenceMedia {
    alone: AloneAudio::Silence,
    entry_exit_tones: false,
    media_silence_ms: 0,
    jitter_delay_max_ms: 120,
};

pub(crate) struct World {
    pub(crate) conference: Conference,
    pub(crate) now: Timestamp,
    pub(crate) phones: Vec<Phone>,
    pub(crate) events: Vec<McuEvent>,
    pub(crate) sink: Sink,
    /// Allocations inside of all ticks so far.
    pub(crate) allocated: usize,
}

/// Keeps what leaves the conference; its buffers are used again.
#[derive(Default)]
pub(crate) struct Sink {
    packets: Vec<(LegId, Port, SocketAddr, Vec<u8>)>,
    used: usize,
}

impl PacketSink for Sink {
    fn send(&mut self, leg: LegId, port: Port, to: SocketAddr, packet: &[u8]) {
        if self.used == self.packets.len() {
            self.packets.push((leg, port, to, Vec::with_capacity(2_048)));
        }
        let (kept_leg, kept_port, kept_to, kept) = &mut self.packets[self.used];
        (*kept_leg, *kept_port, *kept_to) = (leg, port, to);
        kept.clear();
        kept.extend(packet);
        self.used += 1;
    }
}

impl Sink {
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }
}

pub(crate) fn conference(settings: ConferenceMedia, codecs: Arc<dyn CodecFactory>) -> Conference {
    Conference::new(ConferenceId::parse("K3V9PX2Q").expect("valid"), settings, codecs, SOUNDS.clone())
}

pub(crate) fn identity(leg: LegId) -> LegIdentity {
    LegIdentity {
        ssrc: 0x2000 + leg.0 as u32,
        first_sequence: 65_530,
        first_timestamp: u32::MAX - 5_000,
        cname: "convoke".to_owned(),
    }
}

impl World {
    pub(crate) fn new(settings: ConferenceMedia) -> Self {
        Self::with_codecs(settings, Arc::new(Codecs))
    }

    pub(crate) fn with_codecs(settings: ConferenceMedia, codecs: Arc<dyn CodecFactory>) -> Self {
        Self {
            conference: conference(settings, codecs),
            now: Timestamp::from_millis(1_000),
            phones: Vec::new(),
            events: Vec::new(),
            sink: Sink::default(),
            allocated: 0,
        }
    }

    pub(crate) fn join(&mut self, phone: Phone) {
        assert!(self.conference.add_leg(phone.leg, identity(phone.leg)));
        self.conference.connect(self.now, phone.leg, &phone.media).expect("no keys");
        self.phones.push(phone);
    }

    pub(crate) fn leave(&mut self, leg: u64) {
        self.phones.retain(|phone| phone.leg != LegId(leg));
        self.sink.clear();
        assert!(self.conference.remove_leg(self.now, LegId(leg), &mut self.sink).is_some());
    }

    pub(crate) fn phone(&mut self, leg: u64) -> &mut Phone {
        self.phones.iter_mut().find(|phone| phone.leg == LegId(leg)).expect("it joined")
    }

    /// Says to the conference what the phone's media are now.
    pub(crate) fn reconnect(&mut self, leg: u64) {
        let media = self.phone(leg).media.clone();
        self.conference.connect(self.now, LegId(leg), &media).expect("no keys");
    }

    pub(crate) fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 50.0).round() as usize {
            self.tick();
        }
    }

    pub(crate) fn tick(&mut self) {
        for phone in self.phones.iter_mut().filter(|phone| phone.media.direction.receives()) {
            let mut packet = phone.speak();
            self.conference.handle_packet(self.now, phone.leg, Port::Rtp, phone.media.remote_rtp, &mut packet);
        }
        self.step();
    }

    /// A tick to which nobody says anything.
    pub(crate) fn step(&mut self) {
        self.now = self.now + Duration::from_millis(10);
        self.sink.clear();
        self.conference.prepare();
        let before = allocations_so_far();
        self.conference.tick(self.now);
        self.conference.send(self.now, &mut self.sink);
        self.allocated += allocations_so_far() - before;
        self.now = self.now + Duration::from_millis(10);
        for (leg, port, to, packet) in &self.sink.packets[..self.sink.used] {
            let phone = self.phones.iter_mut().find(|phone| phone.leg == *leg).expect("packets go to legs");
            if *port == Port::Rtp {
                assert_eq!(*to, phone.media.remote_rtp);
                phone.listen(packet);
            }
        }
        while let Some(event) = self.conference.poll_event() {
            self.events.push(event);
        }
    }
}
