//! Requests we make (RFC 3261 17.1, 9.1).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use base::Duration;
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, Response, SipEvent};

use super::{Stack, T1, T1_64, T2, TIMER_C, Timer};
use crate::wire::{Branch, Message};

/// A client transaction. A CANCEL has the number of its INVITE, and is heard of by nobody.
#[derive(Debug)]
pub(super) struct Client {
    id: ClientTransactionId,
    request: Request,
    to: SocketAddr,
    state: State,
    cancel: Cancel,
    /// It was to be cancelled before any response had come.
    deaf: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No response yet.
    Trying,
    /// A provisional response.
    Proceeding,
    /// A final response; repeated ones are absorbed or, if 2xx to INVITE, handed on.
    Over,
}

/// How far the wish to cancel an INVITE has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cancel {
    NotWanted,
    /// It waits for a provisional response (RFC 3261 9.1).
    Wanted(Vec<String>),
    Sent,
}

/// The branch of an INVITE follows from what no other INVITE has: the next process sends the same one again as a
/// retransmission (crate `sip`, `stack::client`).
fn branch_of_invite(invite: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    (invite.call_id(), invite.from_tag(), invite.cseq()).hash(&mut hasher);
    hasher.finish()
}

impl Stack {
    /// A number for a transaction, for phones that do not keep their own.
    pub(crate) fn transaction(&mut self) -> ClientTransactionId {
        ClientTransactionId(self.allocate())
    }

    /// Sends a request in a new transaction.
    pub(crate) fn send(&mut self, id: ClientTransactionId, request: Request, to: SocketAddr) {
        let fresh = self.allocate();
        let branch = if request.method == Method::Invite { branch_of_invite(&request) } else { fresh };
        self.branches.insert(id, branch);
        self.start(id, branch, request, to);
    }

    fn start(&mut self, id: ClientTransactionId, branch: u64, request: Request, to: SocketAddr) {
        let cancel = request.method == Method::Cancel;
        let client =
            Client { id, request: request.clone(), to, state: State::Trying, cancel: Cancel::NotWanted, deaf: false };
        self.clients.insert((branch, cancel), client);
        self.transmit(to, self.own(branch), Message::Request(request));
        self.wake(T1, Timer::Resend(branch, cancel, T1));
        self.wake(T1_64, Timer::TimeOut(branch, cancel));
    }

    /// Sends the ACK of a 2xx, which belongs to no transaction.
    pub(crate) fn send_ack(&mut self, request: Request, to: SocketAddr) {
        let branch = self.allocate();
        self.transmit(to, self.own(branch), Message::Request(request));
    }

    /// Cancels an INVITE, now or once it has been heard of; false when it is over already.
    pub(crate) fn cancel(&mut self, id: ClientTransactionId, reason: Vec<String>) -> bool {
        let Some(&branch) = self.branches.get(&id) else { return false };
        let Some(client) = self.clients.get_mut(&(branch, false)) else { return false };
        match client.state {
            State::Over => return false,
            State::Trying => {
                client.cancel = Cancel::Wanted(reason);
                client.deaf = true;
            }
            State::Proceeding => self.send_cancel(branch, &reason),
        }
        true
    }

    /// Requests of ours without a final response, with whether they have been cancelled.
    pub(crate) fn open_requests(&self) -> impl Iterator<Item = (&Request, bool)> {
        self.clients
            .values()
            .filter(|client| client.state != State::Over)
            .map(|client| (&client.request, client.cancel != Cancel::NotWanted))
    }

    /// INVITEs of ours without a final response, with whether their phone had said nothing when they were to be cancelled.
    pub(crate) fn open_invites(&self) -> impl Iterator<Item = (&Request, bool)> {
        let open = self.clients.values().filter(|client| client.state != State::Over);
        let invites = open.filter(|client| client.request.method == Method::Invite);
        invites.map(|client| (&client.request, client.deaf))
    }

    fn send_cancel(&mut self, branch: u64, reason: &[String]) {
        let Some(client) = self.clients.get_mut(&(branch, false)) else { return };
        client.cancel = Cancel::Sent;
        let to = client.to;
        let mut cancel = Request::new(Method::Cancel, client.request.uri.clone());
        for name in ["From", "To", "Call-ID"] {
            cancel.headers.push(name, client.request.headers.get(name).unwrap_or("").to_owned());
        }
        cancel.headers.push("CSeq", format!("{} CANCEL", client.request.cseq().unwrap_or(1)));
        for value in reason {
            cancel.headers.push("Reason", value.clone());
        }
        let id = client.id;
        self.start(id, branch, cancel, to);
        self.wake(T1_64, Timer::GiveUp(branch));
    }

