//! What the machine wants, handed to whoever does it.

use base::{
    ConversationEntry, ConversationKind, Termination, TerminationReason, TerminationResult, Timestamp, UserUri,
};
use response_group::{HistoryEntry, HistoryKind, Outcome, Output};

use super::GroupJournal;
use crate::Engine;
use crate::event::EngineEvent;

impl Engine {
    /// Carries out one output of the machine.
    pub(super) fn on_group_output(&mut self, output: Output) {
        match output {
            Output::Journal(entry) => self.journal(GroupJournal::Machine(*entry)),
            Output::AnswerCaller { call, mode } => self.answer_group_caller(call, mode),
            Output::Sound { call, sound } => self.play_sound(call, sound),
            Output::Announce { call, announcement, language } => self.announce(call, &announcement, language),
            Output::Offer(order) => self.place_offer(order),
            // When a CANCEL may leave is the SIP edge's business as well: it waits for the first provisional response.
            Output::Withdraw { offer, .. } => self.withdraw_offer(offer),
            Output::AskConfirm { offer, language, .. } => self.ask_agent(offer, language),
            Output::AckBye { offer, dialog, reason } => self.release_offer(offer, dialog, reason),
            Output::Bridge { call, offer, .. } => self.bridge_offer(call, offer),
            Output::Unbridge { call, offer } => self.unbridge_offer(call, offer),
            Output::Forward { call, target, hops } => self.forward_caller(call, target, hops),
            Output::Disconnect { call, outcome, prompt, language } => {
                self.disconnect_caller(call, &outcome, prompt, language);
            }
            Output::Reattach { call, agent } => self.reattach(call, agent),
            Output::Monitor { call, leg, mode } => self.monitor(call, leg, mode),
            Output::SupervisorRefused { call, why } => {
                self.event(EngineEvent::GroupSupervisorRefused { call, why });
            }
            Output::History(entry) => self.write_group_history(&entry),
            Output::Cdr(record) => {
                let forwarded = is_forwarded(&record.outcome);
                let call = record.call;
                self.event(EngineEvent::GroupCallEnded(Box::new(record)));
                self.close_caller(call);
                if !forwarded {
                    self.end_supervisors(call);
                }
            }
            Output::AgentState { agent, state } => self.event(EngineEvent::GroupAgent { agent, state }),
            Output::Wallboard(event) => self.event(EngineEvent::Wallboard(event)),
        }
    }
}

fn is_forwarded(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Answered | Outcome::Abandoned | Outcome::Rejected { .. } | Outcome::Failed { .. })
}

impl Engine {
    /// A group's call in an agent's history. None of its kinds is a missed call (rules R6, R7).
    fn write_group_history(&mut self, entry: &HistoryEntry) {
        let Ok(peer) = UserUri::parse(&entry.caller) else { return };
        let (kind, reason) = match entry.kind {
            HistoryKind::GroupCallAnsweredByYou => {
                (ConversationKind::GroupCallAnsweredByYou, TerminationReason::Departed)
            }
            HistoryKind::GroupCallAnsweredByOther => {
                (ConversationKind::GroupCallAnsweredByOther, TerminationReason::AnsweredElsewhere)
            }
            HistoryKind::GroupCallNotAnswered => (ConversationKind::GroupCallNotAnswered, TerminationReason::NoAnswer),
            HistoryKind::GroupCallAbandoned => {
                (ConversationKind::GroupCallAbandoned, TerminationReason::RequestCancelled)
            }
        };
        let answered = kind == ConversationKind::GroupCallAnsweredByYou;
        let unix_ms = |at: Timestamp| i64::try_from(at.as_micros() / 1_000).unwrap_or(i64::MAX);
        let ended = unix_ms(self.group_time());
        let result = if answered { TerminationResult::Completed } else { TerminationResult::Cancelled };
        self.write_history(ConversationEntry {
            user: entry.agent.clone(),
            kind,
            call: entry.call,
            peer,
            peer_name: self.groups.callers.get(&entry.call).and_then(|caller| caller.from.display_name.clone()),
            dialled: Some(entry.group.clone()),
            answered_by: None,
            started: unix_ms(entry.arrived),
            answered: answered.then_some(ended),
            ended,
            termination: Termination { result, reason },
        });
    }
}
