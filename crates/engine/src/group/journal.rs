//! What is written down of the response groups: the machine's entries, and what the wire needs after a restart.

use std::net::SocketAddr;

use base::CallId;
use call::{DialogRecord, ExtraHeaders};
use response_group::{Config, Entry, OfferNo};
use serde::{Deserialize, Serialize};

use super::ledger::Onward;
use super::unstored::EndedCall;
use super::visit::GroupVisit;

/// One line of the journal. It must be safe before any effect that comes after it is carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum GroupJournal {
    /// What the machine was told or has decided.
    Machine(Entry),
    /// What a restarted server needs to reach the same phones.
    Wire(WireRecord),
}

/// What a restarted server needs to reach the same phones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wire", rename_all = "snake_case")]
pub enum WireRecord {
    /// The groups of the configuration file at this start.
    File {
        /// Them.
        config: Box<Config>,
    },
    /// INVITEs of an offer are about to leave.
    Invited {
        /// The offer.
        offer: OfferNo,
        /// One for each device.
        invites: Vec<SentInvite>,
    },
    /// The dialog with a caller stands.
    CallerUp {
        /// The call.
        call: CallId,
        /// The dialog.
        dialog: Box<DialogRecord>,
        /// What else is known of him.
        #[serde(flatten)]
        about: AboutCaller,
    },
    /// The dialog with an agent stands.
    AgentUp {
        /// The offer.
        offer: OfferNo,
        /// The dialog.
        dialog: Box<DialogRecord>,
    },
    /// INVITEs to somebody who is no agent are about to leave: to a forwarded caller's target, to a supervisor.
    Called {
        /// One for each device.
        invites: Vec<SentInvite>,
    },
    /// A dialog with somebody who is neither a waiting caller nor an agent stands. After a restart it is ended, unless a caller
    /// who was sent on talks with him.
    Up {
        /// The dialog.
        dialog: Box<DialogRecord>,
        /// The call whose caller was sent on to him, if one was.
        #[serde(default)]
        onward: Option<CallId>,
    },
    /// A caller talks with whom his group has sent him on to, or does so no more: then once again, with the end.
    Onward {
        /// The call.
        call: CallId,
        /// The conversation; until it is over its end is its beginning.
        onward: Onward,
    },
    /// A call of a journal before this one is over for the machine, and the store need not have its records.
    Ended {
        /// The call.
        ended: Box<EndedCall>,
    },
    /// The store has all records of these calls.
    Stored {
        /// Which.
        calls: Vec<CallId>,
    },
    /// A supervisor's call, or one to a feature code, as far as it is known now.
    Visit {
        /// It.
        visit: Box<GroupVisit>,
    },
    /// The store has all that these left.
    VisitsStored {
        /// Which.
        visits: Vec<String>,
    },
    /// An INVITE or a dialog is over: a restarted server has nothing to do about it.
    Over {
        /// Which.
        leg: WireLeg,
    },
}

/// What is known of a caller that his dialog does not say; of one of an older journal, less.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AboutCaller {
    /// Who calls, as agents are shown it: his account or a trusted trunk may say more than the dialog does.
    pub shown: Option<String>,
    /// He can be told by a new `From` with whom he talks (RFC 4916 4.4).
    pub follows_from: bool,
    /// Headers of his INVITE that agents are shown, his wish for privacy among them.
    pub passed_on: ExtraHeaders,
}

/// How the journal names what is on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WireLeg {
    /// The dialog with a caller. Its Call-ID is of his making and need not be his alone.
    Caller(CallId),
    /// The INVITE or dialog with this Call-ID.
    CallId(String),
}

/// What makes an INVITE the same one when it is sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentInvite {
    /// Its Call-ID.
    pub call_id: String,
    /// Its Request-URI.
    pub uri: String,
    /// Its route set.
    pub route: Vec<String>,
    /// Transport, our address and the device's.
    pub flow: Option<(String, SocketAddr, SocketAddr)>,
    /// `From`, with its tag.
    pub from: String,
    /// `To`.
    pub to: String,
}
