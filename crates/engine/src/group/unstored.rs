//! What ended calls leave until the store has it: after a crash it is made anew from the journal.
//!
//! The journal says how each call ended before anything follows from it, and, some moments later, that its records are
//! stored. What lies between the two when the process dies is written once more by the next one. The store knows a record
//! by its segment and a line of a history by its user and call, so that nothing is there twice. How media fared died with
//! the process: the records of such a call have no figures.

use std::collections::BTreeMap;

use base::CallId;
use response_group::{CallRecord, HistoryEntry, Output};
use serde::{Deserialize, Serialize};

use super::ledger::{Ledger, Onward};
use super::{GroupJournal, WireRecord};
use crate::Engine;

/// A call that is over for the machine and whose records are not stored, as far as they can be made anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndedCall {
    /// The call as the machine knew it.
    pub record: CallRecord,
    /// What the histories of the agents say of it.
    pub agents: Vec<HistoryEntry>,
    /// His conversation with whom the group sent him on to, if there was one.
    pub onward: Option<Onward>,
}

impl Ledger {
    /// What the calls of a journal's process left that the store need not have; `left` is what its machine gave.
    pub(super) fn of_earlier(records: &[GroupJournal], left: Vec<Output>, bound: usize) -> Self {
        let wire = || {
            records.iter().filter_map(|record| match record {
                GroupJournal::Wire(record) => Some(record),
                GroupJournal::Machine(_) => None,
            })
        };
        let mut ended: BTreeMap<CallId, EndedCall> = BTreeMap::new();
        for record in wire() {
            if let WireRecord::Ended { ended: call } = record {
                ended.insert(call.record.call, (**call).clone());
            }
        }
        let mut agents: Vec<HistoryEntry> = Vec::new();
        for output in left {
            match output {
                Output::History(entry) => agents.push(entry),
                // The lines of a call stand right before its record.
                Output::Cdr(record) => {
                    let agents = std::mem::take(&mut agents);
                    ended.insert(record.call, EndedCall { record, agents, onward: None });
                }
                _ => {}
            }
        }
        for record in wire() {
            match record {
                WireRecord::Onward { call, onward } => {
                    ended.entry(*call).and_modify(|call| call.onward = Some(onward.clone()));
                }
                WireRecord::Stored { calls } => calls.iter().for_each(|call| drop(ended.remove(call))),
                _ => {}
            }
        }
        while ended.len() > bound {
            ended.pop_first();
        }
        let mut ledger = Self::default();
        ended.into_values().for_each(|call| ledger.take_up(call));
        ledger
    }

    /// Keeps what a call has left until the store has it. Beyond the bound the oldest one is given up: were the process
    /// killed now, that one could not be made anew.
    pub(super) fn keep_until_stored(&mut self, call: EndedCall, bound: usize) {
        if self.unstored.len() >= bound {
            self.unstored.pop_first();
        }
        self.unstored.insert(call.record.call, call);
    }

    /// What a new journal must say of calls that are over.
    pub(super) fn unstored(&self) -> impl Iterator<Item = WireRecord> + '_ {
        let ended = self.unsettled().chain(self.unstored.values().cloned());
        ended.map(|ended| WireRecord::Ended { ended: Box::new(ended) })
    }
}

impl Engine {
    /// The store has every record of these calls.
    pub(crate) fn on_group_calls_stored(&mut self, calls: Vec<CallId>) {
        for call in &calls {
            self.groups.ledger.unstored.remove(call);
        }
        self.record(WireRecord::Stored { calls });
    }

    /// Writes once more what calls of an earlier process left, but for those whose callers talk on outside the groups.
    pub(super) fn settle_earlier_calls(&mut self) {
        for call in self.groups.ledger.ended_earlier() {
            self.write_agents_lines(call);
            self.settle_page(call);
        }
    }
}
