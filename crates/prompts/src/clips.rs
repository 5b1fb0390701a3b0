//! The shipped clips, decoded when they are first needed.

use std::collections::HashMap;

use mixer::{Clip, CodecFactory};

use crate::language::Language;
use crate::ogg_opus::{self, OpusStream};
use crate::sound::SoundError;

/// The clips of every language.
///
/// Reading the containers costs a few milliseconds, at the start; decoding a clip about one, when it is first said. What
/// was decoded stays: all of it would be about 13 MB for each language.
pub struct Clips {
    packed: HashMap<(Language, String), OpusStream>,
    played: HashMap<(Language, String), Clip>,
}

impl Clips {
    /// Reads the shipped files.
    pub fn new() -> Self {
        let mut packed = HashMap::new();
        for language in Language::ALL {
            let streams =
                ogg_opus::read(language.sound()).expect("the shipped files are well formed: a test reads them");
            packed.extend(streams.into_iter().map(|stream| ((language, stream.title.clone()), stream)));
        }
        Self { packed, played: HashMap::new() }
    }

    /// A clip by its language and name; `None` when there is none or Opus cannot be decoded.
    pub fn get(&mut self, language: Language, name: &str, codecs: &dyn CodecFactory) -> Option<Clip> {
        let key = (language, name.to_owned());
        if let Some(clip) = self.played.get(&key) {
            return Some(clip.clone());
        }
        let samples: Result<_, SoundError> = self.packed.get(&key)?.decode(codecs);
        let clip = Clip::new(samples.ok()?)?;
        self.played.insert(key, clip.clone());
        Some(clip)
    }
}

impl Default for Clips {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use codecs::Codecs;
    use mcu_api::{Announcement, Phrase, Spoken};
    use mixer::{Level, SAMPLE_RATE, SILENCE};

    use super::*;
    use crate::language::clip_name;
    use crate::{Piece, compose};

    const TEXTS: [(Language, &str); 2] = [
        (Language::English, include_str!("../languages/en.toml")),
        (Language::German, include_str!("../languages/de.toml")),
    ];

    /// The keys of a section of a language's texts.
    fn keys(text: &str, section: &str) -> Vec<String> {
        let texts: toml::Table = text.parse().expect("well formed");
        texts[section].as_table().expect("a section").keys().cloned().collect()
    }

    #[test]
    fn every_phrase_has_a_text_and_every_text_a_phrase() {
        let [(_, english), _] = TEXTS;
        for (_, text) in TEXTS {
            assert_eq!(keys(text, "phrases"), keys(english, "phrases"));
        }
        for phrase in every_phrase() {
            assert!(keys(english, "phrases").contains(&clip_name(phrase).to_owned()), "{phrase:?}");
        }
        assert_eq!(every_phrase().len(), keys(english, "phrases").len());
    }

    /// In the order of their numbers; the match makes the compiler ask for a new one here.
    fn every_phrase() -> Vec<Phrase> {
        let mut phrases = vec![Phrase::EnterPin];
        while let Some(next) = phrases.last().copied().and_then(after) {
            phrases.push(next);
        }
        phrases
    }

    fn after(phrase: Phrase) -> Option<Phrase> {
        Some(match phrase {
            Phrase::EnterPin => Phrase::WrongPin,
            Phrase::WrongPin => Phrase::WaitInLobby,
            Phrase::WaitInLobby => Phrase::Joined,
            Phrase::Joined => Phrase::FirstOne,
            Phrase::FirstOne => Phrase::Muted,
            Phrase::Muted => Phrase::Unmuted,
            Phrase::Unmuted => Phrase::ConferenceEnds,
            Phrase::ConferenceEnds => Phrase::PeopleInConference,
            Phrase::PeopleInConference => Phrase::Welcome,
            Phrase::Welcome => Phrase::AllBusy,
            Phrase::AllBusy => Phrase::YouAreNumber,
            Phrase::YouAreNumber => Phrase::InTheQueue,
            Phrase::InTheQueue => Phrase::EstimatedWait,
            Phrase::EstimatedWait => Phrase::Minutes,
            Phrase::Minutes => Phrase::LessThanOneMinute,
            Phrase::LessThanOneMinute => Phrase::Closed,
            Phrase::Closed => Phrase::Holiday,
            Phrase::Holiday => Phrase::NobodyAvailable,
            Phrase::NobodyAvailable => Phrase::InvalidChoice,
            Phrase::InvalidChoice => Phrase::Forwarding,
            Phrase::Forwarding => Phrase::PressOne,
            Phrase::PressOne => Phrase::Goodbye,
            Phrase::Goodbye => Phrase::SignedIn,
            Phrase::SignedIn => Phrase::SignedOut,
            Phrase::SignedOut => Phrase::Recorded,
            Phrase::Recorded => Phrase::EnterConferenceNumber,
            Phrase::EnterConferenceNumber => Phrase::UnknownConference,
            Phrase::UnknownConference => return None,
        })
    }

    #[test]
    fn every_text_was_spoken_and_can_be_heard() {
        let mut clips = Clips::new();
        for (language, text) in TEXTS {
            let numbers = (0..100).map(|number| number.to_string());
            for name in keys(text, "phrases").into_iter().chain(keys(text, "words")).chain(numbers) {
                let clip = clips.get(language, &name, &Codecs).unwrap_or_else(|| panic!("{language:?} {name}"));
                let seconds = clip.len() as f64 / f64::from(SAMPLE_RATE);
                assert!((0.15..6.0).contains(&seconds), "{language:?} {name}: {seconds} s");
                let mut frame = SILENCE;
                let loudest = (0..clip.len()).step_by(frame.len()).map(|at| {
                    clip.read(at, &mut frame);
                    Level::measure(&frame)
                });
                let loudest = loudest.max().expect("it has frames");
                assert!(loudest > Level::from_dbov(25), "{language:?} {name}: {loudest:?}");
            }
        }
    }

    #[test]
    fn every_number_and_key_can_be_said() {
        let mut clips = Clips::new();
        for language in Language::ALL {
            let numbers = [0, 7, 100, 118, 1_000, 999_999, 1_000_000, u32::MAX].map(Spoken::Number);
            let parts = numbers.into_iter().chain([Spoken::Digits("0123456789*#".to_owned())]).collect();
            for piece in compose(&Announcement { language: language.tag().to_owned(), parts }) {
                if let Piece::Clip(language, name) = piece {
                    assert!(clips.get(language, &name, &Codecs).is_some(), "{language:?} {name}");
                }
            }
        }
    }

    #[test]
    fn a_language_is_well_under_a_megabyte() {
        for language in Language::ALL {
            assert!(language.sound().len() < 500_000, "{language:?}");
        }
    }
}
