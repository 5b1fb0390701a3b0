//! What the machine wants done, and what it tells.
//!
//! There is deliberately no output for a missed call: a response-group offer cannot make one (rule R6).

use base::{CallId, LegId, Timestamp, UserUri};
use serde::{Deserialize, Serialize};

use crate::config::{AnswerMode, Method};
use crate::input::{DialogNo, MonitorMode, OfferNo};
use crate::journal::Entry;

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "output", rename_all = "snake_case")]
pub enum Output {
    /// To be written, and safe, before any output that follows it is carried out.
    Journal(Box<Entry>),
    /// Answer the caller, or give him early media; each at most once.
    AnswerCaller {
        /// The call.
        call: CallId,
        /// [`AnswerMode::OnAgent`] asks for 180 alone.
        mode: AnswerMode,
    },
    /// Let the caller hear something; it goes on until the next of these, `Announce`, or `Bridge`.
    Sound {
        /// The call.
        call: CallId,
        /// What.
        sound: Sound,
    },
    /// Play something once to the caller, then report `AnnouncementEnded`. `Bridge` cuts it short.
    Announce {
        /// The call.
        call: CallId,
        /// What.
        announcement: Announcement,
        /// In which language.
        language: Option<String>,
    },
    /// Ring an agent.
    Offer(OfferOrder),
    /// Stop ringing: CANCEL with `Reason: SIP;cause=200`, whatever the trigger.
    Withdraw {
        /// The offer.
        offer: OfferNo,
        /// Why.
        reason: Withdrawal,
        /// When the CANCEL may be sent.
        cancel: CancelWhen,
    },
    /// Ask the answered agent to press the key that takes the call, then report `OfferConfirmed`.
    AskConfirm {
        /// The offer.
        offer: OfferNo,
        /// The dialog that answered.
        dialog: DialogNo,
        /// In which language.
        language: Option<String>,
    },
    /// ACK if that is owed, then BYE: a late answer, a loser, a machine, or the end of a conversation.
    AckBye {
        /// The offer.
        offer: OfferNo,
        /// Which dialog.
        dialog: DialogNo,
        /// Why.
        reason: Release,
    },
    /// Join caller and agent, then report `Bridged` or `BridgeFailed`.
    Bridge {
        /// The call.
        call: CallId,
        /// The agent's offer.
        offer: OfferNo,
        /// The dialog that answered.
        dialog: DialogNo,
        /// Whether the caller must not learn who the agent is.
        anonymous: bool,
    },
    /// Part them: the caller hears what `Sound` says next.
    Unbridge {
        /// The call.
        call: CallId,
        /// The agent's offer.
        offer: OfferNo,
    },
    /// Connect the caller to a target outside the groups, then report `ForwardEnded`. What he was to hear first has been
    /// asked for by `Announce` before.
    Forward {
        /// The call.
        call: CallId,
        /// The target.
        target: UserUri,
        /// Groups passed so far, for the loop token.
        hops: u32,
    },
    /// End the caller's leg, after the prompt, if any. The call is over for the machine.
    Disconnect {
        /// The call.
        call: CallId,
        /// How the call ended.
        outcome: Outcome,
        /// Sound played first.
        prompt: Option<String>,
        /// In which language.
        language: Option<String>,
    },
    /// After a restart: re-INVITE the caller, and the agent if there is one; then report `Reattached`.
    Reattach {
        /// The call.
        call: CallId,
        /// The agent's leg, when they were connected.
        agent: Option<(OfferNo, DialogNo)>,
    },
    /// Let a supervisor take part; `None` ends it.
    Monitor {
        /// The call.
        call: CallId,
        /// His leg.
        leg: LegId,
        /// How.
        mode: Option<MonitorMode>,
    },
    /// A supervisor's command could not be carried out.
    SupervisorRefused {
        /// The call.
        call: CallId,
        /// Why, in a sentence.
        why: String,
    },
    /// An entry for a user's conversation history.
    History(HistoryEntry),
    /// The record of a call; exactly one for each.
    Cdr(CallRecord),
    /// An agent's state changed.
    AgentState {
        /// The agent.
        agent: UserUri,
        /// What he is now.
        state: AgentStatus,
    },
    /// Something for the wallboard and the metrics.
    Wallboard(WallboardEvent),
}

/// Ring an agent: one INVITE with its own Call-ID, with the headers of routing.md 2.2.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferOrder {
    /// Its number.
    pub offer: OfferNo,
    /// For which call.
    pub call: CallId,
    /// Whom. Only his own registered devices, or his configured address when he is on the telephone network.
    pub agent: UserUri,
    /// Whether he is reached over the telephone network.
    pub pstn: bool,
    /// The group called, for the history header and the display name.
    pub group: UserUri,
    /// Its name.
    pub group_name: String,
    /// Who calls.
    pub caller: String,
    /// What the caller answered to the questions.
    pub labels: Vec<String>,
    /// How long the caller has waited, in seconds.
    pub waited_seconds: u32,
    /// `Expires`: the alert time and five seconds.
    pub expires_seconds: u32,
    /// Groups passed so far, for the loop token.
    pub hops: u32,
}

