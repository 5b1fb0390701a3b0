//! Before the answer of a dialled leg: provisional responses, early dialogs, and the PRACK each of them is owed.

use base::{LegId, Termination, TerminationReason};
use sip_api::{ClientTransactionId, Flow, Method, Response};

use crate::dialog::Dialog;
use crate::dialogs::DialogId;
use crate::ending::ELSEWHERE;
use crate::input::Body;
use crate::leg::{Early, Ending, Exchange, LegState};
use crate::output::Output;
use crate::reliable::ReliableReceiver;
use crate::timer::Timer;
use crate::transaction::Purpose;
use crate::{Calls, Cx};

/// PRACKs of one leg under way at once; a callee who needs more is not answered.
const PRACKS: usize = 16;

impl Calls {
    /// 100 to 199.
    pub(crate) fn on_provisional(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) {
        self.timers.clear(Timer::Silence(id));
        let Some(outgoing) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()) else { return self.ignore() };
        if outgoing.transaction != Some(transaction) {
            return self.ignore();
        }
        outgoing.heard = true;
        if response.status == 100 {
            return;
        }
        let early = self.early_dialog(transaction, id, response, flow);
        if response.status == 199 {
            if let Some(dialog) = early {
                self.close_early_dialog(id, dialog);
            }
            return;
        }
        let reliable = response.headers.has_token("Require", "100rel");
        let in_order = early.is_some_and(|dialog| !reliable || self.prack(id, dialog, response));
        // What comes twice or out of order is not taken up (RFC 3262 4); without a tag there is no dialog to order it in.
        if (in_order || response.to_tag().is_none()) && self.can_still_win(id) {
            self.on_progress(cx, id, early, response, reliable);
        }
    }

    fn on_progress(
        &mut self,
        cx: &mut Cx<'_>,
        id: LegId,
        early: Option<DialogId>,
        response: &Response,
        reliable: bool,
    ) {
        let body = Body::of(&response.headers, &response.body);
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.state = LegState::Ringing;
        if reliable && body.is_some() {
            leg.session.exchange = Exchange::Stable;
        }
        let Some(outgoing) = leg.outgoing() else { return };
        if let Some(early) = outgoing.early.iter_mut().find(|known| Some(known.dialog) == early)
            && reliable
            && body.is_some()
        {
            early.answer.clone_from(&body);
        }
        let early_dialogs = outgoing.early.iter().filter(|early| !early.closed).count();
        let offer = outgoing.offer;
        let refused = response.status == 181 && self.offers.get(&offer).is_some_and(|set| set.dial.refuse_forwarding);
        if refused {
            let termination = Termination::failed(TerminationReason::InvalidTarget);
            return self.give_up(cx, id, Ending { termination, reason: vec![ELSEWHERE.to_owned()] });
        }
        self.push(Output::Ringing { offer, leg: id, status: response.status, body, early_dialogs });
    }

    /// The early dialog of a provisional response; made when its tag is new.
    fn early_dialog(
        &mut self,
        transaction: ClientTransactionId,
        id: LegId,
        response: &Response,
        flow: Flow,
    ) -> Option<DialogId> {
        let tag = response.to_tag()?;
        let transaction = self.clients.get(&transaction)?;
        let outgoing = self.legs.get_mut(&id)?.outgoing()?;
        if let Some(known) = outgoing.early.iter().find(|early| early.tag == tag) {
            return Some(known.dialog).filter(|_| !known.closed);
        }
        if outgoing.early.len() >= self.config.early_dialogs_per_leg {
            return None;
        }
        let dialog = Dialog::from_response(&transaction.request, response, flow, transaction.flow);
        let dialog = self.dialogs.insert(dialog, outgoing.target.owner.clone(), Some(id));
        outgoing.early.push(Early { dialog, tag, reliable: ReliableReceiver::default(), answer: None, closed: false });
        Some(dialog)
    }

    /// 199, or the callee's BYE: that early dialog is over, the others are not (RFC 6228).
    pub(crate) fn close_early_dialog(&mut self, id: LegId, dialog: DialogId) {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        let early = outgoing.and_then(|outgoing| outgoing.early.iter_mut().find(|early| early.dialog == dialog));
        if let Some(early) = early {
            early.closed = true;
        }
    }

    /// An early dialog is not used by its leg any more.
    pub(crate) fn drop_dialog(&mut self, dialog: DialogId) {
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.leg = None;
        }
        self.dialogs.release(dialog);
    }

    /// Acknowledges a reliable provisional response in its own early dialog (RFC 3262 4); false if it came out of order.
    fn prack(&mut self, id: LegId, dialog: DialogId, response: &Response) -> bool {
        let Some(outgoing) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()) else { return false };
        let invite = outgoing.transaction.and_then(|running| self.clients.get_mut(&running));
        let Some(invite) = invite.filter(|_| outgoing.pracks < PRACKS) else { return false };
        let Some(early) = outgoing.early.iter_mut().find(|early| early.dialog == dialog) else { return false };
        let Some(rseq) = early.reliable.accept(&response.headers) else { return false };
        outgoing.pracks += 1;
        invite.pracks += 1;
        let cseq = invite.request.cseq().unwrap_or(1);
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.dialog.refresh_target(&response.headers);
        }
        self.send_in_dialog(Purpose::Prack(id), dialog, Method::Prack, |mut prack| {
            prack.headers.push("RAck", format!("{rseq} {cseq} INVITE"));
            prack
        });
        true
    }

    /// A PRACK is sent once more, under a number that a dialog of a late 2xx must not use again.
    pub(crate) fn count_prack(&mut self, id: LegId) {
        let outgoing = self.legs.get_mut(&id).and_then(|leg| leg.outgoing());
        let running = outgoing.and_then(|outgoing| outgoing.transaction);
        if let Some(invite) = running.and_then(|running| self.clients.get_mut(&running)) {
            invite.pracks += 1;
        }
    }

    /// A PRACK has its final response; whatever it says, the INVITE decides.
    pub(crate) fn on_prack_answer(&mut self, id: LegId) {
        if let Some(outgoing) = self.legs.get_mut(&id).and_then(|leg| leg.outgoing()) {
            outgoing.pracks = outgoing.pracks.saturating_sub(1);
        }
    }
}
