//! SIP calls as one pure machine: dialogs, offers to several devices, early media, session timers, re-negotiation,
//! transfer and subscriptions.
//!
//! Decides how a leg is set up, kept and ended by SIP's rules, who wins an offer, and that every leg ends exactly once.
//! Must not know transports and transactions (the edge has them, see `sip_api`), what is in a body, C3P, or what a
//! conference is.
//!
//! The caller feeds every event of the edge and every decision as an [`Input`], drains [`Calls::poll_output`] after
//! each, hands [`Output::Sip`] to the edge, and calls [`Calls::handle_timeout`] when [`Calls::poll_timeout`] is due. The
//! edge owes each request of ours a final response or a failure, as `sip_api` promises.
//!
//! Start reading at [`Input`] and [`Output`], then [`Calls::handle`]; the states of a leg are in `leg.rs`, and
//! `tests/golden/leg_table.txt` shows what each of them does with each arrival.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod awaited;
mod config;
mod credentials;
mod dialog;
mod dialogs;
mod early;
mod ending;
mod incoming;
mod info;
mod input;
mod late_offer;
mod leg;
mod message;
mod offer_set;
mod outgoing;
mod output;
mod peer;
mod refer;
mod refresh;
mod registration;
mod reliable;
mod reoffer;
mod request;
mod restore;
mod session_timer;
mod subscription;
mod timer;
mod transaction;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use base::{Duration, LegId, OfferId, SubscriptionId, Timestamp, UserUri};
use sip_api::{Binding, ClientFailure, ClientTransactionId, ServerTransactionId, SipEvent};

use crate::dialogs::Dialogs;
use crate::leg::{Caller, Leg, LegState};
use crate::offer_set::OfferSet;
use crate::session_timer::Policy;
use crate::subscription::Subscription;
use crate::timer::{Timer, Timers};
use crate::transaction::ClientTransaction;

pub use config::CallConfig;
pub use credentials::{Credentials, Unanswered};
pub use input::{Body, Dial, ExtraHeaders, Input, NotifyState, RingMode, Target};
pub use output::{Invitation, Output};
pub use registration::{Registration, RegistrationStatus};
pub use restore::{DialogRecord, WrittenFlow};

/// Randomness as an argument: each call returns 64 fresh, unpredictable bits. Tags and Call-IDs are made of it.
pub type Random<'a> = &'a mut dyn FnMut() -> u64;

/// All dialogs of one engine shard.
///
/// After each `handle` and `handle_timeout` the caller drains [`Calls::poll_output`]. An input that arrived before a
/// timer was dequeued is handled first: an answer beats the ring limit of the same tick (routing.md 2.7).
#[derive(Debug)]
pub struct Calls {
    config: CallConfig,
    policy: Policy,
    dialogs: Dialogs,
    legs: BTreeMap<LegId, Leg>,
    offers: BTreeMap<OfferId, OfferSet>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// Requests of ours.
    clients: BTreeMap<ClientTransactionId, ClientTransaction>,
    /// BYEs of ours without a final response, by the leg they end: a leg may have several, one for each device.
    byes: BTreeMap<LegId, usize>,
    /// Dialogs of answers that nobody wanted, until their BYE is over.
    unwanted: BTreeMap<LegId, DialogRecord>,
    /// INVITE requests of peers, until they are refused or their 2xx is acknowledged.
    servers: BTreeMap<ServerTransactionId, LegId>,
    /// INFO requests of peers that above has not answered.
    infos: BTreeMap<ServerTransactionId, LegId>,
    /// The INVITE requests behind the incoming legs, for recognising merged ones.
    callers: HashSet<Caller>,
    /// Call-IDs of the dialled legs, for recognising a call of ours that comes back.
    own_calls: HashSet<String>,
    /// Where the devices of users are registered from.
    devices: HashMap<UserUri, Vec<Binding>>,
    timers: Timers,
    outputs: VecDeque<Output>,
    next_id: u64,
    ignored: u64,
}

/// What each step is given besides its input.
pub(crate) struct Cx<'a> {
    pub(crate) now: Timestamp,
    pub(crate) random: Random<'a>,
}

impl Cx<'_> {
    /// A tag, or half of a Call-ID.
    pub(crate) fn token(&mut self) -> String {
        format!("{:016x}", (self.random)())
    }
}

