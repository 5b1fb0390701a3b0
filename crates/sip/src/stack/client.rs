//! Client transactions: requests of the control side and what came back.

use super::spare::Spare;
use super::*;
use bytes::Bytes;
use rsipstack::sip::{self, SipMessage};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::endpoint::MessageInspector;
use rsipstack::transport::SipAddr;
use sip_api::{CONTACT_PLACEHOLDER, ClientFailure, Flow, Headers, Method, Request, Transport};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::counters::DropReason;
use crate::message::{Via, read_response, request_bytes};
use crate::secret::{digest, random_token};
use crate::transport::{NextHop, next_hop};

/// What is known of one client transaction.
pub(super) struct Client {
    progress: Mutex<Progress>,
    /// Rung when a CANCEL has gone out.
    cancelled: Notify,
}

#[derive(Default)]
struct Progress {
    /// The request as it was sent; set once it was.
    sent: Option<Arc<Sent>>,
    /// A provisional response has come, so a CANCEL may go (RFC 3261 9.1).
    provisional: bool,
    /// One that says more than 100: somebody is at work on it.
    early: bool,
    /// The final response has been delivered.
    finished: bool,
    /// The control side wants to cancel, with these reasons.
    cancel: Option<Vec<String>>,
    /// The CANCEL is out.
    cancelled: bool,
}

/// A request on its way, and what its ACK or CANCEL needs of it.
struct Sent {
    request: Request,
    via: Via,
    envelope: Envelope,
    link: Link,
    /// The way the control side is told: that of `link`, unless the request was too long for a datagram.
    flow: Flow,
}

/// A request's Via and its bytes, for the link that carries it.
type Printed = (Via, Bytes);

/// The longest request that goes as a datagram where a connection can be had (RFC 3261 18.1.1, the path MTU being
/// unknown).
const SHORT: usize = 1_300;

impl Stack {
    /// Sends a request in a new transaction: over its flow if that is there, else to its next hop.
    pub(crate) fn send(self: &Arc<Self>, id: ClientTransactionId, request: Request, flow: Option<Flow>) {
        let full = self.is_full();
        let client = Arc::new(Client { progress: Mutex::default(), cancelled: Notify::new() });
        if self.clients.contains_key(&id) {
            return self.counters.dropped(DropReason::LateCommand);
        }
        self.clients.insert(id, client.clone());
        // With a link at hand the request leaves now, so that requests go out in the order they were given.
        let link = flow.as_ref().and_then(|flow| self.hub.existing(flow));
        let mut long = None;
        let started = link.filter(|_| !full).and_then(|link| {
            let printed = self.letter(&request, &link, &link, 0);
            if link.is_reliable() || printed.1.len() <= SHORT {
                let flow = link.flow();
                return self.start(&client, &request, printed, link, flow);
            }
            long = Some((link, printed));
            None
        });
        let stack = self.clone();
        spawn_silently(async move {
            let _guard = Guard { stack: &stack, id };
            let carried_out = async {
                match (started, long) {
                    (Some((sent, transaction)), _) => _ = stack.conduct(id, &client, sent, transaction, true).await,
                    _ if full => stack.fail(id, ClientFailure::Transport).await,
                    (None, Some((link, printed))) => stack.send_long(id, &client, &request, &link, printed).await,
                    (None, None) => stack.send_to_any(id, &client, &request, flow.as_ref()).await,
                }
            };
            tokio::select! {
                () = carried_out => {}
                () = stack.hub.stopped() => {}
            }
        });
    }

    /// Sends what is not answered, outside any transaction: the ACK of a 2xx, a BENOTIFY.
    pub(crate) fn send_unanswered(self: &Arc<Self>, request: Request, flow: Option<Flow>) {
        if let Some(link) = flow.as_ref().and_then(|flow| self.hub.existing(flow)) {
            let letter = self.letter(&request, &link, &link, 0).1;
            if link.is_reliable() || letter.len() <= SHORT {
                return link.send(letter);
            }
        }
        let stack = self.clone();
        tokio::spawn(async move {
            let sent = async {
                let link = stack.find_link(&request, flow).await?;
                let printed = stack.letter(&request, &link, &link, 0);
                let (carrier, (_, letter)) = stack.carry(&request, &link, 0, printed).await.ok()?;
                carrier.send(letter);
                Some(())
            };
            if sent.await.is_none() {
                stack.counters.dropped(DropReason::Unsent);
            }
        });
    }

