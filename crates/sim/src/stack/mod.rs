//! SIP transactions over datagrams, just enough of RFC 3261 section 17 that loss shows as delay, duplicates and
//! time-outs. The edge and every phone have one.

mod client;
mod server;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use base::Duration;
use sip_api::{ClientTransactionId, Flow, Method, ServerTransactionId, SipEvent, Transport};

use crate::wire::{Branch, Message, Packet};
use client::Client;
pub(crate) use server::RespondError;
use server::Server;

/// T1 of RFC 3261.
pub(crate) const T1: Duration = Duration::from_millis(500);
/// T2 of RFC 3261.
pub(crate) const T2: Duration = Duration::from_secs(4);
/// 64*T1: timers B, F, H and J, and the time a 2xx is repeated.
pub(crate) const T1_64: Duration = Duration::from_secs(32);
/// Timer C: an INVITE that rings for ever.
const TIMER_C: Duration = Duration::from_secs(240);

/// A point in time a stack waits for. One that is no longer wanted changes nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    /// Repeat a request that has no response.
    Resend(u64, bool, Duration),
    /// Nobody answered a request.
    TimeOut(u64, bool),
    /// Nobody answered an INVITE that rings, or one that was cancelled.
    GiveUp(u64),
    /// Forget a client transaction.
    ForgetClient(u64, bool),
    /// Repeat the n-th final response of an INVITE.
    Repeat(ServerTransactionId, usize, Duration),
    /// No ACK came for it.
    AckMissing(ServerTransactionId, usize),
    /// Forget a server transaction.
    ForgetServer(ServerTransactionId),
}

/// What a stack wants.
#[derive(Debug)]
pub(crate) enum Out {
    /// Send a datagram.
    Transmit(Packet),
    /// Hand the timer in after this time.
    Wake(Duration, Timer),
    /// Something for the user of the transactions.
    Event(SipEvent),
}

/// The transactions of one address.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) address: SocketAddr,
    next: u64,
    clients: BTreeMap<(u64, bool), Client>,
    branches: BTreeMap<ClientTransactionId, u64>,
    servers: BTreeMap<ServerTransactionId, Server>,
    index: BTreeMap<(Branch, bool), ServerTransactionId>,
    out: VecDeque<Out>,
}

impl Stack {
    /// No transactions yet.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            next: 1,
            clients: BTreeMap::new(),
            branches: BTreeMap::new(),
            servers: BTreeMap::new(),
            index: BTreeMap::new(),
            out: VecDeque::new(),
        }
    }

    /// The transactions of the next process at the same address: none, and none will be taken for one of before.
    pub(crate) fn of_next_process(&self) -> Self {
        Self { next: self.next, ..Self::new(self.address) }
    }

    /// The next thing it wants.
    pub(crate) fn poll(&mut self) -> Option<Out> {
        self.out.pop_front()
    }

    /// A datagram arrived.
    pub(crate) fn receive(&mut self, packet: Packet) {
        let (cancel, branch) = (packet.is_of_cancel(), packet.branch);
        match packet.message {
            Message::Response(response) => self.on_response(packet.from, branch.number, cancel, response),
            Message::Request(request) if request.method == Method::Ack => self.on_ack(packet.from, branch, request),
            Message::Request(request) => self.on_request(packet.from, branch, cancel, request),
        }
    }

    /// A timer is due.
    pub(crate) fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Resend(branch, cancel, interval) => self.resend(branch, cancel, interval),
            Timer::TimeOut(branch, cancel) => self.time_out(branch, cancel),
            Timer::GiveUp(branch) => self.give_up(branch),
            Timer::ForgetClient(branch, cancel) => self.forget_client(branch, cancel),
            Timer::Repeat(server, nth, interval) => self.repeat(server, nth, interval),
            Timer::AckMissing(server, nth) => self.ack_missing(server, nth),
            Timer::ForgetServer(server) => self.forget_server(server),
        }
    }

    fn allocate(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn flow(&self, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local: self.address, remote }
    }

    fn transmit(&mut self, to: SocketAddr, branch: Branch, message: Message) {
        let packet = Packet { from: self.address, to, branch, message };
        self.out.push_back(Out::Transmit(packet));
    }

    fn wake(&mut self, after: Duration, timer: Timer) {
        self.out.push_back(Out::Wake(after, timer));
    }

    fn event(&mut self, event: SipEvent) {
        self.out.push_back(Out::Event(event));
    }
}
