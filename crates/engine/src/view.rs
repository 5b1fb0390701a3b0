//! What is going on, for the status page and the REST interface: a copy that no machine depends on.

use base::{ConferenceId, Role};
use focus::{EndpointStatus, MediaFilter};

use crate::Engine;

/// One live conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceView {
    /// Its id.
    pub id: ConferenceId,
    /// Its number.
    pub number: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// Whom it belongs to.
    pub organizer: String,
    /// Newcomers are kept out.
    pub locked: bool,
    /// Who is in or being called.
    pub participants: Vec<ParticipantView>,
}

/// One user of a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParticipantView {
    /// Who he is.
    pub user: String,
    /// How he is shown.
    pub display_name: Option<String>,
    /// What he may do.
    pub role: Role,
    /// His devices.
    pub endpoints: Vec<EndpointView>,
}

/// One device of a participant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointView {
    /// Its entity.
    pub endpoint: String,
    /// Whether it carries audio.
    pub audio: bool,
    /// What it is doing.
    pub status: EndpointStatus,
    /// Nobody hears it.
    pub muted: bool,
    /// It speaks at this moment.
    pub speaking: bool,
}

impl EndpointView {
    /// The status in the words of the roster (RFC 4575 5.6.4).
    pub fn status_text(&self) -> &'static str {
        crate::roster_document::status(self.status).as_str()
    }
}

impl Engine {
    /// Every live conference, by id.
    pub fn conferences(&self) -> Vec<ConferenceView> {
        let mut views: Vec<ConferenceView> = self.conferences.iter().map(|focus| self.view(focus)).collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// How many conferences are live.
    pub fn conference_count(&self) -> usize {
        self.conferences.len()
    }

    fn view(&self, focus: &focus::Focus) -> ConferenceView {
        let record = focus.record();
        let roster = focus.roster_document();
        let speakers = focus.speakers();
        let participants = roster.users.iter().map(|user| ParticipantView {
            user: user.entity.to_string(),
            display_name: user.display_name.clone(),
            role: user.role,
            endpoints: user
                .endpoints
                .iter()
                .map(|endpoint| EndpointView {
                    endpoint: endpoint.entity.to_string(),
                    audio: endpoint.session == focus::SessionType::AudioVideo,
                    status: endpoint.status,
                    muted: endpoint.ingress == MediaFilter::Block,
                    speaking: speakers.iter().any(|(who, which)| *who == user.entity && *which == endpoint.entity),
                })
                .collect(),
        });
        ConferenceView {
            id: record.id.clone(),
            number: record.number.as_ref().map(ToString::to_string),
            subject: record.subject.clone(),
            organizer: record.organizer.to_string(),
            locked: roster.conference.locked,
            participants: participants.collect(),
        }
    }
}
