//! All sockets of the edge: the listeners, and the connections that are open.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use rustls_pki_types::ServerName;
use sip_api::{Flow, Transport};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::dns::{Location, Locator};
use super::link::{Contact, OUTGOING};
use super::local::LocalAddresses;
use super::next_hop::NextHop;
use super::stream::{Bounds, Connection};
use super::tls::{self, Tls};
use super::{Inbound, Link, udp};
use crate::config::{ListenAddress, SipConfig, StartError};
use crate::counters::{Counters, DropReason};
use crate::notice::Notices;

/// How long a connection we open may take, TLS handshake included.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a peer may take to accept a connection for one long message, before that goes as a datagram: a lost SYN is
/// repeated once.
const STREAM_PATIENCE: Duration = Duration::from_millis(1_500);

/// How long a peer that takes no connection is not asked again.
const STREAMLESS: Duration = Duration::from_secs(600);

/// Peers remembered as such; when the table is full it starts anew.
const STREAMLESS_MAX: usize = 4_096;

/// The pause after a failed accept: the process is out of descriptors, and spinning would not bring any.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The sockets.
pub(crate) struct Hub {
    listeners: Vec<Listener>,
    connections: DashMap<Flow, Link>,
    sources: Mutex<HashMap<IpAddr, usize>>,
    locals: LocalAddresses,
    pub(crate) locator: Locator,
    /// Peers that take no connection, and since when that is known.
    streamless: Mutex<HashMap<SocketAddr, Instant>>,
    advertised: Option<Arc<str>>,
    tls: Option<Tls>,
    bounds: Bounds,
    per_source: usize,
    in_all: usize,
    /// Addresses to which `per_source` does not apply.
    trusted: Vec<IpAddr>,
    /// Sources that were noted in the log lately for a refused connection.
    refused: Mutex<Notices>,
    dscp: Option<u8>,
    counters: Arc<Counters>,
    inbound: OnceLock<Weak<dyn Inbound>>,
    stop: CancellationToken,
}

struct Listener {
    address: ListenAddress,
    socket: ListenerSocket,
}

enum ListenerSocket {
    Datagrams(Mutex<Option<Arc<UdpSocket>>>),
    Connections(Mutex<Option<TcpListener>>),
}

impl Hub {
    /// Opens the listeners.
    pub(crate) fn open(config: &SipConfig, counters: Arc<Counters>) -> Result<Self, StartError> {
        let tls = config.tls.as_ref().map(Tls::load).transpose()?;
        let listeners = config.listen.iter().map(|listen| Listener::open(*listen, config.dscp));
        Ok(Self {
            listeners: listeners.collect::<Result<_, _>>()?,
            connections: DashMap::new(),
            sources: Mutex::new(HashMap::new()),
            locals: LocalAddresses::default(),
            locator: Locator::new(),
            streamless: Mutex::default(),
            advertised: config.advertised.as_deref().map(Arc::from),
            tls,
            bounds: Bounds {
                message: config.limits.sip_message,
                deadline: config.message_deadline,
                idle: config.stream_idle,
            },
            per_source: config.connections_per_source,
            in_all: config.connections,
            trusted: config.trusted_peers.clone(),
            refused: Mutex::default(),
            dscp: config.dscp,
            counters,
            inbound: OnceLock::new(),
            stop: CancellationToken::new(),
        })
    }

    /// Starts to receive; the tasks end when the hub stops.
    pub(crate) fn serve(self: &Arc<Self>, inbound: &Arc<dyn Inbound>) -> Vec<JoinHandle<()>> {
        // Weak, because whoever takes the messages holds the hub.
        let _set_before = self.inbound.set(Arc::downgrade(inbound));
        let listeners = self.listeners.iter().filter_map(|listener| {
            let (hub, inbound, address) = (self.clone(), inbound.clone(), listener.address);
            match &listener.socket {
                ListenerSocket::Datagrams(socket) => {
                    let socket = lock(socket).clone()?;
                    Some(tokio::spawn(udp::receive(hub, socket, address.address, inbound)))
                }
                ListenerSocket::Connections(listener) => {
                    let listener = lock(listener).take()?;
                    Some(tokio::spawn(hub.accept(listener, address.transport)))
                }
            }
        });
        listeners.collect()
    }

