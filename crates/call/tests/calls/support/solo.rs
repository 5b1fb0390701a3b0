//! One machine against peers written by hand.

use base::{Duration, LegId, OfferId, Termination, TerminationReason, Timestamp, UserUri};
use call::{Body, CallConfig, Calls, Input, Output, RingMode};
use sip_api::{
    ClientTransactionId, Flow, Headers, Method, Request, Response, ServerTransactionId, SipCommand, SipEvent,
};

use super::checker::Checker;
use super::{Rng, dial, flow, sdp, seconds, uri};

pub(crate) struct Solo {
    pub(crate) calls: Calls,
    pub(crate) now: Timestamp,
    pub(crate) checker: Checker,
    rng: Rng,
    next_server: u64,
}

/// The other end of a dialog.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) call_id: String,
    pub(crate) tag: String,
    pub(crate) our_tag: Option<String>,
    pub(crate) cseq: u32,
}

impl Peer {
    pub(crate) fn caller(tag: &str) -> Self {
        Self { call_id: format!("call-{tag}"), tag: tag.to_owned(), our_tag: None, cseq: 0 }
    }

    /// The callee who answers this INVITE of ours under a tag.
    pub(crate) fn callee(invite: &Request, tag: &str) -> Self {
        Self { call_id: invite.call_id().to_owned(), tag: tag.to_owned(), our_tag: invite.from_tag(), cseq: 0 }
    }

    pub(crate) fn request(&mut self, method: Method) -> Request {
        self.cseq += 1;
        self.numbered(method, self.cseq)
    }

    pub(crate) fn numbered(&self, method: Method, cseq: u32) -> Request {
        let mut request = Request::new(method, uri("sip:conf@example.com"));
        let to_tag = self.our_tag.as_ref().map(|tag| format!(";tag={tag}")).unwrap_or_default();
        request.headers.push("From", format!("<sip:peer@x>;tag={}", self.tag));
        request.headers.push("To", format!("<sip:conf@example.com>{to_tag}"));
        request.headers.push("Call-ID", self.call_id.clone());
        let line = format!("{cseq} {}", request.method);
        request.headers.push("CSeq", line);
        request.headers.push("Contact", "<sip:peer@127.0.0.1:5070>");
        request
    }

    /// The ACK of the last INVITE.
    pub(crate) fn ack(&self) -> Request {
        self.numbered(Method::Ack, self.cseq)
    }
}

/// A response of a callee to a request of ours.
pub(crate) fn response(request: &Request, status: u16, tag: &str) -> Response {
    let to = request.headers.get("To").expect("every request has To").to_owned();
    let to = if to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
    Response::new(status).with_header("To", to).with_header("Contact", format!("<sip:{tag}@127.0.0.1:5070>"))
}

impl Solo {
    pub(crate) fn new() -> Self {
        Self::with(CallConfig::default())
    }

    pub(crate) fn with(config: CallConfig) -> Self {
        let checker = Checker::default();
        Self { calls: Calls::new(config), now: Timestamp::ZERO, checker, rng: Rng(1), next_server: 1_000 }
    }

    pub(crate) fn input(&mut self, input: Input) -> Vec<Output> {
        if let Input::Dial(dial) = &input {
            let legs: Vec<LegId> = dial.legs.iter().map(|(leg, _)| *leg).collect();
            self.checker.dialled(dial.offer, &legs);
        }
        let rng = &mut self.rng;
        self.calls.handle(self.now, input, &mut || rng.next());
        self.drain()
    }

    fn drain(&mut self) -> Vec<Output> {
        let outputs: Vec<Output> = std::iter::from_fn(|| self.calls.poll_output()).collect();
        outputs.iter().for_each(|output| self.checker.see(output));
        outputs
    }

    pub(crate) fn sip(&mut self, event: SipEvent) -> Vec<Output> {
        self.input(Input::Sip(event))
    }

