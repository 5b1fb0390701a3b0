//! What a conference hears when somebody comes or goes, and what he hears himself.

use base::{ConferenceId, LegId};
use focus::{EndpointStatus, FocusEvent, SessionType};
use mcu_api::{Announcement, ConferenceMedia, McuCommand, Phrase, Spoken};

use crate::Engine;

/// What a conference hears when somebody comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryExit {
    /// A tone.
    Tones,
    /// That somebody has joined or left, in words; and who joins is told that he is in, or the first.
    Announce,
    /// Nothing.
    Off,
}

impl Engine {
    /// What the data plane of a conference does by itself.
    pub(crate) fn conference_media(&self, conference: &ConferenceId) -> ConferenceMedia {
        let entry_exit_tones = self.entry_exit(conference) == EntryExit::Tones;
        ConferenceMedia { entry_exit_tones, ..self.config.media }
    }

    /// Says who comes and goes, where the conference wants it said.
    pub(crate) fn announce_movement(&mut self, conference: &ConferenceId, event: &FocusEvent) {
        if self.entry_exit(conference) != EntryExit::Announce {
            return;
        }
        match event {
            FocusEvent::EndpointJoined { leg, session: SessionType::AudioVideo, .. } => {
                self.say_to_all(conference, Phrase::SomebodyJoined, Some(*leg));
                self.welcome(conference, *leg);
            }
            FocusEvent::EndpointLeft { leg, was_in: true, .. } if self.has_audio(*leg) => {
                self.say_to_all(conference, Phrase::SomebodyLeft, None);
            }
            _ => {}
        }
    }

    fn entry_exit(&self, conference: &ConferenceId) -> EntryExit {
        let usual = if self.config.media.entry_exit_tones { EntryExit::Tones } else { EntryExit::Off };
        self.directory.entry_exit(conference).unwrap_or(usual)
    }

    /// Tells somebody where he is. That he is recorded is said in the same breath: a second announcement would cut the
    /// first one off.
    fn welcome(&mut self, conference: &ConferenceId, leg: LegId) {
        let others = self.conferences.get(conference).is_some_and(|focus| {
            let roster = focus.roster_document();
            let mut endpoints = roster.users.iter().flat_map(|user| &user.endpoints);
            endpoints.any(|endpoint| {
                let is_in = matches!(endpoint.status, EndpointStatus::Connected | EndpointStatus::OnHold);
                endpoint.session == SessionType::AudioVideo && endpoint.leg != leg && is_in
            })
        });
        let recorded = self.is_being_recorded(conference).then_some(Phrase::Recorded);
        let place = if others { Phrase::Joined } else { Phrase::FirstOne };
        self.say(leg, recorded.into_iter().chain([place]).map(Spoken::Phrase).collect());
    }

    fn say_to_all(&mut self, conference: &ConferenceId, phrase: Phrase, except: Option<LegId>) {
        let announcement = Announcement { language: self.config.language.clone(), parts: vec![Spoken::Phrase(phrase)] };
        self.mcu(McuCommand::AnnounceToAll { conference: conference.clone(), announcement, except });
    }

    fn has_audio(&self, leg: LegId) -> bool {
        self.legs.get(&leg).is_some_and(|leg| leg.statistics().is_some())
    }
}
