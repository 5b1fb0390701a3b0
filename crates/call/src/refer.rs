//! Transfer: a REFER, and the notifications its sender gets (RFC 3515, RFC 4488).

use base::{Duration, LegId, SubscriptionId, UserUri};
use sip_api::{Flow, NameAddr, Request, ServerTransactionId, reason_phrase};

use crate::dialog::Dialog;
use crate::dialogs::DialogId;
use crate::input::{Body, ExtraHeaders, NotifyState};
use crate::leg::LegState;
use crate::output::Output;
use crate::subscription::{Kind, Stage, Subscription};
use crate::{Calls, Cx};

/// How long a referrer is kept informed; longer than any ringing lasts.
const REFER_EXPIRES: Duration = Duration::from_secs(240);

impl Calls {
    /// A REFER of a connected peer.
    pub(crate) fn on_refer(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        id: LegId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let stands = self.legs.get(&id).is_some_and(|leg| leg.is_answered() && leg.state != LegState::Leaving);
        if !stands {
            return self.respond_in(dialog, transaction, 403);
        }
        let Some(refer_to) = refer_to(request) else { return self.respond_in(dialog, transaction, 400) };
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        entry.refers += 1;
        entry.dialog.refresh_target(&request.headers);
        let event = match (entry.refers, request.cseq()) {
            (1, _) | (_, None) => "refer".to_owned(),
            (_, Some(cseq)) => format!("refer;id={cseq}"),
        };
        let kind = kind_of(request);
        let Some(refer) = self.add_subscription(cx, Subscription::new(dialog, event, kind, transaction)) else {
            return self.respond_in(dialog, transaction, 503);
        };
        let referred_by = request.headers.name_addr("Referred-By").and_then(Result::ok).map(Box::new);
        self.push(Output::Referred { leg: id, refer, refer_to: Box::new(refer_to), referred_by });
    }

    /// A REFER outside any dialog: it makes a dialog of its own for the notifications (RFC 3515 2.4.4).
    pub(crate) fn on_refer_outside(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        let Some(refer_to) = refer_to(&request) else { return self.respond(transaction, 400) };
        let Ok(dialog) = Dialog::from_request(&request, flow, &cx.token(), self.default_contact()) else {
            return self.respond(transaction, 400);
        };
        let dialog = self.dialogs.insert(dialog, user.clone(), None);
        let subscription = Subscription::new(dialog, "refer".to_owned(), kind_of(&request), transaction);
        let Some(refer) = self.add_subscription(cx, subscription) else {
            self.respond_in(dialog, transaction, 503);
            return self.dialogs.release(dialog);
        };
        let (refer_to, request) = (Box::new(refer_to), Box::new(request));
        self.push(Output::ReferredFromOutside { refer, refer_to, request, user });
    }

    /// Above takes a transfer on, or refuses it.
    pub(crate) fn respond_refer(
        &mut self,
        cx: &mut Cx<'_>,
        refer: SubscriptionId,
        status: u16,
        headers: &ExtraHeaders,
    ) {
        let Some((kind, stage)) = self.subscriptions.get(&refer).map(|known| (known.kind, known.stage)) else {
            return self.ignore();
        };
        let (Kind::Referred { notified, .. }, Stage::Pending(transaction)) = (kind, stage) else {
            return self.ignore();
        };
        if !(200..300).contains(&status) {
            return self.reject_subscription(refer, status, headers);
        }
        self.activate(cx, refer, transaction, 202, REFER_EXPIRES);
        if notified {
            self.tell_referrer(cx, refer, 100);
        }
    }

    /// How the referred call fares.
    pub(crate) fn refer_progress(&mut self, cx: &mut Cx<'_>, refer: SubscriptionId, status: u16) {
        let known = self.subscriptions.get_mut(&refer).filter(|known| matches!(known.stage, Stage::Active(_)));
        let Some(Kind::Referred { status: told, notified }) = known.map(|known| &mut known.kind) else {
            return self.ignore();
        };
        *told = status;
        if *notified {
            return self.tell_referrer(cx, refer, status);
        }
        if status >= 200 {
            self.remove_subscription(refer, false);
        }
    }

    /// A status line as `message/sipfrag`; a final one ends the subscription.
    pub(crate) fn tell_referrer(&mut self, cx: &mut Cx<'_>, refer: SubscriptionId, status: u16) {
        let line = format!("SIP/2.0 {status} {}\r\n", reason_phrase(status));
        let state = match status {
            ..200 => NotifyState::Active,
            _ => NotifyState::Terminated("noresource".to_owned()),
        };
        self.notify(cx, refer, Some(Body::new("message/sipfrag;version=2.0", line.into_bytes())), state);
    }
}

/// Exactly one Refer-To (RFC 3515 2.4.1).
fn refer_to(request: &Request) -> Option<NameAddr> {
    match request.headers.values("Refer-To").as_slice() {
        [one] => NameAddr::parse(one).ok(),
        _ => None,
    }
}

/// Whether the referrer wants notifications (RFC 4488).
fn kind_of(request: &Request) -> Kind {
    let unwanted = request.headers.get("Refer-Sub").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    Kind::Referred { status: 100, notified: !unwanted }
}
