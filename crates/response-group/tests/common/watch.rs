//! The invariants of routing.md 3.5 that show from outside, checked on every input and output.

use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, Duration, Timestamp, UserUri};
use response_group::{CallRecord, CancelWhen, Config, DialogNo, Input, OfferNo, Output, Withdrawal};

/// An offer as the wire sees it.
struct Wire {
    call: CallId,
    agent: UserUri,
    made: Timestamp,
    alert: Duration,
    progressed: bool,
    /// Since when its end is under way; 64 times T1 later it is over, whatever the wire says.
    ending: Option<Timestamp>,
    /// Dialogs that answered and are not gone.
    up: BTreeSet<DialogNo>,
    seen: BTreeSet<DialogNo>,
    won: bool,
}

pub struct Watch {
    pub faults: Vec<String>,
    /// Offers of which something is left on the wire.
    open: BTreeMap<OfferNo, Wire>,
    bridges: BTreeMap<CallId, OfferNo>,
    arrived: BTreeSet<CallId>,
    ended: BTreeSet<CallId>,
    histories: BTreeSet<(CallId, UserUri)>,
    offered: BTreeSet<(CallId, UserUri)>,
    /// Dialogs that answered in this step and must be won or ended in it.
    owed: Vec<(OfferNo, DialogNo)>,
    answers: BTreeSet<(OfferNo, DialogNo)>,
    addresses: BTreeSet<UserUri>,
    concurrent: bool,
    crashed: bool,
    pub offers_made: u64,
}

impl Watch {
    pub fn new(config: &Config) -> Self {
        let mut watch = Self {
            faults: Vec::new(),
            open: BTreeMap::new(),
            bridges: BTreeMap::new(),
            arrived: BTreeSet::new(),
            ended: BTreeSet::new(),
            histories: BTreeSet::new(),
            offered: BTreeSet::new(),
            owed: Vec::new(),
            answers: BTreeSet::new(),
            addresses: BTreeSet::new(),
            concurrent: false,
            crashed: false,
            offers_made: 0,
        };
        watch.configured(config);
        watch
    }

    fn configured(&mut self, config: &Config) {
        for group in config.groups.iter().flat_map(|group| &group.agent_groups) {
            self.concurrent |= group.max_calls > 1;
            for agent in &group.agents {
                self.addresses.insert(agent.uri.clone());
            }
        }
    }

    fn fault(&mut self, now: Timestamp, what: String) {
        self.faults.push(format!("{} ms: {what}", now.as_micros() / 1_000));
    }

