//! A SIP user agent at the level of transactions: it sends, retransmits, matches answers and hands out requests.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::digest::{self, Credentials};
use crate::error::Error;
use crate::message::SipMessage;
use crate::transport::{Arrival, Path, Sockets, Transport};

/// RFC 3261 17.1.1.1: the first retransmission interval.
const T1: Duration = Duration::from_millis(500);
/// RFC 3261 17.1.2.1: the longest one of requests other than INVITE.
const T2: Duration = Duration::from_secs(4);
/// 64 * T1: how long a transaction waits for its final answer.
const TRANSACTION: Duration = Duration::from_secs(32);
/// Requests or responses waiting for one reader; more are dropped.
const QUEUE: usize = 256;
/// Answers kept for retransmitted requests.
const ANSWERS: usize = 512;

/// Who a scripted agent is and whom it talks to.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// Its user name: the address of record is `sip:USER@DOMAIN`.
    pub user: String,
    /// The domain of its address of record.
    pub domain: String,
    /// The name shown to others.
    pub display_name: Option<String>,
    /// Where requests go that no dialog directs elsewhere.
    pub server: SocketAddr,
    /// The transport of everything.
    pub transport: Transport,
    /// The address to bind; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Whether connections are taken at that address. A phone behind address translation only makes some.
    pub listens: bool,
    /// What answers a challenge.
    pub credentials: Option<Credentials>,
}

impl AgentOptions {
    /// A user on loopback over UDP, whose password answers challenges.
    pub fn new(user: &str, domain: &str, password: &str, server: SocketAddr) -> Self {
        Self {
            user: user.to_owned(),
            domain: domain.to_owned(),
            display_name: None,
            server,
            transport: Transport::Udp,
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            listens: true,
            credentials: Some(Credentials { user: user.to_owned(), password: password.to_owned() }),
        }
    }

    /// The same over another transport.
    #[must_use]
    pub fn over(mut self, transport: Transport) -> Self {
        self.transport = transport;
        self
    }

    /// The same, but nobody can connect to it.
    #[must_use]
    pub fn unreachable(mut self) -> Self {
        self.listens = false;
        self
    }

    /// The same with a display name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.display_name = Some(name.to_owned());
        self
    }
}

/// A SIP user agent. Clones are the same agent.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    options: AgentOptions,
    sockets: Arc<Sockets>,
    state: Mutex<State>,
}

/// A branch or Call-ID, and a method.
type Key = (String, String);

#[derive(Default)]
struct State {
    /// Client transactions by branch and method.
    waiting: HashMap<Key, mpsc::Sender<SipMessage>>,
    /// Readers of the requests of a dialog, by Call-ID.
    dialogs: HashMap<String, mpsc::Sender<IncomingRequest>>,
    /// Server transactions by branch and method; the answer once there is one.
    answers: HashMap<Key, Option<Vec<u8>>>,
    answer_order: VecDeque<Key>,
    /// Our ACKs by Call-ID and CSeq number, for retransmitted 2xx.
    acks: HashMap<(String, u32), (Path, Vec<u8>)>,
    /// ACKs received, by Call-ID and CSeq number.
    acked: HashSet<(String, u32)>,
}

impl Agent {
    /// Opens the sockets. The receiver gives requests that belong to no dialog somebody reads.
    pub async fn open(options: AgentOptions) -> Result<(Self, mpsc::Receiver<IncomingRequest>), Error> {
        let (sockets, arrivals) = Sockets::open(options.transport, options.bind, options.listens).await?;
        let agent = Self { inner: Arc::new(Inner { options, sockets, state: Mutex::default() }) };
        let (sender, requests) = mpsc::channel(QUEUE);
        tokio::spawn(dispatch(Arc::downgrade(&agent.inner), arrivals, sender));
        Ok((agent, requests))
    }

    /// Who it is.
    pub fn options(&self) -> &AgentOptions {
        &self.inner.options
    }

    /// The address it is bound to.
    pub fn local(&self) -> SocketAddr {
        self.inner.sockets.local
    }

    /// Closes every connection it has, as when its network is gone for a moment. It is still to be reached at its Contact.
    pub fn break_connections(&self) {
        self.inner.sockets.break_connections();
    }

    /// `sip:USER@DOMAIN`.
    pub fn address_of_record(&self) -> String {
        format!("sip:{}@{}", self.options().user, self.options().domain)
    }

