//! How loud a leg is heard and hears: set by its own keys, or from outside by whoever may.

use base::{ConferenceId, LegId, Shown};
use mcu_api::{GAIN_DB, McuCommand, Phrase, Prompt, Spoken};

use crate::Engine;
use crate::conference::keypad::KeyCommand;
use crate::objection::{Objection, ObjectionKind};

/// What one key adds, in decibels: clearly louder, not twice as loud.
const STEP_DB: i8 = 3;

/// The gains of one leg, in decibels within [`GAIN_DB`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loudness {
    /// How much louder than he comes the others hear him.
    pub ingress_db: i8,
    /// How much louder than it is he hears everything.
    pub egress_db: i8,
}

/// A wish from outside to make a device louder or quieter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoudnessChange {
    /// The conference.
    pub conference: ConferenceId,
    /// The entity of a device with audio in it.
    pub endpoint: String,
    /// What its gains are to be.
    pub loudness: Loudness,
}

impl Loudness {
    /// Whether both gains are within [`GAIN_DB`].
    pub fn is_in_range(self) -> bool {
        GAIN_DB.contains(&self.ingress_db) && GAIN_DB.contains(&self.egress_db)
    }

    /// These gains after a key; `None` when the key has nothing to do with them.
    fn after(self, key: KeyCommand) -> Option<Self> {
        let Self { ingress_db, egress_db } = self;
        Some(match key {
            KeyCommand::HeardLouder => Self { ingress_db: ingress_db + STEP_DB, ..self },
            KeyCommand::HeardQuieter => Self { ingress_db: ingress_db - STEP_DB, ..self },
            KeyCommand::HearLouder => Self { egress_db: egress_db + STEP_DB, ..self },
            KeyCommand::HearQuieter => Self { egress_db: egress_db - STEP_DB, ..self },
            _ => return None,
        })
    }
}

impl Engine {
    /// What there is against a change; `None` when it can be made.
    pub fn loudness_objection(&self, change: &LoudnessChange) -> Option<Objection> {
        let Loudness { ingress_db, egress_db } = change.loudness;
        for (field, gain) in [("ingress_db", ingress_db), ("egress_db", egress_db)] {
            if !GAIN_DB.contains(&gain) {
                let why = format!("{field} = {gain}: write a gain from {} to {} dB", GAIN_DB.start(), GAIN_DB.end());
                return Some(Objection::to(ObjectionKind::OutOfRange, field, why));
            }
        }
        if self.conferences.get(&change.conference).is_none() {
            let why =
                format!("there is no conference {}; /api/v1/conferences lists those that are on", change.conference);
            return Some(Objection::new(ObjectionKind::NoSuchConference, why));
        }
        let why =
            || format!("endpoint = \"{}\": the conference has no such device with audio", Shown(&change.endpoint));
        let unknown = || Objection::to(ObjectionKind::NoSuchDevice, "endpoint", why());
        self.leg_at_endpoint(&change.conference, &change.endpoint).is_none().then(unknown)
    }

    pub(crate) fn on_loudness_change(&mut self, change: &LoudnessChange) {
        let leg = self.leg_at_endpoint(&change.conference, &change.endpoint);
        if let Some(leg) = leg.filter(|_| change.loudness.is_in_range()) {
            self.set_loudness(leg, change.loudness);
        }
    }

    /// Does what a key says, if it is one that makes louder or quieter; a tone confirms it, at the new loudness.
    pub(crate) fn press_loudness_key(&mut self, leg: LegId, key: KeyCommand) -> bool {
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return false };
        let Some(loudness) = media.loudness.after(key) else { return false };
        if loudness.is_in_range() {
            self.set_loudness(leg, loudness);
            self.mcu(McuCommand::PlayPrompt { leg, prompt: Prompt::Entry });
        } else {
            self.say(leg, vec![Spoken::Phrase(Phrase::InvalidChoice)]);
        }
        true
    }

    fn set_loudness(&mut self, leg: LegId, loudness: Loudness) {
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return };
        media.loudness = loudness;
        let Loudness { ingress_db, egress_db } = loudness;
        self.mcu(McuCommand::SetGain { leg, ingress_db, egress_db });
    }

    fn leg_at_endpoint(&self, conference: &ConferenceId, endpoint: &str) -> Option<LegId> {
        let roster = self.conferences.get(conference)?.roster_document();
        let mut endpoints = roster.users.iter().flat_map(|user| &user.endpoints);
        let found =
            endpoints.find(|one| one.session == focus::SessionType::AudioVideo && one.entity.as_str() == endpoint);
        found.map(|endpoint| endpoint.leg)
    }
}
