//! Requests of ours that have no final response yet, and what their responses mean.

use base::{LegId, SubscriptionId};
use sip_api::{ClientFailure, ClientTransactionId, Flow, Headers, Method, Request, Response, SipCommand};

use crate::awaited::Awaited;
use crate::credentials::{Authority, Unanswered};
use crate::dialogs::DialogId;
use crate::output::Output;
use crate::session_timer;
use crate::timer::{LATE, Timer};
use crate::{Calls, Cx};

/// The status of a request that is too long: what the peer says of it (RFC 3261 21.5.7), and what we take it for when no way
/// to him carries it.
pub(crate) const TOO_LONG: u16 = 513;

/// What a request of ours was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The first INVITE of a dialled leg.
    Invite(LegId),
    /// A re-INVITE.
    Reinvite(LegId),
    /// An UPDATE that refreshes the session.
    Update(LegId),
    /// A PRACK of a dialled leg.
    Prack(LegId),
    /// An INFO.
    Info(LegId),
    /// A BYE of this leg, which has ended already.
    Bye(LegId),
    /// A NOTIFY.
    Notify(SubscriptionId),
}

impl Purpose {
    /// The leg it was for.
    fn leg(self) -> Option<LegId> {
        match self {
            Self::Invite(leg)
            | Self::Reinvite(leg)
            | Self::Update(leg)
            | Self::Prack(leg)
            | Self::Info(leg)
            | Self::Bye(leg) => Some(leg),
            Self::Notify(_) => None,
        }
    }
}

/// A client transaction, kept until its final response, and an answered INVITE a while longer: its 2xx may be
/// retransmitted, and a forking proxy may deliver others (RFC 3261 13.2.2.4).
#[derive(Debug)]
pub(crate) struct ClientTransaction {
    pub(crate) purpose: Purpose,
    pub(crate) dialog: Option<DialogId>,
    pub(crate) request: Request,
    pub(crate) flow: Option<Flow>,
    /// The ACK of each 2xx.
    acks: Vec<Acknowledged>,
    /// How many PRACKs were sent in its early dialogs: numbers that a dialog of a late 2xx may have used.
    pub(crate) pracks: u32,
    /// `Reason` of the BYE that a 2xx gets which comes when nobody wants it any more.
    pub(crate) late_reason: Vec<String>,
    /// What its challenges are answered with.
    pub(crate) authority: Option<Authority>,
    /// How many of its challenges have been answered.
    tries: u8,
    /// Whether it has been repeated with a longer session interval.
    pub(crate) interval_raised: bool,
    /// The device it waits for, or waited for, because it could not be sent.
    pub(crate) awaited: Option<Box<Awaited>>,
}

impl ClientTransaction {
    fn new(purpose: Purpose, dialog: Option<DialogId>, request: Request, flow: Option<Flow>) -> Self {
        Self {
            purpose,
            dialog,
            request,
            flow,
            acks: Vec::new(),
            pracks: 0,
            late_reason: Vec::new(),
            authority: None,
            tries: 0,
            interval_raised: false,
            awaited: None,
        }
    }

    /// After a 422: asks for the longer interval, once (RFC 4028 7.3).
    pub(crate) fn raise_interval(&mut self, refusal: &Headers) -> bool {
        let Some(interval) = session_timer::raised(refusal, &self.request.headers).filter(|_| !self.interval_raised)
        else {
            return false;
        };
        self.interval_raised = true;
        session_timer::write_raised(&mut self.request.headers, interval);
        true
    }
}

/// An acknowledged 2xx.
#[derive(Debug)]
struct Acknowledged {
    tag: String,
    ack: Request,
    flow: Option<Flow>,
}

/// How a request of ours came to nothing: by a response, or by none.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The final status.
    pub(crate) status: Option<u16>,
    /// Its headers.
    pub(crate) headers: Headers,
}

