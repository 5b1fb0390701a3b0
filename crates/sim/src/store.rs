//! What calls of response groups leave, as a store keeps it that writes some moments later and outlives the server's process.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use base::{CallId, ConversationEntry, ConversationKind, UserUri};
use engine::{EngineEvent, GroupJournal, GroupVisit, Input, WireRecord};
use response_group::{CallRecord, Output};

/// What waits to be written.
#[derive(Debug)]
enum Left {
    Record(Box<CallRecord>),
    Line(Line),
    /// A line that may be there already.
    LineAgain(Line),
    /// A call to a feature code.
    Visit(Box<GroupVisit>),
}

/// How the store knows a line of a history.
type Line = (UserUri, CallId, &'static str);

/// The store.
#[derive(Debug, Default)]
pub(crate) struct Store {
    waiting: VecDeque<Left>,
    records: BTreeMap<CallId, CallRecord>,
    lines: BTreeMap<Line, u32>,
    /// By their names.
    visits: BTreeMap<String, GroupVisit>,
    /// What has a record that says something else than the one that is there.
    other: Option<String>,
}

impl Store {
    /// Takes what an event tells; whether there is something to write now and was not before.
    pub(crate) fn take(&mut self, event: &EngineEvent) -> bool {
        let idle = self.waiting.is_empty();
        match event {
            EngineEvent::GroupCallEnded(record) => self.waiting.push_back(Left::Record(Box::new(record.call.clone()))),
            EngineEvent::GroupVisitEnded { visit, .. } => self.waiting.push_back(Left::Visit(visit.clone())),
            EngineEvent::Conversation(line) if is_agents(line) => self.waiting.push_back(Left::Line(key(line))),
            EngineEvent::ConversationAgain(line) if is_agents(line) => {
                self.waiting.push_back(Left::LineAgain(key(line)));
            }
            _ => {}
        }
        idle && !self.waiting.is_empty()
    }

    /// Writes all that waits, and says of whom there were records among it.
    pub(crate) fn write(&mut self) -> Vec<Input> {
        let (calls, visits) = self.write_first(self.waiting.len());
        let calls = (!calls.is_empty()).then_some(Input::GroupCallsStored { calls });
        let visits = (!visits.is_empty()).then_some(Input::GroupVisitsStored { visits });
        calls.into_iter().chain(visits).collect()
    }

    /// The process died, and so much of what waited was written.
    pub(crate) fn server_died(&mut self, chance: usize) {
        self.write_first(chance % (self.waiting.len() + 1));
        self.waiting.clear();
    }

    fn write_first(&mut self, count: usize) -> (Vec<CallId>, Vec<String>) {
        let (mut calls, mut visits) = (Vec::new(), Vec::new());
        for left in self.waiting.drain(..count) {
            match left {
                Left::Record(record) => {
                    calls.push(record.call);
                    let known = self.records.entry(record.call).or_insert_with(|| (*record).clone());
                    if *known != *record {
                        self.other = Some(format!("call {}", record.call));
                    }
                }
                Left::Visit(visit) => {
                    visits.push(visit.id.clone());
                    let known = self.visits.entry(visit.id.clone()).or_insert_with(|| (*visit).clone());
                    if *known != *visit {
                        self.other = Some(visit.id.clone());
                    }
                }
                Left::Line(line) => *self.lines.entry(line).or_default() += 1,
                Left::LineAgain(line) => drop(self.lines.entry(line).or_insert(1)),
            }
        }
        (calls, visits)
    }

    /// Whether it has what the journal says that calls left: each record and each line of an agent, once.
    pub(crate) fn agrees_with(&self, journal: &[GroupJournal]) -> Result<(), String> {
        if let Some(other) = &self.other {
            return Err(format!("{other} has two records that differ"));
        }
        let begun = journal.iter().filter_map(|record| match record {
            GroupJournal::Wire(WireRecord::Visit { visit }) => Some(&visit.id),
            _ => None,
        });
        let begun: BTreeSet<&String> = begun.collect();
        if begun != self.visits.keys().collect() {
            return Err(format!("there are {:?}, the journal has {begun:?}", self.visits.keys()));
        }
        let machine = journal.iter().filter_map(|record| match record {
            GroupJournal::Machine(entry) => Some(entry.clone()),
            GroupJournal::Wire(_) => None,
        });
        let (_, outputs) =
            response_group::replay(&machine.collect::<Vec<_>>()).map_err(|error| format!("no replay: {error}"))?;
        let mut records: BTreeMap<CallId, CallRecord> = BTreeMap::new();
        let mut lines: BTreeMap<(UserUri, CallId), u32> = BTreeMap::new();
        for output in outputs {
            match output {
                Output::Cdr(record) => drop(records.insert(record.call, record)),
                Output::History(entry) => *lines.entry((entry.agent, entry.call)).or_default() += 1,
                _ => {}
            }
        }
        if let Some(call) = records.keys().find(|call| !self.records.contains_key(call)) {
            return Err(format!("the record of call {call} is lost"));
        }
        if records != self.records {
            return Err("a record says something else than the journal".to_owned());
        }
        let mut kept: BTreeMap<(UserUri, CallId), u32> = BTreeMap::new();
        for ((user, call, _), count) in &self.lines {
            *kept.entry((user.clone(), *call)).or_default() += count;
        }
        if kept == lines { Ok(()) } else { Err(format!("histories have {kept:?}, the journal says {lines:?}")) }
    }
}

fn is_agents(line: &ConversationEntry) -> bool {
    use ConversationKind::{
        GroupCallAbandoned, GroupCallAnsweredByOther, GroupCallAnsweredByYou, GroupCallNotAnswered,
    };
    matches!(line.kind, GroupCallAnsweredByYou | GroupCallAnsweredByOther | GroupCallNotAnswered | GroupCallAbandoned)
}

fn key(line: &ConversationEntry) -> Line {
    (line.user.clone(), line.call, line.kind.as_str())
}
