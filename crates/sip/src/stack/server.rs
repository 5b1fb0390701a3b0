//! Server transactions: requests that came in and what became of them.

use std::cell::LazyCell;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dashmap::DashMap;
use rsipstack::sip::{self, SipMessage};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::transaction::{TransactionEvent, TransactionEventSender};
use sip_api::{Method, Request, Response, ServerTransactionId, SipEvent};

use super::client::{has_placeholder, place_contact};
use super::{Arc, DATAGRAM, Envelope, Matcher, Stack, TransactionKey, silently, spawn_silently};
use crate::counters::DropReason;
use crate::digest::Algorithms;
use crate::hygiene;
use crate::message::{Incoming, ReplyHead, read_request, response_bytes};
use crate::secret::random_token;
use crate::transport::Link;

/// What is known of one server transaction.
pub(super) struct Server {
    method: Method,
    envelope: Envelope,
    head: ReplyHead,
    /// The tag on To, unless the control side brings its own.
    tag: String,
    to_had_tag: Option<String>,
    link: Link,
    /// The addresses the ACK of a 2xx may come from.
    senders: Vec<IpAddr>,
    trusted: bool,
    /// What its sender can be challenged with.
    algorithms: Algorithms,
    to_transaction: TransactionEventSender,
    /// A final response was given.
    answered: AtomicBool,
    /// Its place among the INVITEs of its source that are not answered or not acknowledged yet.
    pending: Mutex<Option<Pending>>,
    /// It was a 2xx to an INVITE, which wants an ACK: what that ACK is known by.
    accepted: OnceLock<String>,
}

impl Stack {
    /// Whether the request belongs to a transaction that is under way or was; if so it has been dealt with.
    pub(crate) fn absorbs(&self, Matcher { envelope, key, .. }: &Matcher, letter: &Bytes, link: &Link) -> bool {
        // Ours first: a transaction leaves our table only after it has been entered among rsipstack's finished ones.
        let ours = self.by_key.contains_key(key);
        let known = self.knows(key);
        if known {
            self.feed(envelope.request(letter.clone()).into(), link);
        }
        ours || known
    }

    /// Takes an ACK; `false` when no transaction waits for it.
    pub(crate) fn ack(&self, incoming: &Incoming, letter: Bytes, link: &Link) -> bool {
        let envelope = Envelope::of_request(incoming);
        // The ACK of a 2xx has a branch of its own and belongs to the dialog; any other ACK has the INVITE's branch. The
        // former may carry the answer, and nobody can be asked to prove himself by an ACK (RFC 3261 22.1): it must come
        // from where the INVITE came from.
        let source = link.flow().remote.ip();
        let confirms = self.accepted.get(&envelope.dialog()).is_some_and(|senders| senders.contains(&source));
        let known = confirms || envelope.server_key().is_some_and(|key| self.knows(&key));
        if known {
            self.feed(envelope.request(letter).into(), link);
        }
        known
    }

    /// Takes a CANCEL (RFC 3261 9.2): the tag for its 200, or `None` when there is nothing to cancel.
    pub(crate) fn cancel_received(&self, incoming: &Incoming, letter: Bytes, link: &Link) -> Option<String> {
        let envelope = Envelope::of_request(incoming);
        let id = *self.by_key.get(&envelope.server_key()?)?;
        let server = self.servers.get(&id)?.clone();
        // It goes from hop to hop like its INVITE, whose last hop alone may have sent it.
        if server.link.flow().remote.ip() != link.flow().remote.ip() {
            return None;
        }
        // Through the transaction's own queue, so that the control side hears of the INVITE first. After a final
        // response the transaction ignores it.
        if !server.answered.load(Ordering::Acquire) {
            let cancel = SipMessage::Request(envelope.request(letter));
            let _ended = server.to_transaction.send(TransactionEvent::Received(cancel, None));
        }
        Some(server.tag.clone())
    }