/// When a CANCEL may be sent (RFC 3261 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelWhen {
    /// At once: a provisional response was reported.
    Now,
    /// With the first provisional response.
    AfterProvisional,
    /// At once and only once, although none may have come: the process was restarted.
    Unconditional,
}

/// Why an offer is withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Withdrawal {
    /// Another agent won.
    LostRace,
    /// The alert time is over.
    Alert,
    /// No provisional response came.
    NoProvisional,
    /// A server on the way diverts.
    Diverting,
    /// The caller left, or went elsewhere.
    CallerGone,
    /// The queue's time-out.
    QueueTimeout,
    /// The process was restarted.
    Restart,
}

/// Why a dialog is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Release {
    /// It answered after it was withdrawn, or the offer is not known any more.
    LateAnswer,
    /// A second device of the agent answered.
    SecondAnswer,
    /// Another agent won while this one was asked for the key.
    LostRace,
    /// Somebody or something else than the agent answered.
    Machine,
    /// The key was not pressed.
    NotConfirmed,
    /// The media could not be joined.
    BridgeFailed,
    /// The caller left, or went elsewhere.
    CallerGone,
    /// The conversation lasted longer than any may.
    TalkLimit,
    /// The process was restarted and the call could not be kept.
    Restart,
}

/// What a caller hears until something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "sound", rename_all = "snake_case")]
pub enum Sound {
    /// Ringing.
    Ringback,
    /// Music; `None` is the server's own.
    Music {
        /// The sound.
        name: Option<String>,
    },
}

/// What is said once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "announcement", rename_all = "snake_case")]
pub enum Announcement {
    /// A named sound: welcome, question, closed.
    Prompt {
        /// The sound.
        name: String,
    },
    /// The place in the queue, from 1, and the estimated wait.
    Queue {
        /// The place, if it is to be said.
        position: Option<u32>,
        /// The wait in seconds, if it is to be said.
        wait_seconds: Option<u32>,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// An agent talked with the caller.
    Answered,
    /// The caller left before.
    Abandoned,
    /// The queue was full.
    Overflowed {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// He waited too long.
    TimedOut {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// Nobody was there to take calls.
    NoAgent {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// The group was closed.
    Closed {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// An answer to a question, or the exit key, sent him elsewhere.
    ChoseExit {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// A supervisor or an agent sent him elsewhere.
    Transferred {
        /// Where he was sent; `None` is nowhere.
        target: Option<UserUri>,
    },
    /// It was not taken at all.
    Rejected {
        /// Why.
        why: Rejection,
    },
    /// It was lost.
    Failed {
        /// Why.
        why: Failure,
    },
}

/// Why a call was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// No such group.
    UnknownGroup,
    /// More calls than the machine holds.
    TooManyCalls,
}

/// Why a call was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// Its media could not be attached again after a restart, or a target was being called for it when the process ended.
    Restart,
    /// It went from group to group too often.
    Loop,
    /// Its group was removed.
    GroupRemoved,
    /// The target it was sent to was not reached.
    ForwardFailed,
    /// The server was stopped.
    Stopping,
    /// The caller's phone did not acknowledge that it was answered.
    NotConfirmed,
    /// No audio port was free, or the processor had no time left.
    NoRoom,
    /// The caller's phone has no audio that the server has.
    NoCommonMedia,
}

/// An entry for a user's conversation history: one for each agent who was offered the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The call.
    pub call: CallId,
    /// Whose history.
    pub agent: UserUri,
    /// The group.
    pub group: UserUri,
    /// Who called.
    pub caller: String,
    /// What became of it.
    pub kind: HistoryKind,
    /// When the call came.
    pub arrived: Timestamp,
}

/// What a history says. None of these is a missed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HistoryKind {
    /// He answered it.
    GroupCallAnsweredByYou,
    /// Somebody else did.
    GroupCallAnsweredByOther,
    /// Nobody did.
    GroupCallNotAnswered,
    /// The caller left before.
    GroupCallAbandoned,
}

/// The record of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRecord {
    /// The call.
    pub call: CallId,
    /// How the outside calls it.
    pub reference: String,
    /// The group that was called.
    pub group: UserUri,
    /// Who called.
    pub caller: String,
    /// When it came.
    pub arrived: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// How.
    pub outcome: Outcome,
    /// What it consisted of, without gaps.
    pub segments: Vec<Segment>,
}

/// A part of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// What it was.
    pub kind: SegmentKind,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// What became of the caller in it; [`Outcome::Answered`] where it led on to what he called for.
    #[serde(default = "led_on")]
    pub outcome: Outcome,
}

