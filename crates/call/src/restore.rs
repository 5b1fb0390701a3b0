//! Going on with a dialog that an earlier process of this server had: what is written down of it, and how it is taken
//! up again (routing.md 3.7).

use std::net::SocketAddr;

use base::{LegId, UserUri};
use sip_api::{Flow, ServerTransactionId, Transport};

use crate::dialog::Dialog;
use crate::leg::{Exchange, Incoming, Invite, Leg, LegState};
use crate::reliable::ReliableSender;
use crate::session_timer::TimerRequest;
use crate::{Calls, DialogNames};

/// Numbers left out when a dialog is taken up again: more requests than one process can have sent in it without
/// writing it down anew.
const SKIPPED: u32 = 1_000;

/// A connected leg's dialog as it is written down. Texts are header values.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct DialogRecord {
    /// Call-ID and tags.
    pub names: DialogNames,
    /// `From` of our requests, with its tag.
    pub local: String,
    /// `To` of our requests, with its tag.
    pub remote: String,
    /// The peer's Contact URI.
    pub target: String,
    /// The route set.
    pub routes: Vec<String>,
    /// Number of the last request of ours.
    pub local_cseq: u32,
    /// Our Contact.
    pub contact: String,
    /// Transport, our address and the peer's, if his flow is the way to him.
    pub flow: Option<WrittenFlow>,
    /// The same of where he spoke from last.
    #[serde(default)]
    pub source: Option<WrittenFlow>,
    /// The user the peer is, if he proved it or was called at his device.
    #[serde(default)]
    pub user: Option<UserUri>,
    /// The peer allows UPDATE; records of before do not say it.
    #[serde(default)]
    pub updates: bool,
    /// He says that he allows INVITE.
    #[serde(default)]
    pub reinvites: bool,
}

/// A flow as it is written down: transport, our address, the peer's.
pub type WrittenFlow = (String, SocketAddr, SocketAddr);

impl DialogRecord {
    /// The flow, as the edge names it.
    pub fn sip_flow(&self) -> Option<Flow> {
        self.flow.as_ref().and_then(read)
    }
}

/// A flow that was written down.
pub(crate) fn read((transport, local, remote): &WrittenFlow) -> Option<Flow> {
    let transports = [Transport::Udp, Transport::Tcp, Transport::Tls];
    let transport = transports.into_iter().find(|known| known.as_str() == transport)?;
    Some(Flow { transport, local: *local, remote: *remote })
}

/// A flow to be written down.
pub(crate) fn written(flow: Flow) -> WrittenFlow {
    (flow.transport.as_str().to_owned(), flow.local, flow.remote)
}

impl Calls {
    /// What is to be written down of a leg's dialog; `None` before it is connected.
    pub fn dialog_record(&self, leg: LegId) -> Option<DialogRecord> {
        let leg = self.legs.get(&leg).filter(|leg| leg.is_answered())?;
        let entry = self.dialogs.get(leg.dialog?)?;
        let (updates, reinvites) = (leg.session.peer_updates, leg.session.peer_reinvites);
        Some(DialogRecord { user: entry.user.clone(), updates, reinvites, ..entry.dialog.record() })
    }

    /// The same of a leg whose answer came when nobody wanted it any more, while it is being said BYE.
    pub fn unwanted_dialog(&self, leg: LegId) -> Option<&DialogRecord> {
        self.unwanted.get(&leg)
    }

    /// Takes a dialog of an earlier process up. Nothing is sent; offer a new description to find out whether the peer
    /// is still there.
    pub(crate) fn restore(&mut self, id: LegId, record: &DialogRecord) {
        let Some(dialog) = Dialog::restore(record, SKIPPED).filter(|_| !self.legs.contains_key(&id)) else {
            return self.ignore();
        };
        let caller = (record.names.call_id.clone(), record.names.remote_tag.clone(), 0);
        let incoming = Incoming {
            // The transaction of the first INVITE is over; the edge numbers its own from 1.
            transaction: ServerTransactionId(u64::MAX),
            caller,
            offered: true,
            timer: TimerRequest::default(),
            reliable_supported: false,
            reliable_required: false,
            reliable: ReliableSender::default(),
            progress: None,
            accepted: None,
        };
        let mut leg = Leg::new(LegState::Connected, Invite::Incoming(Box::new(incoming)));
        leg.session.exchange = Exchange::Stable;
        (leg.session.peer_updates, leg.session.peer_reinvites) = (record.updates, record.reinvites);
        let dialog = self.dialogs.insert(dialog, record.user.clone(), Some(id));
        if let Some(entry) = self.dialogs.get_mut(dialog) {
            entry.earlier = true;
        }
        leg.dialog = Some(dialog);
        self.legs.insert(id, leg);
    }
}
