//! What a group's call leaves when it is over: a line in the history of everybody it concerned, and one record.
//!
//! A record waits until the caller has hung up, with whomever he was sent on to, and until the MCU has said how each leg
//! fared. Nothing of it is the machine's business any more.

use std::collections::{BTreeMap, BTreeSet};

use base::{CallId, ConversationEntry, ConversationKind, LegId, Termination, TerminationReason, Timestamp, UserUri};
use call::DialogRecord;
use mcu_api::{Codec, LegMedia, LegStatistics, McuEvent};
use response_group::{CallRecord, Failure, HistoryEntry, HistoryKind, Outcome, Rejection, Segment, SegmentKind};
use sip_api::SipUri;

use super::unstored::EndedCall;
use super::{Groups, WireRecord};
use crate::Engine;
use crate::event::EngineEvent;
use crate::people::bridge_setup::person_of;
use crate::people::history::NAME_MAX;

/// Who calls when no name of his can be kept (RFC 3323 4.1.1.3).
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// What the call detail records of a group's call are made of. Its times are the machine's: microseconds since 1970.
#[derive(Clone, Debug)]
pub struct GroupCallRecord {
    /// The call as the machine knew it.
    pub call: CallRecord,
    /// His conversation with whom the group sent him on to, if there was one.
    pub onward: Option<Onward>,
    /// The legs that talked, in the order in which they were connected; the caller's is among them.
    pub legs: Vec<GroupLegRecord>,
    /// Forwards that failed: when, and why.
    pub refusals: Vec<(Timestamp, TerminationReason)>,
    /// How the caller's leg ended, where he ended it before the machine did.
    pub left: Option<TerminationReason>,
    /// How it ended for the caller.
    pub termination: Termination,
}

impl GroupCallRecord {
    /// How a part of the call ended for the caller.
    pub fn termination_of(&self, segment: &Segment) -> Termination {
        match segment.outcome {
            Outcome::Abandoned => given_up(self.left),
            _ => termination_of_part(segment, &self.refusals),
        }
    }
}

/// A conversation outside the group.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Onward {
    /// With whom: a user, or a number as `tel:`.
    pub with: UserUri,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// How it ended.
    pub termination: Termination,
}

/// One leg of a group's call and how its media fared.
#[derive(Clone, Debug)]
pub struct GroupLegRecord {
    /// Who was on it; `None` is the caller.
    pub party: Option<UserUri>,
    /// The Call-ID of its dialog.
    pub call_id: String,
    /// The name of the trunk it goes by, if it does.
    pub trunk: Option<String>,
    /// The codec that was agreed on.
    pub codec: Codec,
    /// Whether its media was encrypted.
    pub encrypted: bool,
    /// Its media, counted.
    pub statistics: LegStatistics,
}

/// What is known of one call so far.
#[derive(Debug, Default)]
struct Page {
    /// What is said to agents; lines are made of it when the record says who talked when.
    lines: Vec<HistoryEntry>,
    record: Option<CallRecord>,
    onward: Option<Onward>,
    refusals: Vec<(Timestamp, TerminationReason)>,
    /// How the caller's leg ended.
    left: Option<TerminationReason>,
    legs: Vec<(LegId, GroupLegRecord)>,
    /// Legs of the MCU whose end it has not reported.
    open: BTreeSet<LegId>,
    /// The caller's own line is written.
    told_caller: bool,
    /// The call ended in an earlier process, which may have stored what it left.
    earlier: bool,
}

impl Page {
    /// How the call ended for the caller.
    fn termination(&self, record: &CallRecord) -> Termination {
        match record.outcome {
            Outcome::Abandoned => given_up(self.left),
            _ => termination_of(record, self.onward.as_ref(), &self.refusals),
        }
    }
}

/// Every call that is not recorded yet.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pages: BTreeMap<CallId, Page>,
    legs: BTreeMap<LegId, CallId>,
    /// Calls that are recorded, until the store has said so.
    pub(super) unstored: BTreeMap<CallId, EndedCall>,
}

impl Ledger {
    fn page(&mut self, call: CallId) -> &mut Page {
        self.pages.entry(call).or_default()
    }

    /// The MCU was asked for a leg of this call and will say how it ended.
    pub(super) fn open_leg(&mut self, call: CallId, leg: LegId) {
        self.legs.insert(leg, call);
        self.page(call).open.insert(leg);
    }

