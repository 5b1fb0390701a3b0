//! Roster subscriptions: SUBSCRIBE to the Focus, its documents to NOTIFY (RFC 4575, RFC 6665).

use std::sync::Arc;

use base::{ConferenceId, Duration, LegId, SubscriptionId, UserUri};
use call::{Body, NotifyState};
use focus::{Requester, RosterDocument, SubscriptionEnd};
use sip_api::Request;

use crate::Engine;
use crate::control::factory::opaque;
use crate::control::roster_document::conference_info;
use crate::target::Target;

/// The event package of rosters.
const EVENT: &str = "conference";

/// The media type of rosters.
const CONFERENCE_INFO: &str = "application/conference-info+xml";

/// A roster subscription.
#[derive(Debug)]
pub(crate) struct Watch {
    conference: ConferenceId,
    /// How long it is wanted, while its SUBSCRIBE waits for the Focus's word.
    wanted: Option<Duration>,
}

/// The last document made, so that a thousand subscribers cost one rendering.
#[derive(Debug)]
pub(crate) struct Rendered {
    document: Arc<RosterDocument>,
    prepared: c3p::conference_info::PreparedInfo,
}

impl Engine {
    /// Somebody wants to be told of changes.
    pub(crate) fn on_subscribed(
        &mut self,
        subscription: SubscriptionId,
        leg: Option<LegId>,
        event: &str,
        request: &Request,
        user: Option<UserUri>,
        expires: Duration,
    ) {
        if !event.eq_ignore_ascii_case(EVENT) {
            let known = format!("{EVENT}, {}", crate::people::message_summary::EVENT);
            return self.reject_subscription(subscription, 489, vec![("Allow-Events".to_owned(), known)]);
        }
        let in_dialog = leg.map(|leg| self.conference_leg(leg)).filter(|leg| self.legs.contains_key(leg));
        let (conference, requester) = match (in_dialog, self.target(&request.uri), user) {
            (Some(leg), ..) => (self.legs[&leg].conference.clone(), Requester::Participant(leg)),
            (None, Target::Focus(conference) | Target::AudioVideo(conference), Some(user)) => {
                (conference, Requester::Authenticated(user))
            }
            (None, Target::Focus(_) | Target::AudioVideo(_), None) => {
                return self.call(call::Input::ChallengeSubscription { subscription });
            }
            (None, ..) => return self.reject_subscription(subscription, 404, Vec::new()),
        };
        if self.conferences.get(&conference).is_none_or(focus::Focus::is_ended) {
            // Only those who are in may watch, and nobody is in a conference that is not active (c3p.md 3.1).
            return self.reject_subscription(subscription, 403, Vec::new());
        }
        self.subscriptions.insert(subscription, Watch { conference: conference.clone(), wanted: Some(expires) });
        self.focus(&conference, focus::Input::Subscribe { subscription, requester });
    }

    fn reject_subscription(&mut self, subscription: SubscriptionId, status: u16, headers: call::ExtraHeaders) {
        self.call(call::Input::RejectSubscription { subscription, status, headers });
    }

    /// The full state is due again.
    pub(crate) fn on_subscription_refreshed(&mut self, subscription: SubscriptionId) {
        let watch = self.subscriptions.get(&subscription);
        if let Some(conference) = watch.map(|watch| watch.conference.clone()) {
            self.focus(&conference, focus::Input::Subscribe { subscription, requester: Requester::Operator });
        }
    }

    /// The subscriber has gone.
    pub(crate) fn on_subscription_ended(&mut self, subscription: SubscriptionId) {
        if let Some(Watch { conference, .. }) = self.subscriptions.remove(&subscription) {
            self.focus(&conference, focus::Input::Unsubscribe { subscription });
        }
    }

    /// A document for one subscriber; the first one says that he may watch.
    pub(crate) fn notify(
        &mut self,
        conference: &ConferenceId,
        subscription: SubscriptionId,
        version: u32,
        document: &Arc<RosterDocument>,
    ) {
        let is_rendered = self.rendered.as_ref().is_some_and(|last| Arc::ptr_eq(&last.document, document));
        if !is_rendered {
            let Some(record) = self.directory.conference(conference) else { return };
            let mut info = conference_info(&Self::focus_uri(record), document, self.config.unix_start_ms);
            let data =
                self.directory.schedule(conference).and_then(|schedule| opaque(schedule.notification_data.as_deref()));
            if let Some(description) = &mut info.description {
                description.notification_data = data;
            }
            let prepared = info.prepare();
            self.rendered = Some(Rendered { document: Arc::clone(document), prepared });
        }
        let Some(Rendered { prepared, .. }) = &self.rendered else { return };
        let body = Body::new(CONFERENCE_INFO, prepared.with_version(version));
        let wanted = self.subscriptions.get_mut(&subscription).and_then(|watch| watch.wanted.take());
        if let Some(expires) = wanted {
            self.call(call::Input::AcceptSubscription { subscription, expires });
        }
        self.call(call::Input::Notify { subscription, body: Some(body), state: NotifyState::Active });
    }

    /// The Focus ends a subscription, or refuses it.
    pub(crate) fn end_subscription(&mut self, subscription: SubscriptionId, reason: SubscriptionEnd) {
        let watch = self.subscriptions.remove(&subscription);
        if watch.is_some_and(|watch| watch.wanted.is_some()) {
            let status = match reason {
                SubscriptionEnd::Forbidden => 403,
                SubscriptionEnd::LimitReached => 503,
                SubscriptionEnd::Left | SubscriptionEnd::ConferenceEnded => 404,
            };
            return self.reject_subscription(subscription, status, Vec::new());
        }
        // RFC 6665 4.1.3: `noresource` ends it for good, `rejected` says that the subscriber may not.
        let reason = match reason {
            SubscriptionEnd::Forbidden => "rejected",
            SubscriptionEnd::LimitReached => "giveup",
            SubscriptionEnd::Left | SubscriptionEnd::ConferenceEnded => "noresource",
        };
        let state = NotifyState::Terminated(reason.to_owned());
        self.call(call::Input::Notify { subscription, body: None, state });
    }
}
