//! The addresses of a next hop: DNS, and the system's own names.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::{RData, RecordType};
use rand::Rng as _;
use sip_api::Transport;
use tokio::time::{Instant, timeout};

use super::locate::{Naptr, Srv, in_order, services};
use super::next_hop::NextHop;

/// How long the system may take to resolve a name.
const RESOLVE: Duration = Duration::from_secs(5);

/// How long NAPTR and SRV records may take in all; then the name's own addresses are asked for.
const SERVICES: Duration = Duration::from_secs(3);

/// How long DNS is not asked for such records after it did not answer.
const SILENT: Duration = Duration::from_secs(30);

/// Addresses tried for one request.
const TARGETS: usize = 8;

/// Where a request may go: the transport, where the name or its records decide it, and the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Location {
    pub transport: Option<Transport>,
    pub address: SocketAddr,
}

/// Finds addresses.
pub(crate) struct Locator {
    /// Without a configuration of DNS on this machine there is none.
    resolver: Option<TokioResolver>,
    silent_since: Mutex<Option<Instant>>,
    /// Names a test knows the places of.
    #[cfg(test)]
    pub(crate) known: Mutex<std::collections::HashMap<String, Vec<Location>>>,
}

impl Locator {
    /// A locator that asks the name servers of this machine.
    pub(crate) fn new() -> Self {
        let resolver = TokioResolver::builder_tokio().ok().map(|mut builder| {
            builder.options_mut().timeout = Duration::from_secs(1);
            builder.options_mut().attempts = 2;
            builder.build()
        });
        Self {
            resolver,
            silent_since: Mutex::new(None),
            #[cfg(test)]
            known: Mutex::default(),
        }
    }

    /// Where this hop may be, in the order to be tried. Numeric addresses and names with a port, or without a dot, ask for
    /// no records (RFC 3263 4.2); the system's own names, `/etc/hosts` among them, are found without any DNS.
    pub(crate) async fn locate(&self, hop: &NextHop, spoken: &[Transport]) -> Vec<Location> {
        #[cfg(test)]
        if let Some(places) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&hop.host) {
            return places.clone();
        }
        let usual = hop.port_or_usual();
        if let Some(address) = hop.address() {
            return vec![Location { transport: hop.transport, address }];
        }
        if hop.port.is_none() && hop.host.contains('.') && !self.is_silent() {
            match timeout(SERVICES, self.by_services(hop, spoken)).await {
                Ok(found) if !found.is_empty() => return found,
                Ok(_) => {}
                Err(_) => *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now()),
            }
        }
        let addresses = addresses(&hop.host, usual).await;
        addresses.into_iter().take(TARGETS).map(|address| Location { transport: hop.transport, address }).collect()
    }

    fn is_silent(&self) -> bool {
        let since = *self.silent_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < SILENT)
    }

    async fn by_services(&self, hop: &NextHop, spoken: &[Transport]) -> Vec<Location> {
        let Some(resolver) = &self.resolver else { return Vec::new() };
        let naptr = if hop.transport.is_none() { naptr(resolver, &hop.host).await } else { Vec::new() };
        let mut found = Vec::new();
        for (transport, service) in services(&hop.host, hop.transport, &naptr, spoken) {
            let records = in_order(srv(resolver, &service).await, &mut |total| rand::rng().random_range(0..=total));
            for record in records {
                let addresses = addresses(record.target.trim_end_matches('.'), record.port).await;
                let here = addresses.into_iter().map(|address| Location { transport: Some(transport), address });
                found.extend(here.take(TARGETS - found.len()));
                if found.len() == TARGETS {
                    return found;
                }
            }
        }
        found
    }
}

/// The addresses a host is reached at by this transport: where requests to it go, and where its own come from.
pub async fn addresses_of(transport: Transport, host: &str, port: Option<u16>) -> Vec<IpAddr> {
    let hop = NextHop { transport: Some(transport), host: host.trim_matches(['[', ']']).to_owned(), port };
    let found = Locator::new().locate(&hop, &[transport]).await;
    found.into_iter().map(|location| location.address.ip()).collect()
}

async fn addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    match timeout(RESOLVE, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(_)) | Err(_) => Vec::new(),
    }
}

/// A name with its dot: it is never completed with the machine's search domains.
fn absolute(name: &str) -> String {
    format!("{}.", name.trim_end_matches('.'))
}

async fn naptr(resolver: &TokioResolver, host: &str) -> Vec<Naptr> {
    let Ok(answer) = resolver.lookup(absolute(host), RecordType::NAPTR).await else { return Vec::new() };
    let records = answer.iter().filter_map(|data| match data {
        RData::NAPTR(record) => Some(Naptr {
            order: record.order(),
            preference: record.preference(),
            service: String::from_utf8_lossy(record.services()).into_owned(),
            replacement: record.replacement().to_ascii(),
        }),
        _ => None,
    });
    records.collect()
}