impl Calls {
    /// A machine without calls.
    pub fn new(config: CallConfig) -> Self {
        Self {
            policy: Policy::new(config.session_expires, config.min_se),
            dialogs: Dialogs::default(),
            legs: BTreeMap::new(),
            offers: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
            clients: BTreeMap::new(),
            byes: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            servers: BTreeMap::new(),
            infos: BTreeMap::new(),
            callers: HashSet::new(),
            own_calls: HashSet::new(),
            devices: HashMap::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            next_id: config.first_id,
            ignored: 0,
            config,
        }
    }

    /// Takes one input in.
    pub fn handle(&mut self, now: Timestamp, input: Input, random: Random<'_>) {
        let cx = &mut Cx { now, random };
        match input {
            Input::Sip(event) => self.on_sip(cx, event),
            Input::Accept { leg, body, headers } => self.accept(cx, leg, body, headers),
            Input::Progress { leg, status, body, reliable } => self.progress(cx, leg, status, body, reliable),
            Input::Reject { leg, status, headers, body } => self.reject(leg, status, &headers, body.as_ref()),
            Input::Challenge { leg } => self.challenge(leg),
            Input::Dial(dial) => self.dial(cx, *dial),
            Input::Restore { leg, record } => self.restore(leg, &record),
            Input::Cancel { offer, reason } => self.cancel_offer(cx, offer, reason),
            Input::HangUp { leg, reason, termination } => self.hang_up(cx, leg, reason, termination),
            Input::Reoffer { leg, body } => self.reoffer(leg, body),
            Input::Identify { leg, headers, from } => self.identify(leg, headers, from),
            Input::AskForOffer { leg } => self.ask_for_offer(leg),
            Input::AnswerOffer { leg, body } => self.answer_offer(cx, leg, body),
            Input::RefuseOffer { leg, status } => self.refuse_offer(leg, status),
            Input::SendInfo { leg, body, instead } => self.send_info(leg, body, instead),
            Input::RespondInfo { id, status, headers } => self.respond_info(id, status, &headers),
            Input::RespondRefer { refer, status, headers } => self.respond_refer(cx, refer, status, &headers),
            Input::ReferProgress { refer, status } => self.refer_progress(cx, refer, status),
            Input::AcceptSubscription { subscription, expires } => self.accept_subscription(cx, subscription, expires),
            Input::RejectSubscription { subscription, status, headers } => {
                self.reject_subscription(subscription, status, &headers);
            }
            Input::ChallengeSubscription { subscription } => self.challenge_subscription(subscription),
            Input::Notify { subscription, body, state } => self.notify(cx, subscription, body, state),
            Input::RespondOther { transaction, response } => self.push_response(transaction, response),
        }
    }