    /// Cancels an INVITE: at once if a provisional response has come, else as soon as one does.
    pub(crate) fn cancel(self: &Arc<Self>, id: ClientTransactionId, reason: Vec<String>) {
        let Some(client) = self.clients.get(&id).map(|client| client.clone()) else {
            return self.counters.dropped(DropReason::LateCommand);
        };
        client.progress().cancel.get_or_insert(reason);
        self.cancel_if_due(&client);
    }

    async fn find_link(&self, request: &Request, flow: Option<Flow>) -> Option<Link> {
        match flow.and_then(|flow| self.hub.existing(&flow)) {
            Some(link) => Some(link),
            None => self.hub.link_to(&hop_for(request, flow.as_ref())?).await,
        }
    }

    /// Sends a request that is too long for the link it is printed for.
    async fn send_long(
        self: &Arc<Self>,
        id: ClientTransactionId,
        client: &Client,
        request: &Request,
        link: &Link,
        printed: Printed,
    ) {
        match self.begin(client, request, link, 0, printed).await {
            Ok((sent, transaction)) => _ = self.conduct(id, client, sent, transaction, true).await,
            Err(failure) => self.fail(id, failure).await,
        }
    }

    /// Sends a request to the places where its next hop may be, one after another (RFC 3263 4.3): to the next one when
    /// one cannot be reached, does not answer, or has no room for it (503). `lost` is the flow it was meant for.
    async fn send_to_any(
        self: &Arc<Self>,
        id: ClientTransactionId,
        client: &Client,
        request: &Request,
        lost: Option<&Flow>,
    ) {
        let Some(hop) = hop_for(request, lost) else { return self.fail(id, ClientFailure::Transport).await };
        let places = self.hub.locate(&hop).await;
        let last = places.len().saturating_sub(1);
        let mut failure = ClientFailure::Transport;
        for (attempt, place) in places.into_iter().enumerate() {
            let Some(link) = self.hub.link_at(&hop, place).await else { continue };
            let printed = self.letter(request, &link, &link, attempt);
            let (sent, transaction) = match self.begin(client, request, &link, attempt, printed).await {
                Ok(begun) => begun,
                Err(why) => {
                    failure = why;
                    continue;
                }
            };
            if self.conduct(id, client, sent, transaction, attempt == last).await == End::Told {
                return;
            }
        }
        self.fail(id, failure).await;
    }

    /// Sends a request, printed for this link, to a place that was found.
    async fn begin(
        &self,
        client: &Client,
        request: &Request,
        link: &Link,
        attempt: usize,
        printed: Printed,
    ) -> Result<(Arc<Sent>, Box<Transaction>), ClientFailure> {
        let (carrier, printed) = self.carry(request, link, attempt, printed).await?;
        self.start(client, request, printed, carrier, link.flow()).ok_or(ClientFailure::Transport)
    }

    /// What carries a request that is printed for this link: a connection to the same host when it is long and the host takes
    /// one, else the datagram link as long as it can (RFC 3261 18.1.1). Only the connection wants it printed again.
    async fn carry(
        &self,
        request: &Request,
        link: &Link,
        attempt: usize,
        printed: Printed,
    ) -> Result<(Link, Printed), ClientFailure> {
        let length = printed.1.len();
        if link.is_reliable() || length <= SHORT {
            return Ok((link.clone(), printed));
        }
        // A phone listens where its Contact says; behind address translation only the port it sends from is known.
        let sent_from = link.flow().remote;
        let named = next_hop(request).and_then(|hop| hop.address()).filter(|named| named.ip() == sent_from.ip());
        match self.hub.stream_to(named.unwrap_or(sent_from)).await {
            Some(stream) => {
                let printed = self.letter(request, &stream, link, attempt);
                Ok((stream, printed))
            }
            None if length <= DATAGRAM => Ok((link.clone(), printed)),
            None => {
                self.note_too_long(sent_from.ip(), request.method.as_str(), length);
                Err(ClientFailure::TooLong)
            }
        }
    }

    /// The bytes of a request on the link that carries it, and its Via. The Contact is that of `home`: a request that is
    /// too long for its usual way does not change where the peer sends his.
    fn letter(&self, request: &Request, carrier: &Link, home: &Link, attempt: usize) -> Printed {
        let via = own_via(carrier, request, attempt);
        let placed = has_placeholder(&request.headers).then(|| {
            let mut request = request.clone();
            place_contact(&mut request.headers, home);
            request
        });
        let bytes = request_bytes(placed.as_ref().unwrap_or(request), &via, &self.server_name);
        (via, bytes)
    }

