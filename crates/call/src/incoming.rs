//! Incoming legs: the INVITE we were sent, until it is answered, refused or cancelled.

use base::{LegId, Termination, TerminationReason, UserUri};
use sip_api::{Flow, Headers, Method, NameAddr, Request, Response, ServerTransactionId, SipCommand};

use crate::dialog::Dialog;
use crate::dialogs::DialogId;
use crate::ending::refusal;
use crate::input::{Body, ExtraHeaders};
use crate::leg::{Caller, Ending, Exchange, Incoming, Invite, Leg, LegState};
use crate::message::{WithBody, allows, contact_among, push_abilities, push_extra, unsupported};
use crate::output::{Invitation, Output};
use crate::reliable::{ReliableSender, Retransmit};
use crate::session_timer::TimerRequest;
use crate::timer::Timer;
use crate::{Calls, Cx, Duration};

/// How often a provisional response is repeated (RFC 3261 13.3.1.1).
const KEEP_RINGING: Duration = Duration::from_secs(60);

impl Calls {
    /// An INVITE outside any dialog.
    pub(crate) fn on_invite(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        let caller = caller(&request);
        let timer = TimerRequest::of(&request.headers);
        if let Some(response) = self.refusal_of(&request, timer, &caller) {
            return self.push_response(transaction, response);
        }
        let dialog = Dialog::from_request(&request, flow, &cx.token(), self.default_contact());
        let invitation = invitation(request, flow, user.clone());
        let (Ok(dialog), Some(call)) = (dialog, invitation) else { return self.respond(transaction, 400) };

        let id = self.allocate_leg();
        let mut leg =
            Leg::new(LegState::Invited, Invite::Incoming(Box::new(incoming(transaction, &call, caller.clone()))));
        leg.dialog = Some(self.dialogs.insert(dialog, user, Some(id)));
        leg.session.peer_updates = allows(&call.request.headers, &Method::Update);
        leg.session.peer_reinvites = allows(&call.request.headers, &Method::Invite);
        self.legs.insert(id, leg);
        self.servers.insert(transaction, id);
        self.callers.insert(caller);
        self.timers.set(Timer::Unanswered(id), cx.now + self.config.timer_c);
        self.push(Output::Incoming { leg: id, call: Box::new(call) });
    }

    /// Why an INVITE cannot even be considered.
    fn refusal_of(&self, request: &Request, timer: TimerRequest, caller: &Caller) -> Option<Response> {
        // A merged request (RFC 3261 8.2.2.2), or a call of ours that was sent back to us.
        if self.callers.contains(caller) || self.own_calls.contains(&caller.0) {
            return Some(Response::new(482));
        }
        if self.legs.len() >= self.config.limits.legs {
            return Some(Response::new(503));
        }
        if let Some(lacking) = unsupported(request) {
            return Some(Response::new(420).with_header("Unsupported", lacking));
        }
        timer.is_too_small(self.policy).then(|| self.interval_too_small())
    }

    /// 422 with our minimum (RFC 4028 6).
    pub(crate) fn interval_too_small(&self) -> Response {
        Response::new(422).with_header("Min-SE", self.policy.min_se.to_string())
    }