/// Parts that an earlier version has written say no more.
const fn led_on() -> Outcome {
    Outcome::Answered
}

/// What a part of a call was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "segment", rename_all = "snake_case")]
pub enum SegmentKind {
    /// Welcome and questions.
    Greeting {
        /// At which group.
        group: UserUri,
    },
    /// Waiting.
    Queue {
        /// At which group.
        group: UserUri,
    },
    /// Talking with an agent.
    Talk {
        /// Who.
        agent: UserUri,
    },
    /// On the way to a target outside.
    Forward {
        /// The target.
        target: UserUri,
    },
}

/// What an agent is, for wallboard and presence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AgentStatus {
    /// He would be offered a call now.
    Free,
    /// His phone rings.
    Ringing {
        /// For which call.
        call: CallId,
    },
    /// His phone is being silenced.
    Draining,
    /// He talks.
    Talking {
        /// With how many callers.
        calls: u32,
    },
    /// He has a pause after a conversation.
    WrapUp {
        /// Until when.
        until: Timestamp,
    },
    /// He has a pause after a refused or failed offer.
    CoolDown {
        /// Until when.
        until: Timestamp,
    },
    /// He is paused.
    Paused {
        /// Until when.
        until: Timestamp,
    },
    /// He is idle but gets nothing.
    NotAvailable {
        /// Why.
        why: Ineligible,
    },
}

/// Why an agent is not offered calls, apart from being occupied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ineligible {
    /// He is in no group (any more), or not active in it.
    NotAMember,
    /// No device of his is registered.
    NotRegistered,
    /// He does not want to be disturbed: his own setting.
    DoNotDisturb,
    /// Only his delegates are to ring: his own setting.
    DelegatesOnly,
    /// The group is formal and he has not signed in.
    SignedOut,
    /// He opted out.
    OptedOut,
    /// His presence says so.
    Presence,
    /// He has conversations outside the groups.
    ExternalCall,
    /// He calls somebody outside the groups, who has not answered yet.
    Calling,
    /// His phone rings for a call outside the groups.
    RungOutside,
}

/// Something for the wallboard and the metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum WallboardEvent {
    /// A caller began to wait.
    Queued {
        /// Where.
        group: UserUri,
        /// How many wait there now.
        waiting: u32,
    },
    /// A caller stopped waiting.
    LeftQueue {
        /// Where.
        group: UserUri,
        /// How many wait there now.
        waiting: u32,
        /// How long he waited, in milliseconds.
        waited_millis: u64,
        /// What became of him.
        result: QueueResult,
    },
}

/// What became of one who waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueResult {
    /// Connected within the target.
    AnsweredInTarget,
    /// Connected later.
    AnsweredLate,
    /// He left.
    Abandoned,
    /// The queue was full.
    Overflowed,
    /// He waited too long.
    TimedOut,
    /// Nobody was there.
    NoAgent,
    /// Anything else.
    Other,
}

/// Why agents were chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// Agents are rung.
    Offered {
        /// The call.
        call: CallId,
        /// The agent group.
        agent_group: String,
        /// How it hunts.
        method: Method,
        /// Who, with the offers' numbers, in the method's order.
        agents: Vec<(UserUri, OfferNo)>,
        /// How many agents were ready.
        ready: u32,
    },
    /// Nobody could be rung.
    Waiting {
        /// The call.
        call: CallId,
        /// How many agents were ready, all of them tried or keeping away after a decline.
        ready: u32,
        /// When it is looked at again; `None` when an agent becomes free.
        next: Option<Timestamp>,
    },
    /// An offer closed.
    OfferClosed {
        /// The call it was for.
        call: CallId,
        /// Its number.
        offer: OfferNo,
        /// The agent.
        agent: UserUri,
        /// Why.
        reason: CloseReason,
    },
    /// An agent won.
    Won {
        /// The call.
        call: CallId,
        /// His offer.
        offer: OfferNo,
        /// He.
        agent: UserUri,
    },
    /// The call moved to another group.
    Moved {
        /// The call.
        call: CallId,
        /// Where to.
        group: UserUri,
        /// Why.
        why: Outcome,
    },
    /// The call ended.
    Ended {
        /// The call.
        call: CallId,
        /// How.
        outcome: Outcome,
    },
}

/// Why an offer closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CloseReason {
    /// Its conversation ended.
    Won,
    /// It won, and its phone could not be reached after a restart.
    Lost,
    /// Withdrawn.
    Withdrawn(Withdrawal),
    /// Answered, and ended again.
    Released(Release),
    /// The phone was busy.
    Busy,
    /// The agent declined.
    Declined,
    /// The agent answered and hung up before he could be given the caller.
    HungUp,
    /// Somebody diverted it.
    Redirected,
    /// Not reached.
    Unreachable,
    /// Nothing was sent: the server had no room for the audio.
    NoRoom,
    /// Refused with this status.
    Failed(u16),
}
