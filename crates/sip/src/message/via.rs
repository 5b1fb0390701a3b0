//! One Via value: which way a response goes (RFC 3261 18.2.2, 20.42, RFC 3581).

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What begins every branch that identifies a transaction by itself (RFC 3261 8.1.1.7).
pub(crate) const BRANCH_COOKIE: &str = "z9hG4bK";

/// A Via value, blanks resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Via {
    /// The transport, as it came (`UDP`, `TCP`, `UNKNOWN` ...).
    pub transport: String,
    /// Host of sent-by; an IPv6 address in brackets.
    pub host: String,
    /// Port of sent-by.
    pub port: Option<u16>,
    /// Parameters in order; names in lower case.
    pub params: Vec<(String, Option<String>)>,
}

impl Via {
    /// Reads one value; `None` when it breaks the grammar, has an empty branch or a parameter twice.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (sent, params) = text.split_once(';').map_or((text, None), |(sent, params)| (sent, Some(params)));
        let mut protocol = sent.splitn(3, '/').map(str::trim);
        let (name, version, rest) = (protocol.next()?, protocol.next()?, protocol.next()?);
        if !name.eq_ignore_ascii_case("SIP") || version != "2.0" {
            return None;
        }
        let (transport, sent_by) = rest.split_once([' ', '\t'])?;
        let (host, port) = split_sent_by(sent_by)?;
        let mut via = Self { transport: transport.to_owned(), host, port, params: Vec::new() };
        for param in params.into_iter().flat_map(|params| params.split(';')) {
            via.push_param(param)?;
        }
        (via.branch() != Some("") && via.branch() != Some(BRANCH_COOKIE)).then_some(via)
    }

    /// The branch, if there is one (RFC 2543 had none).
    pub(crate) fn branch(&self) -> Option<&str> {
        self.param("branch").map(|value| value.unwrap_or(""))
    }

    /// Writes down where the request really came from (RFC 3261 18.2.1, RFC 3581 4).
    pub(crate) fn note_source(&mut self, source: SocketAddr) {
        self.params.retain(|(name, _)| name != "received");
        let rport = self.params.iter_mut().find(|(name, _)| name == "rport");
        let asked = rport.is_some();
        if let Some((_, value)) = rport {
            *value = Some(source.port().to_string());
        }
        if asked || self.address() != Some(source.ip()) {
            self.params.push(("received".to_owned(), Some(source.ip().to_string())));
        }
    }

    /// Where a response over UDP goes.
    ///
    /// Besides a client that asks by `rport`, one whose Via names an address it does not have is answered at the port
    /// it sent from: it is behind a NAT, and its own port would reach nobody.
    pub(crate) fn reply_address(&self, source: SocketAddr) -> SocketAddr {
        if self.param("rport").is_some() || self.address() != Some(source.ip()) {
            return source;
        }
        SocketAddr::new(source.ip(), self.port.unwrap_or(5060))
    }

    fn address(&self) -> Option<IpAddr> {
        self.host.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    fn param(&self, name: &str) -> Option<Option<&str>> {
        self.params.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_deref())
    }

    fn push_param(&mut self, param: &str) -> Option<()> {
        let (name, value) = match param.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().to_owned())),
            None => (param.trim(), None),
        };
        let name = name.to_ascii_lowercase();
        let duplicate = self.params.iter().any(|(other, _)| *other == name);
        let broken = value.as_deref().is_some_and(|value| value.contains([' ', '\t']) && !value.starts_with('"'));
        if name.is_empty() || duplicate || broken {
            return None;
        }
        self.params.push((name, value));
        Some(())
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        for (name, value) in &self.params {
            match value {
                Some(value) => write!(f, ";{name}={value}")?,
                None => write!(f, ";{name}")?,
            }
        }
        Ok(())
    }
}

fn split_sent_by(text: &str) -> Option<(String, Option<u16>)> {
    let text = text.trim();
    let (host, port) = if text.starts_with('[') {
        let close = text.find(']')?;
        text[1..close].parse::<std::net::Ipv6Addr>().ok()?;
        let (host, rest) = text.split_at(close + 1);
        let rest = rest.trim();
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        text.split_once(':').map_or((text, None), |(host, port)| (host.trim(), Some(port)))
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(valid) {
        return None;
    }
    let port = match port.map(str::trim) {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blanks_are_resolved() {
        let via = Via::parse("SIP  /    2.0   / UDP  192.168.255.111 : 5070  ; branch= z9hG4bK30239").expect("valid");
        assert_eq!(via.to_string(), "SIP/2.0/UDP 192.168.255.111:5070;branch=z9hG4bK30239");
    }

    #[test]
    fn broken_values_are_refused() {
        for text in [
            "",
            "SIP/2.0/UDP",
            "SIP/7.0/UDP a",
            "SIP/2.0/UDP 192.0.2.15;;",
            "SIP/2.0/UDP a;branch=z9hG4bK",
            "SIP/2.0/UDP a;branch=",
            "SIP/2.0/UDP a;branch=z9hG4bK1;branch=z9hG4bK2",
            "SIP/2.0/UDP a:99999",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP [::z]",
        ] {
            assert_eq!(Via::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn responses_go_where_the_request_came_from() {
        let source: SocketAddr = "127.0.0.1:7000".parse().expect("address");
        for (text, expected) in [
            ("SIP/2.0/UDP 127.0.0.1:6000;branch=z9hG4bK1", "127.0.0.1:6000"),
            ("SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1", "127.0.0.1:5060"),
            ("SIP/2.0/UDP 127.0.0.1:6000;rport;branch=z9hG4bK1", "127.0.0.1:7000"),
            ("SIP/2.0/UDP 10.0.0.1:6000;branch=z9hG4bK1", "127.0.0.1:7000"),
            ("SIP/2.0/UDP phone.example:6000;branch=z9hG4bK1", "127.0.0.1:7000"),
        ] {
            let via = Via::parse(text).expect("valid");
            assert_eq!(via.reply_address(source).to_string(), expected, "{text}");
        }
    }

    #[test]
    fn the_source_is_written_down() {
        let source: SocketAddr = "127.0.0.1:7000".parse().expect("address");
        let mut via = Via::parse("SIP/2.0/UDP 10.0.0.1;rport;received=1.1.1.1;branch=z9hG4bK1").expect("valid");
        via.note_source(source);
        assert_eq!(via.to_string(), "SIP/2.0/UDP 10.0.0.1;rport=7000;branch=z9hG4bK1;received=127.0.0.1");
        let mut via = Via::parse("SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1").expect("valid");
        via.note_source(source);
        assert_eq!(via.to_string(), "SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK1");
    }

    proptest! {
        #[test]
        fn what_we_print_we_read_again(text in "SIP */ *2.0 */[A-Z]{1,5} [a-z0-9.\\[\\]:]{1,20}(;[a-z]{1,6}(=[a-z0-9]{0,8})?){0,4}") {
            if let Some(via) = Via::parse(&text) {
                prop_assert_eq!(Via::parse(&via.to_string()), Some(via));
            }
        }
    }
}
