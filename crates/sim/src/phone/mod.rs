//! A scripted SIP phone: it calls, is called, talks for a while and goes, as chance will have it. Phones of organizers
//! speak C3P besides.
//!
//! What the server owes it is checked here: answers to requests, the ACK of each 2xx, one verdict for each command,
//! roster documents in order.

mod callee;
mod caller;
mod client;
mod dialog;
mod orders;
mod survivor;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use base::{Duration, UserUri};
use c3p::FocusUri;
use sip_api::{ClientTransactionId, Method, Request, Response, ServerTransactionId, SipEvent};

use crate::dice::Dice;
use crate::roster::RosterCopy;
use crate::stack::{Out, Stack, Timer};
use crate::swarm::Swarm;
use crate::wire::Packet;
use dialog::{Dialog, Sent, State};

/// The media type of session descriptions.
const SDP: &str = "application/sdp";
/// The media type of C3P.
const C3P: &str = "application/cccp+xml";

/// What a phone does later.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Calls this number or address.
    Call { target: String, digits: Option<&'static str> },
    /// Joins a Focus.
    Join(FocusUri),
    /// Sends a command to the Focus Factory.
    Factory,
    /// Gives up a call that was not answered.
    Abandon(String),
    /// Says that it rings.
    Ring(String),
    /// Answers.
    Answer(String),
    /// Refuses.
    Refuse(String, u16),
    /// Nobody told it to stop ringing.
    StillRinging(String),
    /// Hangs up.
    HangUp(String),
    /// Puts the call on hold, or takes it back.
    Hold(String, &'static str),
    /// Refreshes the session.
    Refresh(String),
    /// Asks by REFER to call somebody.
    Refer(String),
    /// Presses the digits it has been given.
    Press(String),
    /// Sends some C3P command.
    Command(String),
    /// Sends the last dial-out command once more.
    Retry(String),
    /// A command must have its verdict by now.
    CommandDue(String, u64),
    /// Subscribes to the roster, inside the Focus dialog or beside it.
    Subscribe(String),
    /// Refreshes or ends a subscription.
    Resubscribe(String),
    /// Loses power.
    Vanish,
    /// The day is over: everybody goes home.
    Finish,
}

/// What a phone wants of the world.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Send a datagram.
    Transmit(Box<Packet>),
    /// Hand the timer in after this time.
    Wake(Duration, Timer),
    /// Do this after that time.
    Later(Duration, Action),
    /// Digits in the audio that arrives at this port.
    Press(u16, &'static str),
    /// The phones behind these ports have fallen silent.
    Silent(Vec<u16>),
    /// The server broke a rule.
    Broken(String),
    /// Something worth counting happened.
    Count(&'static str),
}

/// What a phone is given with each event.
pub(crate) struct Cx<'a> {
    pub(crate) dice: &'a mut Dice,
    pub(crate) swarm: &'a Swarm,
    /// The day is over; nobody begins anything.
    pub(crate) closing: bool,
    /// Where the server is.
    pub(crate) server: SocketAddr,
    /// People who may be called.
    pub(crate) people: &'a [String],
    /// Where a redirecting phone sends callers.
    pub(crate) elsewhere: &'a str,
    pub(crate) wishes: &'a mut Vec<Wish>,
}

impl Cx<'_> {
    fn later(&mut self, after: Duration, action: Action) {
        self.wishes.push(Wish::Later(after, action));
    }

    fn broken(&mut self, what: String) {
        self.wishes.push(Wish::Broken(what));
    }

    fn count(&mut self, what: &'static str) {
        self.wishes.push(Wish::Count(what));
    }

    /// Whether a kind of event happens now.
    fn happens(&mut self, on: bool, share: f64) -> bool {
        on && self.dice.chance(share)
    }
}

/// A phone.
#[derive(Debug)]
pub(crate) struct Phone {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// Whom it belongs to; `None` is a stranger's.
    pub(crate) account: Option<UserUri>,
    /// Without power.
    pub(crate) gone: bool,
    stack: Stack,
    dialogs: BTreeMap<String, Dialog>,
    calls: u64,
    first_port: u16,
    scheduled: Vec<String>,
    /// Requests whose answer may have died with a process of the server.
    forgiven: BTreeSet<ClientTransactionId>,
    /// INVITEs whose ACK may have died with one.
    unacknowledged: BTreeSet<ServerTransactionId>,
    /// The server has no process now, or letters of its last one may still arrive.
    server_down: bool,
}

