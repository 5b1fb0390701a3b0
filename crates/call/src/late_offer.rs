//! Offers that come in a 200: the answer goes into the ACK, which waits until above has it (RFC 3261 13.2.1, RFC 3725).

use base::{LegId, Termination, TerminationReason};
use sip_api::{ClientTransactionId, Response};

use crate::input::Body;
use crate::leg::{Ending, Exchange, LegState, OwedAck};
use crate::message::WithBody;
use crate::timer::{LATE, Timer};
use crate::{Calls, Cx};

impl Calls {
    /// Above wants the peer's offer; he is asked as soon as nothing else is under way.
    pub(crate) fn ask_for_offer(&mut self, id: LegId) {
        let ending = [LegState::Cancelling, LegState::Leaving];
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !ending.contains(&leg.state)) else {
            return self.ignore();
        };
        leg.session.offer_asked = true;
        self.advance(id);
    }

    /// Whether a 2xx makes the offer its INVITE left out.
    pub(crate) fn makes_offer(&self, transaction: ClientTransactionId, response: &Response) -> bool {
        let asked = self.clients.get(&transaction).is_some_and(|sent| sent.request.body.is_empty());
        asked && Body::of(&response.headers, &response.body).is_some_and(|body| body.describes_session())
    }

    /// Keeps the ACK back until above answers the offer, as long as a decision may take.
    pub(crate) fn owe_ack(&mut self, cx: &mut Cx<'_>, id: LegId, owed: OwedAck) {
        self.timers.set(Timer::Decision(id), cx.now + self.config.decision_limit);
        // However it ends, the ACK goes out by then, and retransmissions of the 2xx are answered that long.
        self.timers.set(Timer::Forget(owed.transaction), cx.now + self.config.decision_limit + LATE);
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.session.exchange = Exchange::AckOwed(Box::new(owed));
        }
    }

    /// Whether this 2xx is the one whose ACK waits: a retransmission has nothing to be told yet.
    pub(crate) fn is_ack_owed(&self, id: LegId, transaction: ClientTransactionId, tag: &str) -> bool {
        self.legs.get(&id).is_some_and(|leg| {
            matches!(&leg.session.exchange, Exchange::AckOwed(owed) if owed.transaction == transaction && owed.tag == tag)
        })
    }

    /// Above answers the offer of a 200; false when there is none to answer.
    pub(crate) fn answer_in_ack(&mut self, id: LegId, body: Option<&Body>) -> bool {
        let Some(owed) = self.take_owed_ack(id) else { return false };
        if let Some(leg) = self.legs.get_mut(&id) {
            leg.session.remember(body);
        }
        self.send_ack(owed.transaction, &owed.tag, owed.ack.with(body), owed.flow);
        self.advance(id);
        true
    }

    /// Above does not want the offer of a 200, or has not decided in time; false when there is none. The session stays as
    /// it was by the description the peer knows already. If he knows none, there is no session.
    pub(crate) fn refuse_in_ack(&mut self, id: LegId) -> bool {
        let Some(leg) = self.legs.get(&id).filter(|leg| matches!(leg.session.exchange, Exchange::AckOwed(_))) else {
            return false;
        };
        match leg.session.local.clone() {
            Some(local) => self.answer_in_ack(id, Some(&local)),
            None => {
                let termination = Termination::failed(TerminationReason::MediaNotSupported);
                self.bye(id, &Ending { termination, reason: Vec::new() }, None, sip_api::Headers::new());
                true
            }
        }
    }

    /// The leg is about to end: the 2xx is acknowledged all the same, or its sender repeats it.
    pub(crate) fn settle_ack(&mut self, id: LegId) {
        if let Some(owed) = self.take_owed_ack(id) {
            self.send_ack(owed.transaction, &owed.tag, owed.ack, owed.flow);
        }
    }

    fn take_owed_ack(&mut self, id: LegId) -> Option<OwedAck> {
        let exchange = &mut self.legs.get_mut(&id)?.session.exchange;
        if !matches!(exchange, Exchange::AckOwed(_)) {
            return None;
        }
        let Exchange::AckOwed(owed) = std::mem::replace(exchange, Exchange::Stable) else { return None };
        self.timers.clear(Timer::Decision(id));
        Some(*owed)
    }
}
