//! What calls leave, gathered for one transaction: the wait for the disk is the same for one record and for many.

use base::ConversationEntry;
use store::{Cdr, Store};

/// Records written in one transaction.
const RECORDS_MAX: usize = 128;

/// What a call leaves.
pub(super) enum Record {
    /// For the operator.
    Cdr(Box<Cdr>),
    /// For a user.
    Conversation(Box<ConversationEntry>),
}

/// Records that are written together.
#[derive(Default)]
pub(super) struct Batch {
    cdrs: Vec<Cdr>,
    conversations: Vec<ConversationEntry>,
}

impl Batch {
    /// Adds a record.
    pub(super) fn add(&mut self, record: Record) {
        match record {
            Record::Cdr(cdr) => self.cdrs.push(*cdr),
            Record::Conversation(entry) => self.conversations.push(*entry),
        }
    }

    /// Whether no further record may be added.
    pub(super) fn is_full(&self) -> bool {
        self.cdrs.len() + self.conversations.len() >= RECORDS_MAX
    }

    /// Writes everything. When that fails, each record is tried alone, so that none suffers for another.
    pub(super) async fn write(self, store: &Store) {
        if store.append_records(&self.cdrs, &self.conversations).await.is_ok() {
            return;
        }
        for cdr in &self.cdrs {
            if let Err(error) = store.append_cdrs(std::slice::from_ref(cdr)).await {
                tracing::error!(%error, segment = %cdr.segment_id, "a call detail record could not be stored");
            }
        }
        for entry in &self.conversations {
            if let Err(error) = store.append_conversations(std::slice::from_ref(entry)).await {
                tracing::error!(%error, call = %entry.call, "a line of a call history could not be stored");
            }
        }
    }
}
