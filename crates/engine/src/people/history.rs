//! Lines of users' call histories: who was called, who answered, and who missed a call.

use base::{CallId, ConversationEntry, ConversationKind, Termination, TerminationReason, Timestamp, UserUri};
use routing::DiversionReason;

use crate::Engine;
use crate::conference::leg::DialOut;
use crate::event::{EngineEvent, LegRecord};
use crate::people::bridge::Bridge;
use crate::people::way::Visit;

/// Characters of a name that a history keeps.
pub(crate) const NAME_MAX: usize = 128;

/// A call as the histories of those it went to tell it.
#[derive(Debug)]
pub(crate) struct Story<'a> {
    /// The call.
    pub(crate) call: CallId,
    /// The Call-ID of the leg of who called.
    pub(crate) call_id: Option<String>,
    /// Who called.
    pub(crate) caller: &'a UserUri,
    /// How he is shown.
    pub(crate) caller_name: Option<&'a str>,
    /// Whom it was for at first.
    pub(crate) dialled: Option<&'a UserUri>,
    /// Who answered: a user, or a number as `tel:`.
    pub(crate) callee: Option<&'a UserUri>,
    /// At whom the call was at last.
    pub(crate) at: Option<UserUri>,
    /// When it began.
    pub(crate) since: Timestamp,
    /// When it was answered.
    pub(crate) answered: Option<Timestamp>,
    /// How it ended for whoever is told.
    pub(crate) termination: Termination,
}

impl<'a> Story<'a> {
    fn of(call: CallId, bridge: &'a Bridge, termination: Termination) -> Self {
        Self {
            call,
            call_id: bridge.caller.call_id.clone(),
            caller: &bridge.caller.user,
            caller_name: bridge.caller.display_name.as_deref(),
            dialled: bridge.dialled.as_ref(),
            callee: bridge.callee.as_ref(),
            at: bridge.way.destination.person(),
            since: bridge.since,
            answered: bridge.answered.map(|(_, at)| at),
            termination,
        }
    }
}

impl Engine {
    /// Writes one line of a user's call history; a missed call is told to his devices as well.
    pub(crate) fn write_history(&mut self, entry: ConversationEntry) {
        if entry.kind.is_missed_call() {
            self.note_missed_call(&entry.user);
        }
        self.event(EngineEvent::Conversation(Box::new(entry)));
    }

