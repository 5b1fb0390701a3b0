//! A running edge and phones made of raw sockets.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use md5::Md5;
use sha2::{Digest, Sha256};
use sip::{Credentials, Edge, Ha1, ListenAddress, Registrations, SipConfig, StartError, Timers, start};
use sip_api::{Flow, Headers, SipCommand, SipEvent, Transport};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const REALM: &str = "example.com";

/// ann's password is "secret", bob's is "hidden".
struct Accounts;

impl Credentials for Accounts {
    fn ha1(&self, user: &str, realm: &str) -> Option<Ha1> {
        let password = match user {
            "ann" => "secret",
            "bob" => "hidden",
            _ => return None,
        };
        Some(Ha1::of_password(user, realm, password))
    }
}

pub(crate) struct World {
    pub(crate) edge: Edge,
    events: mpsc::Receiver<SipEvent>,
}

/// Listens on UDP and TCP at free ports, with base timers ten times faster than usual.
pub(crate) fn config() -> SipConfig {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("address");
    let listen = vec![ListenAddress::new(Transport::Udp, any), ListenAddress::new(Transport::Tcp, any)];
    let mut config = SipConfig::new(REALM, listen);
    let ms = Duration::from_millis;
    config.timers = Timers { t1: ms(50), t2: ms(400), t4: ms(500) };
    config
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(config(), 1_000).await
    }

    pub(crate) async fn with(config: SipConfig, room: usize) -> Self {
        Self::after(config, room, Registrations::default()).await
    }

    /// A world that goes on from an earlier one.
    pub(crate) async fn after(config: SipConfig, room: usize, registrations: Registrations) -> Self {
        let (sender, events) = mpsc::channel(room);
        let edge = start(config, Arc::new(Accounts), registrations, sender).await;
        Self { edge: edge.expect("started"), events }
    }

    pub(crate) async fn try_with(config: SipConfig) -> Result<Edge, StartError> {
        start(config, Arc::new(Accounts), Registrations::default(), mpsc::channel(1).0).await
    }

    pub(crate) fn address(&self, transport: Transport) -> SocketAddr {
        let addresses = self.edge.local_addresses();
        addresses.iter().find(|listen| listen.transport == transport).expect("listening").address
    }

    pub(crate) async fn event(&mut self) -> SipEvent {
        timeout(DEADLINE, self.events.recv()).await.expect("an event in time").expect("running")
    }

    /// The events that are there without waiting.
    pub(crate) fn pending(&mut self) -> Vec<SipEvent> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    pub(crate) fn handle(&self, command: SipCommand) {
        self.edge.handle(command);
    }

    pub(crate) async fn udp(&self) -> Phone<UdpSocket> {
        self.udp_at(self.address(Transport::Udp).ip()).await
    }

    /// A phone at another address of this machine.
    pub(crate) async fn udp_at(&self, address: IpAddr) -> Phone<UdpSocket> {
        let socket = UdpSocket::bind(SocketAddr::new(address, 0)).await.expect("socket");
        socket.connect(self.address(Transport::Udp)).await.expect("connected");
        Phone { local: socket.local_addr().expect("address"), wire: socket, buffer: Vec::new(), seen: VecDeque::new() }
    }

    pub(crate) async fn tcp(&self) -> Phone<TcpStream> {
        let stream = TcpStream::connect(self.address(Transport::Tcp)).await.expect("connected");
        Phone::on(stream.local_addr().expect("address"), stream)
    }

    pub(crate) fn flow(&self, transport: Transport, remote: SocketAddr) -> Flow {
        Flow { transport, local: self.address(transport), remote }
    }
}

/// A raw socket that sends and expects whole messages.
pub(crate) struct Phone<W> {
    pub(crate) local: SocketAddr,
    pub(crate) wire: W,
    buffer: Vec<u8>,
    seen: VecDeque<Seen>,
}

/// A message the phone received.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) first: String,
    pub(crate) headers: Headers,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn status(&self) -> u16 {
        let code = self.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("not a response: {}", self.first))
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole message");
        let mut lines = head.split("\r\n");
        let first = lines.next().expect("a first line").to_owned();
        let mut headers = Headers::new();
        for line in lines {
            let (name, value) = line.split_once(':').expect("a header");
            headers.push(name, value.trim());
        }
        Self { first, headers, body: body.to_owned() }
    }
}

impl Phone<UdpSocket> {
    pub(crate) async fn send(&mut self, text: &str) {
        self.wire.send(text.as_bytes()).await.expect("sent");
    }

