//! The missed-call lamp: a message summary (RFC 3842) to a user's devices, to those that subscribed and, unasked, to the
//! others. What a response group offers never lights it, for its histories know no missed call (rule R6).

use std::collections::{HashMap, HashSet};

use base::{Duration, SubscriptionId, UserUri};
use call::{Body, NotifyState};
use rand::RngCore;
use sip_api::{Binding, CONTACT_PLACEHOLDER, Method, NameAddr, Request, SipCommand, SipUri};

use crate::event::EngineEvent;
use crate::{Effect, Engine};

/// The event package.
pub(crate) const EVENT: &str = "message-summary";

/// The media type of its documents.
const SIMPLE_MESSAGE_SUMMARY: &str = "application/simple-message-summary";

/// Missed calls that a user has not seen, and the subscriptions to them.
#[derive(Debug, Default)]
pub(crate) struct Lamps {
    missed: HashMap<UserUri, u32>,
    watchers: HashMap<SubscriptionId, Watcher>,
}

#[derive(Debug)]
struct Watcher {
    user: UserUri,
    /// The device that subscribed, as far as its Contact tells.
    device: Option<(String, Option<u16>)>,
}

impl Lamps {
    fn missed(&self, user: &UserUri) -> u32 {
        self.missed.get(user).copied().unwrap_or(0)
    }

    fn watchers(&self, user: &UserUri) -> Vec<SubscriptionId> {
        let of_user = self.watchers.iter().filter(|(_, watcher)| watcher.user == *user);
        let mut ids: Vec<SubscriptionId> = of_user.map(|(id, _)| *id).collect();
        // In one order, so that equal inputs have equal effects.
        ids.sort_unstable();
        ids
    }

    fn is_watching(&self, user: &UserUri, device: &Binding) -> bool {
        let device = Some(device_of(&device.contact));
        self.watchers.values().any(|watcher| watcher.user == *user && watcher.device == device)
    }
}

impl Engine {
    /// Missed calls a user had not seen when the server stopped.
    pub fn restore_missed_calls(&mut self, user: UserUri, count: u32) {
        self.lamps.missed.insert(user, count);
    }

    /// A user missed a call: his devices are told.
    pub(crate) fn note_missed_call(&mut self, user: &UserUri) {
        let missed = self.lamps.missed.entry(user.clone()).or_default();
        *missed = missed.saturating_add(1);
        let devices = self.tell_missed_calls(user, self.directory.bindings(user).to_vec());
        self.event(EngineEvent::MissedCallNotice { user: user.clone(), devices });
    }

    /// A user has seen his missed calls: the lamp goes out.
    pub(crate) fn on_missed_calls_seen(&mut self, user: &UserUri) {
        if self.lamps.missed.remove(user).is_some() {
            self.tell_missed_calls(user, self.directory.bindings(user).to_vec());
        }
    }

    /// The devices of a user changed: one that is new learns of the calls he missed.
    pub(crate) fn on_bindings_changed(&mut self, user: UserUri, bindings: Vec<Binding>) {
        let known: HashSet<SipUri> =
            self.directory.bindings(&user).iter().map(|binding| binding.contact.clone()).collect();
        let new = bindings.iter().filter(|binding| !known.contains(&binding.contact)).cloned().collect();
        self.directory.set_bindings(user.clone(), bindings);
        if self.lamps.missed(&user) > 0 {
            self.tell_unasked(&user, new);
        }
    }

    /// Tells subscribers and these devices. How many were told.
    fn tell_missed_calls(&mut self, user: &UserUri, devices: Vec<Binding>) -> usize {
        let watchers = self.lamps.watchers(user);
        for subscription in &watchers {
            self.summarize(*subscription, user);
        }
        watchers.len() + self.tell_unasked(user, devices)
    }

    fn tell_unasked(&mut self, user: &UserUri, devices: Vec<Binding>) -> usize {
        let devices: Vec<Binding> =
            devices.into_iter().filter(|device| !self.lamps.is_watching(user, device)).collect();
        for device in &devices {
            let notify = self.unasked_summary(user, device);
            let transaction = self.calls.allocate_transaction();
            self.effects.push_back(Effect::Sip(SipCommand::Send {
                transaction,
                request: notify,
                flow: Some(device.flow),
            }));
        }
        devices.len()
    }