    /// The value of its Contact header.
    pub fn contact(&self) -> String {
        let options = self.options();
        format!("<sip:{}@{};transport={}>", options.user, self.local(), options.transport.parameter())
    }

    /// A request outside a dialog, with every header RFC 3261 8.1.1 asks for.
    pub fn new_request(&self, method: &str, uri: &str) -> SipMessage {
        let name = self.options().display_name.as_ref().map_or(String::new(), |name| format!("\"{name}\" "));
        SipMessage::request(method, uri)
            .with("Via", self.via(&branch()))
            .with("Max-Forwards", "70")
            .with("From", format!("{name}<{}>;tag={}", self.address_of_record(), token()))
            .with("To", format!("<{uri}>"))
            .with("Call-ID", token())
            .with("CSeq", format!("1 {method}"))
            .with("Contact", self.contact())
            .with("User-Agent", "convoke-testkit")
    }

    /// Hands the requests of this Call-ID to the receiver from now on.
    pub(crate) fn listen(&self, call_id: &str) -> mpsc::Receiver<IncomingRequest> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.state().dialogs.insert(call_id.to_owned(), sender);
        receiver
    }

    /// Sends a request and gives its final response. A challenge is answered once; `request` is then the second one.
    pub async fn request(&self, request: &mut SipMessage) -> Result<SipMessage, Error> {
        let response = self.start(request.clone(), None).await?.final_response().await?;
        if !self.authorize(request, &response) {
            return Ok(response);
        }
        self.start(request.clone(), None).await?.final_response().await
    }

    /// Puts the answer to a challenge into the request, with a new branch and CSeq; false when there is nothing to do.
    pub(crate) fn authorize(&self, request: &mut SipMessage, response: &SipMessage) -> bool {
        let Some(who) = &self.options().credentials else { return false };
        let Some((name, value)) = digest::answer(response, request, who) else { return false };
        let next = format!("{} {}", request.cseq() + 1, request.method());
        request.set(name, value);
        request.set("Via", self.via(&branch()));
        request.set("CSeq", next);
        true
    }

    /// Starts a client transaction towards `target`, or to the server.
    pub(crate) async fn start(
        &self,
        request: SipMessage,
        target: Option<SocketAddr>,
    ) -> Result<ClientTransaction, Error> {
        let path = self.inner.sockets.path_to(target.unwrap_or(self.options().server)).await?;
        let key = (request.branch().to_owned(), request.method().to_owned());
        let (sender, responses) = mpsc::channel(QUEUE);
        self.state().waiting.insert(key.clone(), sender);
        let bytes = request.to_bytes();
        path.send(bytes.clone()).await?;
        let retransmission = (!path.is_reliable())
            .then(|| tokio::spawn(retransmit(path.clone(), bytes, request.method() == "INVITE")).abort_handle());
        Ok(ClientTransaction { agent: self.clone(), request, path, key, responses, unread: None, retransmission })
    }

    /// Sends an ACK for a 2xx and keeps it for further copies of that 2xx.
    pub(crate) async fn send_ack(&self, ack: SipMessage, target: Option<SocketAddr>) -> Result<(), Error> {
        let path = self.inner.sockets.path_to(target.unwrap_or(self.options().server)).await?;
        let bytes = ack.to_bytes();
        self.state().acks.insert((ack.call_id().to_owned(), ack.cseq()), (path.clone(), bytes.clone()));
        Ok(path.send(bytes).await?)
    }

    pub(crate) fn via(&self, branch: &str) -> String {
        format!("SIP/2.0/{} {};branch={branch};rport", self.options().transport.via(), self.local())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().expect("no holder panics")
    }

    async fn on_response(&self, response: SipMessage) {
        let key = (response.branch().to_owned(), response.method().to_owned());
        let waiting = self.state().waiting.get(&key).cloned();
        if waiting.is_some_and(|sender| sender.try_send(response.clone()).is_ok()) {
            return;
        }
        let ack = self.state().acks.get(&(response.call_id().to_owned(), response.cseq())).cloned();
        if let (Some((path, bytes)), Some(200..=299), "INVITE") = (ack, response.status(), response.method()) {
            let _ = path.send(bytes).await;
        }
    }

    async fn on_request(&self, message: SipMessage, path: Path, others: &mpsc::Sender<IncomingRequest>) {
        let method = message.method().to_owned();
        if method == "ACK" {
            self.state().acked.insert((message.call_id().to_owned(), message.cseq()));
        } else if let Some(known) = self.note_request(&message) {
            if let Some(bytes) = known {
                let _ = path.send(bytes).await;
            }
            return;
        }
        let in_dialog = message.tag("To").is_some();
        let reader = self.state().dialogs.get(message.call_id()).cloned();
        let request = IncomingRequest { agent: self.clone(), message, path, tag: token() };
        if method == "CANCEL" {
            let _ = request.respond(200, "OK").await;
        }
        let reader = match reader {
            Some(reader) if !reader.is_closed() => reader,
            _ if in_dialog && method != "ACK" && method != "CANCEL" => {
                let _ = request.respond(481, "Call/Transaction Does Not Exist").await;
                return;
            }
            _ => others.clone(),
        };
        let _ = reader.try_send(request);
    }

    /// Notes a new server transaction; a known one gives what was answered so far.
    fn note_request(&self, message: &SipMessage) -> Option<Option<Vec<u8>>> {
        let key = (message.branch().to_owned(), message.method().to_owned());
        let mut state = self.state();
        if let Some(known) = state.answers.get(&key) {
            return Some(known.clone());
        }
        state.answers.insert(key.clone(), None);
        state.answer_order.push_back(key);
        if state.answer_order.len() > ANSWERS
            && let Some(oldest) = state.answer_order.pop_front()
        {
            state.answers.remove(&oldest);
        }
        None
    }
}

