//! The receive loop of one UDP socket.

use std::net::{SocketAddr, UdpSocket as StdSocket};
use std::sync::Arc;

use bytes::Bytes;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::net::UdpSocket;

use super::hub::Hub;
use super::{Inbound, Link};

/// Room for bursts while the process does something else; the system may give less.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// The longest datagram there is. rsipstack's own loop would cut at 8 KiB.
const DATAGRAM: usize = 65_535;

/// Opens a socket.
pub(super) fn bind(address: SocketAddr, dscp: Option<u8>) -> std::io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    // The system caps the size silently, and an operator who forbids it has his reasons.
    let _capped = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    mark(&SockRef::from(&socket), address, dscp);
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(StdSocket::from(socket))
}

/// Marks packets (requirement C38). A system that does not allow it still carries them.
pub(super) fn mark(socket: &SockRef<'_>, address: SocketAddr, dscp: Option<u8>) {
    let Some(dscp) = dscp else { return };
    let class = u32::from(dscp) << 2;
    let marked = if address.is_ipv4() { socket.set_tos_v4(class) } else { socket.set_tclass_v6(class) };
    if let Err(error) = marked {
        tracing::warn!(%error, dscp, "packets are not marked");
    }
}

/// Receives until the hub stops.
pub(super) async fn receive(hub: Arc<Hub>, socket: Arc<UdpSocket>, local: SocketAddr, inbound: Arc<dyn Inbound>) {
    let mut buffer = vec![0; DATAGRAM];
    loop {
        let received = tokio::select! {
            received = socket.recv_from(&mut buffer) => received,
            () = hub.stopped() => return,
        };
        // An error here is an ICMP answer to something sent earlier; the next datagram is none the worse for it.
        let Ok((length, remote)) = received else { continue };
        let link: Link = hub.datagram_link(&socket, local, remote);
        inbound.datagram(&Bytes::copy_from_slice(&buffer[..length]), &link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn packets_carry_the_class_of_the_configuration() {
        for (address, dscp) in [("127.0.0.1:0", Some(24)), ("127.0.0.1:0", None), ("[::1]:0", Some(40))] {
            let address: SocketAddr = address.parse().expect("an address");
            let socket = bind(address, dscp).expect("a socket");
            let reference = SockRef::from(&socket);
            let class = if address.is_ipv4() { reference.tos_v4() } else { reference.tclass_v6() };
            assert_eq!(class.expect("an option"), dscp.map_or(0, |dscp| u32::from(dscp) << 2), "{address} {dscp:?}");
        }
    }
}