    /// Calls that wait for nothing but the MCU.
    pub(super) fn waiting<'a>(&'a self, callers: impl Fn(&CallId) -> bool + 'a) -> usize {
        self.pages.keys().filter(|call| !callers(call)).count()
    }

    /// A call that ended in an earlier process.
    pub(super) fn take_up(&mut self, call: EndedCall) {
        let EndedCall { record, agents, onward } = call;
        let page = Page { lines: agents, record: Some(record), onward, earlier: true, ..Page::default() };
        self.pages.insert(page.record.as_ref().map_or(CallId(0), |record| record.call), page);
    }

    /// Those.
    pub(super) fn ended_earlier(&self) -> Vec<CallId> {
        self.pages.iter().filter(|(_, page)| page.earlier).map(|(call, _)| *call).collect()
    }

    /// Calls that are over for the machine and not recorded yet.
    pub(super) fn unsettled(&self) -> impl Iterator<Item = EndedCall> + '_ {
        self.pages.values().filter_map(|page| {
            let (record, agents) = (page.record.clone()?, page.lines.clone());
            Some(EndedCall { record, agents, onward: page.onward.clone() })
        })
    }

    /// A call that is over for the machine, and with whom its caller talks on outside the groups.
    pub(super) fn talks_on(&self, call: CallId) -> Option<(&CallRecord, &Onward)> {
        let page = self.pages.get(&call)?;
        page.record.as_ref().zip(page.onward.as_ref())
    }

    fn close_leg(&mut self, leg: LegId, statistics: Option<LegStatistics>) -> Option<CallId> {
        let call = self.legs.remove(&leg)?;
        let page = self.page(call);
        page.open.remove(&leg);
        if let (Some(statistics), Some((_, record))) = (statistics, page.legs.iter_mut().find(|(id, _)| *id == leg)) {
            record.statistics = statistics;
        }
        Some(call)
    }
}

impl Engine {
    /// Somebody's audio stands: the caller's (`party` is `None`), an agent's, or that of whom the caller was sent on to.
    pub(super) fn note_group_leg(&mut self, call: CallId, legs: GroupLegs, party: Option<UserUri>, media: &LegMedia) {
        let dialog = self.calls.dialog_record(legs.sip);
        let trunk = dialog.as_ref().and_then(|dialog| self.trunk_of_dialog(dialog, party.is_none()));
        let call_id = dialog.map(|dialog| dialog.names.call_id).unwrap_or_default();
        let page = self.groups.ledger.page(call);
        let (codec, encrypted) = (media.codec, media.srtp.is_some());
        match page.legs.iter_mut().find(|(leg, _)| *leg == legs.media) {
            Some((_, known)) => (known.codec, known.encrypted) = (codec, encrypted),
            None => {
                let statistics = LegStatistics::default();
                page.legs.push((legs.media, GroupLegRecord { party, call_id, trunk, codec, encrypted, statistics }));
            }
        }
    }

    /// The trunk that is at the other end of a dialog: of a caller's only one that is believed, of ours wherever it is.
    fn trunk_of_dialog(&self, dialog: &DialogRecord, is_callers: bool) -> Option<String> {
        let (_, _, address) = dialog.source.as_ref().or(dialog.flow.as_ref()).filter(|_| dialog.user.is_none())?;
        let may_be = !is_callers || self.config.trusted_peers.contains(&address.ip());
        may_be.then(|| self.directory.trunk_from(*address).map(str::to_owned)).flatten()
    }

    /// The media side says how a leg fared, or that it was lost.
    pub(super) fn note_group_figures(&mut self, event: &McuEvent) {
        let ended: Vec<(LegId, Option<LegStatistics>)> = match event {
            McuEvent::LegRemoved { leg, statistics } => vec![(*leg, Some(*statistics))],
            McuEvent::LegFailed { leg, .. } => vec![(*leg, None)],
            McuEvent::ConferenceFailed { conference, legs } if Groups::is_conference(conference) => {
                legs.iter().map(|leg| (*leg, None)).collect()
            }
            _ => return,
        };
        for (leg, statistics) in ended {
            self.note_visit_figures(leg, statistics);
            if let Some(call) = self.groups.ledger.close_leg(leg, statistics) {
                self.settle_page(call);
            }
        }
    }

    /// The caller talks with whom he was sent on to.
    pub(super) fn note_onward(&mut self, call: CallId, with: UserUri) {
        let now = self.group_time();
        let termination = Termination::completed(TerminationReason::Departed);
        let onward = Onward { with, from: now, to: now, termination };
        self.groups.ledger.page(call).onward = Some(onward.clone());
        self.record(WireRecord::Onward { call, onward });
    }

