//! One machine against everything an edge may say, in any order: forks, late answers, forged requests, decisions in
//! every state. The contract of `sip_api` is kept on the edge's side; the invariants are checked on the machine's.

use std::collections::BTreeMap;

use base::{Duration, LegId, SubscriptionId, TerminationReason as Why, Timestamp};
use call::{Body, Dial, Input, NotifyState, Output, RingMode};
use proptest::prelude::*;
use sip_api::{ClientFailure, ClientTransactionId, Method, Request, ServerTransactionId, SipCommand, SipEvent};

use crate::support::solo::{Peer, Solo, acks, completed, response};
use crate::support::{credentials, dial, flow, sdp, seconds};

/// One step: what happens, to whom, and how.
type Step = (u8, u8, u8);

#[derive(Debug)]
struct Client {
    id: ClientTransactionId,
    request: Request,
    /// A 2xx came; nothing but others can follow.
    answered: bool,
    /// A final refusal or failure came; nothing can follow.
    over: bool,
    /// It rings and is wanted, so it may do so for long.
    rings: bool,
    cancelled: bool,
    /// When it was sent, cancelled while ringing, or first answered.
    since: Timestamp,
}

#[derive(Debug)]
struct Server {
    method: Method,
    status: Option<u16>,
    acknowledged: bool,
}

struct Chaos {
    solo: Solo,
    clients: Vec<Client>,
    servers: BTreeMap<ServerTransactionId, Server>,
    peers: Vec<Peer>,
    offers: Vec<base::OfferId>,
    infos: Vec<ServerTransactionId>,
    subscriptions: Vec<SubscriptionId>,
    /// Highest CSeq of ours, by Call-ID and both tags.
    numbers: BTreeMap<(String, Option<String>, Option<String>), u32>,
    byes: BTreeMap<(String, Option<String>, Option<String>), usize>,
    names: u32,
}

impl Chaos {
    fn new() -> Self {
        Self {
            solo: Solo::new(),
            clients: Vec::new(),
            servers: BTreeMap::new(),
            peers: Vec::new(),
            offers: Vec::new(),
            infos: Vec::new(),
            subscriptions: Vec::new(),
            numbers: BTreeMap::new(),
            byes: BTreeMap::new(),
            names: 0,
        }
    }

    fn input(&mut self, input: Input) -> Vec<Output> {
        let outputs = self.solo.input(input);
        outputs.iter().for_each(|output| self.see(output));
        outputs
    }

    fn see(&mut self, output: &Output) {
        match output {
            Output::Sip(command) => self.see_command(command),
            Output::Info { id, .. } => self.infos.push(*id),
            Output::Referred { refer, .. } => self.subscriptions.push(*refer),
            Output::Subscribed { subscription, .. } => self.subscriptions.push(*subscription),
            Output::OutOfDialog { transaction, .. } => {
                let server = self.servers.get_mut(transaction).expect("known");
                server.status = Some(404);
            }
            _ => {}
        }
    }

    fn see_command(&mut self, command: &SipCommand) {
        let now = self.solo.now;
        match command {
            SipCommand::Respond { transaction, response } => {
                let server = self.servers.get_mut(transaction).expect("only requests that came are answered");
                let done = server.status.is_some_and(|status| status >= 200);
                assert!(!done, "{} answered {:?} and {}", server.method, server.status, response.status);
                server.status = Some(response.status);
            }
            SipCommand::Challenge { transaction } => {
                self.servers.get_mut(transaction).expect("known").status = Some(401);
            }
            SipCommand::Send { transaction, request, .. } => {
                let dialog = (request.call_id().to_owned(), request.from_tag(), request.to_tag());
                let number = request.cseq().expect("CSeq");
                let before = self.numbers.insert(dialog.clone(), number);
                assert!(before.is_none_or(|before| before < number), "{before:?} then {number} in {dialog:?}");
                if request.method == Method::Bye {
                    let count = self.byes.entry(dialog).or_default();
                    *count += 1;
                    assert_eq!(*count, 1, "one BYE for a dialog");
                }
                let request = request.clone();
                self.clients.push(Client {
                    id: *transaction,
                    request,
                    answered: false,
                    over: false,
                    rings: false,
                    cancelled: false,
                    since: now,
                });
            }
            SipCommand::SendAck { .. } | SipCommand::SendUnanswered { .. } => {}
            SipCommand::Cancel { transaction, .. } => {
                let client = self.clients.iter_mut().find(|client| client.id == *transaction).expect("ours");
                client.cancelled = true;
                if std::mem::take(&mut client.rings) {
                    client.since = now;
                }
                assert!(client.request.method == Method::Invite && !client.answered && !client.over);
            }
        }
    }