    pub fn told(&mut self, _now: Timestamp, input: &Input) {
        match input {
            Input::CallerArrived(arrival) => {
                self.arrived.insert(arrival.call);
            }
            Input::OfferProgressed { offer, .. } | Input::OfferDiverting { offer } => {
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.progressed = true;
                }
            }
            Input::OfferAnswered { offer, dialog, .. } => {
                // The same dialog again is a retransmission, which the wire answers by itself.
                if self.answers.insert((*offer, *dialog)) {
                    self.owed.push((*offer, *dialog));
                }
                if let Some(wire) = self.open.get_mut(offer).filter(|wire| !wire.seen.contains(dialog)) {
                    wire.seen.insert(*dialog);
                    wire.up.insert(*dialog);
                }
            }
            Input::OfferRefused { offer, .. } => {
                self.open.remove(offer);
            }
            Input::OfferDialogEnded { offer, dialog } => {
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.up.remove(dialog);
                    if wire.up.is_empty() && !wire.seen.is_empty() {
                        self.open.remove(offer);
                    }
                }
            }
            Input::Configured { config } => self.configured(config),
            Input::Restarted => self.crashed = true,
            _ => {}
        }
    }

    pub fn saw(&mut self, now: Timestamp, output: &Output) {
        match output {
            Output::Offer(order) => self.saw_offer(now, order),
            Output::Withdraw { offer, reason, cancel } => self.saw_withdraw(now, *offer, *reason, *cancel),
            Output::AskConfirm { offer, dialog, .. } => {
                self.owed.retain(|owed| *owed != (*offer, *dialog));
            }
            Output::AckBye { offer, dialog, .. } => {
                self.owed.retain(|owed| *owed != (*offer, *dialog));
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.ending.get_or_insert(now);
                }
            }
            Output::Bridge { call, offer, dialog, .. } => {
                self.owed.retain(|owed| *owed != (*offer, *dialog));
                if let Some(other) = self.bridges.insert(*call, *offer) {
                    self.fault(now, format!("I1: {call} is bridged to {offer:?} while it is to {other:?}"));
                }
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.won = true;
                }
            }
            Output::Unbridge { call, offer } => self.saw_unbridge(now, *call, *offer),
            Output::History(entry) => {
                let first = self.histories.insert((entry.call, entry.agent.clone()));
                self.expect(first, now, || format!("I7: two history entries for {} on {}", entry.agent, entry.call));
            }
            Output::Cdr(record) => self.saw_record(now, record),
            _ => {}
        }
    }

    fn expect(&mut self, holds: bool, now: Timestamp, what: impl Fn() -> String) {
        if !holds {
            self.fault(now, what());
        }
    }

    fn saw_unbridge(&mut self, now: Timestamp, call: CallId, offer: OfferNo) {
        let joined = self.bridges.remove(&call) == Some(offer);
        self.expect(joined, now, || format!("I5: {call} is parted from {offer:?}, to which it is not bridged"));
    }

    fn saw_record(&mut self, now: Timestamp, record: &CallRecord) {
        let first = self.ended.insert(record.call);
        self.expect(first, now, || format!("I8: {} has two outcomes", record.call));
        let total: Duration = record.segments.iter().map(|part| part.to.since(part.from)).sum();
        let whole = total == record.ended.since(record.arrived);
        self.expect(whole, now, || format!("I19: segments make {total:?}: {record:?}"));
        let offered = self.offered.iter().filter(|(call, _)| *call == record.call);
        let silent: Vec<_> = offered.filter(|pair| !self.histories.contains(*pair)).cloned().collect();
        for pair in silent {
            self.fault(now, format!("I7: {pair:?} was offered and has no history entry"));
        }
        if let Some(offer) = self.bridges.remove(&record.call) {
            self.fault(now, format!("I5: {} ended bridged to {offer:?}", record.call));
        }
    }

    fn saw_offer(&mut self, now: Timestamp, order: &response_group::OfferOrder) {
        self.offers_made += 1;
        if !self.addresses.contains(&order.agent) {
            self.fault(now, format!("I6: {} was never configured", order.agent));
        }
        if self.ended.contains(&order.call) {
            self.fault(now, format!("I8: {} is offered after its end", order.call));
        }
        let concurrent = self.concurrent;
        let guard = Duration::from_secs(32);
        self.open.retain(|_, wire| wire.ending.is_none_or(|since| now.since(since) < guard));
        let clash = self.open.values().find(|wire| wire.agent == order.agent && !(concurrent && wire.won));
        if let Some(call) = clash.map(|wire| wire.call) {
            self.fault(now, format!("I2: the phone of {} rings for {} and {call}", order.agent, order.call));
        }
        let alert = Duration::from_secs(u64::from(order.expires_seconds - 5));
        self.offered.insert((order.call, order.agent.clone()));
        let wire = Wire {
            call: order.call,
            agent: order.agent.clone(),
            made: now,
            alert,
            progressed: false,
            ending: None,
            up: BTreeSet::new(),
            seen: BTreeSet::new(),
            won: false,
        };
        self.open.insert(order.offer, wire);
    }

    fn saw_withdraw(&mut self, now: Timestamp, offer: OfferNo, reason: Withdrawal, cancel: CancelWhen) {
        let Some(wire) = self.open.get_mut(&offer) else {
            if cancel != CancelWhen::Unconditional {
                self.fault(now, format!("{offer:?} is withdrawn and not open"));
            }
            return;
        };
        wire.ending.get_or_insert(now);
        let rang = now.since(wire.made);
        let early = cancel == CancelWhen::Now && !wire.progressed;
        let too_long = rang > wire.alert && !self.crashed;
        let too_short = reason == Withdrawal::Alert && rang < wire.alert;
        let restart = (cancel == CancelWhen::Unconditional) != (reason == Withdrawal::Restart);
        if early {
            self.fault(now, format!("I15: CANCEL of {offer:?} before a provisional"));
        }
        if too_long || too_short {
            self.fault(now, format!("I10: {offer:?} rang {rang:?}"));
        }
        if restart {
            self.fault(now, format!("I15: {offer:?} is cancelled unconditionally without a restart"));
        }
    }

    pub fn end_of_step(&mut self, now: Timestamp) {
        for (offer, dialog) in std::mem::take(&mut self.owed) {
            self.fault(now, format!("I14: the answer {dialog:?} of {offer:?} has neither won nor been ended"));
        }
    }

    /// When nothing is under way any more: everybody has his outcome.
    pub fn at_rest(&mut self, now: Timestamp) {
        let without: Vec<CallId> = self.arrived.difference(&self.ended).copied().collect();
        if !without.is_empty() {
            self.fault(now, format!("I8: {without:?} have no outcome"));
        }
    }
}

impl Watch {
    /// Whether a dialog of an open offer answered.
    pub fn answered(&self, offer: OfferNo) -> bool {
        self.open.get(&offer).is_some_and(|wire| !wire.seen.is_empty())
    }
}