/// Sorts what arrives until the last clone of the agent is gone.
async fn dispatch(agent: Weak<Inner>, mut arrivals: mpsc::Receiver<Arrival>, others: mpsc::Sender<IncomingRequest>) {
    while let Some((message, path)) = arrivals.recv().await {
        let Some(inner) = agent.upgrade() else { return };
        let agent = Agent { inner };
        if message.status().is_some() {
            agent.on_response(message).await;
        } else {
            agent.on_request(message, path, &others).await;
        }
    }
}

/// RFC 3261 17.1.1.2: over UDP the INVITE interval doubles without the T2 ceiling that other requests have.
async fn retransmit(path: Path, bytes: Vec<u8>, invite: bool) {
    let mut interval = T1;
    let mut passed = Duration::ZERO;
    while passed < TRANSACTION {
        tokio::time::sleep(interval).await;
        passed += interval;
        interval = if invite { interval * 2 } else { (interval * 2).min(T2) };
        let _ = path.send(bytes.clone()).await;
    }
}

/// One request of ours and the responses to it.
pub(crate) struct ClientTransaction {
    agent: Agent,
    pub(crate) request: SipMessage,
    path: Path,
    key: Key,
    responses: mpsc::Receiver<SipMessage>,
    /// A response that was read and put back.
    unread: Option<SipMessage>,
    retransmission: Option<AbortHandle>,
}

impl ClientTransaction {
    /// The next response. A failure answer to an INVITE is acknowledged here.
    pub(crate) async fn next(&mut self, within: Duration) -> Result<SipMessage, Error> {
        if let Some(response) = self.unread.take() {
            return Ok(response);
        }
        let response = tokio::time::timeout(within, self.responses.recv())
            .await
            .map_err(|_| Error::Timeout(format!("response to {}", self.request.start_line)))?
            .ok_or(Error::Closed)?;
        let status = response.status().unwrap_or(0);
        let invite = self.key.1 == "INVITE";
        if invite || status >= 200 {
            self.stop_retransmission();
        }
        if invite && status >= 300 {
            let ack = self.request.acknowledging(&response);
            self.path.send(ack.to_bytes()).await?;
        }
        Ok(response)
    }

    /// Puts a response back, to be read again.
    pub(crate) fn put_back(&mut self, response: SipMessage) {
        self.unread = Some(response);
    }

    /// The final response.
    pub(crate) async fn final_response(&mut self) -> Result<SipMessage, Error> {
        loop {
            // An INVITE may ring for long; every provisional response starts the wait anew.
            let response = self.next(TRANSACTION + Duration::from_secs(28)).await?;
            if response.status().is_some_and(|status| status >= 200) {
                return Ok(response);
            }
        }
    }

