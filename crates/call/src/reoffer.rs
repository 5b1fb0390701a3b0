//! Changing a session that stands: re-INVITE and UPDATE in both directions, and the glare between them
//! (RFC 3261 14, RFC 3311, RFC 6337).

use base::{Duration, LegId};
use sip_api::{ClientTransactionId, Headers, Method, Request, Response, ServerTransactionId};

use crate::dialogs::DialogId;
use crate::input::Body;
use crate::leg::{Exchange, Invite, Leg, LegState, OwedAck, Received};
use crate::message::{WithBody, allows, push_abilities};
use crate::output::Output;
use crate::session_timer::{self, TimerRequest};
use crate::timer::Timer;
use crate::transaction::{ClientTransaction, Failure, Purpose};
use crate::{Calls, Cx};

impl Calls {
    /// A re-INVITE of the peer.
    pub(crate) fn on_reinvite(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let Some(timer) = self.admit_exchange(dialog, id, transaction, request) else { return };
        let offer = Body::of(&request.headers, &request.body);
        self.servers.insert(transaction, id);
        self.pass_offer_up(cx, id, transaction, request, timer, offer);
    }

    /// An UPDATE of the peer; without a body it only refreshes the session and is answered here.
    pub(crate) fn on_update(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let Some(timer) = self.admit_exchange(dialog, id, transaction, request) else { return };
        let Some(offer) = Body::of(&request.headers, &request.body) else {
            let response = self.session_response(cx, id, dialog, timer);
            return self.push_response(transaction, response);
        };
        self.pass_offer_up(cx, id, transaction, request, timer, Some(offer));
    }

    /// Checks whether an exchange may begin now; else refuses it.
    fn admit_exchange(
        &mut self,
        dialog: DialogId,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
    ) -> Option<TimerRequest> {
        let leg = self.legs.get_mut(&id)?;
        let timer = TimerRequest::of(&request.headers);
        let status = glare(leg, request.method == Method::Invite, !request.body.is_empty());
        if status.is_none() && !timer.is_too_small(self.policy) {
            leg.session.peer_updates |= allows(&request.headers, &Method::Update);
            self.dialogs.get_mut(dialog)?.dialog.refresh_target(&request.headers);
            return Some(timer);
        }
        let response = match status {
            // RFC 3261 14.2: between 0 and 10 seconds.
            Some(500) => self.response_in(dialog, 500).with_header("Retry-After", "2"),
            Some(status) => self.response_in(dialog, status),
            None => {
                let minimum = self.policy.min_se.to_string();
                self.response_in(dialog, 422).with_header("Min-SE", minimum)
            }
        };
        self.push_response(transaction, response);
        None
    }

    fn pass_offer_up(
        &mut self,
        cx: &mut Cx<'_>,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
        timer: TimerRequest,
        body: Option<Body>,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let received = Received {
            transaction,
            invite: request.method == Method::Invite,
            cseq: request.cseq().unwrap_or(0),
            offered: body.is_some(),
            timer,
        };
        let before = std::mem::replace(&mut leg.session.exchange, Exchange::Received(received));
        if let Exchange::Unacknowledged { transaction, .. } = before {
            self.servers.remove(&transaction);
        }
        if leg.state == LegState::Answered {
            // Whoever sends a new request has our 200; his ACK was lost or overtaken (RFC 5407 3.1.4).
            self.confirm(id, None);
        }
        self.timers.set(Timer::Decision(id), cx.now + self.config.decision_limit);
        self.push(Output::Offered { leg: id, body });
    }

    /// Above answers the peer's offer.
    pub(crate) fn answer_offer(&mut self, cx: &mut Cx<'_>, id: LegId, body: Option<Body>) {
        if self.answer_in_ack(id, body.as_ref()) {
            return;
        }
        let Some((dialog, received)) = self.take_received(id) else { return self.ignore() };
        let response = self.session_response(cx, id, dialog, received.timer).with(body.as_ref());
        self.push_response(received.transaction, response);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        if received.invite {
            let offer_sent = !received.offered && body.is_some();
            let Received { transaction, cseq, .. } = received;
            leg.session.exchange = Exchange::Unacknowledged { transaction, cseq, offer_sent };
        }
        leg.session.remember(body.as_ref());
        self.advance(id);
    }

    /// Above refuses the peer's offer, or has not decided in time.
    pub(crate) fn refuse_offer(&mut self, id: LegId, status: u16) {
        if self.refuse_in_ack(id) {
            return;
        }
        let Some((dialog, received)) = self.take_received(id) else { return self.ignore() };
        self.servers.remove(&received.transaction);
        let status = if (400..700).contains(&status) { status } else { 488 };
        self.respond_in(dialog, received.transaction, status);
        self.advance(id);
    }

    /// Nobody above decided about the peer's offer.
    pub(crate) fn on_decision_limit(&mut self, id: LegId) {
        let undecided = |leg: &Leg| matches!(leg.session.exchange, Exchange::Received(_) | Exchange::AckOwed(_));
        if self.legs.get(&id).is_some_and(undecided) {
            self.push(Output::OfferWithdrawn { leg: id });
            self.refuse_offer(id, 500);
        }
    }

