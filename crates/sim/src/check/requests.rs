//! Rules about SIP requests: exactly one final response, an ACK for each 2xx, an answer to each CANCEL.

use std::collections::{BTreeMap, BTreeSet};

use base::Timestamp;
use sip_api::{ClientTransactionId, Method, Request, ServerTransactionId, SipCommand, SipEvent};

use super::{ANSWER_INVITE_WITHIN, ANSWER_WITHIN};
use crate::stack::Stack;
use crate::wire::cseq_method;

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// Of peers, without a final response.
    open: BTreeMap<ServerTransactionId, (Method, Timestamp)>,
    /// A 2xx that wants its ACK now.
    wants_ack: Option<Answered>,
    /// Call-ID and CSeq of our INVITEs without an offer.
    offerless: BTreeSet<(String, String)>,
    /// 2xx responses that make the offer: the ACK carries the answer, and waits for it.
    wants_answer: BTreeMap<Answered, Timestamp>,
    /// An INVITE that has just been cancelled.
    cancelled: Option<ServerTransactionId>,
    /// NOTIFYs of ours and their Call-IDs.
    notifies: BTreeMap<ClientTransactionId, String>,
    /// Call-IDs of subscribers whom a NOTIFY did not reach.
    unreachable: BTreeSet<String>,
}

/// Call-ID, CSeq and To tag of a 2xx.
type Answered = (String, String, Option<String>);

impl Requests {
    pub(super) fn told(&mut self, now: Timestamp, event: &SipEvent) {
        match event {
            SipEvent::Request { transaction, request, .. } => {
                self.open.insert(*transaction, (request.method.clone(), now));
            }
            SipEvent::Cancelled { transaction, .. } => self.cancelled = Some(*transaction),
            SipEvent::Response { response, .. } if response.is_success() && cseq_method(response) == Some("INVITE") => {
                let of = |name: &str| response.headers.get(name).unwrap_or("").to_owned();
                let number = of("CSeq").split_whitespace().next().unwrap_or("").to_owned();
                let call = (of("Call-ID"), number);
                let is_offer = self.offerless.contains(&call) && !response.body.is_empty();
                let answered = (call.0, call.1, response.to_tag());
                if is_offer {
                    self.wants_answer.entry(answered).or_insert(now);
                } else {
                    self.wants_ack = Some(answered);
                }
            }
            SipEvent::Response { transaction, response, .. } if response.status >= 300 => {
                self.unreachable.extend(self.notifies.remove(transaction));
            }
            SipEvent::Failed { transaction, .. } => self.unreachable.extend(self.notifies.remove(transaction)),
            _ => {}
        }
    }

    pub(super) fn wanted(&mut self, command: &SipCommand) {
        match command {
            SipCommand::Respond { transaction, response } if !response.is_provisional() => {
                self.open.remove(transaction);
            }
            SipCommand::Challenge { transaction } => {
                self.open.remove(transaction);
            }
            SipCommand::SendAck { request, .. } => {
                let number = request.cseq().unwrap_or(0).to_string();
                let answered = (request.call_id().to_owned(), number, request.to_tag());
                self.wants_answer.remove(&answered);
                if self.wants_ack.as_ref() == Some(&answered) {
                    self.wants_ack = None;
                }
            }
            SipCommand::Send { request, .. } if request.method == Method::Invite && request.body.is_empty() => {
                self.offerless.insert((request.call_id().to_owned(), request.cseq().unwrap_or(0).to_string()));
            }
            SipCommand::Send { transaction, request, .. } if request.method == Method::Notify => {
                self.notifies.insert(*transaction, request.call_id().to_owned());
            }
            _ => {}
        }
    }

    pub(super) fn answered(&mut self) -> Result<(), String> {
        if let Some((call, number, _)) = self.wants_ack.take() {
            return Err(format!("the 2xx of call {call}, INVITE {number}, was not acknowledged"));
        }
        match self.cancelled.take().filter(|invite| self.open.contains_key(invite)) {
            Some(invite) => Err(format!("the cancelled INVITE {invite:?} has no final response")),
            None => Ok(()),
        }
    }

    pub(super) fn overdue(&self, now: Timestamp) -> Result<(), String> {
        for (transaction, (method, since)) in &self.open {
            let limit = if *method == Method::Invite { ANSWER_INVITE_WITHIN } else { ANSWER_WITHIN };
            if now.since(*since) > limit {
                return Err(format!("{method} {transaction:?} has had no final response for {limit:?}"));
            }
        }
        for ((call, number, _), since) in &self.wants_answer {
            if now.since(*since) > ANSWER_WITHIN {
                return Err(format!(
                    "the offer of call {call}, INVITE {number}, was not answered for {ANSWER_WITHIN:?}"
                ));
            }
        }
        Ok(())
    }

    /// Whether the server has given this subscriber up.
    pub(super) fn is_unreachable(&self, call: &str) -> bool {
        self.unreachable.contains(call)
    }
}

/// Whether a NOTIFY is under way in this call.
pub(super) fn is_being_notified(edge: &Stack, call: &str) -> bool {
    let of_call = |request: &Request| request.method == Method::Notify && request.call_id() == call;
    edge.open_requests().any(|(request, _)| of_call(request))
}
