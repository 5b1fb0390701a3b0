//! Transfer of a call between two people (RFC 5589): one of them sends the other to somebody else.
//!
//! The server is a party of every dialog, so it carries the REFER out itself. A transfer is a call of its own: its caller
//! is who is sent on, its callee the target. Both join when each has answered the other's description (RFC 3725 4.1);
//! until then the calls they come from are as they were, and go on if the transfer fails.

use base::{CallId, LegId, SubscriptionId, Termination, TerminationReason, UserUri};
use call::Body;
use routing::CallKind;
use sip_api::{NameAddr, SipUri};

use crate::Engine;
use crate::destination::{Destination, Found};
use crate::people::bridge::{Bridge, Exchange, Party, Side};
use crate::people::replaces::Replaces;
use crate::people::way::Way;

/// Hops a transferred call may go.
const HOPS: u8 = 70;

/// What a transfer has of the calls it joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    /// Who asked for it is told by this subscription.
    pub(crate) refer: SubscriptionId,
    /// The call of who is sent on, while the one who sends him is in it.
    pub(crate) from: Option<CallId>,
    /// The call of the target, if he was asked before (an attended transfer), while the one who asked him is in it.
    pub(crate) consultation: Option<CallId>,
    /// Who is sent on has been offered the target's description.
    pub(crate) offered: bool,
}

impl Engine {
    /// One side of a call sends the other to somebody else.
    pub(crate) fn on_bridge_referred(&mut self, call: CallId, leg: LegId, refer: SubscriptionId, refer_to: &NameAddr) {
        let status = match Replaces::in_uri(refer_to.uri.headers.as_deref()) {
            None => self.transfer_blind(call, leg, refer, refer_to),
            Some(None) => Err(400),
            Some(Some(replaces)) => self.transfer_attended(call, leg, refer, &replaces),
        };
        if let Err(status) = status {
            self.call(call::Input::RespondRefer { refer, status, headers: Vec::new() });
        }
    }

    fn transfer_blind(
        &mut self,
        call: CallId,
        leg: LegId,
        refer: SubscriptionId,
        refer_to: &NameAddr,
    ) -> Result<(), u16> {
        if !matches!(refer_to.uri.param("method"), None | Some("INVITE")) {
            return Err(501);
        }
        let (sender, sent) = self.transferable(call, leg)?;
        if self.draining {
            return Err(503);
        }
        let uri = SipUri { headers: None, ..refer_to.uri.clone() };
        let destination = match self.find(Some(&sender), &self.dialled(&uri)) {
            Found::Person(destination) => destination,
            // He would have to bring his media along, and it does not come here.
            Found::Conference(_) => return Err(501),
            Found::Nobody(why) => return Err(why.status()),
        };
        if destination.person().as_ref() == Some(&sent.user) {
            return Err(482);
        }
        let to = NameAddr { uri, ..refer_to.clone() };
        let headers = vec![("Referred-By".to_owned(), format!("<{sender}>"))];
        let transfer = Transfer { refer, from: Some(call), consultation: None, offered: false };
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        let transferred = self.add_transfer(Party { to, headers, ..sent }, destination, transfer);
        self.ring_person(transferred);
        Ok(())
    }

    fn transfer_attended(
        &mut self,
        call: CallId,
        leg: LegId,
        refer: SubscriptionId,
        replaces: &Replaces,
    ) -> Result<(), u16> {
        let (sender, sent) = self.transferable(call, leg)?;
        let asked = self.calls.leg_of(&replaces.dialog).ok_or(481_u16)?;
        if let Some(result) = self.transfer_from_consultation(leg, refer, asked) {
            return result;
        }
        let consultation = self.bridges.call_of_leg(asked).filter(|other| *other != call).ok_or(481_u16)?;
        let (asker, target) = self.transferable(consultation, asked)?;
        if asker != sender {
            return Err(403);
        }
        if target.user == sent.user {
            return Err(482);
        }
        if !self.bridges.get(consultation).is_some_and(|bridge| matches!(bridge.exchange, Exchange::Idle)) {
            return Err(491);
        }
        self.call(call::Input::RespondRefer { refer, status: 202, headers: Vec::new() });
        let transfer = Transfer { refer, from: Some(call), consultation: Some(consultation), offered: false };
        let target_leg = target.leg;
        let transferred = self.add_transfer(sent, Destination::Devices(target.user.clone()), transfer);
        let (now, call_id) = (self.now, self.calls.dialog_names(target_leg).map(|names| names.call_id));
        let trunk = self.bridges.get(consultation).filter(|bridge| bridge.side(target_leg) == Some(Side::Callee));
        let trunk = trunk.and_then(|bridge| bridge.trunk.clone());
        if let Some(bridge) = self.bridges.get_mut(transferred) {
            // Nobody dialled him for this call.
            (bridge.address, bridge.call_id, bridge.trunk) = (None, call_id, trunk);
            bridge.answered = Some((target_leg, now));
            bridge.callee = Some(target.user);
        }
        if let Some(bridge) = self.bridges.get_mut(consultation) {
            bridge.transfer = Some(transferred);
            bridge.exchange = Exchange::Joining;
        }
        self.call(call::Input::AskForOffer { leg: target_leg });
        Ok(())
    }