    /// The peer cancelled his re-INVITE.
    pub(crate) fn withdraw_offer(&mut self, id: LegId, transaction: ServerTransactionId) {
        let pending = self.legs.get(&id).is_some_and(
            |leg| matches!(&leg.session.exchange, Exchange::Received(received) if received.transaction == transaction),
        );
        if !pending {
            return self.ignore();
        }
        let Some((dialog, _)) = self.take_received(id) else { return };
        self.servers.remove(&transaction);
        self.respond_in(dialog, transaction, 487);
        self.push(Output::OfferWithdrawn { leg: id });
    }

    fn take_received(&mut self, id: LegId) -> Option<(DialogId, Received)> {
        let leg = self.legs.get_mut(&id)?;
        let Exchange::Received(received) = &leg.session.exchange else { return None };
        let received = received.clone();
        let dialog = leg.dialog?;
        leg.session.exchange = Exchange::Stable;
        self.timers.clear(Timer::Decision(id));
        Some((dialog, received))
    }

    /// A 200 to a re-INVITE or UPDATE: it sets the session timer anew.
    fn session_response(&mut self, cx: &mut Cx<'_>, id: LegId, dialog: DialogId, timer: TimerRequest) -> Response {
        let granted = timer.grant(self.policy);
        let mut response = self.response_in(dialog, 200);
        if let Some(entry) = self.dialogs.get(dialog) {
            response.headers.push("Contact", entry.dialog.contact());
        }
        push_abilities(&mut response.headers);
        timer.write_grant(granted, &mut response);
        if let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.is_answered()) {
            leg.session.timer = Some(granted);
            self.arm_session_timer(cx, id);
        }
        response
    }

    /// Above offers a new description; it is sent as soon as nothing else is under way.
    pub(crate) fn reoffer(&mut self, id: LegId, body: Body) {
        let ending = [LegState::Cancelling, LegState::Leaving];
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !ending.contains(&leg.state)) else {
            return self.ignore();
        };
        leg.session.wanted = Some(body);
        self.advance(id);
    }

    /// Sends what waits, if nothing is under way: an INFO, a new offer, a refresh.
    pub(crate) fn advance(&mut self, id: LegId) {
        self.next_info(id);
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Connected) else { return };
        if leg.session.exchange != Exchange::Stable || self.timers.is_set(Timer::Glare(id)) {
            return;
        }
        if let Some(body) = leg.session.wanted.take() {
            self.send_reinvite(id, true, Some(body));
        } else if std::mem::take(&mut leg.session.offer_asked) {
            self.send_reinvite(id, true, None);
        } else if leg.session.refresh_wanted || leg.session.identity.is_some() {
            self.refresh(id);
        }
    }

    /// A re-INVITE, which also refreshes the session.
    pub(crate) fn send_reinvite(&mut self, id: LegId, reoffer: bool, body: Option<Body>) {
        let policy = self.policy;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(dialog) = leg.dialog else { return };
        leg.session.refresh_wanted = false;
        leg.session.exchange = Exchange::Sent { reoffer, body: body.clone() };
        let timer = leg.session.timer;
        let identity = self.take_identity(id, dialog);
        self.send_in_dialog(Purpose::Reinvite(id), dialog, Method::Invite, |mut request| {
            push_abilities(&mut request.headers);
            session_timer::write_request(&mut request.headers, policy, timer);
            identity.into_iter().for_each(|(name, value)| request.headers.push(&name, value));
            request.with(body.as_ref())
        });
    }

    /// A 2xx to a re-INVITE of ours.
    pub(crate) fn on_reinvite_answer(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
    ) {
        let tag = response.to_tag().unwrap_or_default();
        if self.acknowledge_again(transaction, &tag) || self.is_ack_owed(id, transaction, &tag) {
            return;
        }
        let makes_offer = self.makes_offer(transaction, response);
        let Some(sent) = self.clients.get(&transaction) else { return };
        let (invite, flow) = (sent.request.clone(), sent.flow);
        let entry = sent.dialog.and_then(|dialog| self.dialogs.get_mut(dialog));
        let ack = match entry {
            Some(entry) => {
                entry.dialog.refresh_target(&response.headers);
                entry.dialog.ack(&invite)
            }
            None => ack_without_dialog(&invite),
        };
        let sent = self.finish_sent(id);
        match &sent {
            Some(Exchange::Sent { reoffer: true, .. }) if makes_offer => {
                self.owe_ack(cx, id, OwedAck { transaction, tag, ack, flow });
            }
            _ => self.acknowledge(cx, transaction, &tag, ack, flow),
        }
        let Some(Exchange::Sent { reoffer, body }) = sent else { return };
        self.on_session_refreshed(cx, id, &response.headers);
        let answer = Body::of(&response.headers, &response.body);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.remember(body.as_ref());
        match (reoffer, answer) {
            (true, result) => self.push(Output::ReofferAnswered { leg: id, result: Ok(result) }),
            (false, Some(body)) => self.push(Output::Refreshed { leg: id, body }),
            (false, None) => {}
        }
        self.advance(id);
    }

    /// A re-INVITE of ours failed. The session stays as it was (RFC 3261 14.1), unless the peer is gone.
    pub(crate) fn on_reinvite_refusal(
        &mut self,
        cx: &mut Cx<'_>,
        id: LegId,
        mut transaction: ClientTransaction,
        failure: Failure,
    ) {
        if self.legs.get(&id).is_none_or(|leg| leg.state != LegState::Connected) {
            return;
        }
        if failure.ends_dialog() {
            return self.lose_peer(id, failure.status, failure.headers);
        }
        let status = failure.status.unwrap_or(500);
        if status == 422 && transaction.raise_interval(&failure.headers) {
            return self.send_again(transaction);
        }
        let Some(Exchange::Sent { reoffer, body }) = self.finish_sent(id) else { return };
        match (status, reoffer) {
            (491, _) => {
                if let Some(leg) = self.legs.get_mut(&id) {
                    leg.session.offer_asked |= reoffer && body.is_none();
                }
                self.wait_after_glare(cx, id, reoffer.then_some(body).flatten());
            }
            (_, true) => self.push(Output::ReofferAnswered { leg: id, result: Err(status) }),
            (_, false) => self.refresh_later(cx, id),
        }
        self.advance(id);
    }

    /// A re-INVITE of ours got no final response: the peer is gone.
    pub(crate) fn on_reinvite_lost(&mut self, id: LegId) {
        if self.legs.get(&id).is_some_and(|leg| leg.state == LegState::Connected) {
            self.lose_peer(id, None, Headers::new());
        }
    }

    fn finish_sent(&mut self, id: LegId) -> Option<Exchange> {
        let leg = self.legs.get_mut(&id)?;
        if !matches!(leg.session.exchange, Exchange::Sent { .. }) {
            return None;
        }
        Some(std::mem::replace(&mut leg.session.exchange, Exchange::Stable))
    }

    /// 491: both sides changed the session at once. Whoever owns the Call-ID waits longer (RFC 3261 14.1).
    pub(crate) fn wait_after_glare(&mut self, cx: &mut Cx<'_>, id: LegId, body: Option<Body>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        match body {
            Some(body) => {
                // An offer given meanwhile is newer and takes its place.
                leg.session.wanted.get_or_insert(body);
            }
            None => leg.session.refresh_wanted = true,
        }
        let delay = glare_delay(leg.session.owns_call_id, (cx.random)());
        self.timers.set(Timer::Glare(id), cx.now + delay);
    }
}

