//! Requests of peers: which dialog they belong to, and who handles them.

use base::UserUri;
use sip_api::{ALLOW, Flow, Method, Request, Response, ServerTransactionId, SipCommand};

use crate::dialogs::DialogId;
use crate::message::{outgoing, push_abilities};
use crate::output::Output;
use crate::{Calls, Cx};

impl Calls {
    /// A request other than ACK and CANCEL.
    pub(crate) fn on_request(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        if request.to_tag().is_none() {
            return self.outside_dialogs(cx, transaction, request, flow, user);
        }
        match self.dialogs.find(&request) {
            Some(dialog) => self.inside_dialog(cx, dialog, transaction, request, flow, user),
            None if request.method == Method::Bye => self.on_bye_before_answer(transaction, &request),
            None => self.respond(transaction, 481),
        }
    }

    fn outside_dialogs(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        match request.method {
            Method::Invite => self.on_invite(cx, transaction, request, flow, user),
            Method::Subscribe => self.on_subscribe(cx, transaction, request, flow, user),
            Method::Refer => self.on_refer_outside(cx, transaction, request, flow, user),
            // These have no meaning without a dialog.
            Method::Info | Method::Bye | Method::Update | Method::Prack => self.respond(transaction, 481),
            _ => self.push(Output::OutOfDialog { transaction, request: Box::new(request), flow, user }),
        }
    }

    fn inside_dialog(
        &mut self,
        cx: &mut Cx<'_>,
        id: DialogId,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        // Before anything of it counts, its sequence number included.
        if !self.is_from_peer(id, transaction, flow, user.as_ref()) {
            return;
        }
        let Some(entry) = self.dialogs.get_mut(id) else { return };
        if !entry.dialog.accept_cseq(&request) {
            return self.respond_in(id, transaction, 500);
        }
        entry.dialog.heard_over(flow);
        match (&request.method, entry.leg) {
            (Method::Bye, _) => self.on_bye(id, transaction, &request),
            (Method::Subscribe, _) => self.on_subscribe_inside(cx, id, transaction, request, user),
            (_, None) => self.respond_in(id, transaction, 481),
            (Method::Invite, Some(leg)) => self.on_reinvite(cx, id, leg, transaction, &request),
            (Method::Update, Some(leg)) => self.on_update(cx, id, leg, transaction, &request),
            (Method::Prack, Some(leg)) => self.on_prack(cx, id, leg, transaction, &request),
            (Method::Info, Some(leg)) => self.on_info(id, leg, transaction, request),
            (Method::Refer, Some(leg)) => self.on_refer(cx, id, leg, transaction, &request),
            (Method::Options, Some(_)) => self.on_options(id, transaction),
            // We hold no subscriptions at peers.
            (Method::Notify, Some(_)) => self.respond_in(id, transaction, 481),
            _ => self.push_response(transaction, self.response_in(id, 405).with_header("Allow", ALLOW)),
        }
    }

    /// OPTIONS in a dialog asks what we can do, and whether the dialog lives.
    fn on_options(&mut self, id: DialogId, transaction: ServerTransactionId) {
        let mut response = self.response_in(id, 200);
        push_abilities(&mut response.headers);
        self.push_response(transaction, response);
    }

    /// A response without headers, outside any dialog.
    pub(crate) fn respond(&mut self, transaction: ServerTransactionId, status: u16) {
        self.push_response(transaction, Response::new(status));
    }

    /// A response without further headers, in a dialog.
    pub(crate) fn respond_in(&mut self, id: DialogId, transaction: ServerTransactionId, status: u16) {
        let response = self.response_in(id, status);
        self.push_response(transaction, response);
    }

    /// A response in a dialog.
    pub(crate) fn response_in(&self, id: DialogId, status: u16) -> Response {
        self.dialogs.get(id).map_or_else(|| Response::new(status), |entry| entry.dialog.response(status))
    }

    /// Hands a response to the edge.
    pub(crate) fn push_response(&mut self, transaction: ServerTransactionId, response: Response) {
        self.push(Output::Sip(SipCommand::Respond { transaction, response: outgoing(response) }));
    }
}
