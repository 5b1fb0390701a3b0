//! Response groups: no caller gets two agents, no agent is rung for two callers, and each caller has exactly one outcome.

use std::collections::BTreeMap;

use base::{CallId, ConferenceId, LegId};
use engine::GroupJournal;
use response_group::{CallRecord, Decision, Entry, Input};
use sip_api::Method;

use crate::stack::Stack;

/// Callers whose outcome is open.
#[derive(Debug, Default)]
pub(super) struct Groups {
    open: BTreeMap<CallId, String>,
    ended: BTreeMap<CallId, String>,
}

impl Groups {
    /// The machine was told something, before anything follows from it.
    pub(super) fn journalled(&mut self, record: &GroupJournal) -> Result<(), String> {
        let GroupJournal::Machine(Entry::Told { told: Input::CallerArrived(arrival), .. }) = record else {
            return Ok(());
        };
        match self.open.insert(arrival.call, arrival.caller.clone()) {
            None => Ok(()),
            Some(_) => Err(format!("the caller {} arrives twice", arrival.call)),
        }
    }

    /// A caller's record.
    pub(super) fn ended(&mut self, record: &CallRecord) -> Result<(), String> {
        let outcome = format!("{:?}", record.outcome);
        if self.open.remove(&record.call).is_none() {
            return Err(format!("caller {} ends as {outcome}, after {:?}", record.call, self.ended.get(&record.call)));
        }
        self.ended.insert(record.call, outcome);
        Ok(())
    }

    pub(super) fn at_rest(&self) -> Result<(), String> {
        if self.open.is_empty() { Ok(()) } else { Err(format!("callers without an outcome: {:?}", self.open)) }
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

/// Every INVITE that can still make an agent's phone ring belongs to one offer, cancelled ones included.
pub(super) fn rung_once(edge: &Stack) -> Result<(), String> {
    let mut offers: BTreeMap<String, String> = BTreeMap::new();
    for (request, _) in edge.open_requests().filter(|(request, _)| request.method == Method::Invite) {
        let Some(offer) = request.headers.get("X-RG-Offer") else { continue };
        let agent = request.headers.get("To").unwrap_or("").to_owned();
        let known = offers.entry(agent.clone()).or_insert_with(|| offer.to_owned());
        if known != offer {
            return Err(format!("{agent} is rung for the offers {known} and {offer} at once"));
        }
    }
    Ok(())
}

/// What a journal record is worth counting as.
pub(crate) fn happened(record: &GroupJournal) -> Option<&'static str> {
    match record {
        GroupJournal::Machine(Entry::Decided { decided: Decision::Won { .. }, .. }) => Some("group call answered"),
        GroupJournal::Machine(Entry::Decided { decided: Decision::Offered { .. }, .. }) => Some("group call offered"),
        _ => None,
    }
}
