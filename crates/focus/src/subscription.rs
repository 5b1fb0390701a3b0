//! Who is told of changes, what, and when (c3p.md 3.1, 8.4).
//!
//! The first change after a quiet moment is published at once. Those that follow it closely wait until the interval is
//! over and go out as one document, shared by everybody; who subscribes meanwhile gets the whole roster at the same
//! moment. A dial-out is the exception: it is shown before what became of it. So n people who join at once cost each of them a few documents and not n, and every subscriber is at every
//! moment at the same state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base::{LegId, SubscriptionId, Timestamp, UserUri};

use crate::Focus;
use crate::command::Requester;
use crate::control::Rights;
use crate::document::{ConferenceState, ElementState, RosterDocument};
use crate::output::{Output, SubscriptionEnd};
use crate::timers::Timer;

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
    /// Those who are owed the whole roster: new ones, and those who ask for it again.
    owed: BTreeSet<SubscriptionId>,
    /// When the last document went out.
    last_sent: Option<Timestamp>,
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
        let last_state = ConferenceState { user_count: 0, active: false, locked, mutes_attendees: false };
        Self {
            all: BTreeMap::new(),
            of_user: BTreeMap::new(),
            owed: BTreeSet::new(),
            last_sent: None,
            left: Vec::new(),
            redescribe: false,
            last_state,
        }
    }

    /// Notes that a user's last endpoint is gone, and with it his right to watch.
    pub(crate) fn user_left(&mut self, user: &UserUri) {
        if self.of_user.contains_key(user) {
            self.left.push(user.clone());
        }
    }

    fn remove(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.all.remove(&id)?;
        self.owed.remove(&id);
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
    /// Admits a subscriber, who gets everything with the next document; a known one gets everything again, so that a client that lost a
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
        self.subscriptions.owed.insert(id);
    }

    /// Ends a subscription on its owner's wish.
    pub(crate) fn unsubscribe(&mut self, id: SubscriptionId) {
        self.subscriptions.remove(id);
    }

    /// Sends what changed since the last document, if anything did and the last one is not too fresh: one document,
    /// shared by everybody. Then the outcomes go that waited for it. Nothing waits when somebody is sent away, so that
    /// he is told before his dialog ends, or when nobody watches.
    pub(crate) fn publish(&mut self, now: Timestamp) {
        if self.has_news()
            && !self.subscriptions.all.is_empty()
            && !self.outbox.hangs_up()
            && let Some(due) = self.subscriptions.last_sent.map(|at| at + self.config.roster_interval)
            && due > now
        {
            return self.timers.set(Timer::Roster, due);
        }
        self.publish_now(now);
    }

    /// Sees to it that a dial-out is shown as such before anything is shown to have become of it (c3p.md 8.4), however
    /// fast it is answered or refused.
    pub(crate) fn show_dial_out(&mut self, now: Timestamp, leg: LegId) {
        if self.roster.is_unseen_dial_out(leg) {
            self.publish_now(now);
        }
    }

    /// Whether subscribers still have to be told something.
    pub fn has_news(&self) -> bool {
        let subscriptions = &self.subscriptions;
        let has_changed = subscriptions.redescribe || subscriptions.last_state != self.conference_state();
        !self.is_ended() && (has_changed || self.roster.has_changes() || !subscriptions.owed.is_empty())
    }

    fn publish_now(&mut self, now: Timestamp) {
        self.timers.cancel(Timer::Roster);
        let users = self.roster.publish();
        let conference = self.conference_state();
        let state_changed = std::mem::replace(&mut self.subscriptions.last_state, conference) != conference;
        let redescribe = std::mem::take(&mut self.subscriptions.redescribe);
        let owed = std::mem::take(&mut self.subscriptions.owed);
        if !users.is_empty() || state_changed || redescribe {
            let state = ElementState::Partial;
            let description = redescribe.then(|| Arc::new(self.description()));
            let changes = Arc::new(RosterDocument { state, description, conference, users });
            self.notify(now, &changes, |id| !owed.contains(&id));
        }
        if !owed.is_empty() {
            let everything = self.roster_document();
            self.notify(now, &everything, |id| owed.contains(&id));
        }
        for user in std::mem::take(&mut self.subscriptions.left) {
            self.dismiss_watcher(&user);
        }
        self.outbox.release();
    }

    /// Tells everybody that there is no conference any more.
    pub(crate) fn publish_end(&mut self, now: Timestamp) {
        let conference = self.conference_state();
        let (state, users) = (ElementState::Deleted, Vec::new());
        // Who has had no document yet is refused rather than told of an end.
        let all = &self.subscriptions.all;
        let begun: BTreeSet<_> = all.iter().filter(|(_, held)| held.version > 0).map(|(id, _)| *id).collect();
        let end = Arc::new(RosterDocument { state, description: None, conference, users });
        self.notify(now, &end, |id| begun.contains(&id));
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
            self.subscriptions.owed.remove(&id);
            self.subscription_ended(id, SubscriptionEnd::Left);
        }
    }

    /// Sends a document to those who are meant, each under his own next version.
    fn notify(&mut self, now: Timestamp, document: &Arc<RosterDocument>, is_meant: impl Fn(SubscriptionId) -> bool) {
        for (&subscription, held) in self.subscriptions.all.iter_mut().filter(|(id, _)| is_meant(**id)) {
            held.version += 1;
            self.subscriptions.last_sent = Some(now);
            let (version, document) = (held.version, Arc::clone(document));
            self.outbox.push(Output::Notify { subscription, version, document });
        }
    }

    fn subscription_ended(&mut self, subscription: SubscriptionId, reason: SubscriptionEnd) {
        self.outbox.push(Output::SubscriptionEnded { subscription, reason });
    }
}