    /// Closes everything.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
        for listener in &self.listeners {
            if let ListenerSocket::Datagrams(socket) = &listener.socket {
                lock(socket).take();
            }
        }
    }

    /// Resolves when the hub stops.
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Where we listen.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = ListenAddress> {
        self.listeners.iter().map(|listener| listener.address)
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.connections.len()
    }

    /// The link of a flow if it can be used at once: a datagram flow always, a connection while it is open.
    pub(crate) fn existing(&self, flow: &Flow) -> Option<Link> {
        if flow.transport == Transport::Udp {
            let (socket, listen) = self.datagram_socket(flow.remote, Some(flow.local))?;
            return Some(self.datagram_link(&socket, listen, flow.remote));
        }
        let exact = self.connections.get(flow).map(|link| link.clone()).filter(|link| !link.is_closed());
        exact.or_else(|| self.connection_to(flow.transport, flow.remote))
    }

    /// Where the next hop may be, in the order to be tried (RFC 3263).
    pub(crate) async fn locate(&self, hop: &NextHop) -> Vec<Location> {
        let mut spoken: Vec<Transport> = self.addresses().map(|listen| listen.transport).collect();
        spoken.extend(self.tls.as_ref().map(|_| Transport::Tls));
        self.locator.locate(hop, &spoken).await
    }

    /// A link to the next hop at this place: an open connection if there is one, else a new one.
    pub(crate) async fn link_at(self: &Arc<Self>, hop: &NextHop, location: Location) -> Option<Link> {
        let Location { transport, address } = location;
        // RFC 3263 4.1: without a wish, datagrams; unless we have no such socket.
        let datagrams = self.datagram_socket(address, None);
        let transport = transport.unwrap_or(if datagrams.is_some() { Transport::Udp } else { Transport::Tcp });
        match transport {
            Transport::Udp => datagrams.map(|(socket, listen)| self.datagram_link(&socket, listen, address)),
            _ => match self.connection_to(transport, address) {
                Some(link) => Some(link),
                None => self.connect(transport, address, Some(&hop.host)).await,
            },
        }
    }

    /// A link to the next hop, at the first place that takes one.
    pub(crate) async fn link_to(self: &Arc<Self>, hop: &NextHop) -> Option<Link> {
        for location in self.locate(hop).await {
            if let Some(link) = self.link_at(hop, location).await {
                return Some(link);
            }
        }
        None
    }

    /// A connection for what is too long for a datagram: one that is open, else a new one, unless this peer refused one
    /// lately.
    pub(crate) async fn stream_to(self: &Arc<Self>, remote: SocketAddr) -> Option<Link> {
        if let Some(link) = self.connection_to(Transport::Tcp, remote) {
            return Some(link);
        }
        if lock(&self.streamless).get(&remote).is_some_and(|since| since.elapsed() < STREAMLESS) {
            return None;
        }
        let link = timeout(STREAM_PATIENCE, self.connect(Transport::Tcp, remote, None)).await.ok().flatten();
        let mut streamless = lock(&self.streamless);
        match link {
            Some(_) => drop(streamless.remove(&remote)),
            None => {
                if streamless.len() >= STREAMLESS_MAX {
                    streamless.clear();
                }
                streamless.insert(remote, Instant::now());
            }
        }
        link
    }

    /// The link of a datagram that came in.
    pub(super) fn datagram_link(&self, socket: &Arc<UdpSocket>, listen: SocketAddr, remote: SocketAddr) -> Link {
        let local = self.locals.towards(listen, remote.ip());
        let flow = Flow { transport: Transport::Udp, local, remote };
        let contact = Contact::new(local, self.advertised.as_ref());
        Link::datagrams(flow, contact, socket.clone(), self.counters.clone())
    }

    fn connection_to(&self, transport: Transport, remote: SocketAddr) -> Option<Link> {
        // One that is being closed may still have its farewell to say.
        let mut open = self.connections.iter().filter(|entry| !entry.value().is_closed());
        let found = open.find(|entry| entry.key().transport == transport && entry.key().remote == remote)?;
        Some(found.value().clone())
    }

    /// The socket that reaches `remote`, the one bound to `local` if there is one.
    fn datagram_socket(&self, remote: SocketAddr, local: Option<SocketAddr>) -> Option<(Arc<UdpSocket>, SocketAddr)> {
        let mut candidates = self.listeners.iter().filter_map(|listener| match &listener.socket {
            ListenerSocket::Datagrams(socket) if listener.address.address.is_ipv4() == remote.is_ipv4() => {
                Some((lock(socket).clone()?, listener.address.address))
            }
            _ => None,
        });
        let bound = |(_, listen): &(Arc<UdpSocket>, SocketAddr)| {
            local.is_some_and(|local| {
                local.port() == listen.port() && (local.ip() == listen.ip() || listen.ip().is_unspecified())
            })
        };
        candidates.clone().find(bound).or_else(|| candidates.next())
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, transport: Transport) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stopped() => return,
            };
            match accepted {
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                Ok((stream, remote)) => match self.clone().take_slot(remote.ip()) {
                    Err(why) => {
                        self.counters.dropped(DropReason::ConnectionLimit);
                        if lock(&self.refused).is_due(Instant::now().into_std(), remote.ip()) {
                            tracing::warn!(source = %remote.ip(), "a connection is refused: {why}");
                        }
                    }
                    Ok(slot) => {
                        tokio::spawn(self.clone().serve_accepted(stream, transport, slot));
                    }
                },
            }
        }
    }

    /// A place among the connections of this source, or why it has none left.
    fn take_slot(self: Arc<Self>, source: IpAddr) -> Result<Slot, String> {
        if self.connections.len() >= self.in_all {
            return Err(format!("the server has {}, as many as it takes", self.in_all));
        }
        let mut sources = lock(&self.sources);
        let count = sources.entry(source).or_insert(0);
        if *count >= self.per_source && !self.trusted.contains(&source) {
            return Err(format!("its address has {}, as many as sip.connections_per_source allows", self.per_source));
        }
        *count += 1;
        drop(sources);
        Ok(Slot { hub: self, source })
    }

    async fn serve_accepted(self: Arc<Self>, stream: TcpStream, transport: Transport, _slot: Slot) {
        let first = Instant::now() + self.bounds.deadline;
        self.tune(&stream);
        let (Ok(local), Ok(remote)) = (stream.local_addr(), stream.peer_addr()) else { return };
        let flow = Flow { transport, local, remote };
        match &self.tls {
            Some(tls) if transport == Transport::Tls => {
                let handshake = timeout_at(first, tls.acceptor.accept(stream));
                let Ok(Ok(stream)) = handshake.await else { return self.counters.dropped(DropReason::Handshake) };
                let names = tls::names(stream.get_ref().1.peer_certificates());
                self.run(stream, self.join(flow, names, Some(first))).await;
            }
            _ => self.run(stream, self.join(flow, Vec::new(), Some(first))).await,
        }
    }

    async fn connect(self: &Arc<Self>, transport: Transport, remote: SocketAddr, host: Option<&str>) -> Option<Link> {
        if self.connections.len() >= self.in_all {
            self.counters.dropped(DropReason::ConnectionLimit);
            return None;
        }
        let socket = if remote.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let stream = timeout(CONNECT, socket.ok()?.connect(remote)).await.ok()?.ok()?;
        self.tune(&stream);
        let flow = Flow { transport, local: stream.local_addr().ok()?, remote };
        if transport != Transport::Tls {
            return Some(self.start(stream, flow));
        }
        let name = host.map_or_else(|| remote.ip().to_string(), str::to_owned);
        let name = ServerName::try_from(name).ok()?;
        match timeout(CONNECT, self.tls.as_ref()?.connector.connect(name, stream)).await {
            Ok(Ok(stream)) => Some(self.start(stream, flow)),
            Ok(Err(_)) | Err(_) => {
                self.counters.dropped(DropReason::Handshake);
                None
            }
        }
    }

    fn tune(&self, stream: &TcpStream) {
        // Both only make things quicker; a system that refuses still works.
        let _delayed = stream.set_nodelay(true);
        if let Ok(local) = stream.local_addr() {
            udp::mark(&SockRef::from(stream), local, self.dscp);
        }
    }

    /// Starts to serve a connection we opened.
    fn start<S>(self: &Arc<Self>, stream: S, flow: Flow) -> Link
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + 'static,
    {
        let joined = self.join(flow, Vec::new(), None);
        let link = joined.as_ref().map(|(connection, _)| connection.link.clone());
        let hub = self.clone();
        tokio::spawn(async move { hub.run(stream, joined).await });
        link.unwrap_or_else(|| self.closed_link(flow))
    }

    /// Enters a connection into the table; `None` when the edge is stopping.
    fn join(
        &self,
        flow: Flow,
        names: Vec<String>,
        first: Option<Instant>,
    ) -> Option<(Connection, mpsc::Receiver<Bytes>)> {
        let inbound = self.inbound.get()?.upgrade()?;
        let (sender, queue) = mpsc::channel(OUTGOING);
        let (contact, closed) = (self.contact(&flow), self.stop.child_token());
        let link = Link::connection(flow, contact, names, sender, closed, self.counters.clone());
        self.connections.insert(flow, link.clone());
        let (counters, bounds) = (self.counters.clone(), self.bounds);
        Some((Connection { link, inbound, counters, bounds, first }, queue))
    }

    async fn run<S>(&self, stream: S, joined: Option<(Connection, mpsc::Receiver<Bytes>)>)
    where
        S: tokio::io::AsyncRead + tokio::io::AsyncWrite,
    {
        let Some((connection, queue)) = joined else { return };
        let (link, inbound) = (connection.link.clone(), connection.inbound.clone());
        connection.run(queue, stream).await;
        link.close();
        self.connections.remove(&link.flow());
        inbound.closed(&link);
    }

    fn closed_link(&self, flow: Flow) -> Link {
        let (sender, _) = mpsc::channel(1);
        let closed = CancellationToken::new();
        closed.cancel();
        Link::connection(flow, Contact::new(flow.local, None), Vec::new(), sender, closed, self.counters.clone())
    }

    /// Where the peer of a connection reaches us for a new one: our listener on that transport.
    fn contact(&self, flow: &Flow) -> Contact {
        Contact::new(self.listener_of(flow), self.advertised.as_ref())
    }

    fn listener_of(&self, flow: &Flow) -> SocketAddr {
        let same = |listener: &&Listener| listener.address.transport == flow.transport;
        let listening = |address: &SocketAddr| address.ip() == flow.local.ip() || address.ip().is_unspecified();
        let mut addresses = self.listeners.iter().filter(same).map(|listener| listener.address.address);
        if addresses.clone().any(|address| address == flow.local) {
            return flow.local;
        }
        let port = addresses.find(listening).map_or(flow.local.port(), |address| address.port());
        SocketAddr::new(flow.local.ip(), port)
    }
}

impl Listener {
    fn open(listen: ListenAddress, dscp: Option<u8>) -> Result<Self, StartError> {
        let opened = match listen.transport {
            Transport::Udp => udp::bind(listen.address, dscp).and_then(|socket| {
                Ok((socket.local_addr()?, ListenerSocket::Datagrams(Mutex::new(Some(Arc::new(socket))))))
            }),
            Transport::Tcp | Transport::Tls => bind_stream(listen.address).and_then(|listener| {
                Ok((listener.local_addr()?, ListenerSocket::Connections(Mutex::new(Some(listener)))))
            }),
        };
        let (address, socket) = opened.map_err(|error| StartError::Bind { listen, error })?;
        Ok(Self { address: ListenAddress { address, ..listen }, socket })
    }
}

fn bind_stream(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    TcpListener::from_std(socket.into())
}

/// A place among the connections of one source; given back when the connection ends.
struct Slot {
    hub: Arc<Hub>,
    source: IpAddr,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut sources = lock(&self.hub.sources);
        if let Some(count) = sources.get_mut(&self.source) {
            *count -= 1;
            if *count == 0 {
                sources.remove(&self.source);
            }
        }
    }
}

/// Nothing panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
