//! Leases of port pairs.
//!
//! Ports are given out in the order in which they came back, so that a port rests as long as possible before a new
//! caller gets it (RFC 3264 8.3.1; reliability.md, lesson on late packets).

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, Protocol, Socket, Type};

use crate::sys;

/// Pairs tried for one lease, when others have taken ports of our range.
const ATTEMPTS_MAX: usize = 64;
/// Receive buffer of a socket, bytes: about 300 ms of a flood of 10,000 packets a second.
const RECEIVE_BUFFER: usize = 1 << 20;

/// The even ports that are free.
#[derive(Debug)]
pub(crate) struct PortPool {
    address: IpAddr,
    dscp: Option<u8>,
    free: Mutex<VecDeque<u16>>,
}

/// Two sockets on neighbouring ports. Dropping it gives the ports back.
#[derive(Debug)]
pub(crate) struct PortLease {
    pub(crate) rtp: UdpSocket,
    pub(crate) rtcp: UdpSocket,
    /// The even port.
    pub(crate) port: u16,
    /// The sockets speak IPv6 (and perhaps IPv4 in mapped form).
    pub(crate) is_ipv6: bool,
    pool: Arc<PortPool>,
}

/// What a search for ports brought.
pub(crate) struct Found {
    pub(crate) lease: Option<PortLease>,
    /// Pairs that somebody else has taken.
    pub(crate) taken: u64,
}

impl PortPool {
    /// All pairs of the range, an even and the next odd port.
    pub(crate) fn new(address: IpAddr, ports: RangeInclusive<u16>, dscp: Option<u8>) -> Self {
        let last = *ports.end();
        let free = ports.filter(|port| port % 2 == 0 && *port != 0 && *port < last).collect();
        Self { address, dscp, free: Mutex::new(free) }
    }

    /// Leases a pair.
    pub(crate) fn lease(self: &Arc<Self>) -> Found {
        let mut taken = 0;
        for _ in 0..ATTEMPTS_MAX {
            let Some(port) = self.lock().pop_front() else { break };
            if let Ok((rtp, rtcp)) = self.open(port) {
                let (is_ipv6, pool) = (self.address.is_ipv6(), Arc::clone(self));
                return Found { lease: Some(PortLease { rtp, rtcp, port, is_ipv6, pool }), taken };
            }
            self.lock().push_back(port);
            taken += 1;
        }
        Found { lease: None, taken }
    }

    fn open(&self, port: u16) -> io::Result<(UdpSocket, UdpSocket)> {
        Ok((self.bind(port)?, self.bind(port + 1)?))
    }

    fn bind(&self, port: u16) -> io::Result<UdpSocket> {
        let address = SocketAddr::new(self.address, port);
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            socket.set_only_v6(!self.address.is_unspecified())?;
        }
        socket.bind(&address.into())?;
        socket.set_nonblocking(true)?;
        // The following are wishes: a system that refuses them still carries media.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        let _ = sys::note_arrivals(&socket);
        if let Some(dscp) = self.dscp {
            let class = u32::from(dscp & 0x3F) << 2;
            let _ = socket.set_tos_v4(class);
            if address.is_ipv6() {
                let _ = socket.set_tclass_v6(class);
            }
        }
        Ok(socket.into())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<u16>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for PortLease {
    fn drop(&mut self) {
        self.pool.lock().push_back(self.port);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn leases_are_even_distinct_and_come_back_last() {
        let pool = Arc::new(PortPool::new(Ipv4Addr::LOCALHOST.into(), 23_401..=23_408, Some(46)));
        let mut leases: Vec<_> = (0..3).map(|_| pool.lease().lease.expect("free")).collect();
        let ports: Vec<_> = leases.iter().map(|lease| lease.port).collect();
        assert_eq!(ports, [23_402, 23_404, 23_406], "23408 has no odd neighbour in the range");
        assert!(pool.lease().lease.is_none());
        assert_eq!(leases[1].rtcp.local_addr().expect("bound").port(), 23_405);
        leases.remove(1);
        leases.remove(0);
        assert_eq!(pool.lease().lease.map(|lease| lease.port), Some(23_404));
    }

    #[test]
    fn ports_of_others_are_skipped() {
        let other = UdpSocket::bind("127.0.0.1:23423").expect("free");
        let pool = Arc::new(PortPool::new(Ipv4Addr::LOCALHOST.into(), 23_420..=23_425, None));
        let first = pool.lease();
        assert_eq!((first.lease.as_ref().map(|lease| lease.port), first.taken), (Some(23_420), 0));
        let second = pool.lease();
        assert_eq!((second.lease.as_ref().map(|lease| lease.port), second.taken), (Some(23_424), 1));
        assert!(pool.lease().lease.is_none());
        drop(other);
        assert_eq!(pool.lease().lease.map(|lease| lease.port), Some(23_422));
    }
}