async fn srv(resolver: &TokioResolver, name: &str) -> Vec<Srv> {
    let Ok(answer) = resolver.lookup(absolute(name), RecordType::SRV).await else { return Vec::new() };
    let records = answer.iter().filter_map(|data| match data {
        RData::SRV(record) => Some(Srv {
            priority: record.priority(),
            weight: record.weight(),
            port: record.port(),
            target: record.target().to_ascii(),
        }),
        _ => None,
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use hickory_resolver::config::{NameServerConfigGroup, ResolverConfig};
    use hickory_resolver::name_server::TokioConnectionProvider;
    use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{NAPTR, SRV};
    use hickory_resolver::proto::rr::{Name, Record};
    use tokio::net::UdpSocket;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name of the test")
    }

    fn naptr_record(order: u16, service: &str, replacement: &str) -> RData {
        let text = |text: &str| text.as_bytes().into();
        RData::NAPTR(NAPTR::new(order, 50, text("s"), text(service), text(""), name(replacement)))
    }

    fn srv_record(priority: u16, port: u16) -> RData {
        // The system knows this host without DNS.
        RData::SRV(SRV::new(priority, 10, port, name("localhost.")))
    }

    /// What the name server of the tests knows of a name.
    fn zone(asked: &str) -> Vec<RData> {
        match asked {
            "records.example." => {
                vec![
                    naptr_record(20, "SIP+D2U", "_sip._udp.records.example."),
                    naptr_record(10, "SIP+D2T", "_sip._tcp.records.example."),
                ]
            }
            "_sip._tcp.records.example." => vec![srv_record(20, 5_072), srv_record(10, 5_071)],
            "_sip._udp.records.example." | "_sip._udp.services.example." => vec![srv_record(10, 5_073)],
            _ => Vec::new(),
        }
    }

    fn answer(query: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        let asked = query.queries().first()?.clone();
        let mut answer = Message::new();
        answer.set_id(query.id()).set_message_type(MessageType::Response).set_recursion_available(true);
        answer.add_query(asked.clone());
        let known = zone(&asked.name().to_ascii().to_ascii_lowercase());
        let known: Vec<RData> = known.into_iter().filter(|data| data.record_type() == asked.query_type()).collect();
        if known.is_empty() {
            answer.set_response_code(ResponseCode::NXDomain);
        }
        for data in known {
            answer.add_answer(Record::from_rdata(asked.name().clone(), 60, data));
        }
        answer.to_vec().ok()
    }

    /// A locator that asks a name server of our own over a real socket.
    async fn locator() -> Locator {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        tokio::spawn(async move {
            let mut buffer = [0; 2_048];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                if let Some(answer) = answer(&buffer[..length]) {
                    // A client that has gone wants no answer.
                    let _sent = socket.send_to(&answer, from).await;
                }
            }
        });
        let servers = NameServerConfigGroup::from_ips_clear(&[address.ip()], address.port(), true);
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let resolver = TokioResolver::builder_with_config(config, TokioConnectionProvider::default()).build();
        Locator { resolver: Some(resolver), ..Locator::new() }
    }

    /// Transports and ports in the order of the places; a host may have two addresses.
    async fn places(host: &str, transport: Option<Transport>) -> Vec<(Option<Transport>, u16)> {
        let hop = NextHop { transport, host: host.to_owned(), port: None };
        let found = locator().await.locate(&hop, &[Transport::Udp, Transport::Tcp]).await;
        assert!(found.iter().all(|place| place.address.ip().is_loopback()), "{found:?}");
        let mut places: Vec<_> = found.iter().map(|place| (place.transport, place.address.port())).collect();
        places.dedup();
        places
    }

    #[tokio::test]
    async fn a_name_server_says_which_transports_and_which_hosts_in_which_order() {
        let (tcp, udp) = (Some(Transport::Tcp), Some(Transport::Udp));
        assert_eq!(places("records.example", None).await, [(tcp, 5_071), (tcp, 5_072), (udp, 5_073)]);
        assert_eq!(places("records.example", udp).await, [(udp, 5_073)], "the URI asks for a transport");
        assert_eq!(places("services.example", None).await, [(udp, 5_073)], "without NAPTR records our own order");
    }

    #[tokio::test]
    async fn a_name_without_such_records_is_looked_up_itself() {
        assert_eq!(places("nothing.invalid", None).await, []);
    }
}
