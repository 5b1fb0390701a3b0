//! A bad network between callers and server: one thread that carries datagrams both ways and damages them on purpose.
//!
//! Every pair has two sockets: the front faces the caller, the back the server. Start reading at [`Relay`]; what happens
//! to a datagram is decided by the pure [`line`](mod@line).

pub mod line;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::Failure;
use crate::plan::Impairment;
use crate::relay::line::Line;
use crate::sys;

/// The longest sleep while nothing is on its way.
const NAP: Duration = Duration::from_millis(5);
/// Datagrams on their way at most; a further one is lost, as in a full router.
const QUEUE_MAX: usize = 100_000;
/// Room at each socket for what was not carried on yet.
const RECEIVE_BUFFER: i32 = 256 << 10;

/// Where a pair can be reached.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// Names the pair.
    pub pair: usize,
    /// Where the caller sends.
    pub front: SocketAddr,
    /// Where the server sends.
    pub back: SocketAddr,
}

/// What one direction of one pair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Datagrams that came.
    pub taken: u64,
    /// Datagrams that were lost on purpose.
    pub lost: u64,
}

enum Order {
    Add(Box<Pair>),
    /// Where the server of a pair receives.
    Connect(usize, SocketAddr),
}

struct Pair {
    /// Towards the caller, and towards the server.
    sockets: [UdpSocket; 2],
    /// Where the caller and the server are; the caller's is learnt from what comes when nobody said it.
    peers: [Option<SocketAddr>; 2],
    learns: bool,
    lines: [Line; 2],
    carried: [Carried; 2],
}

/// A running relay.
pub struct Relay {
    orders: Sender<Order>,
    thread: JoinHandle<Vec<[Carried; 2]>>,
    pairs: usize,
    seed: u64,
}

impl Relay {
    /// Starts the thread; the same seed damages the same datagrams.
    pub fn start(seed: u64) -> Result<Self, Failure> {
        let (orders, arrivals) = channel();
        let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || carry(&arrivals))?;
        Ok(Self { orders, thread, pairs: 0, seed })
    }

    /// Opens a pair on `ip` for a caller who sends from `near`, or, without it, for whoever sends to its front, which
    /// then is `front_port`.
    pub fn add(
        &mut self,
        ip: IpAddr,
        front_port: u16,
        near: Option<SocketAddr>,
        impairment: &Impairment,
    ) -> Result<Ends, Failure> {
        let (front, back) = (UdpSocket::bind((ip, front_port))?, UdpSocket::bind((ip, 0))?);
        for socket in [&front, &back] {
            socket.set_nonblocking(true)?;
            sys::set_receive_buffer(socket, RECEIVE_BUFFER)?;
        }
        let ends = Ends { pair: self.pairs, front: front.local_addr()?, back: back.local_addr()? };
        let line = |way: u64| Line::new(impairment.clone(), self.seed * 1_000_003 + self.pairs as u64 * 2 + way);
        let pair = Pair {
            sockets: [front, back],
            peers: [near, None],
            learns: near.is_none(),
            lines: [line(0), line(1)],
            carried: [Carried::default(); 2],
        };
        self.pairs += 1;
        let gone = |_| Failure("the relay's thread has ended".to_owned());
        self.orders.send(Order::Add(Box::new(pair))).map_err(gone)?;
        Ok(ends)
    }

    /// Says where the server of a pair receives.
    pub fn connect(&self, pair: usize, far: SocketAddr) {
        // A thread that is gone is told of by `stop`.
        let _ = self.orders.send(Order::Connect(pair, far));
    }

    /// Ends it; for each pair what was carried from the caller and from the server.
    pub fn stop(self) -> Result<Vec<[Carried; 2]>, Failure> {
        drop(self.orders);
        self.thread.join().map_err(|_| Failure("the relay panicked".to_owned()))
    }
}

/// A datagram on its way: when it leaves, a number that keeps order among equals, pair, direction, bytes.
type Flight = Reverse<(Duration, u64, usize, usize, Vec<u8>)>;

fn carry(orders: &Receiver<Order>) -> Vec<[Carried; 2]> {
    let start = Instant::now();
    let mut pairs: Vec<Pair> = Vec::new();
    let mut flights: BinaryHeap<Flight> = BinaryHeap::new();
    let mut number = 0;
    let mut buffer = [0; 2_048];
    loop {
        match orders.try_recv() {
            Ok(Order::Add(pair)) => pairs.push(*pair),
            Ok(Order::Connect(pair, far)) => pairs[pair].peers[1] = Some(far),
            Err(TryRecvError::Disconnected) => return pairs.iter().map(|pair| pair.carried).collect(),
            Err(TryRecvError::Empty) => {
                let next = flights.peek().map_or(NAP, |Reverse((at, ..))| at.saturating_sub(start.elapsed()).min(NAP));
                let sockets: Vec<&UdpSocket> = pairs.iter().flat_map(|pair| &pair.sockets).collect();
                for ready in sys::wait_readable(&sockets, next) {
                    let (pair, way) = (ready / 2, ready % 2);
                    while let Ok((length, source)) = pairs[pair].sockets[way].recv_from(&mut buffer) {
                        let leaves = pairs[pair].take(way, source, start.elapsed(), length);
                        if let Some(at) = leaves.filter(|_| flights.len() < QUEUE_MAX) {
                            number += 1;
                            flights.push(Reverse((at, number, pair, way, buffer[..length].to_vec())));
                        }
                    }
                }
                deliver(&pairs, &mut flights, start.elapsed());
            }
        }
    }
}

fn deliver(pairs: &[Pair], flights: &mut BinaryHeap<Flight>, now: Duration) {
    while flights.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
        let Some(Reverse((_, _, pair, way, bytes))) = flights.pop() else { return };
        if let Some(peer) = pairs[pair].peers[1 - way] {
            // A datagram the system does not take is one more that is lost.
            let _ = pairs[pair].sockets[1 - way].send_to(&bytes, peer);
        }
    }
}

impl Pair {
    /// When a datagram that came from one side leaves to the other.
    fn take(&mut self, way: usize, source: SocketAddr, now: Duration, length: usize) -> Option<Duration> {
        if way == 0 && self.learns {
            self.peers[0] = Some(source);
        }
        self.carried[way].taken += 1;
        let leaves = self.lines[way].pass(now, length);
        if leaves.is_none() {
            self.carried[way].lost += 1;
        }
        leaves
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_carried_both_ways() -> Result<(), Failure> {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        }
        let mut relay = Relay::start(1)?;
        let ends = relay.add([127, 0, 0, 1].into(), 0, Some(near.local_addr()?), &Impairment::default())?;
        relay.connect(ends.pair, far.local_addr()?);
        let mut buffer = [0; 16];
        near.send_to(b"there", ends.front)?;
        assert_eq!(far.recv_from(&mut buffer)?, (5, ends.back));
        far.send_to(b"back", ends.back)?;
        assert_eq!(near.recv_from(&mut buffer)?, (4, ends.front));
        assert_eq!(relay.stop()?, [[Carried { taken: 1, lost: 0 }; 2]]);
        Ok(())
    }
}
