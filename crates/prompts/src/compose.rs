//! From an announcement to the clips that make it.

use mcu_api::{Announcement, Spoken};

use crate::language::{Language, Languages, NUMBER_END};

/// The most pieces an announcement comes to; further ones are left out. No announcement that makes sense has as many.
const PIECES_MAX: usize = 256;

/// Between digits, in milliseconds: they are written down while they are heard.
const DIGIT_PAUSE_MS: u16 = 120;

/// One thing to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A clip, by its language and name.
    Clip(Language, String),
    /// A sound file of the operator's, by the name the announcement has for it.
    File(String),
    /// Silence, in milliseconds.
    Pause(u16),
}

/// What is played, in order, for an announcement. At most [`Announcement::PARTS_MAX`] of its parts count.
pub fn compose(languages: &Languages, announcement: &Announcement) -> Vec<Piece> {
    let language = languages.of_tag(&announcement.language);
    let parts = announcement.parts.iter().take(Announcement::PARTS_MAX);
    parts.flat_map(|part| pieces(language, part)).take(PIECES_MAX).collect()
}

fn pieces(language: &Language, part: &Spoken) -> Vec<Piece> {
    let clip = |name: String| Piece::Clip(language.clone(), name);
    match part {
        Spoken::Phrase(phrase) => vec![clip(phrase.name().to_owned())],
        Spoken::Number(number) if *number < NUMBER_END => language.number(*number).into_iter().map(clip).collect(),
        Spoken::Number(number) => digits(language, &number.to_string()),
        Spoken::Digits(text) => digits(language, text),
        Spoken::File(name) => vec![Piece::File(name.clone())],
        Spoken::Pause(milliseconds) => vec![Piece::Pause(*milliseconds)],
    }
}

fn digits(language: &Language, text: &str) -> Vec<Piece> {
    let name = |key: char| match key {
        '0'..='9' => Some(key.to_string()),
        '*' => Some("star".to_owned()),
        '#' => Some("hash".to_owned()),
        _ => None,
    };
    let keys = text.chars().take(PIECES_MAX).filter_map(name);
    keys.flat_map(|name| [Piece::Clip(language.clone(), name), Piece::Pause(DIGIT_PAUSE_MS)]).collect()
}

#[cfg(test)]
mod tests {
    use mcu_api::Phrase;
    use proptest::prelude::*;

    use super::*;

    fn spoken(language: &str, parts: Vec<Spoken>) -> String {
        let pieces = compose(&Languages::shipped(), &Announcement { language: language.to_owned(), parts });
        let words: Vec<String> = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Clip(language, name) => format!("{}/{name}", language.tag()),
                Piece::File(name) => format!("file:{name}"),
                Piece::Pause(milliseconds) => format!("-{milliseconds}-"),
            })
            .collect();
        words.join(" ")
    }

    #[test]
    fn an_announcement_is_put_together_in_order() {
        let parts = vec![
            Spoken::Phrase(Phrase::YouAreNumber),
            Spoken::Number(102),
            Spoken::Pause(300),
            Spoken::Phrase(Phrase::InTheQueue),
            Spoken::File("jingle.wav".to_owned()),
        ];
        assert_eq!(spoken("de", parts), "de/you-are-number de/one-hundred de/2 -300- de/in-the-queue file:jingle.wav");
    }

    #[test]
    fn digits_are_said_one_by_one_and_nothing_else_is() {
        assert_eq!(spoken("xx", vec![Spoken::Digits("4a*#".to_owned())]), "en/4 -120- en/star -120- en/hash -120-");
        assert!(spoken("en", vec![Spoken::Number(1_000_000)]).starts_with("en/1 -120- en/0"));
    }

    proptest! {
        #[test]
        fn the_length_is_bounded(texts in prop::collection::vec(".{0,400}", 0..60)) {
            let parts = texts.into_iter().map(Spoken::Digits).collect();
            let announcement = Announcement { language: String::new(), parts };
            prop_assert!(compose(&Languages::shipped(), &announcement).len() <= PIECES_MAX);
        }
    }
}