    /// That conversation is over.
    pub(super) fn end_onward(&mut self, call: CallId, termination: Termination) {
        let now = self.group_time();
        if let Some(onward) = &mut self.groups.ledger.page(call).onward {
            (onward.to, onward.termination) = (now, termination);
            let onward = onward.clone();
            self.record(WireRecord::Onward { call, onward });
        }
    }

    /// The caller's leg ended.
    pub(super) fn note_left(&mut self, call: CallId, reason: TerminationReason) {
        self.groups.ledger.page(call).left = Some(reason);
    }

    /// Whom the caller was to be sent on to is not reached.
    pub(super) fn note_refusal(&mut self, call: CallId, reason: TerminationReason) {
        let now = self.group_time();
        self.groups.ledger.page(call).refusals.push((now, reason));
    }

    /// A line for an agent; when he talked, only the record says.
    pub(super) fn file_history(&mut self, entry: HistoryEntry) {
        self.groups.ledger.page(entry.call).lines.push(entry);
    }

    /// The machine has done with a call.
    pub(super) fn file_record(&mut self, record: CallRecord) {
        let call = record.call;
        self.groups.ledger.page(call).record = Some(record);
        self.write_agents_lines(call);
    }

    /// Writes the lines of a call's agents.
    pub(super) fn write_agents_lines(&mut self, call: CallId) {
        let Some(page) = self.groups.ledger.pages.get(&call) else { return };
        let Some(record) = &page.record else { return };
        let lines: Vec<_> = page.lines.iter().map(|entry| self.line_of_agent(entry, record, page.left)).collect();
        let earlier = page.earlier;
        lines.into_iter().for_each(|line| self.write_group_line(line, earlier));
    }

    /// A line of a call that ended in an earlier process may be there already.
    fn write_group_line(&mut self, line: ConversationEntry, earlier: bool) {
        match earlier {
            false => self.write_history(line),
            true => self.event(EngineEvent::ConversationAgain(Box::new(line))),
        }
    }

    /// Records a call as soon as the caller has gone and every leg is accounted for.
    pub(super) fn settle_page(&mut self, call: CallId) {
        let caller_is_here = self.groups.callers.contains_key(&call);
        let Some(page) = self.groups.ledger.pages.get_mut(&call).filter(|_| !caller_is_here) else { return };
        let Some(record) = page.record.clone() else { return };
        if !std::mem::replace(&mut page.told_caller, true) {
            let (onward, earlier) = (page.onward.clone(), page.earlier);
            let termination = page.termination(&record);
            if let Some(line) = self.line_of_group_caller(&record, onward.as_ref(), termination) {
                self.write_group_line(line, earlier);
            }
        }
        if self.groups.ledger.pages.get(&call).is_none_or(|page| !page.open.is_empty()) {
            return;
        }
        let Some(page) = self.groups.ledger.pages.remove(&call) else { return };
        let termination = page.termination(&record);
        let legs = page.legs.into_iter().map(|(_, leg)| leg).collect();
        let (onward, refusals, left) = (page.onward, page.refusals, page.left);
        if let Some(record) = page.record {
            let ended = EndedCall { record, agents: page.lines, onward: onward.clone() };
            self.groups.ledger.keep_until_stored(ended, self.config.limits.unstored_group_calls);
        }
        let record = GroupCallRecord { call: record, onward, legs, refusals, left, termination };
        self.event(EngineEvent::GroupCallEnded(Box::new(record)));
    }

