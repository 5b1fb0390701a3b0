//! What a Focus wants, handed to who can do it; and how a leg ends on all sides.

use base::{CommandId, ConferenceId, LegId, Termination};
use focus::{Outcome, Output};
use mcu_api::McuCommand;

use crate::conference::leg::{LegKind, MediaOrigin};
use crate::event::{EngineEvent, LegRecord};
use crate::translate;
use crate::{Engine, Origin};

impl Engine {
    /// Sorts what a Focus says.
    pub(crate) fn on_focus(&mut self, conference: &ConferenceId, output: Output) {
        match output {
            Output::Outcome { command, outcome } => self.on_outcome(command, outcome),
            Output::Dial { leg, target, display_name, requested_by, .. } => {
                self.place_call(conference, leg, target, display_name, requested_by);
            }
            Output::HangUp { leg, termination } => self.hang_up(leg, termination),
            Output::SetFilters { leg, ingress, egress } => self.mcu(McuCommand::SetFilters {
                leg,
                ingress: translate::media_filter(ingress),
                egress: translate::media_filter(egress),
            }),
            Output::Prompt { leg, prompt } => {
                if prompt == focus::Prompt::WrongPin {
                    self.note_wrong_pin(leg);
                }
                self.mcu(McuCommand::PlayPrompt { leg, prompt: translate::prompt(prompt) });
            }
            Output::Notify { subscription, version, document } => {
                self.notify(conference, subscription, version, &document);
            }
            Output::SubscriptionEnded { subscription, reason } => self.end_subscription(subscription, reason),
            Output::Event(event) => {
                if event == focus::FocusEvent::Activated {
                    self.begin_conference(conference);
                }
                self.announce_movement(conference, &event);
                self.event(EngineEvent::Conference { conference: conference.clone(), event });
            }
            Output::ConferenceEnded { reason } => self.deactivate(conference, reason),
        }
    }

    pub(crate) fn on_outcome(&mut self, command: CommandId, outcome: Outcome) {
        let Some(origin) = self.commands.get_mut(&command) else { return };
        match origin {
            Origin::FocusJoin { leg, request, waits } => {
                let (leg, request) = (*leg, request.clone());
                let waited = std::mem::replace(waits, matches!(outcome, Outcome::Waiting { .. }));
                self.on_focus_join_outcome(leg, &request, &outcome, waited);
            }
            Origin::MediaJoin { leg } => {
                let leg = *leg;
                self.on_media_join_outcome(leg, outcome.clone());
            }
            Origin::Info { leg, request } => {
                let (leg, request) = (*leg, request.clone());
                if outcome.is_final()
                    && let Some(entry) = self.legs.get_mut(&leg)
                {
                    entry.backlog.settle();
                }
                self.on_info_outcome(leg, &request, &outcome);
            }
            Origin::Keys { leg, confirm } => {
                let (leg, confirm) = (*leg, *confirm);
                self.on_key_outcome(leg, &outcome, confirm);
            }
            Origin::Refer { refer } => {
                let refer = *refer;
                self.on_refer_outcome(refer, &outcome);
            }
            Origin::Nobody => {}
        }
        if outcome.is_final() {
            self.commands.remove(&command);
        }
    }

