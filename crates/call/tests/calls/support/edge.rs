//! A small SIP edge in virtual time: transactions with retransmission over a network that delays, drops, doubles and
//! reorders. It holds the machine to the contract of `sip_api`: each transaction gets exactly one final response.

use std::collections::{BTreeMap, BTreeSet};

use base::{Duration, Timestamp};
use sip_api::{
    ClientFailure, ClientTransactionId, Method, Request, Response, ServerTransactionId, SipCommand, SipEvent,
};

use super::flow;

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
const T1_64: Duration = Duration::from_secs(32);

/// What travels; the branch identifies the transaction.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Request { branch: String, request: Request },
    Response { branch: String, method: Method, response: Response },
}

#[derive(Debug)]
struct Client {
    request: Request,
    answered: bool,
    finished: bool,
    cancel: Cancel,
    resend: Option<(Timestamp, Duration)>,
    deadline: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

#[derive(Debug)]
struct Server {
    branch: String,
    request: Request,
    last: Option<Response>,
    acknowledged: bool,
    resend: Option<(Timestamp, Duration)>,
    deadline: Option<Timestamp>,
}

/// One node's edge.
#[derive(Debug)]
pub(crate) struct Edge {
    name: &'static str,
    clients: BTreeMap<ClientTransactionId, Client>,
    servers: BTreeMap<ServerTransactionId, Server>,
    by_branch: BTreeMap<(String, String), ServerTransactionId>,
    next_server: u64,
    /// What goes out on the network.
    pub(crate) out: Vec<Wire>,
    /// What goes up to the machine.
    pub(crate) up: Vec<SipEvent>,
    /// 2xx responses to INVITE delivered to the machine, and ACKs it sent, by Call-ID, To tag and number.
    answers: BTreeMap<(String, String, u32), usize>,
    acks: BTreeMap<(String, String, u32), usize>,
    used: BTreeSet<ClientTransactionId>,
}

impl Edge {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            clients: BTreeMap::new(),
            servers: BTreeMap::new(),
            by_branch: BTreeMap::new(),
            next_server: 0,
            out: Vec::new(),
            up: Vec::new(),
            answers: BTreeMap::new(),
            acks: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// A command of the machine.
    pub(crate) fn command(&mut self, now: Timestamp, command: SipCommand) {
        match command {
            SipCommand::Respond { transaction, response } => self.respond(now, transaction, response),
            SipCommand::Challenge { transaction } => self.respond(now, transaction, Response::new(401)),
            SipCommand::Send { transaction, request, .. } => self.send(now, transaction, request),
            SipCommand::SendAck { request, .. } => {
                *self.acks.entry(key(&request)).or_default() += 1;
                self.out.push(Wire::Request { branch: String::new(), request });
            }
            SipCommand::SendUnanswered { request, .. } => {
                self.out.push(Wire::Request { branch: String::new(), request });
            }
            SipCommand::Cancel { transaction, .. } => self.cancel(now, transaction),
        }
    }

    fn branch(&self, id: ClientTransactionId) -> String {
        format!("{}{}", self.name, id.0)
    }

    fn send(&mut self, now: Timestamp, id: ClientTransactionId, request: Request) {
        assert!(self.used.insert(id), "{id:?} used twice");
        let client = Client {
            request: request.clone(),
            answered: false,
            finished: false,
            cancel: Cancel::No,
            resend: Some((now + T1, T1)),
            deadline: Some(now + T1_64),
        };
        self.clients.insert(id, client);
        self.out.push(Wire::Request { branch: self.branch(id), request });
    }

    fn cancel(&mut self, now: Timestamp, id: ClientTransactionId) {
        let branch = self.branch(id);
        let Some(client) = self.clients.get_mut(&id).filter(|client| !client.finished) else { return };
        if !client.answered {
            client.cancel = Cancel::Wanted;
            return;
        }
        client.cancel = Cancel::Sent;
        client.resend = Some((now + T1, T1));
        client.deadline = Some(now + T1_64);
        let mut request = client.request.clone();
        request.method = Method::Cancel;
        self.out.push(Wire::Request { branch, request });
    }

