//! Languages of the operator's: a folder for each, with a sound file for each thing that is said.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mixer::{Clip, CodecFactory};
use prompts::{Clips, Language, Languages};

use crate::sound_files::SoundFiles;

/// What a sound file of a clip may end in.
const ENDINGS: [&str; 2] = ["wav", "opus"];

/// A language found in a folder, complete.
#[derive(Debug)]
pub struct FoundLanguage {
    language: Language,
    folder: PathBuf,
    /// The file of each clip, by the clip's name.
    files: BTreeMap<String, String>,
}

/// Why the languages of a directory cannot be spoken.
#[derive(Debug)]
pub enum LanguageError {
    /// The directory or one of its folders cannot be read.
    Read(PathBuf, io::Error),
    /// A folder lacks clips.
    Incomplete(PathBuf, Vec<String>),
    /// A sound file cannot be played.
    Sound(PathBuf, String),
}

impl std::fmt::Display for LanguageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "{} cannot be read: {error}", path.display()),
            Self::Incomplete(path, missing) => {
                write!(f, "{} lacks {}; record each as NAME.wav or NAME.opus", path.display(), listed(missing))
            }
            Self::Sound(path, error) => write!(f, "{} cannot be played: {error}", path.display()),
        }
    }
}

impl std::error::Error for LanguageError {}

/// Names after each other, numbers that follow one another as a range: `joined, 3 to 99`.
fn listed(names: &[String]) -> String {
    let mut listed: Vec<(&str, Option<u32>, Option<u32>)> = Vec::new();
    for name in names {
        let number: Option<u32> = name.parse().ok();
        match listed.last_mut() {
            Some((_, _, Some(last))) if number == Some(*last + 1) => *last += 1,
            _ => listed.push((name, number, number)),
        }
    }
    let word = |(first, from, to): (&str, Option<u32>, Option<u32>)| match to.filter(|_| from != to) {
        Some(to) => format!("{first} to {to}"),
        None => first.to_owned(),
    };
    listed.into_iter().map(word).collect::<Vec<_>>().join(", ")
}

impl FoundLanguage {
    /// Its tag: the name of its folder.
    pub fn tag(&self) -> &str {
        self.language.tag()
    }

    /// Reads its clips.
    fn load(&self, codecs: &dyn CodecFactory) -> Result<Vec<(&str, Clip)>, LanguageError> {
        let mut sounds = SoundFiles::new(Some(self.folder.clone()));
        let clips = self.files.iter().map(|(name, file)| match sounds.get(file, codecs) {
            Ok(clip) => Ok((name.as_str(), clip)),
            Err(error) => Err(LanguageError::Sound(self.folder.join(file), error.to_string())),
        });
        clips.collect()
    }

    fn primary(&self) -> String {
        prompts::primary(self.tag()).to_ascii_lowercase()
    }
}

/// What a directory of languages holds.
#[derive(Debug, Default)]
pub struct FoundLanguages {
    /// Those that can be spoken.
    pub complete: Vec<FoundLanguage>,
    /// The folders that are none yet, by their primary subtag, and why. Nobody can be spoken to in them.
    pub incomplete: Vec<(String, LanguageError)>,
}

impl FoundLanguages {
    /// Listens to each: one with a sound that cannot be played is none either.
    pub fn heard(mut self, codecs: &dyn CodecFactory) -> Self {
        let mut kept = Vec::new();
        for found in self.complete {
            match found.load(codecs).map(drop) {
                Ok(()) => kept.push(found),
                Err(error) => self.incomplete.push((found.primary(), error)),
            }
        }
        self.complete = kept;
        self
    }
}

/// Finds the languages of a directory: a folder for each, called by its tag.
///
/// # Errors
/// [`LanguageError`] when the directory cannot be read.
pub fn find_languages(directory: &Path) -> Result<FoundLanguages, LanguageError> {
    let failed = |error| LanguageError::Read(directory.to_owned(), error);
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    let mut found = FoundLanguages::default();
    for folder in folders {
        let tag = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match find_language(&tag, folder) {
            Ok(language) => found.complete.push(language),
            Err(error) => found.incomplete.push((prompts::primary(&tag).to_ascii_lowercase(), error)),
        }
    }
    Ok(found)
}

