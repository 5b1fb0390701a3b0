//! Before the queue: hours, welcome and questions.

use std::collections::BTreeMap;

use base::CallId;

use crate::Domain;
use crate::call::{AgentSet, Call, Disposition, Phase, Step};
use crate::config::{Answer, AnswerMode, Disposal, Question};
use crate::group::GroupIx;
use crate::hours::{Openness, openness};
use crate::input::Arrival;
use crate::offer::seconds;
use crate::output::{Announcement, CallRecord, Decision, Failure, Outcome, Output, Rejection};
use crate::timers::{CallTimer, Timer};

impl Domain {
    pub(crate) fn caller_arrived(&mut self, arrival: Arrival) {
        self.last_call = self.last_call.max(arrival.call);
        if self.calls.contains_key(&arrival.call) {
            return self.stale();
        }
        let group = self.group_by_uri.get(&arrival.group).copied().filter(|group| !self.group(*group).gone);
        let Some(group) = group else { return self.reject(arrival, Rejection::UnknownGroup) };
        if self.calls.len() >= self.config.timing.calls_max as usize {
            return self.reject(arrival, Rejection::TooManyCalls);
        }
        let id = arrival.call;
        self.calls.insert(id, self.new_call(arrival, group));
        if self.calls[&id].hops > self.config.timing.hops_max {
            return self.fail_call(id, Failure::Loop);
        }
        if self.turn_away_if_closed(id, true) {
            return;
        }
        self.answer_caller(id);
        self.begin_greeting(id);
    }

    fn new_call(&self, arrival: Arrival, group: GroupIx) -> Call {
        Call {
            id: arrival.call,
            reference: arrival.reference,
            caller: arrival.caller,
            called: arrival.group,
            group,
            arrived: self.now,
            unix_seconds: arrival.unix_seconds,
            hops: arrival.hops,
            priority: None,
            labels: Vec::new(),
            answered: false,
            answer_mode: None,
            phase: Phase::Greeting(Step::Welcome),
            back: false,
            key: None,
            in_line: false,
            pools: Vec::new(),
            hungry: Vec::new(),
            offers: Vec::new(),
            round: None,
            tried: AgentSet::default(),
            declined: BTreeMap::new(),
            deadline: None,
            overtime: false,
            counted: false,
            unconfirmed: None,
            told_waiting: false,
            place_told: None,
            offered: BTreeMap::new(),
            talks_with: None,
            monitors: Vec::new(),
            segments: Vec::new(),
            segment_from: self.now,
        }
    }

    fn reject(&mut self, arrival: Arrival, why: Rejection) {
        let outcome = Outcome::Rejected { why };
        let call = arrival.call;
        self.decide(Decision::Ended { call, outcome: outcome.clone() });
        self.outbox.push_back(Output::Disconnect { call, outcome: outcome.clone(), prompt: None, language: None });
        self.outbox.push_back(Output::Cdr(CallRecord {
            call,
            reference: arrival.reference,
            group: arrival.group,
            caller: arrival.caller,
            arrived: self.now,
            ended: self.now,
            outcome,
            segments: Vec::new(),
        }));
    }

    /// Sends the caller elsewhere when his group is closed; whether it is.
    pub(crate) fn turn_away_if_closed(&mut self, id: CallId, with_prompt: bool) -> bool {
        let call = &self.calls[&id];
        let since = i64::try_from(self.now.since(call.arrived).as_secs()).unwrap_or(i64::MAX);
        let conf = &self.group(call.group).conf;
        let disposal = match openness(conf, call.unix_seconds.saturating_add(since)) {
            Openness::Open => return false,
            Openness::Closed => conf.closed.clone(),
            Openness::Holiday => conf.holiday.clone(),
        };
        if with_prompt && disposal.prompt.is_some() {
            self.answer_caller(id);
        }
        self.dispose(id, Disposition::Closed, disposal);
        true
    }

    /// Answers the caller as his group wants it, unless he has that already.
    pub(crate) fn answer_caller(&mut self, id: CallId) {
        let mode = self.group(self.calls[&id].group).conf.answer;
        let call = self.calls.get_mut(&id).expect("just found");
        if call.answered || call.answer_mode == Some(mode) {
            return;
        }
        call.answered = mode == AnswerMode::Immediate;
        call.answer_mode = Some(mode);
        self.outbox.push_back(Output::AnswerCaller { call: id, mode });
    }

    fn begin_greeting(&mut self, id: CallId) {
        let conf = &self.group(self.calls[&id].group).conf;
        match conf.welcome.clone().filter(|_| conf.answer != AnswerMode::OnAgent) {
            Some(welcome) => self.play(id, Step::Welcome, welcome),
            None => self.ask(id, Vec::new(), 1),
        }
    }

    /// Asks the question reached by the digits so far; without one the caller queues.
    fn ask(&mut self, id: CallId, path: Vec<char>, attempt: u32) {
        let conf = &self.group(self.calls[&id].group).conf;
        match question_at(conf.question.as_ref(), &path).filter(|_| conf.answer != AnswerMode::OnAgent) {
            Some(question) => {
                let prompt = question.prompt.clone();
                self.play(id, Step::Question { path, attempt, prompted: false }, prompt);
            }
            None => self.enqueue(id),
        }
    }

