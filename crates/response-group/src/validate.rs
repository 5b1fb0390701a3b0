//! What is wrong with a configuration, with the key and what to write instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base::{Shown, UserUri};

use crate::config::{Action, AgentGroup, AnswerMode, Config, Question, ResponseGroup, Timing};
use crate::hours::{minute_of_day, overlap, time_zone};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `response_group[1].queue.overflow_action`; counted from 1, as readers do.
    pub key: String,
    /// What stands there.
    pub value: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: {}", self.key, Shown(&self.value), self.remedy)
    }
}

impl Config {
    /// Every problem of the configuration; a domain takes only one without any.
    pub fn validate(&self) -> Result<(), Vec<Problem>> {
        let mut check = Check::of(&self.groups);
        check.timing(&self.timing);
        let mut seen = BTreeSet::new();
        for (place, group) in (1..).zip(&self.groups) {
            let key = format!("response_group[{place}]");
            if !seen.insert(&group.uri) {
                check.report(format!("{key}.uri"), &group.uri, "another group has this address; give each its own");
            }
            check.group(&key, group);
        }
        check.groups_do_not_chase_each_other(&self.groups);
        if check.problems.is_empty() { Ok(()) } else { Err(check.problems) }
    }

    /// What is wrong with a target among these groups, for whoever sends a caller there; it is called `key` in what is told.
    pub(crate) fn target_problems(&self, key: &str, target: &Action) -> Vec<Problem> {
        let mut check = Check::of(&self.groups);
        check.target(key.to_owned(), target);
        check.problems
    }
}

/// Whether a text may be the value of `Alert-Info`: `<URI>` with parameters, on one line.
fn is_alert_info(text: &str) -> bool {
    let uri = text.strip_prefix('<').and_then(|rest| rest.split_once('>')).map(|(uri, _)| uri);
    let has_scheme = uri.and_then(|uri| uri.split_once(':')).is_some_and(|(scheme, rest)| {
        !rest.is_empty() && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
    });
    has_scheme && text.chars().all(|character| character.is_ascii_graphic() || character == ' ')
}

