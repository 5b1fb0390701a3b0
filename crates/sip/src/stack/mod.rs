//! The transactions: the only module that names rsipstack.
//!
//! rsipstack is used for what it does well, the four state machines of RFC 3261 17 and RFC 6026 and their timers. It is
//! given *envelopes*: messages that hold the identifiers a transaction is matched by, and, as their body, the *letter*:
//! the bytes that really came or go. Sockets, parsing and printing stay ours. The reasons, all in 0.7.14:
//!
//! * its `Method` is a closed list without SERVICE, its responses lose the reason phrase, its parser is lenient;
//! * matching needs a From tag and a branch, which RFC 2543 clients do not send;
//! * a second early dialog's 180 is taken for a retransmission when status and body are the same (letters differ);
//! * with `auto_ack_2xx` it ACKs a 2xx itself, without it it drops every 2xx but the first. A 2xx that seems to have a
//!   second Via is neither: it is delivered each time, and Timer M runs. So the envelope of every 2xx has two;
//! * Timer B and a broken connection come as 408 and 503 of its own making (they have no letter), and it would ACK them
//!   on the wire: the ACK's letter is written here, and only when there was a real final response;
//! * its CANCEL is sent once and never repeated over UDP: ours is a transaction of its own with the INVITE's branch;
//! * Timer C fires only after an 18x and belongs to the control side: it is set out of reach;
//! * its timer loop is woken by each timer that is set or cancelled, some ten times in a transaction, and can miss one that
//!   is set between its two steps: it has turns instead (`expire`);
//! * a server transaction that ends is for a moment in neither of its tables, and a retransmission in that moment would
//!   begin a new one: ours are kept in a table of our own until it is in the second;
//! * it writes whole messages, credentials included, to the log at level info: it runs without a subscriber.
//!
//! Start reading at [`Stack`].

mod client;
#[cfg(test)]
mod elsewhere;
mod envelope;
mod server;
mod spare;
mod wire;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use rsipstack::EndpointBuilder;
use rsipstack::transaction::TransactionReceiver;
use rsipstack::transaction::endpoint::{EndpointInner, EndpointOption};
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use rsipstack::transaction::transaction::TransactionEvent;
use sip_api::{ClientTransactionId, ServerTransactionId, SipEvent};
use tokio::sync::mpsc;

use crate::config::SipConfig;
use crate::counters::{Counters, DropReason};
use crate::message::IncomingResponse;
use crate::notice::Notices;
use crate::transport::{Hub, Link};
use client::{AckLetters, Client};
use envelope::Envelope;
use server::Server;

/// Farther away than any call may ring: Timer C is the control side's.
const NEVER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The longest datagram IPv4 carries.
const DATAGRAM: usize = 65_507;

/// What a request that came in is matched by; worked out once for each.
pub(crate) struct Matcher {
    envelope: Envelope,
    key: TransactionKey,
    /// The request as rsipstack sees it, without its letter.
    request: rsipstack::sip::Request,
}

impl Matcher {
    /// The matcher of a request; `None` when it cannot be matched.
    pub(crate) fn of(incoming: &crate::message::Incoming) -> Option<Self> {
        let envelope = Envelope::of_request(incoming);
        let (key, request) = envelope.keyed_request(TransactionRole::Server, bytes::Bytes::new())?;
        Some(Self { envelope, key, request })
    }
}

