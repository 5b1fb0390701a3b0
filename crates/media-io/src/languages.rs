//! Languages of the operator's: a folder for each, with a sound file for each thing that is said.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use mixer::{Clip, CodecFactory};
use prompts::{Clips, Language, Languages};

use crate::sound_files::SoundFiles;

/// What a sound file of a clip may end in.
const ENDINGS: [&str; 2] = ["wav", "opus"];

/// A language found in a folder, with its sounds. A clone shares them.
#[derive(Clone)]
pub struct FoundLanguage {
    language: Language,
    /// By name.
    clips: Vec<(String, Clip)>,
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

    /// Makes it one of those that are spoken.
    pub(crate) fn add_to(&self, languages: &mut Languages, clips: &mut Clips) {
        languages.add(self.language.clone());
        self.clips.iter().for_each(|(name, clip)| clips.add(&self.language, name, clip.clone()));
    }
}

impl std::fmt::Debug for FoundLanguage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({} clips)", self.tag(), self.clips.len())
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

/// Reads the languages of a directory: a folder for each, called by its tag. One with a sound that cannot be played is none.
///
/// # Errors
/// [`LanguageError`] when the directory cannot be read.
pub fn read_languages(directory: &Path, codecs: &dyn CodecFactory) -> Result<FoundLanguages, LanguageError> {
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
        match read_language(&tag, folder, codecs) {
            Ok(language) => found.complete.push(language),
            Err(error) => found.incomplete.push((prompts::primary(&tag).to_ascii_lowercase(), error)),
        }
    }
    Ok(found)
}

fn read_language(tag: &str, folder: PathBuf, codecs: &dyn CodecFactory) -> Result<FoundLanguage, LanguageError> {
    let failed = |error| LanguageError::Read(folder.clone(), error);
    // The file of each clip, by the clip's name.
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if let Some((name, _)) = file.rsplit_once('.').filter(|(_, ending)| ENDINGS.contains(ending)) {
            files.insert(name.to_owned(), file.clone());
        }
    }
    let language = match Language::of_clips(tag, |name| files.contains_key(name)) {
        Ok(language) => language,
        Err(missing) => return Err(LanguageError::Incomplete(folder, missing)),
    };
    let mut sounds = SoundFiles::new(Some(folder.clone()));
    let clips = files.into_iter().map(|(name, file)| match sounds.get(&file, codecs) {
        Ok(clip) => Ok((name, clip)),
        Err(error) => Err(LanguageError::Sound(folder.join(file), error.to_string())),
    });
    Ok(FoundLanguage { language, clips: clips.collect::<Result<_, _>>()? })
}

#[cfg(test)]
pub(crate) mod tests {
    use codecs::Codecs;

    use super::*;
    use crate::sound_files::tests::wave;

    /// A folder with every clip of a language, each 100 ms long.
    pub(crate) fn write_language(folder: &Path) {
        std::fs::create_dir_all(folder).expect("a folder");
        let Err(names) = Language::of_clips("fr", |_| false) else { panic!("a language needs clips") };
        for name in names {
            std::fs::write(folder.join(format!("{name}.wav")), wave(1, 800)).expect("written");
        }
    }

    #[test]
    fn a_folder_makes_a_language_and_is_not_needed_any_more() {
        let directory = tempfile::tempdir().expect("a folder");
        write_language(&directory.path().join("fr"));
        let found = read_languages(directory.path(), &Codecs).expect("complete").complete;
        drop(directory);
        let (mut languages, mut clips) = (Languages::shipped(), Clips::new());
        found.iter().for_each(|found| found.add_to(&mut languages, &mut clips));
        let french = languages.find("fr-CH").expect("it is there").clone();
        assert_eq!(clips.get(&french, "joined", &Codecs).map(|clip| clip.len()), Some(4_800));
        assert_eq!(format!("{found:?}"), format!("[fr ({} clips)]", Language::needed_clips().count()));
    }

    #[test]
    fn a_broken_sound_is_named_and_keeps_no_other_language_from_being_spoken() {
        let directory = tempfile::tempdir().expect("a folder");
        for tag in ["fr-CA", "it"] {
            write_language(&directory.path().join(tag));
        }
        std::fs::write(directory.path().join("fr-CA").join("42.wav"), "no sound").expect("written");
        let found = read_languages(directory.path(), &Codecs).expect("readable");
        let [(tag, error)] = found.incomplete.as_slice() else { panic!("{found:?}") };
        assert_eq!((tag.as_str(), found.complete[0].tag(), found.complete.len()), ("fr", "it", 1));
        assert!(error.to_string().contains("42.wav cannot be played"), "{error}");
        let missing = read_languages(&directory.path().join("none"), &Codecs).expect_err("missing");
        assert!(missing.to_string().contains("none"));
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
        let found = read_languages(directory.path(), &Codecs).expect("readable");
        let [(tag, error)] = found.incomplete.as_slice() else { panic!("{found:?}") };
        assert_eq!((tag.as_str(), found.complete[0].tag(), found.complete.len()), ("it", "fr", 1));
        assert!(
            error.to_string().ends_with("it-CH lacks muted, 3 to 5, 42; record each as NAME.wav or NAME.opus"),
            "{error}"
        );
    }
}
