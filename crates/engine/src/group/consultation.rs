//! An agent asks a colleague first and then sends the caller to him (RFC 5589 7). The colleague's audio, which went from phone to
//! phone, comes to the caller's conference; his call with the agent is over with that.

use base::{CallId, LegId, SubscriptionId, Termination, TerminationReason};
use call::Body;
use response_group::{Action, Input, OfferNo};

use crate::Engine;
use crate::people::bridge::Exchange;
use crate::people::replaces::Replaces;

impl Engine {
    /// A REFER with `Replaces` of the agent who talks with the caller. The colleague must be in a call between two people, with
    /// this agent; a dialog with another group has its audio here already and is not taken out of it.
    pub(super) fn transfer_to_colleague(
        &mut self,
        offer: OfferNo,
        call: CallId,
        refer: SubscriptionId,
        replaces: &Replaces,
    ) -> Result<(), u16> {
        let asked = self.calls.leg_of(&replaces.dialog).ok_or(481_u16)?;
        if self.groups.role(asked).is_some() {
            return Err(501);
        }
        let consultation = self.bridges.call_of_leg(asked).ok_or(481_u16)?;
        let (asker, colleague) = self.transferable(consultation, asked)?;
        let agent = self.groups.offers.get(&offer).map(|offer| &offer.order.agent);
        if agent != Some(&asker) {
            return Err(403);
        }
        if !self.is_idle(consultation) {
            return Err(491);
        }
        let caller = self.groups.callers.get_mut(&call).ok_or(481_u16)?;
        if caller.person == colleague.user {
            return Err(482);
        }
        (caller.transfer, caller.consulted) = (Some(refer), Some(colleague.leg));
        self.call(call::Input::RespondRefer { refer, status: 202 });
        let target = Action::Forward { target: colleague.user };
        self.tell_groups(Input::AgentTransferred { offer, target, consulted: true });
        Ok(())
    }

    /// The colleague's seat has ports: his call with the agent ends, and he is offered them.
    pub(super) fn take_over_colleague(&mut self, call: CallId, seat: LegId, leg: LegId) {
        let media = self.seat_media(seat);
        let consultation = self.bridges.call_of_leg(leg).filter(|consultation| self.is_idle(*consultation));
        let stands = consultation.filter(|consultation| self.transferable(*consultation, leg).is_ok());
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let (Some(media), Some(forward)) = (media, forward) else { return };
        forward.media = media;
        let (Some(consultation), Some(body)) = (stands, forward.media.offer()) else {
            return self.forward_failed(call, TerminationReason::NoAnswer);
        };
        forward.consulted = Some(leg);
        self.leave_to_transfer(consultation, &[leg], Termination::completed(TerminationReason::Replaced));
        self.bridges.forget(leg);
        self.groups.legs.insert(leg, super::Role::Target(call));
        self.record_up(leg);
        self.call(call::Input::Reoffer { leg, body });
    }

    /// Whether this leg is a colleague's who has not answered our offer yet.
    pub(super) fn is_taken_over(&self, call: CallId, leg: LegId) -> bool {
        let forward = self.groups.callers.get(&call).and_then(|caller| caller.forward.as_ref());
        forward.is_some_and(|forward| forward.answered.is_none() && forward.consulted == Some(leg))
    }

    /// The colleague has answered it, or refused: then he talks with nobody, and the agent has the caller back.
    pub(super) fn on_colleague_answered(&mut self, call: CallId, leg: LegId, body: Option<&Body>) {
        if body.is_some() {
            return self.on_target_answered(call, leg, body);
        }
        self.hang_up_sip(leg, Termination::failed(TerminationReason::MediaNotSupported));
        self.forward_failed(call, TerminationReason::MediaNotSupported);
    }

    fn is_idle(&self, call: CallId) -> bool {
        self.bridges.get(call).is_some_and(|bridge| matches!(bridge.exchange, Exchange::Idle))
    }
}