    /// Who is on this leg, and the party at the other end, if the call is one that can be transferred now.
    pub(crate) fn transferable(&self, call: CallId, leg: LegId) -> Result<(UserUri, Party), u16> {
        let bridge = self.bridges.get(call).ok_or(481_u16)?;
        let side = bridge.side(leg).filter(|_| bridge.is_joined()).ok_or(403_u16)?;
        if bridge.transfer.is_some() || matches!(bridge.exchange, Exchange::TakenOver(_)) {
            return Err(491);
        }
        let (Some(sender), Some(sent)) = (bridge.user(side), self.party(bridge, side.other())) else {
            return Err(403);
        };
        Ok((sender.clone(), sent))
    }

    /// One end of a call as the caller of another one.
    fn party(&self, bridge: &Bridge, side: Side) -> Option<Party> {
        let (leg, user) = (bridge.leg(side)?, bridge.user(side)?.clone());
        let display_name = match side {
            Side::Caller => bridge.caller.display_name.clone(),
            Side::Callee => self.account_name(&user),
        };
        let to = NameAddr::new(SipUri::parse(user.as_str()).ok()?);
        let call_id = self.calls.dialog_names(leg).map(|names| names.call_id);
        Some(Party { leg, call_id, user, display_name, trunk: None, to, headers: Vec::new() })
    }

    fn add_transfer(&mut self, caller: Party, destination: Destination, transfer: Transfer) -> CallId {
        let call = CallId(self.calls.allocate_offer().0);
        let way = Way::new(CallKind::Direct, Some(caller.user.clone()), destination, HOPS);
        let address = Some(self.guide().address(&caller.to.uri));
        let bridge = Bridge { referred: Some(transfer), address, ..Bridge::new(caller, way, None, self.now) };
        self.bridges.insert(call, bridge);
        if let Some(from) = transfer.from.and_then(|from| self.bridges.get_mut(from)) {
            from.transfer = Some(call);
        }
        call
    }

    /// The target has answered and made his offer. It goes to who is sent on as soon as nothing else is under way there.
    pub(crate) fn join_when_idle(&mut self, call: CallId) {
        let call = self.bridges.get(call).and_then(|bridge| bridge.transfer).unwrap_or(call);
        let Some(bridge) = self.bridges.get(call) else { return };
        let Some(transfer) = bridge.referred.filter(|transfer| !transfer.offered) else { return };
        let (Some(body), leg) = (bridge.callees_media.clone(), bridge.caller.leg) else { return };
        let from = transfer.from.and_then(|from| self.bridges.get_mut(from));
        // In an attended transfer the target's call is held still already.
        if from.as_ref().is_some_and(|from| !matches!(from.exchange, Exchange::Idle)) {
            return;
        }
        if let Some(from) = from {
            from.exchange = Exchange::Joining;
        }
        if let Some(bridge) = self.bridges.get_mut(call) {
            bridge.referred = Some(Transfer { offered: true, ..transfer });
            bridge.exchange = Exchange::Joining;
        }
        self.call(call::Input::Reoffer { leg, body });
    }

    /// One of those who are to be joined has answered a re-INVITE. `call` is where his leg is now.
    pub(crate) fn on_join_step(&mut self, call: CallId, leg: LegId, result: Result<Option<Body>, u16>) {
        let pending = self.bridges.get(call).and_then(|bridge| match bridge.referred {
            Some(_) => Some(call),
            None => bridge.transfer,
        });
        let Some(transferred) = pending else { return self.put_right(call, leg) };
        let Some(bridge) = self.bridges.get_mut(transferred) else { return };
        match (bridge.side(leg), result) {
            (Some(Side::Callee), Ok(Some(offer))) => {
                bridge.callees_media = Some(offer);
                self.join_when_idle(transferred);
            }
            (Some(Side::Caller), Ok(Some(answer))) => self.complete_transfer(transferred, answer),
            (_, Ok(_)) => self.fail_transfer(transferred, 488, None),
            (_, Err(status)) => self.fail_transfer(transferred, status, None),
        }
    }

