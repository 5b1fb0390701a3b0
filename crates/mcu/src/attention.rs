//! Who is listened to: whose packets are decoded.
//!
//! Decoding costs more than all else that is done for a leg, and of a hundred legs three speak. How loud a packet is
//! stands in its header extension (RFC 6464), or can be read from it without decoding ([`mixer::Gauge`]). Whoever may
//! be heard by that is listened to in the same tick, with the packets before in the decoder already; as soon as he is
//! decoded, only what was measured counts. So a wrong hint costs a few decodes, and the choice who is heard is the same
//! as if everybody were decoded.

use mixer::{HEARD_MAX, SpeakerChoice};

use crate::leg::Leg;
use crate::sound::SoundPool;

/// How many are decoded at once: those who are heard, and as many again who might be next. It bounds the work of a tick
/// in a conference where everybody makes noise.
pub(crate) const ATTENDED_MAX: usize = 2 * HEARD_MAX;

/// Chooses who is listened to.
pub(crate) struct Attention {
    choice: SpeakerChoice,
}

impl Attention {
    pub(crate) fn new() -> Self {
        Self { choice: SpeakerChoice::new(ATTENDED_MAX) }
    }

    /// Begins to listen to those who may have begun to speak, and stops where nothing is to be expected.
    pub(crate) fn turn(&mut self, legs: &mut [Leg], pool: &mut SoundPool) {
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
}
