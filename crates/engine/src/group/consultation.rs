//! An agent asks a colleague first and then sends the caller to him (RFC 5589 7). The colleague's audio, which went from phone to
//! phone, comes to the caller's conference, and only then his call with the agent is over: should he not be joined, the agent
//! has both calls as before.
//!
//! The colleague may be an agent of a group that the agent has called. Then his audio was here, in that call's conference, and he
//! is lent from there until he is joined; for the group he was asked through, its call ends as if he had hung up.

use base::{CallId, LegId, SubscriptionId, Termination, TerminationReason};
use call::Body;
use response_group::{Action, Input, OfferNo};
use sip_api::{Headers, NameAddr};

use super::headers::asserted_identity;
use super::media::GroupMedia;
use super::{Role, WireRecord};
use crate::Engine;
use crate::people::bridge::Exchange;
use crate::people::replaces::Replaces;

impl Engine {
    /// A REFER with `Replaces` in the agent's dialog with the group: it names his call with the colleague, or with the group of
    /// which that one is an agent.
    pub(super) fn transfer_to_colleague(
        &mut self,
        offer: OfferNo,
        refer: SubscriptionId,
        replaces: &Replaces,
    ) -> Result<(), u16> {
        let asked = self.calls.leg_of(&replaces.dialog).ok_or(481_u16)?;
        match self.groups.role(asked) {
            Some(Role::Caller(consultation)) => self.borrow_agent(offer, refer, consultation),
            Some(_) => Err(501),
            None => self.join_colleague(offer, refer, asked),
        }
    }

    /// The offer whose agent's dialog with his group a `Refer-To` names by `Replaces`.
    pub(super) fn offer_named(&self, refer_to: &NameAddr) -> Option<OfferNo> {
        let replaces = Replaces::in_uri(refer_to.uri.headers.as_deref())??;
        match self.groups.role(self.calls.leg_of(&replaces.dialog)?)? {
            Role::Device(offer) => Some(offer),
            _ => None,
        }
    }

    /// The agent who talks with a caller, and as a caller of another group with an agent of that one, wants those two joined.
    pub(super) fn borrow_agent(
        &mut self,
        offer: OfferNo,
        refer: SubscriptionId,
        consultation: CallId,
    ) -> Result<(), u16> {
        let order = self.groups.offers.get(&offer).map(|offer| &offer.order).ok_or(481_u16)?;
        let (call, agent) = (order.call, order.agent.clone());
        let theirs = self.groups.callers.get(&consultation).ok_or(481_u16)?;
        if theirs.user.as_ref() != Some(&agent) {
            return Err(403);
        }
        // Nobody has taken his call there.
        let lender = theirs.bridged.ok_or(480_u16)?;
        let lent = self.groups.offers.get(&lender).ok_or(480_u16)?;
        let (leg, colleague) = (lent.answered.ok_or(480_u16)?, lent.order.agent.clone());
        let idle = theirs.transfer.is_none() && !lent.media.awaits_answer();
        let caller = self.groups.callers.get_mut(&call).ok_or(603_u16)?;
        if !idle || caller.transfer.is_some() {
            return Err(491);
        }
        if caller.bridged != Some(offer) {
            return Err(603);
        }
        if caller.person == colleague {
            return Err(482);
        }
        (caller.transfer, caller.consulted) = (Some(refer), Some(leg));
        self.release_hold(leg);
        self.groups.lent.insert(leg, lender);
        self.groups.legs.insert(leg, Role::Target(call));
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        let target = Action::Forward { target: colleague };
        self.tell_groups(Input::AgentTransferred { offer, target, consulted: true });
        Ok(())
    }

    /// An agent who was lent is the caller's now, or has hung up: the call he came from goes without him.
    fn end_loan(&mut self, leg: LegId) {
        if let Some(lender) = self.groups.lent.remove(&leg) {
            self.end_answered_offer(lender);
        }
    }

    /// An agent who was lent is not joined with the caller. Whoever asked him has him back, unless he is gone.
    fn return_agent(&mut self, lender: OfferNo, leg: LegId, thinks: bool) {
        if self.groups.offers.get(&lender).is_none_or(|offer| offer.answered != Some(leg)) {
            return self.hang_up_sip(leg, Termination::failed(TerminationReason::NoAnswer));
        }
        self.groups.legs.insert(leg, Role::Device(lender));
        if let Some(dialog) = self.calls.dialog_record(leg) {
            self.record(WireRecord::AgentUp { offer: lender, dialog: Box::new(dialog) });
        }
        if thinks {
            self.groups.astray.insert(leg);
        }
    }

    /// The phone of an agent who was returned sends to the seat he was not given: it is told the way back to his own.
    pub(super) fn lead_back(&mut self, leg: LegId) {
        let Some(Role::Device(lender)) = self.groups.role(leg) else { return };
        let body = self.groups.offers.get_mut(&lender).and_then(|offer| offer.media.offer());
        if let Some(body) = body {
            self.call(call::Input::Reoffer { leg, body });
        }
    }

    /// The same in his dialog with the colleague, on whose leg `asked` he is: it names a leg of a group. `None` when that is of
    /// none.
    pub(crate) fn transfer_from_consultation(
        &mut self,
        asked: LegId,
        refer: SubscriptionId,
        named: LegId,
    ) -> Option<Result<(), u16>> {
        match self.groups.role(named)? {
            Role::Device(offer) => Some(self.join_colleague(offer, refer, asked)),
            _ => Some(Err(501)),
        }
    }