    fn step(&mut self, (action, pick, how): Step) {
        match action % 16 {
            0 => self.call_in(how),
            1 => self.dial(pick, how),
            2..=5 => self.respond(pick, how),
            6 => self.fail(pick),
            7 | 8 => self.request_inside(pick, how),
            9 => self.acknowledge(pick),
            10 => self.cancel(pick),
            11 | 12 => self.decide_about_leg(pick, how),
            13 => self.decide_about_others(pick, how),
            14 => self.subscribe(how),
            _ => self.pause(Duration::from_millis(u64::from(pick) * u64::from(how) * 5)),
        }
    }

    /// Time passes; the edge's own timers (B, F, and 64*T1 after an answer or a CANCEL) run out meanwhile.
    fn pause(&mut self, length: Duration) {
        let end = self.solo.now + length;
        while self.solo.now < end {
            for index in 0..self.clients.len() {
                let client = &self.clients[index];
                if !client.rings && client.since + seconds(30) <= self.solo.now {
                    self.fail_at(index);
                    self.clients[index].over = true;
                }
            }
            self.elapse(end.since(self.solo.now).min(seconds(2)));
        }
    }

    fn elapse(&mut self, length: Duration) {
        let outputs = self.solo.elapse(length);
        outputs.iter().for_each(|output| self.see(output));
    }

    fn request(&mut self, request: Request) -> Vec<Output> {
        let method = request.method.clone();
        let transaction = ServerTransactionId(10_000 + self.servers.len() as u64);
        self.servers.insert(transaction, Server { method, status: None, acknowledged: false });
        self.input(Input::Sip(SipEvent::Request { transaction, request, flow: flow(), user: None }))
    }

    /// A request that may open a dialog; its peer learns our tag from whatever response comes.
    fn open(&mut self, mut peer: Peer, complete: impl FnOnce(Request) -> Request, method: Method) {
        let request = complete(peer.request(method));
        self.peers.push(peer);
        self.request(request);
    }

    fn fresh_peer(&mut self) -> Peer {
        self.names += 1;
        Peer::caller(&format!("p{}", self.names))
    }

    fn call_in(&mut self, how: u8) {
        let peer = self.fresh_peer();
        let complete = |mut invite: Request| {
            let extension = if how & 1 == 0 { "Supported" } else { "Require" };
            invite.headers.push(extension, "100rel");
            if how & 2 == 0 {
                invite.headers.push("Session-Expires", "90");
            }
            if how & 4 == 0 { invite.with_body("application/sdp", "offer") } else { invite }
        };
        self.open(peer, complete, Method::Invite);
        self.learn_tag();
    }

    /// Our tag is the machine's secret until a response tells it; a ringing one does.
    fn learn_tag(&mut self) {
        let Some(leg) = self.solo.checker.open_legs.last().copied() else { return };
        let outputs = self.input(Input::Progress { leg, status: 180, body: Some(sdp("early")), reliable: true });
        let tag = crate::support::solo::responses(&outputs).first().and_then(|(_, response)| response.to_tag());
        if let Some(peer) = self.peers.last_mut().filter(|peer| peer.our_tag.is_none()) {
            peer.our_tag = tag;
        }
    }

    fn subscribe(&mut self, how: u8) {
        let peer = self.fresh_peer();
        let complete = |mut request: Request| {
            request.headers.push("Event", "conference");
            request.headers.push("Expires", ["0", "60", "3600"][usize::from(how % 3)]);
            request
        };
        self.open(peer, complete, Method::Subscribe);
        let Some(subscription) = self.subscriptions.last().copied() else { return };
        if how & 8 == 0 {
            let accept = Input::AcceptSubscription { subscription, expires: seconds(u64::from(how)) };
            let outputs = self.input(accept);
            let tag = crate::support::solo::responses(&outputs).first().and_then(|(_, response)| response.to_tag());
            self.peers.last_mut().expect("just pushed").our_tag = tag;
        }
    }

