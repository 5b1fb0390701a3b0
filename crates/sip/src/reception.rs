//! What happens to everything that comes in, in this order: the checks, the source's rate limit, the transaction it
//! may belong to, overload, identity, and then either the edge's own answer (OPTIONS, REGISTER) or an event.

use std::collections::HashSet;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use base::{Timestamp, UserUri};
use bytes::Bytes;
use sip_api::{ACCEPT, ALLOW, Method, Response, SUPPORTED, SipCommand, SipEvent, SipUri, Transport};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use crate::config::SipConfig;
use crate::counters::{CounterSnapshot, Counters, DropReason, RejectReason};
use crate::credentials::Credentials;
use crate::digest::{Algorithms, Authenticator, Proof};
use crate::hygiene;
use crate::message::{
    Checker, Garbage, Incoming, Message, Rejection, ReplyHead, Verdict, Via, parse_datagram, response_bytes,
};
use crate::notice::Notices;
use crate::registrar::Registrar;
use crate::registration::{Registration, RegistrationKeeper, Registrations};
use crate::secret::Secret;
use crate::stack::{Matcher, Stack};
use crate::throttle::{Buckets, Guesses};
use crate::transport::{Hub, Inbound, Link, hop_of};

/// When a refused caller may come again, in seconds: long enough to let a queue run empty.
const RETRY_AFTER: &str = "5";

/// Connections to devices of an earlier process that are tried at once.
const RECONNECTING: usize = 32;

/// The edge's rules, between the transports and the transactions.
pub(crate) struct Reception {
    config: SipConfig,
    checker: Checker,
    authenticator: Authenticator,
    secret: Arc<Secret>,
    registrar: Mutex<Registrar>,
    /// Users whose devices have changed and who are still to be told of.
    changed: Mutex<HashSet<UserUri>>,
    /// Users whose registrations are still to be kept as they are now.
    unkept: Mutex<HashSet<UserUri>>,
    keeper: OnceLock<Arc<dyn RegistrationKeeper>>,
    /// Rung when `changed` or the next expiry is another.
    bell: Notify,
    buckets: Mutex<Buckets>,
    /// Sources that were noted in the log lately for too many wrong passwords.
    locked_out: Mutex<Notices>,
    stack: Arc<Stack>,
    hub: Arc<Hub>,
    events: mpsc::Sender<SipEvent>,
    counters: Arc<Counters>,
    started: Instant,
}

impl Reception {
    /// A reception over these sockets.
    pub(crate) fn new(
        config: SipConfig,
        credentials: Arc<dyn Credentials>,
        hub: Arc<Hub>,
        events: mpsc::Sender<SipEvent>,
        counters: Arc<Counters>,
    ) -> Arc<Self> {
        let secret = Arc::new(Secret::draw());
        let stack = Stack::new(&config, hub.clone(), events.clone(), counters.clone());
        Arc::new(Self {
            checker: Checker::new(&config.limits),
            authenticator: Authenticator::new(&config.realm, secret.clone(), credentials, config.guesses),
            secret,
            registrar: Mutex::new(Registrar::new(config.registration, config.limits.bindings_per_user)),
            changed: Mutex::default(),
            unkept: Mutex::default(),
            keeper: OnceLock::new(),
            bell: Notify::new(),
            buckets: Mutex::new(Buckets::new(config.unauthenticated_rate)),
            locked_out: Mutex::default(),
            stack,
            hub,
            events,
            counters,
            started: Instant::now(),
            config,
        })
    }

