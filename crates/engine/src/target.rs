//! What a Request-URI of this server means.

use base::{ConferenceId, ConferenceNumber};
use c3p::{ConferenceUri, FocusUri, McuType};
use focus::{ConferenceRecord, EndReason, Focus};
use mcu_api::{McuCommand, RecordingFormat};
use sip_api::{CONTACT_PLACEHOLDER, SipUri};

use crate::Engine;
use crate::event::EngineEvent;

/// What a Request-URI means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A conference, by its Focus URI or its number.
    Focus(ConferenceId),
    /// The audio MCU of a conference.
    AudioVideo(ConferenceId),
    /// An MCU this server does not have.
    OtherMcu,
    /// The Focus Factory of a user.
    FocusFactory,
    /// The factory URI of plain phones (RFC 4579 5.4).
    ConferenceFactory,
    /// Nothing here.
    Unknown,
}

impl Engine {
    /// What a Request-URI means.
    pub(crate) fn target(&self, uri: &SipUri) -> Target {
        if !self.config.is_own_host(&uri.host) {
            return Target::Unknown;
        }
        if let Ok(conference_uri) = ConferenceUri::parse(&uri.to_string()) {
            return self.service_target(&conference_uri);
        }
        let Some(user) = &uri.user else { return Target::Unknown };
        if user.eq_ignore_ascii_case(&self.config.factory_user) {
            return Target::ConferenceFactory;
        }
        let by_number = ConferenceNumber::parse(user).ok();
        let conference = by_number.and_then(|number| self.directory.conference_of_number(&number).cloned());
        let by_id = || ConferenceId::parse(user).ok().filter(|id| self.directory.conference(id).is_some());
        conference.or_else(by_id).map_or(Target::Unknown, Target::Focus)
    }

    fn service_target(&self, uri: &ConferenceUri) -> Target {
        match uri {
            ConferenceUri::Factory { .. } => Target::FocusFactory,
            ConferenceUri::Focus(focus) if self.is_conference_of(focus) => Target::Focus(focus.conference_id.clone()),
            ConferenceUri::Mcu(focus, McuType::AudioVideo) if self.is_conference_of(focus) => {
                Target::AudioVideo(focus.conference_id.clone())
            }
            ConferenceUri::Mcu(focus, _) if self.is_conference_of(focus) => Target::OtherMcu,
            ConferenceUri::Focus(_) | ConferenceUri::Mcu(..) => Target::Unknown,
        }
    }

    /// A Focus URI names the organizer and the id; both must be right.
    pub(crate) fn is_conference_of(&self, uri: &FocusUri) -> bool {
        self.directory.conference(&uri.conference_id).is_some_and(|record| record.organizer == uri.organizer)
    }

    /// Makes sure a scheduled conference has a Focus to ask; `false` when the server holds as many as it may. It begins
    /// when somebody joins.
    pub(crate) fn activate(&mut self, conference: &ConferenceId) -> bool {
        if self.conferences.get(conference).is_some() {
            return true;
        }
        let Some(record) = self.directory.conference(conference).cloned() else { return false };
        if self.draining || self.conferences.len() >= self.config.limits.conferences {
            return false;
        }
        self.conferences.insert(conference.clone(), Focus::new(record, self.config.focus.clone()));
        true
    }

    /// Makes sure the MCU has a conference: somebody joins it, or is asked for its PIN.
    pub(crate) fn bring_into_mcu(&mut self, conference: &ConferenceId) {
        if self.conferences.enter_mcu(conference) {
            let media = self.conference_media(conference);
            self.mcu(McuCommand::CreateConference { conference: conference.clone(), media });
        }
    }

    /// A conference begins: somebody has joined (c3p.md 8.1).
    pub(crate) fn begin_conference(&mut self, conference: &ConferenceId) {
        self.conferences.begin(conference);
        self.bring_into_mcu(conference);
        if self.directory.is_recorded(conference) {
            self.mcu(McuCommand::StartRecording {
                conference: conference.clone(),
                name: recording_name(conference, self.unix_ms(self.now)),
                format: RecordingFormat::Opus,
            });
        }
        self.event(EngineEvent::ConferenceStarted { conference: conference.clone() });
        self.note_use(conference);
    }

    /// Whether who is in a conference has to know that he is recorded.
    pub(crate) fn is_being_recorded(&self, conference: &ConferenceId) -> bool {
        self.directory.is_recorded(conference) && !self.conferences.recording_failed(conference)
    }

    /// A conference is over: its data plane goes; its record stays until it expires.
    pub(crate) fn deactivate(&mut self, conference: &ConferenceId, reason: EndReason) {
        let (in_mcu, begun) = self.conferences.remove(conference);
        if in_mcu {
            self.mcu(McuCommand::EndConference { conference: conference.clone() });
        }
        if begun {
            self.event(EngineEvent::ConferenceEnded { conference: conference.clone(), reason });
        }
        if self.ad_hoc.remove(conference) || self.retired.remove(conference) {
            self.directory.remove_conference(conference);
        } else if begun {
            self.note_use(conference);
        }
    }

    /// A record was deleted: it goes as soon as the conference it belongs to is over.
    pub(crate) fn retire_conference(&mut self, conference: &ConferenceId) {
        if self.conferences.get(conference).is_some() {
            self.retired.insert(conference.clone());
        } else {
            self.directory.remove_conference(conference);
        }
    }

    /// The Contact of a conference: routable, and marked as a focus (RFC 4579 5.2).
    pub(crate) fn conference_contact(&self, conference: &ConferenceId) -> String {
        format!("<sip:{conference}@{CONTACT_PLACEHOLDER}>;isfocus")
    }

    /// The Focus URI of a conference.
    pub(crate) fn focus_uri(record: &ConferenceRecord) -> FocusUri {
        FocusUri::new(&record.organizer, record.id.clone())
    }
}

/// The name of a recording's file: the conference, and the second in which it began.
fn recording_name(conference: &ConferenceId, unix_ms: i64) -> String {
    let id: String = conference.to_string().chars().filter(|letter| letter.is_ascii_alphanumeric()).collect();
    format!("{id}-{}", unix_ms.div_euclid(1_000))
}
