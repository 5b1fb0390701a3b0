//! Trunks: which carry a number, and whether the next may be tried.

use std::fmt;

/// Transport towards a trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrunkTransport {
    /// Datagrams.
    Udp,
    /// A stream in the clear.
    Tcp,
    /// A stream under TLS.
    Tls,
}

/// Where a trunk is: `udp:HOST:PORT`, `tcp:HOST:PORT` or `tls:HOST:PORT`; an IPv6 address stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrunkTarget {
    /// The transport.
    pub transport: TrunkTransport,
    /// Host name or address; IPv6 in brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Why a text is not a trunk target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trunk target is udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT")]
pub struct InvalidTarget;

impl TrunkTarget {
    /// Reads a target.
    pub fn parse(text: &str) -> Result<Self, InvalidTarget> {
        let (transport, rest) = text.split_once(':').ok_or(InvalidTarget)?;
        let transport = match transport {
            "udp" => TrunkTransport::Udp,
            "tcp" => TrunkTransport::Tcp,
            "tls" => TrunkTransport::Tls,
            _ => return Err(InvalidTarget),
        };
        let (host, port) = rest.rsplit_once(':').ok_or(InvalidTarget)?;
        let port: u16 = port.parse().map_err(|_| InvalidTarget)?;
        let valid = if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if !valid || port == 0 {
            return Err(InvalidTarget);
        }
        Ok(Self { transport, host: host.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for TrunkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            TrunkTransport::Udp => "udp",
            TrunkTransport::Tcp => "tcp",
            TrunkTransport::Tls => "tls",
        };
        write!(f, "{transport}:{}:{}", self.host, self.port)
    }
}

/// A way into the telephone network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its name, for logs and call detail records.
    pub name: String,
    /// Where it is.
    pub target: TrunkTarget,
    /// Prefixes it carries, `+` first; empty = every number.
    pub allow: Vec<String>,
    /// Prefixes it refuses, `+` first; of an allowed and a denied prefix the longer one decides, denied wins a tie.
    pub deny: Vec<String>,
}

/// A trunk that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkChoice {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub target: TrunkTarget,
}

/// How an attempt on a trunk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// A final response that is not a success.
    Response {
        /// Its status, 300 to 699.
        status: u16,
    },
    /// No response at all, or nothing provisional in time.
    Timeout,
    /// The request could not be sent.
    TransportFailed,
}

/// Whether the next trunk is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// Try the next trunk.
    TryNext,
    /// Give up; the outcome is the caller's.
    Stop,
}