    /// Starts the transactions' timers and the registrar's; they end when the hub stops.
    pub(crate) fn run(self: &Arc<Self>, registrations: Registrations) {
        self.stack.run();
        if let Some(keeper) = registrations.keeper {
            let _set_once = self.keeper.set(keeper);
        }
        let lost = self.restore(registrations.kept);
        let reception = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                biased;
                // When we close the connections ourselves, their devices are not to be forgotten.
                () = reception.hub.stopped() => {}
                () = reception.keep_register() => {}
            }
        });
        let reception = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = reception.reconnect(lost) => {}
                () = reception.hub.stopped() => {}
            }
        });
    }

    /// Takes back the devices that need no connection, and tells of them before anything else. Gives those that do.
    fn restore(&self, kept: Vec<Registration>) -> Vec<Registration> {
        let by_datagrams = |kept: &Registration| kept.binding.flow.transport == Transport::Udp;
        let (reachable, lost): (Vec<_>, Vec<_>) = kept.into_iter().partition(by_datagrams);
        let mut users = HashSet::new();
        for kept in reachable {
            let user = kept.user.clone();
            if lock(&self.registrar).restore(self.now(), Timestamp::ZERO, kept) {
                users.insert(user);
            }
        }
        for user in users {
            let bindings = lock(&self.registrar).bindings(&user);
            if self.events.try_send(SipEvent::BindingsChanged { user: user.clone(), bindings }).is_err() {
                lock(&self.changed).insert(user);
            }
        }
        lost
    }

    /// Tries to reach the devices whose connection ended with an earlier process, and forgets those it cannot.
    async fn reconnect(self: &Arc<Self>, lost: Vec<Registration>) {
        let mut attempts = JoinSet::new();
        for device in lost {
            if attempts.len() >= RECONNECTING {
                attempts.join_next().await;
            }
            let reception = self.clone();
            attempts.spawn(async move { reception.reconnect_one(device).await });
        }
        while attempts.join_next().await.is_some() {}
    }

    async fn reconnect_one(&self, mut device: Registration) {
        let user = device.user.clone();
        match self.link_to_device(&device).await {
            Some(link) => {
                device.binding.flow = link.flow();
                if lock(&self.registrar).restore(self.now(), Timestamp::ZERO, device) {
                    lock(&self.changed).insert(user.clone());
                }
            }
            None => tracing::info!(
                transport = device.binding.flow.transport.as_str(),
                "a device cannot be reached after the restart until it registers again"
            ),
        }
        self.registration_changed(user);
    }

    /// A connection to a device, if it is where it registered from: behind address translation its Contact may name
    /// another host of ours, and a proxy (RFC 3327) is reached by the name it gave.
    async fn link_to_device(&self, device: &Registration) -> Option<Link> {
        let binding = &device.binding;
        let mut hop = hop_of(binding.path.first().map_or(&binding.contact, |path| &path.uri))?;
        hop.transport = Some(binding.flow.transport);
        let is_there =
            !binding.path.is_empty() || hop.address().is_some_and(|address| address.ip() == binding.flow.remote.ip());
        if !is_there {
            return None;
        }
        self.hub.link_to(&hop).await
    }

    /// Carries out a command of the control side.
    pub(crate) fn handle(&self, command: SipCommand) {
        match command {
            SipCommand::Respond { transaction, response } => self.stack.respond(transaction, &response),
            SipCommand::Challenge { transaction } => {
                self.counters.rejected(RejectReason::Unauthorized);
                if let Some((source, algorithms)) = self.stack.asker(transaction) {
                    self.stack.respond(transaction, &self.challenge(source, false, algorithms));
                }
            }
            SipCommand::Send { transaction, request, flow } => self.stack.send(transaction, request, flow),
            SipCommand::SendAck { request, flow } | SipCommand::SendUnanswered { request, flow } => {
                self.stack.send_unanswered(request, flow);
            }
            SipCommand::Cancel { transaction, reason } => self.stack.cancel(transaction, reason),
        }
    }

    /// The counters and the sizes of the tables.
    pub(crate) fn snapshot(&self) -> CounterSnapshot {
        CounterSnapshot {
            transactions: self.stack.len() as u64,
            connections: self.hub.connections() as u64,
            bindings: lock(&self.registrar).len() as u64,
            ..self.counters.snapshot()
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Checks a message and finds the one who deals with it.
    fn sort(&self, message: &Message, size: usize, link: &Link) {
        match self.checker.check(message, size) {
            Verdict::Drop(reason) => self.counters.dropped(reason),
            Verdict::Response(response) => {
                if !self.stack.response(&response, message.raw.clone(), link) {
                    self.counters.dropped(DropReason::UnmatchedResponse);
                }
            }
            Verdict::Reject(rejection, via) => {
                if self.may_speak(link) {
                    self.refuse(message, via, &rejection, link);
                }
            }
            Verdict::Request(incoming) => self.request(*incoming, &message.raw, link),
        }
    }

    fn request(&self, mut incoming: Incoming, letter: &Bytes, link: &Link) {
        match incoming.request.method {
            Method::Ack => {
                if !self.stack.ack(&incoming, letter.clone(), link) {
                    self.counters.dropped(DropReason::UnmatchedAck);
                }
                return;
            }
            Method::Cancel => return self.cancel(&incoming, letter, link),
            _ => {}
        }
        let Some(matcher) = Matcher::of(&incoming) else { return self.counters.dropped(DropReason::Garbage) };
        if self.stack.absorbs(&matcher, letter, link) {
            return;
        }
        if !self.may_speak(link) {
            return;
        }
        if self.stack.is_full() || self.events.capacity() == 0 {
            return self.answer(&incoming, RejectReason::Overload, overloaded(), link);
        }
        if is_for_us(&incoming) {
            return self.reply(&incoming, &capabilities(), link);
        }
        let user = match self.identify(&incoming, link) {
            Ok(user) => user,
            Err((reason, response)) => return self.answer(&incoming, reason, response, link),
        };
        if incoming.request.method == Method::Register {
            return self.register(&incoming, matcher, user, link);
        }
        let trusted = self.trusts(link);
        if !trusted && self.holds_too_much(&incoming, link) {
            return self.answer(&incoming, RejectReason::Overload, overloaded(), link);
        }
        hygiene::strip(&mut incoming.request.headers, trusted);
        let transaction = self.stack.open(&incoming, matcher, link, trusted);
        let event = SipEvent::Request { transaction, request: incoming.request, flow: link.flow(), user };
        if self.events.try_send(event).is_err() {
            self.counters.rejected(RejectReason::Overload);
            self.stack.respond(transaction, &overloaded());
        }
    }

    fn cancel(&self, incoming: &Incoming, letter: &Bytes, link: &Link) {
        match self.stack.cancel_received(incoming, letter.clone(), link) {
            Some(tag) => self.reply_with_tag(incoming, &Response::new(200), &tag, link),
            None if !self.may_speak(link) => {}
            None => self.answer(incoming, RejectReason::NoTransaction, Response::new(481), link),
        }
    }

    /// Takes one of the source's tokens. Trusted peers need none.
    fn may_speak(&self, link: &Link) -> bool {
        let source = link.flow().remote.ip();
        let may = self.trusts(link) || lock(&self.buckets).take(self.now(), source);
        if !may {
            self.counters.dropped(DropReason::RateLimited);
        }
        may
    }

    /// Whether this is one call too many that its source has begun and not finished beginning.
    fn holds_too_much(&self, incoming: &Incoming, link: &Link) -> bool {
        incoming.request.method == Method::Invite
            && incoming.to.tag.is_none()
            && self.stack.pending(link.flow().remote.ip()) >= self.config.limits.pending_invites_per_source
    }

    fn trusts(&self, link: &Link) -> bool {
        self.config.trusted_peers.contains(&link.flow().remote.ip())
            || link
                .names()
                .iter()
                .any(|name| self.config.trusted_names.iter().any(|other| other.eq_ignore_ascii_case(name)))
    }

    /// Who proves by this request to be whom; the error is the refusal.
    fn identify(&self, incoming: &Incoming, link: &Link) -> Result<Option<UserUri>, (RejectReason, Response)> {
        let source = link.flow().remote.ip();
        let request = &incoming.request;
        let from = incoming.from.uri.as_ref().and_then(|uri| self.account(uri, link));
        let proof = self.authenticator.verify(self.now(), source, request.method.as_str(), &request.headers);
        match proof {
            Proof::None => {
                // A certificate names its owner; he may also speak for somebody else, but then without proof.
                let owner = |from: &UserUri| link.names().iter().any(|name| name == from.as_str());
                Ok(from.filter(owner))
            }
            Proof::Right(name) => {
                lock(&self.buckets).give_back(source);
                // Inside a dialog From says what the call's two ends were named when it began: a device that rings for
                // somebody else answers in his name. There the control side knows whose dialog it is.
                let claimed = match incoming.to.tag {
                    Some(_) => UserUri::parse(&format!("sip:{name}@{}", self.config.realm)).ok(),
                    None => from.filter(|from| from.user_part() == name),
                };
                match claimed {
                    Some(user) => Ok(Some(user)),
                    None => Err((RejectReason::ForeignIdentity, refusal(403, "From is another user"))),
                }
            }
            Proof::Stale => {
                Err((RejectReason::Unauthorized, self.challenge(source, true, Algorithms::of_sender(&request.headers))))
            }
            Proof::Wrong => {
                self.counters.authentication_failed();
                Err((
                    RejectReason::Unauthorized,
                    self.challenge(source, false, Algorithms::of_sender(&request.headers)),
                ))
            }
            Proof::Throttled => {
                if lock(&self.locked_out).is_due(Instant::now(), source) {
                    let (from, guesses) = (from.as_ref().map_or("", UserUri::as_str), self.config.guesses);
                    tracing::warn!(%source, from, "refused for ten minutes after {guesses} wrong passwords");
                }
                let wait = Guesses::WINDOW.as_secs().to_string();
                let response = refusal(403, "Too many attempts").with_header("Retry-After", wait);
                Err((RejectReason::Throttled, response))
            }
        }
    }

    /// The user of our domain that a URI means: `sip:NAME@realm`, whichever of our hosts it names.
    fn account(&self, uri: &SipUri, link: &Link) -> Option<UserUri> {
        let ours = |host: &str| {
            let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
            host.eq_ignore_ascii_case(&self.config.realm)
                || self.config.domains.iter().any(|domain| domain.eq_ignore_ascii_case(host))
                || address.is_some_and(|address| {
                    address == link.flow().local.ip()
                        || self.hub.addresses().any(|listen| listen.address.ip() == address)
                })
        };
        let user = uri.user.as_deref().filter(|_| ours(&uri.host))?;
        UserUri::parse(&format!("sip:{user}@{}", self.config.realm)).ok()
    }

    fn register(&self, incoming: &Incoming, matcher: Matcher, user: Option<UserUri>, link: &Link) {
        let Some(owner) = incoming.to.uri.as_ref().and_then(|uri| self.account(uri, link)) else {
            // RFC 3261 10.3, step 5. It tells of our domain, which is no secret, and not of our users.
            return self.answer(incoming, RejectReason::UnknownDomain, Response::new(404), link);
        };
        let Some(user) = user else {
            let algorithms = Algorithms::of_sender(&incoming.request.headers);
            let challenge = self.challenge(link.flow().remote.ip(), false, algorithms);
            return self.answer(incoming, RejectReason::Unauthorized, challenge, link);
        };
        if user != owner {
            let response = refusal(403, "To is another user");
            return self.answer(incoming, RejectReason::ForeignIdentity, response, link);
        }
        // In a transaction, so that a retransmission is not taken for a replay of its credentials.
        let transaction = self.stack.open(incoming, matcher, link, false);
        let (response, changed) = lock(&self.registrar).register(self.now(), &user, &incoming.request, link.flow());
        match response.status {
            200 => self.counters.registered(),
            _ => self.counters.rejected(RejectReason::Registration),
        }
        self.stack.respond(transaction, &response);
        if changed {
            lock(&self.changed).insert(user.clone());
        }
        self.registration_changed(user);
    }

    /// Something about a user's registrations is another, if only when they expire.
    fn registration_changed(&self, user: UserUri) {
        if self.keeper.get().is_some() {
            lock(&self.unkept).insert(user);
        }
        self.bell.notify_one();
    }

    /// Tells the control side of changes, has them kept, and forgets what expires. One task, so that the last word on a
    /// user is the last one sent.
    async fn keep_register(&self) {
        loop {
            let expired = lock(&self.registrar).expire(self.now());
            lock(&self.unkept).extend(expired.iter().cloned());
            lock(&self.changed).extend(expired);
            let unkept = std::mem::take(&mut *lock(&self.unkept));
            for user in unkept {
                let devices = lock(&self.registrar).registrations(self.now(), &user);
                if let Some(keeper) = self.keeper.get() {
                    keeper.keep(&user, devices);
                }
            }
            let changed = std::mem::take(&mut *lock(&self.changed));
            for user in changed {
                let bindings = lock(&self.registrar).bindings(&user);
                let _gone = self.events.send(SipEvent::BindingsChanged { user, bindings }).await;
            }
            let next = lock(&self.registrar).next_expiry();
            let wait = next.map_or(std::time::Duration::from_secs(3600), |next| next.since(self.now()));
            // Rounded up: a timer that fires early would only spin.
            let wait = wait + std::time::Duration::from_millis(1);
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn challenge(&self, source: IpAddr, stale: bool, algorithms: Algorithms) -> Response {
        let challenges = self.authenticator.challenges(self.now(), source, stale, algorithms);
        challenges
            .into_iter()
            .fold(Response::new(401), |response, value| response.with_header("WWW-Authenticate", value))
    }

    /// Answers with an error, without state.
    fn answer(&self, incoming: &Incoming, reason: RejectReason, response: Response, link: &Link) {
        self.counters.rejected(reason);
        self.reply(incoming, &response, link);
    }

    fn reply(&self, incoming: &Incoming, response: &Response, link: &Link) {
        // RFC 3261 8.2.7: without state the tag must come out the same each time.
        let headers = &incoming.request.headers;
        let branch = incoming.via.branch().unwrap_or("");
        let cseq = headers.get("CSeq").unwrap_or("");
        let tag = self.secret.seal(&["tag", branch, incoming.request.call_id(), cseq]);
        self.reply_with_tag(incoming, response, &tag, link);
    }

    fn reply_with_tag(&self, incoming: &Incoming, response: &Response, tag: &str, link: &Link) {
        let source = link.flow().remote;
        let mut via = incoming.via.clone();
        via.note_source(source);
        let head = ReplyHead::new(&incoming.request.headers, Some(&via));
        let bytes = response_bytes(&head, response, tag, &self.config.server_name);
        link.answering_at(incoming.via.reply_address(source)).send(bytes);
    }

    /// Answers a request that broke a rule; parts of it may be missing.
    fn refuse(&self, message: &Message, via: Option<Via>, rejection: &Rejection, link: &Link) {
        self.counters.rejected(rejection.reason);
        let source = link.flow().remote;
        let to = via.as_ref().map_or(source, |via| via.reply_address(source));
        let via = via.map(|mut via| {
            via.note_source(source);
            via
        });
        let head = ReplyHead::new(&message.headers, via.as_ref());
        let call_id = message.headers.get("Call-ID").unwrap_or("");
        let tag = self.secret.seal(&["tag", call_id, message.headers.get("CSeq").unwrap_or("")]);
        let bytes = response_bytes(&head, &rejection.response, &tag, &self.config.server_name);
        link.answering_at(to).send(bytes);
    }

    /// Runs `work`; a panic in it is counted and ends nothing else (reliability.md 1.3).
    fn guarded(&self, work: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(work)).is_err() {
            self.counters.dropped(DropReason::Panic);
            tracing::error!("the handling of a message panicked");
        }
    }
}

impl Inbound for Reception {
    fn datagram(&self, bytes: &Bytes, link: &Link) {
        self.counters.received();
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | b'\0' | b' ')) {
            self.counters.dropped(DropReason::KeepAlive);
            if bytes.as_ref() == b"\r\n\r\n" {
                link.send(Bytes::from_static(b"\r\n"));
            }
            return;
        }
        self.guarded(|| match parse_datagram(bytes) {
            Ok(message) => self.sort(&message, bytes.len(), link),
            Err(Garbage) => self.counters.dropped(DropReason::Garbage),
        });
    }

    fn message(&self, message: Message, size: usize, link: &Link) {
        self.counters.received();
        self.guarded(|| self.sort(&message, size, link));
    }

    fn closed(&self, link: &Link) {
        self.stack.closed(link);
        let changed = lock(&self.registrar).connection_closed(&link.flow());
        lock(&self.changed).extend(changed.iter().cloned());
        changed.into_iter().for_each(|user| self.registration_changed(user));
    }
}

/// Whether the server itself is asked what it can do (RFC 3261 11.2), not one of its users.
fn is_for_us(incoming: &Incoming) -> bool {
    incoming.request.method == Method::Options
        && incoming.to.tag.is_none()
        && (incoming.request.uri.user.is_none() || incoming.last_hop)
}

fn capabilities() -> Response {
    Response::new(200).with_header("Allow", ALLOW).with_header("Accept", ACCEPT).with_header("Supported", SUPPORTED)
}

fn overloaded() -> Response {
    Response::new(503).with_header("Retry-After", RETRY_AFTER)
}

fn refusal(status: u16, phrase: &str) -> Response {
    let mut response = Response::new(status);
    response.reason = phrase.to_owned();
    response
}

/// A panic while a table was locked has been counted; the table is still sound, because its methods change it last.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
