//! An agent who has answered: he is asked for the key, joined with the caller, parted from him and let go.

use base::{CallId, LegId, Termination, TerminationReason};
use mcu_api::{Announcement, McuCommand, Phrase, Spoken};
use response_group::{DialogNo, Input, OfferNo, Release};

use super::Role;
use super::ledger::GroupLegs;
use super::offer::WINNER;
use crate::Engine;

/// The key that takes a call.
const TAKE_KEY: char = '1';

impl Engine {
    /// The machine does not want an answered dialog any more, or one that came too late.
    pub(super) fn release_offer(&mut self, number: OfferNo, dialog: DialogNo, reason: Release) {
        let answered = match self.groups.offers.get(&number) {
            Some(offer) => offer.answered,
            // He answered an earlier process.
            None => self.take_up_agent(number, CallId(0)),
        };
        let Some(leg) = answered.filter(|_| dialog == WINNER) else {
            self.forget_offer(number);
            return self.tell_groups(Input::OfferDialogEnded { offer: number, dialog });
        };
        let why = match reason {
            Release::LateAnswer | Release::SecondAnswer | Release::LostRace | Release::Restart => {
                TerminationReason::AnsweredElsewhere
            }
            Release::BridgeFailed => TerminationReason::MediaNotSupported,
            Release::Machine | Release::NotConfirmed | Release::CallerGone | Release::TalkLimit => {
                TerminationReason::Departed
            }
        };
        self.hang_up_sip(leg, Termination::completed(why));
    }

    /// The machine has a winner: his audio joins the caller's. Both commands reach the mixer before its next tick.
    pub(super) fn bridge_offer(&mut self, call: CallId, number: OfferNo) {
        let joined =
            self.groups.offers.get(&number).and_then(|offer| {
                Some((offer.seat?, offer.media.agreed()?, offer.answered?, offer.order.agent.clone()))
            });
        let Some(caller) = self.groups.callers.get_mut(&call) else { return };
        let Some((seat, agreed, sip, agent)) = joined else { return self.tell_groups(Input::BridgeFailed { call }) };
        caller.bridged = Some(number);
        if caller.seat == Some(seat) {
            // Nobody else may be offered the place of somebody who sits there.
            caller.seat = None;
        }
        self.note_group_leg(call, GroupLegs { sip, media: seat }, Some(agent.clone()), &agreed);
        self.connect_group_leg(seat, Some(agreed));
        self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: true });
        self.hush_caller(call);
        self.ensure_accepted(call);
        self.show_partner(call, Some(&agent));
        let unconfirmed = self.groups.callers.get(&call).is_some_and(|caller| !caller.confirmed);
        self.tell_groups(Input::Bridged { call, unconfirmed });
    }

    /// Caller and agent are parted.
    pub(super) fn unbridge_offer(&mut self, call: CallId, number: OfferNo) {
        let agent = self.groups.offers.get(&number).map(|offer| (offer.answered, offer.seat));
        if let Some((Some(leg), _)) = agent {
            self.release_hold(leg);
        }
        if let Some((_, Some(seat))) = agent {
            self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: false });
        }
        if let Some(caller) = self.groups.callers.get_mut(&call) {
            caller.bridged = None;
        }
    }

    /// Who answered must press a key, so that no mailbox takes the call.
    pub(super) fn ask_agent(&mut self, number: OfferNo, language: Option<String>) {
        let Some(offer) = self.groups.offers.get(&number) else { return };
        let (Some(seat), agreed) = (offer.seat, offer.media.agreed()) else { return };
        self.command_leg(seat, McuCommand::SetInMix { leg: seat, in_mix: false });
        self.connect_group_leg(seat, agreed);
        let language = self.spoken_language(language);
        let announcement = Announcement { language, parts: vec![Spoken::Phrase(Phrase::PressOne)] };
        self.command_leg(seat, McuCommand::Announce { leg: seat, announcement });
    }

    /// An agent pressed a key.
    pub(super) fn on_agent_digit(&mut self, seat: LegId, digit: char) {
        let number = self.groups.offers.iter().find(|(_, offer)| offer.seat == Some(seat) && offer.answered.is_some());
        if let Some(number) = number.map(|(number, _)| *number) {
            self.confirm_offer(number, digit);
        }
    }

    /// The machine knows whether it has asked for the key.
    pub(super) fn confirm_offer(&mut self, offer: OfferNo, digit: char) {
        self.tell_groups(Input::OfferConfirmed { offer, accepted: digit == TAKE_KEY });
    }

    /// The MCU could not make a seat, or lost it.
    pub(super) fn on_seat_lost(&mut self, seat: LegId, termination: Termination) {
        let offers = self.groups.offers.iter().filter(|(_, offer)| offer.seat == Some(seat));
        let mut lost: Vec<(OfferNo, Option<LegId>)> = offers.map(|(number, offer)| (*number, offer.answered)).collect();
        lost.sort_unstable();
        self.leave_seat(seat);
        for (number, answered) in lost {
            match answered {
                Some(leg) => self.hang_up_sip(leg, termination),
                None => self.withdraw_offer(number),
            }
        }
        self.on_extra_seat_lost(seat, termination);
    }

    /// The SIP leg whose audio a leg of the MCU is.
    pub(super) fn sip_leg_of(&self, leg: LegId) -> Option<LegId> {
        match self.groups.role(leg)? {
            Role::Seat(call) => {
                let offers = self.groups.offers.values().filter(|offer| offer.seat == Some(leg));
                let agent = offers.filter_map(|offer| offer.answered).next();
                let caller = self.groups.callers.get(&call);
                let forward = caller.and_then(|caller| caller.forward.as_ref()).filter(|forward| forward.seat == leg);
                agent.or(forward.and_then(|forward| forward.answered))
            }
            _ => Some(leg),
        }
    }
}