    /// After a restart what was being played is played from its beginning.
    pub(crate) fn step_again(&mut self, id: CallId, step: Step) {
        match step {
            Step::Welcome => self.begin_greeting(id),
            Step::Question { path, attempt, .. } => self.ask(id, path, attempt),
            Step::Parting { action, why } => self.send_away(id, why, action),
        }
    }

    /// Every prompt has a limit, so that a lost "ended" holds nobody (I9).
    pub(crate) fn play(&mut self, id: CallId, step: Step, name: String) {
        let language = self.language_of(id);
        self.calls.get_mut(&id).expect("only calls in hand hear prompts").phase = Phase::Greeting(step);
        let limit = self.now + seconds(self.config.timing.prompt_seconds);
        self.timers.set(Timer::Call(id, CallTimer::Step), limit);
        let announcement = Announcement::Prompt { name };
        self.outbox.push_back(Output::Announce { call: id, announcement, language });
    }

    /// A prompt ended: the next step.
    pub(crate) fn step_ended(&mut self, id: CallId, step: Step) {
        match step {
            Step::Welcome => self.ask(id, Vec::new(), 1),
            Step::Parting { action, why } => {
                self.timers.clear(Timer::Call(id, CallTimer::Step));
                self.send_away(id, why, action);
            }
            Step::Question { prompted: true, .. } => self.stale(),
            Step::Question { path, attempt, prompted: false } => {
                let conf = &self.group(self.calls[&id].group).conf;
                let wait = question_at(conf.question.as_ref(), &path).map_or(0, |question| question.wait_seconds);
                self.timers.set(Timer::Call(id, CallTimer::Step), self.now + seconds(wait));
                self.calls.get_mut(&id).expect("just found").phase =
                    Phase::Greeting(Step::Question { path, attempt, prompted: true });
            }
        }
    }

    /// Nothing came in time: a prompt counts as ended, a question is asked again or takes its first answer.
    pub(crate) fn step_timer(&mut self, id: CallId) {
        let Phase::Greeting(step) = self.calls[&id].phase.clone() else { return };
        match step {
            Step::Question { path, attempt, prompted: true } => {
                let conf = &self.group(self.calls[&id].group).conf;
                let question = question_at(conf.question.as_ref(), &path);
                let again = question.is_some_and(|question| attempt < question.attempts);
                let first = question.and_then(|question| question.answers.first()).cloned();
                match first {
                    _ if again => self.ask(id, path, attempt + 1),
                    Some(answer) => self.take_answer(id, path, answer),
                    None => self.enqueue(id),
                }
            }
            step => self.step_ended(id, step),
        }
    }

    /// A digit may come while the prompt still plays.
    pub(crate) fn greeting_digit(&mut self, id: CallId, step: Step, digit: char) {
        let Step::Question { path, attempt, .. } = step else { return self.stale() };
        let conf = &self.group(self.calls[&id].group).conf;
        let question = question_at(conf.question.as_ref(), &path);
        let answer = question.and_then(|question| question.answers.iter().find(|answer| answer.digit == digit));
        let attempts = question.map_or(0, |question| question.attempts);
        let first = question.and_then(|question| question.answers.first());
        match answer.cloned() {
            Some(answer) => self.take_answer(id, path, answer),
            None if attempt < attempts => self.ask(id, path, attempt + 1),
            None => match first.cloned() {
                Some(answer) => self.take_answer(id, path, answer),
                None => self.enqueue(id),
            },
        }
    }

    fn take_answer(&mut self, id: CallId, mut path: Vec<char>, answer: Answer) {
        let group = self.calls[&id].group;
        let pools = self.pools_named(group, &answer.agent_groups);
        let call = self.calls.get_mut(&id).expect("its digit was just taken");
        if !answer.label.is_empty() {
            call.labels.push(answer.label);
        }
        call.priority = answer.priority.or(call.priority);
        if !pools.is_empty() {
            call.pools = pools;
        }
        if let Some(action) = answer.action {
            return self.exit(id, action);
        }
        if answer.question.is_some() {
            path.push(answer.digit);
            return self.ask(id, path, 1);
        }
        self.enqueue(id);
    }

    fn exit(&mut self, id: CallId, action: Disposal) {
        self.timers.clear(Timer::Call(id, CallTimer::Step));
        self.dispose(id, Disposition::Exit, action);
    }

    pub(crate) fn language_of(&self, id: CallId) -> Option<String> {
        self.calls.get(&id).and_then(|call| self.group(call.group).conf.language.clone())
    }
}

/// The question reached by these digits.
pub(crate) fn question_at<'a>(first: Option<&'a Question>, path: &[char]) -> Option<&'a Question> {
    path.iter().try_fold(first?, |question, digit| {
        question.answers.iter().find(|answer| answer.digit == *digit)?.question.as_deref()
    })
}
