//! Who is listened to: whose packets are decoded.
//!
//! Decoding costs more than all else that is done for a leg, and of a hundred legs three speak. How loud a packet is
//! stands in its header extension (RFC 6464), or can be read from it without decoding ([`mixer::Gauge`]). Whoever may
//! be heard by that is listened to in the same tick, with the packets before in the decoder already; as soon as he is
//! decoded, only what was measured counts. So a hint that is too loud costs a few decodes, and the choice who is heard is
//! the same as if everybody were decoded. One that is too quiet is believed: who says in his header extension that he is
//! silent is not listened to, whatever he sends.
//!
//! Where an encoder tells nothing but that it takes a packet for background, which a tone or an instrument is to it too, one
//! is decoded at first, when its sound changes, and every 4 s; in one leg after another.

use mixer::{HEARD_MAX, SpeakerChoice};

use crate::leg::Leg;
use crate::sound::SoundPool;

/// How many are decoded at once: those who are heard, and as many again who might be next. It bounds the work of a tick
/// in a conference where everybody makes noise.
pub(crate) const ATTENDED_MAX: usize = 2 * HEARD_MAX;

/// How many are examined in a tick.
const EXAMINED_MAX: usize = 2;

/// Chooses who is listened to.
pub(crate) struct Attention {
    choice: SpeakerChoice,
    /// The place of the leg from which on backgrounds are examined next.
    examine_next: usize,
}

impl Attention {
    pub(crate) fn new() -> Self {
        Self { choice: SpeakerChoice::new(ATTENDED_MAX), examine_next: 0 }
    }

    /// Begins to listen to those who may have begun to speak, and stops where nothing is to be expected.
    pub(crate) fn turn(&mut self, legs: &mut [Leg], pool: &mut SoundPool) {
        self.examine(legs, pool);
        let candidates = legs.iter().enumerate().filter(|(_, leg)| leg.voice.speech.is_noticed());
        let ranked = candidates.map(|(place, leg)| (place, &leg.voice.speech, leg.voice.is_attended()));
        let mut chosen = self.choice.choose(ranked).iter().peekable();
        for (place, leg) in legs.iter_mut().enumerate() {
            if chosen.next_if(|&&chosen| chosen == place).is_none() {
                leg.voice.ignore(pool);
            } else if let Some(agreed) = leg.media.media() {
                leg.voice.attend(agreed.codec, pool);
            }
        }
    }
    /// Looks whether what encoders take for background is.
    fn examine(&mut self, legs: &mut [Leg], pool: &mut SoundPool) {
        let (earlier, later) = legs.split_at_mut(self.examine_next.min(legs.len()));
        let (begin, end) = (earlier.len(), earlier.len() + later.len());
        let in_turn = (begin..end).zip(later).chain((0..begin).zip(earlier));
        let doubtful = in_turn.filter(|(_, leg)| leg.voice.speech.is_doubtful());
        for (place, leg) in doubtful.take(EXAMINED_MAX) {
            if let Some(agreed) = leg.media.media() {
                leg.voice.examine(agreed.codec, pool);
            }
            self.examine_next = place + 1;
        }
    }
}
