//! What an operator writes: response groups, their queues, agent groups and agents.
//!
//! Plain structs with defaults; [`Config::validate`] says what is wrong with one and what to write instead.

use base::UserUri;
use serde::{Deserialize, Serialize};

use crate::form::{ActionForm, AgentForm, DisposalForm, GroupForm};
use crate::hours::{Holiday, Hours};

/// Every response group of one domain. Groups that share agents belong to one domain, so that an agent has one owner.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The groups, in the order in which they are listed. Whoever wants none says so: to leave them out is an error.
    pub groups: Vec<ResponseGroup>,
    /// Waiting times and bounds that no operator should need to change.
    #[serde(default)]
    pub timing: Timing,
}

/// A group people call: workflow, queue and agent groups (`[[response_group]]`).
///
/// It is read in the short form, where method and agents stand in the group itself, or with a list `agent_group`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "GroupForm")]
pub struct ResponseGroup {
    /// The address callers dial.
    pub uri: UserUri,
    /// What agents and the wallboard show.
    pub name: String,
    /// When the caller is answered; default at once.
    pub answer: AnswerMode,
    /// Language of the prompts, such as `en` or `de-CH`; `None` is the server's own.
    pub language: Option<String>,
    /// Sound played first.
    pub welcome: Option<String>,
    /// Sound played to those who wait; `None` is the server's own music.
    pub music: Option<String>,
    /// Name of the time zone of hours and holidays, as in the IANA database.
    pub time_zone: String,
    /// When the group is open; empty is always.
    pub hours: Vec<Hours>,
    /// What happens to a caller outside the hours.
    pub closed: Disposal,
    /// Days and times when the group is closed in spite of its hours.
    pub holidays: Vec<Holiday>,
    /// What happens to a caller on a holiday.
    pub holiday: Disposal,
    /// A question asked before queueing.
    pub question: Option<Question>,
    /// What is said to those who wait.
    pub announcements: Announcements,
    /// A key with which a waiting caller leaves the queue, and where he goes.
    pub exit_key: Option<ExitKey>,
    /// Whether callers are kept from seeing which agent answered.
    pub anonymous: bool,
    /// `Alert-Info` of the group's calls (RFC 3261 20.4, RFC 7462), by which agents' phones ring in their own way; `None` is
    /// that of a call from outside.
    pub alert_info: Option<String>,
    /// Waiting time within which an answer counts as in target, in seconds; default 20.
    pub target_seconds: u32,
    /// How callers wait.
    pub queue: Queue,
    /// Who is hunted, searched in this order.
    #[serde(rename = "agent_group")]
    pub agent_groups: Vec<AgentGroup>,
}

impl ResponseGroup {
    /// A group with one agent group and every setting at its default.
    pub fn new(uri: UserUri, name: impl Into<String>, agent_group: AgentGroup) -> Self {
        Self {
            uri,
            name: name.into(),
            answer: AnswerMode::default(),
            language: None,
            welcome: None,
            music: None,
            time_zone: "UTC".to_owned(),
            hours: Vec::new(),
            closed: Disposal::default(),
            holidays: Vec::new(),
            holiday: Disposal::default(),
            question: None,
            announcements: Announcements::default(),
            exit_key: None,
            anonymous: false,
            alert_info: None,
            target_seconds: 20,
            queue: Queue::default(),
            agent_groups: vec![agent_group],
        }
    }
}

/// When the caller gets his 200 (routing.md 2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AnswerMode {
    /// Before the welcome: some carriers cut early media after a minute.
    #[default]
    Immediate,
    /// Music and prompts as early media; the 200 when an agent is connected.
    EarlyMedia,
    /// He hears ringing only, until an agent is connected; no prompt is played.
    OnAgent,
}

/// What becomes of a caller whom the group does not connect: a prompt, if any, and what happens after it.
///
/// It is written as `{ kind = "forward", target = "sip:ann@example.com", prompt = "forwarding" }`, or with the action
/// apart: `{ prompt = "closed", action = { kind = "disconnect" } }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DisposalForm", into = "DisposalForm")]
pub struct Disposal {
    /// Sound played first. `None` is silence before he is sent elsewhere; before he is hung up it is the phrase that says
    /// why, and an empty name is silence.
    pub prompt: Option<String>,
    /// What happens then.
    pub action: Action,
}

impl From<Action> for Disposal {
    fn from(action: Action) -> Self {
        Self { prompt: None, action }
    }
}

/// Where a caller goes whom the group does not connect.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", try_from = "ActionForm")]
pub enum Action {
    /// The call ends.
    #[default]
    Disconnect,
    /// He is connected to an address or number outside the groups.
    Forward {
        /// The address.
        target: UserUri,
    },
    /// He queues at another group; its welcome and question are skipped, its hours are not.
    Group {
        /// The group's address.
        target: UserUri,
    },
}

