//! Who speaks, and who of those is heard.

use crate::{Gauged, Level};

/// How many are heard at once. Nobody follows more voices; each costs every listener some noise.
pub const HEARD_MAX: usize = 8;

/// A frame below this is background that need not be carried. It lies above the -72 dBov that an idle A-law line shows,
/// whose codec has no zero.
const AUDIBLE: Level = Level::from_dbov(66);

/// A frame above this is speech, if it stands out and others like it follow.
const SPEECH: Level = Level::from_dbov(50);

/// A frame above this stands out from any background.
const NEVER_BACKGROUND: Level = Level::from_dbov(40);

/// How far a quieter frame must be above the leg's background to stand out, in decibels: steady noise varies less.
const STANDS_OUT_DB: f32 = 6.0;

/// How fast what is taken for background rises: this share of what is missing, but not less than so many decibels, a
/// frame. It falls at once, so that the gaps between syllables hold it down.
const BACKGROUND_SHARE: f32 = 1.0 / 64.0;
const BACKGROUND_RISE_DB: f32 = 0.1;

/// Frames for which somebody is noticed whose encoder reports a voice.
const ALERT_FRAMES: u8 = 5;

/// Frames without a voice after which a new one is taken to be as loud as a voice is.
const QUIET_FRAMES: u8 = 8;

/// How much a background that is not decoded must change for it to be listened to, in decibels of its excitation.
const EXCITATION_CHANGE_DB: u8 = 4;

/// Frames after which it may be listened to again: 100 ms if it changed, and 4 s in any case.
const EXAMINED_AGAIN: std::ops::RangeInclusive<u8> = 5..=200;

/// How loud a voice is that nobody has measured, in decibels above silence.
const USUAL_VOICE_DB: f32 = 97.0;

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
    /// Level of the background, in decibels above silence.
    background: f32,
    /// The loudness was not measured, only presumed.
    presumed: bool,
    /// Frames since the encoder reported a voice.
    quiet_frames: u8,
    alert_frames: u8,
    audible_frames: u8,
    onset_frames: u8,
    speaking_frames: u8,
    heard: bool,
    /// The excitation of the last frame, if its encoder took it for background, in decibels.
    excitation_db: Option<u8>,
    /// The excitation of the background when it was decoded last.
    examined_db: Option<u8>,
    frames_since_examined: u8,
}

impl Speech {
    /// A voice that said nothing yet.
    pub const fn new() -> Self {
        Self {
            loudness: 0.0,
            background: 0.0,
            presumed: false,
            quiet_frames: QUIET_FRAMES,
            alert_frames: 0,
            audible_frames: 0,
            onset_frames: 0,
            speaking_frames: 0,
            heard: false,
            excitation_db: None,
            examined_db: None,
            frames_since_examined: 0,
        }
    }

    /// Takes the level of the next frame.
    pub fn update(&mut self, level: Level) {
        let above_silence = above_silence(level);
        let stands_out = self.stands_out(level);
        self.pass();
        self.loudness =
            if std::mem::take(&mut self.presumed) { above_silence } else { self.loudness.max(above_silence) };
        self.follow_background(above_silence);
        if level >= AUDIBLE && stands_out {
            self.audible_frames = HANGOVER_FRAMES;
        }
        self.onset_frames = if level >= SPEECH && stands_out { ONSET_FRAMES.min(self.onset_frames + 1) } else { 0 };
        if self.onset_frames == ONSET_FRAMES {
            self.speaking_frames = HANGOVER_FRAMES;
        }
    }

    /// Lets a frame pass of which nothing is known.
    pub const fn pass(&mut self) {
        self.loudness = (self.loudness - DECAY_DB).max(0.0);
        self.alert_frames = self.alert_frames.saturating_sub(1);
        self.audible_frames = self.audible_frames.saturating_sub(1);
        self.speaking_frames = self.speaking_frames.saturating_sub(1);
        self.excitation_db = None;
        self.frames_since_examined = self.frames_since_examined.saturating_add(1);
    }

