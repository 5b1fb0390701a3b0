//! Whether groups fit to what stands around them: accounts, trunks, conferences, sounds. The same questions are asked of the
//! file at a start and of what is changed at run time.

use std::collections::BTreeMap;

use base::UserUri;

use crate::config::{Action, Agent, AnswerMode, Config, Disposal, Question, ResponseGroup};
use crate::validate::Problem;

/// What stands around the groups.
pub trait Surroundings {
    /// The server's domain.
    fn domain(&self) -> &str;
    /// Whether somebody has this account.
    fn is_user(&self, uri: &UserUri) -> bool;
    /// Whether a conference has this number.
    fn is_conference(&self, number: &str) -> bool;
    /// Whether there is a way to the telephone network.
    fn has_trunk(&self) -> bool;
    /// Why an agent on the telephone network cannot be rung at this address, and what to write; `None` when he can.
    fn telephone_objection(&self, agent: &UserUri) -> Option<String>;
    /// Where a user has every call sent.
    fn forwards_to(&self, user: &UserUri) -> Option<UserUri>;
}

/// What callers can hear. Only who has the files knows.
pub trait Sounds {
    /// Whether a sound of this name can be played; `true` where that is not known.
    fn is_sound(&self, name: &str) -> bool;
    /// Whether something can be said in this language; `true` where that is not known.
    fn is_language(&self, tag: &str) -> bool;
}

impl Config {
    /// Every problem with what callers are to hear.
    pub fn validate_sounds(&self, sounds: &dyn Sounds) -> Result<(), Vec<Problem>> {
        let mut check = Heard { sounds, problems: Vec::new() };
        for (place, group) in (1..).zip(&self.groups) {
            check.group(&format!("response_group[{place}]"), group);
        }
        if check.problems.is_empty() { Ok(()) } else { Err(check.problems) }
    }

    /// Every problem, in itself and with what stands around it, but for what callers hear.
    pub fn validate_in(&self, around: &dyn Surroundings) -> Result<(), Vec<Problem>> {
        let mut check = Fit { around, groups: &self.groups, problems: self.validate().err().unwrap_or_default() };
        for (place, group) in (1..).zip(&self.groups) {
            check.group(&format!("response_group[{place}]"), group);
        }
        check.calls_come_to_an_end();
        if check.problems.is_empty() { Ok(()) } else { Err(check.problems) }
    }

    /// Every problem with a target that a caller of these groups is to be sent to; the same is asked of a group's own
    /// actions. It is called `key` in what is told.
    pub fn validate_target(&self, key: &str, target: &Action, around: &dyn Surroundings) -> Result<(), Vec<Problem>> {
        let mut check = Fit { around, groups: &self.groups, problems: self.target_problems(key, target) };
        check.target(key.to_owned(), target);
        if check.problems.is_empty() { Ok(()) } else { Err(check.problems) }
    }
}

struct Fit<'a> {
    around: &'a dyn Surroundings,
    groups: &'a [ResponseGroup],
    problems: Vec<Problem>,
}

impl Fit<'_> {
    fn report(&mut self, key: String, value: impl std::fmt::Display, remedy: impl Into<String>) {
        self.problems.push(Problem { key, value: value.to_string(), remedy: remedy.into() });
    }

    fn group(&mut self, key: &str, group: &ResponseGroup) {
        self.address(format!("{key}.uri"), &group.uri);
        for (place, agents) in (1..).zip(&group.agent_groups) {
            for (number, agent) in (1..).zip(&agents.agents) {
                self.agent(format!("{key}.agent_group[{place}].agents[{number}]"), agent);
            }
        }
        for (key, disposal) in all_disposals(key, group) {
            self.target(key, &disposal.action);
        }
        if group.answer == AnswerMode::OnAgent {
            self.nothing_is_said_on_agent(key, group);
        }
    }

    fn address(&mut self, key: String, uri: &UserUri) {
        let user = uri.user_part();
        if !uri.host().eq_ignore_ascii_case(self.around.domain()) {
            let domain = self.around.domain();
            let why = format!("it is not of this server's domain; write sip:{user}@{domain}, or change domain");
            self.report(key.clone(), uri, why);
        }
        let of_ours = UserUri::parse(&format!("sip:{user}@{}", self.around.domain()));
        if of_ours.is_ok_and(|uri| self.around.is_user(&uri)) {
            self.report(key.clone(), uri, "a user has this address; give the group another one");
        }
        if self.around.is_conference(user) {
            self.report(key, uri, "a conference has this number; give the group another address");
        }
    }

    fn agent(&mut self, key: String, agent: &Agent) {
        if agent.pstn {
            if let Some(why) = self.around.telephone_objection(&agent.uri) {
                self.report(key, &agent.uri, why);
            }
        } else if !self.around.is_user(&agent.uri) {
            let why =
                "there is no such user; add a [[user]], or write { uri = ..., pstn = true } for somebody elsewhere";
            self.report(key, &agent.uri, why);
        }
    }

    fn target(&mut self, key: String, action: &Action) {
        let Action::Forward { target } = action else { return };
        // What a group's own address as a target is to be is said by the groups themselves.
        let is_group = self.groups.iter().any(|group| group.uri == *target);
        let is_number = target.user_part().trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
        let is_ours = target.host().is_empty() || target.host().eq_ignore_ascii_case(self.around.domain());
        if is_group || self.around.is_user(target) || self.around.is_conference(target.user_part()) {
            return;
        }
        if is_number && is_ours && !self.around.has_trunk() {
            let why = "a number is reached by a trunk, and there is none; add a [[trunk]] or name a user";
            self.report(key, target, why);
        } else if is_ours && !is_number {
            self.report(key, target, "there is no such user; name a user, a number or a group");
        }
    }

    /// A caller who hears ringing until an agent is there hears nothing else, and his keys are not listened to.
    fn nothing_is_said_on_agent(&mut self, key: &str, group: &ResponseGroup) {
        let said = &group.announcements;
        let written = [
            ("welcome", group.welcome.is_some()),
            ("announcements", said.position || said.estimated_wait),
            ("exit_key", group.exit_key.is_some()),
        ];
        for (name, _) in written.iter().filter(|(_, written)| *written) {
            let why =
                "with answer = \"on_agent\" callers hear ringing only; leave it out, or write answer = \"immediate\"";
            self.report(format!("{key}.{name}"), "set", why);
        }
    }

    /// Whoever is sent on at once, by a group or by a user's own forwarding, must arrive somewhere.
    fn calls_come_to_an_end(&mut self) {
        let mut next: BTreeMap<UserUri, Vec<UserUri>> = BTreeMap::new();
        for group in self.groups {
            let targets = disposals(group).into_iter().filter(|(name, _)| *name != "exit_key.action");
            let targets = targets.filter_map(|(_, disposal)| target_of(&disposal.action)).cloned();
            next.insert(group.uri.clone(), targets.collect());
        }
        let users: Vec<UserUri> = next.values().flatten().cloned().collect();
        for user in users {
            if let Some(target) = self.around.forwards_to(&user).filter(|_| !next.contains_key(&user)) {
                next.insert(user, vec![target]);
            }
        }
        for (place, group) in (1..).zip(self.groups) {
            let through_user = |at: &&UserUri| !self.groups.iter().any(|other| other.uri == **at);
            let mut users = next[&group.uri].iter().filter(through_user);
            // Circles of groups alone are refused where all of them pass callers on for the same reason.
            let back = users.find(|user| reaches(&next, user, &group.uri)).cloned();
            if let Some(user) = back {
                let why = format!("{user} has every call sent on, which leads back to this group; name somebody else");
                self.report(format!("response_group[{place}]"), &user, why);
            }
        }
    }
}

