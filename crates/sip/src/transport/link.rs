//! The way to one peer.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use sip_api::{Flow, Transport};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::counters::{Counters, DropReason};

/// Messages that may wait for a connection to take them; a peer who reads slower loses the connection.
pub(super) const OUTGOING: usize = 512;

/// A way to send to one peer: a connection, or a socket and an address. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Link(Arc<Inner>);

struct Inner {
    flow: Flow,
    contact: Contact,
    /// The names a verified client certificate gives.
    names: Vec<String>,
    outlet: Outlet,
    /// Datagrams have no connection that could close.
    closed: Option<CancellationToken>,
    counters: Arc<Counters>,
}

/// Where new requests from the peer's side reach us: our listener on this transport, as seen from the peer. Printed as in
/// a URI.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    address: SocketAddr,
    advertised: Option<Arc<str>>,
}

impl Contact {
    /// Our address, or in place of its IP address what the operator advertises.
    pub(super) fn new(address: SocketAddr, advertised: Option<&Arc<str>>) -> Self {
        let told = advertised.filter(|host| match host.parse::<IpAddr>() {
            Ok(other) => other.is_ipv4() == address.is_ipv4(),
            Err(_) => true,
        });
        Self { address, advertised: told.cloned() }
    }

    /// The host; IPv6 in brackets.
    pub(crate) fn host(&self) -> String {
        let host = self.advertised.as_ref().map_or_else(|| self.address.ip().to_string(), |host| host.to_string());
        if host.contains(':') { format!("[{host}]") } else { host }
    }

    /// The port.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host(), self.port())
    }
}

enum Outlet {
    Datagrams { socket: Arc<UdpSocket>, to: SocketAddr },
    Connection(mpsc::Sender<Bytes>),
}

impl Link {
    /// Datagrams from `socket` to the remote address of `flow`.
    pub(super) fn datagrams(flow: Flow, contact: Contact, socket: Arc<UdpSocket>, counters: Arc<Counters>) -> Self {
        let outlet = Outlet::Datagrams { socket, to: flow.remote };
        Self(Arc::new(Inner { flow, contact, names: Vec::new(), outlet, closed: None, counters }))
    }

    /// A connection whose writer takes from the other end of `queue`.
    pub(super) fn connection(
        flow: Flow,
        contact: Contact,
        names: Vec<String>,
        queue: mpsc::Sender<Bytes>,
        closed: CancellationToken,
        counters: Arc<Counters>,
    ) -> Self {
        let outlet = Outlet::Connection(queue);
        Self(Arc::new(Inner { flow, contact, names, outlet, closed: Some(closed), counters }))
    }

    /// The same datagram flow, answered at another address of the peer.
    pub(crate) fn answering_at(&self, to: SocketAddr) -> Self {
        match &self.0.outlet {
            Outlet::Datagrams { socket, to: now } if *now != to => Self(Arc::new(Inner {
                flow: self.0.flow,
                contact: self.0.contact.clone(),
                names: Vec::new(),
                outlet: Outlet::Datagrams { socket: socket.clone(), to },
                closed: None,
                counters: self.0.counters.clone(),
            })),
            _ => self.clone(),
        }
    }

    /// The flow, as the control side names it.
    pub(crate) fn flow(&self) -> Flow {
        self.0.flow
    }

    /// The address for Via and Contact.
    pub(crate) fn contact(&self) -> &Contact {
        &self.0.contact
    }

    /// The names in the verified client certificate: DNS names and URIs.
    pub(crate) fn names(&self) -> &[String] {
        &self.0.names
    }

    /// Whether the transport itself repeats what is lost.
    pub(crate) fn is_reliable(&self) -> bool {
        self.0.flow.transport != Transport::Udp
    }

    /// Resolves when the connection is closed; never for datagrams.
    pub(crate) async fn closed(&self) {
        match &self.0.closed {
            Some(closed) => closed.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Whether the connection is closed.
    pub(crate) fn is_closed(&self) -> bool {
        self.0.closed.as_ref().is_some_and(CancellationToken::is_cancelled)
    }

    /// Closes the connection.
    pub(super) fn close(&self) {
        if let Some(closed) = &self.0.closed {
            closed.cancel();
        }
    }

    /// Sends bytes without waiting. A datagram that the system does not take now is lost, as on the wire; a connection
    /// whose queue is full is closed, because its peer has stopped reading.
    pub(crate) fn send(&self, bytes: Bytes) {
        let sent = match &self.0.outlet {
            Outlet::Datagrams { socket, to } => socket.try_send_to(&bytes, *to).is_ok(),
            Outlet::Connection(queue) => {
                let queued = queue.try_send(bytes).is_ok();
                if !queued {
                    self.close();
                }
                queued
            }
        };
        if sent { self.0.counters.sent() } else { self.0.counters.dropped(DropReason::Unsent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_told_the_advertised_host_of_its_own_family() {
        for (address, advertised, told) in [
            ("10.0.0.1:5060", None, "10.0.0.1:5060"),
            ("[::1]:5060", None, "[::1]:5060"),
            ("10.0.0.1:5060", Some("203.0.113.5"), "203.0.113.5:5060"),
            ("[::1]:5061", Some("203.0.113.5"), "[::1]:5061"),
            ("[::1]:5061", Some("2001:db8::5"), "[2001:db8::5]:5061"),
            ("[::1]:5061", Some("sip.example.com"), "sip.example.com:5061"),
        ] {
            let advertised = advertised.map(Arc::from);
            let contact = Contact::new(address.parse().expect("address"), advertised.as_ref());
            assert_eq!(contact.to_string(), told, "{address} {advertised:?}");
        }
    }
}
