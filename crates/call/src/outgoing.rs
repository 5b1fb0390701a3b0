//! Dialled legs: the INVITE, its early dialogs, its one answer, and every way it comes to nothing.

use base::{LegId, OfferId, Termination, TerminationReason};
use sip_api::{
    CONTACT_PLACEHOLDER, ClientFailure, ClientTransactionId, Flow, Headers, Method, NameAddr, Request, Response,
    SipCommand,
};

use crate::credentials::Authority;
use crate::dialog::Dialog;
use crate::dialogs::DialogId;
use crate::ending::{ELSEWHERE, MACHINE, refusal, silence};
use crate::input::{Body, Dial, Target};
use crate::leg::{Ending, Exchange, LegState, OwedAck};
use crate::message::{
    WithBody, allows, contact_among, from_among, push_abilities, push_abilities_without, push_extra, push_reasons,
    value_among,
};
use crate::offer_set::Verdict;
use crate::output::Output;
use crate::session_timer;
use crate::timer::{LATE, T1_64, Timer};
use crate::transaction::{ClientTransaction, Failure, Purpose};
use crate::{Calls, Cx};

/// What a callee who hung up before we heard his answer counts as among those who were rung: Temporarily Unavailable.
const GONE: u16 = 480;

impl Calls {
    /// Sends the INVITE of a leg whose turn has come.
    pub(crate) fn start_leg(&mut self, cx: &mut Cx<'_>, id: LegId, offer: OfferId) {
        let Some(set) = self.offers.get(&offer) else { return };
        let Some(outgoing) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()) else { return };
        let target = outgoing.target.clone();
        let request = self.first_invite(cx, &set.dial, &target);
        let (body, silence_limit) = (set.dial.body.clone(), set.dial.silence_limit);
        let call_id = request.call_id().to_owned();
        self.own_calls.insert(call_id.clone());
        let authority = target.credentials.map(|credentials| Authority::new(credentials, cx.token()));
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.session.authority = authority;
        }
        let transaction = self.send(Purpose::Invite(id), None, request, target.flow);
        if let Some(limit) = silence_limit {
            self.timers.set(Timer::Silence(id), cx.now + limit);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.state = LegState::Calling;
        leg.session.remember(body.as_ref());
        if let Some(outgoing) = leg.outgoing() {
            outgoing.transaction = Some(transaction);
            outgoing.call_id = Some(call_id);
            outgoing.machine_until = target.machine_within.map(|within| cx.now + within);
        }
    }

    fn first_invite(&self, cx: &mut Cx<'_>, dial: &Dial, target: &Target) -> Request {
        let mut request = Request::new(Method::Invite, target.uri.clone());
        let headers = &mut request.headers;
        for route in &target.route {
            headers.push("Route", route.to_string());
        }
        let from = from_among(&target.headers).unwrap_or_else(|| dial.from.clone());
        let from = if from.tag().is_some() { from } else { from.with_tag(&cx.token()) };
        headers.push("From", from.to_string());
        headers.push("To", untagged(&dial.to).to_string());
        let call_id = value_among(&target.headers, "Call-ID").map(str::to_owned);
        let call_id = call_id.unwrap_or_else(|| format!("{}{}@{}", cx.token(), cx.token(), self.config.domain));
        headers.push("Call-ID", call_id);
        headers.push("CSeq", "1 INVITE");
        let contact = contact_among(&target.headers).or_else(|| contact_among(&dial.headers));
        headers.push("Contact", contact.map_or_else(|| self.default_contact(), str::to_owned));
        match dial.body {
            Some(_) => push_abilities(headers),
            // A reliable provisional response would have to carry the offer, and its PRACK the answer (RFC 3262 5), long
            // before anybody has taken the call. Who is not told of 100rel makes his offer in the 200.
            None => push_abilities_without(headers, "100rel"),
        }
        session_timer::write_request(headers, self.policy, None);
        push_extra(headers, &dial.headers);
        push_extra(headers, &target.headers);
        request.with(dial.body.as_ref())
    }

    /// Our Contact when above names none.
    pub(crate) fn default_contact(&self) -> String {
        format!("<sip:{}@{CONTACT_PLACEHOLDER}>", self.config.contact_user)
    }

    /// Whether an answer of this leg would still be welcome.
    pub(crate) fn can_still_win(&self, id: LegId) -> bool {
        self.legs.get(&id).is_some_and(|leg| matches!(leg.state, LegState::Calling | LegState::Ringing))
    }

    /// A 2xx: the winner, a retransmission, a fork, or one that comes too late. Each gets its ACK (RFC 3261 13.2.2.4).
    pub(crate) fn on_answer(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        if self.acknowledge_again(transaction, &tag) || self.is_ack_owed(id, transaction, &tag) {
            return;
        }
        if self.can_still_win(id) {
            return match (self.has_departed(id, &tag), self.is_machine(id, cx.now)) {
                (true, _) => self.refuse_departed(cx, transaction, id, response, flow),
                (false, true) => self.refuse_machine(cx, transaction, id, response, flow),
                (false, false) => self.win(cx, transaction, id, response, flow),
            };
        }
        self.refuse_late_answer(cx, transaction, id, response, flow);
        let cancelling = self.legs.get(&id).filter(|leg| leg.state == LegState::Cancelling);
        if let Some(termination) = cancelling.and_then(|leg| leg.ending.as_ref()).map(|ending| ending.termination) {
            self.end_leg(id, termination, Some(response.status), Headers::new());
        }
    }

    fn win(&mut self, cx: &mut Cx<'_>, transaction: ClientTransactionId, id: LegId, response: &Response, flow: Flow) {
        self.timers.clear(Timer::Silence(id));
        let makes_offer = self.makes_offer(transaction, response);
        let Some(sent) = self.clients.get(&transaction) else { return };
        let dialog = Dialog::from_response(&sent.request, response, flow, sent.flow);
        let (ack, over) = (dialog.ack(&sent.request), dialog.flow());
        let tag = response.to_tag().unwrap_or_default();
        let (dialog, early_answer) = self.confirm_dialog(id, dialog, &tag);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.state = LegState::Connected;
        leg.dialog = Some(dialog);
        leg.session.exchange = Exchange::Stable;
        if makes_offer {
            self.owe_ack(cx, id, OwedAck { transaction, tag, ack, flow: over });
        } else {
            self.acknowledge(cx, transaction, &tag, ack, over);
        }
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.peer_updates = allows(&response.headers, &Method::Update);
        leg.session.peer_reinvites = allows(&response.headers, &Method::Invite);
        leg.session.timer = session_timer::granted(&response.headers);
        let Some(offer) = leg.outgoing().map(|outgoing| outgoing.offer) else { return };
        self.arm_session_timer(cx, id);
        let body = Body::of(&response.headers, &response.body).or(early_answer);
        let headers = Box::new(response.headers.clone());
        self.push(Output::Answered { offer, leg: id, body, headers });
        self.win_offer(cx, offer, id);
        self.advance(id);
    }

    fn has_departed(&mut self, id: LegId, tag: &str) -> bool {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        outgoing.is_some_and(|outgoing| outgoing.departed.iter().any(|departed| departed == tag))
    }

    /// ACK, and no more: the callee has hung up already, his BYE was faster than his 200.
    fn refuse_departed(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) {
        let Some(sent) = self.clients.get(&transaction) else { return };
        let dialog = Dialog::from_response(&sent.request, response, flow, sent.flow);
        let (ack, over) = (dialog.ack(&sent.request), dialog.flow());
        self.acknowledge(cx, transaction, &response.to_tag().unwrap_or_default(), ack, over);
        let Some(offer) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()).map(|outgoing| outgoing.offer) else {
            return;
        };
        let departed = Termination::completed(TerminationReason::Departed);
        self.end_leg(id, departed, Some(response.status), response.headers.clone());
        self.lose(cx, offer, id, Verdict { termination: refusal(GONE), status: Some(GONE) });
    }

    /// Keeps the answered dialog of a leg and drops its other early ones. Returns the answer a reliable provisional
    /// response may have carried.
    fn confirm_dialog(&mut self, id: LegId, dialog: Dialog, tag: &str) -> (DialogId, Option<Body>) {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        let (owner, early) = outgoing
            .map(|outgoing| (outgoing.target.owner.clone(), std::mem::take(&mut outgoing.early)))
            .unwrap_or_default();
        let mut confirmed = None;
        for early in early {
            if early.tag == tag {
                confirmed = Some((early.dialog, early.answer));
            } else {
                self.drop_dialog(early.dialog);
            }
        }
        let Some((known, answer)) = confirmed else { return (self.dialogs.insert(dialog, owner, Some(id)), None) };
        if let Some(entry) = self.dialogs.get_mut(known) {
            entry.dialog.confirm(dialog);
        }
        (known, answer)
    }

    /// Whether an answer comes too soon to be a person's.
    fn is_machine(&mut self, id: LegId, now: base::Timestamp) -> bool {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        outgoing.and_then(|outgoing| outgoing.machine_until).is_some_and(|until| now < until)
    }

    /// A mailbox took the call: it is ended, and does not win.
    fn refuse_machine(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) {
        self.timers.clear(Timer::Silence(id));
        if let Some(sent) = self.clients.get_mut(&transaction) {
            sent.late_reason = vec![MACHINE.to_owned()];
        }
        self.refuse_late_answer(cx, transaction, id, response, flow);
        self.fail_leg(cx, id, Termination::failed(TerminationReason::NoAnswer), None, Headers::new());
    }

    /// ACK, then BYE: nobody wants this answer any more, but the callee must not be left alone with it.
    fn refuse_late_answer(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) {
        let Some(sent) = self.clients.get(&transaction) else { return };
        let mut dialog = Dialog::from_response(&sent.request, response, flow, sent.flow);
        dialog.skip(sent.pracks);
        let (reasons, authority) = (sent.late_reason.clone(), sent.authority.clone());
        let (ack, over) = (dialog.ack(&sent.request), dialog.flow());
        self.acknowledge(cx, transaction, &response.to_tag().unwrap_or_default(), ack, over);
        let mut bye = dialog.request(Method::Bye);
        push_reasons(&mut bye.headers, &reasons);
        if reasons.is_empty() {
            bye.headers.push("Reason", ELSEWHERE);
        }
        self.unwanted.insert(id, dialog.record());
        self.send_as(Purpose::Bye(id), None, bye, over, authority);
    }

    /// Gives a leg up that was queued or is being rung, so that it can no longer win.
    pub(crate) fn give_up(&mut self, cx: &mut Cx<'_>, id: LegId, ending: Ending) {
        let Some(offer) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()).map(|outgoing| outgoing.offer) else {
            return self.ignore();
        };
        let verdict = Verdict { termination: ending.termination, status: None };
        self.cancel_leg(cx, id, ending);
        self.lose(cx, offer, id, verdict);
    }

    /// CANCEL if there is an INVITE to cancel; the leg ends when that INVITE is over (routing.md 2.4).
    pub(crate) fn cancel_leg(&mut self, cx: &mut Cx<'_>, id: LegId, ending: Ending) {
        self.timers.clear(Timer::Silence(id));
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let running = leg.outgoing().and_then(|outgoing| outgoing.transaction.map(|running| (running, outgoing.heard)));
        let Some((transaction, heard)) = running else {
            return self.end_leg(id, ending.termination, None, Headers::new());
        };
        leg.state = LegState::Cancelling;
        leg.ending = Some(ending.clone());
        // Before the first response the edge waits for it, at most 64*T1 (Timer B); from the CANCEL on, the same again.
        let guard = if heard { T1_64 } else { T1_64 * 2 };
        self.timers.set(Timer::CancelGuard(id), cx.now + guard);
        if let Some(sent) = self.clients.get_mut(&transaction) {
            sent.late_reason.clone_from(&ending.reason);
        }
        self.push(Output::Sip(SipCommand::Cancel { transaction, reason: ending.reason }));
    }

    /// A cancelled INVITE has no final response and will not get one; an answer that comes all the same is ended.
    pub(crate) fn on_cancel_guard(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(ending) = leg.ending.clone() else { return };
        if let Some(transaction) = leg.outgoing().and_then(|outgoing| outgoing.transaction) {
            self.timers.set(Timer::Forget(transaction), cx.now + LATE);
        }
        self.end_leg(id, ending.termination, None, Headers::new());
    }

    /// A target did not even send 100 in time.
    pub(crate) fn on_silence(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let offer = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()).map(|outgoing| outgoing.offer);
        let set = offer.and_then(|offer| self.offers.get(&offer));
        let reason = set.map(|set| set.dial.cancel_reason.clone()).unwrap_or_default();
        let termination = Termination::failed(TerminationReason::ServiceUnavailable);
        self.give_up(cx, id, Ending { termination, reason });
    }

    /// A final response of 300 or more.
    pub(crate) fn on_refusal(&mut self, cx: &mut Cx<'_>, id: LegId, transaction: ClientTransaction, failure: Failure) {
        let status = failure.status.unwrap_or(500);
        let Some(transaction) = self.try_otherwise(id, transaction, status, &failure.headers) else { return };
        drop(transaction);
        self.fail_leg(cx, id, refusal(status), Some(status), failure.headers);
    }

    /// No final response at all.
    pub(crate) fn on_invite_lost(&mut self, cx: &mut Cx<'_>, id: LegId, why: ClientFailure) {
        let heard = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()).is_some_and(|outgoing| outgoing.heard);
        self.fail_leg(cx, id, silence(why, heard), None, Headers::new());
    }

    fn fail_leg(&mut self, cx: &mut Cx<'_>, id: LegId, failed: Termination, status: Option<u16>, headers: Headers) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let given_up = leg.ending.as_ref().map(|ending| ending.termination);
        let Some(offer) = leg.outgoing().map(|outgoing| outgoing.offer) else { return };
        self.end_leg(id, given_up.unwrap_or(failed), status, headers);
        if given_up.is_none() {
            self.lose(cx, offer, id, Verdict { termination: failed, status });
        }
    }

    /// A refusal that tells another way: a longer session interval, or another address. Returns the transaction when
    /// there is none.
    fn try_otherwise(
        &mut self,
        id: LegId,
        mut transaction: ClientTransaction,
        status: u16,
        headers: &Headers,
    ) -> Option<ClientTransaction> {
        if !self.can_still_win(id) {
            return Some(transaction);
        }
        match status {
            422 if transaction.raise_interval(headers) => {}
            415 if self.fall_back(id, &mut transaction) => {}
            300..=399 if self.redirect(id, &mut transaction, headers) => {}
            _ => return Some(transaction),
        }
        self.drop_early_dialogs(id);
        self.send_again(transaction);
        None
    }

    /// The INVITE is repeated: the early dialogs of the first one are over.
    pub(crate) fn drop_early_dialogs(&mut self, id: LegId) {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        let early = outgoing.map(|outgoing| std::mem::take(&mut outgoing.early)).unwrap_or_default();
        for early in early {
            self.drop_dialog(early.dialog);
        }
    }

    /// Replaces an offer that the callee cannot read by the dial's other one, once (C69).
    fn fall_back(&mut self, id: LegId, transaction: &mut ClientTransaction) -> bool {
        let Some(leg) = self.legs.get_mut(&id) else { return false };
        let Some(outgoing) = leg.outgoing().filter(|outgoing| !outgoing.fell_back) else { return false };
        let Some(fallback) = self.offers.get(&outgoing.offer).and_then(|set| set.dial.fallback.clone()) else {
            return false;
        };
        outgoing.fell_back = true;
        leg.session.remember(Some(&fallback));
        transaction.request.headers.set("Content-Type", fallback.content_type);
        transaction.request.body = fallback.bytes;
        true
    }

    /// Points the INVITE to the best Contact of a redirection, if the dial allows one more.
    fn redirect(&mut self, id: LegId, transaction: &mut ClientTransaction, headers: &Headers) -> bool {
        let Some(outgoing) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()) else { return false };
        let Ok(mut contacts) = headers.name_addrs("Contact") else { return false };
        contacts.sort_by_key(|contact| std::cmp::Reverse(preference(contact)));
        let next = contacts.into_iter().map(|contact| contact.uri).find(|uri| *uri != outgoing.target.uri);
        let Some(uri) = next.filter(|_| outgoing.redirects_left > 0) else { return false };
        outgoing.redirects_left -= 1;
        outgoing.target.uri = uri.clone();
        outgoing.target.owner = None;
        transaction.request.uri = uri;
        transaction.request.headers.remove("Route");
        transaction.flow = None;
        // The password is for whom it was given, not for whoever he names.
        transaction.authority = None;
        for name in ["Authorization", "Proxy-Authorization"] {
            transaction.request.headers.remove(name);
        }
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.session.authority = None;
        }
        true
    }
}

/// `q` in thousandths; 1.0 when it is absent or unreadable.
fn preference(contact: &NameAddr) -> u16 {
    let q: f32 = contact.param("q").and_then(|q| q.parse().ok()).unwrap_or(1.0);
    // A float outside the range saturates, and NaN becomes 0.
    (q * 1_000.0) as u16
}

fn untagged(to: &NameAddr) -> NameAddr {
    let mut to = to.clone();
    to.params.retain(|(name, _)| name != "tag");
    to
}
