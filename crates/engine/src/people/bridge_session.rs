//! A call between two people once it is answered: what one side sends goes to the other, until one of them hangs up.

use base::{CallId, LegId, Termination, TerminationReason};
use call::{Body, Output};
use sip_api::{Headers, ServerTransactionId};

use crate::event::{CallRecord, EngineEvent};
use crate::people::bridge::{Bridge, Exchange, Side};
use crate::{Engine, translate};

impl Engine {
    /// Sorts what the call machine says of a call between two people.
    pub(crate) fn on_bridged(&mut self, call: CallId, output: Output) {
        match output {
            Output::Ringing { leg, status, body, early_dialogs, .. } => {
                self.on_bridge_ringing(call, leg, status, body, early_dialogs);
            }
            Output::Answered { leg, body, .. } => self.on_bridge_answered(call, leg, body),
            Output::Confirmed { leg, body } => self.on_bridge_confirmed(call, leg, body),
            Output::OfferFailed { termination, status, .. } => self.on_bridge_offer_failed(call, termination, status),
            Output::Ended { leg, termination, status, headers } => {
                self.on_bridge_leg_refused(call, leg, termination, status, &headers);
                self.on_bridge_leg_ended(call, leg, (termination, status), &headers);
            }
            Output::Offered { leg, body } => self.on_bridge_offered(call, leg, body),
            Output::OfferWithdrawn { leg } => self.on_bridge_offer_withdrawn(call, leg),
            Output::ReofferAnswered { leg, result } => self.on_bridge_reoffer_answered(call, leg, result),
            Output::Refreshed { leg, body } => self.on_bridge_media(call, leg, body),
            Output::Referred { leg, refer, refer_to, .. } => self.on_bridge_referred(call, leg, refer, &refer_to),
            Output::Info { leg, id, body, .. } => self.on_bridge_info(call, leg, id, body),
            Output::InfoAnswered { leg, status } => self.on_bridge_info_answered(call, leg, status),
            _ => {}
        }
        self.join_when_idle(call);
    }

    /// One side offers a new description, or asks for one.
    fn on_bridge_offered(&mut self, call: CallId, leg: LegId, body: Option<Body>) {
        let ends = self.bridges.get_mut(call).and_then(|bridge| {
            let side = bridge.side(leg)?;
            let other = bridge.leg(side.other())?;
            matches!(bridge.exchange, Exchange::Idle).then_some((bridge, side, other))
        });
        let Some((bridge, side, other)) = ends else {
            // Nobody has answered yet, or both sides offer at once (RFC 3261 14.2).
            return self.call(call::Input::RefuseOffer { leg, status: 491 });
        };
        match body {
            Some(body) => {
                bridge.exchange = Exchange::Relayed { from: side, offer: body.clone(), withdrawn: false };
                self.call(call::Input::Reoffer { leg: other, body });
            }
            None => {
                let body = bridge.media(side.other()).cloned();
                bridge.exchange = Exchange::Asked(side);
                self.call(call::Input::AnswerOffer { leg, body });
            }
        }
    }