struct Heard<'a> {
    sounds: &'a dyn Sounds,
    problems: Vec<Problem>,
}

impl Heard<'_> {
    fn group(&mut self, key: &str, group: &ResponseGroup) {
        self.sound(format!("{key}.welcome"), group.welcome.as_deref());
        self.sound(format!("{key}.music"), group.music.as_deref());
        for (key, disposal) in all_disposals(key, group) {
            self.sound(format!("{key}.prompt"), disposal.prompt.as_deref().filter(|prompt| !prompt.is_empty()));
        }
        for (key, question) in questions(key, group) {
            self.sound(format!("{key}.prompt"), Some(&question.prompt));
        }
        if let Some(language) = group.language.as_deref().filter(|language| !self.sounds.is_language(language)) {
            let remedy = "nothing can be said in it; write one of the server's languages".to_owned();
            self.problems.push(Problem { key: format!("{key}.language"), value: language.to_owned(), remedy });
        }
    }

    fn sound(&mut self, key: String, name: Option<&str>) {
        if let Some(name) = name.filter(|name| !self.sounds.is_sound(name)) {
            let remedy = "it is neither a phrase of the server nor a file in media.prompts_dir".to_owned();
            self.problems.push(Problem { key, value: name.to_owned(), remedy });
        }
    }
}

/// What becomes of callers whom the group does not connect and who chose nothing else, by key.
fn disposals(group: &ResponseGroup) -> Vec<(&'static str, &Disposal)> {
    let queue = &group.queue;
    let mut all = vec![
        ("closed", &group.closed),
        ("holiday", &group.holiday),
        ("queue.timeout_action", &queue.timeout_action),
        ("queue.overflow_action", &queue.overflow_action),
    ];
    all.extend(queue.no_agent_action.iter().map(|disposal| ("queue.no_agent_action", disposal)));
    all.extend(group.exit_key.iter().map(|exit| ("exit_key.action", &exit.action)));
    all
}

/// The group's questions by key, those of the second level after the first.
fn questions<'a>(key: &str, group: &'a ResponseGroup) -> Vec<(String, &'a Question)> {
    let mut all: Vec<_> = group.question.iter().map(|question| (format!("{key}.question"), question)).collect();
    let mut next = 0;
    while let Some((key, question)) = all.get(next).cloned() {
        for (place, answer) in (1..).zip(&question.answers) {
            all.extend(answer.question.as_deref().map(|second| (format!("{key}.answer[{place}].question"), second)));
        }
        next += 1;
    }
    all
}

/// What becomes of callers whom the group does not connect, also of those who chose so by a key.
fn all_disposals<'a>(key: &str, group: &'a ResponseGroup) -> Vec<(String, &'a Disposal)> {
    let mut all: Vec<_> =
        disposals(group).into_iter().map(|(name, disposal)| (format!("{key}.{name}"), disposal)).collect();
    for (key, question) in questions(key, group) {
        for (place, answer) in (1..).zip(&question.answers) {
            all.extend(answer.action.iter().map(|disposal| (format!("{key}.answer[{place}].action"), disposal)));
        }
    }
    all
}

fn target_of(action: &Action) -> Option<&UserUri> {
    match action {
        Action::Disconnect => None,
        Action::Forward { target } | Action::Group { target } => Some(target),
    }
}

fn reaches(next: &BTreeMap<UserUri, Vec<UserUri>>, from: &UserUri, to: &UserUri) -> bool {
    let (mut seen, mut open) = (vec![from], vec![from]);
    while let Some(at) = open.pop() {
        for target in next.get(at).into_iter().flatten() {
            if target == to {
                return true;
            }
            if !seen.contains(&target) {
                seen.push(target);
                open.push(target);
            }
        }
    }
    false
}