    /// 101 to 199 on an incoming leg.
    pub(crate) fn progress(&mut self, cx: &mut Cx<'_>, id: LegId, status: u16, body: Option<Body>, reliable: bool) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Invited) else {
            return self.ignore();
        };
        let Some(dialog) = leg.dialog else { return };
        let Some(incoming) = leg.incoming().filter(|_| (101..200).contains(&status)) else { return self.ignore() };
        let body = body.filter(|_| incoming.offered);
        incoming.progress = Some((status, reliable));
        if incoming.reliable_required && !incoming.offered {
            // The first reliable response would have to carry an offer (RFC 3262 5), and there is none before the 200.
            return;
        }
        let reliable = incoming.reliable_required || (reliable && incoming.reliable_supported && incoming.offered);
        self.timers.set(Timer::KeepRinging(id), cx.now + KEEP_RINGING);
        let Some(entry) = self.dialogs.get(dialog) else { return };
        let mut response = entry.dialog.response(status).with_header("Contact", entry.dialog.contact());
        push_abilities(&mut response.headers);
        let response = response.with(body.as_ref());
        if reliable {
            return self.send_reliably(cx, id, response);
        }
        self.respond_invite(id, response);
    }

    fn send_reliably(&mut self, cx: &mut Cx<'_>, id: LegId, response: Response) {
        let random = (cx.random)();
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.remember(Body::of(&response.headers, &response.body).as_ref());
        let Some(incoming) = leg.incoming() else { return };
        let Some((response, again)) = incoming.reliable.send(cx.now, response, random) else { return };
        self.timers.set(Timer::Reliable(id), again);
        self.respond_invite(id, response);
    }

    /// The PRACK of a reliable response of ours.
    pub(crate) fn on_prack(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(incoming) = leg.incoming() else { return self.respond_in(dialog, transaction, 481) };
        let answered = incoming.reliable.holds_back_answer();
        if !incoming.reliable.acknowledge(request, incoming.caller.2) {
            return self.respond_in(dialog, transaction, 481);
        }
        let next = incoming.reliable.next();
        let accepted = incoming.accepted.take();
        if answered && leg.session.exchange == Exchange::Initial {
            leg.session.exchange = Exchange::Stable;
        }
        self.timers.clear(Timer::Reliable(id));
        // An offer in a PRACK is not taken up; the response it acknowledges counts as received all the same.
        self.respond_in(dialog, transaction, if request.body.is_empty() { 200 } else { 488 });
        match (accepted, next) {
            (Some((body, headers)), _) => self.answer_invite(cx, id, body.as_ref(), &headers),
            (None, Some(response)) => self.send_reliably(cx, id, response),
            (None, None) => {}
        }
    }

    /// The retransmission timer of a reliable response.
    pub(crate) fn on_reliable_timer(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let Some(incoming) = self.legs.get_mut(&id).and_then(|leg| leg.incoming()) else { return };
        match incoming.reliable.retransmit(cx.now) {
            Retransmit::Again(response, at) => {
                self.timers.set(Timer::Reliable(id), at);
                self.respond_invite(id, *response);
            }
            Retransmit::GiveUp => self.refuse(id, Response::new(504), Termination::failed(TerminationReason::NoAck)),
            Retransmit::Idle => {}
        }
    }

    /// The last provisional response, once more.
    pub(crate) fn on_keep_ringing(&mut self, cx: &mut Cx<'_>, id: LegId) {
        let last = self.legs.get_mut(&id).and_then(|leg| leg.incoming()).and_then(|incoming| incoming.progress);
        if let Some((status, reliable)) = last {
            self.progress(cx, id, status, None, reliable);
        }
    }

    /// 200 on an incoming leg; held back while early media waits for its PRACK.
    pub(crate) fn accept(&mut self, cx: &mut Cx<'_>, id: LegId, body: Option<Body>, headers: ExtraHeaders) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Invited) else {
            return self.ignore();
        };
        self.timers.clear(Timer::KeepRinging(id));
        let Some(incoming) = leg.incoming() else { return };
        if incoming.reliable.holds_back_answer() {
            incoming.accepted = Some((body, headers));
            leg.state = LegState::Answering;
            return;
        }
        self.answer_invite(cx, id, body.as_ref(), &headers);
    }

    fn answer_invite(&mut self, cx: &mut Cx<'_>, id: LegId, body: Option<&Body>, headers: &ExtraHeaders) {
        for timer in [Timer::Unanswered(id), Timer::KeepRinging(id), Timer::Reliable(id)] {
            self.timers.clear(timer);
        }
        if self.legs.get(&id).is_some_and(|leg| matches!(leg.session.exchange, Exchange::Received(_))) {
            // An UPDATE of early media that nobody decided about yields to the answer.
            self.refuse_offer(id, 500);
        }
        let policy = self.policy;
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let Some(entry) = leg.dialog.and_then(|dialog| self.dialogs.get_mut(dialog)) else { return };
        let Invite::Incoming(incoming) = &mut leg.invite else { return };
        if let Some(contact) = contact_among(headers) {
            entry.dialog.set_contact(contact.to_owned());
        }
        let timer = incoming.timer.grant(policy);
        let mut response = entry.dialog.response(200).with_header("Contact", entry.dialog.contact());
        push_abilities(&mut response.headers);
        incoming.timer.write_grant(timer, &mut response);
        push_extra(&mut response.headers, headers);
        incoming.reliable = ReliableSender::default();
        let offer_sent = !incoming.offered && body.is_some();
        let (transaction, cseq) = (incoming.transaction, incoming.caller.2);
        leg.session.exchange = Exchange::Unacknowledged { transaction, cseq, offer_sent };
        leg.session.timer = Some(timer);
        leg.session.remember(body);
        leg.state = LegState::Answered;
        self.arm_session_timer(cx, id);
        self.respond_invite(id, response.with(body));
    }

    /// A final refusal from above.
    pub(crate) fn reject(&mut self, id: LegId, status: u16, headers: &ExtraHeaders, body: Option<&Body>) {
        if !self.is_unanswered(id) || !(300..700).contains(&status) {
            return self.ignore();
        }
        let mut response = Response::new(status);
        if let Some(contact) = contact_among(headers) {
            response.headers.push("Contact", contact);
        }
        push_extra(&mut response.headers, headers);
        self.refuse(id, response.with(body), refusal(status));
    }

    /// 401 with the edge's challenges.
    pub(crate) fn challenge(&mut self, id: LegId) {
        let incoming = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Invited).and_then(Leg::incoming);
        let Some(transaction) = incoming.map(|incoming| incoming.transaction) else { return self.ignore() };
        self.push(Output::Sip(SipCommand::Challenge { transaction }));
        self.end_leg(id, refusal(401), Some(401), Headers::new());
    }

    fn is_unanswered(&self, id: LegId) -> bool {
        self.legs.get(&id).is_some_and(|leg| matches!(leg.state, LegState::Invited | LegState::Answering))
    }

    fn refuse(&mut self, id: LegId, response: Response, termination: Termination) {
        let status = response.status;
        self.refuse_invite(id, response, &[]);
        self.end_leg(id, termination, Some(status), Headers::new());
    }

    /// Nobody answered an incoming INVITE.
    pub(crate) fn on_unanswered(&mut self, id: LegId) {
        self.refuse(id, Response::new(408), refusal(408));
    }

    /// CANCEL. For a 200 on its way it comes too late; but the caller has gone, so he is hung up once he acknowledges
    /// (routing.md 2.7, 7).
    pub(crate) fn on_cancelled(&mut self, cx: &mut Cx<'_>, transaction: ServerTransactionId, reason: Vec<String>) {
        let Some(id) = self.servers.get(&transaction).copied() else { return self.ignore() };
        let first = self.legs.get_mut(&id).and_then(|leg| leg.incoming()).map(|incoming| incoming.transaction);
        if first != Some(transaction) {
            return self.withdraw_offer(id, transaction);
        }
        let cancelled = Termination::cancelled(TerminationReason::RequestCancelled);
        if self.is_unanswered(id) {
            self.refuse_invite(id, Response::new(487), &[]);
            let headers = reason.iter().fold(Headers::new(), |headers, value| headers.with("Reason", value.as_str()));
            self.end_leg(id, cancelled, None, headers);
        } else if self.legs.get(&id).is_some_and(|leg| leg.state == LegState::Answered) {
            self.hang_up(cx, id, Vec::new(), cancelled);
        } else {
            self.ignore();
        }
    }

    /// The ACK of a 2xx of ours.
    pub(crate) fn on_ack(&mut self, request: &Request) {
        let leg = self.dialogs.find(request).and_then(|dialog| self.dialogs.get(dialog)).and_then(|entry| entry.leg);
        let Some((id, leg)) = leg.and_then(|id| Some((id, self.legs.get_mut(&id)?))) else { return self.ignore() };
        let Exchange::Unacknowledged { transaction, cseq, offer_sent } = leg.session.exchange else {
            return self.ignore();
        };
        if request.cseq() != Some(cseq) {
            return self.ignore();
        }
        leg.session.exchange = Exchange::Stable;
        self.servers.remove(&transaction);
        let body = Body::of(&request.headers, &request.body);
        match leg.state {
            LegState::Answered => self.confirm(id, body),
            LegState::Leaving => {
                let Some(ending) = leg.ending.clone() else { return };
                return self.bye(id, &ending, None, Headers::new());
            }
            _ if offer_sent => self.push(Output::ReofferAnswered { leg: id, result: Ok(body) }),
            _ => {}
        }
        self.advance(id);
    }

    /// An incoming leg is connected.
    pub(crate) fn confirm(&mut self, id: LegId, body: Option<Body>) {
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.state = LegState::Connected;
            self.push(Output::Confirmed { leg: id, body });
        }
    }

    /// The ACK of a 2xx of ours never came (RFC 3261 13.3.1.4, 14.2).
    pub(crate) fn on_ack_missing(&mut self, transaction: ServerTransactionId) {
        let leg = self.servers.remove(&transaction).and_then(|id| Some((id, self.legs.get(&id)?)));
        let Some((id, leg)) = leg else { return self.ignore() };
        let waits = matches!(leg.session.exchange, Exchange::Unacknowledged { transaction: unacknowledged, .. }
            if unacknowledged == transaction);
        if !waits {
            return self.ignore();
        }
        let missing = Ending { termination: Termination::failed(TerminationReason::NoAck), reason: Vec::new() };
        let ending = leg.ending.clone().unwrap_or(missing);
        self.bye(id, &ending, None, Headers::new());
    }

    fn respond_invite(&mut self, id: LegId, response: Response) {
        let incoming = self.legs.get_mut(&id).and_then(|leg| leg.incoming());
        if let Some(transaction) = incoming.map(|incoming| incoming.transaction) {
            self.push_response(transaction, response);
        }
    }
}

fn caller(request: &Request) -> Caller {
    let tag = request.from_tag().unwrap_or_default();
    (request.call_id().to_owned(), tag, request.cseq().unwrap_or(0))
}

fn invitation(request: Request, flow: Flow, user: Option<UserUri>) -> Option<Invitation> {
    let name = |name: &str| -> Option<NameAddr> { request.headers.name_addr(name)?.ok() };
    let extension = |header: &str| request.headers.has_token(header, "100rel");
    Some(Invitation {
        from: name("From")?,
        to: name("To")?,
        body: Body::of(&request.headers, &request.body),
        session_timer: TimerRequest::of(&request.headers).knows_timers(),
        reliable_provisional: extension("Supported") || extension("Require"),
        flow,
        user,
        request,
    })
}

fn incoming(transaction: ServerTransactionId, call: &Invitation, caller: Caller) -> Incoming {
    Incoming {
        transaction,
        caller,
        offered: call.body.is_some(),
        timer: TimerRequest::of(&call.request.headers),
        reliable_supported: call.reliable_provisional,
        reliable_required: call.request.headers.has_token("Require", "100rel"),
        reliable: ReliableSender::default(),
        progress: None,
        accepted: None,
    }
}
