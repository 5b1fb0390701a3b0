//! The list of what a language needs, for whoever records one.

use std::collections::BTreeMap;

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::Deserialize;

/// Clips a language may have beside those it needs: words of their own for 100 and 1,000.
const OPTIONAL: [&str; 2] = ["one-hundred", "one-thousand"];

/// The texts of a shipped language.
#[derive(Deserialize)]
struct Texts {
    phrases: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
}

/// A line for each sound file of a language: its name, and what it says in a shipped language.
///
/// # Errors
/// What to do, when the server has no texts in it.
pub(crate) fn list(language: &str) -> Result<String, String> {
    let Some(texts) = prompts::texts(language) else {
        let shipped = prompts::Languages::shipped();
        let known = shipped.iter().map(prompts::Language::tag).collect::<Vec<_>>().join(", ");
        return Err(format!("--language {language:?}: there are no texts in it; write one of {known}"));
    };
    let texts: Texts = Figment::from(Toml::string(texts)).extract().expect("the shipped texts are well formed");
    let said = |name: &str| texts.phrases.get(name).or_else(|| texts.words.get(name));
    let mut list = String::new();
    for name in prompts::Language::needed_clips() {
        let text = said(&name).unwrap_or(&name);
        list.push_str(&format!("{name:<24} {text}\n"));
    }
    for name in OPTIONAL {
        if let Some(text) = said(name) {
            list.push_str(&format!("{name:<24} {text}\n"));
        }
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sound_file_of_a_language_is_listed_with_its_text() {
        let english = list("en").expect("it is shipped");
        for line in
            ["enter-pin                Please enter your PIN, then press hash.", "star                     star"]
        {
            assert!(english.lines().any(|known| known == line), "{line} is not in\n{english}");
        }
        let names: Vec<&str> = english.lines().filter_map(|line| line.split_whitespace().next()).collect();
        prompts::Language::of_clips("fr", |name| names.contains(&name)).expect("whoever records these has a language");
        assert_eq!(names.len(), prompts::Language::needed_clips().count());
        let german = list("de-AT").expect("it is shipped");
        assert!(
            german.ends_with("one-hundred              einhundert\none-thousand             eintausend\n"),
            "{german}"
        );
        assert!(list("fr").expect_err("it is not shipped").contains("write one of en, de"));
    }
}
