//! How legs end: the one place that says `Ended`, BYE in both directions, and what a status means.

use base::{LegId, Termination, TerminationReason};
use sip_api::{ClientFailure, Headers, Method, Request, Response, ServerTransactionId};

use crate::dialogs::DialogId;
use crate::leg::{Ending, Exchange, Invite, Leg, LegState};
use crate::message::push_reasons;
use crate::output::Output;
use crate::transaction::{ClientTransaction, Purpose};
use crate::{Calls, Cx};

/// Callees of one forked call whose early BYE is remembered.
const DEPARTED_MAX: usize = 16;

/// `Reason` of a leg that is not wanted because another one answered (routing.md 2.4).
pub(crate) const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// `Reason` of a telephone whose answer came too soon to be a person's; nobody else has the call.
pub(crate) const MACHINE: &str = "SIP;cause=480;text=\"Answered too soon for a person, taken for a mailbox\"";

/// How a refused INVITE of ours ends (c3p.md 4.3; `TerminationReason` names the statuses).
pub(crate) fn refusal(status: u16) -> Termination {
    use TerminationReason::{
        Busy, Declined, Forbidden, InvalidTarget, MediaNotSupported, NoAnswer, ProtocolError, ServiceUnavailable,
        Unauthorized,
    };
    Termination::failed(match status {
        486 | 600 => Busy,
        603 | 607 | 608 => Declined,
        // 487 without a CANCEL of ours: somebody else stopped the ringing.
        408 | 480 | 487 => NoAnswer,
        // A redirection that is not followed leaves nobody at the address we were given.
        300..=399 | 404 | 410 | 416 | 484 | 485 | 604 => InvalidTarget,
        403 => Forbidden,
        401 | 407 => Unauthorized,
        415 | 488 | 606 => MediaNotSupported,
        500..=599 => ServiceUnavailable,
        _ => ProtocolError,
    })
}

/// How an INVITE ends that got no final response.
pub(crate) fn silence(why: ClientFailure, heard: bool) -> Termination {
    Termination::failed(match why {
        ClientFailure::Transport | ClientFailure::TooLong => TerminationReason::TransportFailed,
        ClientFailure::Timeout if heard => TerminationReason::NoAnswer,
        ClientFailure::Timeout => TerminationReason::ServiceUnavailable,
    })
}

/// The status that refuses an unanswered INVITE which is hung up for this reason.
fn refusal_status(reason: TerminationReason) -> u16 {
    use TerminationReason as Why;
    match reason {
        Why::Busy => 486,
        Why::NoAnswer | Why::Departed | Why::AnsweredElsewhere | Why::Replaced => 480,
        Why::InvalidTarget => 404,
        Why::Forbidden | Why::Unauthorized => 403,
        Why::MediaNotSupported => 488,
        Why::RequestCancelled => 487,
        Why::SessionExpired | Why::MediaTimeout | Why::NoAck => 408,
        Why::ProtocolError => 400,
        Why::InternalError => 500,
        Why::ServiceUnavailable | Why::LimitReached | Why::TransportFailed | Why::McuLost | Why::ServerStopping => 503,
        Why::Declined | Why::Booted | Why::ConferenceEnded => 603,
    }
}

impl Calls {
    /// Ends a leg as its state demands.
    pub(crate) fn hang_up(&mut self, cx: &mut Cx<'_>, id: LegId, reason: Vec<String>, termination: Termination) {
        let Some(leg) = self.legs.get_mut(&id) else { return self.ignore() };
        let ending = Ending { termination, reason };
        match leg.state {
            LegState::Invited | LegState::Answering => {
                let status = refusal_status(termination.reason);
                self.refuse_invite(id, Response::new(status), &ending.reason);
                self.end_leg(id, termination, None, Headers::new());
            }
            LegState::Answered => {
                leg.ending = Some(ending);
                leg.state = LegState::Leaving;
            }
            LegState::Queued | LegState::Calling | LegState::Ringing => self.give_up(cx, id, ending),
            LegState::Connected => self.bye(id, &ending, None, Headers::new()),
            LegState::Cancelling | LegState::Leaving => self.ignore(),
        }
    }