/// All transactions of the edge.
pub(crate) struct Stack {
    endpoint: Arc<EndpointInner>,
    hub: Arc<Hub>,
    events: mpsc::Sender<SipEvent>,
    counters: Arc<Counters>,
    server_name: String,
    limit: usize,
    /// 64*T1, the life of a transaction nobody answers.
    patience: Duration,
    /// How long an INVITE may go without a final response.
    invite_answer: Duration,
    /// INVITEs that are not answered or not acknowledged yet, by source; an entry is never zero.
    pending: Arc<DashMap<IpAddr, usize>>,
    next_server: AtomicU64,
    servers: DashMap<ServerTransactionId, Arc<Server>>,
    /// The same by what a retransmission, an ACK or a CANCEL is matched with.
    by_key: DashMap<TransactionKey, ServerTransactionId>,
    /// Where the ACK of the accepted INVITEs among them may come from, by what it is known by.
    accepted: DashMap<String, Vec<IpAddr>>,
    clients: DashMap<ClientTransactionId, Arc<Client>>,
    acks: Arc<AckLetters>,
    /// Who was noted in the log lately for a message that no datagram carries.
    too_long: Mutex<Notices>,
    /// The log, which the transactions run without.
    log: tracing::Dispatch,
    outlets: Arc<wire::Outlets>,
    /// Transactions rsipstack would begin of its own accord.
    unasked: Mutex<Option<TransactionReceiver>>,
}

impl Stack {
    /// A stack without transactions.
    pub(crate) fn new(
        config: &SipConfig,
        hub: Arc<Hub>,
        events: mpsc::Sender<SipEvent>,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        let acks = Arc::new(AckLetters::default());
        let timers = config.timers;
        let option = EndpointOption {
            t1: timers.t1,
            t2: timers.t2,
            t4: timers.t4,
            t1x64: timers.t1 * 64,
            timerc: NEVER,
            auto_ack_2xx: false,
            ..EndpointOption::default()
        };
        let endpoint = silently(|| {
            let mut builder = EndpointBuilder::new();
            builder.with_option(option).with_inspector(Box::new(client::Inspector(acks.clone()))).build()
        });
        let unasked = endpoint.incoming_transactions().ok();
        Arc::new(Self {
            endpoint: endpoint.inner,
            hub,
            events,
            counters,
            server_name: config.server_name.clone(),
            limit: config.limits.transactions,
            patience: timers.t1 * 64,
            invite_answer: config.limits.invite_answer,
            pending: Arc::default(),
            next_server: AtomicU64::new(1),
            servers: DashMap::new(),
            by_key: DashMap::new(),
            accepted: DashMap::new(),
            clients: DashMap::new(),
            acks,
            too_long: Mutex::default(),
            log: tracing::dispatcher::get_default(Clone::clone),
            outlets: Arc::new(wire::Outlets::default()),
            unasked: Mutex::new(unasked),
        })
    }

