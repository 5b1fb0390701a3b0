//! Starting and driving the edge.

use std::sync::Arc;

use sip_api::{SipCommand, SipEvent};
use tokio::sync::mpsc;

use crate::config::{ListenAddress, SipConfig, StartError};
use crate::counters::{CounterSnapshot, Counters};
use crate::credentials::Credentials;

/// The running edge. Dropping it does not stop it; [`Edge::shutdown`] does.
pub struct Edge {
    local_addresses: Vec<ListenAddress>,
    counters: Arc<Counters>,
}

/// Opens the listeners and starts to deliver events. The bound of `events` is the bound of what waits for the control
/// side: while it is full, new requests are answered 503 with Retry-After.
pub async fn start(
    config: SipConfig,
    _credentials: Arc<dyn Credentials>,
    _events: mpsc::Sender<SipEvent>,
) -> Result<Edge, StartError> {
    config.check()?;
    Ok(Edge { local_addresses: config.listen, counters: Arc::new(Counters::new()) })
}

impl Edge {
    /// Carries out one command. Never blocks: what cannot be sent is counted, and a client transaction that cannot be
    /// started ends with [`SipEvent::Failed`].
    pub fn handle(&self, _command: SipCommand) {}

    /// The addresses listened on, with the ports the system gave.
    pub fn local_addresses(&self) -> Vec<ListenAddress> {
        self.local_addresses.clone()
    }

    /// The counters at this moment.
    pub fn counters(&self) -> CounterSnapshot {
        self.counters.snapshot()
    }

    /// Closes every listener and connection. Transactions end without a further event.
    pub async fn shutdown(&self) {}
}
