//! The languages that are shipped: what the clip of a phrase is called, and how numbers are put together.

use mcu_api::Phrase;

/// A language the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Language {
    /// English.
    English,
    /// German.
    German,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::German];

    /// The language of a BCP 47 tag, by its primary subtag: `de-AT` is German. What is not shipped is English.
    pub fn of_tag(tag: &str) -> Self {
        Self::find(tag).unwrap_or(Self::English)
    }

    /// The language of a BCP 47 tag; `None` when it is not shipped.
    pub fn find(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next().unwrap_or_default();
        Self::ALL.into_iter().find(|language| language.tag().eq_ignore_ascii_case(primary))
    }

    /// Its tag.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
        }
    }

    /// Its clips: a chain of Ogg/Opus streams, each named by its title.
    pub(crate) const fn sound(self) -> &'static [u8] {
        match self {
            Self::English => include_bytes!("../languages/en.opus"),
            Self::German => include_bytes!("../languages/de.opus"),
        }
    }

    /// The names of the clips that say a number below a million, by the rule of the language. Numbers from 0 to 99 have a
    /// clip each, since they do not sound like their parts.
    pub(crate) fn number(self, number: u32) -> Vec<String> {
        debug_assert!(number < NUMBER_END);
        let (thousands, rest) = (number / 1_000, number % 1_000);
        let mut clips = Vec::new();
        if thousands > 0 {
            match (self, thousands) {
                (Self::German, 1) => clips.push("one-thousand".to_owned()),
                _ => {
                    self.below_thousand(thousands, &mut clips);
                    clips.push("thousand".to_owned());
                }
            }
        }
        if rest > 0 || thousands == 0 {
            self.below_thousand(rest, &mut clips);
        }
        clips
    }

    fn below_thousand(self, number: u32, clips: &mut Vec<String>) {
        let (hundreds, rest) = (number / 100, number % 100);
        match (self, hundreds) {
            (_, 0) => {}
            // "einhundert", not "eins hundert".
            (Self::German, 1) => clips.push("one-hundred".to_owned()),
            _ => clips.extend([hundreds.to_string(), "hundred".to_owned()]),
        }
        if rest > 0 || hundreds == 0 {
            clips.push(rest.to_string());
        }
    }
}

/// From here on a number is said digit by digit.
pub(crate) const NUMBER_END: u32 = 1_000_000;

/// The name of a phrase's clip, and its key in the text files.
pub(crate) const fn clip_name(phrase: Phrase) -> &'static str {
    match phrase {
        Phrase::EnterPin => "enter-pin",
        Phrase::WrongPin => "wrong-pin",
        Phrase::WaitInLobby => "wait-in-lobby",
        Phrase::Joined => "joined",
        Phrase::FirstOne => "first-one",
        Phrase::Muted => "muted",
        Phrase::Unmuted => "unmuted",
        Phrase::ConferenceEnds => "conference-ends",
        Phrase::PeopleInConference => "people-in-conference",
        Phrase::Welcome => "welcome",
        Phrase::AllBusy => "all-busy",
        Phrase::YouAreNumber => "you-are-number",
        Phrase::InTheQueue => "in-the-queue",
        Phrase::EstimatedWait => "estimated-wait",
        Phrase::Minutes => "minutes",
        Phrase::LessThanOneMinute => "less-than-one-minute",
        Phrase::Closed => "closed",
        Phrase::Holiday => "holiday",
        Phrase::NobodyAvailable => "nobody-available",
        Phrase::InvalidChoice => "invalid-choice",
        Phrase::Forwarding => "forwarding",
        Phrase::PressOne => "press-one",
        Phrase::Goodbye => "goodbye",
        Phrase::SignedIn => "signed-in",
        Phrase::SignedOut => "signed-out",
        Phrase::Recorded => "recorded",
        Phrase::EnterConferenceNumber => "enter-conference-number",
        Phrase::UnknownConference => "unknown-conference",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_find_their_language() {
        for (tag, language) in [
            ("en", Language::English),
            ("de-AT", Language::German),
            ("DE", Language::German),
            ("fr", Language::English),
        ] {
            assert_eq!(Language::of_tag(tag), language, "{tag}");
        }
        assert_eq!(Language::find("fr"), None);
    }

    #[test]
    fn numbers_follow_the_language() {
        let cases: [(u32, &str, &str); 9] = [
            (0, "0", "0"),
            (12, "12", "12"),
            (99, "99", "99"),
            (100, "1 hundred", "one-hundred"),
            (101, "1 hundred 1", "one-hundred 1"),
            (345, "3 hundred 45", "3 hundred 45"),
            (1_000, "1 thousand", "one-thousand"),
            (21_007, "21 thousand 7", "21 thousand 7"),
            (999_999, "9 hundred 99 thousand 9 hundred 99", "9 hundred 99 thousand 9 hundred 99"),
        ];
        for (number, english, german) in cases {
            assert_eq!(Language::English.number(number).join(" "), english);
            assert_eq!(Language::German.number(number).join(" "), german);
        }
    }
}
