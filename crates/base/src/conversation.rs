//! What a user's call history says of one call.

use crate::{CallId, Termination, UserUri};

/// One line of one user's call history. A call makes one for each user it was offered to and one for who called.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ConversationEntry {
    /// Whose history it is.
    pub user: UserUri,
    /// What the call was to him.
    pub kind: ConversationKind,
    /// The call; unique in the process.
    pub call: CallId,
    /// The other party: a user, or a number as `tel:`.
    pub peer: UserUri,
    /// How the other party is shown.
    pub peer_name: Option<String>,
    /// Who was called first, where that is not this user: the boss of a delegate, the response group of an agent, whoever
    /// diverted the call here.
    pub dialled: Option<UserUri>,
    /// Who took the call, where that is not this user or his peer.
    pub answered_by: Option<UserUri>,
    /// When the call came or was made, in milliseconds since 1970.
    pub started: i64,
    /// When it was answered by whomever, in milliseconds since 1970; `None` when nobody did.
    pub answered: Option<i64>,
    /// When it was over for him, in milliseconds since 1970.
    pub ended: i64,
    /// How it ended for him.
    pub termination: Termination,
    /// What he wanted of a response group, where he was neither its caller nor its agent.
    pub errand: Option<GroupErrand>,
    /// The Call-ID of the leg the call came by: of the caller's, or, where a conference called, of the leg it rang last. The
    /// lines of one call have the same.
    #[serde(default)]
    pub sip_call_id: Option<String>,
}

/// What a user's call to a response group was for, when it was not to talk with an agent. A supervisor's are in order: who does
/// one may do those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupErrand {
    /// To hear a conversation.
    Listen,
    /// To speak to its agent alone.
    Whisper,
    /// To speak to both.
    Barge,
    /// To sign in as an agent.
    SignIn,
    /// To sign out.
    SignOut,
    /// To make a pause.
    Pause,
    /// To end it.
    Resume,
}

impl GroupErrand {
    /// The stable text form, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Listen => "listen",
            Self::Whisper => "whisper",
            Self::Barge => "barge",
            Self::SignIn => "sign_in",
            Self::SignOut => "sign_out",
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// Whether a supervisor does it.
    pub const fn is_supervision(self) -> bool {
        matches!(self, Self::Listen | Self::Whisper | Self::Barge)
    }
}

/// What a call was to a user. Only [`ConversationKind::Missed`] makes a missed-call notice; what a response group offers
/// never has that kind (rules R6, R7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// He called somebody, who may have answered or not.
    Outgoing,
    /// He was called and answered.
    Incoming,
    /// He was called and nobody answered for him.
    Missed,
    /// He was called and declined.
    Declined,
    /// It rang here, and somebody else answered: a delegate, the team, a simultaneous ring, or whoever was called first.
    AnsweredElsewhere,
    /// It rang here for somebody else, and nobody answered.
    NotAnsweredForAnother,
    /// His settings or his device sent the call elsewhere, where it was answered or not.
    Diverted,
    /// A response group offered it and he answered.
    GroupCallAnsweredByYou,
    /// A response group offered it and another agent answered.
    GroupCallAnsweredByOther,
    /// A response group offered it, he did not answer, and it went on.
    GroupCallNotAnswered,
    /// A response group offered it, and the caller gave up.
    GroupCallAbandoned,
}

impl ConversationKind {
    /// Every kind, for tables and metrics.
    pub const ALL: &'static [Self] = &[
        Self::Outgoing,
        Self::Incoming,
        Self::Missed,
        Self::Declined,
        Self::AnsweredElsewhere,
        Self::NotAnsweredForAnother,
        Self::Diverted,
        Self::GroupCallAnsweredByYou,
        Self::GroupCallAnsweredByOther,
        Self::GroupCallNotAnswered,
        Self::GroupCallAbandoned,
    ];

    /// The stable text form, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outgoing => "outgoing",
            Self::Incoming => "incoming",
            Self::Missed => "missed",
            Self::Declined => "declined",
            Self::AnsweredElsewhere => "answered_elsewhere",
            Self::NotAnsweredForAnother => "not_answered_for_another",
            Self::Diverted => "diverted",
            Self::GroupCallAnsweredByYou => "group_call_answered_by_you",
            Self::GroupCallAnsweredByOther => "group_call_answered_by_other",
            Self::GroupCallNotAnswered => "group_call_not_answered",
            Self::GroupCallAbandoned => "group_call_abandoned",
        }
    }

    /// Whether he is told that he missed a call.
    pub const fn is_missed_call(self) -> bool {
        matches!(self, Self::Missed)
    }
}
