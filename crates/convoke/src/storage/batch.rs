//! What calls and registrations leave, gathered for one transaction: the wait for the disk is the same for one record and for many.

use std::time::Instant;

use base::{CallId, ConversationEntry, UserUri};
use store::{Cdr, RegistrationRow, Store};

use super::backlog::Backlog;

/// Records written in one transaction.
const RECORDS_MAX: usize = 128;

/// Whose records they are that the engine waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// A call of a response group.
    Call(CallId),
    /// A supervisor's call, or one to a feature code, by its id.
    Visit(String),
}

/// What a call or a registration leaves.
pub(super) enum Record {
    /// For the operator.
    Cdr(Box<Cdr>),
    /// The same of a call of a response group, or beside one: all of it together.
    Group(Left, Vec<Cdr>),
    /// For a user.
    Conversation(Box<ConversationEntry>),
    /// For a user, who may have it already.
    ConversationAgain(Box<ConversationEntry>),
    /// The devices a user has from now on.
    Registrations(UserUri, Vec<RegistrationRow>),
}

/// Records that are written together.
#[derive(Default)]
pub(super) struct Batch {
    cdrs: Vec<Cdr>,
    group_calls: Vec<Left>,
    again: Vec<ConversationEntry>,
    conversations: Vec<ConversationEntry>,
    registrations: Vec<(UserUri, Vec<RegistrationRow>)>,
}

impl Batch {
    /// Adds a record.
    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Cdr(cdr) => self.cdrs.push(*cdr),
            Record::Group(left, cdrs) => {
                self.cdrs.extend(cdrs);
                self.group_calls.push(left);
            }
            Record::ConversationAgain(entry) => self.again.push(*entry),
            Record::Conversation(entry) => self.conversations.push(*entry),
            Record::Registrations(user, devices) => self.registrations.push((user, devices)),
        }
    }

    /// Whether no further record may be added.
    pub(super) fn is_full(&self) -> bool {
        self.cdrs.len() + self.conversations.len() + self.again.len() + self.registrations.len() >= RECORDS_MAX
    }

    /// Writes everything; call detail records that the disk refuses are kept in the backlog.
    pub(super) async fn write(self, store: &Store, backlog: &mut Backlog) {
        if !self.registrations.is_empty()
            && let Err(error) = store.save_registrations(&self.registrations).await
        {
            tracing::error!(%error, users = self.registrations.len(), "registrations could not be stored");
        }
        if !self.again.is_empty()
            && let Err(error) = store.append_missing_conversations(&self.again).await
        {
            tracing::error!(%error, lines = self.again.len(), "lines of call histories could not be made anew");
        }
        backlog.write(self.cdrs, self.group_calls, &self.conversations, store, Instant::now()).await;
    }
}