/// Whether an exchange of the peer would collide with one under way; the status that refuses it.
fn glare(leg: &Leg, invite: bool, offer: bool) -> Option<u16> {
    let waits_for_ack = leg.state == LegState::Leaving;
    match &leg.session.exchange {
        _ if waits_for_ack || leg.state == LegState::Answering => Some(500),
        // An UPDATE without an offer touches no exchange.
        _ if !invite && !offer => None,
        Exchange::Initial if matches!(leg.invite, Invite::Incoming(_)) => Some(500),
        Exchange::Initial | Exchange::Sent { .. } => Some(491),
        Exchange::Received(_) | Exchange::AckOwed(_) => Some(500),
        Exchange::Unacknowledged { offer_sent: true, .. } => Some(491),
        // Early media of a call of ours may be re-negotiated by nobody: it is a preview.
        Exchange::Stable if leg.dialog.is_none() => Some(491),
        Exchange::Unacknowledged { .. } | Exchange::Stable if invite && !leg.is_answered() => Some(491),
        Exchange::Unacknowledged { .. } | Exchange::Stable => None,
    }
}

/// 2.1 to 4.0 s for the owner of the Call-ID, else 0 to 2.0 s, in steps of 10 ms (RFC 3261 14.1).
fn glare_delay(owner: bool, random: u64) -> Duration {
    let (from, steps) = if owner { (2_100, 191) } else { (0, 201) };
    Duration::from_millis(from + 10 * (random % steps))
}

/// The ACK of a 2xx that comes after the dialog has ended: like the re-INVITE it answers.
fn ack_without_dialog(invite: &Request) -> Request {
    let mut ack = Request::new(Method::Ack, invite.uri.clone());
    for (name, value) in invite.headers.iter() {
        let kept = ["Route", "From", "To", "Call-ID", "Authorization", "Proxy-Authorization"];
        if kept.iter().any(|kept| kept.eq_ignore_ascii_case(name)) {
            ack.headers.push(name, value);
        }
    }
    ack.headers.push("CSeq", format!("{} ACK", invite.cseq().unwrap_or(1)));
    ack
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glare_delays_never_meet() {
        for random in [0, 1, 190, 200, 201, u64::MAX] {
            let (owner, other) = (glare_delay(true, random).as_millis(), glare_delay(false, random).as_millis());
            assert!((2_100..=4_000).contains(&owner) && other <= 2_000, "{owner} {other}");
        }
    }
}