    /// A NOTIFY that nobody subscribed to, as most telephone systems send it; a device that wants none answers 481.
    fn unasked_summary(&mut self, user: &UserUri, device: &Binding) -> Request {
        let (tag, call_id) = (self.random.next_u64(), self.random.next_u64());
        let mut request = Request::new(Method::Notify, device.contact.clone());
        for route in &device.path {
            request.headers.push("Route", route.to_string());
        }
        request.headers.push("From", format!("<{user}>;tag={tag:016x}"));
        request.headers.push("To", format!("<{user}>"));
        request.headers.push("Call-ID", format!("{call_id:016x}@{}", self.config.domain));
        request.headers.push("CSeq", "1 NOTIFY");
        request.headers.push("Contact", format!("<sip:{}@{CONTACT_PLACEHOLDER}>", self.config.call.contact_user));
        request.headers.push("Event", EVENT);
        request.headers.push("Subscription-State", "terminated");
        let body = self.summary(user);
        request.with_body(&body.content_type, body.bytes)
    }

    /// Missed calls stand in the class that every phone shows; there is no class of their own (RFC 3842 5.2).
    fn summary(&self, user: &UserUri) -> Body {
        let missed = self.lamps.missed(user);
        let waiting = if missed > 0 { "yes" } else { "no" };
        let text =
            format!("Messages-Waiting: {waiting}\r\nMessage-Account: {user}\r\nVoice-Message: {missed}/0 (0/0)\r\n");
        Body::new(SIMPLE_MESSAGE_SUMMARY, text)
    }

    fn summarize(&mut self, subscription: SubscriptionId, user: &UserUri) {
        let body = Some(self.summary(user));
        self.call(call::Input::Notify { subscription, body, state: NotifyState::Active });
    }

    /// A device wants to be told of its user's missed calls; nobody else may.
    pub(crate) fn on_summary_subscribed(
        &mut self,
        subscription: SubscriptionId,
        request: &Request,
        user: Option<UserUri>,
        expires: Duration,
    ) {
        let Some(user) = user else { return self.call(call::Input::ChallengeSubscription { subscription }) };
        let account = request.uri.user.as_deref().and_then(|name| self.config.own_user(name));
        let is_own = self.config.is_own_host(&request.uri.host) && account.as_ref() == Some(&user);
        if !is_own {
            return self.call(call::Input::RejectSubscription { subscription, status: 403, headers: Vec::new() });
        }
        if !request.headers.accepts(SIMPLE_MESSAGE_SUMMARY) {
            let headers = vec![("Accept".to_owned(), SIMPLE_MESSAGE_SUMMARY.to_owned())];
            return self.call(call::Input::RejectSubscription { subscription, status: 406, headers });
        }
        let contact = request.headers.get("Contact").and_then(|contact| NameAddr::parse(contact).ok());
        let device = contact.map(|contact| device_of(&contact.uri));
        self.lamps.watchers.insert(subscription, Watcher { user: user.clone(), device });
        self.call(call::Input::AcceptSubscription { subscription, expires });
        self.summarize(subscription, &user);
    }

    /// Whether a subscription that was refreshed is one to a message summary; the full state is due again then.
    pub(crate) fn is_summary_refreshed(&mut self, subscription: SubscriptionId) -> bool {
        let Some(user) = self.lamps.watchers.get(&subscription).map(|watcher| watcher.user.clone()) else {
            return false;
        };
        self.summarize(subscription, &user);
        true
    }

    /// Whether a subscription that ended was one to a message summary.
    pub(crate) fn is_summary_ended(&mut self, subscription: SubscriptionId) -> bool {
        self.lamps.watchers.remove(&subscription).is_some()
    }
}

fn device_of(contact: &SipUri) -> (String, Option<u16>) {
    (contact.host.to_ascii_lowercase(), contact.port)
}
