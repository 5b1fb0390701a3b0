//! Which of our addresses a peer sees when we listen on all of them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::{Mutex, PoisonError};

/// Remembers the system's answers. Routes rarely change; when the table is full it starts anew.
#[derive(Default)]
pub(super) struct LocalAddresses(Mutex<HashMap<IpAddr, IpAddr>>);

impl LocalAddresses {
    const ENTRIES: usize = 4_096;

    /// The address a peer at `remote` sees of a listener on `listen`.
    pub(super) fn towards(&self, listen: SocketAddr, remote: IpAddr) -> SocketAddr {
        if !listen.ip().is_unspecified() {
            return listen;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(address) = known.get(&remote) {
            return SocketAddr::new(*address, listen.port());
        }
        let address = route_towards(remote).unwrap_or(listen.ip());
        if known.len() >= Self::ENTRIES {
            known.clear();
        }
        known.insert(remote, address);
        SocketAddr::new(address, listen.port())
    }
}

/// Connecting a datagram socket sends nothing; the system only chooses the route.
fn route_towards(remote: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((remote, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_seen_at_one() {
        let addresses = LocalAddresses::default();
        let remote: IpAddr = Ipv4Addr::LOCALHOST.into();
        let seen = addresses.towards("0.0.0.0:5060".parse().expect("address"), remote);
        assert_eq!(seen.to_string(), "127.0.0.1:5060");
        let bound: SocketAddr = "127.0.0.9:5060".parse().expect("address");
        assert_eq!(addresses.towards(bound, remote), bound);
    }
}