    fn start(
        &self,
        client: &Client,
        request: &Request,
        (via, letter): Printed,
        link: Link,
        flow: Flow,
    ) -> Option<(Arc<Sent>, Box<Transaction>)> {
        let envelope = Envelope::of_own(request, via.branch()?)?;
        let sent = Arc::new(Sent { request: request.clone(), via, envelope, link, flow });
        if request.method == Method::Invite {
            self.acks.insert(sent.clone(), &self.server_name);
        }
        {
            let mut progress = client.progress();
            progress.sent = Some(sent.clone());
            progress.provisional = false;
        }
        let transaction = self.launch(&sent.envelope, letter, &sent.link)?;
        Some((sent, transaction))
    }

    /// A transaction of rsipstack that has sent its request.
    fn launch(&self, envelope: &Envelope, letter: Bytes, link: &Link) -> Option<Box<Transaction>> {
        let (key, request) = envelope.keyed_request(TransactionRole::Client, letter)?;
        let connection = self.outlets.connection(link);
        silently(|| {
            // In a box, because it is large and would be moved with every task that holds it.
            let mut transaction =
                Box::new(Transaction::new_client(key, request, self.endpoint.clone(), Some(connection)));
            wire::now(transaction.send())?.ok()?;
            Some(transaction)
        })
    }

    /// Drives one transaction until it ends. Unless it is the last that is tried, one that fails before anybody has
    /// answered is not told of.
    async fn conduct(
        self: &Arc<Self>,
        id: ClientTransactionId,
        client: &Client,
        mut sent: Arc<Sent>,
        mut transaction: Box<Transaction>,
        is_last: bool,
    ) -> End {
        let mut give_up: Option<Instant> = None;
        let mut spare = Spare::default();
        loop {
            let finished = client.progress().finished;
            let deadline = give_up.filter(|_| !finished);
            // Giving `receive` up half-way is safe here, because it waits nowhere but for its queue.
            tokio::select! {
                biased;
                message = transaction.receive() => match message {
                    Some(SipMessage::Response(envelope)) => {
                        // Those that rsipstack made up have no letter: nobody answered, or nothing could be sent.
                        let nobody_answered = envelope.body.is_empty() || envelope.status_code.code() == 503;
                        if nobody_answered && !is_last && client.may_go_elsewhere() {
                            self.leave(&sent, transaction);
                            return End::Elsewhere;
                        }
                        if !self.deliver(id, client, &sent, envelope).await {
                            return End::Told;
                        }
                    }
                    Some(SipMessage::Request(_)) => {}
                    None => return End::Told,
                },
                () = sent.link.closed(), if !finished && !spare.is_sought() => {
                    if !is_last && client.may_go_elsewhere() {
                        return End::Elsewhere;
                    }
                    let (stack, lost) = (self.clone(), sent.clone());
                    spare.seek(async move { stack.link_in_place_of(&lost.request, &lost.link.flow()).await });
                }
                link = spare.found(), if !finished => match link {
                    Some(link) => sent = self.send_again(client, &sent, link, &transaction.original.body),
                    None => {
                        self.fail(id, ClientFailure::Transport).await;
                        return End::Told;
                    }
                },
                // RFC 3261 9.1: without a final response 64*T1 after the CANCEL the transaction is given up.
                () = client.cancelled.notified() => give_up = Some(Instant::now() + self.patience),
                () = sleep_until(deadline) => {
                    self.fail(id, ClientFailure::Timeout).await;
                    return End::Told;
                }
            }
        }
    }

    /// Sends a request, and its CANCEL if that is out, once more over another connection, which takes the place of the first.
    /// The letter is as it was: its Via is what a retransmission is known by (RFC 3261 17.2.3).
    fn send_again(&self, client: &Client, sent: &Sent, link: Link, letter: &[u8]) -> Arc<Sent> {
        link.send(Bytes::copy_from_slice(letter));
        let flow = if sent.flow == sent.link.flow() { link.flow() } else { sent.flow };
        let (request, via, envelope) = (sent.request.clone(), sent.via.clone(), sent.envelope.clone());
        let again = Arc::new(Sent { request, via, envelope, link, flow });
        let cancelled = {
            let mut progress = client.progress();
            progress.sent = Some(again.clone());
            progress.cancel.clone().filter(|_| progress.cancelled)
        };
        if let Some(reason) = cancelled {
            again.link.send(self.cancel_letter(&again, &reason));
        }
        again
    }

