//! Sounds for announcements and backgrounds, read on a thread of their own.
//!
//! Whoever asks gets a playlist at once; it is filled when the sounds are there. So neither the control side nor a tick
//! ever waits for a disk or a decoder.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use mcu::{Playlist, PlaylistItem};
use mcu_api::{Announcement, Phrase, Prompt, Spoken};
use mixer::{Clip, CodecFactory, SAMPLE_RATE, Sounds};
use prompts::{Clips, Language, Languages, Piece, compose};

use crate::languages::FoundLanguage;
use crate::sound_files::SoundFiles;

/// Requests that wait; a further one cannot be played.
const REQUESTS_MAX: usize = 1_024;

/// Which phrase is said for a prompt. Who comes and goes keeps its tone: it is heard over speech.
const SPOKEN_PROMPTS: [(Prompt, Phrase); 5] = [
    (Prompt::EnterPin, Phrase::EnterPin),
    (Prompt::WrongPin, Phrase::WrongPin),
    (Prompt::Muted, Phrase::Muted),
    (Prompt::Unmuted, Phrase::Unmuted),
    (Prompt::Ending, Phrase::ConferenceEnds),
];

/// The sounds of the process.
pub(crate) struct Library {
    /// Taken when the library ends.
    requests: Option<SyncSender<Request>>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    what: What,
    list: Arc<Playlist>,
}

enum What {
    Announcement(Announcement),
    File(String),
}

impl Library {
    /// Starts the thread. `own_languages` are the operator's. Answers, beside the library, the sounds of every conference,
    /// their prompts spoken in `language` if it names one.
    pub(crate) fn start(
        folder: Option<PathBuf>,
        own_languages: &[FoundLanguage],
        language: Option<&str>,
        codecs: Arc<dyn CodecFactory>,
    ) -> io::Result<(Self, Sounds)> {
        let own = language.unwrap_or_default().to_owned();
        let (mut languages, mut clips) = (Languages::shipped(), Clips::new());
        own_languages.iter().for_each(|found| found.add_to(&mut languages, &mut clips));
        let mut reader = Reader { languages, clips, files: SoundFiles::new(folder), language: own, codecs };
        let mut sounds = Sounds::new();
        if let Some(language) = language.and_then(|tag| reader.languages.find(tag)).cloned() {
            for (prompt, phrase) in SPOKEN_PROMPTS {
                if let Some(clip) = reader.phrase(&language, phrase) {
                    sounds.replace(prompt, clip);
                }
            }
        }
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        let thread = std::thread::Builder::new().name("sounds".to_owned()).spawn(move || reader.run(&inbox))?;
        Ok((Self { requests: Some(requests), thread: Some(thread) }, sounds))
    }

    /// The sounds of an announcement.
    pub(crate) fn announcement(&self, announcement: &Announcement) -> Arc<Playlist> {
        self.ask(What::Announcement(announcement.clone()))
    }

    /// A sound file of the operator's.
    pub(crate) fn file(&self, name: &str) -> Arc<Playlist> {
        self.ask(What::File(name.to_owned()))
    }

    fn ask(&self, what: What) -> Arc<Playlist> {
        let list = Arc::new(Playlist::new());
        let request = Request { what, list: Arc::clone(&list) };
        let asked = self.requests.as_ref().is_some_and(|requests| requests.try_send(request).is_ok());
        if !asked {
            list.fill(None);
        }
        list
    }
}

impl Drop for Library {
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that reads sounds ended by a defect");
        }
    }
}

/// What the thread holds.
struct Reader {
    languages: Languages,
    clips: Clips,
    files: SoundFiles,
    /// The language of announcements that name none.
    language: String,
    codecs: Arc<dyn CodecFactory>,
}

impl Reader {
    fn run(&mut self, inbox: &Receiver<Request>) {
        while let Ok(Request { what, list }) = inbox.recv() {
            list.fill(match what {
                What::Announcement(announcement) => self.announcement(&announcement),
                What::File(name) => self.file(&name).map(|clip| vec![PlaylistItem::Clip(clip)]),
            });
        }
    }

    /// Of an announcement in several parts, those that cannot be played are left out; if none is left, it fails.
    fn announcement(&mut self, announcement: &Announcement) -> Option<Vec<PlaylistItem>> {
        let mut announcement = announcement.clone();
        if announcement.language.is_empty() {
            announcement.language.clone_from(&self.language);
        }
        let pieces = compose(&self.languages, &announcement);
        let nothing_to_say = pieces.is_empty();
        let items: Vec<PlaylistItem> = pieces.into_iter().filter_map(|piece| self.item(piece)).collect();
        (nothing_to_say || !items.is_empty()).then_some(items)
    }

    fn item(&mut self, piece: Piece) -> Option<PlaylistItem> {
        Some(match piece {
            Piece::Clip(language, name) => PlaylistItem::Clip(self.clips.get(&language, &name, &*self.codecs)?),
            Piece::File(name) => PlaylistItem::Clip(self.file(&name)?),
            Piece::Pause(milliseconds) => {
                PlaylistItem::Pause(usize::from(milliseconds) * (SAMPLE_RATE as usize / 1_000))
            }
        })
    }

    fn file(&mut self, name: &str) -> Option<Clip> {
        match self.files.get(name, &*self.codecs) {
            Ok(clip) => Some(clip),
            Err(error) => {
                tracing::warn!(file = name, %error, "a sound file cannot be played");
                None
            }
        }
    }

    fn phrase(&mut self, language: &Language, phrase: Phrase) -> Option<Clip> {
        let said = Announcement { language: language.tag().to_owned(), parts: vec![Spoken::Phrase(phrase)] };
        match compose(&self.languages, &said).into_iter().next()? {
            Piece::Clip(language, name) => self.clips.get(&language, &name, &*self.codecs),
            Piece::File(_) | Piece::Pause(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use codecs::Codecs;

    use super::*;

    #[test]
    fn announcements_are_filled_and_what_cannot_be_played_says_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let start = Library::start(Some(folder.path().to_owned()), &[], Some("de"), Arc::new(Codecs));
        let (library, sounds) = start.expect("a thread");
        assert!(sounds.prompt(Prompt::EnterPin).len() > 48_000, "spoken, not a tone");
        assert!(sounds.prompt(Prompt::Entry).len() < 48_000, "a tone");
        let announcement = |parts| library.announcement(&Announcement { language: "en".to_owned(), parts });
        let missing = Spoken::File("none.wav".to_owned());
        let lists = [
            announcement(vec![Spoken::Phrase(Phrase::Welcome), missing.clone()]),
            announcement(vec![missing]),
            announcement(Vec::new()),
            library.file("none.wav"),
        ];
        // Its end waits until every request is answered.
        drop(library);
        assert_eq!(lists.map(|list| list.is_playable()), [Some(true), Some(false), Some(true), Some(false)]);
    }
}
