//! SIP calls as one pure machine: dialogs, offers to several devices, early media, session timers, re-negotiation,
//! transfer and subscriptions.
//!
//! Decides how a leg is set up, kept and ended by SIP's rules, who wins an offer, and that every leg ends exactly once.
//! Must not know transports and transactions (the edge has them, see `sip_api`), what is in a body, C3P, or what a
//! conference is.
//! Start reading at [`Input`] and [`Output`], then [`Calls::handle`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod config;
mod input;
mod output;

use std::collections::VecDeque;

use base::{LegId, OfferId, Timestamp};
use sip_api::ClientTransactionId;

pub use config::CallConfig;
pub use input::{Body, Dial, ExtraHeaders, Input, NotifyState, RingMode, Target};
pub use output::{Invitation, Output};

/// Randomness as an argument: each call returns 64 fresh, unpredictable bits. Tags and Call-IDs are made of it.
pub type Random<'a> = &'a mut dyn FnMut() -> u64;

/// All dialogs of one engine shard.
///
/// After each `handle` and `handle_timeout` the caller drains [`Calls::poll_output`]. An input that arrived before a
/// timer was dequeued is handled first: an answer beats the ring limit of the same tick (routing.md 2.7).
#[derive(Debug)]
pub struct Calls {
    config: CallConfig,
    outputs: VecDeque<Output>,
    next_id: u64,
    ignored: u64,
}

impl Calls {
    /// A machine without calls.
    pub fn new(config: CallConfig) -> Self {
        let next_id = config.first_id;
        Self { config, outputs: VecDeque::new(), next_id, ignored: 0 }
    }

    /// Takes one input in.
    pub fn handle(&mut self, _now: Timestamp, _input: Input, _random: Random<'_>) {}

    /// Fires every timer that is due.
    pub fn handle_timeout(&mut self, _now: Timestamp, _random: Random<'_>) {}

    /// The next output, in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Calls::handle_timeout`] wants to be called next.
    pub fn poll_timeout(&self) -> Option<Timestamp> {
        None
    }

    /// A fresh id for a leg to be dialled.
    pub fn allocate_leg(&mut self) -> LegId {
        LegId(self.allocate())
    }

    /// A fresh id for an offer.
    pub fn allocate_offer(&mut self) -> OfferId {
        OfferId(self.allocate())
    }

    /// A fresh id for a request that is sent past this machine (a trunk's OPTIONS, say).
    pub fn allocate_transaction(&mut self) -> ClientTransactionId {
        ClientTransactionId(self.allocate())
    }

    /// How many inputs came too late or matched nothing.
    pub fn ignored(&self) -> u64 {
        self.ignored
    }

    fn allocate(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id += self.config.id_step;
        id
    }
}
