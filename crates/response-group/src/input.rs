//! What the machine is told: arrivals, in the past tense.

use base::{CallId, LegId, UserUri};
use serde::{Deserialize, Serialize};

use crate::config::{Action, Config};
use crate::output::Failure;

/// Number of an offer; unique over the life of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OfferNo(pub u64);

/// One of the dialogs an offer may grow: an agent's own server may fork, and more than one device may answer. The
/// integrator numbers them as they come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DialogNo(pub u32);

/// What the machine is told.
///
/// What it does not know (a call that ended, an offer that closed) changes nothing, with one exception: an answer is
/// always acknowledged and ended, whoever sends it and whenever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "input", rename_all = "snake_case")]
pub enum Input {
    /// Somebody calls a group.
    CallerArrived(Arrival),
    /// The caller hung up, or his leg ended in any other way.
    CallerLeft {
        /// The call.
        call: CallId,
    },
    /// The caller's phone never acknowledged his 200 (RFC 3261 13.3.1.4), so that he is taken for gone.
    CallerNotConfirmed {
        /// The call.
        call: CallId,
    },
    /// The server refused the caller: it was not his wish that he is gone.
    CallerRefused {
        /// The call.
        call: CallId,
        /// Why.
        why: Failure,
    },
    /// The caller pressed a key.
    CallerDigit {
        /// The call.
        call: CallId,
        /// `0` to `9`, `*`, `#`.
        digit: char,
    },
    /// What [`crate::Output::Announce`] asked for was played, or could not be.
    AnnouncementEnded {
        /// The call.
        call: CallId,
    },
    /// A 1xx other than 181, whichever dialog it is of; `ringing` for 180 and 183. Or several ways lead to the agent, and the
    /// integrator sees to it that none is silent for long; then the silence of one is not the agent's.
    OfferProgressed {
        /// The offer.
        offer: OfferNo,
        /// Whether the phone rings.
        ringing: bool,
    },
    /// 181: a server on the way diverts in spite of us.
    OfferDiverting {
        /// The offer.
        offer: OfferNo,
    },
    /// A 2xx. A second one of the same dialog is a retransmission and is not reported.
    OfferAnswered {
        /// The offer.
        offer: OfferNo,
        /// Which dialog.
        dialog: DialogNo,
        /// Whether its headers say that somebody else answers: `History-Info`, `Diversion`, a mailbox.
        diverted: bool,
    },
    /// The offer's final response, when nobody answered: the last of its branches is closed.
    OfferRefused {
        /// The offer.
        offer: OfferNo,
        /// How.
        refusal: Refusal,
    },
    /// The agent pressed the key that takes the call, or another one.
    OfferConfirmed {
        /// The offer.
        offer: OfferNo,
        /// Whether he takes it.
        accepted: bool,
    },
    /// A dialog of an offer ended: BYE, its answer, or the limit for both. The last one closes the offer.
    OfferDialogEnded {
        /// The offer.
        offer: OfferNo,
        /// Which dialog.
        dialog: DialogNo,
    },
    /// The media of caller and agent are joined.
    Bridged {
        /// The call.
        call: CallId,
        /// The caller's phone has not acknowledged the 200 yet, so that nobody knows whether he hears anything. When it does,
        /// [`Input::CallerConfirmed`] follows.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unconfirmed: bool,
    },
    /// A caller's phone has acknowledged the 200, after he was connected with an agent.
    CallerConfirmed {
        /// The call.
        call: CallId,
    },
    /// They could not be.
    BridgeFailed {
        /// The call.
        call: CallId,
    },
    /// What became of [`crate::Output::Forward`].
    ForwardEnded {
        /// The call.
        call: CallId,
        /// Whether the target answered; the caller is then no longer the machine's.
        connected: bool,
        /// The SIP status that says why it did not; journals of before do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<u16>,
    },
    /// The connected agent transfers the caller.
    AgentTransferred {
        /// The agent's offer.
        offer: OfferNo,
        /// Where to.
        target: Action,
        /// To whom he has spoken first, and who is on the line.
        #[serde(default)]
        consulted: bool,
    },
    /// What is known of an agent changed.
    AgentChanged {
        /// The agent.
        agent: UserUri,
        /// What.
        change: AgentChange,
    },
    /// An agent signed in to one group, or out of it, or of one of its agent groups; it matters where those are formal.
    AgentSigned {
        /// The agent.
        agent: UserUri,
        /// The group.
        group: UserUri,
        /// The agent group's name; `None` is all of the group.
        agent_group: Option<String>,
        /// Whether he is in.
        signed_in: bool,
    },
    /// A supervisor wants something.
    Supervise {
        /// The call.
        call: CallId,
        /// What.
        command: SupervisorCommand,
    },
    /// Other groups hold from now on. It must be valid.
    Configured {
        /// Them.
        config: Box<Config>,
    },
    /// The process began anew on this journal; see [`crate::Domain::restore`].
    Restarted,
    /// The process is about to end in order: every call ends now, so that nothing is left for a restart.
    Stopping,
    /// The caller's media is here again after a restart, and his agent's is still waited for.
    CallerBack {
        /// The call.
        call: CallId,
    },
    /// The connection to a phone of the call ended with the process: the phone has to register anew before it is there again.
    PhonesAwaited {
        /// The call.
        call: CallId,
    },
    /// What became of [`crate::Output::Reattach`].
    Reattached {
        /// The call.
        call: CallId,
        /// Whether the caller's media is here again.
        caller: bool,
        /// Whether the agent's is; meaningless while the caller waits.
        agent: bool,
    },
    /// The time of [`crate::Domain::poll_timeout`] has come. One timer fires for each; the next may be due at once.
    TimerFired,
}