    /// Lets time pass, timer by timer.
    pub(crate) fn elapse(&mut self, length: Duration) -> Vec<Output> {
        let until = self.now + length;
        let mut outputs = Vec::new();
        while let Some(at) = self.calls.poll_timeout().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            outputs.extend(self.fire());
        }
        self.now = until;
        outputs
    }

    /// Fires the timers that are due now.
    pub(crate) fn fire(&mut self) -> Vec<Output> {
        let rng = &mut self.rng;
        self.calls.handle_timeout(self.now, &mut || rng.next());
        self.drain()
    }

    pub(crate) fn request(&mut self, request: Request) -> (ServerTransactionId, Vec<Output>) {
        self.request_by(request, None)
    }

    pub(crate) fn request_by(&mut self, request: Request, user: Option<&str>) -> (ServerTransactionId, Vec<Output>) {
        self.request_over(request, flow(), user)
    }

    pub(crate) fn request_over(
        &mut self,
        request: Request,
        flow: Flow,
        user: Option<&str>,
    ) -> (ServerTransactionId, Vec<Output>) {
        self.next_server += 1;
        let transaction = ServerTransactionId(self.next_server);
        let user = user.map(|user| UserUri::parse(user).expect("a user of the test"));
        (transaction, self.sip(SipEvent::Request { transaction, request, flow, user }))
    }

    pub(crate) fn respond(&mut self, transaction: ClientTransactionId, response: Response) -> Vec<Output> {
        self.sip(SipEvent::Response { transaction, response, flow: flow() })
    }

    pub(crate) fn ack(&mut self, peer: &Peer) -> Vec<Output> {
        self.sip(SipEvent::Ack { request: peer.ack(), flow: flow() })
    }

    /// A caller's INVITE with an offer; `complete` may change it.
    pub(crate) fn invited(
        &mut self,
        tag: &str,
        complete: impl FnOnce(&mut Request),
    ) -> (LegId, Peer, ServerTransactionId) {
        let mut peer = Peer::caller(tag);
        let mut invite = peer.request(Method::Invite).with_body("application/sdp", "offer");
        invite.headers.push("Supported", "timer, 100rel");
        invite.headers.push("Allow", "INVITE, ACK, BYE, UPDATE");
        complete(&mut invite);
        let (transaction, outputs) = self.request(invite);
        let leg = outputs.iter().find_map(|output| match output {
            Output::Incoming { leg, .. } => Some(*leg),
            _ => None,
        });
        (leg.unwrap_or_else(|| panic!("no call came in: {outputs:?}")), peer, transaction)
    }

    /// An incoming leg with our 200 out and no ACK.
    pub(crate) fn accepted(&mut self, tag: &str) -> (LegId, Peer, ServerTransactionId) {
        let (leg, mut peer, transaction) = self.invited(tag, |_| {});
        let outputs = self.input(Input::Accept { leg, body: Some(sdp("answer")), headers: Vec::new() });
        peer.our_tag = responses(&outputs)[0].1.to_tag();
        (leg, peer, transaction)
    }

    /// A connected incoming leg.
    pub(crate) fn joined(&mut self, tag: &str) -> (LegId, Peer) {
        let (leg, peer, _) = self.accepted(tag);
        self.ack(&peer);
        assert_eq!(self.calls.leg_state(leg), Some("connected"));
        (leg, peer)
    }

    /// Dials, and returns the offer, its legs, and the INVITE requests sent so far.
    pub(crate) fn dialled(
        &mut self,
        count: usize,
        mode: RingMode,
        complete: impl FnOnce(&mut call::Dial),
    ) -> (OfferId, Vec<LegId>, Vec<(ClientTransactionId, Request)>) {
        let offer = self.calls.allocate_offer();
        let legs: Vec<LegId> = (0..count).map(|_| self.calls.allocate_leg()).collect();
        let mut dial = dial(offer, &legs, mode);
        complete(&mut dial);
        let outputs = self.input(Input::Dial(Box::new(dial)));
        (offer, legs, sent(&outputs, &Method::Invite))
    }

    /// A connected dialled leg, its peer, and the INVITE.
    pub(crate) fn answered(
        &mut self,
        complete: impl FnOnce(Response) -> Response,
    ) -> (LegId, Peer, ClientTransactionId) {
        let (_, legs, invites) = self.dialled(1, RingMode::Parallel, |_| {});
        let (transaction, invite) = &invites[0];
        let answer = complete(response(invite, 200, "b").with_body("application/sdp", "answer"));
        self.respond(*transaction, answer);
        assert_eq!(self.calls.leg_state(legs[0]), Some("connected"));
        (legs[0], Peer::callee(invite, "b"), *transaction)
    }

    /// Waits until nothing is left, and checks that everything ended once.
    pub(crate) fn check_drained(&mut self) {
        self.elapse(seconds(600));
        self.checker.check_drained();
        let load = self.calls.load();
        assert_eq!((load.legs, load.offers, load.timers), (0, 0, 0), "{load:?}");
    }
}