    /// Takes what the next packet tells, though it is not decoded.
    pub fn notice(&mut self, gauged: Gauged) {
        match gauged {
            Gauged::Level(level) => self.update(level),
            Gauged::Background { excitation_db } => {
                self.pass();
                self.quiet_frames = QUIET_FRAMES.min(self.quiet_frames + 1);
                self.excitation_db = Some(excitation_db);
            }
            Gauged::Voice => {
                let loudness = self.loudness;
                self.pass();
                self.loudness = loudness;
                if self.quiet_frames == QUIET_FRAMES {
                    self.presumed = true;
                    self.loudness = loudness.max(USUAL_VOICE_DB);
                }
                self.quiet_frames = 0;
                self.alert_frames = ALERT_FRAMES;
            }
        }
    }

    /// Replaces what was noticed of this frame by its level, now that it has been decoded.
    pub fn correct(&mut self, level: Level) {
        if self.presumed {
            self.update(level);
        } else if !self.stands_out(level) || level < AUDIBLE {
            self.audible_frames = 0;
            self.alert_frames = self.alert_frames.max(1);
        } else {
            self.audible_frames = HANGOVER_FRAMES;
        }
    }

    /// Whether the last frame, which its encoder took for background, should be decoded to be sure: it is the first one, it is
    /// not what was decoded then, or that was long ago.
    pub fn is_doubtful(&self) -> bool {
        let Some(excitation) = self.excitation_db else { return false };
        let changed = |examined: u8| excitation.abs_diff(examined) >= EXCITATION_CHANGE_DB;
        let (soon, late) = EXAMINED_AGAIN.into_inner();
        match self.examined_db {
            None => true,
            Some(examined) if changed(examined) => self.frames_since_examined >= soon,
            Some(_) => self.frames_since_examined >= late,
        }
    }

    /// Takes the level of such a frame. It is noticed if it is too loud to be background, or louder than that was before.
    pub fn examine(&mut self, level: Level) {
        let known = self.examined_db.is_some();
        (self.examined_db, self.frames_since_examined) = (self.excitation_db, 0);
        if level >= NEVER_BACKGROUND || (known && level >= AUDIBLE && self.stands_out(level)) {
            self.presumed = true;
            self.loudness = self.loudness.max(above_silence(level));
            self.alert_frames = ALERT_FRAMES;
        } else {
            self.background = above_silence(level);
        }
    }

    /// Whether it is worth listening to: audible by all that is known, or an encoder reports a voice.
    pub const fn is_noticed(&self) -> bool {
        self.audible_frames > 0 || self.alert_frames > 0
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

    fn stands_out(&self, level: Level) -> bool {
        level >= NEVER_BACKGROUND || above_silence(level) > self.background + STANDS_OUT_DB
    }

    fn follow_background(&mut self, above_silence: f32) {
        let missing = above_silence - self.background;
        let rise = (missing * BACKGROUND_SHARE).max(BACKGROUND_RISE_DB);
        self.background += missing.min(rise);
    }
}

fn above_silence(level: Level) -> f32 {
    f32::from(Level::SILENT.dbov() - level.dbov())
}

impl Default for Speech {
    fn default() -> Self {
        Self::new()
    }
}

/// Chooses the loudest of many, where there are not places for all.
///
/// As long as there are, nobody waits to be recognised as a speaker, so no first syllable is lost. Somebody who has a
/// place keeps it until he is no candidate any more or until a newcomer is 6 dB louder.
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

