//! Rules about the media side, as the engine knows it: commands name legs that exist, each leg is removed once.

use std::collections::{BTreeMap, BTreeSet};

use base::{ConferenceId, LegId};
use mcu_api::{McuCommand, McuEvent, MediaFilter};

/// What the media side carries.
#[derive(Debug, Default)]
pub(super) struct Media {
    conferences: BTreeSet<ConferenceId>,
    legs: BTreeMap<LegId, MediaLeg>,
    /// Every leg there ever was.
    reserved: BTreeSet<LegId>,
    /// The same for response groups.
    grouped: BTreeSet<LegId>,
}

#[derive(Debug)]
struct MediaLeg {
    conference: ConferenceId,
    has_ports: bool,
    connected: bool,
    in_mix: bool,
    muted: bool,
    leaving: bool,
}

impl MediaLeg {
    fn is_heard(&self) -> bool {
        self.connected && self.in_mix && !self.leaving
    }
}

impl Media {
    pub(super) fn commanded(&mut self, command: &McuCommand) -> Result<(), String> {
        match command {
            McuCommand::CreateConference { conference, .. } => {
                self.conferences.insert(conference.clone());
            }
            McuCommand::EndConference { conference } => {
                self.conferences.remove(conference);
                let legs = self.legs.values_mut().filter(|leg| leg.conference == *conference);
                legs.for_each(|leg| leg.leaving = true);
            }
            McuCommand::ReserveLeg { conference, leg } => return self.reserve(conference, *leg),
            McuCommand::ConnectLeg { leg, .. } => self.known(*leg, command)?.connected = true,
            McuCommand::SetInMix { leg, in_mix } => self.known(*leg, command)?.in_mix = *in_mix,
            McuCommand::SetFilters { leg, ingress, .. } => {
                self.known(*leg, command)?.muted = *ingress == MediaFilter::Block;
            }
            McuCommand::SetGain { leg, .. }
            | McuCommand::PlayPrompt { leg, .. }
            | McuCommand::Announce { leg, .. }
            | McuCommand::StopAnnouncement { leg }
            | McuCommand::SetBackground { leg, .. }
            | McuCommand::SetAudience { leg, .. } => drop(self.known(*leg, command)?),
            McuCommand::AnnounceToAll { .. } | McuCommand::StartRecording { .. } | McuCommand::StopRecording { .. } => {
            }
            McuCommand::RemoveLeg { leg } => self.known(*leg, command)?.leaving = true,
        }
        match command {
            McuCommand::ConnectLeg { leg, .. } if !self.legs.get(leg).is_some_and(|leg| leg.has_ports) => {
                Err(format!("{leg:?} is connected before it has ports"))
            }
            _ => Ok(()),
        }
    }

    fn reserve(&mut self, conference: &ConferenceId, leg: LegId) -> Result<(), String> {
        if !self.conferences.contains(conference) {
            return Err(format!("ports for {leg:?} are wanted in {conference}, which the media side does not have"));
        }
        // A group's legs have the record of their call, and none of their own.
        let new = match super::groups::is_callers(conference) {
            true => self.grouped.insert(leg),
            false => self.reserved.insert(leg),
        };
        if !new {
            return Err(format!("ports for {leg:?} are wanted twice"));
        }
        let conference = conference.clone();
        let new =
            MediaLeg { conference, has_ports: false, connected: false, in_mix: true, muted: false, leaving: false };
        self.legs.insert(leg, new);
        Ok(())
    }

    fn known(&mut self, leg: LegId, command: &McuCommand) -> Result<&mut MediaLeg, String> {
        let known = self.legs.get_mut(&leg).filter(|leg| !leg.leaving);
        known.ok_or_else(|| format!("the media side has no such leg (any more): {command:?}"))
    }

    pub(super) fn reported(&mut self, event: &McuEvent) {
        match event {
            McuEvent::LegReserved { leg, .. } => {
                if let Some(leg) = self.legs.get_mut(leg) {
                    leg.has_ports = true;
                }
            }
            McuEvent::LegFailed { leg, .. } | McuEvent::LegRemoved { leg, .. } => drop(self.legs.remove(leg)),
            McuEvent::ConferenceFailed { conference, legs } => {
                self.conferences.remove(conference);
                legs.iter().for_each(|leg| drop(self.legs.remove(leg)));
            }
            _ => {}
        }
    }

    /// Whether a leg that the roster shows as connected carries audio.
    pub(super) fn carries(&self, leg: LegId, name: &str) -> Result<(), String> {
        match self.legs.get(&leg) {
            Some(known) if known.is_heard() => Ok(()),
            known => Err(format!("{name} ({leg:?}) is connected in the roster; on the media side it is {known:?}")),
        }
    }

    /// Whether the media side mutes whom the roster shows as muted.
    pub(super) fn filters(&self, leg: LegId, name: &str, muted: bool) -> Result<(), String> {
        match self.legs.get(&leg) {
            Some(known) if known.muted != muted => {
                Err(format!("{name} ({leg:?}) is muted in the roster: {muted}; on the media side: {}", known.muted))
            }
            _ => Ok(()),
        }
    }

    /// Legs that take part in a mix.
    pub(super) fn heard(&self) -> impl Iterator<Item = (LegId, &ConferenceId)> {
        self.legs.iter().filter(|(_, leg)| leg.is_heard()).map(|(leg, known)| (*leg, &known.conference))
    }

    pub(super) fn reserved(&self) -> &BTreeSet<LegId> {
        &self.reserved
    }

    pub(super) fn at_rest(&self) -> Result<(), String> {
        if self.conferences.is_empty() && self.legs.is_empty() {
            return Ok(());
        }
        Err(format!("the media side is left with {:?} and {:?}", self.conferences, self.legs))
    }
}