    fn dial(&mut self, pick: u8, how: u8) {
        let offer = self.solo.calls.allocate_offer();
        let count = 1 + usize::from(pick % 3);
        let legs: Vec<LegId> = (0..count).map(|_| self.solo.calls.allocate_leg()).collect();
        let serial = RingMode::Serial { each: seconds(u64::from(how % 20)) };
        let staged = RingMode::Staged { first: usize::from(how & 4), after: seconds(u64::from(how % 20)) };
        let mode = [RingMode::Parallel, serial, staged][usize::from(how % 3)];
        let mut dial = Dial {
            follow_redirects: how % 3,
            refuse_forwarding: how & 4 == 0,
            silence_limit: (how & 16 == 0).then(|| seconds(5)),
            ..dial(offer, &legs, mode)
        };
        for (_, target) in dial.legs.iter_mut().skip(usize::from(how & 3)) {
            target.machine_within = Some(seconds(2));
        }
        for (_, target) in dial.legs.iter_mut().filter(|_| how & 8 == 0) {
            target.credentials = Some(credentials());
        }
        self.offers.push(offer);
        self.input(Input::Dial(Box::new(dial)));
    }

    fn respond(&mut self, pick: u8, how: u8) {
        let statuses = [100, 180, 183, 181, 199, 200, 200, 200, 302, 401, 407, 408, 422, 481, 486, 491, 500, 603];
        let index = usize::from(pick) % self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(index).filter(|client| !client.over) else { return };
        let mut status = statuses[usize::from(how) % statuses.len()];
        if client.answered {
            status = 200;
        }
        let (id, request, invite) = (client.id, client.request.clone(), client.request.method == Method::Invite);
        match status {
            200 if invite => {
                if !std::mem::replace(&mut client.answered, true) {
                    client.since = self.solo.now;
                }
                client.rings = false;
            }
            ..200 => client.rings = invite && !client.cancelled,
            _ => client.over = true,
        }
        let tag = ["b", "c", "d"][usize::from(how / 64) % 3];
        let mut answer = response(&request, status, tag).with_header("Min-SE", "120");
        if how & 32 == 0 {
            answer = answer.with_header("Require", "100rel").with_header("RSeq", (how % 4).to_string());
            answer = answer.with_header("Session-Expires", "90;refresher=uac").with_body("application/sdp", "answer");
        }
        if matches!(status, 401 | 407) {
            let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
            answer = answer.with_header(name, format!("Digest realm=\"x\", nonce=\"{how}\", qop=\"auth\""));
            // It may be sent once more, with credentials.
            self.byes.remove(&(request.call_id().to_owned(), request.from_tag(), request.to_tag()));
        }
        if (180..300).contains(&status) && status != 199 && invite && request.to_tag().is_none() {
            self.peers.push(Peer::callee(&request, tag));
        }
        let outputs = self.input(Input::Sip(SipEvent::Response { transaction: id, response: answer, flow: flow() }));
        if status == 200 && invite {
            let answers = acks(&outputs);
            assert_eq!(answers.len(), 1, "every 2xx gets one ACK: {outputs:?}");
            assert_eq!(answers[0].cseq(), request.cseq());
        }
    }

    fn fail(&mut self, pick: u8) {
        let index = usize::from(pick) % self.clients.len().max(1);
        let Some(client) = self.clients.get_mut(index).filter(|client| !client.over && !client.answered) else {
            return;
        };
        client.over = true;
        let transaction = client.id;
        self.input(Input::Sip(SipEvent::Failed { transaction, failure: ClientFailure::Timeout }));
    }

    fn request_inside(&mut self, pick: u8, how: u8) {
        let methods = [
            Method::Invite,
            Method::Update,
            Method::Bye,
            Method::Info,
            Method::Refer,
            Method::Prack,
            Method::Options,
            Method::Subscribe,
            Method::Notify,
            Method::Message,
        ];
        let index = usize::from(pick) % self.peers.len().max(1);
        let Some(peer) = self.peers.get_mut(index) else { return };
        let method = methods[usize::from(how) % methods.len()].clone();
        let mut request = peer.request(method);
        if how & 64 != 0 {
            peer.cseq = peer.cseq.saturating_sub(2).max(1);
        }
        request.headers.push("Refer-To", "<sip:carol@x>");
        request.headers.push("Event", if how & 16 == 0 { "conference" } else { "refer" });
        request.headers.push("Expires", ["0", "60"][usize::from(how / 128)]);
        request.headers.push("RAck", format!("{} 1 INVITE", pick));
        if how & 32 == 0 {
            request = request.with_body("application/sdp", "offer");
        }
        self.request(request);
    }

    fn acknowledge(&mut self, pick: u8) {
        let index = usize::from(pick) % self.peers.len().max(1);
        let Some(peer) = self.peers.get(index) else { return };
        let request = peer.ack();
        for server in self.servers.values_mut().filter(|server| server.status == Some(200)) {
            server.acknowledged |= server.method != Method::Invite;
        }
        self.input(Input::Sip(SipEvent::Ack { request, flow: flow() }));
    }

