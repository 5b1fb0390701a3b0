//! One tick of a conference: what happens in every 20 ms, in this order.
//!
//! 1. *Listen*: take each leg's next 20 ms out of its jitter buffer, and decode those of the few who may be heard.
//! 2. *Choose*: who of them is heard.
//! 3. *Mix*: add them up, with the announcement, into the programs.
//! 4. *Plan*: what each leg hears, and with whom it shares a stream.
//! 5. *Encode* each stream once.
//! 6. *Send* to each leg its packet.
//! 7. *Report* what happened.
//!
//! The last two are a call of their own, [`Conference::send`]: a worker lets all its conferences make their sound first. Codecs
//! and the system's network code each fill the processor's caches, so that going to and fro between them costs a twentieth in
//! ten rooms of ten with two talkers.

use base::Timestamp;
use mcu_api::{AloneAudio, LegMedia, McuEvent, MediaFilter};
use media::{AudioLevel, LegEvent, Port};
use mixer::{HEARD_MAX, LINE_NOISE, Level, Sum};

use crate::conference::{Conference, PacketSink};
use crate::leg::Leg;
use crate::listener::{Mix, Pause};
use crate::program::{Program, ProgramSet};
use crate::shared::SharedStreams;
use crate::stream::Format;

/// A mix louder than this is announced as speech to those who agreed on RFC 6464.
const SPEECH: Level = Level::from_dbov(50);

/// Ticks between two reports of a leg's quality: 5 s.
const QUALITY_TICKS: u64 = 250;

/// Legs, with numbers that follow each other, whose quality is reported at the same tick.
const QUALITY_LEGS: u64 = 8;

impl Conference {
    /// Does one tick's work, up to the packets; call it once in every 20 ms, and [`Conference::send`] after it.
    pub fn tick(&mut self, now: Timestamp) {
        self.listen(now);
        self.choose_speakers();
        self.tune(now);
        self.mix();
        self.record(now);
        self.plan();
        self.encode();
    }

    /// Sends the packets of this tick through `out` and reports what happened in it.
    pub fn send(&mut self, now: Timestamp, out: &mut dyn PacketSink) {
        self.send_packets(now, out);
        self.shared.retire(self.tick, &mut self.pools.streams);
        self.report_legs();
        self.report_speakers();
        self.tick += 1;
    }

    fn listen(&mut self, now: Timestamp) {
        self.taking_part = 0;
        for leg in &mut self.legs {
            self.taking_part += usize::from(leg.takes_part());
            leg.change_audience();
            let Some(agreed) = leg.media.media() else { continue };
            let (open, codec) = (leg.is_open(agreed), agreed.codec);
            leg.voice.listen(now, &mut leg.media, open, codec, &mut self.pools.decoders);
        }
        self.attention.turn(&mut self.legs, &mut self.pools.decoders);
    }

    fn choose_speakers(&mut self) {
        let legs = self.legs.iter().enumerate();
        let to_all = legs.filter(|(_, leg)| leg.audience.is_none() && leg.voice.is_attended());
        let audible = to_all.map(|(place, leg)| (place, &leg.voice.speech)).filter(|(_, speech)| speech.is_audible());
        let voices = audible.map(|(place, speech)| (place, speech, speech.is_heard()));
        let mut heard = self.choice.choose(voices).iter().peekable();
        for (place, leg) in self.legs.iter_mut().enumerate() {
            let chosen = heard.next_if(|&&chosen| chosen == place).is_some();
            // Who whispers to one leg takes nobody's place.
            let whispers = leg.audience.is_some() && leg.voice.speech.is_audible();
            leg.voice.speech.set_heard((chosen || whispers) && leg.audience == leg.audience_next);
        }
    }

    /// Says to each leg what it is to hear.
    fn tune(&mut self, now: Timestamp) {
        let company = self.taking_part > 1 || self.announcement.is_pending();
        let alone = match self.settings.alone {
            AloneAudio::Music => Program::Music,
            AloneAudio::Silence => Program::Silence,
        };
        self.wanted = ProgramSet::default();
        for leg in &mut self.legs {
            let Some(agreed) = leg.media.media() else { continue };
            let lossy = leg.media.peer_loses(now);
            let format = agreed.direction.sends().then(|| Format::of(agreed, lossy));
            let program = match (leg.egress, leg.in_mix) {
                (MediaFilter::Block, _) => Program::Silence,
                (MediaFilter::Unblock, true) if company => Program::Common,
                (MediaFilter::Unblock, _) if leg.listener.player.is_sounding() => Program::Silence,
                (MediaFilter::Unblock, _) => leg.backdrop.unwrap_or(alone),
            };
            leg.listener.tune(format, program);
            self.wanted.add(leg.listener.needs());
        }
    }

    fn mix(&mut self) {
        let mut total = Sum::new();
        std::mem::swap(&mut total, &mut self.farewells);
        self.whispers.clear();
        for leg in &mut self.legs {
            let heard = leg.voice.speech.is_heard();
            let frame = leg.voice.join_mix();
            match (leg.audience, frame) {
                (None, frame) => frame.into_iter().for_each(|frame| total.add(frame)),
                (Some(listener), frame) if heard || frame.is_some() => self.whispers.add(listener, frame),
                (Some(_), _) => {}
            }
        }
        if let Some(frame) = self.announcement.advance(&self.sounds) {
            total.add(frame);
        }
        self.programs.advance(&total, &self.sounds, self.wanted);
    }

    fn record(&mut self, now: Timestamp) {
        if let Some(recorder) = &mut self.recorder {
            recorder.record(now, self.programs.common());
        }
    }

