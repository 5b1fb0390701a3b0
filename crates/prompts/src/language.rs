//! Languages: what the clip of a phrase is called, and how numbers are put together.

use std::sync::Arc;

use mcu_api::Phrase;

/// A language the server speaks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Language {
    tag: Arc<str>,
    /// 100 and 1,000 have words of their own, as in "einhundert", which is not "eins hundert".
    own_one: bool,
}

impl Language {
    /// The clip by which a language has a word of its own for 100, in place of those for 1 and for hundred; with it goes
    /// `one-thousand`.
    const OWN_ONE: &str = "one-hundred";

    /// The names of the clips that each language needs: every phrase, `hundred`, `thousand`, `star`, `hash`, and the
    /// numbers from `0` to `99`.
    pub fn needed_clips() -> impl Iterator<Item = String> {
        let phrases = Phrase::ALL.iter().map(|phrase| phrase.name());
        let words = phrases.chain(["hundred", "thousand", "star", "hash"]).map(str::to_owned);
        words.chain((0..100).map(|number: u32| number.to_string()))
    }

    /// A language whose clips are called so, by its BCP 47 tag, of which the primary subtag counts.
    ///
    /// # Errors
    /// The names of the clips that are missing of [`Language::needed_clips`]; with `one-hundred`, also `one-thousand`.
    pub fn of_clips(tag: &str, has: impl Fn(&str) -> bool) -> Result<Self, Vec<String>> {
        let own_one = has(Self::OWN_ONE);
        let needed = Self::needed_clips().chain(own_one.then(|| "one-thousand".to_owned()));
        let missing: Vec<String> = needed.filter(|name| !has(name)).collect();
        if missing.is_empty() { Ok(Self::new(tag, own_one)) } else { Err(missing) }
    }

    fn new(tag: &str, own_one: bool) -> Self {
        Self { tag: primary(tag).to_ascii_lowercase().into(), own_one }
    }

    /// Its tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// The names of the clips that say a number below a million, by the rule of the language. Numbers from 0 to 99 have a
    /// clip each, since they do not sound like their parts.
    pub(crate) fn number(&self, number: u32) -> Vec<String> {
        debug_assert!(number < NUMBER_END);
        let (thousands, rest) = (number / 1_000, number % 1_000);
        let mut clips = Vec::new();
        match thousands {
            0 => {}
            1 if self.own_one => clips.push("one-thousand".to_owned()),
            _ => {
                self.below_thousand(thousands, &mut clips);
                clips.push("thousand".to_owned());
            }
        }
        if rest > 0 || thousands == 0 {
            self.below_thousand(rest, &mut clips);
        }
        clips
    }

    fn below_thousand(&self, number: u32, clips: &mut Vec<String>) {
        let (hundreds, rest) = (number / 100, number % 100);
        match hundreds {
            0 => {}
            1 if self.own_one => clips.push(Self::OWN_ONE.to_owned()),
            _ => clips.extend([hundreds.to_string(), "hundred".to_owned()]),
        }
        if rest > 0 || hundreds == 0 {
            clips.push(rest.to_string());
        }
    }
}

/// The languages the server speaks.
#[derive(Clone, Debug)]
pub struct Languages(Vec<Language>);

impl Languages {
    /// Those that are shipped: English and German.
    pub fn shipped() -> Self {
        Self(SHIPPED.iter().map(|(tag, _)| Language::new(tag, *tag == "de")).collect())
    }

    /// Adds a language, in place of one with the same tag.
    pub fn add(&mut self, language: Language) {
        self.0.retain(|known| known.tag != language.tag);
        self.0.push(language);
    }

    /// The language of a BCP 47 tag, by its primary subtag: `de-AT` is German. What is not known is English.
    pub fn of_tag(&self, tag: &str) -> &Language {
        self.find(tag).or_else(|| self.find("en")).expect("English is shipped")
    }

    /// The language of a BCP 47 tag; `None` when it is not known.
    pub fn find(&self, tag: &str) -> Option<&Language> {
        self.0.iter().find(|language| language.tag.eq_ignore_ascii_case(primary(tag)))
    }

    /// Every language.
    pub fn iter(&self) -> impl Iterator<Item = &Language> {
        self.0.iter()
    }
}

/// The clips of the shipped languages: a chain of Ogg/Opus streams, each named by its title.
pub(crate) const SHIPPED: [(&str, &[u8]); 2] =
    [("en", include_bytes!("../languages/en.opus")), ("de", include_bytes!("../languages/de.opus"))];

/// What is spoken in them.
pub(crate) const TEXTS: [(&str, &str); 2] =
    [("en", include_str!("../languages/en.toml")), ("de", include_str!("../languages/de.toml"))];

/// The texts of a shipped language by its BCP 47 tag, as TOML: under `[phrases]` and `[words]` the name of each clip with
/// what it says. The numbers from 0 to 99 are not among them: they are called as they are written.
pub fn texts(tag: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| known.eq_ignore_ascii_case(primary(tag))).map(|(_, text)| *text)
}

/// The primary subtag of a BCP 47 tag, which names the language: `de` of `de-AT`.
pub fn primary(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or_default()
}

/// From here on a number is said digit by digit.
pub(crate) const NUMBER_END: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_find_their_language() {
        let mut languages = Languages::shipped();
        for (tag, language) in [("en", "en"), ("de-AT", "de"), ("DE", "de"), ("fr", "en")] {
            assert_eq!(languages.of_tag(tag).tag(), language, "{tag}");
        }
        assert_eq!(languages.find("fr"), None);
        languages.add(Language::of_clips("fr-CH", |_| true).expect("nothing is missing"));
        assert_eq!(languages.of_tag("fr").tag(), "fr");
    }

    #[test]
    fn a_language_without_all_its_clips_is_none() {
        let missing = Language::of_clips("fr", |name| !["joined", "42"].contains(&name));
        assert_eq!(missing, Err(vec!["joined".to_owned(), "42".to_owned(),]));
        let missing = Language::of_clips("fr", |name| name != "one-thousand");
        assert_eq!(missing, Err(vec!["one-thousand".to_owned()]), "it has a word for 100, so it needs one for 1,000");
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
            let languages = Languages::shipped();
            assert_eq!(languages.of_tag("en").number(number).join(" "), english);
            assert_eq!(languages.of_tag("de").number(number).join(" "), german);
        }
    }
}