    /// Cancels the request (RFC 3261 9.1: same branch, CSeq number, From, To, Call-ID).
    pub(crate) async fn cancel(&self) -> Result<(), Error> {
        let mut cancel = SipMessage::request("CANCEL", self.request.uri());
        for name in ["Via", "From", "To", "Call-ID", "Max-Forwards"] {
            cancel = cancel.with(name, self.request.header(name).unwrap_or(""));
        }
        for route in self.request.headers_named("Route") {
            cancel = cancel.with("Route", route);
        }
        let cancel = cancel.with("CSeq", format!("{} CANCEL", self.request.cseq()));
        let key = (cancel.branch().to_owned(), "CANCEL".to_owned());
        let (sender, responses) = mpsc::channel(QUEUE);
        self.agent.state().waiting.insert(key.clone(), sender);
        let (agent, path, bytes) = (self.agent.clone(), self.path.clone(), cancel.to_bytes());
        path.send(bytes.clone()).await?;
        let retransmission =
            (!path.is_reliable()).then(|| tokio::spawn(retransmit(path.clone(), bytes, false)).abort_handle());
        let mut transaction = Self { agent, request: cancel, path, key, responses, unread: None, retransmission };
        match transaction.final_response().await?.status() {
            // RFC 3261 9.2: 481 when the INVITE was answered already; the caller sees that answer.
            Some(200..=299 | 481) => Ok(()),
            other => Err(Error::Protocol(format!("CANCEL answered {other:?}"))),
        }
    }

    fn stop_retransmission(&mut self) {
        if let Some(task) = self.retransmission.take() {
            task.abort();
        }
    }
}

impl Drop for ClientTransaction {
    fn drop(&mut self) {
        self.stop_retransmission();
        self.agent.state().waiting.remove(&self.key);
    }
}

/// A request somebody sent to the agent.
pub struct IncomingRequest {
    /// The request.
    pub message: SipMessage,
    pub(crate) agent: Agent,
    pub(crate) tag: String,
    path: Path,
}

impl IncomingRequest {
    /// Answers without a body.
    pub async fn respond(&self, status: u16, reason: &str) -> Result<(), Error> {
        self.respond_with(self.response(status, reason)).await
    }

    /// The answer to be filled and given to [`IncomingRequest::respond_with`].
    pub fn response(&self, status: u16, reason: &str) -> SipMessage {
        SipMessage::response_to(&self.message, status, reason, &self.tag).with("Contact", self.agent.contact())
    }

    /// Sends an answer. A 2xx to an INVITE is repeated until its ACK comes (RFC 3261 13.3.1.4).
    pub async fn respond_with(&self, response: SipMessage) -> Result<(), Error> {
        let bytes = response.to_bytes();
        let key = (self.message.branch().to_owned(), self.message.method().to_owned());
        if let Some(answer) = self.agent.state().answers.get_mut(&key) {
            *answer = Some(bytes.clone());
        }
        let mut path = self.path.clone();
        if path.send(bytes.clone()).await.is_err() {
            // RFC 3261 18.2.2: its connection is no more, and another one is opened.
            path = self.agent.inner.sockets.path_to(self.agent.options().server).await?;
            path.send(bytes.clone()).await?;
        }
        if self.message.method() == "INVITE" && response.status().is_some_and(|status| (200..300).contains(&status)) {
            tokio::spawn(repeat_until_acked(self.agent.clone(), path, bytes, response));
        }
        Ok(())
    }
}

async fn repeat_until_acked(agent: Agent, path: Path, bytes: Vec<u8>, response: SipMessage) {
    let key = (response.call_id().to_owned(), response.cseq());
    let mut interval = T1;
    let mut passed = Duration::ZERO;
    while passed < TRANSACTION {
        tokio::time::sleep(interval).await;
        passed += interval;
        interval = (interval * 2).min(T2);
        if agent.state().acked.contains(&key) || path.send(bytes.clone()).await.is_err() {
            return;
        }
    }
}

/// A new branch (RFC 3261 8.1.1.7).
pub(crate) fn branch() -> String {
    format!("z9hG4bK{}", token())
}

/// A new random word.
pub(crate) fn token() -> String {
    format!("{:016x}", random())
}

/// A random number of the operating system.
pub(crate) fn random() -> u64 {
    use rand::{Rng as _, SeedableRng as _};
    rand::rngs::StdRng::from_os_rng().random()
}
