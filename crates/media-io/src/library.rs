//! Sounds for announcements and backgrounds, read on threads of their own.
//!
//! Whoever asks gets a playlist at once; it is filled when the sounds are there. So neither the control side nor a tick
//! ever waits for a disk or a decoder. Phrases, which take a millisecond, wait neither for files, which may lie on a slow
//! disk, and these not for music, which may be long: each has a thread.

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
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
    /// For announcements without files.
    phrases: Desk,
    /// For announcements with files.
    files: Desk,
    music: Desk,
}

/// A thread that answers one request after another.
struct Desk {
    /// Taken when it ends.
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
    /// Starts the threads. `own_languages` are the operator's. Answers, beside the library, the sounds of every conference,
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
        let clips = Arc::new(Mutex::new(clips));
        let reader = || Reader {
            languages: languages.clone(),
            clips: Arc::clone(&clips),
            files: SoundFiles::new(folder.clone()),
            language: own.clone(),
            codecs: Arc::clone(&codecs),
        };
        let mut sounds = Sounds::new();
        if let Some(language) = language.and_then(|tag| languages.find(tag)) {
            let reader = reader();
            for (prompt, phrase) in SPOKEN_PROMPTS {
                if let Some(clip) = reader.phrase(language, phrase) {
                    sounds.replace(prompt, clip);
                }
            }
        }
        let library = Self {
            phrases: Desk::start("phrases", reader())?,
            files: Desk::start("sound files", reader())?,
            music: Desk::start("music", reader())?,
        };
        Ok((library, sounds))
    }

    /// The sounds of an announcement.
    pub(crate) fn announcement(&self, announcement: &Announcement) -> Arc<Playlist> {
        let has_file = announcement.parts.iter().any(|part| matches!(part, Spoken::File(_)));
        let desk = if has_file { &self.files } else { &self.phrases };
        desk.ask(What::Announcement(announcement.clone()))
    }

    /// A sound file of the operator's, to be played over and over.
    pub(crate) fn music(&self, name: &str) -> Arc<Playlist> {
        self.music.ask(What::File(name.to_owned()))
    }
}

impl Desk {
    fn start(name: &str, mut reader: Reader) -> io::Result<Self> {
        let (requests, inbox) = sync_channel(REQUESTS_MAX);
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || reader.run(&inbox))?;
        Ok(Self { requests: Some(requests), thread: Some(thread) })
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

impl Drop for Desk {
    fn drop(&mut self) {
        self.requests = None;
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("a thread that reads sounds ended by a defect");
        }
    }
}

/// What a thread holds.
struct Reader {
    languages: Languages,
    /// Those of all threads: what one decoded the others need not.
    clips: Arc<Mutex<Clips>>,
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
            Piece::Clip(language, name) => PlaylistItem::Clip(self.clip(&language, &name)?),
            Piece::File(name) => PlaylistItem::Clip(self.file(&name)?),
            Piece::Pause(milliseconds) => {
                PlaylistItem::Pause(usize::from(milliseconds) * (SAMPLE_RATE as usize / 1_000))
            }
        })
    }

    fn clip(&self, language: &Language, name: &str) -> Option<Clip> {
        self.clips.lock().unwrap_or_else(PoisonError::into_inner).get(language, name, &*self.codecs)
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

    fn phrase(&self, language: &Language, phrase: Phrase) -> Option<Clip> {
        let said = Announcement { language: language.tag().to_owned(), parts: vec![Spoken::Phrase(phrase)] };
        match compose(&self.languages, &said).into_iter().next()? {
            Piece::Clip(language, name) => self.clip(&language, &name),
            Piece::File(_) | Piece::Pause(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::time::{Duration, Instant};

    use codecs::Codecs;
    use mcu_api::Codec;
    use mixer::{CodecError, Decoder, Encoder, EncoderSettings, Gauge};
    use ogg::PacketWriter;
    use ogg::writing::PacketWriteEndInfo;
    use prompts::{OpusHead, OpusTags};

    use super::*;
    use crate::languages::read_languages;
    use crate::languages::tests::write_language;
    use crate::sound_files::tests::wave;

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
            library.music("none.wav"),
        ];
        // Its end waits until every request is answered.
        drop(library);
        assert_eq!(lists.map(|list| list.is_playable()), [Some(true), Some(false), Some(true), Some(false)]);
    }

    /// Codecs that begin to decode when they are let.
    struct Held(Mutex<Receiver<()>>);

    impl CodecFactory for Held {
        fn decoder(&self, codec: Codec) -> Result<Box<dyn Decoder>, CodecError> {
            self.0.lock().expect("sound").recv().expect("let in the end");
            Codecs.decoder(codec)
        }

        fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
            Codecs.gauge(codec)
        }

        fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
            Codecs.encoder(settings)
        }
    }

    /// 20 ms of Opus in Ogg.
    fn opus() -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = PacketWriter::new(&mut bytes);
        let head = OpusHead { channels: 1, pre_skip: 0 }.write();
        let tags = OpusTags { title: String::new() }.write();
        let mut encoder = Codecs.encoder(EncoderSettings::for_mix(Codec::Opus, false)).expect("Opus");
        let mut packet = [0; mixer::PACKET_BYTES_MAX];
        let length = encoder.encode(&[0; mixer::FRAME_SAMPLES], &mut packet).expect("encoded");
        let packets = [
            (head, PacketWriteEndInfo::EndPage, 0),
            (tags, PacketWriteEndInfo::EndPage, 0),
            (packet[..length].to_vec(), PacketWriteEndInfo::EndStream, 960),
        ];
        for (packet, end, position) in packets {
            out.write_packet(packet, 1, end, position).expect("written");
        }
        bytes
    }

    #[test]
    fn what_is_said_waits_for_no_file_and_no_file_for_music() {
        let folder = tempfile::tempdir().expect("a folder");
        write_language(&folder.path().join("languages/fr"));
        let own = read_languages(&folder.path().join("languages"), &Codecs).expect("readable").complete;
        std::fs::write(folder.path().join("short.wav"), wave(1, 800)).expect("written");
        std::fs::write(folder.path().join("long.opus"), opus()).expect("written");
        let (open, gate) = channel();
        let start = Library::start(Some(folder.path().to_owned()), &own, None, Arc::new(Held(Mutex::new(gate))));
        // The one that is dropped first lets the other end, should this fail.
        let (library, open) = (start.expect("threads").0, open);
        let say = |part| library.announcement(&Announcement { language: "fr".to_owned(), parts: vec![part] });
        let music = library.music("long.opus");
        let file = say(Spoken::File("short.wav".to_owned()));
        let slow_file = say(Spoken::File("long.opus".to_owned()));
        let phrase = say(Spoken::Phrase(Phrase::Welcome));
        for (what, list) in [("a file", &file), ("a phrase", &phrase)] {
            let deadline = Instant::now() + Duration::from_secs(30);
            while list.is_playable().is_none() {
                assert!(Instant::now() < deadline, "{what} waits for what takes long");
                std::thread::yield_now();
            }
        }
        assert_eq!(
            [&file, &phrase, &music, &slow_file].map(|list| list.is_playable()),
            [Some(true), Some(true), None, None]
        );
        for _ in [&music, &slow_file] {
            open.send(()).expect("it waits");
        }
        drop(library);
        assert_eq!([music, slow_file].map(|list| list.is_playable()), [Some(true); 2]);
    }
}
