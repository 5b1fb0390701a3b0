//! What one leg says.

use base::Timestamp;
use mcu_api::Codec;
use media::Pulled;
use mixer::{AutoGain, ComfortNoise, Frame, Gain, Gauge, Gauged, Level, NoiseGate, SILENCE, Speech, fade_in};

use crate::backlog::Backlog;
use crate::sound::{Sound, SoundPool};

/// Packets decoded to see how loud a background is: one so that the decoder is not quite new to it, and the newest.
const EXAMINED_PACKETS: usize = 2;

/// The way of one leg's audio from its packets into the mix.
pub(crate) struct Voice {
    pub(crate) speech: Speech,
    /// Present while the leg is listened to.
    sound: Option<Box<Sound>>,
    /// Its packets while it is not.
    backlog: Backlog,
    /// Tells how loud they are; made with the first of them that does not say so itself.
    gauge: Option<(Codec, Box<dyn Gauge>)>,
    /// This tick's frame holds audio.
    sounding: bool,
    /// Its audio was part of the mix at the last tick.
    was_on: bool,
    /// This tick's frame is part of the mix, perhaps fading.
    in_mix: bool,
    /// `None` leaves the voice as loud as it is.
    auto_gain: Option<AutoGain>,
    /// `None` lets its background pass.
    gate: Option<NoiseGate>,
    /// The background it does not send.
    noise: ComfortNoise,
    /// How much louder than it came somebody wants it heard.
    gain: Gain,
}

impl Voice {
    pub(crate) fn new() -> Self {
        Self {
            speech: Speech::new(),
            sound: None,
            backlog: Backlog::default(),
            gauge: None,
            sounding: false,
            was_on: false,
            in_mix: false,
            auto_gain: None,
            gate: None,
            noise: ComfortNoise::new(),
            gain: Gain::new(),
        }
    }

    /// Levels the voice by itself from now on, or leaves it as it is.
    pub(crate) fn set_auto_gain(&mut self, on: bool) {
        self.auto_gain = on.then(AutoGain::new);
    }

    /// Takes its background away while nothing is said from now on, or lets it pass.
    pub(crate) fn set_noise_gate(&mut self, on: bool) {
        self.gate = on.then(NoiseGate::new);
    }

    /// Makes the voice louder or quieter by so many decibels.
    pub(crate) fn set_gain(&mut self, decibels: i8) {
        self.gain.set_db(decibels);
    }

    /// Takes what the jitter buffer has for this tick. Decodes it if the leg is listened to, and is `open` (may be
    /// heard) or has to be faded out.
    pub(crate) fn listen(
        &mut self,
        now: Timestamp,
        media: &mut media::Leg,
        open: bool,
        codec: Codec,
        pool: &mut SoundPool,
    ) {
        self.sounding = false;
        if let Some(other) = self.sound.take_if(|sound| sound.codec() != codec) {
            pool.give(other);
        }
        if self.sound.is_some() && (open || self.was_on) {
            self.sounding = self.decode(now, media);
            self.measure();
            self.gate();
        } else {
            let pulled = media.pull(now);
            if open {
                self.glimpse(pulled, codec, pool);
            }
        }
        if !open {
            self.backlog.clear();
            self.speech = Speech::new();
        }
    }