    fn respond(&mut self, now: Timestamp, id: ServerTransactionId, mut response: Response) {
        let server = self.servers.get_mut(&id).unwrap_or_else(|| panic!("{id:?} does not exist"));
        let done = server.last.as_ref().is_some_and(|last| !last.is_provisional());
        assert!(!done, "{id:?} has a final response already; then came {}", response.status);
        if response.headers.get("To").is_none() {
            response.headers.push("To", server.request.headers.get("To").unwrap_or(""));
        }
        server.last = Some(response.clone());
        if server.request.method == Method::Invite && !response.is_provisional() {
            server.resend = Some((now + T1, T1));
            server.deadline = Some(now + T1_64);
        }
        let (branch, method) = (server.branch.clone(), server.request.method.clone());
        self.out.push(Wire::Response { branch, method, response });
    }

    /// Something came from the network.
    pub(crate) fn receive(&mut self, now: Timestamp, wire: Wire) {
        match wire {
            Wire::Request { request, .. } if request.method == Method::Ack => self.receive_ack(request),
            Wire::Request { branch, request } if request.method == Method::Cancel => self.receive_cancel(branch),
            Wire::Request { branch, request } => self.receive_request(branch, request),
            Wire::Response { branch, method, response } => self.receive_response(now, &branch, &method, response),
        }
    }

    fn receive_ack(&mut self, request: Request) {
        let acknowledged = self.servers.values_mut().find(|server| {
            server.request.method == Method::Invite
                && server.request.call_id() == request.call_id()
                && server.request.cseq() == request.cseq()
                && server.request.from_tag() == request.from_tag()
        });
        let Some(server) = acknowledged else { return };
        server.acknowledged = true;
        server.resend = None;
        server.deadline = None;
        if server.last.as_ref().is_some_and(Response::is_success) {
            self.up.push(SipEvent::Ack { request, flow: flow() });
        }
    }

    fn receive_cancel(&mut self, branch: String) {
        let Some(id) = self.by_branch.get(&(branch.clone(), "INVITE".to_owned())) else { return };
        let server = &self.servers[id];
        let pending = server.last.as_ref().is_none_or(Response::is_provisional);
        let transaction = *id;
        self.out.push(Wire::Response { branch, method: Method::Cancel, response: Response::new(200) });
        if pending {
            self.up.push(SipEvent::Cancelled { transaction, reason: Vec::new() });
        }
    }

    fn receive_request(&mut self, branch: String, request: Request) {
        let key = (branch.clone(), request.method.to_string());
        if let Some(id) = self.by_branch.get(&key) {
            let server = &self.servers[id];
            if let Some(response) = server.last.clone() {
                self.out.push(Wire::Response { branch, method: request.method, response });
            }
            return;
        }
        self.next_server += 1;
        let transaction = ServerTransactionId(self.next_server);
        let trying = (request.method == Method::Invite).then(|| Response::new(100));
        if let Some(response) = trying.clone() {
            self.out.push(Wire::Response { branch: branch.clone(), method: Method::Invite, response });
        }
        let server = Server {
            branch,
            request: request.clone(),
            last: trying,
            acknowledged: false,
            resend: None,
            deadline: None,
        };
        self.servers.insert(transaction, server);
        self.by_branch.insert(key, transaction);
        self.up.push(SipEvent::Request { transaction, request, flow: flow(), user: None });
    }