    fn cancel(&mut self, pick: u8) {
        let invites: Vec<ServerTransactionId> = self
            .servers
            .iter()
            .filter(|(_, server)| server.method == Method::Invite && server.status.is_none_or(|status| status < 300))
            .map(|(id, _)| *id)
            .collect();
        let Some(transaction) = invites.get(usize::from(pick) % invites.len().max(1)).copied() else { return };
        self.input(Input::Sip(SipEvent::Cancelled { transaction, reason: Vec::new() }));
    }

    fn decide_about_leg(&mut self, pick: u8, how: u8) {
        let open: Vec<LegId> = self.solo.checker.open_legs.iter().copied().collect();
        let Some(leg) = open.get(usize::from(pick) % open.len().max(1)).copied() else { return };
        let body = (how & 32 == 0).then(|| sdp("body"));
        let input = match how % 10 {
            0 | 1 => Input::Accept { leg, body, headers: Vec::new() },
            2 => Input::Progress { leg, status: 183, body, reliable: how & 64 == 0 },
            3 => Input::Reject { leg, status: 486, headers: Vec::new(), body: None },
            4 => Input::Challenge { leg },
            5 => Input::HangUp { leg, reason: Vec::new(), termination: completed(Why::Booted) },
            6 => Input::Reoffer { leg, body: sdp("new") },
            7 => Input::AnswerOffer { leg, body },
            8 => Input::RefuseOffer { leg, status: 488 },
            _ => Input::SendInfo { leg, body: Body::new("x/y", "x"), instead: None },
        };
        self.input(input);
    }

    fn decide_about_others(&mut self, pick: u8, how: u8) {
        let nth = |count: usize| usize::from(pick) % count.max(1);
        let subscription = self.subscriptions.get(nth(self.subscriptions.len())).copied();
        let input = match how % 7 {
            0 => {
                self.offers.get(nth(self.offers.len())).map(|offer| Input::Cancel { offer: *offer, reason: Vec::new() })
            }
            1 => self.infos.pop().map(|id| Input::RespondInfo { id, status: 202, headers: Vec::new() }),
            2 => subscription.map(|refer| Input::RespondRefer { refer, status: 202, headers: Vec::new() }),
            3 => subscription.map(|refer| Input::ReferProgress { refer, status: 100 + 100 * u16::from(how & 1) }),
            4 => subscription.map(|subscription| Input::AcceptSubscription { subscription, expires: seconds(60) }),
            5 => subscription.map(|subscription| Input::RejectSubscription {
                subscription,
                status: 403,
                headers: Vec::new(),
            }),
            _ => {
                subscription.map(|subscription| Input::Notify { subscription, body: None, state: NotifyState::Active })
            }
        };
        if let Some(input) = input {
            self.input(input);
        }
    }

    /// Above ends everything, the edge gives up on everything, and time passes.
    fn check_drained(&mut self) {
        for _ in 0..4 {
            for leg in self.solo.checker.open_legs.clone() {
                let termination = completed(Why::ConferenceEnded);
                self.input(Input::HangUp { leg, reason: Vec::new(), termination });
            }
            (0..self.clients.len()).for_each(|index| self.fail_at(index));
            let unacknowledged: Vec<ServerTransactionId> = self
                .servers
                .iter()
                .filter(|(_, server)| server.method == Method::Invite && server.status == Some(200))
                .map(|(id, _)| *id)
                .collect();
            for transaction in unacknowledged {
                self.input(Input::Sip(SipEvent::AckMissing { transaction }));
            }
            for id in std::mem::take(&mut self.infos) {
                self.input(Input::RespondInfo { id, status: 200, headers: Vec::new() });
            }
            self.elapse(seconds(4_000));
        }
        self.solo.checker.check_drained();
        assert_eq!(self.solo.calls.load(), call::Load::default());
        for (id, server) in &self.servers {
            assert!(server.status.is_some_and(|status| status >= 200), "{id:?} {} was never answered", server.method);
        }
    }

    fn fail_at(&mut self, index: usize) {
        let client = &mut self.clients[index];
        if !client.over && !client.answered {
            client.over = true;
            let transaction = client.id;
            self.input(Input::Sip(SipEvent::Failed { transaction, failure: ClientFailure::Timeout }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold_in_any_order_of_events(steps in prop::collection::vec(any::<Step>(), 1..120)) {
        let mut chaos = Chaos::new();
        for step in steps {
            chaos.step(step);
        }
        chaos.check_drained();
    }
}
