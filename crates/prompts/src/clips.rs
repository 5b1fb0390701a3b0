//! The shipped clips, decoded when they are first needed.

use std::collections::HashMap;

use mixer::{Clip, CodecFactory};

use crate::language::{Language, Languages, SHIPPED};
use crate::ogg_opus::{self, OpusStream};
use crate::sound::SoundError;

/// The clips of every language, shipped or added.
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
        let languages = Languages::shipped();
        for (tag, sound) in SHIPPED {
            let streams = ogg_opus::read(sound).expect("the shipped files are well formed: a test reads them");
            let named =
                streams.into_iter().map(|stream| ((languages.of_tag(tag).clone(), stream.title.clone()), stream));
            packed.extend(named);
        }
        Self { packed, played: HashMap::new() }
    }

    /// Adds a clip, in place of a shipped one.
    pub fn add(&mut self, language: &Language, name: &str, clip: Clip) {
        self.played.insert((language.clone(), name.to_owned()), clip);
    }

    /// A clip by its language and name; `None` when there is none or Opus cannot be decoded.
    pub fn get(&mut self, language: &Language, name: &str, codecs: &dyn CodecFactory) -> Option<Clip> {
        let key = (language.clone(), name.to_owned());
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
    use crate::language::TEXTS;
    use crate::{Piece, compose};

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
        for phrase in Phrase::ALL {
            assert!(keys(english, "phrases").contains(&phrase.name().to_owned()), "{phrase:?}");
        }
        assert_eq!(Phrase::ALL.len(), keys(english, "phrases").len());
    }

    /// It is given 0 to 300 s before the end, as configured.
    #[test]
    fn the_notice_of_the_end_is_true_however_early_it_is_given() {
        for (tag, text) in TEXTS {
            let said = text.lines().find(|line| line.starts_with("conference-ends =")).expect("a text");
            let soon = if tag == "de" { "bald" } else { "soon" };
            assert!(said.contains(soon), "{tag}: {said}");
        }
    }

    #[test]
    fn every_text_was_spoken_and_can_be_heard() {
        let mut clips = Clips::new();
        let languages = Languages::shipped();
        for (tag, text) in TEXTS {
            let language = languages.of_tag(tag);
            let numbers = (0..100).map(|number| number.to_string());
            for name in keys(text, "phrases").into_iter().chain(keys(text, "words")).chain(numbers) {
                let clip = clips.get(language, &name, &Codecs).unwrap_or_else(|| panic!("{tag} {name}"));
                let seconds = clip.len() as f64 / f64::from(SAMPLE_RATE);
                assert!((0.15..6.0).contains(&seconds), "{tag} {name}: {seconds} s");
                let mut frame = SILENCE;
                let loudest = (0..clip.len()).step_by(frame.len()).map(|at| {
                    clip.read(at, &mut frame);
                    Level::measure(&frame)
                });
                let loudest = loudest.max().expect("it has frames");
                assert!(loudest > Level::from_dbov(25), "{tag} {name}: {loudest:?}");
            }
        }
    }

    #[test]
    fn every_number_and_key_can_be_said() {
        let mut clips = Clips::new();
        let languages = Languages::shipped();
        for language in languages.iter() {
            let numbers = [0, 7, 100, 118, 1_000, 999_999, 1_000_000, u32::MAX].map(Spoken::Number);
            let parts = numbers.into_iter().chain([Spoken::Digits("0123456789*#".to_owned())]).collect();
            for piece in compose(&languages, &Announcement { language: language.tag().to_owned(), parts }) {
                if let Piece::Clip(language, name) = piece {
                    assert!(clips.get(&language, &name, &Codecs).is_some(), "{language:?} {name}");
                }
            }
        }
    }

    #[test]
    fn a_language_is_well_under_a_megabyte() {
        for (tag, sound) in SHIPPED {
            assert!(sound.len() < 500_000, "{tag}");
        }
    }

    #[test]
    fn what_is_shipped_is_all_that_a_language_needs() {
        let mut clips = Clips::new();
        for shipped in Languages::shipped().iter() {
            let names: Vec<&String> =
                clips.packed.keys().filter(|(of, _)| of == shipped).map(|(_, name)| name).collect();
            let language = Language::of_clips(shipped.tag(), |name| names.iter().any(|known| *known == name));
            assert_eq!(language.as_ref(), Ok(shipped), "also the rule of its numbers");
        }
        let welcome =
            |clips: &mut Clips| clips.get(Languages::shipped().of_tag("en"), "welcome", &Codecs).map(|clip| clip.len());
        let before = welcome(&mut clips);
        clips.add(Languages::shipped().of_tag("en"), "welcome", Clip::new(vec![1; 4_800]).expect("samples"));
        assert_ne!(welcome(&mut clips), before);
    }
}
