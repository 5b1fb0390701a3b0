//! Subscriptions at us (RFC 6665, we are the notifier): their dialogs, their time, and notifications in order.

use std::collections::VecDeque;

use base::{Duration, SubscriptionId, Timestamp, UserUri};
use bytes::Bytes;
use sip_api::{Flow, Method, Request, Response, ServerTransactionId, SipCommand, Transport};

use crate::dialog::Dialog;
use crate::dialogs::DialogId;
use crate::input::{Body, ExtraHeaders, NotifyState};
use crate::leg::Leg;
use crate::message::{WithBody, push_extra};
use crate::output::Output;
use crate::timer::Timer;
use crate::transaction::{ClientTransaction, Failure, Purpose};
use crate::{Calls, Cx};

/// The time of a subscription without `Expires`, such as RFC 4575 3.4 sets for conferences.
const DEFAULT_EXPIRES: u64 = 3_600;

/// How a subscription ends whose document the subscriber cannot be sent: he may try again when it may have become shorter, or
/// at once over a connection (RFC 6665 4.1.3, RFC 3326).
const TOO_LONG_STATE: &str = "terminated;reason=probation;retry-after=600";
const TOO_LONG_REASON: &str = "SIP;cause=513;text=\"Document longer than a datagram, subscribe over TCP\"";

/// The option of a subscriber who wants notifications that he need not answer (c3p.md 3.1).
const UNANSWERED: &str = "ms-benotify";

/// The method of such a notification.
const BENOTIFY: &str = "BENOTIFY";

/// A subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) dialog: DialogId,
    /// The `Event` value, with its `id`.
    pub(crate) event: String,
    pub(crate) kind: Kind,
    pub(crate) stage: Stage,
    queue: VecDeque<(Option<Body>, NotifyState)>,
    under_way: bool,
    /// Notifications are not answered, so none waits for another.
    unanswered: bool,
}

/// What opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A SUBSCRIBE.
    Asked,
    /// A REFER (RFC 3515 2.4.4).
    Referred {
        /// The status last told.
        status: u16,
        /// False when the referrer wants no notifications (RFC 4488).
        notified: bool,
    },
}

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Above has not decided.
    Pending(ServerTransactionId),
    /// It runs until then.
    Active(Timestamp),
    /// A mere fetch: the next notification is the last.
    Fetched,
    /// The last notification is in the queue.
    Closing,
}

impl Subscription {
    pub(crate) fn new(dialog: DialogId, event: String, kind: Kind, transaction: ServerTransactionId) -> Self {
        let stage = Stage::Pending(transaction);
        Self { dialog, event, kind, stage, queue: VecDeque::new(), under_way: false, unanswered: false }
    }
}

impl Calls {
    /// A SUBSCRIBE outside any dialog.
    pub(crate) fn on_subscribe(
        &mut self,
        cx: &mut Cx<'_>,
        transaction: ServerTransactionId,
        request: Request,
        flow: Flow,
        user: Option<UserUri>,
    ) {
        if let Some(response) = self.subscription_refusal(&request) {
            return self.push_response(transaction, response);
        }
        let Ok(dialog) = Dialog::from_request(&request, flow, &cx.token(), self.default_contact()) else {
            return self.respond(transaction, 400);
        };
        let dialog = self.dialogs.insert(dialog, user.clone(), None);
        self.open_subscription(cx, dialog, transaction, request, user);
    }

    /// A SUBSCRIBE in a dialog: a refresh, the end of a subscription, or a new one.
    pub(crate) fn on_subscribe_inside(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        transaction: ServerTransactionId,
        request: Request,
        user: Option<UserUri>,
    ) {
        if let Some(response) = self.subscription_refusal(&request) {
            return self.push_response(transaction, response);
        }
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        entry.dialog.refresh_target(&request.headers);
        let event = request.headers.get("Event").unwrap_or("");
        let same =
            |id: &&SubscriptionId| self.subscriptions.get(id).is_some_and(|known| same_event(&known.event, event));
        let known = entry.subscriptions.iter().find(same).copied();
        let user = user.or_else(|| entry.user.clone());
        let stands = entry.leg.and_then(|id| self.legs.get(&id)).is_some_and(Leg::is_answered);
        match known {
            Some(id) => self.refresh_subscription(cx, id, dialog, transaction, &request),
            None if stands => self.open_subscription(cx, dialog, transaction, request, user),
            None => self.respond_in(dialog, transaction, 481),
        }
    }

