//! A media side that has ports, or has none, answers late, and loses conferences. It keeps the order of its answers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base::{ConferenceId, LegId, Timestamp};
use mcu_api::{LegFailure, LegStatistics, McuCommand, McuEvent};

use crate::dice::Dice;
use crate::swarm::Swarm;

/// The media side.
#[derive(Debug, Default)]
pub(crate) struct FakeMcu {
    conferences: BTreeSet<ConferenceId>,
    legs: BTreeMap<LegId, McuLeg>,
    /// When its last answer arrives; none overtakes it.
    last: Timestamp,
    next_port: u16,
}

#[derive(Debug)]
struct McuLeg {
    conference: ConferenceId,
    /// Where the peer receives audio.
    remote_port: Option<u16>,
}

impl FakeMcu {
    /// Obeys a command and says what it answers, and when.
    pub(crate) fn obey(
        &mut self,
        now: Timestamp,
        command: &McuCommand,
        dice: &mut Dice,
        swarm: &Swarm,
    ) -> Vec<(Timestamp, McuEvent)> {
        let answers = match command {
            McuCommand::CreateConference { conference, .. } => {
                self.conferences.insert(conference.clone());
                Vec::new()
            }
            McuCommand::EndConference { conference } => self.end(conference),
            McuCommand::ReserveLeg { conference, leg } => vec![self.reserve(conference, *leg, dice, swarm)],
            McuCommand::ConnectLeg { leg, media } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.remote_port = Some(media.remote_rtp.port());
                }
                Vec::new()
            }
            McuCommand::RemoveLeg { leg } => self.legs.remove(leg).map(|_| removed(*leg)).into_iter().collect(),
            McuCommand::Announce { leg, .. } => vec![McuEvent::AnnouncementEnded { leg: *leg, completed: true }],
            McuCommand::SetInMix { .. }
            | McuCommand::SetFilters { .. }
            | McuCommand::SetGain { .. }
            | McuCommand::PlayPrompt { .. }
            | McuCommand::StopAnnouncement { .. }
            | McuCommand::SetBackground { .. }
            | McuCommand::SetAudience { .. }
            | McuCommand::AnnounceToAll { .. }
            | McuCommand::StartRecording { .. }
            | McuCommand::StopRecording { .. } => Vec::new(),
        };
        let delay = if swarm.slow_mcu && dice.chance(0.2) { dice.millis(100, 3_000) } else { dice.millis(0, 20) };
        self.in_order(now + delay, answers)
    }

    /// The media side of the next process, which begins with nothing.
    pub(crate) fn of_next_process(&self) -> Self {
        Self { next_port: self.next_port, ..Self::default() }
    }

    /// A defect ends a conference.
    pub(crate) fn lose_conference(&mut self, now: Timestamp, dice: &mut Dice) -> Option<(Timestamp, McuEvent)> {
        let all: Vec<_> = self.conferences.iter().cloned().collect();
        let conference = dice.pick(&all)?.clone();
        let legs: Vec<LegId> = self.end(&conference).into_iter().filter_map(leg_of).collect();
        self.in_order(now, vec![McuEvent::ConferenceFailed { conference, legs }]).pop()
    }

    /// The leg whose peer receives audio there.
    pub(crate) fn leg_at(&self, port: u16) -> Option<LegId> {
        self.legs.iter().find(|(_, leg)| leg.remote_port == Some(port)).map(|(leg, _)| *leg)
    }

    fn reserve(&mut self, conference: &ConferenceId, leg: LegId, dice: &mut Dice, swarm: &Swarm) -> McuEvent {
        if !self.conferences.contains(conference) {
            return McuEvent::LegFailed { leg, failure: LegFailure::NoConference };
        }
        if swarm.no_ports && dice.chance(0.1) {
            let failure = if dice.chance(0.5) { LegFailure::NoPort } else { LegFailure::Overload };
            return McuEvent::LegFailed { leg, failure };
        }
        self.legs.insert(leg, McuLeg { conference: conference.clone(), remote_port: None });
        self.next_port = (self.next_port + 2) % 10_000;
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let port = 50_000 + self.next_port;
        McuEvent::LegReserved { leg, rtp: address(port), rtcp: address(port + 1) }
    }

    fn end(&mut self, conference: &ConferenceId) -> Vec<McuEvent> {
        self.conferences.remove(conference);
        let legs: Vec<LegId> =
            self.legs.iter().filter(|(_, leg)| leg.conference == *conference).map(|(leg, _)| *leg).collect();
        for leg in &legs {
            self.legs.remove(leg);
        }
        legs.into_iter().map(removed).collect()
    }

    fn in_order(&mut self, at: Timestamp, events: Vec<McuEvent>) -> Vec<(Timestamp, McuEvent)> {
        if events.is_empty() {
            return Vec::new();
        }
        self.last = self.last.max(at);
        events.into_iter().map(|event| (self.last, event)).collect()
    }
}

fn removed(leg: LegId) -> McuEvent {
    McuEvent::LegRemoved { leg, statistics: LegStatistics::default() }
}

fn leg_of(event: McuEvent) -> Option<LegId> {
    match event {
        McuEvent::LegRemoved { leg, .. } => Some(leg),
        _ => None,
    }
}
