//! The sockets of a worker's legs, by leg and by place.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use base::{Duration, LegId};
use mcu::{LegMap, PacketSink, Port};

use crate::counters::SharedCounters;
use crate::ports::PortLease;
use crate::sys;

/// How far two packets of a steady sender lie apart: a tick, give or take a little.
const STEADY: std::ops::RangeInclusive<Duration> = Duration::from_millis(15)..=Duration::from_millis(25);

/// A leg and its sockets.
pub(crate) struct LegPorts {
    pub(crate) leg: LegId,
    /// Place of its conference in the host.
    pub(crate) conference: usize,
    lease: PortLease,
    /// The only peer the RTP socket exchanges packets with at present; `None` = anybody.
    peer: Cell<Option<SocketAddr>>,
    /// When the last RTP packet arrived, by the system's clock.
    arrived: Cell<Duration>,
}

impl LegPorts {
    /// A leg whose sockets take packets from anybody.
    pub(crate) fn new(leg: LegId, conference: usize, lease: PortLease) -> Self {
        Self { leg, conference, lease, peer: Cell::new(None), arrived: Cell::new(Duration::ZERO) }
    }

    pub(crate) fn into_lease(self) -> PortLease {
        self.lease
    }

    pub(crate) fn socket(&self, port: Port) -> &UdpSocket {
        match port {
            Port::Rtp => &self.lease.rtp,
            Port::Rtcp => &self.lease.rtcp,
        }
    }

    /// Lets the RTP socket exchange packets with this peer alone, which spares the kernel the search for a route with
    /// each packet, or with everybody again.
    pub(crate) fn settle(&self, peer: Option<SocketAddr>) {
        if self.peer.get() == peer {
            return;
        }
        let socket = &self.lease.rtp;
        if self.peer.take().is_some()
            && let Err(error) = sys::disconnect(socket)
        {
            tracing::error!(leg = %self.leg, %error, "the socket cannot be freed from its peer");
        }
        self.peer.set(peer.filter(|&peer| socket.connect(self.reachable(peer)).is_ok()));
    }

    /// Notes when an RTP packet arrived, and answers whether it came as those of a steady sender do, one in each tick;
    /// then hardly ever another one waits behind it.
    pub(crate) fn is_steady(&self, arrived: Duration) -> bool {
        STEADY.contains(&arrived.saturating_sub(self.arrived.replace(arrived)))
    }

    fn send(&self, port: Port, to: SocketAddr, packet: &[u8]) -> io::Result<usize> {
        if port == Port::Rtp && self.peer.get().is_some() {
            if self.peer.get() == Some(to) {
                let send = || self.lease.rtp.send(packet);
                return send().or_else(|error| if sys::is_refusal(&error) { send() } else { Err(error) });
            }
            self.settle(None);
        }
        self.socket(port).send_to(packet, self.reachable(to))
    }

    /// An IPv6 socket takes IPv4 addresses in their mapped form only.
    fn reachable(&self, address: SocketAddr) -> SocketAddr {
        match address.ip() {
            IpAddr::V4(ip) if self.lease.is_ipv6 => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
            _ => address,
        }
    }
}

/// The legs of one worker.
#[derive(Default)]
pub(crate) struct Legs {
    places: LegMap<usize>,
    table: Vec<Option<LegPorts>>,
    free: Vec<usize>,
}

impl Legs {
    /// Number of places, taken or not.
    pub(crate) fn places(&self) -> usize {
        self.table.len()
    }

    /// Number of legs.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Files a leg.
    pub(crate) fn insert(&mut self, ports: LegPorts) {
        let place = self.free.pop().unwrap_or(self.table.len());
        if place == self.table.len() {
            self.table.push(None);
        }
        self.places.insert(ports.leg, place);
        self.table[place] = Some(ports);
    }

    /// Takes a leg out.
    pub(crate) fn remove(&mut self, leg: LegId) -> Option<LegPorts> {
        let place = self.places.remove(&leg)?;
        self.free.push(place);
        self.table[place].take()
    }

    /// The leg at a place.
    pub(crate) fn at(&self, place: usize) -> Option<&LegPorts> {
        self.table.get(place)?.as_ref()
    }

    /// A leg by its number.
    pub(crate) fn get(&self, leg: LegId) -> Option<&LegPorts> {
        self.at(*self.places.get(&leg)?)
    }

