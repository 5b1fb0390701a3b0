//! Calls beside those of callers: a supervisor's, and those to feature codes. Each leaves a line in its user's history and, if
//! it was answered, a record.
//!
//! The journal has a call from its first INVITE until the store has what it leaves, so that the next process ends what this
//! one could not.

use std::collections::{BTreeMap, VecDeque};

use base::{
    CallId, ConversationEntry, ConversationKind, GroupErrand, LegId, Termination, TerminationReason, Timestamp, UserUri,
};
use mcu_api::{LegMedia, LegStatistics};
use response_group::MonitorMode;
use serde::{Deserialize, Serialize};

use super::ledger::{GroupLegRecord, unix_ms};
use super::{GroupJournal, WireRecord};
use crate::Engine;
use crate::event::EngineEvent;

/// A call of somebody who is neither the caller nor the agent of a group. Its times are the machine's: microseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupVisit {
    /// Its own name, which no other call of any process has.
    pub id: String,
    /// What it was for; of a supervisor, the furthest he went.
    pub errand: GroupErrand,
    /// The call that was supervised; for a feature code a number of its own.
    pub call: CallId,
    /// Who it was.
    pub user: UserUri,
    /// The group whose call it was, or the code that was dialled.
    pub with: UserUri,
    /// The agent who was supervised, once somebody was.
    pub agent: Option<UserUri>,
    /// The Call-ID of the dialog, once there is one.
    pub call_id: String,
    /// When it began.
    pub since: Timestamp,
    /// When it was answered, if it was.
    pub answered: Option<Timestamp>,
    /// When it was over; until then the time it began.
    pub ended: Timestamp,
    /// How it ended; nothing while it goes on.
    pub termination: Option<Termination>,
}

/// One such call as it stands.
#[derive(Debug)]
struct Visit {
    told: GroupVisit,
    sip: Option<LegId>,
    /// How its media fares, once there is some.
    leg: Option<GroupLegRecord>,
    /// The MCU has no leg of it any more, or never had one.
    media_over: bool,
}

/// Those calls.
#[derive(Debug, Default)]
pub(super) struct Visits {
    /// By their leg of the MCU.
    open: BTreeMap<LegId, Visit>,
    /// Those that are over, until the store has what they leave.
    unstored: VecDeque<GroupVisit>,
}

impl Visits {
    /// Calls that are over but for what the MCU has to say of them.
    pub(super) fn waiting(&self) -> usize {
        self.open.values().filter(|visit| visit.told.termination.is_some()).count()
    }

    /// What the journal of an earlier process has of such calls, as they are to be told: what had no end ended at `last`.
    pub(super) fn of_earlier(records: &[GroupJournal], last: Timestamp, bound: usize) -> Self {
        let mut known: BTreeMap<&str, GroupVisit> = BTreeMap::new();
        for record in records {
            match record {
                GroupJournal::Wire(WireRecord::Visit { visit }) => drop(known.insert(&visit.id, (**visit).clone())),
                GroupJournal::Wire(WireRecord::VisitsStored { visits }) => {
                    visits.iter().for_each(|id| drop(known.remove(id.as_str())));
                }
                _ => {}
            }
        }
        let mut unstored: VecDeque<GroupVisit> = known.into_values().collect();
        for visit in unstored.iter_mut().filter(|visit| visit.termination.is_none()) {
            visit.ended = last.max(visit.answered.unwrap_or(visit.since));
            visit.termination = Some(Termination::failed(TerminationReason::McuLost));
        }
        unstored.drain(..unstored.len().saturating_sub(bound));
        Self { open: BTreeMap::new(), unstored }
    }

    /// What a new journal must say of them.
    pub(super) fn records(&self) -> impl Iterator<Item = WireRecord> + '_ {
        let open = self.open.values().map(|visit| &visit.told);
        open.chain(&self.unstored).map(|visit| WireRecord::Visit { visit: Box::new(visit.clone()) })
    }
}

impl Engine {
    /// A supervisor's phones are about to ring, or somebody has dialled a feature code. `leg` is the leg of the MCU.
    pub(super) fn begin_visit(&mut self, leg: LegId, call: CallId, errand: GroupErrand, user: UserUri, with: UserUri) {
        let since = self.group_time();
        let told = GroupVisit {
            id: format!("group-visit-{}-{leg}", since.as_micros()),
            errand,
            call,
            user,
            with,
            agent: None,
            call_id: String::new(),
            since,
            answered: None,
            ended: since,
            termination: None,
        };
        self.record(WireRecord::Visit { visit: Box::new(told.clone()) });
        self.groups.visits.open.insert(leg, Visit { told, sip: None, leg: None, media_over: false });
    }

    /// He is connected.
    pub(super) fn answer_visit(&mut self, leg: LegId, sip: LegId, agent: Option<UserUri>, media: Option<&LegMedia>) {
        let now = self.group_time();
        let call_id = self.calls.dialog_names(sip).map(|names| names.call_id).unwrap_or_default();
        let Some(visit) = self.groups.visits.open.get_mut(&leg) else { return };
        visit.sip = Some(sip);
        (visit.told.agent, visit.told.answered) = (agent, Some(now));
        visit.leg = media.map(|media| GroupLegRecord {
            party: Some(visit.told.user.clone()),
            call_id: call_id.clone(),
            trunk: None,
            codec: media.codec,
            encrypted: media.srtp.is_some(),
            statistics: LegStatistics::default(),
        });
        visit.told.call_id = call_id;
        let visit = Box::new(visit.told.clone());
        self.record(WireRecord::Visit { visit });
    }