    /// A group's call in an agent's history. None of its kinds is a missed call (rules R6, R7). `left` is how the caller's leg
    /// ended.
    fn line_of_agent(
        &self,
        entry: &HistoryEntry,
        record: &CallRecord,
        left: Option<TerminationReason>,
    ) -> ConversationEntry {
        let first = conversations(record).next();
        let is_his = |talk: &(&UserUri, &Segment)| *talk.0 == entry.agent;
        let own = conversations(record).find(is_his).or_else(|| talks(record).find(is_his)).map(|(_, segment)| segment);
        let his_end = own.map(|segment| termination_of_part(segment, &[]));
        let (kind, reason) = match entry.kind {
            HistoryKind::GroupCallAnsweredByYou => {
                (ConversationKind::GroupCallAnsweredByYou, TerminationReason::Departed)
            }
            HistoryKind::GroupCallAnsweredByOther => {
                (ConversationKind::GroupCallAnsweredByOther, TerminationReason::AnsweredElsewhere)
            }
            HistoryKind::GroupCallNotAnswered => (ConversationKind::GroupCallNotAnswered, unanswered(&record.outcome)),
            HistoryKind::GroupCallAbandoned => (ConversationKind::GroupCallAbandoned, given_up(left).reason),
        };
        // A conversation too short to be measured was answered when it ended.
        let over = (record.ended, record.ended);
        let (answered, ended) = match kind {
            ConversationKind::GroupCallAnsweredByYou => own.map_or(over, |talk| (talk.from, talk.to)),
            _ => first.map_or(over, |(_, talk)| (talk.from, talk.from)),
        };
        let by_him = kind == ConversationKind::GroupCallAnsweredByYou;
        let by_other = kind == ConversationKind::GroupCallAnsweredByOther;
        let caller = self.groups.callers.get(&entry.call);
        let name = caller.and_then(|caller| caller.from.display_name.as_ref());
        ConversationEntry {
            user: entry.agent.clone(),
            kind,
            call: entry.call,
            peer: person(&entry.caller),
            peer_name: name.map(|name| name.chars().take(NAME_MAX).collect()),
            dialled: Some(entry.group.clone()),
            answered_by: first.filter(|_| by_other).map(|(agent, _)| agent.clone()),
            started: unix_ms(entry.arrived),
            answered: (by_him || by_other).then_some(unix_ms(answered)),
            ended: unix_ms(ended),
            termination: match his_end {
                Some(termination) if by_him => termination,
                _ if by_him => Termination::completed(reason),
                _ => Termination::cancelled(reason),
            },
            errand: None,
            sip_call_id: Some(record.reference.clone()),
        }
    }

    /// The call in the history of who made it, if he is a user of ours. An anonymous group tells him of no agent.
    fn line_of_group_caller(
        &self,
        record: &CallRecord,
        onward: Option<&Onward>,
        termination: Termination,
    ) -> Option<ConversationEntry> {
        let user = person(&record.caller);
        self.directory.user(&user)?;
        let groups = self.groups.domain.iter().flat_map(|domain| &domain.config().groups);
        let group = groups.into_iter().find(|group| group.uri == record.group);
        let agent = conversations(record).next();
        let anonymous = group.is_some_and(|group| group.anonymous);
        let answered_by = agent.map(|(agent, _)| agent).filter(|_| !anonymous);
        let answered_by = answered_by.or(onward.filter(|_| agent.is_none()).map(|onward| &onward.with));
        let unmeasured = (record.outcome == Outcome::Answered).then_some(record.ended);
        let answered = agent.map(|(_, talk)| talk.from).or(onward.map(|onward| onward.from)).or(unmeasured);
        Some(ConversationEntry {
            user,
            kind: ConversationKind::Outgoing,
            call: record.call,
            peer: record.group.clone(),
            peer_name: group.map(|group| group.name.chars().take(NAME_MAX).collect()),
            dialled: None,
            answered_by: answered_by.cloned(),
            started: unix_ms(record.arrived),
            answered: answered.map(unix_ms),
            ended: unix_ms(onward.map_or(record.ended, |onward| onward.to)),
            termination,
            errand: None,
            sip_call_id: Some(record.reference.clone()),
        })
    }
}

/// A leg on both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct GroupLegs {
    /// On the SIP side.
    pub(super) sip: LegId,
    /// On the media side.
    pub(super) media: LegId,
}

/// With which agents the caller was connected, in order, and those who answered and hung up before that.
fn talks(record: &CallRecord) -> impl DoubleEndedIterator<Item = (&UserUri, &Segment)> {
    record.segments.iter().filter_map(|segment| match &segment.kind {
        SegmentKind::Talk { agent } => Some((agent, segment)),
        _ => None,
    })
}

/// The conversations with agents, in order.
fn conversations(record: &CallRecord) -> impl DoubleEndedIterator<Item = (&UserUri, &Segment)> {
    talks(record).filter(|(_, segment)| segment.to > segment.from)
}

/// How a call ended for whoever made it: as his last conversation did, if he had one.
fn termination_of(
    record: &CallRecord,
    onward: Option<&Onward>,
    refusals: &[(Timestamp, TerminationReason)],
) -> Termination {
    match (onward, conversations(record).next_back()) {
        (Some(onward), _) => onward.termination,
        (None, Some((_, talk))) => termination_of_part(talk, refusals),
        (None, None) => untalked(&record.outcome, refusals.last().map(|(_, reason)| *reason)),
    }
}

