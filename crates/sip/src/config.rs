//! What the operator sets, and what may be wrong with it at start.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base::Limits;
use sip_api::Transport;

/// One address the edge listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// The transport.
    pub transport: Transport,
    /// The address; port 0 takes a free one (see [`Edge::local_addresses`](crate::Edge::local_addresses)).
    pub address: SocketAddr,
}

impl ListenAddress {
    /// An address on a transport.
    pub const fn new(transport: Transport, address: SocketAddr) -> Self {
        Self { transport, address }
    }
}

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.transport.as_str(), self.address)
    }
}

/// The certificate authorities a peer's certificate is checked against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TrustAnchors {
    /// The machine's bundle (`SSL_CERT_FILE`, else the places where distributions keep it).
    #[default]
    System,
    /// A PEM file of our own.
    File(PathBuf),
}

/// TLS for listeners and for the connections we open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsConfig {
    /// Our certificate and the chain above it, PEM.
    pub certificate: PathBuf,
    /// The private key of the first certificate, PEM.
    pub key: PathBuf,
    /// Authorities of client certificates, PEM. When set, a client may show a certificate, and one that shows a bad
    /// one is refused; who shows none proves himself by digest.
    pub client_ca: Option<PathBuf>,
    /// A client that shows no certificate is refused as well. Needs `client_ca`.
    pub client_required: bool,
    /// Authorities of the servers we connect to.
    pub server_ca: TrustAnchors,
}

/// A token bucket: how many requests may come in a burst, and how many a second after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: u32,
    /// Tokens of a full bucket.
    pub burst: u32,
}

/// The base timers of RFC 3261 17.1.1.1. Only tests have a reason to change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Estimate of the round trip; 500 ms.
    pub t1: Duration,
    /// Longest interval between retransmissions of non-INVITE requests and INVITE responses; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

/// How long registrations live (RFC 3261 10.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegistrationTimes {
    /// A shorter wish is answered 423.
    pub min: Duration,
    /// A longer wish is cut to this.
    pub max: Duration,
    /// Taken when the device has no wish.
    pub default: Duration,
}

impl Default for RegistrationTimes {
    fn default() -> Self {
        Self { min: Duration::from_secs(60), max: Duration::from_secs(3600), default: Duration::from_secs(600) }
    }
}

/// The configuration of the edge.
#[derive(Clone, Debug)]
pub struct SipConfig {
    /// Where to listen. At least one; a TLS address needs `tls`.
    pub listen: Vec<ListenAddress>,
    /// TLS; without it no TLS is spoken in either direction.
    pub tls: Option<TlsConfig>,
    /// The domain of our users and the digest realm. An authenticated user is `sip:NAME@realm`.
    pub realm: String,
    /// Other host names that mean `realm`, in requests and in addresses of record. Our own IP addresses always do.
    pub domains: Vec<String>,
    /// The host in Via and Contact, where peers cannot reach the address we listen on (behind address translation). An
    /// IP address, IPv6 without brackets, is told only to peers of its own family; a name to all. The port stays that
    /// of the listener.
    pub advertised: Option<String>,
    /// The value of `Server` and `User-Agent`.
    pub server_name: String,
    /// DSCP of signalling packets, 0 to 63 (requirement C38: 24 is usual, 40 was the old choice for TLS).
    pub dscp: Option<u8>,
    /// Bounds of tables and messages.
    pub limits: Limits,
    /// Peers whose asserted identities and internal headers are believed, and who are not rate-limited: trunks,
    /// session border controllers, our other nodes.
    pub trusted_peers: Vec<IpAddr>,
    /// DNS names in a verified client certificate that make a connection trusted like `trusted_peers`.
    pub trusted_names: Vec<String>,
    /// Requests without proven identity that one source address may send.
    pub unauthenticated_rate: Rate,
    /// Open connections of one source address, which may be that of a whole office; a further one is closed at once
    /// (reliability.md A5). Those of `trusted_peers` are not counted.
    pub connections_per_source: usize,
    /// Open connections in all; a further one is closed at once.
    pub connections: usize,
    /// A connection must deliver each message within this time of its first byte, the first one within this time of
    /// being accepted (reliability.md A5).
    pub message_deadline: Duration,
    /// A connection that stays silent for this long is closed. Phones send keep-alives every two minutes at most.
    pub stream_idle: Duration,
    /// Wrong passwords for one user from one source address in ten minutes; after that every further attempt is
    /// refused unchecked (reliability.md 29).
    pub guesses: u32,
    /// How long registrations live.
    pub registration: RegistrationTimes,
    /// The base timers of transactions.
    pub timers: Timers,
}

impl SipConfig {
    /// A configuration with the usual bounds that listens on `listen` and whose users live in `realm`.
    pub fn new(realm: &str, listen: Vec<ListenAddress>) -> Self {
        Self {
            listen,
            tls: None,
            realm: realm.to_ascii_lowercase(),
            domains: Vec::new(),
            advertised: None,
            server_name: "Convoke".to_owned(),
            dscp: None,
            limits: Limits::default(),
            trusted_peers: Vec::new(),
            trusted_names: Vec::new(),
            unauthenticated_rate: Rate { per_second: 4_000, burst: 8_000 },
            connections_per_source: 1_000,
            connections: 20_000,
            message_deadline: Duration::from_secs(30),
            stream_idle: Duration::from_secs(900),
            guesses: 10,
            registration: RegistrationTimes::default(),
            timers: Timers::default(),
        }
    }
}

/// Why the edge did not start. Each text names the setting, its value and what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nothing to listen on.
    #[error("sip.listen is empty: give at least one address, such as \"udp:127.0.0.1:5060\"")]
    NoListenAddress,
    /// A TLS address without TLS settings.
    #[error(
        "sip.listen has {listen}, but sip.tls is not set: give sip.tls.certificate and sip.tls.key, or remove the address"
    )]
    TlsNotConfigured {
        /// The address.
        listen: ListenAddress,
    },
    /// A socket could not be opened.
    #[error("sip.listen: cannot listen on {listen}: {error}; free the port, or choose an address of this machine")]
    Bind {
        /// The address.
        listen: ListenAddress,
        /// What the system said.
        error: std::io::Error,
    },
    /// A certificate or key could not be used.
    #[error("{setting} = {path:?}: {reason}; give a readable PEM file")]
    Tls {
        /// The configuration key.
        setting: &'static str,
        /// Its value.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The DSCP value is out of range.
    #[error("sip.dscp = {value}: it must be 0 to 63; 24 (CS3) is usual for signalling")]
    Dscp {
        /// The value.
        value: u8,
    },
    /// The realm cannot stand in a header or a URI.
    #[error("domain = {value:?}: it must be a host name such as \"example.com\"")]
    Realm {
        /// The value.
        value: String,
    },
}

impl SipConfig {
    /// Refuses what can be seen to be wrong without opening anything.
    pub(crate) fn check(&self) -> Result<(), StartError> {
        if self.listen.is_empty() {
            return Err(StartError::NoListenAddress);
        }
        if let Some(listen) = self.listen.iter().find(|listen| listen.transport == Transport::Tls)
            && self.tls.is_none()
        {
            return Err(StartError::TlsNotConfigured { listen: *listen });
        }
        if let Some(value) = self.dscp.filter(|value| *value > 63) {
            return Err(StartError::Dscp { value });
        }
        let host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
        if self.realm.is_empty() || !self.realm.bytes().all(host) {
            return Err(StartError::Realm { value: self.realm.clone() });
        }
        Ok(())
    }
}
