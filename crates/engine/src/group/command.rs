//! What operators, supervisors and agents change at run time, by whatever surface: one command, one outcome.

use base::{CallId, ConferenceNumber, Shown, Timestamp, UserUri};
use response_group::{Action, AgentChange, Config, Input, MonitorMode, Presence, Problem, Snapshot, Surroundings};
use serde::Deserialize;

use super::errand::PAUSE_SECONDS;
use crate::objection::{Blame, Objection, ObjectionKind};
use crate::{Directory, Engine};

/// A change of the response groups while they run. It is in the journal before it takes effect, and so lasts.
///
/// Its serde form is the usual one, with the name as the only key: a tag among the other keys would have serde keep them in
/// between, and forget where they stood. Whoever writes the name beside the keys puts it there himself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GroupCommand {
    /// These groups, agents and settings hold from now on.
    Configure {
        /// All of them.
        config: Box<Config>,
    },
    /// An agent signs in or out.
    SignIn {
        /// He.
        agent: UserUri,
        /// Whether he is in.
        signed_in: bool,
        /// At which group; `None` is at every one he belongs to.
        #[serde(default)]
        group: Option<UserUri>,
        /// The name of an agent group of it; `None` is all of the group.
        #[serde(default)]
        agent_group: Option<String>,
    },
    /// An agent takes part or does not.
    Opt {
        /// He.
        agent: UserUri,
        /// Whether he does.
        opted_in: bool,
    },
    /// An agent makes a pause; 0 seconds ends it.
    Pause {
        /// He.
        agent: UserUri,
        /// How long, in seconds; at most 86400.
        seconds: u32,
    },
    /// An agent's presence.
    Presence {
        /// He.
        agent: UserUri,
        /// What he publishes.
        presence: Presence,
        /// After how many seconds it is stale.
        lease_seconds: Option<u32>,
    },
    /// A supervisor takes part in a conversation: his phones ring.
    Monitor {
        /// The call.
        call: CallId,
        /// He.
        supervisor: UserUri,
        /// How.
        mode: MonitorMode,
    },
    /// A supervisor leaves a conversation.
    StopMonitor {
        /// The call.
        call: CallId,
        /// He.
        supervisor: UserUri,
    },
    /// A caller is sent elsewhere, whether he waits or talks.
    Transfer {
        /// The call.
        call: CallId,
        /// Where to.
        target: Action,
    },
}

impl Engine {
    /// Why a command cannot be carried out, for who gave it; `None` when it can.
    pub fn group_objection(&self, command: &GroupCommand) -> Option<Objection> {
        if self.groups.mute {
            let why = "the journal cannot be written, so the change would not last; see the log";
            return Some(Objection::new(ObjectionKind::JournalFailed, why));
        }
        let around = Around { directory: &self.directory, domain: &self.config.domain };
        let Some(domain) = &self.groups.domain else {
            return match command {
                GroupCommand::Configure { config } => objections(config, &around),
                _ => {
                    let why = "there are no response groups; configure them first";
                    Some(Objection::new(ObjectionKind::NoGroups, why))
                }
            };
        };
        match command {
            GroupCommand::Configure { config } => objections(config, &around),
            GroupCommand::SignIn { agent, group: Some(group), agent_group, .. } => {
                self.group_stranger(agent, group, agent_group.as_deref()).map(not_an_agent)
            }
            GroupCommand::SignIn { agent_group: Some(_), .. } => {
                let why = "an agent group is one of a group; write group = ADDRESS too";
                Some(Objection::to(ObjectionKind::MissingKey, "group", why))
            }
            GroupCommand::Pause { seconds, .. } if *seconds > PAUSE_SECONDS => {
                let why = format!("seconds = {seconds}: write a number from 0 to {PAUSE_SECONDS}");
                Some(Objection::to(ObjectionKind::OutOfRange, "seconds", why))
            }
            GroupCommand::SignIn { agent, .. }
            | GroupCommand::Opt { agent, .. }
            | GroupCommand::Pause { agent, .. }
            | GroupCommand::Presence { agent, .. } => {
                let why = || format!("{} is an agent of no response group; name one who is", Shown(agent.as_str()));
                (!self.is_agent(agent)).then(why).map(not_an_agent)
            }
            GroupCommand::StopMonitor { call, supervisor } => {
                let why = || format!("{} does not take part in call {call}; name who does", Shown(supervisor.as_str()));
                let objection = |why| Objection::to(ObjectionKind::NotASupervisor, "supervisor", why);
                (!self.supervises(*call, supervisor)).then(why).map(objection)
            }
            GroupCommand::Monitor { call, .. } | GroupCommand::Transfer { call, .. }
                if !self.groups.callers.contains_key(call) || domain.config().groups.is_empty() =>
            {
                let why = format!("there is no call {call}; the wallboard lists those that wait and those that talk");
                Some(Objection::to(ObjectionKind::NoSuchCall, "call", why))
            }
            GroupCommand::Monitor { call, .. } if !self.talks_with_agent(*call) => {
                let why = format!(
                    "no agent talks in call {call}, so there is nothing to hear; take one of the wallboard's talks"
                );
                Some(Objection::to(ObjectionKind::NoSuchCall, "call", why))
            }
            GroupCommand::Monitor { call, supervisor, .. } => self
                .supervisor_objection(*call, supervisor)
                .map(|why| Objection::to(ObjectionKind::InvalidSupervisor, "supervisor", why)),
            GroupCommand::Transfer { call, target } => {
                let problems = domain.config().validate_target("target", target, &around).err().unwrap_or_default();
                let why = problems.first().map(Problem::to_string).or_else(|| self.target_objection(*call, target));
                why.map(|why| Objection::to(ObjectionKind::InvalidTarget, "target.target", why))
            }
        }
    }