    pub(super) fn on_response(&mut self, from: SocketAddr, branch: u64, cancel: bool, response: Response) {
        let Some(client) = self.clients.get_mut(&(branch, cancel)) else { return };
        let invite = client.request.method == Method::Invite;
        let (id, before) = (client.id, client.state);
        if response.is_provisional() {
            if before == State::Over {
                return;
            }
            client.state = State::Proceeding;
            self.on_heard(branch, cancel, invite && before == State::Trying);
        } else {
            client.state = State::Over;
            if invite && !response.is_success() {
                self.acknowledge_refusal(branch, from, &response);
            }
            if before == State::Over && !(invite && response.is_success()) {
                return;
            }
            self.wake(T1_64 + T1_64, Timer::ForgetClient(branch, cancel));
        }
        if !cancel {
            let flow = self.flow(from);
            self.event(SipEvent::Response { transaction: id, response, flow });
        }
    }

    /// The first provisional response of an INVITE: a CANCEL that waited for it goes out.
    fn on_heard(&mut self, branch: u64, cancel: bool, first: bool) {
        if !first {
            return;
        }
        self.wake(TIMER_C, Timer::GiveUp(branch));
        if let Some(Client { cancel: Cancel::Wanted(reason), .. }) = self.clients.get(&(branch, cancel)) {
            let reason = reason.clone();
            self.send_cancel(branch, &reason);
        }
    }

    fn acknowledge_refusal(&mut self, branch: u64, to: SocketAddr, response: &Response) {
        let Some(client) = self.clients.get(&(branch, false)) else { return };
        let mut ack = Request::new(Method::Ack, client.request.uri.clone());
        for (name, from) in
            [("From", &client.request.headers), ("To", &response.headers), ("Call-ID", &client.request.headers)]
        {
            ack.headers.push(name, from.get(name).unwrap_or("").to_owned());
        }
        ack.headers.push("CSeq", format!("{} ACK", client.request.cseq().unwrap_or(1)));
        self.transmit(to, self.own(branch), Message::Request(ack));
    }

    pub(super) fn resend(&mut self, branch: u64, cancel: bool, interval: Duration) {
        let Some(client) = self.clients.get(&(branch, cancel)) else { return };
        let invite = client.request.method == Method::Invite;
        let wanted = client.state == State::Trying || (client.state == State::Proceeding && !invite);
        if !wanted {
            return;
        }
        let (request, to) = (client.request.clone(), client.to);
        self.transmit(to, self.own(branch), Message::Request(request));
        let next = if invite { interval * 2 } else { (interval * 2).min(T2) };
        self.wake(next, Timer::Resend(branch, cancel, next));
    }

    pub(super) fn time_out(&mut self, branch: u64, cancel: bool) {
        let Some(client) = self.clients.get(&(branch, cancel)) else { return };
        let invite = client.request.method == Method::Invite;
        if client.state == State::Trying || (client.state == State::Proceeding && !invite) {
            self.fail(branch, cancel);
        }
    }

    /// An INVITE that rings for ever, or that a CANCEL did not end (RFC 3261 9.1).
    pub(super) fn give_up(&mut self, branch: u64) {
        if self.clients.get(&(branch, false)).is_some_and(|client| client.state == State::Proceeding) {
            self.fail(branch, false);
        }
    }

    fn fail(&mut self, branch: u64, cancel: bool) {
        let Some(client) = self.clients.remove(&(branch, cancel)) else { return };
        if !cancel {
            self.branches.remove(&client.id);
            self.event(SipEvent::Failed { transaction: client.id, failure: ClientFailure::Timeout });
        }
    }

    pub(super) fn forget_client(&mut self, branch: u64, cancel: bool) {
        if let Some(client) = self.clients.remove(&(branch, cancel))
            && !cancel
        {
            self.branches.remove(&client.id);
        }
    }

    fn own(&self, number: u64) -> Branch {
        Branch { owner: self.address, number }
    }
}