fn find_language(tag: &str, folder: PathBuf) -> Result<FoundLanguage, LanguageError> {
    let failed = |error| LanguageError::Read(folder.clone(), error);
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if let Some((name, _)) = file.rsplit_once('.').filter(|(_, ending)| ENDINGS.contains(ending)) {
            files.insert(name.to_owned(), file.clone());
        }
    }
    match Language::of_clips(tag, |name| files.contains_key(name)) {
        Ok(language) => Ok(FoundLanguage { language, folder, files }),
        Err(missing) => Err(LanguageError::Incomplete(folder, missing)),
    }
}

/// Adds the languages of a directory to those that are shipped. What is incomplete is left out, and so is what can no longer
/// be played, which is answered: whoever looked before the start does not know.
pub(crate) fn load_languages(
    directory: &Path,
    languages: &mut Languages,
    clips: &mut Clips,
    codecs: &dyn CodecFactory,
) -> Result<Vec<LanguageError>, LanguageError> {
    let mut left_out = Vec::new();
    for found in find_languages(directory)?.complete {
        match found.load(codecs) {
            Ok(loaded) => {
                loaded.into_iter().for_each(|(name, clip)| clips.add(&found.language, name, clip));
                languages.add(found.language);
            }
            Err(error) => left_out.push(error),
        }
    }
    Ok(left_out)
}

#[cfg(test)]
mod tests {
    use codecs::Codecs;

    use super::*;
    use crate::sound_files::tests::wave;

    /// A folder with every clip of a language, each 100 ms long.
    fn write_language(folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder");
        let Err(names) = Language::of_clips("fr", |_| false) else { panic!("a language needs clips") };
        for name in names {
            std::fs::write(folder.join(format!("{name}.wav")), wave(1, 800)).expect("written");
        }
    }

    #[test]
    fn a_folder_makes_a_language() {
        let directory = tempfile::tempdir().expect("a folder");
        write_language(&directory.path().join("fr"));
        let (mut languages, mut clips) = (Languages::shipped(), Clips::new());
        load_languages(directory.path(), &mut languages, &mut clips, &Codecs).expect("complete");
        let french = languages.find("fr-CH").expect("it is there").clone();
        assert_eq!(clips.get(&french, "joined", &Codecs).map(|clip| clip.len()), Some(4_800));
    }

    #[test]
    fn a_broken_sound_is_named_and_keeps_no_other_language_from_being_spoken() {
        let directory = tempfile::tempdir().expect("a folder");
        for tag in ["fr-CA", "it"] {
            write_language(&directory.path().join(tag));
        }
        std::fs::write(directory.path().join("fr-CA").join("42.wav"), "no sound").expect("written");
        let found = find_languages(directory.path()).expect("readable").heard(&Codecs);
        let [(tag, error)] = found.incomplete.as_slice() else { panic!("{found:?}") };
        assert_eq!((tag.as_str(), found.complete.len()), ("fr", 1));
        assert!(error.to_string().contains("42.wav cannot be played"), "{error}");
        let (mut languages, mut clips) = (Languages::shipped(), Clips::new());
        let left_out = load_languages(directory.path(), &mut languages, &mut clips, &Codecs).expect("readable");
        let [error] = left_out.as_slice() else { panic!("{left_out:?}") };
        assert!(error.to_string().contains("42.wav cannot be played"), "{error}");
        assert!(languages.find("it").is_some() && languages.find("fr").is_none());
        assert!(find_languages(&directory.path().join("none")).expect_err("missing").to_string().contains("none"));
    }

    #[test]
    fn an_incomplete_language_says_all_it_lacks_and_keeps_no_other_from_being_spoken() {
        let directory = tempfile::tempdir().expect("a folder");
        for tag in ["fr", "it-CH"] {
            write_language(&directory.path().join(tag));
        }
        for name in ["muted", "3", "4", "5", "42"] {
            std::fs::remove_file(directory.path().join("it-CH").join(format!("{name}.wav"))).expect("removed");
        }
        let found = find_languages(directory.path()).expect("readable");
        let [(tag, error)] = found.incomplete.as_slice() else { panic!("{found:?}") };
        assert_eq!(tag, "it");
        assert!(
            error.to_string().ends_with("it-CH lacks muted, 3 to 5, 42; record each as NAME.wav or NAME.opus"),
            "{error}"
        );
        let (mut languages, mut clips) = (Languages::shipped(), Clips::new());
        load_languages(directory.path(), &mut languages, &mut clips, &Codecs).expect("fr is complete");
        assert!(languages.find("fr").is_some() && languages.find("it").is_none());
    }
}
