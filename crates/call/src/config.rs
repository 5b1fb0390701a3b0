//! Settings of the machine.

use std::net::IpAddr;

use base::{Duration, Limits};

/// Settings of [`Calls`](crate::Calls).
#[derive(Clone, Debug)]
pub struct CallConfig {
    /// Our domain; the host part of the Call-IDs we make.
    pub domain: String,
    /// User part of our default Contact; the edge puts in the host ([`sip_api::CONTACT_PLACEHOLDER`]).
    pub contact_user: String,
    /// Session interval we ask for and grant (RFC 4028), in whole seconds; 90 s at least.
    pub session_expires: Duration,
    /// Smallest session interval we accept, in whole seconds; 90 s at least (RFC 4028 5).
    pub min_se: Duration,
    /// Longest time an INVITE may stay unanswered, in either direction (RFC 3261 16.6, Timer C).
    pub timer_c: Duration,
    /// How long above may think about an offer, a subscription or a challenge before it is refused.
    pub decision_limit: Duration,
    /// Longest subscription granted.
    pub subscription_max: Duration,
    /// Shortest subscription granted; a shorter wish is answered 423.
    pub subscription_min: Duration,
    /// Legs of one offer; the others end at once.
    pub legs_per_offer: usize,
    /// Early dialogs of one dialled leg; further ones are not announced.
    pub early_dialogs_per_leg: usize,
    /// Subscriptions of this machine; a further SUBSCRIBE is answered 503.
    pub subscriptions: usize,
    /// Notifications waiting for one subscriber; when full they are dropped and the full state is asked for.
    pub notifications_waiting: usize,
    /// INFO requests of one leg waiting in either direction; a further one is answered 503 or fails.
    pub infos_waiting: usize,
    /// Addresses whose requests are believed in every dialog: those of trusted trunks.
    pub trusted_peers: Vec<IpAddr>,
    /// Bounds shared with the other parts; `legs` is used here.
    pub limits: Limits,
    /// First number for ids of legs, offers, subscriptions and transactions.
    pub first_id: u64,
    /// Distance between ids, so that shards with different first numbers never meet.
    pub id_step: u64,
}

impl Default for CallConfig {
    fn default() -> Self {
        Self {
            domain: "convoke.invalid".to_owned(),
            contact_user: "convoke".to_owned(),
            session_expires: Duration::from_secs(1800),
            min_se: Duration::from_secs(90),
            timer_c: Duration::from_secs(180),
            decision_limit: Duration::from_secs(20),
            subscription_max: Duration::from_secs(3600),
            subscription_min: Duration::from_secs(60),
            legs_per_offer: 20,
            early_dialogs_per_leg: 20,
            subscriptions: 20_000,
            notifications_waiting: 64,
            infos_waiting: 256,
            trusted_peers: Vec::new(),
            limits: Limits::default(),
            first_id: 1,
            id_step: 1,
        }
    }
}