/// The requests of this method among the outputs.
pub(crate) fn sent(outputs: &[Output], method: &Method) -> Vec<(ClientTransactionId, Request)> {
    let of_method = |output: &Output| match output {
        Output::Sip(SipCommand::Send { transaction, request, .. }) if request.method == *method => {
            Some((*transaction, request.clone()))
        }
        _ => None,
    };
    outputs.iter().filter_map(of_method).collect()
}

/// The ACK requests among the outputs.
pub(crate) fn acks(outputs: &[Output]) -> Vec<Request> {
    let ack = |output: &Output| match output {
        Output::Sip(SipCommand::SendAck { request, .. }) => Some(request.clone()),
        _ => None,
    };
    outputs.iter().filter_map(ack).collect()
}

/// The CANCEL commands among the outputs, with their reasons.
pub(crate) fn cancels(outputs: &[Output]) -> Vec<(ClientTransactionId, Vec<String>)> {
    let cancel = |output: &Output| match output {
        Output::Sip(SipCommand::Cancel { transaction, reason }) => Some((*transaction, reason.clone())),
        _ => None,
    };
    outputs.iter().filter_map(cancel).collect()
}

/// The responses among the outputs.
pub(crate) fn responses(outputs: &[Output]) -> Vec<(ServerTransactionId, Response)> {
    let respond = |output: &Output| match output {
        Output::Sip(SipCommand::Respond { transaction, response }) => Some((*transaction, response.clone())),
        _ => None,
    };
    outputs.iter().filter_map(respond).collect()
}

/// The statuses of the responses among the outputs.
pub(crate) fn statuses(outputs: &[Output]) -> Vec<u16> {
    responses(outputs).iter().map(|(_, response)| response.status).collect()
}

/// The ends among the outputs.
pub(crate) fn ends(outputs: &[Output]) -> Vec<(LegId, Termination, Option<u16>)> {
    let end = |output: &Output| match output {
        Output::Ended { leg, termination, status, .. } => Some((*leg, *termination, *status)),
        _ => None,
    };
    outputs.iter().filter_map(end).collect()
}

/// How an offer failed, among the outputs.
pub(crate) fn failures(outputs: &[Output]) -> Vec<(Termination, Option<u16>)> {
    let failure = |output: &Output| match output {
        Output::OfferFailed { termination, status, .. } => Some((*termination, *status)),
        _ => None,
    };
    outputs.iter().filter_map(failure).collect()
}

pub(crate) fn reasons(headers: &Headers) -> Vec<&str> {
    headers.get_all("Reason").collect()
}

pub(crate) fn failed(reason: TerminationReason) -> Termination {
    Termination::failed(reason)
}

pub(crate) fn cancelled(reason: TerminationReason) -> Termination {
    Termination::cancelled(reason)
}

pub(crate) fn completed(reason: TerminationReason) -> Termination {
    Termination::completed(reason)
}

pub(crate) fn body_text(body: Option<&Body>) -> Option<String> {
    body.map(|body| String::from_utf8_lossy(&body.bytes).into_owned())
}
