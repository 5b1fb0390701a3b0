//! Tones that everybody hears, and prompts that one leg hears.

use std::collections::VecDeque;

use base::LegId;
use mcu_api::Prompt;
use mixer::{FRAME_SAMPLES, Frame, SILENCE, Sounds};

/// Prompts that wait behind the one being played; a further one is dropped.
const PROMPTS_MAX: usize = 4;

/// The entry or exit tone of a conference. One at a time: where many come at once, nobody wants a tone for each.
pub(crate) struct Announcement {
    playing: Option<Playing>,
    frame: Frame,
}

struct Playing {
    prompt: Prompt,
    position: usize,
    /// Who does not hear it: the one it tells of.
    except: Option<LegId>,
}

impl Announcement {
    pub(crate) const fn new() -> Self {
        Self { playing: None, frame: SILENCE }
    }

    /// Plays a tone to all but one, unless one is being played.
    pub(crate) fn play(&mut self, prompt: Prompt, except: Option<LegId>) {
        if self.playing.is_none() {
            self.playing = Some(Playing { prompt, position: 0, except });
        }
    }

    /// Goes to the next tick and answers its frame.
    pub(crate) fn advance(&mut self, sounds: &Sounds) -> Option<&Frame> {
        let playing = self.playing.as_mut()?;
        if !sounds.prompt(playing.prompt).read(playing.position, &mut self.frame) {
            self.playing = None;
            return None;
        }
        playing.position += FRAME_SAMPLES;
        Some(&self.frame)
    }

    /// Whether a tone is being played at this tick.
    pub(crate) const fn is_playing(&self) -> bool {
        self.playing.is_some()
    }

    /// This tick's frame, if the leg is not to hear it.
    pub(crate) fn hidden_from(&self, leg: LegId) -> Option<&Frame> {
        self.playing.as_ref().filter(|playing| playing.except == Some(leg)).map(|_| &self.frame)
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

    /// Whether there is something to play.
    pub(crate) fn is_playing(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Reads the next 20 ms; false when there are none.
    pub(crate) fn read(&mut self, sounds: &Sounds, frame: &mut Frame) -> bool {
        while let Some(&prompt) = self.waiting.front() {
            if sounds.prompt(prompt).read(self.position, frame) {
                self.position += FRAME_SAMPLES;
                return true;
            }
            self.waiting.pop_front();
            self.position = 0;
        }
        false
    }

    /// Forgets what was to be played.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.position = 0;
    }
}