    /// Starts the timers and the way out to connections; both end when the hub stops.
    pub(crate) fn run(self: &Arc<Self>) {
        let stack = self.clone();
        spawn_silently(async move {
            tokio::select! {
                () = stack.expire() => {}
                () = stack.hub.stopped() => {}
            }
        });
        let stack = self.clone();
        spawn_silently(async move {
            tokio::select! {
                () = stack.outlets.pump() => {}
                () = stack.hub.stopped() => {}
            }
        });
        if let Some(mut unasked) = self.unasked.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // All our server transactions are begun by `open`. One that rsipstack begins is a retransmission that came
            // in the moment its transaction ended; dropped, the next one finds the answer.
            spawn_silently(async move { while unasked.recv().await.is_some() {} });
        }
    }

    /// Lets the timers of all transactions expire, for ever. No timer is set less than T1 ahead, so that none is missed by a
    /// look every half of it; one may be late by a twentieth, so that those of many transactions share a turn.
    async fn expire(&self) {
        let t1 = self.endpoint.option.t1;
        loop {
            // A turn ends where the loop would wait, and the next one looks at all timers anew.
            let _waits = wire::now(self.endpoint.process_timer());
            let next = self.endpoint.timers.next_deadline();
            let ahead = next.map_or(t1, |next| next.saturating_duration_since(Instant::now()));
            tokio::time::sleep(ahead.clamp(t1 / 20, t1 / 2)).await;
        }
    }

    /// INVITEs of this source that are not answered or not acknowledged yet.
    pub(crate) fn pending(&self, source: IpAddr) -> usize {
        self.pending.get(&source).map_or(0, |count| *count)
    }

    /// How many transactions are under way.
    pub(crate) fn len(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    /// Whether there is no room for another one. What rsipstack remembers of finished ones counts by a quarter,
    /// because it is smaller and goes away by itself.
    pub(crate) fn is_full(&self) -> bool {
        self.len() + self.endpoint.finished_transactions.len() / 4 >= self.limit
    }

    /// Takes a response; `false` when no transaction waits for it.
    pub(crate) fn response(&self, incoming: &IncomingResponse, letter: bytes::Bytes, link: &Link) -> bool {
        let Some(envelope) = Envelope::of_response(incoming) else { return false };
        let status = incoming.response.status;
        let Some((key, response)) = envelope.keyed_response(status, letter) else { return false };
        let transaction = self.endpoint.transactions.get(&key);
        if transaction.is_none() && !self.endpoint.finished_transactions.contains_key(&key) {
            return false;
        }
        if incoming.method == sip_api::Method::Invite && status >= 300 {
            self.acks.final_response(envelope.branch(), incoming.response.headers.get("To").unwrap_or(""));
        }
        match transaction {
            // All that rsipstack does with a response to a transaction that is under way, once it has found it anew.
            Some(transaction) => {
                let connection = Some(self.outlets.connection(link));
                let _ended = transaction.send(TransactionEvent::Received(response.into(), connection));
            }
            None => self.feed(response.into(), link),
        }
        true
    }

    /// Counts a message that is too long for a datagram, and notes it in the log, once in a while for each peer.
    fn note_too_long(&self, peer: IpAddr, what: &str, bytes: usize) {
        self.counters.dropped(DropReason::Unsent);
        if self.too_long.lock().unwrap_or_else(PoisonError::into_inner).is_due(Instant::now(), peer) {
            tracing::dispatcher::with_default(&self.log, || {
                tracing::warn!(
                    %peer,
                    bytes,
                    "{what} is longer than the {DATAGRAM} bytes of a datagram and was not sent; let the peer come by TCP or \
                     listen on TCP as well"
                );
            });
        }
    }

    /// Forgets the way to a connection that is closed.
    pub(crate) fn closed(&self, link: &Link) {
        self.outlets.forget(link);
    }

    fn knows(&self, key: &TransactionKey) -> bool {
        self.endpoint.transactions.contains_key(key) || self.endpoint.finished_transactions.contains_key(key)
    }

    /// Hands a message to the transaction it belongs to.
    fn feed(&self, message: rsipstack::sip::SipMessage, link: &Link) {
        let connection = self.outlets.connection(link);
        let source = rsipstack::transport::SipAddr::from(link.flow().remote);
        // Every sending in there is to a queue of ours that never waits, so one poll is enough.
        let taken = silently(|| wire::now(self.endpoint.on_received_message(message, connection, &source)));
        if let Some(Err(error)) = taken {
            tracing::debug!(%error, "a message did not fit its transaction");
        }
    }
}

/// Whether rsipstack can match a request that has passed the checks; for the fuzz targets.
pub(crate) fn try_request_envelope(incoming: &crate::message::Incoming) -> bool {
    Matcher::of(incoming).is_some()
}

/// The same of a response, which may lack what a request must have.
pub(crate) fn try_response_envelope(incoming: &IncomingResponse) -> bool {
    Envelope::of_response(incoming).is_some_and(|envelope| envelope.client_key().is_some())
}

/// Runs rsipstack's code without a log.
fn silently<T>(work: impl FnOnce() -> T) -> T {
    tracing::dispatcher::with_default(&tracing::Dispatch::none(), work)
}

/// Spawns a task that runs rsipstack's code without a log.
fn spawn_silently(task: impl Future<Output = ()> + Send + 'static) {
    use tracing::instrument::WithSubscriber as _;
    tokio::spawn(task.with_subscriber(tracing::Dispatch::none()));
}
