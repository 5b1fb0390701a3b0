//! Who speaks, and who of those is heard.

use crate::Level;

/// How many are heard at once. Nobody follows more voices; each costs every listener some noise.
pub const HEARD_MAX: usize = 8;

/// A frame below this is background that need not be carried. It lies above the -72 dBov that an idle A-law line shows,
/// whose codec has no zero.
const AUDIBLE: Level = Level::from_dbov(66);

/// A frame above this is speech, if others like it follow.
const SPEECH: Level = Level::from_dbov(50);

/// Frames of speech in a row that make a speaker: 60 ms, longer than a click.
const ONSET_FRAMES: u8 = 3;

/// Frames for which somebody stays audible or a speaker after the last one that was: 400 ms, a pause between words.
const HANGOVER_FRAMES: u8 = 20;

/// How fast the memory of a loud frame fades, in decibels a frame: 12 dB while a pause lasts.
const DECAY_DB: f32 = 0.6;

/// How much louder than somebody who is heard a newcomer must be to take his place, in decibels.
const HYSTERESIS_DB: f32 = 6.0;

/// What is known of one leg's voice.
#[derive(Clone, Debug)]
pub struct Speech {
    /// Decibels above [`Level::SILENT`], following rises at once and falls slowly.
    loudness: f32,
    audible_frames: u8,
    onset_frames: u8,
    speaking_frames: u8,
    heard: bool,
}

impl Speech {
    /// A voice that said nothing yet.
    pub const fn new() -> Self {
        Self { loudness: 0.0, audible_frames: 0, onset_frames: 0, speaking_frames: 0, heard: false }
    }

    /// Takes the level of the next frame.
    pub fn update(&mut self, level: Level) {
        let above_silence = f32::from(Level::SILENT.dbov() - level.dbov());
        self.loudness = above_silence.max(self.loudness - DECAY_DB);
        self.audible_frames = if level >= AUDIBLE { HANGOVER_FRAMES } else { self.audible_frames.saturating_sub(1) };
        self.onset_frames = if level >= SPEECH { ONSET_FRAMES.min(self.onset_frames + 1) } else { 0 };
        self.speaking_frames =
            if self.onset_frames == ONSET_FRAMES { HANGOVER_FRAMES } else { self.speaking_frames.saturating_sub(1) };
    }

    /// Whether there is, or was until 400 ms ago, something to hear.
    pub const fn is_audible(&self) -> bool {
        self.audible_frames > 0
    }

    /// Whether he speaks: from the third frame of speech in a row until 400 ms after the last one.
    pub const fn is_speaking(&self) -> bool {
        self.speaking_frames > 0
    }

    /// How loud he has been lately, in decibels above silence.
    pub const fn loudness(&self) -> f32 {
        self.loudness
    }

    /// Whether he was chosen to be heard; [`SpeakerChoice::choose`] favours those who already are.
    pub const fn is_heard(&self) -> bool {
        self.heard
    }

    /// Records what was chosen.
    pub const fn set_heard(&mut self, heard: bool) {
        self.heard = heard;
    }
}

impl Default for Speech {
    fn default() -> Self {
        Self::new()
    }
}

/// Chooses who is heard: everybody who is audible, and of too many the loudest.
///
/// As long as there are places for all, nobody waits to be recognised as a speaker, so no first syllable is lost. Somebody
/// who is heard keeps his place until he has been inaudible for 400 ms or until a newcomer is 6 dB louder.
#[derive(Debug)]
pub struct SpeakerChoice {
    places: usize,
    ranking: Vec<(f32, usize)>,
    chosen: Vec<usize>,
}

impl SpeakerChoice {
    /// A choice of at most `places` voices.
    pub fn new(places: usize) -> Self {
        Self { places, ranking: Vec::new(), chosen: Vec::with_capacity(places) }
    }