    /// Somebody was offered the description of a target who is gone: he is told the old one again.
    pub(crate) fn put_right(&mut self, call: CallId, leg: LegId) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        bridge.exchange = Exchange::Idle;
        let side = bridge.side(leg);
        // If it is an offer, his ACK waits; it is answered with what he knows.
        self.call(call::Input::RefuseOffer { leg, status: 488 });
        if let Some(side) = side {
            self.tell_media(call, side);
        }
    }

    /// Both have each other's description: the calls they come from are over.
    fn complete_transfer(&mut self, transferred: CallId, answer: Body) {
        let Some(bridge) = self.bridges.get_mut(transferred) else { return };
        let Some(transfer) = bridge.referred.take() else { return };
        let Some((target, _)) = bridge.answered else { return };
        bridge.answered = Some((target, self.now));
        bridge.exchange = Exchange::Idle;
        bridge.set_media(Side::Caller, answer.clone());
        let sent = bridge.caller.leg;
        self.call(call::Input::AnswerOffer { leg: target, body: Some(answer) });
        self.bridges.claim(sent, transferred);
        self.bridges.claim(target, transferred);
        self.call(call::Input::ReferProgress { refer: transfer.refer, status: 200 });
        let replaced = Termination::completed(TerminationReason::Replaced);
        for call in [transfer.from, transfer.consultation].into_iter().flatten() {
            self.leave_to_transfer(call, &[sent, target], replaced);
        }
        self.tell_the_others(transferred);
    }

    /// A call ends of which a transfer keeps these legs; its others are hung up.
    pub(crate) fn leave_to_transfer(&mut self, call: CallId, kept: &[LegId], termination: Termination) {
        let Some(bridge) = self.bridges.remove(call) else { return };
        for leg in [Side::Caller, Side::Callee].into_iter().filter_map(|side| bridge.leg(side)) {
            if !kept.contains(&leg) {
                self.hang_up_sip(leg, termination);
            }
        }
        self.write_histories(call, &bridge, termination);
        self.record_call(call, bridge, termination, None);
    }

    /// A leg of a call that is being transferred ended. Whether the call is seen to with that.
    pub(crate) fn on_transferring_leg_ended(&mut self, call: CallId, leg: LegId, termination: Termination) -> bool {
        let Some(bridge) = self.bridges.get(call) else { return false };
        if bridge.referred.is_some() {
            // The target is gone, or who is sent on and belongs to no other call any more.
            let Some(side) = bridge.side(leg) else { return true };
            let status = if side == Side::Callee { 480 } else { 487 };
            self.fail_transfer(call, status, Some(leg));
            return true;
        }
        let Some(transferred) = bridge.transfer else { return false };
        let Some(transfer) = self.bridges.get(transferred).filter(|bridge| bridge.referred.is_some()) else {
            return false;
        };
        if transfer.side(leg).is_some() {
            self.fail_transfer(transferred, 480, Some(leg));
            return false;
        }
        // Who transfers does not wait for the outcome: whom he sends on belongs to the transfer now.
        let other = bridge.side(leg).and_then(|side| bridge.leg(side.other()));
        if let Some(transfer) = self.bridges.get_mut(transferred).and_then(|bridge| bridge.referred.as_mut()) {
            transfer.from = transfer.from.filter(|from| *from != call);
            transfer.consultation = transfer.consultation.filter(|consultation| *consultation != call);
        }
        if let Some(other) = other {
            self.bridges.claim(other, transferred);
            self.leave_to_transfer(call, &[leg, other], termination);
        }
        self.join_when_idle(transferred);
        true
    }

    /// A transfer has come to nothing. Whoever still has his old call goes on with it; `gone` has ended.
    pub(crate) fn fail_transfer(&mut self, transferred: CallId, status: u16, gone: Option<LegId>) {
        let Some(bridge) = self.bridges.remove(transferred) else { return };
        let Some(transfer) = bridge.referred else { return };
        self.call(call::Input::ReferProgress { refer: transfer.refer, status });
        if let Some(ringing) = &bridge.ringing {
            let reason = vec![crate::conference::dial_out::COMPLETED_ELSEWHERE.to_owned()];
            self.call(call::Input::Cancel { offer: ringing.offer, reason });
        }
        let failed = Termination::failed(TerminationReason::NoAnswer);
        // An exchange that goes on is put right when it ends: who went cannot have ended it.
        let sent = Some((bridge.caller.leg, transfer.from, gone.is_some() && transfer.offered));
        let has_offered = bridge.callees_media.is_some();
        let target = bridge.leg(Side::Callee).map(|leg| (leg, transfer.consultation, gone.is_some() && !has_offered));
        for (leg, home, goes_on) in [sent, target].into_iter().flatten() {
            match home.and_then(|home| self.bridges.get_mut(home)) {
                Some(home) => {
                    home.transfer = None;
                    if !goes_on {
                        home.exchange = Exchange::Idle;
                    }
                }
                None if gone != Some(leg) => self.hang_up_sip(leg, failed),
                None => {}
            }
        }
        if let Some((leg, Some(_), _)) = target.filter(|(leg, ..)| has_offered && gone != Some(*leg)) {
            self.call(call::Input::RefuseOffer { leg, status: 488 });
        }
        if bridge.callee.is_none() {
            self.write_histories(transferred, &bridge, failed);
        }
    }
}