/// A question answered with a digit; an answer may ask a second one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Sound that asks.
    pub prompt: String,
    /// What each digit means.
    #[serde(rename = "answer")]
    pub answers: Vec<Answer>,
    /// How often it is asked; default 2. Then the first answer counts.
    #[serde(default = "twice")]
    pub attempts: u32,
    /// Seconds from the end of the prompt to the next attempt; default 5.
    #[serde(default = "five")]
    pub wait_seconds: u32,
}

/// What one digit means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// `0` to `9`, `*` or `#`.
    pub digit: char,
    /// What the agent is shown.
    #[serde(default)]
    pub label: String,
    /// A second question; it cannot ask a third.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Box<Question>>,
    /// Where the caller goes instead of this group's queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Disposal>,
    /// Names of the agent groups that take such a call, in this order; empty is all of them.
    #[serde(default)]
    pub agent_groups: Vec<String>,
    /// Priority of such a call instead of the queue's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
}

/// What is said to those who wait.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Announcements {
    /// Whether the place in the queue is said.
    pub position: bool,
    /// Whether the estimated wait is said.
    pub estimated_wait: bool,
    /// Seconds between two announcements; at least 15, default 30.
    pub every_seconds: u32,
    /// A place that did not improve is not said again.
    pub only_when_better: bool,
}

impl Default for Announcements {
    fn default() -> Self {
        Self { position: false, estimated_wait: false, every_seconds: 30, only_when_better: true }
    }
}

/// A key that leaves the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExitKey {
    /// The key.
    pub digit: char,
    /// Where the caller goes.
    pub action: Disposal,
}

/// How callers wait (`[response_group.queue]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Queue {
    /// Calls of a smaller number are served first, across all groups; 1 to 9, default 5.
    pub priority: u8,
    /// How long a caller waits; `None` is for ever. 10 to 65535.
    pub timeout_seconds: Option<u32>,
    /// What happens then.
    pub timeout_action: Disposal,
    /// Whether the time-out cuts an alert short.
    pub deadline: Deadline,
    /// Callers waiting at most, without those for whom a phone rings; `None` is without limit. At 0 whoever finds no agent
    /// free overflows at once. At most 1000.
    pub overflow_threshold: Option<u32>,
    /// Which caller overflows.
    pub overflow_candidate: OverflowCandidate,
    /// Where he goes.
    pub overflow_action: Disposal,
    /// Where callers go when no agent is signed in and reachable; `None` lets them wait.
    pub no_agent_action: Option<Disposal>,
    /// Whether those who already wait go there too.
    pub no_agent_applies_to: NoAgentScope,
    /// Seconds between two passes through the agents; default 5, 1 to 300.
    pub retry_seconds: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            priority: 5,
            timeout_seconds: None,
            timeout_action: Disposal::default(),
            deadline: Deadline::Strict,
            overflow_threshold: None,
            overflow_candidate: OverflowCandidate::Newest,
            overflow_action: Disposal::default(),
            no_agent_action: None,
            no_agent_applies_to: NoAgentScope::All,
            retry_seconds: 5,
        }
    }
}

/// What the queue's time-out does to a phone that rings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// It gets what is left of its alert time, at most five seconds.
    #[default]
    Strict,
    /// It rings to the end of its alert time.
    AfterAlert,
}

/// Which caller overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverflowCandidate {
    /// The one who comes.
    #[default]
    Newest,
    /// The one who waits longest and for whom no phone rings; he makes room for the one who comes.
    Oldest,
}

/// Whom the action for "no agent" concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoAgentScope {
    /// Callers who come, and callers who wait.
    #[default]
    All,
    /// Callers who come.
    New,
}

/// Agents who are hunted in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AgentGroup {
    /// Its name within the response group.
    pub name: String,
    /// Whom to ring first.
    pub method: Method,
    /// Whether agents must sign in.
    pub participation: Participation,
    /// Who belongs to it, in the order the serial methods follow.
    pub agents: Vec<Agent>,
    /// How long one agent's phone rings, counted from the INVITE; 10 to 180 s, default 20.
    pub alert_time_seconds: u32,
    /// How long a caller is kept from an agent who declined him, or for whom something else answered; default 60, at most 600.
    pub decline_grace_seconds: u32,
    /// Pause after a conversation; default 0, at most 3600.
    pub wrap_up_seconds: u32,
    /// Conversations of one agent at once; default 1, at most 10. His phone still rings for one call at a time.
    pub max_calls: u32,
    /// Phones ringing at once for one caller; default 20, 1 to 100.
    pub max_fork: u32,
    /// Who must press a key to take a call.
    pub confirm: Confirm,
    /// Pause of an agent whose phone was busy; default 5 s, at most 600.
    pub busy_delay_seconds: u32,
    /// Pause of an agent who declined, before any other call; default 1 s, at most 600.
    pub decline_delay_seconds: u32,
    /// Unanswered alerts in a row after which an agent is paused; `None` is never.
    pub pause_after_no_answers: Option<u32>,
    /// How long he is paused then; default 300 s, at most 86400.
    pub pause_seconds: u32,
    /// What moves the round robin on.
    pub round_robin_cursor: Cursor,
}

