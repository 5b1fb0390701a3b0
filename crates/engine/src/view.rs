//! What is going on, for the status page and the REST interface: a copy that no machine depends on.

use base::{ConferenceId, Role};
use focus::{EndpointStatus, MediaFilter};
use mcu_api::{EModel, LegStatistics};

use crate::Engine;
use crate::conference::leg::Leg;
use crate::conference::loudness::Loudness;

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
    /// Subscribers have been told all of this; else they will be in a moment.
    pub published: bool,
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
    /// The `User-Agent` it called with; `None` when it was called, or said nothing.
    pub user_agent: Option<String>,
    /// How loud it is heard and hears; `None` without audio.
    pub loudness: Option<Loudness>,
    /// How its audio fares, as reported last; `None` without audio.
    pub quality: Option<EndpointQuality>,
}

/// How the audio of a device fares: counts since it joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndpointQuality {
    /// Estimated listening quality of what it sends, MOS in hundredths; 0 = not estimated.
    pub mos_hundredths: u16,
    /// What that is made of.
    pub e_model: EModel,
    /// RTP packets received.
    pub received_packets: u64,
    /// Packets that never arrived.
    pub lost_packets: u64,
    /// Packets that arrived too late.
    pub late_packets: u64,
    /// 20 ms frames made up.
    pub concealed_frames: u64,
    /// Interarrival jitter, microseconds.
    pub jitter_us: u32,
    /// Delay of the jitter buffer, microseconds.
    pub buffer_delay_us: u32,
    /// Bound of that delay, microseconds.
    pub buffer_delay_max_us: u32,
    /// Round trip, microseconds; 0 = not measured.
    pub round_trip_us: u32,
    /// Loss of what is sent to it, as it reported last, in percent.
    pub remote_loss_percent: u8,
    /// Only one direction carries audio.
    pub one_way: bool,
}

impl From<&LegStatistics> for EndpointQuality {
    fn from(of: &LegStatistics) -> Self {
        Self {
            mos_hundredths: of.mos_hundredths,
            e_model: of.e_model,
            received_packets: of.received_packets,
            lost_packets: of.lost_packets,
            late_packets: of.late_packets,
            concealed_frames: of.concealed_frames,
            jitter_us: of.jitter_us,
            buffer_delay_us: of.buffer_delay_us,
            buffer_delay_max_us: of.buffer_delay_max_us,
            round_trip_us: of.round_trip_us,
            remote_loss_percent: (u32::from(of.remote_loss_fraction) * 100 / 256) as u8,
            one_way: of.one_way,
        }
    }
}

impl EndpointView {
    /// The status in the words of the roster (RFC 4575 5.6.4).
    pub fn status_text(&self) -> &'static str {
        crate::control::roster_document::status(self.status).as_str()
    }
}

impl Engine {
    /// Every conference that somebody has joined, by id.
    pub fn conferences(&self) -> Vec<ConferenceView> {
        let mut views: Vec<ConferenceView> = self.conferences.begun().map(|focus| self.view(focus)).collect();
        views.sort_by(|a, b| a.id.cmp(&b.id));
        views
    }

    /// How many conferences somebody has joined.
    pub fn conference_count(&self) -> usize {
        self.conferences.begun().count()
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
                    user_agent: self.legs.get(&endpoint.leg).and_then(|leg| leg.user_agent.clone()),
                    loudness: self.legs.get(&endpoint.leg).and_then(Leg::loudness),
                    quality: self.legs.get(&endpoint.leg).and_then(Leg::statistics).map(EndpointQuality::from),
                })
                .collect(),
        });
        ConferenceView {
            id: record.id.clone(),
            number: record.number.as_ref().map(ToString::to_string),
            subject: record.subject.clone(),
            organizer: record.organizer.to_string(),
            locked: roster.conference.locked,
            published: !focus.has_news(),
            participants: participants.collect(),
        }
    }
}