    pub(crate) async fn receive(&mut self) -> Seen {
        let mut buffer = vec![0; 65_535];
        let length =
            timeout(DEADLINE, self.wire.recv(&mut buffer)).await.expect("a message in time").expect("received");
        Seen::parse(std::str::from_utf8(&buffer[..length]).expect("text"))
    }

    /// Sends a request again and again, as a phone does, until it is answered.
    pub(crate) async fn insist(&mut self, text: &str, status: u16) -> Seen {
        loop {
            self.send(text).await;
            if let Ok(seen) = timeout(Duration::from_millis(500), self.expect(status)).await {
                return seen;
            }
        }
    }

    /// The next message other than a repetition of one seen before.
    pub(crate) async fn expect(&mut self, status: u16) -> Seen {
        loop {
            let seen = self.receive().await;
            if seen.first.starts_with("SIP/2.0") && seen.status() == status {
                self.seen.push_back(seen.clone());
                return seen;
            }
            let again = self.seen.iter().any(|before| before.first == seen.first);
            assert!(again || seen.first.starts_with("SIP/2.0 100"), "expected {status}, got {seen:?}");
        }
    }

    /// The next request with this method; repetitions of others are passed over.
    pub(crate) async fn expect_request(&mut self, method: &str) -> Seen {
        loop {
            let seen = self.receive().await;
            if seen.first.starts_with(&format!("{method} ")) {
                self.seen.push_back(seen.clone());
                return seen;
            }
            let again = self.seen.iter().any(|before| before.first == seen.first);
            assert!(again, "expected {method}, got {seen:?}");
        }
    }
}

impl<W: AsyncRead + AsyncWrite + Unpin> Phone<W> {
    pub(crate) fn on(local: SocketAddr, wire: W) -> Self {
        Self { local, wire, buffer: Vec::new(), seen: VecDeque::new() }
    }

    pub(crate) async fn send_all(&mut self, text: &str) {
        self.wire.write_all(text.as_bytes()).await.expect("sent");
        self.wire.flush().await.expect("sent");
    }

    /// The next message; `None` when the connection is closed.
    pub(crate) async fn next(&mut self) -> Option<Seen> {
        loop {
            if let Some(end) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&self.buffer[..end + 4]).into_owned();
                let length: usize = Seen::parse(&head).get("Content-Length").parse().expect("a length");
                if self.buffer.len() >= end + 4 + length {
                    let bytes: Vec<u8> = self.buffer.drain(..end + 4 + length).collect();
                    return Some(Seen::parse(&String::from_utf8_lossy(&bytes)));
                }
            }
            let mut bytes = [0; 4_096];
            let read = timeout(DEADLINE, self.wire.read(&mut bytes)).await.expect("something in time");
            match read {
                Ok(0) | Err(_) => return None,
                Ok(length) => self.buffer.extend_from_slice(&bytes[..length]),
            }
        }
    }

    pub(crate) async fn expect_next(&mut self, status: u16) -> Seen {
        loop {
            let seen = self.next().await.expect("a message");
            match seen.status() {
                found if found == status => return seen,
                100 => {}
                _ => panic!("expected {status}, got {seen:?}"),
            }
        }
    }
}

/// A request from ann to bob; `extra` are whole header lines.
pub(crate) fn request(start: &str, via: &str, cseq: u32, extra: &str, body: &str) -> String {
    let method = start.split(' ').next().expect("a method");
    format!(
        "{start} SIP/2.0\r\nVia: SIP/2.0/{via}\r\nMax-Forwards: 70\r\nFrom: \"Ann\" <sip:ann@{REALM}>;tag=a1\r\n\
         Call-ID: call-{REALM}\r\nCSeq: {cseq} {method}\r\n{extra}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// The `Authorization` line that answers a challenge.
pub(crate) fn authorization(
    challenge: &str,
    user: &str,
    password: &str,
    method: &str,
    uri: &str,
    count: u32,
) -> String {
    let part = |name: &str| {
        let start = challenge.find(&format!("{name}=")).expect("a parameter") + name.len() + 1;
        challenge[start..].split(',').next().expect("a value").trim().trim_matches('"').to_owned()
    };
    let (realm, nonce, algorithm) = (part("realm"), part("nonce"), part("algorithm"));
    let ha1 = Ha1::of_password(user, &realm, password);
    let hash = |text: String| match algorithm.as_str() {
        "MD5" => hex(&Md5::digest(text)),
        _ => hex(&Sha256::digest(text)),
    };
    let ha1 = if algorithm == "MD5" { ha1.md5 } else { ha1.sha256 };
    let ha2 = hash(format!("{method}:{uri}"));
    let response = hash(format!("{ha1}:{nonce}:{count:08x}:cn:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm={algorithm}, cnonce=\"cn\", qop=auth, nc={count:08x}\r\n"
    )
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
