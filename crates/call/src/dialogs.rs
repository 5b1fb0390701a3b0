//! All dialogs of the machine, with the usages that hold them (RFC 5057): one leg, and subscriptions.

use std::collections::{BTreeMap, HashMap};

use base::{LegId, SubscriptionId, UserUri};
use sip_api::Request;

use crate::DialogNames;
use crate::dialog::{Dialog, DialogKey};

/// Names a dialog inside the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DialogId(u64);

/// A dialog and what it is used for. It is forgotten with its last usage.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) dialog: Dialog,
    /// Whom it belongs to, if he proved it.
    pub(crate) user: Option<UserUri>,
    /// The INVITE usage.
    pub(crate) leg: Option<LegId>,
    /// The subscription usages.
    pub(crate) subscriptions: Vec<SubscriptionId>,
    /// Our BYE is under way; the peer's crossing BYE still gets its 200.
    pub(crate) closing: bool,
    /// How many REFER requests came in it; the second one and later need an `id` (RFC 3515 2.4.6).
    pub(crate) refers: u32,
    /// An earlier process of this server had it.
    pub(crate) earlier: bool,
}

/// Dialogs by id, and by Call-ID and tags.
#[derive(Debug, Default)]
pub(crate) struct Dialogs {
    next: u64,
    entries: BTreeMap<DialogId, Entry>,
    index: HashMap<DialogKey, DialogId>,
}

impl Dialogs {
    /// Files a new dialog. A dialog with the same key is not possible: our tag is fresh, or the caller has looked.
    pub(crate) fn insert(&mut self, dialog: Dialog, user: Option<UserUri>, leg: Option<LegId>) -> DialogId {
        self.next += 1;
        let id = DialogId(self.next);
        self.index.insert(dialog.key().clone(), id);
        let entry = Entry { dialog, user, leg, subscriptions: Vec::new(), closing: false, refers: 0, earlier: false };
        self.entries.insert(id, entry);
        id
    }

    /// The dialog a request of the peer belongs to.
    pub(crate) fn find(&self, request: &Request) -> Option<DialogId> {
        self.index.get(&DialogKey::of_request(request)?).copied()
    }

    /// The leg that uses the dialog of these names.
    pub(crate) fn leg_of(&self, names: &DialogNames) -> Option<LegId> {
        let DialogNames { call_id, local_tag, remote_tag } = names.clone();
        let id = self.index.get(&DialogKey { call_id, local_tag, remote_tag })?;
        self.entries.get(id)?.leg
    }

    /// A dialog.
    pub(crate) fn get(&self, id: DialogId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    /// A dialog, to be changed.
    pub(crate) fn get_mut(&mut self, id: DialogId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    /// Forgets a dialog that nothing uses any more.
    pub(crate) fn release(&mut self, id: DialogId) {
        let used = |entry: &Entry| entry.leg.is_some() || entry.closing || !entry.subscriptions.is_empty();
        if self.entries.get(&id).is_some_and(|entry| !used(entry))
            && let Some(entry) = self.entries.remove(&id)
        {
            self.index.remove(entry.dialog.key());
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}
