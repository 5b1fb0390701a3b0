//! What the machine wants, handed to whoever does it.

use base::CallId;
use response_group::{Decision, Entry, Outcome, Output};

use super::GroupJournal;
use crate::Engine;
use crate::event::EngineEvent;

impl Engine {
    /// Carries out one output of the machine.
    pub(super) fn on_group_output(&mut self, output: Output) {
        match output {
            Output::Journal(entry) => {
                let (decided, moved) = (waits(&entry), moves(&entry));
                self.journal(GroupJournal::Machine(*entry));
                if let Some((call, waits)) = decided {
                    self.tell_caller_that_he_waits(call, waits);
                }
                moved.into_iter().for_each(|call| self.on_caller_moved(call));
            }
            Output::AnswerCaller { call, mode } => self.answer_group_caller(call, mode),
            Output::Sound { call, sound } => self.play_sound(call, sound),
            Output::Announce { call, announcement, language } => self.announce(call, &announcement, language),
            Output::Offer(order) => self.place_offer(order),
            // When a CANCEL may leave is the SIP edge's business as well: it waits for the first provisional response.
            Output::Withdraw { offer, .. } => self.withdraw_offer(offer),
            Output::AskConfirm { offer, language, .. } => self.ask_agent(offer, language),
            Output::AckBye { offer, dialog, reason } => self.release_offer(offer, dialog, reason),
            Output::Bridge { call, offer, .. } => self.bridge_offer(call, offer),
            Output::Unbridge { call, offer } => {
                self.attach_alone(call);
                self.unbridge_offer(call, offer);
            }
            Output::Forward { call, target, hops } => self.forward_caller(call, target, hops),
            Output::Disconnect { call, outcome, prompt, language } => {
                self.disconnect_caller(call, &outcome, prompt, language);
            }
            Output::Reattach { call, agent } => self.reattach(call, agent),
            Output::Monitor { call, leg, mode } => self.monitor(call, leg, mode),
            Output::SupervisorRefused { call, why } => self.on_supervisor_refused(call, why),
            Output::History(entry) => self.file_history(entry),
            Output::Cdr(record) => {
                let forwarded = is_forwarded(&record.outcome);
                let call = record.call;
                self.file_record(record);
                self.close_caller(call);
                self.settle_page(call);
                if !forwarded {
                    self.end_supervisors(call);
                }
            }
            Output::AgentState { agent, state } => self.event(EngineEvent::GroupAgent { agent, state }),
            Output::Wallboard(event) => self.event(EngineEvent::Wallboard(event)),
        }
    }
}

/// For which call it was decided that somebody rings or that nobody can, and whether nobody can.
fn waits(entry: &Entry) -> Option<(CallId, bool)> {
    match entry {
        Entry::Decided { decided: Decision::Waiting { call, .. }, .. } => Some((*call, true)),
        Entry::Decided { decided: Decision::Offered { call, .. }, .. } => Some((*call, false)),
        _ => None,
    }
}

/// Which call was moved to another group.
fn moves(entry: &Entry) -> Option<CallId> {
    match entry {
        Entry::Decided { decided: Decision::Moved { call, .. }, .. } => Some(*call),
        _ => None,
    }
}

fn is_forwarded(outcome: &Outcome) -> bool {
    !matches!(outcome, Outcome::Answered | Outcome::Abandoned | Outcome::Rejected { .. } | Outcome::Failed { .. })
}
