//! Where a request without a flow goes first (RFC 3261 8.1.2).

use std::net::SocketAddr;

use sip_api::{Flow, Request, Scheme, SipUri, Transport};

/// The next hop as a URI names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NextHop {
    /// The transport the URI asks for, if it does.
    pub transport: Option<Transport>,
    /// Host name or address, without brackets.
    pub host: String,
    /// The port, if the URI gives one: then it decides, and no records are asked for (RFC 3263 4.2).
    pub port: Option<u16>,
}

/// The first Route, else the Request-URI; `None` when neither names a host (a `tel:` URI).
pub(crate) fn next_hop(request: &Request) -> Option<NextHop> {
    match request.headers.name_addr("Route") {
        Some(Ok(route)) => hop_of(&route.uri),
        Some(Err(_)) => None,
        None => hop_of(&request.uri),
    }
}

/// Where a URI leads; `None` for a `tel:` URI.
pub(crate) fn hop_of(uri: &SipUri) -> Option<NextHop> {
    let transport = match (uri.scheme, uri.param("transport").map(str::to_ascii_lowercase).as_deref()) {
        (Scheme::Tel, _) => return None,
        (Scheme::Sips, _) | (_, Some("tls")) => Some(Transport::Tls),
        (_, Some("tcp")) => Some(Transport::Tcp),
        (_, Some("udp")) => Some(Transport::Udp),
        _ => None,
    };
    let host = uri.param("maddr").filter(|maddr| !maddr.is_empty()).unwrap_or(&uri.host);
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Some(NextHop { transport, host, port: uri.port })
}

impl NextHop {
    /// The next hop in place of a connection that is no more. Nobody listens at the port a peer connects from; his Contact,
    /// or the route he gave, say where he does (RFC 3261 12.2.1.1). Without a route an address must be that which he spoke
    /// from: behind address translation his Contact may name another host of ours.
    pub(crate) fn instead_of(mut self, lost: &Flow, routed: bool) -> Option<Self> {
        self.transport = Some(lost.transport);
        let elsewhere = self.address().is_some_and(|address| address.ip() != lost.remote.ip());
        (routed || !elsewhere).then_some(self)
    }

    /// The port to go to where no record says otherwise.
    pub(crate) fn port_or_usual(&self) -> u16 {
        self.port.unwrap_or(if self.transport == Some(Transport::Tls) { 5061 } else { 5060 })
    }

    /// The address, where the host is one.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.host.parse().ok()?, self.port_or_usual()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::Method;

    #[test]
    fn a_lost_connection_is_replaced_by_one_to_where_its_peer_listens() {
        let address = |text: &str| text.parse().expect("an address");
        let lost =
            Flow { transport: Transport::Tcp, local: address("10.0.0.9:5060"), remote: address("10.0.0.1:40312") };
        for (uri, routed, expected) in [
            ("sip:a@10.0.0.1:5070;transport=tcp", false, Some("10.0.0.1:5070")),
            ("sip:a@10.0.0.1", false, Some("10.0.0.1:5060")),
            ("sip:a@192.168.1.7:5070", false, None),
            ("sip:p@10.0.0.2;lr", true, Some("10.0.0.2:5060")),
        ] {
            let hop = hop_of(&SipUri::parse(uri).expect("valid")).and_then(|hop| hop.instead_of(&lost, routed));
            let found = hop.as_ref().map(|hop| (hop.transport, hop.address()));
            assert_eq!(found, expected.map(|text| (Some(Transport::Tcp), Some(address(text)))), "{uri}");
        }
        let named = hop_of(&SipUri::parse("sip:a@pbx.example.com").expect("valid"));
        assert!(named.and_then(|hop| hop.instead_of(&lost, false)).is_some(), "a name is the same everywhere");
    }

    #[test]
    fn the_first_route_wins_over_the_uri() {
        for (uri, route, expected) in [
            ("sip:a@10.0.0.1", None, Some((None, "10.0.0.1", 5060))),
            ("sips:a@x", None, Some((Some(Transport::Tls), "x", 5061))),
            ("sip:a@[::1]:7000;transport=TCP", None, Some((Some(Transport::Tcp), "::1", 7000))),
            ("sip:a@x;maddr=10.0.0.3", None, Some((None, "10.0.0.3", 5060))),
            ("sip:a@x", Some("<sip:10.0.0.2;transport=tls;lr>"), Some((Some(Transport::Tls), "10.0.0.2", 5061))),
            ("tel:+1", None, None),
            ("sip:a@x", Some("nonsense"), None),
        ] {
            let mut request = Request::new(Method::Bye, SipUri::parse(uri).expect("valid"));
            route.into_iter().for_each(|route| request.headers.push("Route", route));
            let found = next_hop(&request);
            let found = found.as_ref().map(|hop| (hop.transport, hop.host.as_str(), hop.port_or_usual()));
            assert_eq!(found, expected, "{uri} {route:?}");
        }
    }
}
