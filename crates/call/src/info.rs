//! INFO inside a dialog, both ways (RFC 2976 style, c3p.md 2.2).

use base::LegId;
use sip_api::{Method, Request, ServerTransactionId};

use crate::Calls;
use crate::dialogs::DialogId;
use crate::input::{Body, ExtraHeaders};
use crate::leg::{Leg, LegState};
use crate::message::{WithBody, push_extra};
use crate::output::Output;
use crate::transaction::{Failure, Purpose, TOO_LONG};

impl Calls {
    /// An INFO of the peer.
    pub(crate) fn on_info(&mut self, dialog: DialogId, id: LegId, transaction: ServerTransactionId, request: Request) {
        let room = self.config.infos_waiting;
        let stays = |leg: &&mut Leg| leg.dialog == Some(dialog) && leg.state != LegState::Leaving;
        let Some(leg) = self.legs.get_mut(&id).filter(stays) else {
            return self.respond_in(dialog, transaction, 481);
        };
        if leg.session.infos_received.len() >= room {
            let response = self.response_in(dialog, 503).with_header("Retry-After", "1");
            return self.push_response(transaction, response);
        }
        leg.session.infos_received.push(transaction);
        self.infos.insert(transaction, id);
        let body = Body::of(&request.headers, &request.body);
        self.push(Output::Info { leg: id, id: transaction, body, headers: Box::new(request.headers) });
    }

    /// Above answers an INFO.
    pub(crate) fn respond_info(&mut self, transaction: ServerTransactionId, status: u16, headers: &ExtraHeaders) {
        let leg = self.infos.remove(&transaction).and_then(|id| self.legs.get_mut(&id));
        let Some(leg) = leg else { return self.ignore() };
        leg.session.infos_received.retain(|received| *received != transaction);
        let Some(dialog) = leg.dialog else { return };
        let status = if (200..700).contains(&status) { status } else { 500 };
        let mut response = self.response_in(dialog, status);
        push_extra(&mut response.headers, headers);
        self.push_response(transaction, response);
    }

    /// Above sends an INFO.
    pub(crate) fn send_info(&mut self, id: LegId, body: Body, instead: Option<Body>) {
        let room = self.config.infos_waiting;
        let ending = [LegState::Cancelling, LegState::Leaving];
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| !ending.contains(&leg.state)) else {
            return self.ignore();
        };
        if leg.session.infos_waiting.len() >= room {
            return self.push(Output::InfoAnswered { leg: id, status: None });
        }
        leg.session.infos_waiting.push_back((body, instead));
        self.next_info(id);
    }

    /// Sends the next INFO if none is under way. Before the session stands there is no dialog to send it in.
    pub(crate) fn next_info(&mut self, id: LegId) {
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Connected) else { return };
        let Some(dialog) = leg.dialog.filter(|_| !leg.session.info_under_way) else { return };
        let Some((body, instead)) = leg.session.infos_waiting.pop_front() else { return };
        leg.session.info_under_way = true;
        leg.session.info_instead = instead;
        self.send_in_dialog(Purpose::Info(id), dialog, Method::Info, |info| info.with(Some(&body)));
    }

    /// An INFO of ours was taken.
    pub(crate) fn on_info_answer(&mut self, id: LegId, status: u16) {
        self.finish_info(id, Some(status));
    }

    /// An INFO of ours failed.
    pub(crate) fn on_info_refusal(&mut self, id: LegId, failure: Failure) {
        let status = failure.status;
        let Some(leg) = self.legs.get_mut(&id).filter(|leg| leg.state == LegState::Connected) else { return };
        if status == Some(TOO_LONG)
            && let (Some(dialog), Some(body)) = (leg.dialog, leg.session.info_instead.take())
        {
            self.send_in_dialog(Purpose::Info(id), dialog, Method::Info, |info| info.with(Some(&body)));
            return;
        }
        if failure.ends_dialog() {
            self.push(Output::InfoAnswered { leg: id, status });
            return self.lose_peer(id, status, failure.headers);
        }
        self.finish_info(id, status);
    }

    fn finish_info(&mut self, id: LegId, status: Option<u16>) {
        let Some(leg) = self.legs.get_mut(&id) else { return };
        leg.session.info_under_way = false;
        leg.session.info_instead = None;
        self.push(Output::InfoAnswered { leg: id, status });
        self.next_info(id);
    }
}
