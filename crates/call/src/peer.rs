//! Whether a request that names a dialog of ours comes from the peer we have it with (RFC 3261 22, reliability.md A3).
//!
//! Call-ID and tags are no secret: every proxy on the way sees them, and so does everybody on a network in the clear.
//! A user proves by digest or certificate who he is; what comes the way he is known by needs no proof of its own, and
//! what comes another way (a new address behind his NAT, another network) is challenged. Whoever has no credentials is
//! known by his address alone: the port may change, the address may not.

use std::net::IpAddr;

use base::UserUri;
use sip_api::{Binding, Flow, SipCommand};

use crate::Calls;
use crate::dialogs::{DialogId, Entry};

/// What is to be done with a request inside a dialog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is the peer's.
    Peer,
    /// It may be his: he is to prove it.
    Unproven,
    /// It is somebody else's.
    Stranger,
}

impl Calls {
    /// Remembers where the devices of a user are registered from.
    pub(crate) fn note_devices(&mut self, user: UserUri, bindings: Vec<Binding>) {
        if bindings.is_empty() {
            self.devices.remove(&user);
        } else {
            self.devices.insert(user.clone(), bindings);
            self.reach_devices(&user);
        }
    }

    /// Whether a request inside a dialog is its peer's; if not, it has been answered: 401 where credentials would help,
    /// 403 where they would not.
    pub(crate) fn is_from_peer(
        &mut self,
        id: DialogId,
        transaction: sip_api::ServerTransactionId,
        flow: Flow,
        user: Option<&UserUri>,
    ) -> bool {
        let Some(entry) = self.dialogs.get(id) else { return false };
        match self.standing(entry, flow, user) {
            Standing::Peer => return true,
            Standing::Unproven => self.push(crate::Output::Sip(SipCommand::Challenge { transaction })),
            Standing::Stranger => self.respond_in(id, transaction, 403),
        }
        false
    }

    fn standing(&self, entry: &Entry, flow: Flow, user: Option<&UserUri>) -> Standing {
        let trusted = self.config.trusted_peers.contains(&flow.remote.ip());
        match (&entry.user, user) {
            (Some(owner), Some(user)) if owner == user => Standing::Peer,
            // Whoever proves to be somebody else has stolen the tags.
            (Some(_), Some(_)) => Standing::Stranger,
            (Some(owner), None) => {
                let registered =
                    self.devices.get(owner).is_some_and(|all| all.iter().any(|known| same(&known.flow, &flow)));
                let known = trusted || registered || entry.dialog.source().is_some_and(|known| same(&known, &flow));
                if known { Standing::Peer } else { Standing::Unproven }
            }
            (None, _) if trusted || is_at(entry, flow.remote.ip()) => Standing::Peer,
            (None, _) => Standing::Stranger,
        }
    }
}

/// The same connection, or the same place of datagrams. Our own address is left out: a peer may reach a listener by
/// more than one of ours.
pub(crate) fn same(one: &Flow, other: &Flow) -> bool {
    one.transport == other.transport && one.remote == other.remote
}

/// Whether a peer without credentials speaks from this address: the one he spoke from before or, where his requests
/// do not come by the way ours go (through a proxy, or resolved by name), the one his Contact names.
fn is_at(entry: &Entry, address: IpAddr) -> bool {
    let dialog = &entry.dialog;
    let spoke_from = dialog.source().map(|flow| flow.remote.ip());
    spoke_from == Some(address) || dialog.flow().is_none() && dialog.target_address() == Some(address)
}
