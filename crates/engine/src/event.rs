//! What the engine tells about what happened, for call detail records, metrics and the log.

use base::{CallId, ConferenceId, ConversationEntry, LegId, Termination, Timestamp, UserUri};
use call::{RegistrationStatus, Unanswered};
use focus::{EndReason, FocusEvent};
use mcu_api::{Codec, LegStatistics};

use crate::callers::CallBound;
use crate::group::{GroupCallRecord, GroupLegRecord, GroupVisit};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum EngineEvent {
    /// A conference became active.
    ConferenceStarted {
        /// The conference.
        conference: ConferenceId,
    },
    /// A conference was deactivated.
    ConferenceEnded {
        /// The conference.
        conference: ConferenceId,
        /// Why.
        reason: EndReason,
    },
    /// Something happened in a conference.
    Conference {
        /// The conference.
        conference: ConferenceId,
        /// What.
        event: FocusEvent,
    },
    /// Somebody who had typed too many wrong PINs was not answered.
    PinGuessing {
        /// The conference.
        conference: ConferenceId,
    },
    /// A call was refused because its caller has too many.
    CallRefused {
        /// What he would have exceeded.
        bound: CallBound,
    },
    /// A leg, of a conference's or a group's call, could not be given audio.
    NoRoom {
        /// Why: no port is free, or a worker is overloaded.
        failure: mcu_api::LegFailure,
    },
    /// A trunk that we register at knows us now, or does not any more.
    TrunkRegistration {
        /// The trunk.
        trunk: String,
        /// How the registration fares.
        status: RegistrationStatus,
    },
    /// Somebody we called asked for credentials, and there are none that he takes.
    Unauthorized {
        /// The name of the trunk, if it is one.
        trunk: Option<String>,
        /// The host that was called.
        host: String,
        /// What is wrong.
        why: Unanswered,
    },
    /// A C3P command was answered.
    Command {
        /// The name of the command element.
        command: &'static str,
        /// Whether it succeeded.
        success: bool,
    },
    /// How a connected leg fares; every few seconds for each.
    LegQuality(Box<LegStatistics>),
    /// A recording is over.
    RecordingEnded {
        /// The conference.
        conference: ConferenceId,
        /// Its file.
        file: String,
        /// Its length in milliseconds.
        length_ms: u64,
        /// What went wrong, if something did.
        error: Option<String>,
    },
    /// A leg with audio, answered or not, is over on both sides. Exactly once for each.
    LegEnded(Box<LegRecord>),
    /// A caller of a response group has gone, and every leg of his call is accounted for. Exactly once for each; after a crash
    /// once more for those of whom [`crate::Input::GroupCallsStored`] was not said.
    GroupCallEnded(Box<GroupCallRecord>),
    /// A supervisor's call, or one to a feature code, is over on both sides. Exactly once for each; after a crash once more for
    /// those of whom [`crate::Input::GroupVisitsStored`] was not said.
    GroupVisitEnded {
        /// The call.
        visit: Box<GroupVisit>,
        /// How its media fared, if it had some and the process that saw it lives.
        leg: Option<Box<GroupLegRecord>>,
    },
    /// An agent's state changed.
    GroupAgent {
        /// He.
        agent: UserUri,
        /// What he is now.
        state: response_group::AgentStatus,
    },
    /// Somebody began or ceased to wait in a response group.
    Wallboard(response_group::WallboardEvent),
    /// A supervisor who was to take part in a conversation is further on his way, or has left.
    GroupSupervisor {
        /// The call.
        call: CallId,
        /// He.
        supervisor: UserUri,
        /// Where he is.
        state: SupervisorState,
    },
    /// What became of a caller whom a supervisor sent elsewhere.
    GroupTransfer {
        /// The call.
        call: CallId,
        /// He waits in the other group, or talks with whom he was sent to; else that one was not reached.
        reached: bool,
    },
    /// A change of the groups at run time does not last, because the configuration file has changed since.
    GroupChangeDropped(crate::DroppedChange),
    /// A supervisor's command could not be carried out.
    GroupSupervisorRefused {
        /// The call.
        call: CallId,
        /// Why.
        why: String,
    },
    /// A call between two people that was answered is over. Exactly once for each.
    CallEnded(Box<CallRecord>),
    /// A call is over for a user: one line of his history. Exactly once for each call and each user who was in it or was
    /// offered it.
    Conversation(Box<ConversationEntry>),
    /// The same of a call that ended in an earlier process, which may have stored the line.
    ConversationAgain(Box<ConversationEntry>),
    /// A user's devices were told that he missed a call.
    MissedCallNotice {
        /// The user.
        user: UserUri,
        /// How many devices were told; none when none is registered. They are told when they come back.
        devices: usize,
    },
}

/// Where a supervisor is on his way into a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorState {
    /// His phones ring.
    Ringing,
    /// He takes part.
    TakesPart,
    /// None of his phones was there, or none answered.
    NotReached,
    /// He left, or was let go.
    Left,
}

/// What the call detail record of a call between two people is made of.
#[derive(Clone, Debug)]
pub struct CallRecord {
    /// The call.
    pub call: CallId,
    /// The caller's leg.
    pub caller_leg: LegId,
    /// The leg that answered.
    pub callee_leg: LegId,
    /// Who called.
    pub caller: UserUri,
    /// Who was reached: a user, or a number as `tel:`; another than was dialled if the call was diverted.
    pub callee: UserUri,
    /// What was dialled, as it was written: a user part of this server, or a URI.
    pub address: Option<String>,
    /// The Call-ID of the dialog with the callee.
    pub call_id: Option<String>,
    /// The name of the trunk the callee was reached by, or else the caller came by.
    pub trunk: Option<String>,
    /// When the INVITE came.
    pub since: Timestamp,
    /// When it was answered.
    pub connected: Timestamp,
    /// When the first of the two legs ended.
    pub ended: Timestamp,
    /// How that leg ended.
    pub termination: Termination,
    /// The SIP status that ended it, if one did.
    pub status: Option<u16>,
}

/// What a call detail record is made of.
#[derive(Clone, Debug)]
pub struct LegRecord {
    /// The leg.
    pub leg: LegId,
    /// The conference.
    pub conference: ConferenceId,
    /// Who was at the other end, as he said.
    pub peer: UserUri,
    /// As whom he stood in the roster: an account, a called address, or a guest; `None` when he never did.
    pub user: Option<UserUri>,
    /// Who he said he was, when nobody vouched for it.
    pub claimed: Option<UserUri>,
    /// Whether the conference called him.
    pub dialled: bool,
    /// On whose behalf the conference called him.
    pub requested_by: Option<UserUri>,
    /// Whom the conference called in the end: a user, or a number as `tel:`.
    pub reached: Option<UserUri>,
    /// The name of the trunk it called by, or he came by.
    pub trunk: Option<String>,
    /// He was with the attendant and never got into a conference; `conference` is the one he was asked in.
    pub with_attendant: bool,
    /// What was called, as it was written: a number, or a URI.
    pub address: Option<String>,
    /// The Call-ID of the dialog, once there was one.
    pub call_id: Option<String>,
    /// The codec that was agreed on.
    pub codec: Option<Codec>,
    /// Whether its media was encrypted.
    pub encrypted: bool,
    /// When it was announced or asked for.
    pub since: Timestamp,
    /// When it was connected; `None` when it never was.
    pub connected: Option<Timestamp>,
    /// When it ended.
    pub ended: Timestamp,
    /// How it ended.
    pub termination: Termination,
    /// The SIP status that ended it, if one did.
    pub status: Option<u16>,
    /// Its media, counted.
    pub statistics: LegStatistics,
}