    /// The legs of a conference.
    pub(crate) fn of(&self, conference: usize) -> Vec<LegId> {
        let all = self.table.iter().flatten();
        all.filter(|ports| ports.conference == conference).map(|ports| ports.leg).collect()
    }
}

/// Sends what a conference hands out, each packet from its leg's socket.
pub(crate) struct Outbox<'a> {
    pub(crate) legs: &'a Legs,
    pub(crate) counters: &'a SharedCounters,
}

impl PacketSink for Outbox<'_> {
    fn send(&mut self, leg: LegId, port: Port, to: SocketAddr, packet: &[u8]) {
        let Some(ports) = self.legs.get(leg) else { return };
        // A full socket buffer or an unreachable peer costs this packet and nothing else.
        match ports.send(port, to, packet) {
            Ok(_) => self.counters.packets_sent.add(1),
            Err(_) => self.counters.packets_unsent.add(1),
        }
    }

    fn fetch_ahead(&mut self, memory: *const u8, bytes: usize) {
        sys::prefetch(memory, bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::ports::PortPool;

    /// The words that have come, each with its sender.
    fn heard(socket: &UdpSocket) -> Vec<(u8, SocketAddr)> {
        let mut packet = [0; 16];
        std::iter::from_fn(|| socket.recv_from(&mut packet).ok().map(|(_, from)| (packet[0], from))).collect()
    }

    #[test]
    fn a_settled_socket_hears_its_peer_alone_until_it_is_freed() -> io::Result<()> {
        let pool = Arc::new(PortPool::new(Ipv4Addr::LOCALHOST.into(), 23_431..=23_440, None));
        let leg = LegPorts::new(LegId(1), 0, pool.lease().lease.expect("free"));
        let ours = leg.lease.rtp.local_addr()?;
        let (one, other) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        let (one_at, other_at) = (one.local_addr()?, other.local_addr()?);
        [&one, &other].iter().try_for_each(|phone| phone.set_nonblocking(true))?;
        let speak = |word: u8| {
            one.send_to(&[word], ours).expect("loopback takes it");
            other.send_to(&[word], ours).expect("loopback takes it");
            heard(&leg.lease.rtp)
        };
        leg.settle(Some(one_at));
        assert_eq!(speak(1), [(1, one_at)]);
        leg.send(Port::Rtp, one_at, &[2])?;
        assert_eq!(heard(&one), [(2, ours)]);
        leg.settle(Some(other_at));
        assert_eq!(speak(3), [(3, other_at)]);
        leg.settle(None);
        assert_eq!(speak(4), [(4, one_at), (4, other_at)]);
        // What goes elsewhere frees it.
        leg.settle(Some(one_at));
        leg.send(Port::Rtp, other_at, &[5])?;
        assert_eq!(heard(&other), [(5, ours)], "from the same port as before");
        assert_eq!(speak(6), [(6, one_at), (6, other_at)]);
        Ok(())
    }

    #[test]
    fn a_settled_peer_that_refuses_costs_no_packet_after_it_is_back() -> io::Result<()> {
        let pool = Arc::new(PortPool::new(Ipv4Addr::LOCALHOST.into(), 23_441..=23_450, None));
        let leg = LegPorts::new(LegId(1), 0, pool.lease().lease.expect("free"));
        let phone = UdpSocket::bind("127.0.0.1:0")?;
        let at = phone.local_addr()?;
        leg.settle(Some(at));
        drop(phone);
        leg.send(Port::Rtp, at, &[1])?;
        let phone = UdpSocket::bind(at)?;
        phone.set_nonblocking(true)?;
        leg.send(Port::Rtp, at, &[2])?;
        assert_eq!(heard(&phone).len(), 1);
        Ok(())
    }

    #[test]
    fn a_steady_sender_is_known_by_its_rhythm() {
        let pool = Arc::new(PortPool::new(Ipv4Addr::LOCALHOST.into(), 23_451..=23_460, None));
        let leg = LegPorts::new(LegId(1), 0, pool.lease().lease.expect("free"));
        let steady =
            [1_000, 1_020, 1_038, 1_048, 1_068, 1_095, 1_015, 1_035].map(|at| leg.is_steady(Duration::from_millis(at)));
        assert_eq!(steady, [false, true, true, false, true, false, false, true]);
    }
}
