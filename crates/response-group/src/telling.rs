//! One call's story, line by line: what was told about it and what its caller went through, in an operator's words.

use std::collections::BTreeMap;

use base::{CallId, LegId, Timestamp};

use crate::Domain;
use crate::call::{Phase, Step};
use crate::config::Action;
use crate::group::GroupIx;
use crate::hours::{Openness, openness};
use crate::input::{Input, MonitorMode, OfferNo, SupervisorCommand};
use crate::output::{Announcement, Decision, Output, Withdrawal};
use crate::workflow::question_at;

/// Tells of one call, input by input.
pub(crate) struct Teller {
    call: CallId,
    /// Where the call was before the input that is told now, and at which group.
    before: Option<(Phase, GroupIx)>,
    /// Caller and agent were connected before.
    connected: bool,
    /// Whom the caller is sent to next is on the line already.
    consulted: bool,
    /// Who sent the caller elsewhere last.
    transferred_by: Option<String>,
    /// Who has taken part or wanted to, by leg.
    supervisors: BTreeMap<LegId, String>,
    /// Who takes part, how, and since when.
    listening: BTreeMap<LegId, (MonitorMode, Timestamp)>,
}

impl Teller {
    pub(crate) fn new(call: CallId) -> Self {
        Self {
            call,
            before: None,
            connected: false,
            consulted: false,
            transferred_by: None,
            supervisors: BTreeMap::new(),
            listening: BTreeMap::new(),
        }
    }

    /// Everything that follows from an input was told.
    pub(crate) fn settle(&mut self, domain: &Domain) {
        self.before = domain.calls.get(&self.call).map(|call| (call.phase.clone(), call.group));
    }

    /// What was told about the call; `None` when the input is about something else.
    pub(crate) fn told(&mut self, domain: &Domain, told: &Input) -> Option<String> {
        self.consulted = matches!(told, Input::AgentTransferred { consulted: true, .. });
        let of = |number: &OfferNo| self.agent_of(domain, *number);
        match told {
            Input::OfferProgressed { offer, ringing: true } => Some(format!("{} rings", of(offer)?)),
            Input::OfferDiverting { offer } => Some(format!("{} is being diverted", of(offer)?)),
            Input::OfferAnswered { offer, .. } => Some(format!("{} answered", of(offer)?)),
            Input::OfferConfirmed { offer, accepted: true } => Some(format!("{} pressed the key", of(offer)?)),
            Input::OfferConfirmed { offer, accepted: false } => Some(format!("{} pressed another key", of(offer)?)),
            Input::AgentTransferred { offer, target, consulted } => {
                let asked = if *consulted { ", whom he has asked before" } else { "" };
                let agent = of(offer)?;
                self.transferred_by = Some(agent.clone());
                Some(format!("{agent} has the caller {}{asked}", sent_by(target)))
            }
            Input::TimerFired => self.no_key_came(domain),
            Input::Configured { .. } if self.before.is_some() => Some("other settings of the groups hold".to_owned()),
            Input::Restarted if domain.calls.contains_key(&self.call) => {
                let listening = std::mem::take(&mut self.listening);
                let gone =
                    listening.into_iter().map(|(leg, part)| format!("; {}", self.no_longer(leg, part, domain.now)));
                Some(format!("the server was restarted{}", gone.collect::<String>()))
            }
            told => self.told_by_number(domain, told),
        }
    }