impl Phone {
    /// A phone with power, and no calls.
    pub(crate) fn new(name: String, address: SocketAddr, account: Option<UserUri>, first_port: u16) -> Self {
        let stack = Stack::new(address);
        Self {
            name,
            address,
            account,
            gone: false,
            stack,
            dialogs: BTreeMap::new(),
            calls: 0,
            first_port,
            scheduled: Vec::new(),
            forgiven: BTreeSet::new(),
            unacknowledged: BTreeSet::new(),
            server_down: false,
        }
    }

    /// A datagram arrives.
    pub(crate) fn receive(&mut self, cx: &mut Cx<'_>, packet: Packet) {
        if !self.gone {
            self.stack.receive(packet);
            self.pump(cx);
        }
    }

    /// A timer of its transactions is due.
    pub(crate) fn fire(&mut self, cx: &mut Cx<'_>, timer: Timer) {
        if !self.gone {
            self.stack.fire(timer);
            self.pump(cx);
        }
    }

    /// It does something.
    pub(crate) fn act(&mut self, cx: &mut Cx<'_>, action: Action) {
        if !self.gone {
            self.perform(cx, action);
            self.pump(cx);
        }
    }

    /// The rosters it watches, each with the Call-ID of its subscription.
    pub(crate) fn rosters(&self) -> impl Iterator<Item = (&str, &RosterCopy)> {
        let watching = |dialog: &Dialog| dialog.roster.as_ref().is_some_and(|copy| copy.has_begun() && !copy.over);
        self.dialogs
            .values()
            .filter(move |dialog| watching(dialog))
            .filter_map(|dialog| dialog.roster.as_ref().map(|copy| (dialog.call_id.as_str(), copy)))
    }

    /// What is left of the day at its end: calls that nobody ended.
    pub(crate) fn leftovers(&self) -> Vec<String> {
        let open = |dialog: &&Dialog| dialog.state != State::Over || dialog.fork.is_some();
        let line = |dialog: &Dialog| format!("{}: call {} is {:?}", self.name, dialog.call_id, dialog.state);
        self.dialogs.values().filter(open).map(line).collect()
    }

    fn perform(&mut self, cx: &mut Cx<'_>, action: Action) {
        match action {
            Action::Call { target, digits } => self.place_call(cx, &target, digits),
            Action::Join(focus) => self.join(cx, &focus),
            Action::Factory => self.factory(cx),
            Action::Abandon(call) => self.abandon(cx, &call),
            Action::Ring(call) => self.ring(cx, &call),
            Action::Answer(call) => self.answer(cx, &call),
            Action::Refuse(call, status) => self.refuse(cx, &call, status),
            Action::StillRinging(call) => self.still_ringing(cx, &call),
            Action::HangUp(call) => self.hang_up(cx, &call),
            Action::Hold(call, direction) => self.hold(cx, &call, direction),
            Action::Refresh(call) => self.refresh(cx, &call),
            Action::Refer(call) => self.refer(cx, &call),
            Action::Press(call) => self.press(cx, &call),
            Action::Command(call) => self.command(cx, &call),
            Action::Retry(call) => self.retry(cx, &call),
            Action::CommandDue(call, id) => self.command_due(cx, &call, id),
            Action::Subscribe(call) => self.subscribe(cx, &call),
            Action::Resubscribe(call) => self.resubscribe(cx, &call),
            Action::Vanish => self.vanish(cx),
            Action::Finish => self.finish(cx),
        }
    }

    fn pump(&mut self, cx: &mut Cx<'_>) {
        while let Some(out) = self.stack.poll() {
            match out {
                Out::Transmit(packet) => cx.wishes.push(Wish::Transmit(Box::new(packet))),
                Out::Wake(after, timer) => cx.wishes.push(Wish::Wake(after, timer)),
                Out::Event(event) => self.on_event(cx, event),
            }
        }
    }