    /// The agent who talks with the caller, and on the leg `asked` with his colleague, wants those two joined.
    fn join_colleague(&mut self, offer: OfferNo, refer: SubscriptionId, asked: LegId) -> Result<(), u16> {
        let order = self.groups.offers.get(&offer).map(|offer| &offer.order).ok_or(481_u16)?;
        let (call, agent) = (order.call, order.agent.clone());
        let consultation = self.bridges.call_of_leg(asked).ok_or(481_u16)?;
        let (asker, colleague) = self.transferable(consultation, asked)?;
        if agent != asker {
            return Err(403);
        }
        let caller =
            self.groups.callers.get_mut(&call).filter(|caller| caller.bridged == Some(offer)).ok_or(603_u16)?;
        if caller.person == colleague.user {
            return Err(482);
        }
        let bridge = self.bridges.get_mut(consultation).filter(|bridge| matches!(bridge.exchange, Exchange::Idle));
        // The first transfer is not decided yet, or the session is being changed (RFC 3261 21.4.27).
        let bridge = bridge.filter(|_| caller.transfer.is_none()).ok_or(491_u16)?;
        (caller.transfer, caller.consulted) = (Some(refer), Some(colleague.leg));
        bridge.exchange = Exchange::TakenOver(colleague.leg);
        self.groups.legs.insert(colleague.leg, Role::Target(call));
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        let target = Action::Forward { target: colleague.user };
        self.tell_groups(Input::AgentTransferred { offer, target, consulted: true });
        Ok(())
    }

    /// The colleague's seat has ports: he is offered them.
    pub(super) fn take_over_colleague(&mut self, call: CallId, seat: LegId, leg: LegId) {
        let media = self.seat_media(seat);
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let (Some(media), Some(forward)) = (media, forward) else { return };
        forward.media = media;
        let Some(body) = forward.media.offer() else { return };
        self.record_up(leg);
        self.call(call::Input::Reoffer { leg, body });
    }

    /// Whether this leg is a colleague's who is not joined yet.
    pub(super) fn is_taken_over(&self, role: Role, leg: LegId) -> bool {
        let Role::Target(call) = role else { return false };
        let forward = self.groups.callers.get(&call).and_then(|caller| caller.forward.as_ref());
        forward.is_some_and(|forward| forward.answered.is_none() && forward.consulted == Some(leg))
    }

    /// The colleague has answered, or refused; then he talks with the agent as before.
    pub(super) fn on_colleague_answered(&mut self, call: CallId, leg: LegId, body: Option<&Body>) {
        let forward = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut());
        let Some(forward) = forward else { return };
        let good = forward.media.take_answer(body);
        let consultation = self.bridges.call_of_leg(leg);
        if good {
            self.join_target(call, leg);
            self.show_caller(call, leg);
            self.bridges.forget(leg);
            self.end_loan(leg);
            if let Some(consultation) = consultation {
                let replaced = Termination::completed(TerminationReason::Replaced);
                self.leave_to_transfer(consultation, &[leg], replaced);
            }
            return;
        }
        self.forward_failed(call, TerminationReason::MediaNotSupported, 488);
        // His phone sends here already.
        match consultation {
            _ if body.is_none() => {}
            Some(consultation) => self.put_right(consultation, leg),
            None => self.lead_back(leg),
        }
    }

    /// The colleague has hung up: so the agent's call with him is over too.
    pub(super) fn on_colleague_ended(
        &mut self,
        call: CallId,
        leg: LegId,
        end: (Termination, Option<u16>),
        headers: &Headers,
    ) {
        if let Some(forward) = self.groups.callers.get_mut(&call).and_then(|caller| caller.forward.as_mut()) {
            forward.consulted = None;
        }
        if let Some(consultation) = self.bridges.call_of_leg(leg) {
            self.on_bridge_leg_ended(consultation, leg, end, headers);
        }
        self.end_loan(leg);
        self.forward_failed(call, TerminationReason::NoAnswer, 480);
    }

    /// He is not joined with the caller. Whoever asked him has him back; if that one is gone he is hung up.
    pub(super) fn give_colleague_back(&mut self, leg: LegId, media: Option<&GroupMedia>) {
        // What he is still thinking about is put right when he answers.
        let thinks = media.is_some_and(GroupMedia::awaits_answer);
        if let Some(lender) = self.groups.lent.remove(&leg) {
            return self.return_agent(lender, leg, thinks);
        }
        let consultation = self.bridges.call_of_leg(leg).and_then(|call| self.bridges.get_mut(call));
        let Some(consultation) = consultation else {
            return self.hang_up_sip(leg, Termination::failed(TerminationReason::NoAnswer));
        };
        consultation.exchange = if thinks { Exchange::Joining } else { Exchange::Idle };
        self.groups.legs.remove(&leg);
        if let Some(leg) = self.groups.recorded.remove(&leg) {
            self.record(WireRecord::Over { leg });
        }
    }

    /// An agent does not wait until his colleague is joined with the caller: the colleague belongs to the group now. Whether
    /// that is what the end of this leg means.
    pub(crate) fn leave_colleague_to_group(&mut self, call: CallId, leg: LegId, termination: Termination) -> bool {
        let bridge = self.bridges.get(call).filter(|bridge| bridge.side(leg).is_some());
        let Some(Exchange::TakenOver(colleague)) = bridge.map(|bridge| &bridge.exchange) else { return false };
        let colleague = *colleague;
        if colleague == leg {
            return false;
        }
        self.bridges.forget(colleague);
        self.leave_to_transfer(call, &[leg, colleague], termination);
        true
    }

    /// Tells the colleague inside his dialog with whom he talks now, if that is proved and not to be kept from him.
    fn show_caller(&mut self, call: CallId, leg: LegId) {
        let caller = self.groups.callers.get(&call);
        if let Some(identity) = caller.and_then(|caller| asserted_identity(caller, &self.directory)) {
            self.call(call::Input::Identify { leg, headers: vec![identity], from: None });
        }
    }
}
