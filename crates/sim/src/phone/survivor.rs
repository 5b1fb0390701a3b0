//! A phone whose server died: what it is owed by the next process, and what it forgives.

use sip_api::{ClientTransactionId, ServerTransactionId};

use super::dialog::{Sent, State};
use super::{Cx, Phone};

impl Phone {
    /// The server's process is gone. Answers to what is under way may have gone with it.
    pub(crate) fn server_died(&mut self) {
        self.server_down = true;
        for dialog in self.dialogs.values_mut() {
            self.forgiven.extend(dialog.sent.keys());
            dialog.survivor = matches!(dialog.state, State::Up | State::Ringing(_));
            self.unacknowledged.extend(&dialog.answered);
        }
    }

    /// The server has a process again, and nothing of the one before is on its way any more.
    pub(crate) fn server_is_back(&mut self) {
        self.server_down = false;
        self.unacknowledged.extend(self.dialogs.values().flat_map(|dialog| &dialog.answered));
    }

    /// Calls in which the present process has said nothing, although they stand or ring.
    pub(crate) fn left_alone(&self) -> Vec<String> {
        let alone = self
            .dialogs
            .values()
            .filter(|dialog| dialog.survivor && matches!(dialog.state, State::Up | State::Ringing(_)) && !self.gone);
        alone.map(|dialog| format!("{}: call {} is {:?}", self.name, dialog.call_id, dialog.state)).collect()
    }

    /// A request has no final response because the process died that would have given it.
    pub(super) fn on_died_with_the_server(&mut self, transaction: ClientTransactionId) {
        let first = self.dialogs.values().find_map(|dialog| {
            let (sent, _) = dialog.sent.get(&transaction)?;
            (*sent == Sent::First && dialog.state == State::Asking).then(|| dialog.call_id.clone())
        });
        if let Some(call) = first {
            self.over(&call);
        }
    }

    /// A 2xx of ours has no ACK. The server owes one, unless it died meanwhile: then the phone hangs up (RFC 3261
    /// 13.3.1.4), or forgets the second device that answered.
    pub(super) fn on_ack_missing(&mut self, cx: &mut Cx<'_>, transaction: ServerTransactionId) {
        if !self.unacknowledged.contains(&transaction) {
            return cx.broken(format!("{}: a 2xx was never acknowledged", self.name));
        }
        let opened = self.dialogs.values_mut().find(|dialog| dialog.answered.first() == Some(&transaction));
        let Some(dialog) = opened else { return };
        if dialog.fork.take().is_none() {
            dialog.confirmed = true;
            let call = dialog.call_id.clone();
            self.hang_up(cx, &call);
        }
    }
}