    /// Lets a transaction that is over for us come to its own end: it acknowledges what it was refused with.
    fn leave(self: &Arc<Self>, sent: &Sent, mut transaction: Box<Transaction>) {
        let (stack, branch) = (self.clone(), sent.envelope.branch().to_owned());
        spawn_silently(async move {
            while transaction.receive().await.is_some() {}
            stack.acks.remove(&branch);
        });
    }

    /// Passes a response on; `false` when it was none and the transaction has failed.
    async fn deliver(
        self: &Arc<Self>,
        id: ClientTransactionId,
        client: &Client,
        sent: &Sent,
        envelope: sip::Response,
    ) -> bool {
        let status = envelope.status_code.code();
        let Some(response) = read_response(&Bytes::from(envelope.body)) else {
            let failure = if status == 503 { ClientFailure::Transport } else { ClientFailure::Timeout };
            let finished = std::mem::replace(&mut client.progress().finished, true);
            if !finished {
                self.fail(id, failure).await;
            }
            return false;
        };
        {
            let mut progress = client.progress();
            match response.is_provisional() {
                true => {
                    progress.provisional = true;
                    progress.early |= status > 100;
                }
                false => progress.finished = true,
            }
        }
        self.cancel_if_due(client);
        self.tell(SipEvent::Response { transaction: id, response, flow: sent.flow }).await;
        true
    }

    async fn fail(&self, transaction: ClientTransactionId, failure: ClientFailure) {
        self.tell(SipEvent::Failed { transaction, failure }).await;
    }

    fn cancel_if_due(self: &Arc<Self>, client: &Client) {
        let due = {
            let mut progress = client.progress();
            let due = progress.provisional && !progress.finished && !progress.cancelled && progress.cancel.is_some();
            progress.cancelled |= due;
            progress.sent.clone().zip(progress.cancel.clone()).filter(|_| due)
        };
        let Some((sent, reason)) = due else { return };
        if sent.request.method != Method::Invite {
            return self.counters.dropped(DropReason::LateCommand);
        }
        client.cancelled.notify_one();
        let letter = self.cancel_letter(&sent, &reason);
        if let Some(mut transaction) = self.launch(&sent.envelope.cancel(), letter, &sent.link) {
            // Whatever it is answered, the INVITE's own final response decides.
            spawn_silently(async move { while transaction.receive().await.is_some() {} });
        }
    }

    fn cancel_letter(&self, sent: &Sent, reason: &[String]) -> Bytes {
        let cancel = related(sent, Method::Cancel, sent.request.headers.get("To").unwrap_or(""), reason);
        request_bytes(&cancel, &sent.via, &self.server_name)
    }
}

/// How a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The control side knows.
    Told,
    /// It does not: the request may go to another place.
    Elsewhere,
}

impl Client {
    /// Whether another place may be tried: nobody has rung or answered, and the request is still wanted.
    fn may_go_elsewhere(&self) -> bool {
        let progress = self.progress();
        !progress.early && !progress.finished && progress.cancel.is_none()
    }

    fn progress(&self) -> std::sync::MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a request goes whose flow is not there, or that has none.
pub(super) fn hop_for(request: &Request, lost: Option<&Flow>) -> Option<NextHop> {
    let hop = next_hop(request)?;
    match lost {
        Some(lost) => hop.instead_of(lost, request.headers.get("Route").is_some()),
        None => Some(hop),
    }
}

/// Sleeps for ever without a deadline.
async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Takes a transaction out of the tables however its task ends.
struct Guard<'a> {
    stack: &'a Stack,
    id: ClientTransactionId,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some((_, client)) = self.stack.clients.remove(&self.id)
            && let Some(sent) = &client.progress().sent
        {
            self.stack.acks.remove(sent.envelope.branch());
        }
    }
}

/// The letters of automatic ACKs (RFC 3261 17.1.1.3), by the branch of the INVITE.
#[derive(Default)]
pub(super) struct AckLetters(Mutex<HashMap<String, Invite>>);

struct Invite {
    sent: Arc<Sent>,
    user_agent: String,
    /// To of the final response, once there is one other than 2xx.
    to: Option<String>,
}

impl AckLetters {
    fn insert(&self, sent: Arc<Sent>, user_agent: &str) {
        let branch = sent.envelope.branch().to_owned();
        self.invites().insert(branch, Invite { sent, user_agent: user_agent.to_owned(), to: None });
    }

