//! The server's own sounds: prompts as short tone patterns, and music.

use mcu_api::Prompt;

use crate::music::music;
use crate::tone::{Clip, Note, render};

/// Every sound of the server. Made once for the process; about 1.5 MB.
pub struct Sounds {
    entry: Clip,
    exit: Clip,
    enter_pin: Clip,
    wrong_pin: Clip,
    muted: Clip,
    unmuted: Clip,
    ending: Clip,
    music: Clip,
    ringback: Clip,
}

impl Sounds {
    /// Makes the sounds; takes some tens of milliseconds.
    pub fn new() -> Self {
        Self {
            entry: pattern(&[(587.3, 110), (880.0, 190)]),
            exit: pattern(&[(880.0, 110), (587.3, 190)]),
            enter_pin: pattern(&[(784.0, 120), (0.0, 60), (784.0, 120)]),
            wrong_pin: pattern(&[(311.1, 160), (0.0, 60), (311.1, 160), (0.0, 60), (233.1, 320)]),
            muted: pattern(&[(523.3, 90), (392.0, 140)]),
            unmuted: pattern(&[(392.0, 90), (523.3, 140)]),
            ending: pattern(&[(784.0, 180), (659.3, 180), (523.3, 360)]),
            music: music(),
            ringback: ringback(),
        }
    }

    /// What a prompt sounds like.
    pub const fn prompt(&self, prompt: Prompt) -> &Clip {
        match prompt {
            Prompt::Entry => &self.entry,
            Prompt::Exit => &self.exit,
            Prompt::EnterPin => &self.enter_pin,
            Prompt::WrongPin => &self.wrong_pin,
            Prompt::Muted => &self.muted,
            Prompt::Unmuted => &self.unmuted,
            Prompt::Ending => &self.ending,
        }
    }

    /// Lets a prompt be another clip from now on: a spoken phrase instead of the tone.
    pub fn replace(&mut self, prompt: Prompt, clip: Clip) {
        *match prompt {
            Prompt::Entry => &mut self.entry,
            Prompt::Exit => &mut self.exit,
            Prompt::EnterPin => &mut self.enter_pin,
            Prompt::WrongPin => &mut self.wrong_pin,
            Prompt::Muted => &mut self.muted,
            Prompt::Unmuted => &mut self.unmuted,
            Prompt::Ending => &mut self.ending,
        } = clip;
    }

    /// One period of the tone that says that it rings at the other end, to be played in a loop: 425 Hz, 1 s in 5 s, as in
    /// most countries (ITU-T E.180).
    pub const fn ringback(&self) -> &Clip {
        &self.ringback
    }

    /// The music of somebody who is alone, to be played in a loop.
    pub const fn music(&self) -> &Clip {
        &self.music
    }
}

impl Default for Sounds {
    fn default() -> Self {
        Self::new()
    }
}

/// Plays notes (Hz, milliseconds) one after another; 0 Hz is a rest.
fn pattern(notes: &[(f64, u32)]) -> Clip {
    let mut start_ms = 0;
    let mut played = Vec::with_capacity(notes.len());
    for &(frequency, length_ms) in notes {
        if frequency > 0.0 {
            played.push(Note {
                start_ms,
                length_ms,
                frequency,
                amplitude: 0.12,
                decay_ms: 300,
                harmonics: [0.2, 0.05],
            });
        }
        start_ms += length_ms;
    }
    render(start_ms, &played)
}

fn ringback() -> Clip {
    let tone =
        Note { start_ms: 0, length_ms: 1_000, frequency: 425.0, amplitude: 0.1, decay_ms: 0, harmonics: [0.0, 0.0] };
    render(5_000, &[tone])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Level, SILENCE};

    #[test]
    fn every_prompt_can_be_heard_and_ends_within_a_second() {
        let sounds = Sounds::new();
        let prompts = [
            Prompt::Entry,
            Prompt::Exit,
            Prompt::EnterPin,
            Prompt::WrongPin,
            Prompt::Muted,
            Prompt::Unmuted,
            Prompt::Ending,
        ];
        for prompt in prompts {
            let clip = sounds.prompt(prompt);
            let mut frame = SILENCE;
            assert!(clip.read(960, &mut frame));
            assert!(Level::measure(&frame) > Level::from_dbov(40), "{prompt:?}");
            assert!(clip.len() < 48_000, "{prompt:?}");
        }
    }
}