    /// Chooses among candidates, each with a number of the caller's and whether it has a place already; returns the
    /// numbers of those chosen, in rising order. Does not allocate once it has seen the largest crowd.
    pub fn choose<'a>(&mut self, candidates: impl Iterator<Item = (usize, &'a Speech, bool)>) -> &[usize] {
        self.ranking.clear();
        self.ranking.extend(candidates.map(|(number, speech, has_place)| {
            let favour = if has_place { HYSTERESIS_DB } else { 0.0 };
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
        let audible = voices.iter().enumerate().filter(|(_, voice)| voice.is_audible());
        let chosen = choice.choose(audible.map(|(number, voice)| (number, voice, voice.is_heard()))).to_vec();
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

    #[test]
    fn steady_noise_becomes_background_and_a_quiet_voice_above_it_does_not() {
        let mut voice = Speech::new();
        for frame in 0..400 {
            voice.update(Level::from_dbov([56, 58, 57][frame % 3]));
        }
        assert!(!voice.is_audible());
        voice.update(Level::from_dbov(50));
        assert!(voice.is_audible(), "7 dB above the noise");
        // Syllables with gaps between them, for a minute.
        for frame in 0..3_000 {
            voice.update(Level::from_dbov(if frame % 12 < 8 { 50 } else { 57 }));
            assert!(voice.is_audible(), "frame {frame}");
        }
    }

    #[test]
    fn a_loud_steady_sound_is_never_background() {
        let mut voice = Speech::new();
        for _ in 0..10_000 {
            voice.update(Level::from_dbov(35));
            assert!(voice.is_audible());
        }
    }

    #[test]
    fn a_reported_voice_is_noticed_at_once_and_heard_when_it_was_measured() {
        let mut voice = Speech::new();
        voice.notice(Gauged::Voice);
        assert!(voice.is_noticed() && !voice.is_audible());
        assert!(voice.loudness() >= USUAL_VOICE_DB, "it ranks as a voice until it is measured");
        voice.correct(Level::from_dbov(30));
        assert!(voice.is_audible());
        let mut hum = Speech::new();
        hum.notice(Gauged::Voice);
        hum.correct(Level::from_dbov(70));
        assert!(hum.is_noticed() && !hum.is_audible() && hum.loudness() < 60.0);
        (0..ALERT_FRAMES).for_each(|_| hum.update(Level::from_dbov(70)));
        assert!(!hum.is_noticed());
    }

    #[test]
    fn what_an_encoder_takes_for_background_is_examined_when_it_changes_and_now_and_then() {
        let background = |excitation_db| Gauged::Background { excitation_db };
        let mut voice = Speech::new();
        assert!(!voice.is_doubtful(), "there is nothing yet");
        voice.notice(background(20));
        assert!(voice.is_doubtful(), "nobody knows how loud it is");
        voice.examine(Level::from_dbov(60));
        assert!(!voice.is_doubtful() && !voice.is_noticed(), "audible, but that is its background");
        let frames = (1..).take_while(|frame| {
            voice.notice(background(20 + frame % 3));
            !voice.is_doubtful()
        });
        assert_eq!(frames.count(), 199, "in 4 s it may have become anything");
        voice.examine(Level::from_dbov(60));
        (0..4).for_each(|_| voice.notice(background(30)));
        assert!(!voice.is_doubtful(), "not at every frame");
        voice.notice(background(30));
        assert!(voice.is_doubtful(), "it changed");
        voice.examine(Level::from_dbov(57));
        assert!(!voice.is_noticed(), "only 3 dB louder");
        (0..5).for_each(|_| voice.notice(background(15)));
        voice.examine(Level::from_dbov(48));
        assert!(voice.is_noticed() && !voice.is_audible(), "9 dB louder");
        voice.correct(Level::from_dbov(48));
        assert!(voice.is_audible() && voice.loudness() > 70.0);
    }

    #[test]
    fn what_is_too_loud_for_a_background_is_noticed_whatever_its_encoder_says() {
        let mut voice = Speech::new();
        voice.notice(Gauged::Background { excitation_db: 30 });
        voice.examine(Level::from_dbov(16));
        assert!(voice.is_noticed() && voice.loudness() > 100.0);
        voice.correct(Level::from_dbov(16));
        assert!(voice.is_audible());
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
