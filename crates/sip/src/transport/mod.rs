//! Sockets: datagrams, connections, TLS. It moves bytes and whole messages and knows nothing of what they mean.
//!
//! Everything here is ours and not rsipstack's, because rsipstack cuts datagrams at 8 KiB, asks no client certificate,
//! answers nothing to a message it cannot parse, and bounds neither connections nor the time they may dawdle.
//! Start reading at [`Hub`], which owns the sockets, and [`Link`], the way to one peer.

mod dns;
mod framing;
mod hub;
mod link;
mod local;
mod locate;
mod next_hop;
mod stream;
mod tls;
mod udp;

#[cfg(test)]
pub(crate) use dns::Location;
pub use dns::addresses_of;
pub(crate) use framing::{Frame, Framer};
pub(crate) use hub::Hub;
pub(crate) use link::Link;
pub(crate) use next_hop::{NextHop, hop_of, next_hop};

use bytes::Bytes;

use crate::message::Message;

/// Who takes what comes in. The calls return quickly: they never wait for the control side.
pub(crate) trait Inbound: Send + Sync + 'static {
    /// A datagram arrived.
    fn datagram(&self, bytes: &Bytes, link: &Link);
    /// A message of `size` bytes arrived on a connection.
    fn message(&self, message: Message, size: usize, link: &Link);
    /// A connection is closed.
    fn closed(&self, link: &Link);
}
