//! Starting and driving the edge.

use std::sync::{Arc, Mutex, PoisonError};

use sip_api::{SipCommand, SipEvent};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::config::{ListenAddress, SipConfig, StartError};
use crate::counters::{CounterSnapshot, Counters};
use crate::credentials::Credentials;
use crate::reception::Reception;
use crate::registration::Registrations;
use crate::transport::{Hub, Inbound};

/// The running edge. Dropping it does not stop it; [`Edge::shutdown`] does.
pub struct Edge {
    pub(crate) hub: Arc<Hub>,
    reception: Arc<Reception>,
    listeners: Mutex<Vec<JoinHandle<()>>>,
    runtime: Handle,
}

/// Opens the listeners and starts to deliver events. The bound of `events` is the bound of what waits for the control
/// side: while it is full, new requests are answered 503 with Retry-After. The first events tell of the registrations that
/// were kept, as if the devices had registered just now.
///
/// Must be called on a tokio runtime with IO and time.
pub async fn start(
    config: SipConfig,
    credentials: Arc<dyn Credentials>,
    registrations: Registrations,
    events: mpsc::Sender<SipEvent>,
) -> Result<Edge, StartError> {
    config.check()?;
    let counters = Arc::new(Counters::new());
    let hub = Arc::new(Hub::open(&config, counters.clone())?);
    let reception = Reception::new(config, credentials, hub.clone(), events, counters);
    reception.run(registrations);
    let inbound: Arc<dyn Inbound> = reception.clone();
    let listeners = Mutex::new(hub.serve(&inbound));
    Ok(Edge { hub, reception, listeners, runtime: Handle::current() })
}

impl Edge {
    /// Carries out one command. Never blocks: what cannot be sent is counted, and a client transaction that cannot be
    /// started ends with [`SipEvent::Failed`]. May be called from any thread.
    pub fn handle(&self, command: SipCommand) {
        let _entered = self.runtime.enter();
        self.reception.handle(command);
    }

    /// The addresses listened on, with the ports the system gave.
    pub fn local_addresses(&self) -> Vec<ListenAddress> {
        self.hub.addresses().collect()
    }

    /// The counters at this moment.
    pub fn counters(&self) -> CounterSnapshot {
        self.reception.snapshot()
    }

    /// Closes every listener and connection. Transactions end without a further event.
    pub async fn shutdown(&self) {
        self.hub.stop();
        let listeners = std::mem::take(&mut *self.listeners.lock().unwrap_or_else(PoisonError::into_inner));
        for listener in listeners {
            // One that panicked is closed as well.
            let _closed = listener.await;
        }
    }
}