    /// A supervisor takes part in this way now.
    pub(super) fn deepen_visit(&mut self, leg: LegId, mode: MonitorMode) {
        let errand = errand_of(mode);
        let Some(visit) = self.groups.visits.open.get_mut(&leg).filter(|visit| visit.told.errand < errand) else {
            return;
        };
        visit.told.errand = errand;
        let visit = Box::new(visit.told.clone());
        self.record(WireRecord::Visit { visit });
    }

    /// The dialog is over.
    pub(super) fn end_visit_of(&mut self, sip: LegId, termination: Termination) {
        let legs = self.groups.visits.open.iter().find(|(_, visit)| visit.sip == Some(sip)).map(|(leg, _)| *leg);
        legs.into_iter().for_each(|leg| self.end_visit(leg, termination));
    }

    /// He has gone, or was never reached.
    pub(super) fn end_visit(&mut self, leg: LegId, termination: Termination) {
        let now = self.group_time();
        let Some(visit) = self.groups.visits.open.get_mut(&leg).filter(|visit| visit.told.termination.is_none()) else {
            return;
        };
        (visit.told.ended, visit.told.termination) = (now, Some(termination));
        let told = visit.told.clone();
        let line = line_of(&told, self.visited_name(&told));
        self.record(WireRecord::Visit { visit: Box::new(told) });
        self.write_history(line);
        self.settle_visit(leg);
    }

    /// The MCU has said how a leg fared, or lost it.
    pub(super) fn note_visit_figures(&mut self, leg: LegId, statistics: Option<LegStatistics>) {
        let Some(visit) = self.groups.visits.open.get_mut(&leg) else { return };
        visit.media_over = true;
        if let (Some(statistics), Some(record)) = (statistics, &mut visit.leg) {
            record.statistics = statistics;
        }
        self.settle_visit(leg);
    }

    /// Records a call that is over and accounted for. One that nobody answered has no media to wait for.
    fn settle_visit(&mut self, leg: LegId) {
        let over =
            |visit: &&Visit| visit.told.termination.is_some() && (visit.media_over || visit.told.answered.is_none());
        if self.groups.visits.open.get(&leg).filter(over).is_none() {
            return;
        }
        let Some(Visit { told, leg, .. }) = self.groups.visits.open.remove(&leg) else { return };
        // Beyond the bound the oldest one is given up: were the process killed now, that one could not be made anew.
        if self.groups.visits.unstored.len() >= self.config.limits.unstored_group_calls {
            self.groups.visits.unstored.pop_front();
        }
        self.groups.visits.unstored.push_back(told.clone());
        self.event(EngineEvent::GroupVisitEnded { visit: Box::new(told), leg: leg.map(Box::new) });
    }

    /// Writes once more what such calls of an earlier process left.
    pub(super) fn settle_earlier_visits(&mut self) {
        for visit in self.groups.visits.unstored.clone() {
            let line = Box::new(line_of(&visit, self.visited_name(&visit)));
            self.record(WireRecord::Visit { visit: Box::new(visit.clone()) });
            self.event(EngineEvent::ConversationAgain(line));
            self.event(EngineEvent::GroupVisitEnded { visit: Box::new(visit), leg: None });
        }
    }

    /// The store has what these left.
    pub(crate) fn on_group_visits_stored(&mut self, visits: Vec<String>) {
        self.groups.visits.unstored.retain(|visit| !visits.contains(&visit.id));
        self.record(WireRecord::VisitsStored { visits });
    }

    /// How a history shows whom he called: a group by its name. A code has none.
    fn visited_name(&self, visit: &GroupVisit) -> Option<String> {
        self.group_conf(&visit.with).map(|group| group.name.clone())
    }
}

/// What a supervisor who takes part in this way does.
pub(super) const fn errand_of(mode: MonitorMode) -> GroupErrand {
    match mode {
        MonitorMode::Listen => GroupErrand::Listen,
        MonitorMode::Whisper => GroupErrand::Whisper,
        MonitorMode::Barge => GroupErrand::Barge,
    }
}

/// The line in his history. He asked for the call, whoever dialled.
fn line_of(visit: &GroupVisit, name: Option<String>) -> ConversationEntry {
    ConversationEntry {
        user: visit.user.clone(),
        kind: ConversationKind::Outgoing,
        call: visit.call,
        peer: visit.with.clone(),
        peer_name: name.map(|name| name.chars().take(crate::people::history::NAME_MAX).collect()),
        dialled: None,
        answered_by: visit.agent.clone(),
        started: unix_ms(visit.since),
        answered: visit.answered.map(unix_ms),
        ended: unix_ms(visit.ended),
        termination: visit.termination.unwrap_or(Termination::failed(TerminationReason::McuLost)),
        errand: Some(visit.errand),
        sip_call_id: Some(visit.call_id.clone()).filter(|call_id| !call_id.is_empty()),
    }
}