/// How a part of a call ended. Whoever talked was served, however that ended.
fn termination_of_part(segment: &Segment, refusals: &[(Timestamp, TerminationReason)]) -> Termination {
    let refusal = refusals.iter().find(|(at, _)| *at == segment.to).map(|(_, reason)| *reason);
    match (&segment.kind, &segment.outcome) {
        (SegmentKind::Talk { .. }, Outcome::Failed { why: Failure::Stopping }) => {
            Termination::completed(TerminationReason::ServerStopping)
        }
        (SegmentKind::Talk { .. }, Outcome::Failed { why: Failure::Restart }) => {
            Termination::failed(TerminationReason::McuLost)
        }
        (SegmentKind::Talk { .. }, Outcome::Failed { why: Failure::NotConfirmed }) => {
            Termination::failed(TerminationReason::NoAck)
        }
        (SegmentKind::Talk { .. }, _) => Termination::completed(TerminationReason::Departed),
        (_, outcome) => untalked(outcome, refusal),
    }
}

/// How the call ended of a caller who gave up waiting: as his leg says, with CANCEL, with BYE, or cut off. After a crash nobody
/// knows.
fn given_up(left: Option<TerminationReason>) -> Termination {
    Termination::cancelled(left.unwrap_or(TerminationReason::RequestCancelled))
}

/// Why an agent was rung in vain by a caller who did not give up: mostly because nobody answered him.
fn unanswered(outcome: &Outcome) -> TerminationReason {
    match outcome {
        Outcome::Failed { why: Failure::Restart | Failure::Stopping | Failure::NotConfirmed } => {
            untalked(outcome, None).reason
        }
        _ => TerminationReason::NoAnswer,
    }
}

/// How something ended in which nobody talked; `refusal` says why a target was not reached.
fn untalked(outcome: &Outcome, refusal: Option<TerminationReason>) -> Termination {
    Termination::failed(match outcome {
        Outcome::Answered | Outcome::Transferred { .. } => {
            return Termination::completed(TerminationReason::Departed);
        }
        Outcome::Abandoned => return given_up(None),
        // He chose not to wait.
        Outcome::ChoseExit { .. } => return Termination::cancelled(TerminationReason::Departed),
        Outcome::Overflowed { .. } => TerminationReason::Busy,
        Outcome::TimedOut { .. } | Outcome::NoAgent { .. } => TerminationReason::NoAnswer,
        Outcome::Failed { why: Failure::ForwardFailed } => refusal.unwrap_or(TerminationReason::NoAnswer),
        Outcome::Closed { .. } => TerminationReason::ServiceUnavailable,
        Outcome::Rejected { why: Rejection::UnknownGroup } | Outcome::Failed { why: Failure::GroupRemoved } => {
            TerminationReason::InvalidTarget
        }
        Outcome::Rejected { why: Rejection::TooManyCalls } | Outcome::Failed { why: Failure::Loop } => {
            TerminationReason::LimitReached
        }
        Outcome::Failed { why: Failure::Restart } => TerminationReason::McuLost,
        Outcome::Failed { why: Failure::Stopping } => TerminationReason::ServerStopping,
        Outcome::Failed { why: Failure::NotConfirmed } => TerminationReason::NoAck,
    })
}

/// A time of the machine.
pub(super) fn unix_ms(at: Timestamp) -> i64 {
    i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX)
}

/// Whoever an address of a caller names; a call is in its agents' histories whatever the caller calls himself.
pub(super) fn person(caller: &str) -> UserUri {
    let anonymous = || UserUri::parse(ANONYMOUS).expect("it is a URI");
    match SipUri::parse(caller) {
        Ok(uri) => person_of(&uri).unwrap_or_else(anonymous),
        Err(_) => UserUri::parse(caller).unwrap_or_else(|_| anonymous()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_caller_has_a_name_in_a_history() {
        let long = format!("sip:{}@example.com", "a".repeat(600));
        let cases = [
            ("sip:ann@example.com", "sip:ann@example.com"),
            ("sip:+4930123456@192.0.2.1;user=phone", "tel:+4930123456"),
            ("tel:+4930123456", "tel:+4930123456"),
            ("sip:192.0.2.1", "sip:192.0.2.1"),
            (long.as_str(), ANONYMOUS),
            ("\"Ann\" <sip:ann@example.com>", ANONYMOUS),
            ("", ANONYMOUS),
        ];
        for (caller, name) in cases {
            assert_eq!(person(caller).as_str(), name, "{caller}");
        }
    }
}