impl Default for AgentGroup {
    fn default() -> Self {
        Self {
            name: "agents".to_owned(),
            method: Method::Parallel,
            participation: Participation::Informal,
            agents: Vec::new(),
            alert_time_seconds: 20,
            decline_grace_seconds: 60,
            wrap_up_seconds: 0,
            max_calls: 1,
            max_fork: 20,
            confirm: Confirm::Pstn,
            busy_delay_seconds: 5,
            decline_delay_seconds: 1,
            pause_after_no_answers: None,
            pause_seconds: 300,
            round_robin_cursor: Cursor::Offered,
        }
    }
}

/// The five hunt methods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Everybody who is available, at once.
    #[default]
    Parallel,
    /// One after the other, always from the top of the list.
    Serial,
    /// The one whose last conversation ended first.
    LongestIdle,
    /// One after the other, from behind the one rung last.
    RoundRobin,
    /// Everybody but those on do-not-disturb, at once, whatever their presence.
    Attendant,
}

/// Whether agents must sign in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Participation {
    /// They are in as long as they are reachable; their main work is something else.
    #[default]
    Informal,
    /// They sign in and out.
    Formal,
}

/// Who must press a key to take a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// Agents on the telephone network, where a mailbox may answer.
    #[default]
    Pstn,
    /// Nobody.
    Never,
    /// Everybody.
    Always,
}

/// What moves the round robin on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cursor {
    /// The agent rung last.
    #[default]
    Offered,
    /// The agent who answered last.
    Answered,
}

/// One member of an agent group; a text is the address with everything else at its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "AgentForm")]
pub struct Agent {
    /// His address; a `tel:` address is on the telephone network.
    pub uri: UserUri,
    /// Whether he is reached over the telephone network: no registration is wanted, a mailbox may answer.
    pub pstn: bool,
    /// Whether he takes part at all.
    pub active: bool,
}

impl Agent {
    /// An active agent with his defaults.
    pub fn new(uri: UserUri) -> Self {
        let pstn = uri.as_str().starts_with("tel:");
        Self { uri, pstn, active: true }
    }
}

/// Waiting times and bounds of the machine; [`Config::validate`] has the range of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// The round-trip estimate of RFC 3261 17.1.1.1, in milliseconds; 64 of them bound every ending of an offer.
    pub t1_millis: u32,
    /// Wait for the first provisional response, after which a phone counts as dead.
    pub no_provisional_seconds: u32,
    /// An answer of a telephone network sooner than this is a machine.
    pub machine_answer_millis: u32,
    /// Wait for the agent's key.
    pub confirm_seconds: u32,
    /// Wait for the media to be joined.
    pub bridge_seconds: u32,
    /// Longest prompt.
    pub prompt_seconds: u32,
    /// Wait for the target of a forward or transfer.
    pub forward_seconds: u32,
    /// Wait for media to be attached again after a restart.
    pub reattach_seconds: u32,
    /// The same where a phone must register anew first, for its connection ended with the process.
    pub awaited_seconds: u32,
    /// How long an offer that is found open after a restart may hold its agent: 64 times T1, for what was under way may
    /// have been lost.
    pub restart_guard_seconds: u32,
    /// Longest conversation.
    pub talk_seconds: u32,
    /// What the queue's time-out leaves to a phone that rings.
    pub timeout_grace_seconds: u32,
    /// Pause of an agent who could not be reached.
    pub unreachable_delay_seconds: u32,
    /// Calls at once; a further one is rejected.
    pub calls_max: u32,
    /// Groups one caller may be passed through by itself, since somebody last talked with him or sent him on.
    pub hops_max: u32,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            t1_millis: 500,
            no_provisional_seconds: 5,
            machine_answer_millis: 1_500,
            confirm_seconds: 10,
            bridge_seconds: 10,
            prompt_seconds: 120,
            forward_seconds: 180,
            reattach_seconds: 5,
            awaited_seconds: 50,
            restart_guard_seconds: 32,
            talk_seconds: 86_400,
            timeout_grace_seconds: 5,
            unreachable_delay_seconds: 5,
            calls_max: 20_000,
            hops_max: 5,
        }
    }
}

fn twice() -> u32 {
    2
}

fn five() -> u32 {
    5
}