    /// Inputs that say which call they are about.
    fn told_by_number(&mut self, domain: &Domain, told: &Input) -> Option<String> {
        let mine = self.call;
        match told {
            Input::CallerArrived(arrival) if arrival.call == mine => {
                let group = domain.group_by_uri.get(&arrival.group).map(|group| &domain.group(*group).conf);
                let closed = group.is_some_and(|conf| openness(conf, arrival.unix_seconds) == Openness::Holiday);
                let holiday = if closed { ", where it is a holiday" } else { "" };
                // In full: who reads the journal has the address before him, and asks for this very call.
                Some(format!("{} calls {}{holiday}", arrival.caller, arrival.group))
            }
            Input::CallerLeft { call } if *call == mine => Some("the caller hung up".to_owned()),
            Input::CallerNotConfirmed { call } if *call == mine => {
                Some("the caller's phone never confirmed the call (no ACK)".to_owned())
            }
            Input::CallerRefused { call, why } if *call == mine => Some(format!("the caller is refused: {why}")),
            Input::CallerDigit { call, digit } if *call == mine => Some(self.key_came(domain, *digit)),
            Input::Bridged { call, .. } if *call == mine => {
                let again = if std::mem::replace(&mut self.connected, true) { " again" } else { "" };
                Some(format!("caller and agent are connected{again}"))
            }
            Input::BridgeFailed { call } if *call == mine => Some("the media could not be joined".to_owned()),
            Input::ForwardEnded { call, connected, status } if *call == mine => {
                Some(self.forward_ended(domain, *connected, *status))
            }
            Input::Supervise { call, command: SupervisorCommand::Monitor { leg, supervisor, .. } } if *call == mine => {
                let name = supervisor.as_ref().map_or_else(|| "a supervisor".to_owned(), ToString::to_string);
                self.supervisors.insert(*leg, name);
                None
            }
            Input::Supervise { call, command: SupervisorCommand::Transfer { target } } if *call == mine => {
                self.transferred_by = Some("a supervisor".to_owned());
                Some(format!("a supervisor has the caller {}", sent_by(target)))
            }
            Input::PhonesAwaited { call } if *call == mine => {
                Some("a phone's connection ended with the process; it is waited for until it registers anew".to_owned())
            }
            Input::CallerBack { call } if *call == mine => Some("the caller's audio is here again".to_owned()),
            Input::Reattached { call, caller: true, .. } if *call == mine => {
                let told = domain.calls.get(call).is_some_and(|call| call.back);
                (!told).then(|| "the caller's audio is here again".to_owned())
            }
            _ => None,
        }
    }

    /// A decision about the call, with who transferred the caller where that is its reason.
    pub(crate) fn decided(&self, decided: &Decision) -> String {
        match &self.transferred_by {
            Some(by) => decided.in_words(by),
            None => decided.to_string(),
        }
    }

    /// What the call's caller is to hear and whom he is sent to, and phones that are given up for more than another
    /// agent's answer; decisions tell of themselves.
    pub(crate) fn ordered(&mut self, domain: &Domain, output: &Output) -> Option<String> {
        match output {
            Output::Announce { call, announcement: Announcement::Prompt { name }, .. } if *call == self.call => {
                Some(match domain.calls.get(call).map(|call| &call.phase) {
                    Some(Phase::Greeting(Step::Question { attempt: 1, .. })) => format!("the caller is asked {name:?}"),
                    Some(Phase::Greeting(Step::Question { attempt, .. })) => {
                        format!("the caller is asked {name:?}, attempt {attempt}")
                    }
                    _ => format!("the caller hears {name:?}"),
                })
            }
            Output::Forward { call, target, .. } if *call == self.call => {
                (!self.consulted).then(|| format!("{target} is called for the caller"))
            }
            Output::Monitor { call, leg, mode } if *call == self.call => self.takes_part(*leg, *mode, domain.now),
            Output::SupervisorRefused { call, why } if *call == self.call => {
                Some(format!("a supervisor is refused: {why}"))
            }
            Output::Withdraw { offer, reason, .. } => {
                let agent = self.agent_of(domain, *offer)?;
                let told = !matches!(reason, Withdrawal::LostRace | Withdrawal::CallerGone | Withdrawal::Restart);
                let paused = if *reason == Withdrawal::Alert { self.pause_of(domain, *offer) } else { String::new() };
                told.then(|| format!("{agent} is rung no longer: {reason}{paused}"))
            }
            _ => None,
        }
    }

