//! The forms in which groups and agents are written, before they become [`ResponseGroup`] and [`Agent`].

use std::fmt;

use base::UserUri;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::config::{
    Action, Agent, AgentGroup, Announcements, AnswerMode, Confirm, Cursor, Disposal, ExitKey, Method, Participation,
    Question, Queue, ResponseGroup,
};
use crate::hours::{Holiday, Hours};

/// A [`Disposal`] as written: its action's keys stand in it, or in a table `action`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisposalForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prompt: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<UserUri>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<Action>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Disconnect,
    Forward,
    Group,
}

impl TryFrom<DisposalForm> for Disposal {
    type Error = String;

    fn try_from(form: DisposalForm) -> Result<Self, String> {
        let action = match (form.action, form.kind, form.target) {
            (Some(action), None, None) => action,
            (Some(_), ..) => return Err("write kind and target in action, or without action".to_owned()),
            (None, kind, target) => action(kind.unwrap_or(Kind::Disconnect), target)?,
        };
        Ok(Self { prompt: form.prompt, action })
    }
}

fn action(kind: Kind, target: Option<UserUri>) -> Result<Action, String> {
    match (kind, target) {
        (Kind::Disconnect, None) => Ok(Action::Disconnect),
        (Kind::Forward, Some(target)) => Ok(Action::Forward { target }),
        (Kind::Group, Some(target)) => Ok(Action::Group { target }),
        (Kind::Forward | Kind::Group, None) => {
            Err("kind \"forward\" and \"group\" want a target; write one beside it".to_owned())
        }
        (Kind::Disconnect, Some(_)) => {
            Err("a target wants kind \"forward\" or \"group\"; write one beside it".to_owned())
        }
    }
}

/// An [`Action`] as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionForm {
    kind: Kind,
    target: Option<UserUri>,
}

impl TryFrom<ActionForm> for Action {
    type Error = String;

    fn try_from(form: ActionForm) -> Result<Self, String> {
        action(form.kind, form.target)
    }
}

impl From<Disposal> for DisposalForm {
    fn from(disposal: Disposal) -> Self {
        let (kind, target) = match disposal.action {
            Action::Disconnect => (Kind::Disconnect, None),
            Action::Forward { target } => (Kind::Forward, Some(target)),
            Action::Group { target } => (Kind::Group, Some(target)),
        };
        Self { prompt: disposal.prompt, kind: Some(kind), target, action: None }
    }
}

/// A `[[response_group]]` as written: its agents stand in it, or in a list of agent groups.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GroupForm {
    uri: UserUri,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    answer: AnswerMode,
    language: Option<String>,
    welcome: Option<String>,
    music: Option<String>,
    time_zone: Option<String>,
    #[serde(default)]
    hours: Vec<Hours>,
    #[serde(default)]
    closed: Disposal,
    #[serde(default)]
    holidays: Vec<Holiday>,
    #[serde(default)]
    holiday: Disposal,
    question: Option<Question>,
    #[serde(default)]
    announcements: Announcements,
    exit_key: Option<ExitKey>,
    #[serde(default)]
    anonymous: bool,
    alert_info: Option<String>,
    target_seconds: Option<u32>,
    #[serde(default)]
    queue: Queue,
    #[serde(default)]
    agent_group: Vec<AgentGroup>,
    method: Option<Method>,
    participation: Option<Participation>,
    agents: Option<Vec<Agent>>,
    alert_time_seconds: Option<u32>,
    decline_grace_seconds: Option<u32>,
    wrap_up_seconds: Option<u32>,
    max_calls: Option<u32>,
    max_fork: Option<u32>,
    confirm: Option<Confirm>,
    busy_delay_seconds: Option<u32>,
    decline_delay_seconds: Option<u32>,
    pause_after_no_answers: Option<u32>,
    pause_seconds: Option<u32>,
    round_robin_cursor: Option<Cursor>,
}

impl GroupForm {
    /// The agent group of the short form, if one is written.
    fn short_group(&mut self) -> Option<AgentGroup> {
        let agents = self.agents.take()?;
        let usual = AgentGroup::default();
        Some(AgentGroup {
            name: usual.name,
            method: self.method.unwrap_or(usual.method),
            participation: self.participation.unwrap_or(usual.participation),
            agents,
            alert_time_seconds: self.alert_time_seconds.unwrap_or(usual.alert_time_seconds),
            decline_grace_seconds: self.decline_grace_seconds.unwrap_or(usual.decline_grace_seconds),
            wrap_up_seconds: self.wrap_up_seconds.unwrap_or(usual.wrap_up_seconds),
            max_calls: self.max_calls.unwrap_or(usual.max_calls),
            max_fork: self.max_fork.unwrap_or(usual.max_fork),
            confirm: self.confirm.unwrap_or(usual.confirm),
            busy_delay_seconds: self.busy_delay_seconds.unwrap_or(usual.busy_delay_seconds),
            decline_delay_seconds: self.decline_delay_seconds.unwrap_or(usual.decline_delay_seconds),
            pause_after_no_answers: self.pause_after_no_answers,
            pause_seconds: self.pause_seconds.unwrap_or(usual.pause_seconds),
            round_robin_cursor: self.round_robin_cursor.unwrap_or(usual.round_robin_cursor),
        })
    }
}

impl From<GroupForm> for ResponseGroup {
    fn from(mut form: GroupForm) -> Self {
        let mut agent_groups: Vec<AgentGroup> = form.short_group().into_iter().collect();
        agent_groups.append(&mut form.agent_group);
        Self {
            name: form.name.unwrap_or_else(|| form.uri.user_part().to_owned()),
            uri: form.uri,
            answer: form.answer,
            language: form.language,
            welcome: form.welcome,
            music: form.music,
            time_zone: form.time_zone.unwrap_or_else(|| "UTC".to_owned()),
            hours: form.hours,
            closed: form.closed,
            holidays: form.holidays,
            holiday: form.holiday,
            question: form.question,
            announcements: form.announcements,
            exit_key: form.exit_key,
            anonymous: form.anonymous,
            alert_info: form.alert_info,
            target_seconds: form.target_seconds.unwrap_or(20),
            queue: form.queue,
            agent_groups,
        }
    }
}

/// An agent as written: his address, or a table.
pub(crate) enum AgentForm {
    Address(UserUri),
    Table(AgentTable),
}

/// By hand, so that what is wrong in a table is told with its key: what serde tries in turn forgets where it was.
impl<'de> Deserialize<'de> for AgentForm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AgentVisitor)
    }
}

struct AgentVisitor;

impl<'de> Visitor<'de> for AgentVisitor {
    type Value = AgentForm;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an agent's address, or a table with his uri")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<AgentForm, E> {
        UserUri::parse(text).map(AgentForm::Address).map_err(E::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AgentForm, A::Error> {
        AgentTable::deserialize(MapAccessDeserializer::new(map)).map(AgentForm::Table)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentTable {
    uri: UserUri,
    pstn: Option<bool>,
    active: Option<bool>,
}

impl From<AgentForm> for Agent {
    fn from(form: AgentForm) -> Self {
        match form {
            AgentForm::Address(uri) => Self::new(uri),
            AgentForm::Table(table) => {
                let usual = Self::new(table.uri);
                Self { pstn: table.pstn.unwrap_or(usual.pstn), active: table.active.unwrap_or(usual.active), ..usual }
            }
        }
    }
}