struct Check<'a> {
    groups: BTreeSet<&'a UserUri>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a> {
    fn of(groups: &'a [ResponseGroup]) -> Self {
        Self { groups: groups.iter().map(|group| &group.uri).collect(), problems: Vec::new() }
    }

    fn report(&mut self, key: String, value: impl fmt::Display, remedy: impl Into<String>) {
        self.problems.push(Problem { key, value: value.to_string(), remedy: remedy.into() });
    }

    fn range(&mut self, key: String, value: u32, least: u32, most: u32) {
        if !(least..=most).contains(&value) {
            self.report(key, value, format!("write a number from {least} to {most}"));
        }
    }

    /// What the file cannot set, but whoever configures a running server can.
    fn timing(&mut self, timing: &Timing) {
        let ranges = [
            ("t1_millis", timing.t1_millis, 50, 10_000),
            ("no_provisional_seconds", timing.no_provisional_seconds, 1, 60),
            ("machine_answer_millis", timing.machine_answer_millis, 0, 10_000),
            ("confirm_seconds", timing.confirm_seconds, 1, 120),
            ("bridge_seconds", timing.bridge_seconds, 1, 120),
            ("prompt_seconds", timing.prompt_seconds, 1, 3_600),
            ("forward_seconds", timing.forward_seconds, 10, 3_600),
            ("reattach_seconds", timing.reattach_seconds, 1, 120),
            ("awaited_seconds", timing.awaited_seconds, 1, 120),
            ("restart_guard_seconds", timing.restart_guard_seconds, 1, 86_400),
            ("talk_seconds", timing.talk_seconds, 60, 604_800),
            ("timeout_grace_seconds", timing.timeout_grace_seconds, 0, 180),
            ("unreachable_delay_seconds", timing.unreachable_delay_seconds, 0, 600),
            ("calls_max", timing.calls_max, 1, 1_000_000),
            ("hops_max", timing.hops_max, 1, 70),
        ];
        for (name, value, least, most) in ranges {
            self.range(format!("timing.{name}"), value, least, most);
        }
    }

    fn group(&mut self, key: &str, group: &'a ResponseGroup) {
        self.queue(key, group);
        self.workflow(key, group);
        self.times(key, group);
        let mut names = BTreeSet::new();
        for (place, agents) in (1..).zip(&group.agent_groups) {
            let key = format!("{key}.agent_group[{place}]");
            if !names.insert(&agents.name) {
                self.report(format!("{key}.name"), &agents.name, "another agent group of this group has this name");
            }
            self.agent_group(&key, agents);
        }
        let empty = group.agent_groups.iter().all(|agents| agents.agents.iter().all(|agent| !agent.active));
        if empty && group.queue.no_agent_action.is_none() {
            let remedy = "list at least one active agent, or say in queue.no_agent_action where callers go";
            self.report(format!("{key}.agents"), "[]", remedy);
        }
    }

    fn queue(&mut self, key: &str, group: &'a ResponseGroup) {
        let queue = &group.queue;
        self.range(format!("{key}.queue.priority"), u32::from(queue.priority), 1, 9);
        self.range(format!("{key}.queue.retry_seconds"), queue.retry_seconds, 1, 300);
        if let Some(timeout) = queue.timeout_seconds {
            self.range(format!("{key}.queue.timeout_seconds"), timeout, 10, 65_535);
        }
        if let Some(threshold) = queue.overflow_threshold {
            self.range(format!("{key}.queue.overflow_threshold"), threshold, 0, 1_000);
        }
        self.action(format!("{key}.queue.timeout_action"), group, &queue.timeout_action.action);
        self.action(format!("{key}.queue.overflow_action"), group, &queue.overflow_action.action);
        if let Some(disposal) = &queue.no_agent_action {
            self.action(format!("{key}.queue.no_agent_action"), group, &disposal.action);
        }
    }

    fn action(&mut self, key: String, group: &ResponseGroup, action: &Action) {
        match action {
            Action::Group { target } if *target == group.uri => {
                self.report(key, target, "a group cannot send callers to itself; name another group or disconnect");
            }
            _ => self.target(key, action),
        }
    }

    fn target(&mut self, key: String, action: &Action) {
        match action {
            Action::Group { target } if !self.groups.contains(target) => {
                self.report(key, target, "no such group; name a [[response_group]] or use kind = \"forward\"");
            }
            Action::Forward { target } if self.groups.contains(target) => {
                self.report(key, target, "this is a response group; use kind = \"group\"");
            }
            _ => {}
        }
    }

    fn workflow(&mut self, key: &str, group: &'a ResponseGroup) {
        self.action(format!("{key}.closed.action"), group, &group.closed.action);
        self.action(format!("{key}.holiday.action"), group, &group.holiday.action);
        self.range(format!("{key}.announcements.every_seconds"), group.announcements.every_seconds, 15, 3_600);
        self.range(format!("{key}.target_seconds"), group.target_seconds, 1, 3_600);
        if let Some(alert) = group.alert_info.as_ref().filter(|alert| !is_alert_info(alert)) {
            let remedy = "write an address in angle brackets, such as \"<urn:alert:service:priority>\"";
            self.report(format!("{key}.alert_info"), alert, remedy);
        }
        if let Some(exit) = &group.exit_key {
            self.digit(format!("{key}.exit_key.digit"), exit.digit);
            self.action(format!("{key}.exit_key.action"), group, &exit.action.action);
        }
        if let Some(question) = &group.question {
            if group.answer == AnswerMode::OnAgent {
                let remedy = "a caller who is not answered hears no question; write answer = \"immediate\"";
                self.report(format!("{key}.answer"), "on_agent", remedy);
            }
            self.question(&format!("{key}.question"), group, question, 1);
        }
    }

    fn digit(&mut self, key: String, digit: char) {
        if !(digit.is_ascii_digit() || digit == '*' || digit == '#') {
            self.report(key, digit, "write one of 0 to 9, * and #");
        }
    }

    fn question(&mut self, key: &str, group: &'a ResponseGroup, question: &Question, level: u32) {
        if level > 2 {
            return self.report(
                key.to_owned(),
                &question.prompt,
                "a question may lead to a second one, not to a third",
            );
        }
        self.range(format!("{key}.attempts"), question.attempts, 1, 5);
        self.range(format!("{key}.wait_seconds"), question.wait_seconds, 1, 60);
        if question.answers.is_empty() {
            self.report(format!("{key}.answer"), "[]", "list what the digits mean, or leave the question out");
        }
        let mut digits = BTreeSet::new();
        for (place, answer) in (1..).zip(&question.answers) {
            let key = format!("{key}.answer[{place}]");
            self.digit(format!("{key}.digit"), answer.digit);
            if !digits.insert(answer.digit) {
                self.report(format!("{key}.digit"), answer.digit, "another answer has this digit");
            }
            for name in &answer.agent_groups {
                if !group.agent_groups.iter().any(|agents| agents.name == *name) {
                    self.report(format!("{key}.agent_groups"), name, "no agent group of this group has this name");
                }
            }
            if let Some(priority) = answer.priority {
                self.range(format!("{key}.priority"), u32::from(priority), 1, 9);
            }
            if let Some(disposal) = &answer.action {
                self.action(format!("{key}.action"), group, &disposal.action);
            }
            if let Some(second) = &answer.question {
                self.question(&format!("{key}.question"), group, second, level + 1);
            }
        }
    }

    fn times(&mut self, key: &str, group: &'a ResponseGroup) {
        if time_zone(&group.time_zone).is_none() {
            let remedy = "write a name of the IANA database, such as \"Europe/Zurich\"";
            self.report(format!("{key}.time_zone"), &group.time_zone, remedy);
        }
        for (place, hours) in (1_usize..).zip(&group.hours) {
            let key = format!("{key}.hours[{place}]");
            for (name, text) in [("from", &hours.from), ("to", &hours.to)] {
                if minute_of_day(text).is_none() {
                    self.report(format!("{key}.{name}"), text, "write a time of the day as HH:MM, at most 24:00");
                }
            }
            if hours.from == hours.to {
                self.report(
                    format!("{key}.to"),
                    &hours.to,
                    "it is the beginning; write 00:00 to 24:00 for a whole day",
                );
            }
            if hours.days.is_empty() {
                self.report(format!("{key}.days"), "[]", "list days, such as [\"mon\", \"tue\"]");
            }
            let spans = hours.spans().unwrap_or_default();
            let earlier = group.hours[..place - 1].iter().filter_map(crate::hours::Hours::spans);
            if earlier.into_iter().any(|other| overlap(&other, &spans)) {
                let value = format!("{} to {}", hours.from, hours.to);
                self.report(key, value, "it overlaps with hours above; join the two or part them");
            }
        }
        for (place, holiday) in (1..).zip(&group.holidays) {
            let in_order = holiday.days().is_some_and(|(first, last)| first <= last);
            if !in_order {
                let remedy = "write days as YYYY-MM-DD, the last not before the first";
                self.report(format!("{key}.holidays[{place}]"), &holiday.name, remedy);
            }
        }
    }

    fn agent_group(&mut self, key: &str, agents: &'a AgentGroup) {
        let ranges = [
            ("alert_time_seconds", agents.alert_time_seconds, 10, 180),
            ("decline_grace_seconds", agents.decline_grace_seconds, 0, 600),
            ("wrap_up_seconds", agents.wrap_up_seconds, 0, 3_600),
            ("max_calls", agents.max_calls, 1, 10),
            ("max_fork", agents.max_fork, 1, 100),
            ("busy_delay_seconds", agents.busy_delay_seconds, 0, 600),
            ("decline_delay_seconds", agents.decline_delay_seconds, 0, 600),
            ("pause_after_no_answers", agents.pause_after_no_answers.unwrap_or(1), 1, 100),
            ("pause_seconds", agents.pause_seconds, 1, 86_400),
        ];
        for (name, value, least, most) in ranges {
            self.range(format!("{key}.{name}"), value, least, most);
        }
        let mut seen = BTreeSet::new();
        for (place, agent) in (1..).zip(&agents.agents) {
            let key = format!("{key}.agents[{place}]");
            if !seen.insert(&agent.uri) {
                self.report(key, &agent.uri, "he is listed already; list each agent once");
            } else if self.groups.contains(&agent.uri) {
                self.report(key, &agent.uri, "a response group cannot be an agent; use an action of kind \"group\"");
            }
        }
    }

    /// Actions that pass a caller on at once must come to an end: full queues, empty groups, closed groups.
    fn groups_do_not_chase_each_other(&mut self, groups: &[ResponseGroup]) {
        let overflow: ActionOf = |group| Some(&group.queue.overflow_action.action);
        let no_agent: ActionOf = |group| group.queue.no_agent_action.as_ref().map(|disposal| &disposal.action);
        let closed: ActionOf = |group| Some(&group.closed.action);
        let holiday: ActionOf = |group| Some(&group.holiday.action);
        self.no_circle("queue.overflow_action", groups, overflow);
        self.no_circle("queue.no_agent_action", groups, no_agent);
        self.no_circle("closed.action", groups, closed);
        self.no_circle("holiday.action", groups, holiday);
    }

    fn no_circle(&mut self, name: &str, groups: &[ResponseGroup], action_of: ActionOf) {
        let target = |group: &ResponseGroup| match action_of(group) {
            // A group that names itself is refused for that already.
            Some(Action::Group { target }) if *target != group.uri => Some(target.clone()),
            _ => None,
        };
        let next: BTreeMap<&UserUri, UserUri> =
            groups.iter().filter_map(|group| Some((&group.uri, target(group)?))).collect();
        for (place, group) in (1..).zip(groups) {
            let path = std::iter::successors(next.get(&group.uri), |at| next.get(at));
            if path.take(groups.len()).any(|at| *at == group.uri) {
                let remedy = "the groups refer to each other in a circle; end it with disconnect or forward";
                self.report(format!("response_group[{place}].{name}"), &next[&group.uri], remedy);
            }
        }
    }
}

/// One of a group's actions.
type ActionOf = fn(&ResponseGroup) -> Option<&Action>;
