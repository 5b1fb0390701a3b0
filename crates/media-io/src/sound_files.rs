//! The operator's sound files: found by name inside one folder, and nowhere else.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use mixer::{Clip, CodecFactory};
use prompts::{SoundError, read_sound};

/// The largest file read, in bytes.
const FILE_MAX: u64 = 64 << 20;
/// Samples kept of files read before: 128 MB.
const KEPT_MAX: usize = 64 << 20;
/// The longest name.
const NAME_MAX: usize = 255;

/// Why a file cannot be played.
#[derive(Debug)]
pub(crate) enum FileError {
    /// No folder is configured.
    NoFolder,
    /// The name leads out of the folder or is none.
    Name,
    /// It is larger than 64 MiB or no file.
    Size,
    Read(io::Error),
    Sound(SoundError),
}

impl std::fmt::Display for FileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoFolder => f.write_str("no prompts_dir is configured"),
            Self::Name => {
                f.write_str("it must be a file inside the folder of sounds, and no link that leads out of it")
            }
            Self::Size => f.write_str("it must be a file of at most 64 MiB"),
            Self::Read(error) => error.fmt(f),
            Self::Sound(error) => error.fmt(f),
        }
    }
}

/// Reads the files and keeps what was read while it does not change.
pub(crate) struct SoundFiles {
    folder: Option<PathBuf>,
    kept: HashMap<PathBuf, (Version, Clip)>,
    kept_samples: usize,
}

/// What tells that a file is still the one that was read.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Version {
    length: u64,
    modified: Option<SystemTime>,
}

impl SoundFiles {
    /// The files of a folder.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, kept: HashMap::new(), kept_samples: 0 }
    }

    /// A file by its name, which may hold folders below.
    pub(crate) fn get(&mut self, name: &str, codecs: &dyn CodecFactory) -> Result<Clip, FileError> {
        let path = resolve(self.folder.as_deref().ok_or(FileError::NoFolder)?, name)?;
        let about = fs::metadata(&path).map_err(FileError::Read)?;
        if !about.is_file() || about.len() > FILE_MAX {
            return Err(FileError::Size);
        }
        let version = Version { length: about.len(), modified: about.modified().ok() };
        if let Some((_, clip)) = self.kept.get(&path).filter(|(kept, _)| *kept == version) {
            return Ok(clip.clone());
        }
        let mut bytes = Vec::new();
        File::open(&path).and_then(|file| file.take(FILE_MAX).read_to_end(&mut bytes)).map_err(FileError::Read)?;
        let samples = read_sound(&bytes, codecs).map_err(FileError::Sound)?;
        let clip = Clip::new(samples).ok_or(FileError::Sound(SoundError::Malformed))?;
        self.keep(path, version, &clip);
        Ok(clip)
    }

    /// When it becomes too much, all is forgotten: what is needed is soon read again.
    fn keep(&mut self, path: PathBuf, version: Version, clip: &Clip) {
        self.kept_samples += clip.len();
        if self.kept_samples > KEPT_MAX {
            self.kept.clear();
            self.kept_samples = clip.len();
        }
        self.kept.insert(path, (version, clip.clone()));
    }
}

/// The path of a file inside the folder. Neither `..` nor a link leads out of it.
fn resolve(folder: &Path, name: &str) -> Result<PathBuf, FileError> {
    let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
    if name.is_empty() || name.len() > NAME_MAX || name.contains('\0') || !inside {
        return Err(FileError::Name);
    }
    let folder = folder.canonicalize().map_err(FileError::Read)?;
    let path = folder.join(name).canonicalize().map_err(FileError::Read)?;
    if path.starts_with(&folder) { Ok(path) } else { Err(FileError::Name) }
}

#[cfg(test)]
pub(crate) mod tests {
    use codecs::Codecs;

    use super::*;

    /// A WAVE file of 8 kHz whose samples all have one value.
    pub(crate) fn wave(value: i16, samples: usize) -> Vec<u8> {
        let mut bytes = b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
        bytes.extend(8_000u32.to_le_bytes());
        bytes.extend([0, 0, 0, 0, 2, 0, 16, 0]);
        bytes.extend(b"data");
        bytes.extend((2 * samples as u32).to_le_bytes());
        bytes.extend(std::iter::repeat_n(value.to_le_bytes(), samples).flatten());
        bytes
    }

    #[test]
    fn files_are_found_inside_the_folder_and_nowhere_else() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("prompts");
        fs::create_dir_all(folder.join("de")).expect("folders");
        fs::write(root.path().join("secret.wav"), wave(1, 800)).expect("written");
        fs::write(folder.join("hello.wav"), wave(1, 800)).expect("written");
        fs::write(folder.join("de/hallo.wav"), wave(1, 800)).expect("written");
        fs::write(folder.join("notes.txt"), "no sound").expect("written");
        std::os::unix::fs::symlink(root.path().join("secret.wav"), folder.join("link.wav")).expect("linked");
        let outside = root.path().join("secret.wav");
        let mut files = SoundFiles::new(Some(folder));
        for good in ["hello.wav", "de/hallo.wav"] {
            assert_eq!(files.get(good, &Codecs).expect(good).len(), 4_800);
        }
        let refused =
            ["", "../secret.wav", "de/../../secret.wav", "link.wav", "./hello.wav\0", "de", "notes.txt", "none"];
        for bad in refused.into_iter().chain(outside.to_str()) {
            assert!(files.get(bad, &Codecs).is_err(), "{bad}");
        }
        assert!(matches!(SoundFiles::new(None).get("hello.wav", &Codecs), Err(FileError::NoFolder)));
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut files = SoundFiles::new(Some(folder.path().to_owned()));
        for samples in [800, 1_600] {
            fs::write(folder.path().join("music.wav"), wave(5, samples)).expect("written");
            assert_eq!(files.get("music.wav", &Codecs).expect("music").len(), samples * 6);
        }
    }
}
