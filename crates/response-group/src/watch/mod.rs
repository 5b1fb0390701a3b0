//! The invariants of routing.md 3.5 that show from outside, checked on every input and output of a machine: for tests and
//! simulations. It has no look into the machine; what one state shows, [`crate::Domain::breaches`] tells.
//!
//! Tell it each input ([`Watch::told`]), show it each output ([`Watch::saw`]), and say when all outputs of an input were
//! there ([`Watch::end_of_step`]).

mod turns;

use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, Duration, Timestamp, UserUri};

use crate::config::Config;
use crate::input::{DialogNo, Input, OfferNo, Refusal};
use crate::journal::Entry;
use crate::output::{
    AgentStatus, CallRecord, CancelWhen, Decision, Failure, OfferOrder, Outcome, Output, Release, Withdrawal,
};
use turns::Turns;

/// 64 times T1 (RFC 3261 17.1.1.1): whatever is being ended is over by then.
const GUARD: Duration = Duration::from_secs(32);

/// How late a timer may be looked at.
const GRACE: Duration = Duration::from_secs(1);

/// An offer as the wire sees it.
#[derive(Debug)]
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
    /// The dialog whose answer was taken.
    won: Option<DialogNo>,
    /// A dialog of it was ended, and it has no other.
    releasing: bool,
    group: UserUri,
    /// The dialog that was asked for the key, until that is decided.
    asked: Option<DialogNo>,
    /// The media of its agent are joined with the caller's.
    talking: bool,
}

/// What was told and seen, and every breach so far.
#[derive(Debug)]
pub struct Watch {
    /// Every breach so far, each with its time.
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
    /// Callers who are here again after a restart, until it is said whether their agents are.
    back: BTreeSet<CallId>,
    /// What agents are, as was told last.
    statuses: BTreeMap<UserUri, AgentStatus>,
    /// The input of this step brought other groups.
    configuring: bool,
    turns: Turns,
    /// Offers so far.
    pub offers_made: u64,
}

