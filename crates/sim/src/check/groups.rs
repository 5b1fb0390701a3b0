//! Response groups: no caller gets two agents, no agent is rung for two callers, and each caller has exactly one outcome,
//! however many processes it takes.

use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, ConferenceId, LegId};
use engine::GroupJournal;
use response_group::{CallRecord, Decision, Entry, Input, Outcome};

use super::twin::Twin;
use crate::stack::Stack;

/// Callers whose outcome is open.
#[derive(Debug, Default)]
pub(super) struct Groups {
    open: BTreeMap<CallId, String>,
    ended: BTreeMap<CallId, String>,
    /// Callers whose record this process has given.
    recorded: BTreeSet<CallId>,
    /// The machine beside the engine's; `None` until the first groups are there.
    twin: Option<Twin>,
}

impl Groups {
    /// The machine was told something, before anything follows from it, or has decided something.
    pub(super) fn journalled(&mut self, record: &GroupJournal) -> Result<(), String> {
        let GroupJournal::Machine(entry) = record else { return Ok(()) };
        Twin::follow(&mut self.twin, entry)?;
        let Entry::Told { told: Input::CallerArrived(arrival), .. } = entry else { return Ok(()) };
        match self.open.insert(arrival.call, arrival.caller.clone()) {
            None => Ok(()),
            Some(_) => Err(format!("the caller {} arrives twice", arrival.call)),
        }
    }

    /// A caller's record: one in each process, and the same in all.
    pub(super) fn ended(&mut self, record: &CallRecord) -> Result<(), String> {
        let outcome = format!("{:?}", record.outcome);
        let first = self.recorded.insert(record.call);
        let again = first && self.ended.get(&record.call) == Some(&outcome);
        if self.open.remove(&record.call).is_none() && !again {
            return Err(format!("caller {} ends as {outcome}, after {:?}", record.call, self.ended.get(&record.call)));
        }
        self.ended.insert(record.call, outcome);
        Ok(())
    }

    /// The process died. Whose outcome the journal tells has it, also where his record was lost with the process; who is not
    /// in the journal was never there.
    pub(super) fn server_died(&mut self, journal: &[GroupJournal]) -> Result<(), String> {
        self.twin = None;
        self.recorded.clear();
        let (mut arrived, mut ended) = (BTreeSet::new(), BTreeMap::new());
        for record in journal {
            let GroupJournal::Machine(entry) = record else { continue };
            // Decisions follow from what was told, whether or not they were written down.
            if !matches!(entry, Entry::Decided { .. }) {
                self.twin.iter_mut().for_each(Twin::forget_decisions);
                Twin::follow(&mut self.twin, entry)?;
            }
            if let Entry::Told { told: Input::CallerArrived(arrival), .. } = entry {
                arrived.insert(arrival.call);
            }
            for (call, outcome) in self.twin.iter_mut().flat_map(Twin::take_outcomes) {
                ended.insert(call, format!("{outcome:?}"));
            }
        }
        if let Some(call) = self.ended.keys().find(|call| !ended.contains_key(call)) {
            return Err(format!("caller {call} has a record, and the journal does not know how he ended"));
        }
        self.open.retain(|call, _| arrived.contains(call) && !ended.contains_key(call));
        self.ended = ended;
        if let Some(twin) = &mut self.twin {
            twin.forget_decisions();
        }
        Ok(())
    }

    pub(super) fn at_rest(&mut self) -> Result<(), String> {
        if !self.open.is_empty() {
            return Err(format!("callers without an outcome: {:?}", self.open));
        }
        self.twin.as_mut().map_or(Ok(()), Twin::at_rest)
    }
}

/// Whether a conference is a group caller's own.
pub(super) fn is_callers(conference: &ConferenceId) -> bool {
    conference.as_str().starts_with("RESPONSEGROUP")
}

/// In a caller's conference are he and at most one other.
pub(super) fn two_at_most<'a>(heard: impl Iterator<Item = (LegId, &'a ConferenceId)>) -> Result<(), String> {
    let mut legs: BTreeMap<&ConferenceId, Vec<LegId>> = BTreeMap::new();
    for (leg, conference) in heard.filter(|(_, conference)| is_callers(conference)) {
        legs.entry(conference).or_default().push(leg);
    }
    match legs.into_iter().find(|(_, legs)| legs.len() > 2) {
        Some((conference, legs)) => Err(format!("two agents for one caller: {legs:?} in {conference}")),
        None => Ok(()),
    }
}

/// Every INVITE that can still make an agent's phone ring belongs to one offer, cancelled ones included. A device that had
/// said nothing when it was cancelled keeps only itself from another offer, not its agent.
pub(super) fn rung_once(edge: &Stack) -> Result<(), String> {
    let mut offers: BTreeMap<String, String> = BTreeMap::new();
    for (request, deaf) in edge.open_invites() {
        let Some(offer) = request.headers.get("X-RG-Offer") else { continue };
        let agent = request.headers.get("To").filter(|_| !deaf).map(str::to_owned);
        for rung in agent.into_iter().chain([request.uri.to_string()]) {
            let known = offers.entry(rung.clone()).or_insert_with(|| offer.to_owned());
            if known != offer {
                return Err(format!("{rung} is rung for the offers {known} and {offer} at once"));
            }
        }
    }
    Ok(())
}

/// What a journal record is worth counting as.
pub(crate) fn happened(record: &GroupJournal) -> Option<&'static str> {
    match record {
        GroupJournal::Machine(Entry::Decided { decided: Decision::Won { .. }, .. }) => Some("group call answered"),
        GroupJournal::Machine(Entry::Decided { decided: Decision::Offered { .. }, .. }) => Some("group call offered"),
        GroupJournal::Machine(Entry::Decided {
            decided: Decision::Ended { outcome: Outcome::NoAgent { .. }, .. },
            ..
        }) => Some("caller sent on from where nobody was"),
        GroupJournal::Machine(Entry::Told { told, .. }) => match told {
            Input::Reattached { caller: true, agent: true, .. } => Some("conversation attached again"),
            Input::Reattached { caller: true, agent: false, .. } => Some("caller attached again"),
            Input::Reattached { caller: false, .. } => Some("caller lost at a restart"),
            Input::ForwardEnded { connected: true, .. } => Some("caller forwarded"),
            _ => None,
        },
        _ => None,
    }
}