impl Failure {
    /// Whether it ends the dialog (RFC 3261 12.2.1.2): the peer does not know it, or is not there.
    pub(crate) fn ends_dialog(&self) -> bool {
        matches!(self.status, None | Some(408 | 481))
    }
}

impl Calls {
    /// Sends a request in a new transaction.
    pub(crate) fn send(
        &mut self,
        purpose: Purpose,
        dialog: Option<DialogId>,
        request: Request,
        flow: Option<Flow>,
    ) -> ClientTransactionId {
        self.send_as(purpose, dialog, request, flow, None)
    }

    /// Sends a request in a new transaction, with the answers to challenges that the leg has met before. A leg that is
    /// gone has left its `authority` behind.
    pub(crate) fn send_as(
        &mut self,
        purpose: Purpose,
        dialog: Option<DialogId>,
        mut request: Request,
        flow: Option<Flow>,
        authority: Option<Authority>,
    ) -> ClientTransactionId {
        let leg = purpose.leg().and_then(|leg| self.legs.get_mut(&leg));
        let authority = match leg.and_then(|leg| leg.session.authority.as_mut()) {
            Some(of_leg) => {
                of_leg.sign(&mut request);
                Some(of_leg.clone())
            }
            None => authority.map(|mut authority| {
                authority.sign(&mut request);
                authority
            }),
        };
        self.launch(ClientTransaction { authority, ..ClientTransaction::new(purpose, dialog, request, flow) })
    }

    /// Sends the next request of a dialog; `None` when the dialog is gone.
    pub(crate) fn send_in_dialog(
        &mut self,
        purpose: Purpose,
        id: DialogId,
        method: Method,
        complete: impl FnOnce(Request) -> Request,
    ) -> Option<ClientTransactionId> {
        let dialog = &mut self.dialogs.get_mut(id)?.dialog;
        let (request, flow) = (complete(dialog.request(method)), dialog.flow());
        Some(self.send(purpose, Some(id), request, flow))
    }

    pub(crate) fn launch(&mut self, transaction: ClientTransaction) -> ClientTransactionId {
        let id = self.allocate_transaction();
        let (request, flow) = (transaction.request.clone(), transaction.flow);
        if let Purpose::Bye(leg) = transaction.purpose {
            *self.byes.entry(leg).or_default() += 1;
        }
        self.clients.insert(id, transaction);
        self.push(Output::Sip(SipCommand::Send { transaction: id, request, flow }));
        id
    }

    /// A response came from the network.
    pub(crate) fn on_response(&mut self, cx: &mut Cx<'_>, id: ClientTransactionId, response: Response, flow: Flow) {
        let Some(transaction) = self.clients.get(&id) else { return self.ignore() };
        let purpose = transaction.purpose;
        if !transaction.acks.is_empty() && !response.is_success() {
            // The INVITE has been answered; nothing but another answer can follow.
            return self.ignore();
        }
        match purpose {
            Purpose::Invite(leg) if response.is_provisional() => self.on_provisional(cx, id, leg, &response, flow),
            _ if response.is_provisional() => {}
            Purpose::Invite(leg) if response.is_success() => self.on_answer(cx, id, leg, &response, flow),
            Purpose::Reinvite(leg) if response.is_success() => self.on_reinvite_answer(cx, id, leg, &response),
            _ if self.answer_challenge(id, &response) => {}
            _ => {
                let Some(transaction) = self.clients.remove(&id) else { return };
                self.timers.clear(Timer::Forget(id));
                match purpose {
                    Purpose::Update(leg) if response.is_success() => self.on_update_answer(cx, leg, &response),
                    Purpose::Info(leg) if response.is_success() => self.on_info_answer(leg, response.status),
                    Purpose::Prack(leg) if response.is_success() => self.on_prack_answer(leg),
                    Purpose::Notify(subscription) if response.is_success() => self.on_notify_answer(cx, subscription),
                    Purpose::Bye(_) => self.on_bye_over(&transaction),
                    _ => {
                        let failure = Failure { status: Some(response.status), headers: response.headers };
                        self.on_failure(cx, transaction, failure);
                    }
                }
            }
        }
    }