impl Watch {
    /// Nothing was told yet; the machine began with these groups at this time.
    pub fn new(now: Timestamp, config: &Config) -> Self {
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
            back: BTreeSet::new(),
            statuses: BTreeMap::new(),
            configuring: false,
            turns: Turns::default(),
            offers_made: 0,
        };
        watch.configured(now, config);
        watch
    }

    fn configured(&mut self, now: Timestamp, config: &Config) {
        self.turns.configured(now, config);
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

    /// The machine is about to be told this.
    pub fn told(&mut self, now: Timestamp, input: &Input) {
        self.configuring = matches!(input, Input::Configured { .. });
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
            Input::Bridged { call, .. } => {
                let joined = self.bridges.get(call).and_then(|offer| self.open.get_mut(offer));
                if let Some(wire) = joined {
                    wire.talking = true;
                }
            }
            Input::OfferRefused { offer, refusal } => {
                let gone = self.open.remove(offer);
                let declined = matches!(refusal, Refusal::Declined | Refusal::HungUp);
                if let Some(wire) = gone.filter(|wire| wire.ending.is_none() && declined) {
                    self.turns.declined(now, *offer, wire.call, &wire.agent);
                }
            }
            Input::OfferDialogEnded { offer, dialog } => {
                let asked = self.open.get(offer).filter(|wire| wire.asked == Some(*dialog) && wire.ending.is_none());
                if let Some(wire) = asked {
                    self.turns.declined(now, *offer, wire.call, &wire.agent);
                }
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.up.remove(dialog);
                    if wire.up.is_empty() && !wire.seen.is_empty() {
                        self.open.remove(offer);
                    } else if wire.won == Some(*dialog) || wire.asked == Some(*dialog) {
                        // His second device has been hung up already, and that is not over yet.
                        wire.ending.get_or_insert(now);
                    }
                }
            }
            Input::Configured { config } => self.configured(now, config),
            Input::AgentChanged { agent, change } => self.turns.agent_changed(now, agent, change),
            Input::AgentSigned { agent, .. } => self.turns.forget_idle(agent),
            Input::CallerBack { call } => {
                self.back.insert(*call);
            }
            Input::Reattached { call, .. } => {
                self.back.remove(call);
            }
            Input::Restarted => {
                self.crashed = true;
                self.back.clear();
                // Whose ringing the crash cut off may be rung at once; whoever talked, or was told to stop before, had his
                // turn.
                for wire in self.open.values().filter(|wire| wire.ending.is_none() && !wire.talking) {
                    self.turns.cut_off(wire.call, &wire.agent);
                }
            }
            _ => {}
        }
    }

    /// It wants this.
    pub fn saw(&mut self, now: Timestamp, output: &Output) {
        match output {
            Output::Offer(order) => self.saw_offer(now, order),
            Output::Withdraw { offer, reason, cancel } => self.saw_withdraw(now, *offer, *reason, *cancel),
            Output::AskConfirm { offer, dialog, .. } => {
                self.owed.retain(|owed| *owed != (*offer, *dialog));
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.asked = Some(*dialog);
                }
            }
            Output::AckBye { offer, dialog, reason } => self.saw_ack_bye(now, *offer, *dialog, *reason),
            Output::Bridge { call, offer, dialog, .. } => {
                self.owed.retain(|owed| *owed != (*offer, *dialog));
                if let Some(other) = self.bridges.insert(*call, *offer) {
                    self.fault(now, format!("I1: {call} is bridged to {offer:?} while it is to {other:?}"));
                }
                if let Some(wire) = self.open.get_mut(offer) {
                    wire.won = Some(*dialog);
                    (wire.asked, wire.talking) = (None, false);
                }
            }
            Output::Unbridge { call, offer } => self.saw_unbridge(now, *call, *offer),
            Output::AgentState { agent, state } => {
                self.statuses.insert(agent.clone(), state.clone());
            }
            Output::Journal(entry) => self.saw_entry(now, entry),
            Output::History(entry) => {
                let first = self.histories.insert((entry.call, entry.agent.clone()));
                self.expect(first, now, || format!("I7: two history entries for {} on {}", entry.agent, entry.call));
            }
            Output::Cdr(record) => self.saw_record(now, record),
            _ => {}
        }
    }

    fn saw_entry(&mut self, now: Timestamp, entry: &Entry) {
        let Entry::Decided { decided, .. } = entry else { return };
        let group = match decided {
            Decision::Offered { agents, .. } => {
                agents.first().and_then(|(_, offer)| self.open.get(offer)).map(|wire| wire.group.clone())
            }
            _ => None,
        };
        let faults = self.turns.decided(now, decided, group, &self.statuses);
        faults.into_iter().for_each(|fault| self.fault(now, fault));
    }

    fn saw_ack_bye(&mut self, now: Timestamp, offer: OfferNo, dialog: DialogNo, reason: Release) {
        self.owed.retain(|owed| *owed != (offer, dialog));
        let configuring = self.configuring;
        let Some(wire) = self.open.get_mut(&offer) else { return };
        let fresh = wire.ending.is_none();
        match reason {
            // A second device is hung up beside the one that goes on.
            Release::SecondAnswer => {}
            // It was waited for long enough, and given up.
            _ if reason != Release::Restart && wire.ending.is_some_and(|since| now.since(since) >= GUARD) => {}
            // The end is waited for anew where a phone answered that was being silenced, and after a restart.
            _ if !wire.releasing || reason == Release::Restart => {
                wire.ending = Some(now);
                wire.releasing = true;
            }
            _ => {}
        }
        let (call, agent) = (wire.call, wire.agent.clone());
        if matches!(reason, Release::NotConfirmed | Release::Machine) {
            self.turns.declined(now, offer, call, &agent);
        }
        if configuring && fresh {
            self.fault(now, format!("I18: {offer:?} is ended because other groups hold"));
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
        let lost = self.back.remove(&record.call) && record.outcome == (Outcome::Failed { why: Failure::Restart });
        self.expect(!lost, now, || format!("I17: {} was here again after a restart and is lost", record.call));
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

    fn saw_offer(&mut self, now: Timestamp, order: &OfferOrder) {
        self.offers_made += 1;
        if !self.addresses.contains(&order.agent) {
            self.fault(now, format!("I6: {} was never configured", order.agent));
        }
        if self.ended.contains(&order.call) {
            self.fault(now, format!("I8: {} is offered after its end", order.call));
        }
        let concurrent = self.concurrent;
        if !self.turns.is_member(&order.agent) {
            self.fault(now, format!("I18: {} was removed and is offered a call", order.agent));
        }
        let is_ending = |wire: &Wire, within: Duration| wire.ending.is_none_or(|since| now.since(since) < within);
        self.open.retain(|_, wire| is_ending(wire, GUARD + GRACE));
        let clash = self
            .open
            .values()
            .find(|wire| wire.agent == order.agent && !(concurrent && wire.won.is_some()) && is_ending(wire, GUARD));
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
            won: None,
            releasing: false,
            asked: None,
            talking: false,
            group: order.group.clone(),
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
        let first = wire.ending.is_none();
        // A restart silences once more what was being silenced, and waits for it anew.
        wire.ending = wire.ending.filter(|_| reason != Withdrawal::Restart).or(Some(now));
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
        if first && self.configuring {
            self.fault(now, format!("I18: {offer:?} is withdrawn because other groups hold"));
        }
    }

    /// Every output of the last input was there.
    pub fn end_of_step(&mut self, now: Timestamp) {
        self.nobody_is_held_for_nothing(now);
        let faults = self.turns.end_of_step(&self.statuses);
        faults.into_iter().for_each(|fault| self.fault(now, fault));
        for (offer, dialog) in std::mem::take(&mut self.owed) {
            self.fault(now, format!("I14: the answer {dialog:?} of {offer:?} has neither won nor been ended"));
        }
    }

    /// I4, I17: an offer of a call that ended is being ended, and no agent is being silenced for longer than a phone can
    /// take, also where the process was restarted meanwhile.
    fn nobody_is_held_for_nothing(&mut self, now: Timestamp) {
        let mut faults = Vec::new();
        for (offer, wire) in self.open.iter().filter(|(_, wire)| wire.ending.is_none()) {
            if self.ended.contains(&wire.call) {
                faults.push(format!("I4: {} belongs to {offer:?} of {}, which ended", wire.agent, wire.call));
            }
        }
        for (agent, _) in self.statuses.iter().filter(|(_, status)| **status == AgentStatus::Draining) {
            let ending = |wire: &Wire| wire.ending.is_some_and(|since| now.since(since) < GUARD + GRACE);
            if !self.open.values().any(|wire| wire.agent == *agent && ending(wire)) {
                faults.push(format!("I4: {agent} is being silenced, and nothing of his can still ring"));
            }
        }
        faults.into_iter().for_each(|fault| self.fault(now, fault));
    }

    /// Whether a dialog of an open offer answered and is gone. What comes of its answer afterwards is a retransmission, which
    /// the wire answers by itself and does not report.
    pub fn is_gone(&self, offer: OfferNo, dialog: DialogNo) -> bool {
        self.open.get(&offer).is_some_and(|wire| wire.seen.contains(&dialog) && !wire.up.contains(&dialog))
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