    /// Refuses the INVITE of an incoming leg, which the caller then ends.
    pub(crate) fn refuse_invite(&mut self, id: LegId, mut response: Response, reason: &[String]) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        let dialog = leg.dialog;
        let Invite::Incoming(incoming) = &leg.invite else { return };
        let transaction = incoming.transaction;
        push_reasons(&mut response.headers, reason);
        if let Some(entry) = dialog.and_then(|dialog| self.dialogs.get(dialog)) {
            response.headers.push("To", entry.dialog.response(response.status).headers.get("To").unwrap_or(""));
        }
        self.push_response(transaction, response);
    }

    /// Sends BYE, which ends the leg (RFC 3261 15.1.1).
    pub(crate) fn bye(&mut self, id: LegId, ending: &Ending, status: Option<u16>, headers: Headers) {
        self.settle_ack(id);
        if let Some(dialog) = self.legs.get(&id).and_then(|leg| leg.dialog) {
            let reason = &ending.reason;
            self.send_in_dialog(Purpose::Bye(id), dialog, Method::Bye, |mut bye| {
                push_reasons(&mut bye.headers, reason);
                bye
            });
            if let Some(entry) = self.dialogs.get_mut(dialog) {
                entry.closing = true;
            }
        }
        self.end_leg(id, ending.termination, status, headers);
    }

    /// The peer does not know the dialog any more, or is not there: tell him anyway, and end the leg.
    pub(crate) fn lose_peer(&mut self, id: LegId, status: Option<u16>, headers: Headers) {
        let termination = Termination::failed(TerminationReason::TransportFailed);
        self.bye(id, &Ending { termination, reason: Vec::new() }, status, headers);
    }

    /// Our BYE is over, however it went.
    pub(crate) fn on_bye_over(&mut self, transaction: &ClientTransaction) {
        self.note_bye_over(transaction.purpose);
        let Some(id) = transaction.dialog else { return };
        if let Some(entry) = self.dialogs.get_mut(id) {
            entry.closing = false;
        }
        self.dialogs.release(id);
    }

    /// A request is over; if it was a BYE there is one less under way.
    pub(crate) fn note_bye_over(&mut self, purpose: Purpose) {
        let Purpose::Bye(leg) = purpose else { return };
        let Some(byes) = self.byes.get_mut(&leg) else { return };
        *byes -= 1;
        if *byes == 0 {
            self.byes.remove(&leg);
            self.unwanted.remove(&leg);
        }
    }

    /// The peer hangs up.
    pub(crate) fn on_bye(&mut self, dialog: DialogId, transaction: ServerTransactionId, request: &Request) {
        let Some(entry) = self.dialogs.get(dialog) else { return };
        let Some(id) = entry.leg else {
            // A crossing BYE is agreed to; a dialog without a session has nothing to end.
            let status = if entry.closing { 200 } else { 481 };
            return self.respond_in(dialog, transaction, status);
        };
        self.respond_in(dialog, transaction, 200);
        let Some(leg) = self.legs.get(&id) else { return };
        let departed = Termination::completed(TerminationReason::Departed);
        let cancelled = Termination::cancelled(TerminationReason::RequestCancelled);
        let termination = match leg.state {
            LegState::Invited | LegState::Answering => {
                self.refuse_invite(id, Response::new(487), &[]);
                cancelled
            }
            LegState::Leaving => leg.ending.as_ref().map_or(cancelled, |ending| ending.termination),
            LegState::Queued | LegState::Calling | LegState::Ringing | LegState::Cancelling => {
                self.note_departure(id, request);
                return self.close_early_dialog(id, dialog);
            }
            LegState::Answered | LegState::Connected => departed,
        };
        self.end_leg(id, termination, None, request.headers.clone());
    }

    /// A BYE in no dialog we know. When it belongs to a call of ours that rings, it has overtaken the 200 that made the
    /// dialog, and that answer will be worth nothing.
    pub(crate) fn on_bye_before_answer(&mut self, transaction: ServerTransactionId, request: &Request) {
        let Some(id) = self.ringing_call_of(request) else { return self.respond(transaction, 481) };
        self.note_departure(id, request);
        self.respond(transaction, 200);
    }

    /// The dialled leg without an answer that a callee's request belongs to, by Call-ID and our tag.
    fn ringing_call_of(&self, request: &Request) -> Option<LegId> {
        if !self.own_calls.contains(request.call_id()) {
            return None;
        }
        let is_meant = |leg: &Leg| {
            let Invite::Outgoing(outgoing) = &leg.invite else { return false };
            let sent = outgoing.transaction.and_then(|running| self.clients.get(&running));
            outgoing.call_id.as_deref() == Some(request.call_id())
                && sent.is_some_and(|sent| sent.request.from_tag() == request.to_tag())
        };
        let id = self.legs.iter().find(|(_, leg)| is_meant(leg)).map(|(id, _)| *id)?;
        self.can_still_win(id).then_some(id)
    }

    fn note_departure(&mut self, id: LegId, request: &Request) {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        if let (Some(outgoing), Some(tag)) = (outgoing, request.from_tag())
            && outgoing.departed.len() < DEPARTED_MAX
            && !outgoing.departed.contains(&tag)
        {
            outgoing.departed.push(tag);
        }
    }

    /// The end of a leg: the only place that says so. Nothing of it is left but answered transactions, whose late
    /// responses are still acknowledged.
    pub(crate) fn end_leg(&mut self, id: LegId, termination: Termination, status: Option<u16>, headers: Headers) {
        self.settle_ack(id);
        let Some(leg) = self.legs.remove(&id) else { return };
        for timer in Leg::timers(id) {
            self.timers.clear(timer);
        }
        self.abandon_requests(&leg);
        match &leg.invite {
            Invite::Incoming(incoming) => {
                self.servers.remove(&incoming.transaction);
                self.callers.remove(&incoming.caller);
            }
            Invite::Outgoing(outgoing) => {
                if let Some(call_id) = &outgoing.call_id {
                    self.own_calls.remove(call_id);
                }
            }
        }
        for dialog in leg.dialogs() {
            if let Some(entry) = self.dialogs.get_mut(dialog) {
                entry.leg = None;
            }
            self.dialogs.release(dialog);
        }
        self.push(Output::Ended { leg: id, termination, status, headers: Box::new(headers) });
        if let Invite::Outgoing(outgoing) = &leg.invite {
            self.close_in_offer(outgoing.offer, id);
        }
    }

    /// Requests of the peer that nobody will answer any more get 487 (RFC 3261 15.1.2).
    fn abandon_requests(&mut self, leg: &Leg) {
        let Some(dialog) = leg.dialog else { return };
        for info in &leg.session.infos_received {
            self.infos.remove(info);
            self.respond_in(dialog, *info, 487);
        }
        match &leg.session.exchange {
            Exchange::Received(received) => {
                self.servers.remove(&received.transaction);
                self.respond_in(dialog, received.transaction, 487);
            }
            Exchange::Unacknowledged { transaction, .. } => {
                self.servers.remove(transaction);
            }
            Exchange::Initial | Exchange::Stable | Exchange::Sent { .. } | Exchange::AckOwed(_) => {}
        }
    }
}