    /// Chooses among voices, each with a number of the caller's; returns the numbers of those heard, in rising order.
    /// Does not allocate once it has seen the largest crowd.
    pub fn choose<'a>(&mut self, voices: impl Iterator<Item = (usize, &'a Speech)>) -> &[usize] {
        self.ranking.clear();
        self.ranking.extend(voices.filter(|(_, speech)| speech.is_audible()).map(|(number, speech)| {
            let favour = if speech.is_heard() { HYSTERESIS_DB } else { 0.0 };
            (speech.loudness() + favour, number)
        }));
        if self.ranking.len() > self.places {
            // Equally loud voices are ranked by their number, so that the choice is the same on every run.
            let louder = |one: &(f32, usize), two: &(f32, usize)| two.0.total_cmp(&one.0).then(one.1.cmp(&two.1));
            self.ranking.select_nth_unstable_by(self.places, louder);
            self.ranking.truncate(self.places);
        }
        self.chosen.clear();
        self.chosen.extend(self.ranking.iter().map(|&(_, number)| number));
        self.chosen.sort_unstable();
        &self.chosen
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds one frame of levels (dBov) to each voice and chooses.
    fn step(choice: &mut SpeakerChoice, voices: &mut [Speech], levels: &[u8]) -> Vec<usize> {
        for (voice, &level) in voices.iter_mut().zip(levels) {
            voice.update(Level::from_dbov(level));
        }
        let chosen = choice.choose(voices.iter().enumerate()).to_vec();
        for (number, voice) in voices.iter_mut().enumerate() {
            voice.set_heard(chosen.contains(&number));
        }
        chosen
    }

    #[test]
    fn all_who_are_audible_are_heard_at_once_while_there_are_places() {
        let mut voices = vec![Speech::new(); 4];
        let chosen = step(&mut SpeakerChoice::new(3), &mut voices, &[60, 127, 20, 72]);
        assert_eq!(chosen, [0, 2]);
    }

    #[test]
    fn of_too_many_the_loudest_are_heard() {
        let mut voices = vec![Speech::new(); 5];
        let chosen = step(&mut SpeakerChoice::new(2), &mut voices, &[40, 30, 50, 20, 60]);
        assert_eq!(chosen, [1, 3]);
    }

    #[test]
    fn a_newcomer_must_be_6_db_louder() {
        let mut choice = SpeakerChoice::new(1);
        let mut voices = vec![Speech::new(); 2];
        assert_eq!(step(&mut choice, &mut voices, &[30, 127]), [0]);
        assert_eq!(step(&mut choice, &mut voices, &[30, 25]), [0]);
        assert_eq!(step(&mut choice, &mut voices, &[30, 23]), [1]);
        assert_eq!(step(&mut choice, &mut voices, &[25, 23]), [1]);
    }

    #[test]
    fn a_pause_of_400_ms_keeps_the_place() {
        let mut choice = SpeakerChoice::new(8);
        let mut voices = vec![Speech::new()];
        step(&mut choice, &mut voices, &[30]);
        for _ in 1..HANGOVER_FRAMES {
            assert_eq!(step(&mut choice, &mut voices, &[127]), [0]);
        }
        assert!(step(&mut choice, &mut voices, &[127]).is_empty());
    }

    #[test]
    fn speaking_starts_after_three_frames_and_stops_after_the_hangover() {
        let mut voice = Speech::new();
        let speaking: Vec<bool> = [30, 30, 127, 30, 30, 30]
            .into_iter()
            .chain([127; 20])
            .map(|level| {
                voice.update(Level::from_dbov(level));
                voice.is_speaking()
            })
            .collect();
        let wanted: Vec<bool> = (0..26).map(|frame| (5..25).contains(&frame)).collect();
        assert_eq!(speaking, wanted);
    }

    proptest! {
        #[test]
        fn never_more_than_the_places_and_never_somebody_inaudible(
            frames in prop::collection::vec(prop::collection::vec(0u8..128, 12), 1..60),
        ) {
            let mut choice = SpeakerChoice::new(HEARD_MAX);
            let mut voices = vec![Speech::new(); 12];
            for levels in frames {
                let chosen = step(&mut choice, &mut voices, &levels);
                prop_assert!(chosen.len() <= HEARD_MAX);
                prop_assert!(chosen.iter().all(|&number| voices[number].is_audible()));
                let audible = voices.iter().filter(|voice| voice.is_audible()).count();
                prop_assert!(chosen.len() == audible.min(HEARD_MAX));
            }
        }
    }
}
