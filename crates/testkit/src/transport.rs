//! Sockets of a scripted agent: datagrams, or connections both made and accepted.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::{Notify, mpsc};

use crate::message::SipMessage;

/// Messages waiting to be looked at, and bytes waiting to be written; more are dropped.
const QUEUE: usize = 1024;

/// The transport a scripted agent uses for everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams, with retransmission.
    Udp,
    /// Connections.
    Tcp,
}

impl Transport {
    /// The name in a Via.
    pub fn via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        }
    }

    /// The value of a URI's `transport` parameter.
    pub fn parameter(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
        }
    }
}

/// Where a message came from, and where its answer goes.
#[derive(Clone, Debug)]
pub(crate) enum Path {
    Datagram(Arc<UdpSocket>, SocketAddr),
    Connection(mpsc::Sender<Vec<u8>>),
}

impl Path {
    pub(crate) async fn send(&self, bytes: Vec<u8>) -> io::Result<()> {
        match self {
            Self::Datagram(socket, peer) => socket.send_to(&bytes, *peer).await.map(|_| ()),
            Self::Connection(writer) => {
                writer.send(bytes).await.map_err(|_| io::Error::from(io::ErrorKind::ConnectionReset))
            }
        }
    }

    pub(crate) fn is_reliable(&self) -> bool {
        matches!(self, Self::Connection(_))
    }
}

/// A message and where it came from.
pub(crate) type Arrival = (SipMessage, Path);

/// The sockets of one agent.
pub(crate) struct Sockets {
    pub(crate) local: SocketAddr,
    datagrams: Option<Arc<UdpSocket>>,
    connections: Mutex<HashMap<SocketAddr, mpsc::Sender<Vec<u8>>>>,
    arrivals: mpsc::Sender<Arrival>,
    /// Rung when all connections are to break.
    broken: Arc<Notify>,
    /// Keeps the port of an agent that takes no connections, so that nobody else does there.
    #[expect(dead_code, reason = "it is only held")]
    reserved: Option<TcpSocket>,
}

impl Sockets {
    /// Binds; port 0 takes a free one.
    pub(crate) async fn open(
        transport: Transport,
        bind: SocketAddr,
        listens: bool,
    ) -> io::Result<(Arc<Self>, mpsc::Receiver<Arrival>)> {
        let (arrivals, receiver) = mpsc::channel(QUEUE);
        let (connections, broken) = (Mutex::default(), Arc::<Notify>::default());
        let sockets = match transport {
            Transport::Udp => {
                let socket = Arc::new(UdpSocket::bind(bind).await?);
                tokio::spawn(receive_datagrams(socket.clone(), arrivals.clone()));
                let local = socket.local_addr()?;
                Self { local, datagrams: Some(socket), connections, arrivals, broken, reserved: None }
            }
            Transport::Tcp if !listens => {
                let socket = TcpSocket::new_v4()?;
                socket.bind(bind)?;
                let local = socket.local_addr()?;
                Self { local, datagrams: None, connections, arrivals, broken, reserved: Some(socket) }
            }
            Transport::Tcp => {
                let listener = TcpListener::bind(bind).await?;
                let local = listener.local_addr()?;
                tokio::spawn(accept(listener, arrivals.clone(), broken.clone()));
                Self { local, datagrams: None, connections, arrivals, broken, reserved: None }
            }
        };
        Ok((Arc::new(sockets), receiver))
    }

    /// The way to a peer: the datagram socket, or a connection that is made when there is none.
    pub(crate) async fn path_to(&self, peer: SocketAddr) -> io::Result<Path> {
        if let Some(socket) = &self.datagrams {
            return Ok(Path::Datagram(socket.clone(), peer));
        }
        if let Some(writer) = self.existing(peer) {
            return Ok(Path::Connection(writer));
        }
        let writer = serve(TcpStream::connect(peer).await?, self.arrivals.clone(), &self.broken);
        self.connections.lock().expect("no holder panics").insert(peer, writer.clone());
        Ok(Path::Connection(writer))
    }

    /// Closes every connection there is; the listener stays.
    pub(crate) fn break_connections(&self) {
        self.connections.lock().expect("no holder panics").clear();
        self.broken.notify_waiters();
    }

    fn existing(&self, peer: SocketAddr) -> Option<mpsc::Sender<Vec<u8>>> {
        let connections = self.connections.lock().expect("no holder panics");
        connections.get(&peer).filter(|writer| !writer.is_closed()).cloned()
    }
}

async fn receive_datagrams(socket: Arc<UdpSocket>, arrivals: mpsc::Sender<Arrival>) {
    let mut buffer = vec![0; 65_536];
    loop {
        // An ICMP error of an earlier send is reported here; it says nothing about the next datagram.
        let Ok((length, peer)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(message) = SipMessage::parse(&buffer[..length]) else { continue };
        if arrivals.send((message, Path::Datagram(socket.clone(), peer))).await.is_err() {
            return;
        }
    }
}

async fn accept(listener: TcpListener, arrivals: mpsc::Sender<Arrival>, broken: Arc<Notify>) {
    while let Ok((stream, _)) = listener.accept().await {
        if arrivals.is_closed() {
            return;
        }
        serve(stream, arrivals.clone(), &broken);
    }
}

/// Reads and writes one connection until either side closes it, or it is to break.
fn serve(stream: TcpStream, arrivals: mpsc::Sender<Arrival>, broken: &Arc<Notify>) -> mpsc::Sender<Vec<u8>> {
    let (writer, mut outgoing) = mpsc::channel::<Vec<u8>>(QUEUE);
    let path = Path::Connection(writer.clone());
    let (mut input, mut output) = stream.into_split();
    let writing = tokio::spawn(async move {
        while let Some(bytes) = outgoing.recv().await {
            if output.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let broken = broken.clone().notified_owned();
    tokio::spawn(async move {
        let reading = async {
            let mut buffer = Vec::new();
            while let Ok(1..) = input.read_buf(&mut buffer).await {
                while let Some(message) = SipMessage::take_from_stream(&mut buffer) {
                    if arrivals.send((message, path.clone())).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = broken => {}
        }
        // Nothing is written to a peer who has gone: the next request makes a new connection.
        writing.abort();
    });
    writer
}