    /// A transaction ended without a final response. An INVITE is remembered for a while: a 2xx that was only late is
    /// still acknowledged and ended, for its sender repeats it that long (routing.md 2.3).
    pub(crate) fn on_failed(&mut self, cx: &mut Cx<'_>, id: ClientTransactionId, why: ClientFailure) {
        if why != ClientFailure::Transport || !self.wait_for_device(cx, id) {
            self.on_unsent(cx, id, why);
        }
    }

    /// A request is not waited for any longer.
    pub(crate) fn on_unsent(&mut self, cx: &mut Cx<'_>, id: ClientTransactionId, why: ClientFailure) {
        let unanswered = self.clients.get(&id).filter(|transaction| transaction.acks.is_empty());
        let Some(purpose) = unanswered.map(|transaction| transaction.purpose) else { return self.ignore() };
        match purpose {
            Purpose::Invite(leg) => {
                self.timers.set(Timer::Forget(id), cx.now + LATE);
                self.on_invite_lost(cx, leg, why);
            }
            Purpose::Reinvite(leg) => {
                self.timers.set(Timer::Forget(id), cx.now + LATE);
                self.on_reinvite_lost(leg);
            }
            _ => {
                let Some(transaction) = self.clients.remove(&id) else { return };
                self.timers.clear(Timer::Forget(id));
                let status = (why == ClientFailure::TooLong).then_some(TOO_LONG);
                self.on_failure(cx, transaction, Failure { status, headers: Headers::new() });
            }
        }
    }

    fn on_failure(&mut self, cx: &mut Cx<'_>, transaction: ClientTransaction, failure: Failure) {
        match transaction.purpose {
            Purpose::Invite(leg) => self.on_refusal(cx, leg, transaction, failure),
            Purpose::Reinvite(leg) => self.on_reinvite_refusal(cx, leg, transaction, failure),
            Purpose::Update(leg) => self.on_update_refusal(cx, leg, transaction, failure),
            Purpose::Info(leg) => self.on_info_refusal(leg, failure),
            Purpose::Prack(leg) => self.on_prack_answer(leg),
            Purpose::Bye(_) => self.on_bye_over(&transaction),
            Purpose::Notify(subscription) if failure.status == Some(TOO_LONG) => {
                self.on_notify_too_long(transaction, subscription);
            }
            Purpose::Notify(subscription) => self.on_notify_refusal(cx, subscription, &failure),
        }
    }