    /// What it points to that this tick uses.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        self.backlog.memory_ahead(fetch);
    }

    /// Whether the leg's packets are decoded.
    pub(crate) const fn is_attended(&self) -> bool {
        self.sound.is_some()
    }

    /// Decodes a little of what its encoder takes for background, to be sure.
    pub(crate) fn examine(&mut self, codec: Codec, pool: &mut SoundPool) {
        let Some(mut sound) = pool.take(codec) else { return };
        let packets = self.backlog.packets();
        let earlier = packets.len().saturating_sub(EXAMINED_PACKETS);
        packets.skip(earlier).for_each(|(payload, units)| sound.decode(payload, units));
        let sounding = sound.next_unit();
        sound.play(0);
        let level = if sounding { Level::measure(&sound.frame) } else { Level::SILENT };
        pool.give(sound);
        self.speech.examine(level);
    }

    /// Listens from this tick on. The packets that were not decoded so far are now, the last of them for this tick.
    pub(crate) fn attend(&mut self, codec: Codec, pool: &mut SoundPool) {
        if self.sound.is_some() {
            return;
        }
        let Some(mut sound) = pool.take(codec) else { return };
        for (payload, units) in self.backlog.packets() {
            sound.decode(payload, units);
        }
        sound.skip(self.backlog.elapsed());
        self.backlog.clear();
        self.sounding = sound.next_unit();
        sound.play(0);
        let level = if self.sounding { Level::measure(&sound.frame) } else { Level::SILENT };
        self.speech.correct(level);
        self.sound = Some(sound);
        self.gate();
    }

    /// Stops listening, unless the voice is still dying away.
    pub(crate) fn ignore(&mut self, pool: &mut SoundPool) {
        if let Some(sound) = self.sound.take_if(|_| !self.was_on) {
            self.sounding = false;
            pool.give(sound);
        }
    }

    /// Puts this tick's frame into the mix, if the leg was chosen to be heard. Whoever begins or ends is faded.
    pub(crate) fn join_mix(&mut self) -> Option<&Frame> {
        let on = self.speech.is_heard() && self.sounding;
        self.in_mix = on || self.was_on;
        let sound = self.sound.as_mut()?;
        if let Some(gain) = self.auto_gain.as_mut().filter(|_| on) {
            gain.listen(&sound.frame);
        }
        match (self.was_on, on) {
            (false, true) => fade_in(&mut sound.frame),
            (true, false) => {
                sound.fade_out(self.sounding);
                // What is made up so that it can fade is background too, when that was all there was.
                if !self.sounding && self.gate.as_ref().is_some_and(NoiseGate::is_closed) {
                    sound.frame = SILENCE;
                }
            }
            (true, true) | (false, false) => {}
        }
        if self.in_mix {
            if let Some(gain) = &mut self.auto_gain {
                gain.apply(&mut sound.frame);
            }
            self.gain.apply(&mut sound.frame);
        }
        self.was_on = on;
        self.own()
    }

    /// Whether its audio was heard at the last tick.
    pub(crate) const fn is_on(&self) -> bool {
        self.was_on
    }

    /// What this leg has in this tick's mix.
    pub(crate) fn own(&self) -> Option<&Frame> {
        self.sound.as_ref().filter(|_| self.in_mix).map(|sound| &sound.frame)
    }

    /// The end of a leg that is taken out of the conference: one frame in which its voice dies away.
    pub(crate) fn farewell(mut self) -> Option<Frame> {
        let sound = self.sound.as_mut().filter(|_| self.was_on)?;
        sound.fade_out(false);
        if let Some(gain) = &mut self.auto_gain {
            gain.apply(&mut sound.frame);
        }
        self.gain.apply(&mut sound.frame);
        Some(sound.frame)
    }

    /// Fills this tick's frame; false when there is nothing to hear.
    fn decode(&mut self, now: Timestamp, media: &mut media::Leg) -> bool {
        let Some(sound) = &mut self.sound else { return false };
        let pace = media.pace(now, sound.held());
        while sound.needs_more(pace) {
            let continued = match media.pull(now) {
                Pulled::Frame(frame) => {
                    sound.decode(frame.payload, frame.units);
                    sound.next_unit()
                }
                Pulled::Continued => sound.next_unit(),
                Pulled::Lost { next } if self.was_on => {
                    sound.conceal(next);
                    true
                }
                // Whoever is heard does not fall into dead silence between two words.
                Pulled::Noise { minus_dbov } if self.was_on => {
                    sound.pause();
                    self.noise.fill(Level::from_dbov(minus_dbov), &mut sound.frame);
                    return true;
                }
                Pulled::Lost { .. } | Pulled::Silence | Pulled::Noise { .. } => {
                    self.noise.restart();
                    false
                }
            };
            if !continued {
                // What is held dies away, if it was heard: see [`Voice::join_mix`].
                if !self.was_on {
                    sound.pause();
                }
                return false;
            }
        }
        sound.play(pace);
        true
    }

    fn measure(&mut self) {
        match &self.sound {
            Some(sound) if self.sounding => self.speech.update(Level::measure(&sound.frame)),
            _ => self.speech.pass(),
        }
    }

    /// Takes the background out of this tick's frame. Who is heard is chosen by what came.
    fn gate(&mut self) {
        if let (Some(gate), Some(sound)) = (&mut self.gate, &mut self.sound)
            && self.sounding
        {
            gate.process(&mut sound.frame);
        }
    }

    /// Keeps a packet undecoded, and looks how loud it is.
    fn glimpse(&mut self, pulled: Pulled<'_>, codec: Codec, pool: &SoundPool) {
        let frame = match pulled {
            Pulled::Frame(frame) => frame,
            Pulled::Continued | Pulled::Lost { .. } => {
                self.backlog.go_on();
                return self.speech.pass();
            }
            Pulled::Silence | Pulled::Noise { .. } => {
                self.backlog.clear();
                return self.speech.pass();
            }
        };
        self.backlog.file(frame.payload, frame.units);
        let gauged = match frame.level {
            Some(level) => Gauged::Level(Level::from_dbov(level.minus_dbov)),
            None => self.gauge(codec, pool).gauge(frame.payload),
        };
        self.speech.notice(gauged);
    }

    fn gauge(&mut self, codec: Codec, pool: &SoundPool) -> &mut dyn Gauge {
        if self.gauge.as_ref().is_none_or(|(of, _)| *of != codec) {
            self.gauge = None;
        }
        &mut *self.gauge.get_or_insert_with(|| (codec, pool.codecs().gauge(codec))).1
    }
}
