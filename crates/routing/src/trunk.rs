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

/// Where a trunk is: `udp:HOST:PORT`, `tcp:HOST:PORT` or `tls:HOST:PORT`; an IPv6 address stands in brackets. Without a
/// port, the records of the host's name say where its servers are (RFC 3263).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TrunkTarget {
    /// The transport.
    pub transport: TrunkTransport,
    /// Host name or address; IPv6 in brackets.
    pub host: String,
    /// The port, if it is given.
    pub port: Option<u16>,
}

/// Why a text is not a trunk target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trunk target is udp:HOST:PORT, tcp:HOST:PORT or tls:HOST:PORT, or the same without a port")]
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
        let (host, port) = match rest.rsplit_once(':').filter(|_| !rest.ends_with(']')) {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| InvalidTarget)?)),
            None => (rest, None),
        };
        let valid = if let Some(inner) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if !valid || port == Some(0) {
            return Err(InvalidTarget);
        }
        Ok(Self { transport, host: host.to_ascii_lowercase(), port })
    }

    /// The host as an IP address, if it is one.
    pub fn address(&self) -> Option<std::net::IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }
}

impl fmt::Display for TrunkTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            TrunkTransport::Udp => "udp",
            TrunkTransport::Tcp => "tcp",
            TrunkTransport::Tls => "tls",
        };
        write!(f, "{transport}:{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
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

/// Whether the next trunk may be tried after an attempt (routing.md 5.3). `early_media`: a provisional response with
/// media had come.
///
/// The next one is tried when this trunk failed (no answer at all, 408, 5xx), never when somebody was reached and said
/// no (486, 404, 6xx ...), and never after early media: the caller has heard the far end, and a second attempt would
/// ring it twice.
pub fn failover(outcome: AttemptOutcome, early_media: bool) -> Failover {
    let trunk_failed = match outcome {
        AttemptOutcome::Timeout | AttemptOutcome::TransportFailed => true,
        AttemptOutcome::Response { status } => matches!(status, 408 | 500..=599),
    };
    if trunk_failed && !early_media { Failover::TryNext } else { Failover::Stop }
}

/// The trunks that carry a number, the most special allowed prefix first, then as configured; with a sentence for each
/// trunk that was passed over.
pub(crate) fn choose_trunks(trunks: &[Trunk], number: &str) -> (Vec<TrunkChoice>, Vec<String>) {
    let mut sentences = Vec::new();
    let mut carrying: Vec<(usize, &Trunk)> = Vec::new();
    for trunk in trunks {
        match trunk.carries(number) {
            Ok(prefix) => carrying.push((prefix, trunk)),
            Err(why) => sentences.push(format!("Trunk {} is passed over: {why}.", trunk.name)),
        }
    }
    // The sort is stable, so that equal prefixes stay in the order of the configuration.
    carrying.sort_by_key(|(prefix, _)| std::cmp::Reverse(*prefix));
    let chosen = carrying.into_iter().take(crate::TRUNK_ATTEMPTS_MAX);
    let choice = |(_, trunk): (usize, &Trunk)| TrunkChoice { name: trunk.name.clone(), target: trunk.target.clone() };
    (chosen.map(choice).collect(), sentences)
}

impl Trunk {
    /// The length of the prefix by which it carries a number, or why it does not.
    fn carries(&self, number: &str) -> Result<usize, &'static str> {
        let longest = |prefixes: &[String]| {
            prefixes.iter().filter(|prefix| number.starts_with(prefix.as_str())).map(String::len).max()
        };
        let allowed = if self.allow.is_empty() { Some(0) } else { longest(&self.allow) };
        match (allowed, longest(&self.deny)) {
            (None, _) => Err("no prefix on its allow list fits"),
            (Some(allowed), Some(denied)) if denied >= allowed => Err("its deny list excludes the number"),
            (Some(allowed), _) => Ok(allowed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_and_printed() {
        for text in
            ["udp:gw.example.com:5060", "tcp:192.0.2.1:5060", "tls:[2001:db8::1]:5061", "udp:host", "tls:[2001:db8::1]"]
        {
            assert_eq!(TrunkTarget::parse(text).expect(text).to_string(), text);
        }
        for text in [
            "",
            "udp",
            "udp:",
            "udp:host:0",
            "udp:host:",
            "udp::5060",
            "udp:host:99999",
            "sctp:h:1",
            "udp:[::g]:1",
            "udp:a b:1",
        ] {
            assert_eq!(TrunkTarget::parse(text), Err(InvalidTarget), "{text}");
        }
    }

    #[test]
    fn the_next_trunk_is_tried_only_when_this_one_failed() {
        use AttemptOutcome::{Response, Timeout, TransportFailed};
        for (outcome, wanted) in [
            (Timeout, Failover::TryNext),
            (TransportFailed, Failover::TryNext),
            (Response { status: 408 }, Failover::TryNext),
            (Response { status: 500 }, Failover::TryNext),
            (Response { status: 503 }, Failover::TryNext),
            (Response { status: 504 }, Failover::TryNext),
            (Response { status: 302 }, Failover::Stop),
            (Response { status: 403 }, Failover::Stop),
            (Response { status: 404 }, Failover::Stop),
            (Response { status: 480 }, Failover::Stop),
            (Response { status: 486 }, Failover::Stop),
            (Response { status: 600 }, Failover::Stop),
            (Response { status: 603 }, Failover::Stop),
        ] {
            assert_eq!(failover(outcome, false), wanted, "{outcome:?}");
            assert_eq!(failover(outcome, true), Failover::Stop, "{outcome:?} after early media");
        }
    }
}
