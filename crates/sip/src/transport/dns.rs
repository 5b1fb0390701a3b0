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
