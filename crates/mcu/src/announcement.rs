//! Tones and words that everybody hears, and prompts that one leg hears.

use std::collections::VecDeque;
use std::sync::Arc;

use base::LegId;
use mcu_api::Prompt;
use mixer::{FRAME_SAMPLES, Frame, SILENCE, Sounds};

use crate::playlist::{Player, Playlist, Said};

/// Prompts that wait behind the one being played; a further one is dropped.
const PROMPTS_MAX: usize = 4;

/// What is told to a whole conference: the entry or exit tone, or words in its place. One at a time: where many come at
/// once, nobody wants to hear of each.
pub(crate) struct Announcement {
    playing: Option<Playing>,
    frame: Frame,
}

struct Playing {
    what: What,
    /// Who does not hear it: the one it tells of.
    except: Option<LegId>,
    /// There is sound at this tick.
    sounding: bool,
}

enum What {
    Tone {
        prompt: Prompt,
        position: usize,
    },
    Words(Player),
    /// All was said.
    Over,
}

impl Announcement {
    pub(crate) const fn new() -> Self {
        Self { playing: None, frame: SILENCE }
    }

    /// Plays a tone to all but one, unless something is being played.
    pub(crate) fn play(&mut self, prompt: Prompt, except: Option<LegId>) {
        self.begin(What::Tone { prompt, position: 0 }, except);
    }

    /// Says something to all but one, unless something is being played.
    pub(crate) fn say(&mut self, words: Arc<Playlist>, except: Option<LegId>) {
        let mut player = Player::default();
        player.play(words);
        self.begin(What::Words(player), except);
    }

    fn begin(&mut self, what: What, except: Option<LegId>) {
        self.playing.get_or_insert(Playing { what, except, sounding: false });
    }

    /// Goes to the next tick and answers its frame.
    pub(crate) fn advance(&mut self, sounds: &Sounds) -> Option<&Frame> {
        let playing = self.playing.as_mut()?;
        let said = match &mut playing.what {
            What::Tone { prompt, position } => match sounds.prompt(*prompt).read(*position, &mut self.frame) {
                true => {
                    *position += FRAME_SAMPLES;
                    Said::Sound
                }
                false => Said::Failed,
            },
            What::Words(player) => player.read(&mut self.frame),
            What::Over => Said::Failed,
        };
        playing.sounding = matches!(said, Said::Sound | Said::End);
        match said {
            Said::End => playing.what = What::Over,
            Said::Failed => self.playing = None,
            // Words that are not there yet are waited for.
            Said::Sound | Said::Nothing => {}
        }
        self.is_playing().then_some(&self.frame)
    }

    /// Whether there is sound at this tick.
    pub(crate) fn is_playing(&self) -> bool {
        self.playing.as_ref().is_some_and(|playing| playing.sounding)
    }

    /// Whether there is, or will be, sound.
    pub(crate) const fn is_pending(&self) -> bool {
        self.playing.is_some()
    }

    /// This tick's frame, if the leg is not to hear it.
    pub(crate) fn hidden_from(&self, leg: LegId) -> Option<&Frame> {
        let hidden = self.playing.as_ref().filter(|playing| playing.sounding && playing.except == Some(leg));
        hidden.map(|_| &self.frame)
    }
}

/// A place in a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cue {
    prompt: Prompt,
    position: usize,
}

impl Cue {
    /// Reads the 20 ms that begin there.
    pub(crate) fn read(self, sounds: &Sounds, frame: &mut Frame) {
        sounds.prompt(self.prompt).copy(self.position, frame);
    }
}

/// The prompts of one leg, played one after another.
pub(crate) struct Prompts {
    waiting: VecDeque<Prompt>,
    position: usize,
}

impl Prompts {
    pub(crate) const fn new() -> Self {
        Self { waiting: VecDeque::new(), position: 0 }
    }

    /// Plays a prompt after those that wait.
    pub(crate) fn play(&mut self, prompt: Prompt) {
        if self.waiting.len() <= PROMPTS_MAX {
            self.waiting.push_back(prompt);
        }
    }

    /// What is played next, if anything is.
    pub(crate) fn cue(&mut self, sounds: &Sounds) -> Option<Cue> {
        while let Some(&prompt) = self.waiting.front() {
            if self.position < sounds.prompt(prompt).len() {
                return Some(Cue { prompt, position: self.position });
            }
            self.waiting.pop_front();
            self.position = 0;
        }
        None
    }

    /// Goes on to the next 20 ms.
    pub(crate) fn advance(&mut self) {
        self.position += FRAME_SAMPLES;
    }

    /// Forgets what was to be played.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.position = 0;
    }
}