/// Somebody calls a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrival {
    /// The call; unique over the life of the journal.
    pub call: CallId,
    /// How the outside calls it: the `Call-ID` of the caller's leg.
    pub reference: String,
    /// The group called.
    pub group: UserUri,
    /// Who calls, for histories and for the agents.
    pub caller: String,
    /// The civil clock: seconds since 1970-01-01T00:00:00Z.
    pub unix_seconds: i64,
    /// Groups the caller came through before, as its loop token says.
    #[serde(default)]
    pub hops: u32,
}

/// How an offer ended that nobody took (routing.md 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "refusal", rename_all = "snake_case")]
pub enum Refusal {
    /// 486, 600.
    Busy,
    /// 603, 403, 607, 608.
    Declined,
    /// 300 to 305, 380; never followed.
    Redirected,
    /// 408, 480, 404, 410, 484, a transport error, timer B.
    Unreachable,
    /// 503; the target is left alone for so long.
    Unavailable {
        /// Seconds of `Retry-After`; 0 when none was given.
        retry_after_seconds: u32,
    },
    /// He answered and hung up, and his BYE was heard of before his 200: a decline that is an answered call in his history.
    HungUp,
    /// Nothing was sent: the server had no room for the audio.
    NoRoom,
    /// 487: the end of our own CANCEL.
    Cancelled,
    /// Anything else.
    Failed {
        /// The status.
        status: u16,
    },
}

/// What changed about an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum AgentChange {
    /// Whether a device of his is registered.
    Registered {
        /// Whether one is.
        registered: bool,
    },
    /// His own settings keep him from every call of a group, or do not any more.
    KeptOut {
        /// What keeps him, if anything does.
        by: Option<KeptOut>,
    },
    /// What he publishes. An agent who never published counts as available while registered.
    Presence {
        /// His presence.
        presence: Presence,
        /// Seconds after which it is stale and counts as offline; `None` is never.
        lease_seconds: Option<u32>,
    },
    /// What he does on the telephone outside the groups.
    ExternalCalls {
        /// In how many conversations he is.
        count: u32,
        /// A call of his that nobody has answered yet; journals of before do not say it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        unanswered: Option<Unanswered>,
    },
    /// He signed in to every agent group he belongs to, or out of all of them; it matters where they are formal.
    SignedIn {
        /// Whether he is in.
        signed_in: bool,
    },
    /// He opted out of group calls, or in again; it matters to every group.
    Opted {
        /// Whether he takes part.
        opted_in: bool,
    },
    /// He is paused for some seconds; 0 ends a pause.
    Paused {
        /// How long, at most a day.
        seconds: u32,
    },
}

/// A call outside the groups that nobody has answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unanswered {
    /// The agent calls somebody.
    Calling,
    /// The agent's phone rings.
    Ringing,
}

/// What in an agent's own settings keeps him from calls of groups (rules R3 and R4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeptOut {
    /// He does not want to be disturbed.
    DoNotDisturb,
    /// Only his delegates are to ring, and for a group they do not.
    DelegatesOnly,
}

/// What an agent publishes about himself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "the words of presence explain themselves")]
pub enum Presence {
    Available,
    Busy,
    InCall,
    InMeeting,
    Away,
    DoNotDisturb,
    Offline,
    Unknown,
}

/// What a supervisor wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum SupervisorCommand {
    /// To hear a conversation, to speak to the agent alone, or to both.
    Monitor {
        /// His leg.
        leg: LegId,
        /// How.
        mode: MonitorMode,
        /// Who he is, for the call's story; journals of before do not say it.
        #[serde(default)]
        supervisor: Option<UserUri>,
    },
    /// To stop that.
    Leave {
        /// His leg.
        leg: LegId,
    },
    /// To send the caller somewhere else, whether he waits or talks.
    Transfer {
        /// Where to.
        target: Action,
    },
}

/// How a supervisor takes part in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MonitorMode {
    /// He hears both, nobody hears him.
    Listen,
    /// The agent hears him.
    Whisper,
    /// Both hear him.
    Barge,
}