    /// Opens a server transaction. An INVITE is answered with 100 at once.
    pub(crate) fn open(
        self: &Arc<Self>,
        incoming: &Incoming,
        Matcher { envelope, key, request }: Matcher,
        link: &Link,
        trusted: bool,
    ) -> ServerTransactionId {
        let id = ServerTransactionId(self.next_server.fetch_add(1, Ordering::Relaxed));
        let link = link.answering_at(incoming.via.reply_address(link.flow().remote));
        let connection = self.outlets.connection(&link);
        // In a box, because it is large and would be moved with every task that holds it.
        let transaction = silently(|| {
            Box::new(Transaction::new_server(key.clone(), request, self.endpoint.clone(), Some(connection)))
        });
        let server = Arc::new(Server::new(incoming, envelope, link, trusted, transaction.tu_sender.clone()));
        self.servers.insert(id, server.clone());
        self.by_key.insert(key.clone(), id);
        if server.method == Method::Invite {
            server.hold(Pending::begin(&self.pending, server.link.flow().remote.ip()));
            self.respond(id, &Response::new(100));
        }
        let stack = self.clone();
        spawn_silently(async move {
            let _guard = Guard { stack: &stack, id, key, server: &server };
            tokio::select! {
                () = stack.serve(id, &server, transaction) => {}
                () = stack.lose_patience(id, &server) => {}
                () = stack.hub.stopped() => {}
            }
        });
        id
    }

    /// Where a request came from and what its sender can be challenged with; `None` when the transaction is gone.
    pub(crate) fn asker(&self, id: ServerTransactionId) -> Option<(IpAddr, Algorithms)> {
        self.servers.get(&id).map(|server| (server.link.flow().remote.ip(), server.algorithms))
    }

    /// Sends a response; counted as late when the transaction has its final response already. One that no datagram carries
    /// becomes 513: the request said by its Via that it wants datagrams (RFC 3261 18.2.2). To an INVITE there is none such,
    /// because the answer to an offer is no longer than the offer.
    pub(crate) fn respond(&self, id: ServerTransactionId, response: &Response) {
        let Some(server) = self.servers.get(&id).map(|server| server.clone()) else {
            return self.counters.dropped(DropReason::LateCommand);
        };
        let late = match response.is_provisional() {
            true => server.answered.load(Ordering::Acquire),
            false => server.answered.swap(true, Ordering::AcqRel),
        };
        if late {
            return self.counters.dropped(DropReason::LateCommand);
        }
        let (refusal, mut response) = (LazyCell::new(too_long), response);
        let mut letter = server.letter(response, &self.server_name);
        if letter.len() > DATAGRAM && !server.link.is_reliable() && server.method != Method::Invite {
            let what = format!("the response to {}", server.method);
            self.note_too_long(server.link.flow().remote.ip(), &what, letter.len());
            response = &refusal;
            letter = server.letter(response, &self.server_name);
        }
        if response.status >= 300 {
            server.release();
        }
        let tag = response.to_tag().or_else(|| server.to_had_tag.clone()).unwrap_or_else(|| server.tag.clone());
        let envelope = server.envelope.with_to_tag(&tag);
        if response.is_success() && server.method == Method::Invite {
            self.accepted.insert(envelope.dialog(), server.senders.clone());
            server.accepted.get_or_init(|| envelope.dialog());
        }
        let _ended = server.to_transaction.send(TransactionEvent::Respond(envelope.response(response.status, letter)));
    }

    /// Ends a transaction that the control side does not answer. An INVITE gets an answer here, and goes on until that is
    /// acknowledged; nobody waits for the answer to anything else any more (RFC 3261 17.1.2.2: 64*T1, and a little more,
    /// so that an answer in the last moment is not lost here).
    async fn lose_patience(&self, id: ServerTransactionId, server: &Server) {
        if server.method != Method::Invite {
            return tokio::time::sleep(self.patience + Duration::from_secs(1)).await;
        }
        tokio::time::sleep(self.invite_answer).await;
        if !server.answered.load(Ordering::Acquire) {
            self.respond(id, &Response::new(408));
            self.tell(SipEvent::Cancelled { transaction: id, reason: Vec::new() }).await;
        }
        std::future::pending().await
    }

