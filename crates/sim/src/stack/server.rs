//! Requests made to us (RFC 3261 17.2, 13.3.1.4, 9.2).

use std::net::SocketAddr;

use base::Duration;
use sip_api::{Method, NameAddr, Request, Response, ServerTransactionId, SipEvent};

use super::{Stack, T1, T1_64, T2, Timer};
use crate::wire::{Branch, Message};

/// A server transaction.
#[derive(Debug)]
pub(super) struct Server {
    request: Request,
    from: SocketAddr,
    branch: Branch,
    /// The response that answers a repeated request.
    last: Option<Response>,
    /// Final responses: one, or several 2xx when the INVITE was forked behind us.
    finals: Vec<Final>,
}

#[derive(Debug)]
struct Final {
    response: Response,
    acknowledged: bool,
}

/// Why a response cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RespondError {
    /// There is no such transaction.
    Unknown,
    /// It has its final response.
    Answered,
}

impl Stack {
    pub(super) fn on_request(&mut self, from: SocketAddr, branch: Branch, cancel: bool, request: Request) {
        if let Some(&known) = self.index.get(&(branch, cancel)) {
            let last = self.servers.get(&known).and_then(|server| server.last.clone());
            if let Some(response) = last {
                self.transmit(from, branch, Message::Response(response));
            }
            return;
        }
        let id = ServerTransactionId(self.allocate());
        self.index.insert((branch, cancel), id);
        let server = Server { request: request.clone(), from, branch, last: None, finals: Vec::new() };
        self.servers.insert(id, server);
        match request.method {
            Method::Cancel => return self.on_cancel(id, branch, &request),
            Method::Invite => self.provisional(id, Response::new(100)),
            _ => {}
        }
        let flow = self.flow(from);
        self.event(SipEvent::Request { transaction: id, request, flow, user: None });
    }

    fn on_cancel(&mut self, id: ServerTransactionId, branch: Branch, cancel: &Request) {
        let invite = self.index.get(&(branch, false)).copied();
        let known = invite.and_then(|invite| self.servers.get(&invite));
        let unanswered = known.is_some_and(|server| server.finals.is_empty());
        // A CANCEL may overtake its INVITE; whoever sent it repeats the INVITE and hears of the refusal later.
        let status = if known.is_some() { 200 } else { 481 };
        self.respond(id, Response::new(status)).expect("a new transaction has no final response");
        if let Some(transaction) = invite.filter(|_| unanswered) {
            let reason = cancel.headers.get_all("Reason").map(str::to_owned).collect();
            self.event(SipEvent::Cancelled { transaction, reason });
        }
    }

    pub(super) fn on_ack(&mut self, from: SocketAddr, branch: Branch, request: Request) {
        if let Some(server) = self.index.get(&(branch, false)).and_then(|id| self.servers.get_mut(id)) {
            // The ACK of a refusal shares the INVITE's branch and ends here.
            server.finals.iter_mut().for_each(|known| known.acknowledged = true);
            return;
        }
        let of_this = |server: &&mut Server| {
            server.request.method == Method::Invite
                && server.request.call_id() == request.call_id()
                && server.request.cseq() == request.cseq()
        };
        for server in self.servers.values_mut().filter(of_this) {
            let same = server.finals.iter_mut().filter(|known| known.response.to_tag() == request.to_tag());
            same.for_each(|known| known.acknowledged = true);
        }
        let flow = self.flow(from);
        self.event(SipEvent::Ack { request, flow });
    }

    /// Answers a request: provisional responses as many as wanted, one final.
    pub(crate) fn respond(&mut self, id: ServerTransactionId, response: Response) -> Result<(), RespondError> {
        let server = self.servers.get(&id).ok_or(RespondError::Unknown)?;
        if !server.finals.is_empty() {
            return Err(RespondError::Answered);
        }
        if response.is_provisional() {
            self.provisional(id, response);
        } else {
            self.finish(id, response);
        }
        Ok(())
    }

    /// A further 2xx under another tag, as a fork behind us would send it.
    pub(crate) fn respond_again(&mut self, id: ServerTransactionId, response: Response) {
        self.finish(id, response);
    }

    /// Requests that have no final response.
    pub(crate) fn unanswered(&self) -> impl Iterator<Item = (ServerTransactionId, &Request)> {
        self.servers.iter().filter(|(_, server)| server.finals.is_empty()).map(|(id, server)| (*id, &server.request))
    }

    fn provisional(&mut self, id: ServerTransactionId, response: Response) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let response = complete(&server.request, id, response);
        server.last = Some(response.clone());
        let (from, branch) = (server.from, server.branch);
        self.transmit(from, branch, Message::Response(response));
    }

    fn finish(&mut self, id: ServerTransactionId, response: Response) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let response = complete(&server.request, id, response);
        let (nth, invite) = (server.finals.len(), server.request.method == Method::Invite);
        server.last = Some(response.clone());
        server.finals.push(Final { response: response.clone(), acknowledged: false });
        let (from, branch) = (server.from, server.branch);
        self.transmit(from, branch, Message::Response(response));
        if invite {
            self.wake(T1, Timer::Repeat(id, nth, T1));
            self.wake(T1_64, Timer::AckMissing(id, nth));
        }
        self.wake(T1_64 + T1, Timer::ForgetServer(id));
    }

    pub(super) fn repeat(&mut self, id: ServerTransactionId, nth: usize, interval: Duration) {
        let Some(server) = self.servers.get(&id) else { return };
        let Some(known) = server.finals.get(nth).filter(|known| !known.acknowledged) else { return };
        let (from, branch, response) = (server.from, server.branch, known.response.clone());
        self.transmit(from, branch, Message::Response(response));
        let next = (interval * 2).min(T2);
        self.wake(next, Timer::Repeat(id, nth, next));
    }

    pub(super) fn ack_missing(&mut self, id: ServerTransactionId, nth: usize) {
        let waiting = self.servers.get_mut(&id).and_then(|server| server.finals.get_mut(nth));
        let Some(known) = waiting.filter(|known| !known.acknowledged) else { return };
        let success = known.response.is_success();
        known.acknowledged = true;
        if success {
            self.event(SipEvent::AckMissing { transaction: id });
        }
    }

    pub(super) fn forget_server(&mut self, id: ServerTransactionId) {
        if let Some(server) = self.servers.remove(&id) {
            self.index.remove(&(server.branch, server.request.method == Method::Cancel));
        }
    }
}

/// A response with the headers of its request (RFC 3261 8.2.6.2) and a To tag.
fn complete(request: &Request, id: ServerTransactionId, mut response: Response) -> Response {
    for name in ["From", "Call-ID", "CSeq"] {
        response.headers.set(name, request.headers.get(name).unwrap_or("").to_owned());
    }
    if response.headers.get("To").is_none() {
        let to = request.headers.get("To").unwrap_or("");
        let tagged = NameAddr::parse(to).ok().map(|to| match to.tag() {
            None if response.status != 100 => to.with_tag(&format!("edge{}", id.0)),
            _ => to,
        });
        response.headers.push("To", tagged.map_or_else(|| to.to_owned(), |to| to.to_string()));
    }
    response
}