    /// Why a SUBSCRIBE cannot be considered.
    fn subscription_refusal(&self, request: &Request) -> Option<Response> {
        let expires = wanted_expires(request);
        let Some(expires) = expires else { return Some(Response::new(400)) };
        if request.headers.get("Event").is_none() {
            return Some(Response::new(489));
        }
        if request.to_tag().is_none() && self.subscriptions.len() >= self.config.subscriptions {
            return Some(Response::new(503));
        }
        let minimum = self.config.subscription_min;
        let brief = !expires.is_zero() && expires < minimum;
        brief.then(|| Response::new(423).with_header("Min-Expires", minimum.as_secs().to_string()))
    }

    fn open_subscription(
        &mut self,
        cx: &mut Cx<'_>,
        dialog: DialogId,
        transaction: ServerTransactionId,
        request: Request,
        user: Option<UserUri>,
    ) {
        let event = request.headers.get("Event").unwrap_or("").to_owned();
        let package = event.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let expires = wanted_expires(&request).unwrap_or_default();
        let mut subscription = Subscription::new(dialog, event, Kind::Asked, transaction);
        subscription.unanswered = self.wants_no_answers(dialog, &request);
        let Some(id) = self.add_subscription(cx, subscription) else {
            return self.respond_in(dialog, transaction, 503);
        };
        let leg = self.dialogs.get(dialog).and_then(|entry| entry.leg);
        let request = Box::new(request);
        self.push(Output::Subscribed { subscription: id, leg, event: package, request, user, expires });
    }

    /// Whether a subscriber is to be sent BENOTIFY. Not over UDP, where nobody would notice that one was lost, nor through a
    /// proxy, which may have to go on by it.
    fn wants_no_answers(&self, dialog: DialogId, request: &Request) -> bool {
        let flow = self.dialogs.get(dialog).and_then(|entry| entry.dialog.flow());
        let is_reliable = flow.is_some_and(|flow| flow.transport != Transport::Udp);
        is_reliable && request.headers.has_token("Supported", UNANSWERED)
    }

    /// Files a new subscription, which above must decide about; `None` when there are too many.
    pub(crate) fn add_subscription(&mut self, cx: &mut Cx<'_>, subscription: Subscription) -> Option<SubscriptionId> {
        if self.subscriptions.len() >= self.config.subscriptions {
            return None;
        }
        let id = SubscriptionId(self.allocate());
        self.dialogs.get_mut(subscription.dialog)?.subscriptions.push(id);
        self.subscriptions.insert(id, subscription);
        self.timers.set(Timer::Subscription(id), cx.now + self.config.decision_limit);
        Some(id)
    }

    /// Above takes a subscription on.
    pub(crate) fn accept_subscription(&mut self, cx: &mut Cx<'_>, id: SubscriptionId, expires: Duration) {
        let asked = self.subscriptions.get(&id).filter(|known| known.kind == Kind::Asked);
        let Some(Stage::Pending(transaction)) = asked.map(|known| known.stage) else { return self.ignore() };
        self.activate(cx, id, transaction, 200, expires.min(self.config.subscription_max));
    }

    /// Answers what opened a subscription with 2xx.
    pub(crate) fn activate(
        &mut self,
        cx: &mut Cx<'_>,
        id: SubscriptionId,
        transaction: ServerTransactionId,
        status: u16,
        expires: Duration,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        let (dialog, kind) = (subscription.dialog, subscription.kind);
        let (stage, limit) = match expires.is_zero() {
            true => (Stage::Fetched, self.config.decision_limit),
            false => (Stage::Active(cx.now + expires), expires),
        };
        subscription.stage = stage;
        self.timers.set(Timer::Subscription(id), cx.now + limit);
        let unanswered = subscription.unanswered;
        let mut response = self.subscription_response(dialog, status, (kind == Kind::Asked).then_some(expires));
        if unanswered {
            response.headers.push("Supported", UNANSWERED);
        }
        if matches!(kind, Kind::Referred { notified: false, .. }) {
            response.headers.push("Refer-Sub", "false");
        }
        self.push_response(transaction, response);
    }

    fn subscription_response(&self, dialog: DialogId, status: u16, expires: Option<Duration>) -> Response {
        let mut response = self.response_in(dialog, status);
        if let Some(expires) = expires {
            response.headers.push("Expires", expires.as_secs().to_string());
        }
        if let Some(entry) = self.dialogs.get(dialog) {
            response.headers.push("Contact", entry.dialog.contact());
        }
        response
    }