    /// Drives one transaction until it ends.
    async fn serve(&self, id: ServerTransactionId, server: &Server, mut transaction: Box<Transaction>) {
        let mut acknowledged = false;
        while let Some(message) = transaction.receive().await {
            let SipMessage::Request(envelope) = message else { continue };
            let Some(mut request) = read_request(&Bytes::from(envelope.body)) else { continue };
            match envelope.method {
                sip::Method::Ack if server.accepted.get().is_some() && !acknowledged => {
                    acknowledged = true;
                    server.release();
                    hygiene::strip(&mut request.headers, server.trusted);
                    self.tell(SipEvent::Ack { request, flow: server.link.flow() }).await;
                }
                sip::Method::Cancel => {
                    let reason = request.headers.get_all("Reason").map(str::to_owned).collect();
                    self.tell(SipEvent::Cancelled { transaction: id, reason }).await;
                }
                _ => {}
            }
        }
        if server.accepted.get().is_some() && !acknowledged {
            self.tell(SipEvent::AckMissing { transaction: id }).await;
        }
    }

    /// Gives an event to the control side, waiting for room.
    pub(super) async fn tell(&self, event: SipEvent) {
        // When the control side is gone, so is the reason for the event.
        let _gone = self.events.send(event).await;
    }
}

impl Server {
    fn new(
        incoming: &Incoming,
        envelope: Envelope,
        link: Link,
        trusted: bool,
        to_transaction: TransactionEventSender,
    ) -> Self {
        let mut via = incoming.via.clone();
        via.note_source(link.flow().remote);
        Self {
            head: ReplyHead::new(&incoming.request.headers, Some(&via)),
            algorithms: Algorithms::of_sender(&incoming.request.headers),
            method: incoming.request.method.clone(),
            envelope,
            tag: random_token(),
            to_had_tag: incoming.to.tag.clone(),
            senders: senders(&incoming.request, &link),
            link,
            trusted,
            to_transaction,
            answered: AtomicBool::new(false),
            pending: Mutex::new(None),
            accepted: OnceLock::new(),
        }
    }
}

impl Server {
    /// The bytes of a response.
    fn letter(&self, response: &Response, server_name: &str) -> Bytes {
        let placed = has_placeholder(&response.headers).then(|| {
            let mut response = response.clone();
            place_contact(&mut response.headers, &self.link);
            response
        });
        response_bytes(&self.head, placed.as_ref().unwrap_or(response), &self.tag, server_name)
    }

    fn hold(&self, place: Pending) {
        *self.pending.lock().unwrap_or_else(PoisonError::into_inner) = Some(place);
    }

    fn release(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn too_long() -> Response {
    let warning = "399 convoke \"The answer is longer than a datagram, ask over TCP\"";
    Response::new(513).with_header("Warning", warning)
}

/// Where what follows an INVITE may come from: its last hop or, if a proxy forwarded it that may not want to see the rest,
/// the address in its Contact.
fn senders(invite: &Request, link: &Link) -> Vec<IpAddr> {
    let forwarded = invite.headers.values("Via").len() > 1;
    let contact = invite.headers.name_addr("Contact").filter(|_| forwarded).and_then(Result::ok);
    let direct = contact.and_then(|contact| contact.uri.host.trim_matches(['[', ']']).parse().ok());
    [link.flow().remote.ip()].into_iter().chain(direct).collect()
}

/// A place among the unfinished INVITEs of one source; dropping it gives it back.
struct Pending {
    table: Arc<DashMap<IpAddr, usize>>,
    source: IpAddr,
}

impl Pending {
    fn begin(table: &Arc<DashMap<IpAddr, usize>>, source: IpAddr) -> Self {
        *table.entry(source).or_insert(0) += 1;
        Self { table: table.clone(), source }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.table.alter(&self.source, |_, count| count - 1);
        self.table.remove_if(&self.source, |_, count| *count == 0);
    }
}

/// Takes a transaction out of the tables however its task ends.
struct Guard<'a> {
    stack: &'a Stack,
    id: ServerTransactionId,
    key: TransactionKey,
    server: &'a Server,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(dialog) = self.server.accepted.get() {
            self.stack.accepted.remove(dialog);
        }
        self.server.release();
        self.stack.servers.remove(&self.id);
        self.stack.by_key.remove(&self.key);
    }
}