    /// The Focus sends somebody away: his audio stops at once, his call is ended as its state demands.
    fn hang_up(&mut self, leg: LegId, termination: Termination) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.ended.get_or_insert((self.now, termination));
        let sip = entry.sip;
        let offer = entry.media().and_then(|media| media.dial_out()).and_then(|dial_out| dial_out.offer);
        if let Some(sip) = sip {
            self.hang_up_sip(sip, termination);
        } else if let Some(offer) = offer {
            let reason = translate::cancel_reason(termination.reason);
            self.call(call::Input::Cancel { offer, reason });
        }
        self.release_media(leg);
        self.finish_leg(leg);
    }

    pub(crate) fn hang_up_sip(&mut self, sip_leg: LegId, termination: Termination) {
        let reason = translate::reason_header(termination.reason);
        self.call(call::Input::HangUp { leg: sip_leg, reason, termination });
    }

    /// Something on our side ends a leg: hang up and tell the Focus.
    pub(crate) fn end_leg(&mut self, leg: LegId, termination: Termination) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let conference = entry.conference.clone();
        self.hang_up(leg, termination);
        self.focus(&conference, focus::Input::LegEnded { leg, termination });
    }

    /// A SIP leg ended. One that lost its offer is only forgotten.
    pub(crate) fn on_leg_ended(&mut self, sip_leg: LegId, termination: Termination, status: Option<u16>) {
        let leg = self.conference_leg(sip_leg);
        let dialled = self.branches.remove(&sip_leg).is_some();
        let is_the_leg = self.legs.get(&leg).is_some_and(|entry| entry.sip == Some(sip_leg));
        if is_the_leg || !dialled {
            if let Some(entry) = self.legs.get_mut(&leg) {
                entry.sip = None;
                entry.status = entry.status.or(status);
            }
            self.leg_over(leg, termination);
        }
    }

    /// The other side ended a leg, or it never came about.
    pub(crate) fn leg_over(&mut self, leg: LegId, termination: Termination) {
        let Some(entry) = self.legs.get_mut(&leg) else { return };
        entry.ended.get_or_insert((self.now, termination));
        let (conference, peer) = (entry.conference.clone(), entry.peer.clone());
        self.note_outside(peer);
        self.release_media(leg);
        self.focus(&conference, focus::Input::LegEnded { leg, termination });
        self.finish_leg(leg);
    }

    /// Forgets a leg that the Focus never took, after its INVITE was refused.
    pub(crate) fn drop_leg(&mut self, leg: LegId, termination: Termination) {
        if let Some(entry) = self.legs.get_mut(&leg) {
            entry.sip = None;
        }
        self.leg_over(leg, termination);
    }

    fn release_media(&mut self, leg: LegId) {
        self.leave_attendant(leg);
        let Some(media) = self.legs.get_mut(&leg).and_then(|leg| leg.media()) else { return };
        if media.in_mcu && !std::mem::replace(&mut media.released, true) {
            self.mcu(McuCommand::RemoveLeg { leg });
        }
    }

    /// Writes the record of a leg that is over on every side.
    pub(crate) fn finish_leg(&mut self, leg: LegId) {
        let Some(entry) = self.legs.get(&leg) else { return };
        let waits_for_mcu = matches!(&entry.kind, LegKind::Media(media) if media.in_mcu);
        let (Some((ended, termination)), false) = (entry.ended, waits_for_mcu) else { return };
        let Some(entry) = self.legs.remove(&leg) else { return };
        let LegKind::Media(media) = entry.kind else { return };
        let with_attendant = media.attended.is_some();
        if with_attendant {
            self.mcu(McuCommand::EndConference { conference: entry.conference.clone() });
        }
        let dial_out = match &media.origin {
            MediaOrigin::Outgoing(dial_out) => Some(dial_out),
            MediaOrigin::Incoming(_) => None,
        };
        let record = LegRecord {
            leg,
            conference: entry.conference,
            peer: entry.peer,
            user: entry.listed,
            claimed: entry.claimed,
            dialled: dial_out.is_some(),
            requested_by: dial_out.and_then(|dial_out| dial_out.requested_by.clone()),
            reached: dial_out.and_then(|dial_out| dial_out.person()),
            trunk: dial_out.map_or(entry.trunk, |dial_out| dial_out.trunk.clone()),
            with_attendant,
            address: entry.address,
            call_id: entry.call_id,
            codec: media.session.as_ref().map(|session| session.media().codec),
            encrypted: media.session.as_ref().is_some_and(|session| session.media().srtp.is_some()),
            since: entry.since,
            connected: entry.connected.or(entry.answered),
            ended,
            termination,
            status: entry.status,
            statistics: media.statistics,
        };
        match &media.origin {
            MediaOrigin::Incoming(_) if with_attendant => {}
            MediaOrigin::Incoming(_) => self.write_join(&record),
            MediaOrigin::Outgoing(dial_out) => self.write_dial_out(&record, dial_out),
        }
        self.event(EngineEvent::LegEnded(Box::new(record)));
    }
}
