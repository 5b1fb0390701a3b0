//! Who is told of changes, and what (c3p.md 3.1, 8.4).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{SubscriptionId, UserUri};

use crate::Focus;
use crate::command::Requester;
use crate::control::Rights;
use crate::document::{ConferenceState, ElementState, RosterDocument};
use crate::output::{Output, SubscriptionEnd};

#[derive(Debug)]
struct Subscription {
    /// Whose it is; `None` is the operator's.
    user: Option<UserUri>,
    /// Of the last document sent.
    version: u32,
}

/// The subscriptions of a conference.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    all: BTreeMap<SubscriptionId, Subscription>,
    of_user: BTreeMap<UserUri, BTreeSet<SubscriptionId>>,
    /// Users who left since the last document. They still get the one that says so.
    left: Vec<UserUri>,
    /// The description is another since the last document.
    pub(crate) redescribe: bool,
    /// What the last document said of the conference as a whole.
    last_state: ConferenceState,
}

impl Subscriptions {
    /// None yet, of a conference nobody is in.
    pub(crate) fn new(locked: bool) -> Self {
        let last_state = ConferenceState { user_count: 0, active: false, locked };
        Self { all: BTreeMap::new(), of_user: BTreeMap::new(), left: Vec::new(), redescribe: false, last_state }
    }

    /// Notes that a user's last endpoint is gone, and with it his right to watch.
    pub(crate) fn user_left(&mut self, user: &UserUri) {
        if self.of_user.contains_key(user) {
            self.left.push(user.clone());
        }
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.all.remove(&id)?;
        if let Some(user) = &subscription.user
            && let Some(own) = self.of_user.get_mut(user)
        {
            own.remove(&id);
            if own.is_empty() {
                self.of_user.remove(user);
            }
        }
        Some(subscription)
    }
}

impl Focus {
    /// Admits a subscriber and sends him everything; a known one gets everything again, so that a client that lost a
    /// document finds its way back. Participants may watch, the organizer and the operator also from outside.
    pub(crate) fn subscribe(&mut self, id: SubscriptionId, requester: &Requester) {
        if !self.subscriptions.all.contains_key(&id) {
            let rights = self.rights(requester);
            if !self.may_watch(&rights) {
                return self.subscription_ended(id, SubscriptionEnd::Forbidden);
            }
            if self.subscriptions.all.len() >= self.config.limits.subscriptions_per_conference {
                return self.subscription_ended(id, SubscriptionEnd::LimitReached);
            }
            if let Some(user) = &rights.user {
                self.subscriptions.of_user.entry(user.clone()).or_default().insert(id);
            }
            self.subscriptions.all.insert(id, Subscription { user: rights.user, version: 0 });
        }
        let document = self.roster_document();
        self.notify(id, document);
    }

    /// Ends a subscription on its owner's wish.
    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(id);
    }

    /// Sends what changed since the last document, if anything did: one document, shared by everybody.
    pub(crate) fn publish(&mut self) {
        let users = self.roster.publish();
        let conference = self.roster.state(self.locked);
        let state_changed = std::mem::replace(&mut self.subscriptions.last_state, conference) != conference;
        let redescribe = std::mem::take(&mut self.subscriptions.redescribe);
        if users.is_empty() && !state_changed && !redescribe {
            return;
        }
        let state = ElementState::Partial;
        let description = redescribe.then(|| Arc::new(self.description()));
        self.notify_all(Arc::new(RosterDocument { state, description, conference, users }));
        for user in std::mem::take(&mut self.subscriptions.left) {
            self.dismiss_watcher(&user);
        }
    }

    /// Tells everybody that there is no conference any more.
    pub(crate) fn publish_end(&mut self) {
        let conference = self.roster.state(self.locked);
        let (state, users) = (ElementState::Deleted, Vec::new());
        self.notify_all(Arc::new(RosterDocument { state, description: None, conference, users }));
        for (id, _) in std::mem::take(&mut self.subscriptions.all) {
            self.subscription_ended(id, SubscriptionEnd::ConferenceEnded);
        }
    }

    /// Participants, the organizer and the operator; never on an unproven word.
    pub(crate) fn may_watch(&self, rights: &Rights) -> bool {
        rights.role.is_some() && rights.user.as_ref().is_none_or(|user| self.is_watcher(user))
    }

    fn is_watcher(&self, user: &UserUri) -> bool {
        *user == self.record.organizer || self.roster.user(user).is_some_and(|user| !user.is_waiting())
    }

    fn dismiss_watcher(&mut self, user: &UserUri) {
        if self.is_watcher(user) {
            return;
        }
        for id in self.subscriptions.of_user.remove(user).unwrap_or_default() {
            self.subscriptions.all.remove(&id);
            self.subscription_ended(id, SubscriptionEnd::Left);
        }
    }

    fn notify_all(&mut self, document: Arc<RosterDocument>) {
        for (&subscription, held) in &mut self.subscriptions.all {
            held.version += 1;
            let (version, document) = (held.version, Arc::clone(&document));
            self.outbox.push(Output::Notify { subscription, version, document });
        }
    }

    fn notify(&mut self, subscription: SubscriptionId, document: Arc<RosterDocument>) {
        let Some(held) = self.subscriptions.all.get_mut(&subscription) else { return };
        held.version += 1;
        self.outbox.push(Output::Notify { subscription, version: held.version, document });
    }

    fn subscription_ended(&mut self, subscription: SubscriptionId, reason: SubscriptionEnd) {
        self.outbox.push(Output::SubscriptionEnded { subscription, reason });
    }
}
