//! From rsipstack's connections to our links: only the letters go out.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use dashmap::DashMap;
use rsipstack::platform::net::UdpSocket;
use rsipstack::sip::SipMessage;
use rsipstack::transport::channel::ChannelConnection;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::silently;
use crate::transport::Link;

/// rsipstack's connections for our links.
///
/// A datagram link becomes a UDP connection, for which rsipstack retransmits. A connection becomes an in-memory
/// channel, for which it does not; all channels end in one queue, which [`Outlets::pump`] empties without ever waiting: what
/// it holds is what the transactions (`Limits::transactions`) have sent since the pump's last turn, and each sends once for
/// each message or command it was given. A connection that does not keep up is bounded behind it, and closed.
pub(super) struct Outlets {
    links: DashMap<SocketAddrPair, Arc<Outlet>>,
    by_number: DashMap<u64, Link>,
    next: AtomicU64,
    out: UnboundedSender<TransportEvent>,
    waiting: Mutex<UnboundedReceiver<TransportEvent>>,
}

type SocketAddrPair = (SocketAddr, SocketAddr);

struct Outlet {
    number: u64,
    connection: SipConnection,
}

impl Default for Outlets {
    fn default() -> Self {
        let (out, waiting) = unbounded_channel();
        Self {
            links: DashMap::new(),
            by_number: DashMap::new(),
            next: AtomicU64::new(1),
            out,
            waiting: Mutex::new(waiting),
        }
    }
}

impl Outlets {
    /// The connection of a link.
    pub(super) fn connection(&self, link: &Link) -> SipConnection {
        if !link.is_reliable() {
            return datagrams(link);
        }
        let flow = link.flow();
        let outlet = self.links.entry((flow.local, flow.remote)).or_insert_with(|| {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            self.by_number.insert(number, link.clone());
            Arc::new(Outlet { number, connection: self.channel(number) })
        });
        let connection = outlet.connection.clone();
        drop(outlet);
        // Closed meanwhile, it would stay in the table for ever.
        if link.is_closed() {
            self.forget(link);
        }
        connection
    }

    /// Forgets a connection that is closed; what rsipstack still sends to it is lost, as on the wire.
    pub(super) fn forget(&self, link: &Link) {
        let flow = link.flow();
        if let Some((_, outlet)) = self.links.remove(&(flow.local, flow.remote)) {
            self.by_number.remove(&outlet.number);
        }
    }

    /// Carries what rsipstack sends to connections.
    pub(super) async fn pump(&self) {
        let mut waiting = self.waiting.lock().await;
        while let Some(event) = waiting.recv().await {
            let TransportEvent::Incoming(message, _, source) = event else { continue };
            let number = source.addr.host.to_string().parse().unwrap_or(0);
            let link = self.by_number.get(&number).map(|link| link.clone());
            if let Some(link) = link {
                send_letter(&link, message_letter(message));
            }
        }
    }

    fn channel(&self, number: u64) -> SipConnection {
        let (_, nothing) = unbounded_channel();
        let host = rsipstack::sip::Domain::from(number.to_string());
        let address = SipAddr { r#type: None, addr: host.into() };
        let made = now(ChannelConnection::create_connection(nothing, self.out.clone(), address, None));
        SipConnection::Channel(made.and_then(Result::ok).expect("making a channel neither waits nor fails"))
    }
}

fn datagrams(link: &Link) -> SipConnection {
    let made = silently(|| now(UdpConnection::from_socket(Arc::new(Letterbox(link.clone())), None, None)));
    SipConnection::Udp(made.and_then(Result::ok).expect("wrapping a socket neither waits nor fails"))
}

/// What rsipstack takes for a socket.
struct Letterbox(Link);

type Boxed<'a, T> = Pin<Box<dyn Future<Output = rsipstack::Result<T>> + Send + 'a>>;

// Written out, because the library that would write it is not worth a dependency for two methods.
impl UdpSocket for Letterbox {
    fn recv_from<'a, 'b, 'c>(&'a self, _buffer: &'b mut [u8]) -> Boxed<'c, (usize, SocketAddr)>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        // Receiving is ours alone.
        Box::pin(std::future::pending())
    }

    fn send_to<'a, 'b, 'c>(&'a self, bytes: &'b [u8], _address: SocketAddr) -> Boxed<'c, usize>
    where
        'a: 'c,
        'b: 'c,
        Self: 'c,
    {
        let letter = bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(&[][..], |end| &bytes[end + 4..]);
        send_letter(&self.0, Bytes::copy_from_slice(letter));
        // A datagram that is lost at once is no reason for a transaction to stop: it is retransmitted like any other.
        Box::pin(std::future::ready(Ok(bytes.len())))
    }

    fn local_addr(&self) -> rsipstack::Result<SocketAddr> {
        Ok(self.0.flow().local)
    }
}

/// Messages rsipstack makes up itself have no letter and stay here.
fn send_letter(link: &Link, letter: Bytes) {
    if !letter.is_empty() {
        link.send(letter);
    }
}

fn message_letter(message: SipMessage) -> Bytes {
    Bytes::from(match message {
        SipMessage::Request(request) => request.body,
        SipMessage::Response(response) => response.body,
    })
}

/// The result of a future that does not wait; `None` if it does after all.
pub(super) fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