    fn on_event(&mut self, cx: &mut Cx<'_>, event: SipEvent) {
        match event {
            SipEvent::Request { transaction, request, .. } => self.on_request(cx, transaction, request),
            SipEvent::Ack { request, .. } => self.on_ack(cx, &request),
            SipEvent::Cancelled { transaction, .. } => self.on_cancelled(cx, transaction),
            SipEvent::AckMissing { transaction } => self.on_ack_missing(cx, transaction),
            SipEvent::Response { transaction, response, .. } => self.on_response(cx, transaction, response),
            SipEvent::Failed { transaction, .. } => self.on_failed(cx, transaction),
            SipEvent::BindingsChanged { .. } => {}
        }
    }

    fn on_request(&mut self, cx: &mut Cx<'_>, transaction: ServerTransactionId, request: Request) {
        let call = request.call_id().to_owned();
        if request.to_tag().is_none() {
            return match request.method {
                Method::Invite => self.on_invite(cx, transaction, request),
                _ => self.respond(transaction, Response::new(200)),
            };
        }
        match self.dialogs.get_mut(&call) {
            Some(dialog) => dialog.survivor = false,
            None => return self.respond(transaction, Response::new(481)),
        }
        match request.method {
            Method::Bye => self.on_bye(cx, &call, transaction, &request),
            Method::Invite | Method::Update => self.on_offer(&call, transaction, &request),
            Method::Info => self.on_info(cx, &call, transaction, &request),
            Method::Notify => self.on_notify(cx, &call, transaction, &request),
            _ => self.respond(transaction, Response::new(200)),
        }
    }

    fn on_response(&mut self, cx: &mut Cx<'_>, transaction: ClientTransactionId, response: Response) {
        let found = self.dialogs.values().find_map(|dialog| {
            let (sent, request) = dialog.sent.get(&transaction)?;
            Some((dialog.call_id.clone(), sent.clone(), request.clone()))
        });
        let Some((call, sent, request)) = found.filter(|_| !response.is_provisional()) else { return };
        match sent {
            Sent::First if request.method == Method::Invite => self.on_call_answer(cx, &call, &request, &response),
            Sent::First => self.on_single_answer(cx, &call, &request, &response),
            Sent::Reinvite => self.on_reinvite_answer(cx, &call, &request, &response),
            Sent::Command(id) => self.on_command_taken(cx, &call, id, response.status),
            Sent::Subscribe => self.on_subscribe_answer(cx, &call, response.status),
            Sent::Other => {}
        }
    }

    fn on_failed(&mut self, cx: &mut Cx<'_>, transaction: ClientTransactionId) {
        if self.forgiven.remove(&transaction) {
            return self.on_died_with_the_server(transaction);
        }
        let sent = self.dialogs.values().find_map(|dialog| dialog.sent.get(&transaction));
        let method = sent.map_or("a request", |(_, request)| request.method.as_str());
        cx.broken(format!("{}: no final response to {method}", self.name));
    }

    /// Sends a request of a dialog.
    fn send(&mut self, cx: &Cx<'_>, call: &str, sent: Sent, request: Request) {
        let id = self.stack.transaction();
        if let Some(dialog) = self.dialogs.get_mut(call) {
            dialog.sent.insert(id, (sent, request.clone()));
        }
        if self.server_down {
            self.forgiven.insert(id);
        }
        self.stack.send(id, request, cx.server);
    }

    fn respond(&mut self, transaction: ServerTransactionId, response: Response) {
        // A transaction that is over or answered wants nothing any more.
        let _ = self.stack.respond(transaction, response);
    }

    fn contact(&self) -> String {
        format!("<sip:{}@{}>", self.user_part(), self.address)
    }

    fn user_part(&self) -> &str {
        self.account.as_ref().map_or(self.name.as_str(), UserUri::user_part)
    }

    fn vanish(&mut self, cx: &mut Cx<'_>) {
        cx.count("phone lost power");
        self.gone = true;
        cx.wishes.push(Wish::Silent(self.dialogs.values().map(|dialog| dialog.port).collect()));
    }

    fn finish(&mut self, cx: &mut Cx<'_>) {
        let calls: Vec<String> = self.dialogs.keys().cloned().collect();
        for call in calls {
            self.hang_up(cx, &call);
        }
    }
}
