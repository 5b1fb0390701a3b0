//! The sockets of a worker's legs, by leg and by place.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use base::LegId;
use mcu::{LegMap, PacketSink, Port};

use crate::counters::SharedCounters;
use crate::ports::PortLease;

/// A leg and its sockets.
pub(crate) struct LegPorts {
    pub(crate) leg: LegId,
    /// Place of its conference in the host.
    pub(crate) conference: usize,
    pub(crate) lease: PortLease,
}

impl LegPorts {
    pub(crate) fn socket(&self, port: Port) -> &UdpSocket {
        match port {
            Port::Rtp => &self.lease.rtp,
            Port::Rtcp => &self.lease.rtcp,
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
        let to = if ports.lease.is_ipv6 { as_ipv6(to) } else { to };
        // A full socket buffer or an unreachable peer costs this packet and nothing else.
        match ports.socket(port).send_to(packet, to) {
            Ok(_) => self.counters.packets_sent.add(1),
            Err(_) => self.counters.packets_unsent.add(1),
        }
    }
}

/// An IPv6 socket takes IPv4 addresses in their mapped form only.
fn as_ipv6(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