    /// Carries a command out; what [`Engine::group_objection`] objects to changes nothing.
    pub(crate) fn on_group_command(&mut self, command: GroupCommand) {
        if self.group_objection(&command).is_some() {
            return;
        }
        match command {
            GroupCommand::Configure { config } => self.configure_groups(*config),
            GroupCommand::SignIn { agent, signed_in, group, agent_group } => {
                self.sign_agent(agent, group, agent_group, signed_in);
            }
            GroupCommand::Opt { agent, opted_in } => self.change_agent(agent, AgentChange::Opted { opted_in }),
            GroupCommand::Pause { agent, seconds } => self.change_agent(agent, AgentChange::Paused { seconds }),
            GroupCommand::Presence { agent, presence, lease_seconds } => {
                self.change_agent(agent, AgentChange::Presence { presence, lease_seconds });
            }
            GroupCommand::Monitor { call, supervisor, mode } => self.call_supervisor(call, supervisor, mode),
            GroupCommand::StopMonitor { call, supervisor } => self.dismiss_supervisor(call, &supervisor),
            GroupCommand::Transfer { call, target } => self.send_by_supervisor(call, target),
        }
    }

    /// Why somebody cannot sign in to a group, or to an agent group of it; `None` when he can.
    pub(super) fn group_stranger(&self, agent: &UserUri, group: &UserUri, agent_group: Option<&str>) -> Option<String> {
        let belongs = self.groups.domain.as_ref().is_some_and(|domain| domain.belongs_to(agent, group, agent_group));
        let of = agent_group.map_or_else(String::new, |name| format!("\"{}\" of ", Shown(name)));
        (!belongs).then(|| format!("{} is no agent of {of}{}", Shown(agent.as_str()), Shown(group.as_str())))
    }

    fn change_agent(&mut self, agent: UserUri, change: AgentChange) {
        self.tell_groups(Input::AgentChanged { agent, change });
    }

    /// What the wallboard shows at `now`, which need not be the time of an input; `None` without response groups.
    pub fn wallboard(&self, now: Timestamp) -> Option<Snapshot> {
        self.groups.domain.as_ref().map(|domain| domain.snapshot(now + self.groups.epoch))
    }

    /// The groups that hold now; `None` without any.
    pub fn group_config(&self) -> Option<&Config> {
        self.groups.domain.as_ref().map(response_group::Domain::config)
    }

    /// Callers of response groups.
    pub fn group_call_count(&self) -> usize {
        self.groups.callers.len()
    }
}

/// What stands around the groups while the server runs. Sounds are files, which whoever hands a configuration in looks for.
struct Around<'a> {
    directory: &'a Directory,
    domain: &'a str,
}

impl Surroundings for Around<'_> {
    fn domain(&self) -> &str {
        self.domain
    }

    fn is_user(&self, uri: &UserUri) -> bool {
        self.directory.user(uri).is_some()
    }

    fn is_conference(&self, number: &str) -> bool {
        ConferenceNumber::parse(number).is_ok_and(|number| self.directory.conference_of_number(&number).is_some())
    }

    fn has_trunk(&self) -> bool {
        self.directory.has_trunk()
    }

    fn forwards_to(&self, user: &UserUri) -> Option<UserUri> {
        UserUri::parse(self.directory.user_profile(user).forward_always.as_ref()?.expose()).ok()
    }
}

fn not_an_agent(why: String) -> Objection {
    Objection::to(ObjectionKind::NotAnAgent, "agent", why)
}

fn objections(config: &Config, around: &Around<'_>) -> Option<Objection> {
    let problems = config.validate_in(around).err()?;
    Some(objection_to_groups(&problems))
}

/// What is wrong with groups that are configured while the server runs.
pub fn objection_to_groups(problems: &[Problem]) -> Objection {
    let blame = |problem: &Problem| {
        let field = json_path(&problem.key);
        let why = Problem { key: field.clone(), ..problem.clone() }.to_string();
        Blame { field: Some(field), why }
    };
    Objection { kind: ObjectionKind::InvalidConfiguration, blames: problems.iter().map(blame).collect() }
}

/// Where a key of the configuration stands in a command: entries are counted from 0 in JSON, and the groups' list is called
/// `groups`.
fn json_path(key: &str) -> String {
    let mut path = String::from("config.");
    for piece in key.replacen("response_group[", "groups[", 1).split_inclusive('[') {
        let counted = piece.split_once(']').and_then(|(number, rest)| Some((number.parse::<usize>().ok()?, rest)));
        match counted {
            Some((number, rest)) => path.push_str(&format!("{}]{rest}", number.saturating_sub(1))),
            None => path.push_str(piece),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_configuration_is_told_as_a_path_of_the_command() {
        for (key, path) in [
            ("response_group[1].welcome", "config.groups[0].welcome"),
            ("response_group[12].agent_group[2].agents[10]", "config.groups[11].agent_group[1].agents[9]"),
            ("timing.t1_millis", "config.timing.t1_millis"),
        ] {
            assert_eq!(json_path(key), path);
        }
    }
}