    fn plan(&mut self) {
        self.shared.branches.turn(self.tick);
        let mix = Mix { programs: &self.programs, sounds: &self.sounds };
        for leg in &mut self.legs {
            let id = leg.id;
            let (personal, listener) = leg.hearing(&self.announcement, &self.whispers);
            listener.plan(self.tick, id, personal, &mix, &mut self.shared, &mut self.pools.streams);
        }
    }

    fn encode(&mut self) {
        let mix = Mix { programs: &self.programs, sounds: &self.sounds };
        self.shared.encode(self.tick, &mix);
        for leg in &mut self.legs {
            let (personal, listener) = leg.hearing(&self.announcement, &self.whispers);
            listener.render_alone(self.tick, personal, &mix, &mut self.shared);
        }
    }

    fn send_packets(&mut self, now: Timestamp, out: &mut dyn PacketSink) {
        for leg in &mut self.legs {
            send_audio(now, self.tick, leg, &self.shared, &mut self.packet, out);
            while let Some((to, port)) = leg.media.poll_rtcp(now, &mut self.packet) {
                out.send(leg.id, port, to, &self.packet);
            }
        }
    }

    /// Reports what happened to each leg; and how it fares, a few legs after others, so that no tick has all the work and no
    /// leg wakes the control side for itself.
    fn report_legs(&mut self) {
        for place in 0..self.legs.len() {
            let leg = self.legs[place].id;
            while let Some(event) = self.legs[place].media.poll_event() {
                self.report(match event {
                    LegEvent::MediaStarted => McuEvent::MediaStarted { leg },
                    LegEvent::Digit(digit) => McuEvent::Digit { leg, digit },
                    LegEvent::SilenceTimeout => McuEvent::MediaTimeout { leg },
                });
            }
            if let Some(completed) = self.legs[place].listener.take_said() {
                self.report(McuEvent::AnnouncementEnded { leg, completed });
            }
            let media = &self.legs[place].media;
            if (self.tick + leg.0 / QUALITY_LEGS).is_multiple_of(QUALITY_TICKS) && media.is_connected() {
                let event = McuEvent::LegQuality { leg, statistics: media.statistics() };
                self.report(event);
            }
        }
    }

    /// Reports who speaks, loudest first, when they are not the same as before.
    fn report_speakers(&mut self) {
        let mut speaking = [(0.0, base::LegId(0)); HEARD_MAX];
        let mut count = 0;
        let to_all = self.legs.iter().filter(|leg| leg.audience.is_none());
        let voices = to_all.map(|leg| (&leg.voice.speech, leg.id));
        for (speech, leg) in voices.filter(|(speech, _)| speech.is_heard() && speech.is_speaking()) {
            speaking[count] = (speech.loudness(), leg);
            count += 1;
        }
        let speaking = &mut speaking[..count];
        speaking.sort_unstable_by_key(|&(_, leg)| leg);
        if speaking.iter().map(|(_, leg)| leg).eq(&self.speakers) {
            return;
        }
        self.speakers.clear();
        self.speakers.extend(speaking.iter().map(|&(_, leg)| leg));
        speaking.sort_by(|one, two| two.0.total_cmp(&one.0));
        let speakers = speaking.iter().map(|&(_, leg)| leg).collect();
        self.report(McuEvent::ActiveSpeakers { conference: self.id.clone(), speakers });
    }
}

/// Sends a leg the packet that ends at this tick, if there is one for it.
fn send_audio(
    now: Timestamp,
    tick: u64,
    leg: &mut Leg,
    shared: &SharedStreams,
    packet: &mut Vec<u8>,
    out: &mut dyn PacketSink,
) {
    let Some(format) = leg.listener.format() else { return let_time_pass(&mut leg.media) };
    if !format.ends_packet(tick) {
        return;
    }
    let units = format.packet_units();
    match pause_of(leg, shared) {
        None => {}
        Some(Unsent::Nothing) => return leg.media.skip(units),
        Some(Unsent::ComfortNoise) => {
            if let Some(to) = leg.media.write_comfort_noise(now, LINE_NOISE.dbov(), units, packet) {
                out.send(leg.id, Port::Rtp, to, packet);
            }
            return;
        }
    }
    let marker = leg.listener.take_marker();
    let Some((payload, level)) = leg.listener.stream(shared).and_then(|stream| stream.packet()) else {
        return leg.media.skip(units);
    };
    let level = AudioLevel { minus_dbov: level.dbov(), voice: level >= SPEECH };
    if let Some(to) = leg.media.write_rtp(now, payload, units, marker, Some(level), packet) {
        out.send(leg.id, Port::Rtp, to, packet);
    }
}

/// What is sent in place of a packet in which there is nothing to hear.
enum Unsent {
    Nothing,
    ComfortNoise,
}

/// Whether a packet at hand is not sent to a leg that agreed on such pauses, by Opus' own means or by comfort noise.
fn pause_of(leg: &mut Leg, shared: &SharedStreams) -> Option<Unsent> {
    let agreed = leg.media.media()?;
    let (dtx, noise) = (agreed.opus_dtx, agreed.comfort_noise.is_some());
    if !dtx && !noise {
        return None;
    }
    let (_, level) = leg.listener.stream(shared)?.packet()?;
    match (leg.listener.pause(level), noise) {
        (Pause::No, _) | (Pause::Renewed, false) => None,
        (Pause::Begins | Pause::Renewed, true) => Some(Unsent::ComfortNoise),
        (Pause::Begins, false) | (Pause::GoesOn, _) => Some(Unsent::Nothing),
    }
}

/// Nothing is sent to a leg on hold, but its RTP clock goes on.
fn let_time_pass(media: &mut media::Leg) {
    if let Some(units) = media.media().map(|agreed: &LegMedia| Format::of(agreed, false).frame_units()) {
        media.skip(units);
    }
}