    fn remove(&self, branch: &str) {
        self.invites().remove(branch);
    }

    /// Remembers what the ACK must repeat.
    pub(super) fn final_response(&self, branch: &str, to: &str) {
        if let Some(invite) = self.invites().get_mut(branch) {
            invite.to.get_or_insert_with(|| to.to_owned());
        }
    }

    fn letter(&self, branch: &str) -> Option<Bytes> {
        let invites = self.invites();
        let Invite { sent, user_agent, to } = invites.get(branch)?;
        let ack = related(sent, Method::Ack, to.as_deref()?, &[]);
        Some(request_bytes(&ack, &sent.via, user_agent))
    }

    fn invites(&self) -> std::sync::MutexGuard<'_, HashMap<String, Invite>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts letters into the ACKs rsipstack makes; the one for a response it made up itself stays without.
pub(super) struct Inspector(pub(super) Arc<AckLetters>);

impl MessageInspector for Inspector {
    fn before_send(&self, message: SipMessage, _destination: Option<&SipAddr>) -> SipMessage {
        match message {
            SipMessage::Request(mut request) if request.method == sip::Method::Ack && request.body.is_empty() => {
                let letter = envelope::branch_of(&request).and_then(|branch| self.0.letter(&branch));
                request.body = letter.map(Vec::from).unwrap_or_default();
                SipMessage::Request(request)
            }
            other => other,
        }
    }

    fn after_received(&self, message: SipMessage, _source: Option<&SipAddr>) -> SipMessage {
        message
    }
}

/// An ACK or CANCEL of an INVITE: same target, Call-ID, From, CSeq number and route (RFC 3261 9.1, 17.1.1.3).
fn related(sent: &Sent, method: Method, to: &str, reason: &[String]) -> Request {
    let original = &sent.request;
    let mut request = Request::new(method.clone(), original.uri.clone());
    let copy = |name: &str| original.headers.get(name).unwrap_or("").to_owned();
    request.headers = Headers::new()
        .with("From", copy("From"))
        .with("To", to)
        .with("Call-ID", copy("Call-ID"))
        .with("CSeq", format!("{} {method}", original.cseq().unwrap_or(0)));
    original.headers.get_all("Route").for_each(|route| request.headers.push("Route", route));
    reason.iter().for_each(|reason| request.headers.push("Reason", reason.as_str()));
    request
}

fn own_via(link: &Link, request: &Request, attempt: usize) -> Via {
    let contact = link.contact();
    let branch = format!("{}{}", crate::message::BRANCH_COOKIE, branch_of(request, attempt));
    let params = vec![("rport".to_owned(), None), ("branch".to_owned(), Some(branch))];
    Via {
        transport: link.flow().transport.as_str().to_ascii_uppercase(),
        host: contact.host(),
        port: Some(contact.port()),
        params,
    }
}

/// What makes a branch unique. That of an INVITE follows from its Call-ID, tag and number, which no other INVITE of ours
/// has: a restarted server that sends the INVITE of its predecessor once more sends a retransmission, to which the peer
/// repeats his last response, and no second call (RFC 3261 17.2.3). Another place is another transaction (RFC 3263 4.3).
fn branch_of(request: &Request, attempt: usize) -> String {
    if request.method != Method::Invite {
        return random_token();
    }
    let tag = request.from_tag().unwrap_or_default();
    let number = request.cseq().unwrap_or(0).to_string();
    match attempt {
        0 => digest(&[request.call_id(), &tag, &number]),
        _ => digest(&[request.call_id(), &tag, &number, &attempt.to_string()]),
    }
}

/// Whether a Contact is still to be filled in.
pub(super) fn has_placeholder(headers: &Headers) -> bool {
    headers.get_all("Contact").any(|contact| contact.contains(CONTACT_PLACEHOLDER))
}

/// Puts our address in place of the placeholder in Contact.
pub(super) fn place_contact(headers: &mut Headers, link: &Link) {
    if !has_placeholder(headers) {
        return;
    }
    let contacts: Vec<String> = headers.get_all("Contact").map(str::to_owned).collect();
    headers.remove("Contact");
    for contact in contacts {
        let named = link.flow().transport == Transport::Udp || contact.contains("transport=");
        let transport = if named { String::new() } else { format!(";transport={}", link.flow().transport.as_str()) };
        headers.push("Contact", contact.replace(CONTACT_PLACEHOLDER, &format!("{}{transport}", link.contact())));
    }
}