    /// An offer was taken back while the other side thinks about it.
    fn on_bridge_offer_withdrawn(&mut self, call: CallId, leg: LegId) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let side = bridge.side(leg);
        if let Exchange::Relayed { from, withdrawn, .. } = &mut bridge.exchange
            && Some(*from) == side
        {
            *withdrawn = true;
        }
    }

    /// An offer that went to one side was answered, or refused.
    fn on_bridge_reoffer_answered(&mut self, call: CallId, leg: LegId, result: Result<Option<Body>, u16>) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        if matches!(bridge.exchange, Exchange::Joining) {
            return self.on_join_step(call, leg, result);
        }
        let Some(side) = bridge.side(leg) else { return };
        match std::mem::replace(&mut bridge.exchange, Exchange::Idle) {
            Exchange::Replacing { by, side: replaced, offer } if replaced == side.other() => {
                self.finish_replacement(call, by, replaced, offer, result);
            }
            Exchange::Relayed { from, offer, withdrawn } if from == side.other() => {
                self.on_bridge_answer(call, side, offer, withdrawn, result);
            }
            Exchange::Asked(asked) if asked == side => {
                if let Ok(Some(answer)) = result {
                    self.on_bridge_media(call, leg, answer);
                }
            }
            Exchange::Told(told) if told == side => {
                if let Ok(Some(answer)) = result {
                    bridge.set_media(side, answer);
                }
            }
            other => bridge.exchange = other,
        }
    }

    /// The answer of `side` to the other side's offer.
    fn on_bridge_answer(
        &mut self,
        call: CallId,
        side: Side,
        offer: Body,
        withdrawn: bool,
        result: Result<Option<Body>, u16>,
    ) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(offerer) = bridge.leg(side.other()) else { return };
        match result {
            Ok(Some(answer)) if !withdrawn => {
                bridge.set_media(side.other(), offer);
                bridge.set_media(side, answer.clone());
                self.call(call::Input::AnswerOffer { leg: offerer, body: Some(answer) });
            }
            Ok(Some(answer)) => {
                bridge.set_media(side, answer);
                self.tell_media(call, side);
            }
            Ok(None) | Err(_) if withdrawn => {}
            Ok(None) => self.call(call::Input::RefuseOffer { leg: offerer, status: 488 }),
            Err(status) => self.call(call::Input::RefuseOffer { leg: offerer, status }),
        }
    }

    /// A description of one side that may be another than the one the other side knows.
    fn on_bridge_media(&mut self, call: CallId, leg: LegId, body: Body) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(side) = bridge.side(leg) else { return };
        let is_known = bridge.media(side) == Some(&body);
        bridge.set_media(side, body);
        if !is_known && matches!(bridge.exchange, Exchange::Idle) {
            self.tell_media(call, side.other());
        }
    }

    /// Offers one side the other's last description.
    pub(crate) fn tell_media(&mut self, call: CallId, side: Side) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let (Some(leg), Some(body)) = (bridge.leg(side), bridge.media(side.other()).cloned()) else { return };
        bridge.exchange = Exchange::Told(side);
        self.call(call::Input::Reoffer { leg, body });
    }

    fn on_bridge_info(&mut self, call: CallId, leg: LegId, id: ServerTransactionId, body: Option<Body>) {
        let Some(body) = body else {
            // An INFO without a body says nothing; it only asks whether we are there.
            return self.call(call::Input::RespondInfo { id, status: 200, headers: Vec::new() });
        };
        let ends = self.bridges.get_mut(call).and_then(|bridge| {
            let side = bridge.side(leg)?.other();
            let other = bridge.leg(side)?;
            Some((bridge, side, other))
        });
        let Some((bridge, side, other)) = ends else {
            return self.call(call::Input::RespondInfo { id, status: 480, headers: Vec::new() });
        };
        // The call machine bounds what is unanswered on either leg, so this queue has its bound too.
        bridge.infos_to(side).push_back(id);
        self.call(call::Input::SendInfo { leg: other, body, instead: None });
    }

    fn on_bridge_info_answered(&mut self, call: CallId, leg: LegId, status: Option<u16>) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let Some(id) = bridge.side(leg).and_then(|side| bridge.infos_to(side).pop_front()) else { return };
        let status = status.unwrap_or(408);
        self.call(call::Input::RespondInfo { id, status, headers: Vec::new() });
    }

    /// One leg is over. If it was one of the two ends, so is the other.
    pub(crate) fn on_bridge_leg_ended(
        &mut self,
        call: CallId,
        leg: LegId,
        end: (Termination, Option<u16>),
        headers: &Headers,
    ) {
        let (termination, status) = end;
        self.bridges.forget(leg);
        if let Some(Exchange::Replacing { by, .. }) = self.bridges.get_mut(call).map(|bridge| &mut bridge.exchange)
            && *by == Some(leg)
        {
            *by = None;
            return;
        }
        if self.on_transferring_leg_ended(call, leg, termination)
            || self.leave_colleague_to_group(call, leg, termination)
        {
            return;
        }
        let Some(side) = self.bridges.get(call).and_then(|bridge| bridge.side(leg)) else { return };
        let mut reason: Vec<String> = headers.get_all("Reason").map(str::to_owned).collect();
        if reason.is_empty() {
            reason = translate::reason_header(termination.reason);
        }
        let Some(bridge) = self.bridges.remove(call) else { return };
        if let Exchange::Replacing { by: Some(by), .. } = bridge.exchange {
            self.reject(by, 481);
        }
        match (bridge.leg(side.other()), &bridge.ringing) {
            (Some(other), _) if bridge.answered.is_some() => {
                self.call(call::Input::HangUp { leg: other, reason, termination });
            }
            (_, Some(ringing)) => self.call(call::Input::Cancel { offer: ringing.offer, reason }),
            _ => {}
        }
        self.write_histories(call, &bridge, termination);
        self.record_call(call, bridge, termination, status);
    }

    /// Writes the record of a call that was answered.
    pub(crate) fn record_call(&mut self, call: CallId, bridge: Bridge, termination: Termination, status: Option<u16>) {
        let Some((callee_leg, connected)) = bridge.answered else { return };
        let Some(callee) = bridge.callee else { return };
        self.note_conversation(&bridge.caller.user);
        self.note_conversation(&callee);
        self.event(EngineEvent::CallEnded(Box::new(CallRecord {
            call,
            caller_leg: bridge.caller.leg,
            callee_leg,
            caller: bridge.caller.user,
            callee,
            address: bridge.address,
            call_id: bridge.call_id,
            trunk: bridge.trunk.or(bridge.caller.trunk),
            since: bridge.since,
            connected,
            ended: self.now,
            termination,
            status,
        })));
    }

    /// The server stops: every call between two people is hung up.
    pub(crate) fn stop_bridges(&mut self) {
        let termination = Termination::completed(TerminationReason::ServerStopping);
        for call in self.bridges.ids() {
            if let Some(leg) = self.bridges.get(call).map(|bridge| bridge.caller.leg) {
                self.hang_up_sip(leg, termination);
            }
        }
    }
}