    /// A time of this process as milliseconds since 1970.
    pub(crate) fn unix_ms(&self, at: Timestamp) -> i64 {
        self.config.unix_start_ms.saturating_add(i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX))
    }

    /// A call was answered: those who are not in it need not wait for its end to know.
    pub(crate) fn tell_the_others(&mut self, call: CallId) {
        let Some(bridge) = self.bridges.get_mut(call) else { return };
        let visits = std::mem::take(&mut bridge.way.visits);
        let Some(bridge) = self.bridges.get(call) else { return };
        let answered = Termination::cancelled(TerminationReason::AnsweredElsewhere);
        let lines = self.lines_of_others(&Story::of(call, bridge, answered), &visits);
        lines.into_iter().for_each(|line| self.write_history(line));
    }

    /// A call is over: a line for who called and who answered, or, when nobody did, for everybody it was offered to.
    pub(crate) fn write_histories(&mut self, call: CallId, bridge: &Bridge, termination: Termination) {
        let story = Story::of(call, bridge, termination);
        let mut lines = self.lines_of_others(&story, &bridge.way.visits);
        let caller = &bridge.caller.user;
        if let Some(dialled) = bridge.dialled.clone().filter(|_| self.directory.user(caller).is_some()) {
            let answered_by = bridge.callee.clone().filter(|callee| *callee != dialled);
            let line = self.line(&story, caller.clone(), ConversationKind::Outgoing);
            lines.push(ConversationEntry { peer: dialled, peer_name: None, dialled: None, answered_by, ..line });
        }
        lines.extend(self.line_of_callee(&story));
        lines.into_iter().for_each(|line| self.write_history(line));
    }

    /// The line of who answered. An answer at the place of a user's simultaneous ring is his own.
    pub(crate) fn line_of_callee(&self, story: &Story<'_>) -> Option<ConversationEntry> {
        let callee = story.callee?;
        let own = story.at.clone()?;
        let user = if self.directory.user(callee).is_some() { callee.clone() } else { own };
        self.directory.user(&user)?;
        let answered_by = (user != *callee).then(|| callee.clone());
        let line = self.line(story, user, ConversationKind::Incoming);
        Some(ConversationEntry { answered_by, ..line })
    }

    /// The lines of those it was offered to and who are not in it.
    pub(crate) fn lines_of_others(&self, story: &Story<'_>, visits: &[Visit]) -> Vec<ConversationEntry> {
        let answerer = self.line_of_callee(story).map(|line| line.user);
        let mut lines: Vec<ConversationEntry> = Vec::new();
        for visit in visits {
            let is_known = lines.iter().any(|line| line.user == visit.user);
            if is_known || answerer.as_ref() == Some(&visit.user) || self.directory.user(&visit.user).is_none() {
                continue;
            }
            let line = self.line(story, visit.user.clone(), kind_for(visit, story.callee.is_some()));
            let dialled = visit.on_behalf_of.clone().or(line.dialled);
            lines.push(ConversationEntry { dialled, answered_by: story.callee.cloned(), ..line });
        }
        lines
    }

    /// The line of somebody who called a conference.
    pub(crate) fn write_join(&mut self, record: &LegRecord) {
        if self.directory.user(&record.peer).is_some() {
            let line = self.conference_line(record, record.peer.clone(), ConversationKind::Outgoing);
            self.write_history(line);
        }
    }

    /// The lines of those a conference called: one call for all who were rung because of it.
    pub(crate) fn write_dial_out(&mut self, record: &LegRecord, dial_out: &DialOut) {
        let Some(way) = &dial_out.way else { return };
        let answered = record.connected.is_some();
        let callee = || way.destination.person().filter(|person| self.directory.user(person).is_some());
        let helper = dial_out.answered_by.clone().filter(|person| self.directory.user(person).is_some());
        let answerer = helper.or_else(callee).filter(|_| answered);
        let mut lines: Vec<ConversationEntry> = Vec::new();
        for visit in &way.visits {
            if lines.iter().any(|line| line.user == visit.user) || self.directory.user(&visit.user).is_none() {
                continue;
            }
            let is_answerer = answerer.as_ref() == Some(&visit.user);
            let kind = if is_answerer { ConversationKind::Incoming } else { kind_for(visit, answered) };
            let line = self.conference_line(record, visit.user.clone(), kind);
            let answered_by = answerer.clone().filter(|_| !is_answerer);
            lines.push(ConversationEntry { dialled: visit.on_behalf_of.clone(), answered_by, ..line });
        }
        lines.into_iter().for_each(|line| self.write_history(line));
    }

    fn conference_line(&self, record: &LegRecord, user: UserUri, kind: ConversationKind) -> ConversationEntry {
        let conference = self.directory.conference(&record.conference);
        let number = conference.and_then(|conference| conference.number.as_ref().map(|number| number.as_str()));
        let name = number.unwrap_or(record.conference.as_str());
        let subject = conference.and_then(|conference| conference.subject.as_ref());
        ConversationEntry {
            user,
            kind,
            call: CallId(record.leg.0),
            peer: self.config.own_user(name).unwrap_or_else(|| record.peer.clone()),
            peer_name: subject.map(|subject| subject.chars().take(NAME_MAX).collect()),
            dialled: None,
            answered_by: None,
            started: self.unix_ms(record.since),
            answered: record.connected.map(|at| self.unix_ms(at)),
            ended: self.unix_ms(record.ended),
            termination: record.termination,
            errand: None,
            sip_call_id: record.call_id.clone(),
        }
    }

    fn line(&self, story: &Story<'_>, user: UserUri, kind: ConversationKind) -> ConversationEntry {
        ConversationEntry {
            dialled: story.dialled.cloned().filter(|dialled| *dialled != user),
            user,
            kind,
            call: story.call,
            peer: story.caller.clone(),
            peer_name: story.caller_name.map(|name| name.chars().take(NAME_MAX).collect()),
            answered_by: None,
            started: self.unix_ms(story.since),
            answered: story.answered.map(|at| self.unix_ms(at)),
            ended: self.unix_ms(self.now),
            termination: story.termination,
            errand: None,
            sip_call_id: story.call_id.clone(),
        }
    }
}

/// What a call was to somebody it was offered to and who is not in it.
fn kind_for(visit: &Visit, answered: bool) -> ConversationKind {
    if visit.on_behalf_of.is_some() {
        return match answered {
            true => ConversationKind::AnsweredElsewhere,
            false => ConversationKind::NotAnsweredForAnother,
        };
    }
    match visit.left {
        // He wanted it so, and whoever was called instead is told.
        Some((DiversionReason::Unconditional | DiversionReason::Deflection, _)) => ConversationKind::Diverted,
        // A mailbox is nobody who answered.
        Some((_, voicemail)) if answered && !voicemail => ConversationKind::Diverted,
        _ if visit.declined => ConversationKind::Declined,
        Some(_) => ConversationKind::Missed,
        None if answered => ConversationKind::AnsweredElsewhere,
        None => ConversationKind::Missed,
    }
}