    /// Repeats a challenged request with credentials, if there are any that may help.
    fn answer_challenge(&mut self, id: ClientTransactionId, response: &Response) -> bool {
        let Some(transaction) = self.clients.get(&id).filter(|_| matches!(response.status, 401 | 407)) else {
            return false;
        };
        let (purpose, uri) = (transaction.purpose, transaction.request.uri.clone());
        let Some(leg) = purpose.leg().filter(|_| self.is_wanted(purpose)) else { return false };
        let of_leg = self.legs.get(&leg).and_then(|leg| leg.session.authority.clone());
        let answered = match of_leg.or_else(|| transaction.authority.clone()) {
            None => Err(Unanswered::NoCredentials),
            Some(mut authority) => authority
                .take_up(response.status, &response.headers, &transaction.request, transaction.tries)
                .map(|()| authority),
        };
        let authority = match answered {
            Ok(authority) => authority,
            Err(why) => {
                if self.legs.contains_key(&leg) {
                    self.push(Output::Unauthorized { leg, uri, why });
                }
                return false;
            }
        };
        let Some(mut transaction) = self.clients.remove(&id) else { return false };
        self.note_bye_over(purpose);
        self.timers.clear(Timer::Forget(id));
        transaction.authority = Some(authority.clone());
        transaction.tries += 1;
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.session.authority = Some(authority);
        }
        if matches!(purpose, Purpose::Invite(_)) {
            self.drop_early_dialogs(leg);
        }
        self.send_again(transaction);
        true
    }

    /// Whether a request is worth repeating: what it was for still stands.
    fn is_wanted(&self, purpose: Purpose) -> bool {
        match purpose {
            Purpose::Invite(leg) | Purpose::Prack(leg) => self.can_still_win(leg),
            Purpose::Reinvite(leg) | Purpose::Update(leg) | Purpose::Info(leg) => self.legs.contains_key(&leg),
            Purpose::Bye(_) => true,
            Purpose::Notify(_) => false,
        }
    }

    /// Sends a request once more under the next sequence number: with credentials, or with a longer session interval.
    pub(crate) fn send_again(&mut self, mut transaction: ClientTransaction) {
        transaction.request = match transaction.dialog.and_then(|id| self.dialogs.get_mut(id)) {
            Some(entry) => entry.dialog.again(&transaction.request),
            None => with_next_cseq(transaction.request),
        };
        let leg = transaction.purpose.leg().and_then(|leg| self.legs.get_mut(&leg));
        let of_leg = leg.and_then(|leg| leg.session.authority.as_mut());
        if let Some(authority) = of_leg.or(transaction.authority.as_mut()) {
            authority.sign(&mut transaction.request);
        }
        let purpose = transaction.purpose;
        let id = self.launch(transaction);
        if let Purpose::Prack(leg) = purpose {
            self.count_prack(leg);
        }
        if let Purpose::Invite(leg) = purpose
            && let Some(outgoing) = self.legs.get_mut(&leg).and_then(|leg| leg.outgoing())
        {
            outgoing.transaction = Some(id);
            outgoing.heard = false;
        }
    }

    /// The time of a transaction has passed: no late 2xx can come any more.
    pub(crate) fn on_forget(&mut self, id: ClientTransactionId) {
        self.clients.remove(&id);
    }

    /// Acknowledges a 2xx and remembers the ACK for its retransmissions.
    pub(crate) fn acknowledge(
        &mut self,
        cx: &mut Cx<'_>,
        id: ClientTransactionId,
        tag: &str,
        ack: Request,
        flow: Option<Flow>,
    ) {
        self.timers.set(Timer::Forget(id), cx.now + LATE);
        self.send_ack(id, tag, ack, flow);
    }

    /// Sends an ACK and remembers it; the transaction is to be forgotten at a time that is set already.
    pub(crate) fn send_ack(&mut self, id: ClientTransactionId, tag: &str, ack: Request, flow: Option<Flow>) {
        /// More answers than any fork has; beyond, retransmissions are treated as new answers, which is harmless.
        const REMEMBERED: usize = 32;
        if let Some(transaction) = self.clients.get_mut(&id)
            && transaction.acks.len() < REMEMBERED
        {
            transaction.acks.push(Acknowledged { tag: tag.to_owned(), ack: ack.clone(), flow });
        }
        self.push(Output::Sip(SipCommand::SendAck { request: ack, flow }));
    }

    /// Answers the retransmission of a 2xx that has been acknowledged; false if it is a new one.
    pub(crate) fn acknowledge_again(&mut self, id: ClientTransactionId, tag: &str) -> bool {
        let acks = self.clients.get(&id).map_or(&[][..], |transaction| &transaction.acks);
        let Some(known) = acks.iter().find(|known| known.tag == tag) else { return false };
        let (request, flow) = (known.ack.clone(), known.flow);
        self.push(Output::Sip(SipCommand::SendAck { request, flow }));
        true
    }
}

fn with_next_cseq(mut request: Request) -> Request {
    let next = request.cseq().unwrap_or(0).saturating_add(1);
    let line = format!("{next} {}", request.method);
    request.headers.set("CSeq", line);
    request
}