    /// A supervisor begins to take part, does so in another way, or does so no more.
    fn takes_part(&mut self, leg: LegId, mode: Option<MonitorMode>, now: Timestamp) -> Option<String> {
        let before = match mode {
            Some(mode) => self.listening.insert(leg, (mode, now)),
            None => self.listening.remove(&leg),
        };
        let ended = before.filter(|(was, _)| mode != Some(*was)).map(|part| self.no_longer(leg, part, now));
        let begun = mode.filter(|mode| before.is_none_or(|(was, _)| was != *mode));
        if let (Some((_, since)), None) = (before, begun)
            && let Some((_, at)) = self.listening.get_mut(&leg)
        {
            *at = since;
        }
        let begun = begun.map(|mode| format!("{} {}", self.supervisor(leg), doing(mode)));
        let told: Vec<String> = ended.into_iter().chain(begun).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    fn no_longer(&self, leg: LegId, (mode, since): (MonitorMode, Timestamp), now: Timestamp) -> String {
        let seconds = now.since(since).as_secs_f64();
        format!("{} {} no longer, after {seconds:.3} s", self.supervisor(leg), doing(mode))
    }

    fn supervisor(&self, leg: LegId) -> &str {
        self.supervisors.get(&leg).map_or("a supervisor", String::as_str)
    }

    fn agent_of(&self, domain: &Domain, number: OfferNo) -> Option<String> {
        let offer = domain.offers.get(&number).filter(|offer| offer.call == self.call)?;
        Some(domain.agents[offer.agent.0 as usize].uri.to_string())
    }

    /// That the agent of an offer is paused now, if he is.
    fn pause_of(&self, domain: &Domain, number: OfferNo) -> String {
        let offer = domain.offers.get(&number).filter(|offer| offer.call == self.call);
        let until = offer.and_then(|offer| domain.agents[offer.agent.0 as usize].paused_until);
        let left = until.filter(|until| *until > domain.now).map(|until| until.since(domain.now).as_secs());
        left.map(|left| format!("; he is paused for {left} s")).unwrap_or_default()
    }

    /// Whether the caller is still at the question he was asked.
    fn still_asked(&self, domain: &Domain, path: &[char]) -> bool {
        let phase = domain.calls.get(&self.call).map(|call| &call.phase);
        matches!(phase, Some(Phase::Greeting(Step::Question { path: now, .. })) if now == path)
    }

    fn no_key_came(&self, domain: &Domain) -> Option<String> {
        let Some((Phase::Greeting(Step::Question { path, prompted: true, attempt }), _)) = &self.before else {
            return None;
        };
        let waits = |phase: &Phase| matches!(phase, Phase::Greeting(Step::Question { path: now, attempt: at, .. }) if now == path && at == attempt);
        if domain.calls.get(&self.call).is_some_and(|call| waits(&call.phase)) {
            return None;
        }
        let then = if self.still_asked(domain, path) { "" } else { "; the first answer counts" };
        Some(format!("the caller pressed no key in time{then}"))
    }

    fn key_came(&self, domain: &Domain, digit: char) -> String {
        let Some((Phase::Greeting(Step::Question { path, .. }), group)) = &self.before else {
            return format!("the caller pressed {digit}");
        };
        let question = question_at(domain.group(*group).conf.question.as_ref(), path);
        let answer = question.and_then(|question| question.answers.iter().find(|answer| answer.digit == digit));
        match answer {
            Some(answer) if answer.label.is_empty() => format!("the caller pressed {digit}"),
            Some(answer) => format!("the caller pressed {digit}, {}", answer.label),
            None if self.still_asked(domain, path) => format!("the caller pressed {digit}, which is no answer"),
            None => format!("the caller pressed {digit}, which is no answer; the first answer counts"),
        }
    }

    fn forward_ended(&self, domain: &Domain, connected: bool, status: Option<u16>) -> String {
        let target = match &self.before {
            Some((Phase::Forwarding { target, .. }, _)) => target.as_str(),
            _ => "whom the caller was sent to",
        };
        let gets_him_back = match domain.calls.get(&self.call).map(|call| &call.phase) {
            Some(Phase::Connecting(offer)) => self.agent_of(domain, *offer),
            _ => None,
        };
        let why = status.map(|status| format!(" (SIP status {status})")).unwrap_or_default();
        match (connected, gets_him_back) {
            (true, _) => format!("{target} answered"),
            (false, Some(agent)) => format!("{target} was not reached{why}; {agent} gets the caller back"),
            (false, None) => format!("{target} was not reached{why}"),
        }
    }
}

/// What a supervisor who takes part in this way does.
const fn doing(mode: MonitorMode) -> &'static str {
    match mode {
        MonitorMode::Listen => "listens",
        MonitorMode::Whisper => "whispers to the agent",
        MonitorMode::Barge => "speaks with both",
    }
}

fn sent_by(action: &Action) -> String {
    match action {
        Action::Disconnect => "hung up".to_owned(),
        Action::Forward { target } | Action::Group { target } => format!("sent to {target}"),
    }
}