    /// Above refuses a subscription or a transfer.
    pub(crate) fn reject_subscription(&mut self, id: SubscriptionId, status: u16, headers: &ExtraHeaders) {
        if status == 401 {
            return self.challenge_subscription(id);
        }
        let Some(Stage::Pending(transaction)) = self.subscriptions.get(&id).map(|known| known.stage) else {
            return self.ignore();
        };
        let dialog = self.subscriptions.get(&id).map(|known| known.dialog);
        let status = if (300..700).contains(&status) { status } else { 500 };
        let mut response = dialog.map_or_else(|| Response::new(status), |dialog| self.response_in(dialog, status));
        push_extra(&mut response.headers, headers);
        self.push_response(transaction, response);
        self.remove_subscription(id, false);
    }

    /// Above wants to know who subscribes.
    pub(crate) fn challenge_subscription(&mut self, id: SubscriptionId) {
        let Some(Stage::Pending(transaction)) = self.subscriptions.get(&id).map(|known| known.stage) else {
            return self.ignore();
        };
        self.push(Output::Sip(SipCommand::Challenge { transaction }));
        self.remove_subscription(id, false);
    }

    fn refresh_subscription(
        &mut self,
        cx: &mut Cx<'_>,
        id: SubscriptionId,
        dialog: DialogId,
        transaction: ServerTransactionId,
        request: &Request,
    ) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        match subscription.stage {
            Stage::Active(_) => {}
            Stage::Pending(_) | Stage::Fetched => {
                let response = self.response_in(dialog, 500).with_header("Retry-After", "2");
                return self.push_response(transaction, response);
            }
            Stage::Closing => return self.respond_in(dialog, transaction, 481),
        }
        let expires = wanted_expires(request).unwrap_or_default().min(self.config.subscription_max);
        let response = self.subscription_response(dialog, 200, Some(expires));
        self.push_response(transaction, response);
        if expires.is_zero() {
            return self.close_subscription(cx, id, "timeout");
        }
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        subscription.stage = Stage::Active(cx.now + expires);
        self.timers.set(Timer::Subscription(id), cx.now + expires);
        match subscription.kind {
            Kind::Asked => self.push(Output::SubscriptionRefreshed { subscription: id }),
            Kind::Referred { status, .. } => self.tell_referrer(cx, id, status),
        }
    }

    /// Above notifies.
    pub(crate) fn notify(&mut self, cx: &mut Cx<'_>, id: SubscriptionId, body: Option<Body>, state: NotifyState) {
        let room = self.config.notifications_waiting;
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return self.ignore() };
        let state = match subscription.stage {
            Stage::Active(_) => state,
            Stage::Fetched => NotifyState::Terminated("timeout".to_owned()),
            Stage::Pending(_) | Stage::Closing => return self.ignore(),
        };
        if state != NotifyState::Active {
            subscription.stage = Stage::Closing;
            self.timers.clear(Timer::Subscription(id));
        } else if subscription.queue.len() >= room {
            subscription.queue.clear();
            return self.push(Output::SubscriptionRefreshed { subscription: id });
        }
        subscription.queue.push_back((body, state));
        self.next_notify(cx, id);
    }

    /// Ends a subscription from this side, without a document.
    fn close_subscription(&mut self, cx: &mut Cx<'_>, id: SubscriptionId, reason: &str) {
        let Some(subscription) = self.subscriptions.get_mut(&id) else { return };
        subscription.queue.clear();
        self.notify(cx, id, None, NotifyState::Terminated(reason.to_owned()));
    }

    /// Sends the next notification if none is under way; all of them when they are not answered.
    fn next_notify(&mut self, cx: &mut Cx<'_>, id: SubscriptionId) {
        while let Some(subscription) = self.subscriptions.get_mut(&id).filter(|known| !known.under_way)
            && let Some((body, state)) = subscription.queue.pop_front()
        {
            subscription.under_way = !subscription.unanswered;
            let last = state != NotifyState::Active;
            let line = match (&state, subscription.stage) {
                (NotifyState::Terminated(reason), _) => format!("terminated;reason={reason}"),
                (NotifyState::Active, Stage::Active(until)) => {
                    format!("active;expires={}", until.since(cx.now).as_secs())
                }
                (NotifyState::Active, _) => "active".to_owned(),
            };
            let (dialog, event) = (subscription.dialog, subscription.event.clone());
            let complete = |mut notify: Request| {
                notify.headers.push("Event", event);
                notify.headers.push("Subscription-State", line);
                notify.with(body.as_ref())
            };
            match subscription.unanswered {
                true => self.send_unanswered(dialog, complete),
                false => _ = self.send_in_dialog(Purpose::Notify(id), dialog, Method::Notify, complete),
            }
            if last {
                self.remove_subscription(id, true);
            }
        }
    }

    /// Sends a notification in a dialog as BENOTIFY.
    fn send_unanswered(&mut self, dialog: DialogId, complete: impl FnOnce(Request) -> Request) {
        let Some(entry) = self.dialogs.get_mut(dialog) else { return };
        let (mut request, flow) = (complete(entry.dialog.request(Method::Notify)), entry.dialog.flow());
        request.method = Method::Other(BENOTIFY.to_owned());
        request.headers.set("CSeq", format!("{} {BENOTIFY}", request.cseq().unwrap_or_default()));
        request.headers.push("Supported", UNANSWERED);
        request.headers.push("Proxy-Require", UNANSWERED);
        self.push(Output::Sip(SipCommand::SendUnanswered { request, flow }));
    }

    /// A NOTIFY was taken.
    pub(crate) fn on_notify_answer(&mut self, cx: &mut Cx<'_>, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id) {
            subscription.under_way = false;
            self.next_notify(cx, id);
        }
    }

    /// A NOTIFY failed: by some statuses, and without any, the subscription is over (RFC 6665 4.2.2, RFC 5057).
    pub(crate) fn on_notify_refusal(&mut self, cx: &mut Cx<'_>, id: SubscriptionId, failure: &Failure) {
        let over = matches!(failure.status, None | Some(404 | 405 | 408 | 410 | 416 | 480..=485 | 489 | 501 | 604));
        if !over {
            return self.on_notify_answer(cx, id);
        }
        self.remove_subscription(id, true);
    }

    /// A NOTIFY is too long for the subscriber, or for the way to him: without its document it says that the subscription
    /// is over, and why. The one that was the last is said again; its subscription is forgotten already.
    pub(crate) fn on_notify_too_long(&mut self, mut transaction: ClientTransaction, id: SubscriptionId) {
        let request = &mut transaction.request;
        if !request.body.is_empty() {
            request.body = Bytes::new();
            request.headers.remove("Content-Type");
            request.headers.set("Subscription-State", TOO_LONG_STATE);
            request.headers.push("Reason", TOO_LONG_REASON);
            self.send_again(transaction);
        }
        self.remove_subscription(id, true);
    }

    /// A subscription ran out, or nobody above took it on.
    pub(crate) fn on_subscription_timer(&mut self, cx: &mut Cx<'_>, id: SubscriptionId) {
        match self.subscriptions.get(&id).map(|known| known.stage) {
            Some(Stage::Pending(_)) => self.reject_subscription(id, 500, &ExtraHeaders::new()),
            Some(Stage::Active(_) | Stage::Fetched) => self.close_subscription(cx, id, "timeout"),
            Some(Stage::Closing) | None => {}
        }
    }

    /// Forgets a subscription; a transfer's ends silently, because above has said its last word on it.
    pub(crate) fn remove_subscription(&mut self, id: SubscriptionId, announced: bool) {
        let Some(subscription) = self.subscriptions.remove(&id) else { return };
        self.timers.clear(Timer::Subscription(id));
        if let Some(entry) = self.dialogs.get_mut(subscription.dialog) {
            entry.subscriptions.retain(|known| *known != id);
        }
        self.dialogs.release(subscription.dialog);
        if announced && subscription.kind == Kind::Asked {
            self.push(Output::SubscriptionEnded { subscription: id });
        }
    }
}

/// `Expires` of a SUBSCRIBE; `None` when it cannot be read.
fn wanted_expires(request: &Request) -> Option<Duration> {
    let seconds = request.headers.get("Expires").map_or(Ok(DEFAULT_EXPIRES), str::parse).ok()?;
    Some(Duration::from_secs(seconds.min(u64::from(u32::MAX))))
}

/// Whether two `Event` values name one subscription: same package, same `id` (RFC 6665 8.2.1).
fn same_event(one: &str, other: &str) -> bool {
    let parts = |value: &str| {
        let package = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        (package, sip_api::header_parameter(value, "id").map(str::to_owned))
    };
    parts(one) == parts(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_compared_by_package_and_id() {
        assert!(same_event("Conference", "conference;x=1"));
        assert!(same_event("refer;id=2", "refer; id=2"));
        assert!(!same_event("refer;id=2", "refer;id=3"));
        assert!(!same_event("refer;id=2", "refer"));
    }
}