    fn receive_response(&mut self, now: Timestamp, branch: &str, method: &Method, response: Response) {
        let Some(id) = branch.strip_prefix(self.name).and_then(|id| id.parse().ok()).map(ClientTransactionId) else {
            return;
        };
        let Some(client) = self.clients.get_mut(&id) else { return };
        if *method == Method::Cancel {
            client.resend = None;
            return;
        }
        let (invite, was_final) = (client.request.method == Method::Invite, client.finished);
        if response.is_provisional() {
            if was_final {
                return;
            }
            if invite {
                client.answered = true;
                client.deadline = if client.cancel == Cancel::Sent { client.deadline } else { None };
                client.resend = if client.cancel == Cancel::Sent { client.resend } else { None };
            }
            let wanted = client.cancel == Cancel::Wanted;
            self.up.push(SipEvent::Response { transaction: id, response, flow: flow() });
            if wanted {
                self.cancel(now, id);
            }
            return;
        }
        if invite && !response.is_success() {
            let mut request = client.request.clone();
            request.method = Method::Ack;
            self.out.push(Wire::Request { branch: branch.to_owned(), request });
        }
        if was_final && !(invite && response.is_success()) {
            return;
        }
        client.finished = true;
        client.resend = None;
        client.deadline = None;
        if invite && response.is_success() {
            let tag = response.to_tag().unwrap_or_default();
            let number = client.request.cseq().unwrap_or(0);
            *self.answers.entry((client.request.call_id().to_owned(), tag, number)).or_default() += 1;
        }
        self.up.push(SipEvent::Response { transaction: id, response, flow: flow() });
    }

    /// When something is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        let clients = self.clients.values().flat_map(|client| [client.resend.map(|(at, _)| at), client.deadline]);
        let servers = self.servers.values().flat_map(|server| [server.resend.map(|(at, _)| at), server.deadline]);
        clients.chain(servers).flatten().min()
    }

    /// Retransmits, and gives up.
    pub(crate) fn fire(&mut self, now: Timestamp) {
        let clients: Vec<ClientTransactionId> = self.clients.keys().copied().collect();
        for id in clients {
            self.fire_client(now, id);
        }
        for (id, server) in &mut self.servers {
            if let Some((_, interval)) = server.resend.filter(|(at, _)| *at <= now) {
                let interval = (interval * 2).min(T2);
                server.resend = Some((now + interval, interval));
                let response = server.last.clone().expect("a final response is retransmitted");
                let (branch, method) = (server.branch.clone(), server.request.method.clone());
                self.out.push(Wire::Response { branch, method, response });
            }
            if server.deadline.is_some_and(|at| at <= now) {
                (server.deadline, server.resend) = (None, None);
                if server.last.as_ref().is_some_and(Response::is_success) {
                    self.up.push(SipEvent::AckMissing { transaction: *id });
                }
            }
        }
    }

    fn fire_client(&mut self, now: Timestamp, id: ClientTransactionId) {
        let branch = self.branch(id);
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.deadline.is_some_and(|at| at <= now) {
            (client.deadline, client.resend, client.finished) = (None, None, true);
            self.up.push(SipEvent::Failed { transaction: id, failure: ClientFailure::Timeout });
            return;
        }
        if let Some((_, interval)) = client.resend.filter(|(at, _)| *at <= now) {
            let interval = interval * 2;
            client.resend = Some((now + interval, interval));
            let mut request = client.request.clone();
            if client.cancel == Cancel::Sent {
                request.method = Method::Cancel;
            }
            self.out.push(Wire::Request { branch, request });
        }
    }

    /// Every request got its final response, every delivered 2xx its ACK.
    pub(crate) fn check_drained(&self) {
        for (id, server) in &self.servers {
            let done = server.last.as_ref().is_some_and(|last| !last.is_provisional());
            assert!(done, "{} {id:?} never got a final response: {:?}", self.name, server.request);
        }
        for (answer, count) in &self.answers {
            let acks = self.acks.get(answer).copied().unwrap_or(0);
            assert_eq!(acks, *count, "{} 2xx and ACKs of {answer:?}", self.name);
        }
    }
}

fn key(ack: &Request) -> (String, String, u32) {
    (ack.call_id().to_owned(), ack.to_tag().unwrap_or_default(), ack.cseq().unwrap_or(0))
}
