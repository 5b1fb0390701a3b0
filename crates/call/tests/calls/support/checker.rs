//! What must hold for every sequence of outputs: one end per leg, one decision per offer, silence after the end.

use std::collections::{BTreeMap, BTreeSet};

use base::{LegId, OfferId, SubscriptionId};
use call::Output;

#[derive(Debug, Default)]
pub(crate) struct Checker {
    pub(crate) open_legs: BTreeSet<LegId>,
    ended: BTreeSet<LegId>,
    pub(crate) open_offers: BTreeSet<OfferId>,
    winners: BTreeMap<OfferId, LegId>,
    ended_subscriptions: BTreeSet<SubscriptionId>,
}

impl Checker {
    /// A dial was given to the machine.
    pub(crate) fn dialled(&mut self, offer: OfferId, legs: &[LegId]) {
        self.open_offers.insert(offer);
        self.open_legs.extend(legs);
    }

    /// Looks at one output.
    pub(crate) fn see(&mut self, output: &Output) {
        if let Some(leg) = output.leg() {
            assert!(!self.ended.contains(&leg), "{leg:?} goes on after its end: {output:?}");
        }
        match output {
            Output::Incoming { leg, .. } => assert!(self.open_legs.insert(*leg), "{leg:?} announced twice"),
            Output::Answered { offer, leg, .. } => {
                assert!(self.open_offers.remove(offer), "{offer:?} decided twice");
                self.winners.insert(*offer, *leg);
            }
            Output::OfferFailed { offer, .. } => {
                assert!(self.open_offers.remove(offer), "{offer:?} decided twice");
            }
            Output::Ended { leg, .. } => {
                assert!(self.open_legs.remove(leg), "{leg:?} ended but was not open");
                self.ended.insert(*leg);
            }
            Output::SubscriptionEnded { subscription } => {
                assert!(self.ended_subscriptions.insert(*subscription), "{subscription:?} ended twice");
            }
            _ => {}
        }
    }

    /// Everything is over.
    pub(crate) fn check_drained(&self) {
        assert!(self.open_legs.is_empty(), "never ended: {:?}", self.open_legs);
        assert!(self.open_offers.is_empty(), "never decided: {:?}", self.open_offers);
    }
}