    fn on_sip(&mut self, cx: &mut Cx<'_>, event: SipEvent) {
        match event {
            SipEvent::Request { transaction, request, flow, user } => {
                self.on_request(cx, transaction, request, flow, user);
            }
            SipEvent::Ack { request, .. } => self.on_ack(&request),
            SipEvent::Cancelled { transaction, reason } => self.on_cancelled(cx, transaction, reason),
            SipEvent::AckMissing { transaction } => self.on_ack_missing(transaction),
            SipEvent::Response { transaction, response, flow } => self.on_response(cx, transaction, response, flow),
            SipEvent::Failed { transaction, failure } => self.on_failed(cx, transaction, failure),
            SipEvent::BindingsChanged { user, bindings } => {
                self.note_devices(user, bindings);
            }
        }
    }

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, now: Timestamp, random: Random<'_>) {
        let cx = &mut Cx { now, random };
        while let Some(timer) = self.timers.pop_due(now) {
            self.on_timer(cx, timer);
        }
    }

    fn on_timer(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        match timer {
            Timer::RingLimit(offer) => self.on_ring_limit(cx, offer),
            Timer::NextTarget(offer) => self.on_next_target(cx, offer),
            Timer::Silence(leg) => self.on_silence(cx, leg),
            Timer::CancelGuard(leg) => self.on_cancel_guard(cx, leg),
            Timer::Unanswered(leg) => self.on_unanswered(leg),
            Timer::KeepRinging(leg) => self.on_keep_ringing(cx, leg),
            Timer::Reliable(leg) => self.on_reliable_timer(cx, leg),
            Timer::Decision(leg) => self.on_decision_limit(leg),
            Timer::Glare(leg) => self.advance(leg),
            Timer::Refresh(leg) => self.on_refresh_due(leg),
            Timer::Expiry(leg) => self.on_session_expired(cx, leg),
            Timer::Subscription(subscription) => self.on_subscription_timer(cx, subscription),
            Timer::Forget(transaction) => self.on_forget(transaction),
            Timer::Device(transaction) => self.on_unsent(cx, transaction, ClientFailure::Transport),
        }
    }

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Calls::handle_timeout`] wants to be called next; O(log n).
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// A fresh id for a leg to be dialled.
    pub fn allocate_leg(&mut self) -> LegId {
        LegId(self.allocate())
    }

    /// A fresh id for an offer.
    pub fn allocate_offer(&mut self) -> OfferId {
        OfferId(self.allocate())
    }

    /// A fresh id for a request that is sent past this machine (a trunk's OPTIONS, say). Its responses belong to
    /// whoever sent it.
    pub fn allocate_transaction(&mut self) -> ClientTransactionId {
        ClientTransactionId(self.allocate())
    }

    /// How many inputs came too late or matched nothing.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    /// What the machine holds, for gauges and for tests that everything drains.
    pub fn load(&self) -> Load {
        Load {
            legs: self.legs.len(),
            offers: self.offers.len(),
            subscriptions: self.subscriptions.len(),
            dialogs: self.dialogs.len(),
            byes: self.byes.values().sum(),
            transactions: self.clients.len()
                + self.servers.len()
                + self.infos.len()
                + self.callers.len()
                + self.own_calls.len(),
            timers: self.timers.len(),
        }
    }

    /// Whether a BYE of ours to the other side of a leg has no final response yet, also when the leg is over.
    pub fn is_saying_bye(&self, leg: LegId) -> bool {
        self.byes.contains_key(&leg)
    }

    /// The state of a leg as a word, for logs and tables; `None` once it has ended.
    pub fn leg_state(&self, leg: LegId) -> Option<&'static str> {
        self.legs.get(&leg).map(|leg| leg.state.name())
    }

    /// Where a dialled leg rings, and whether any response came to its INVITE; `None` once it has ended.
    pub fn dialled(&self, leg: LegId) -> Option<(&Target, bool)> {
        self.legs.get(&leg)?.dialled()
    }

    /// Call-ID and tags of a leg's dialog, for call detail records; `None` before a dialled leg is answered.
    pub fn dialog_names(&self, leg: LegId) -> Option<DialogNames> {
        let key = self.dialogs.get(self.legs.get(&leg)?.dialog?)?.dialog.key();
        Some(DialogNames {
            call_id: key.call_id.clone(),
            local_tag: key.local_tag.clone(),
            remote_tag: key.remote_tag.clone(),
        })
    }

    /// The connected leg with this dialog: Call-ID and both tags must be right (RFC 3891 3).
    pub fn leg_of(&self, names: &DialogNames) -> Option<LegId> {
        let leg = self.dialogs.leg_of(names)?;
        self.legs.get(&leg).is_some_and(|leg| leg.state == LegState::Connected).then_some(leg)
    }

    pub(crate) fn push(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    /// Counts an input that changes nothing.
    pub(crate) fn ignore(&mut self) {
        self.ignored += 1;
    }

    pub(crate) fn allocate(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += self.config.id_step;
        id
    }
}

/// What identifies a dialog on the wire (RFC 3261 12).
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct DialogNames {
    /// The Call-ID.
    pub call_id: String,
    /// Our tag.
    pub local_tag: String,
    /// The peer's tag.
    pub remote_tag: String,
}

/// How much a machine holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Legs that have not ended.
    pub legs: usize,
    /// Offers that are undecided or have legs.
    pub offers: usize,
    /// Subscriptions, those of transfers included.
    pub subscriptions: usize,
    /// Dialogs, early ones included.
    pub dialogs: usize,
    /// BYE requests that wait for their answer.
    pub byes: usize,
    /// Entries of the transaction tables.
    pub transactions: usize,
    /// Timers armed.
    pub timers: usize,
}
