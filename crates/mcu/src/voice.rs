//! What one leg says.

use mcu_api::Codec;
use media::Pulled;
use mixer::{
    AutoGain, CodecFactory, Decoder, FRAME_SAMPLES, Frame, Level, PACKET_SAMPLES_MAX, SILENCE, Speech, fade_in,
    fade_out,
};

/// The way of one leg's audio from its packets into the mix.
pub(crate) struct Voice {
    pub(crate) speech: Speech,
    /// Made with the first packet that is decoded: a leg that only listens never has one.
    sound: Option<Box<Sound>>,
    /// This tick's frame holds audio.
    sounding: bool,
    /// Its audio was part of the mix at the last tick.
    was_on: bool,
    /// This tick's frame is part of the mix, perhaps fading.
    in_mix: bool,
    /// `None` leaves the voice as loud as it is.
    gain: Option<AutoGain>,
}

impl Voice {
    pub(crate) const fn new() -> Self {
        Self { speech: Speech::new(), sound: None, sounding: false, was_on: false, in_mix: false, gain: None }
    }

    /// Levels the voice by itself from now on, or leaves it as it is.
    pub(crate) fn set_auto_gain(&mut self, on: bool) {
        self.gain = on.then(AutoGain::new);
    }

    /// Takes what the jitter buffer has for this tick. Decodes it only if the leg is `open` (may be heard) or has to be
    /// faded out.
    pub(crate) fn listen(&mut self, pulled: Pulled<'_>, open: bool, codec: Codec, codecs: &dyn CodecFactory) {
        if open || self.was_on {
            self.sounding = self.decode(pulled, codec, codecs);
        } else {
            self.sounding = false;
            if let Some(sound) = &mut self.sound {
                sound.interrupt();
            }
        }
        match (&self.sound, open) {
            (Some(sound), true) if self.sounding => self.speech.update(Level::measure(&sound.frame)),
            (_, true) => self.speech.update(Level::SILENT),
            (_, false) => self.speech = Speech::new(),
        }
    }

    /// Puts this tick's frame into the mix, if the leg was chosen to be heard. Whoever begins or ends is faded.
    pub(crate) fn join_mix(&mut self) -> Option<&Frame> {
        let on = self.speech.is_heard() && self.sounding;
        self.in_mix = on || self.was_on;
        let sound = self.sound.as_mut()?;
        if let Some(gain) = self.gain.as_mut().filter(|_| on) {
            gain.listen(&sound.frame);
        }
        match (self.was_on, on) {
            (false, true) => fade_in(&mut sound.frame),
            (true, false) => sound.fade_out(self.sounding),
            (true, true) | (false, false) => {}
        }
        if let Some(gain) = self.gain.as_mut().filter(|_| self.in_mix) {
            gain.apply(&mut sound.frame);
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
        if let Some(gain) = &mut self.gain {
            gain.apply(&mut sound.frame);
        }
        Some(sound.frame)
    }

    /// Fills this tick's frame; false when there is nothing to hear.
    fn decode(&mut self, pulled: Pulled<'_>, codec: Codec, codecs: &dyn CodecFactory) -> bool {
        if let Pulled::Frame(frame) = pulled {
            let Some(sound) = self.sound_for(codec, codecs) else { return false };
            sound.decode(frame.payload, frame.units);
            return sound.next_unit();
        }
        let Some(sound) = self.sound.as_mut().filter(|sound| sound.codec == codec) else { return false };
        match pulled {
            Pulled::Continued => sound.next_unit(),
            Pulled::Lost { next } if self.sounding => {
                sound.conceal(next);
                true
            }
            Pulled::Frame(_) | Pulled::Lost { .. } | Pulled::Silence => {
                sound.ready = 0..0;
                false
            }
        }
    }

    fn sound_for(&mut self, codec: Codec, codecs: &dyn CodecFactory) -> Option<&mut Sound> {
        if self.sound.as_ref().is_none_or(|sound| sound.codec != codec) {
            self.sound = Some(Box::new(Sound::new(codec, codecs.decoder(codec).ok()?)));
        }
        self.sound.as_deref_mut()
    }
}

/// A decoder and what it decoded.
struct Sound {
    codec: Codec,
    decoder: Box<dyn Decoder>,
    /// The decoder did not hear the last packets.
    interrupted: bool,
    /// The last packet, decoded.
    packet: [i16; PACKET_SAMPLES_MAX],
    /// The part of it that was not played yet.
    ready: std::ops::Range<usize>,
    /// This tick's frame.
    frame: Frame,
}

impl Sound {
    fn new(codec: Codec, decoder: Box<dyn Decoder>) -> Self {
        Self { codec, decoder, interrupted: false, packet: [0; PACKET_SAMPLES_MAX], ready: 0..0, frame: SILENCE }
    }

    /// Decodes a packet of so many 20 ms units; what cannot be decoded is concealed.
    fn decode(&mut self, payload: &[u8], units: u8) {
        if std::mem::take(&mut self.interrupted) {
            self.decoder.reset();
        }
        let length = (usize::from(units) * FRAME_SAMPLES).clamp(FRAME_SAMPLES, PACKET_SAMPLES_MAX);
        let decoded = self
            .decoder
            .decode(Some(payload), false, &mut self.packet)
            .unwrap_or_else(|_| self.decoder.decode(None, false, &mut self.packet[..length]).unwrap_or_default());
        if let Some(missing) = self.packet.get_mut(decoded..length) {
            missing.fill(0);
        }
        self.ready = 0..length;
    }

    /// Moves the next 20 ms of the decoded packet into this tick's frame; false when it is used up.
    fn next_unit(&mut self) -> bool {
        let end = self.ready.start + FRAME_SAMPLES;
        if end > self.ready.end {
            return false;
        }
        self.frame.copy_from_slice(&self.packet[self.ready.start..end]);
        self.ready.start = end;
        true
    }

    /// Fills this tick's frame with what a lost packet might have held; `next` is the packet after it.
    fn conceal(&mut self, next: Option<&[u8]>) {
        let with_fec = self.decoder.decode(next, next.is_some(), &mut self.frame);
        if with_fec.is_err() && self.decoder.decode(None, false, &mut self.frame).is_err() {
            self.frame = SILENCE;
        }
        self.ready = 0..0;
    }

    /// Lets the sound die away in this tick's frame, which holds audio already if it is `filled`.
    fn fade_out(&mut self, filled: bool) {
        if !filled {
            self.conceal(None);
        }
        fade_out(&mut self.frame);
    }

    fn interrupt(&mut self) {
        self.interrupted = true;
        self.ready = 0..0;
    }
}
