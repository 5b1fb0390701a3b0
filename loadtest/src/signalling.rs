//! The callers' signalling: one socket for all of them, one call each.
//!
//! Nothing happens by itself: whoever runs a plan drives it by [`Signalling::pump`], so that one thread sees everything in
//! order. SIP messages are those of the test kit, which knows none of the server's code.
//! Start reading at [`Signalling`] and [`Exchange`], which speaks SIP; [`call`] is one dialog, [`sdp`] what is offered and
//! agreed, [`janus`] the way into a peer.

pub mod call;
pub mod janus;
pub mod sdp;

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use testkit::{Credentials, SipMessage, digest};

use crate::Failure;
use crate::signalling::call::{Call, CallState};
use crate::signalling::sdp::{Agreement, Offer};
use crate::sys;

/// How often unanswered requests are looked through. RFC 3261 17.1.1.2 repeats them after 500 ms at the earliest.
const SWEEP: Duration = Duration::from_millis(100);
/// Room for answers that come while something else is done.
const RECEIVE_BUFFER: i32 = 4 << 20;

/// What happened to a caller.
#[derive(Debug)]
pub enum Event {
    /// His registration was accepted.
    Registered(usize),
    /// He is in a call: media can flow.
    Answered(usize, Agreement),
    /// His call or registration came to this status.
    Failed(usize, u16),
    /// The server hung up.
    Dropped(usize),
    /// He hung up and that was confirmed.
    Ended(usize),
}

/// Who a caller is.
#[derive(Clone, Debug)]
pub enum Identity {
    /// Somebody of another domain, who has no password.
    Stranger,
    /// One of the server's users.
    User(Credentials),
}

/// How callers come into conferences, whatever the server speaks.
pub trait Signalling {
    /// Our address, which is that of the callers' audio too.
    fn local_ip(&self) -> IpAddr;
    /// A caller calls the conference of that index and number.
    fn join(&mut self, caller: usize, conference: usize, number: &str, identity: &Identity, offer: Offer);
    /// Registers a user here; calls for him are then answered with that offer's address and codec.
    fn register(&mut self, caller: usize, who: &Credentials, offer: Offer);
    /// Ends a caller's call.
    fn hang_up(&mut self, caller: usize);
    /// What happened next.
    fn poll_event(&mut self) -> Option<Event>;
    /// Calls whose end is not confirmed yet.
    fn leaving(&self) -> usize;
    /// Works until `deadline`, or until something happened.
    fn pump(&mut self, deadline: Instant);
}

/// All callers' SIP calls.
pub struct Exchange {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    domain: String,
    calls: HashMap<String, Call>,
    /// The Call-ID of each caller's present call.
    present: HashMap<usize, String>,
    /// Who may be called: by user name.
    devices: HashMap<String, (usize, Offer)>,
    events: VecDeque<Event>,
    counter: u64,
    swept: Instant,
    buffer: Vec<u8>,
}

impl Exchange {
    /// Opens a socket from which `server` can be reached.
    pub fn open(server: SocketAddr, domain: &str) -> Result<Self, Failure> {
        // Connecting a second socket tells which of our addresses the server would see.
        let probe = UdpSocket::bind((server_family(server), 0))?;
        probe.connect(server)?;
        let socket = UdpSocket::bind((probe.local_addr()?.ip(), 0))?;
        socket.set_nonblocking(true)?;
        sys::set_receive_buffer(&socket, RECEIVE_BUFFER)?;
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            server,
            domain: domain.to_owned(),
            calls: HashMap::new(),
            present: HashMap::new(),
            devices: HashMap::new(),
            events: VecDeque::new(),
            counter: 0,
            swept: Instant::now(),
            buffer: vec![0; 65_536],
        })
    }

    fn take(&mut self, length: usize, source: SocketAddr) {
        if source != self.server {
            return;
        }
        let Some(message) = SipMessage::parse(&self.buffer[..length]) else { return };
        if message.status().is_some() { self.on_response(&message) } else { self.on_request(&message) }
    }

    fn start(
        &mut self,
        method: &'static str,
        caller: usize,
        identity: &Identity,
        to: &str,
        media: Option<(Offer, String)>,
    ) {
        self.counter += 1;
        let (from, credentials) = match identity {
            Identity::Stranger => (format!("sip:caller{caller}@callers.invalid"), None),
            Identity::User(who) => (format!("sip:{}@{}", who.user, self.domain), Some(who.clone())),
        };
        let user = credentials.as_ref().map_or("caller", |who| &who.user);
        let id = format!("{caller}-{}-{}@{}", self.counter, self.local.port(), self.local.ip());
        let mut request = SipMessage::request(method, to)
            .with("Via", self.via())
            .with("Max-Forwards", "70")
            .with("From", format!("<{from}>;tag=f{}", self.counter))
            .with("To", format!("<{}>", if method == "REGISTER" { &from } else { to }))
            .with("Call-ID", id.clone())
            .with("CSeq", format!("1 {method}"))
            .with("Contact", format!("<sip:{user}@{}>", self.local));
        if method == "REGISTER" {
            request = request.with("Expires", "3600");
        }
        let mut offer = None;
        if let Some((media, body)) = media {
            request = request.with_body("application/sdp", body);
            offer = Some(media);
            self.present.insert(caller, id.clone());
        }
        self.dispatch(&request.to_bytes());
        self.calls.insert(id, Call::new(caller, request, credentials, offer));
    }

    fn on_response(&mut self, response: &SipMessage) {
        let Some(mut call) = self.calls.remove(response.call_id()) else { return };
        match (response.method(), response.status().unwrap_or(0)) {
            ("BYE", 200..) if call.state == CallState::Leaving => {
                self.events.push_back(Event::Ended(call.caller));
                return;
            }
            ("INVITE", 100..=199) => call.repeat = None,
            ("INVITE" | "REGISTER", status @ 200..) if response.cseq() == call.cseq() => {
                self.on_final(&mut call, status, response);
            }
            ("INVITE", 300..) => self.dispatch(&call.acknowledgement_of(response).to_bytes()),
            _ => {}
        }
        if call.is_remembered() {
            self.calls.insert(response.call_id().to_owned(), call);
        }
    }

    fn on_final(&mut self, call: &mut Call, status: u16, response: &SipMessage) {
        let is_invite = response.method() == "INVITE";
        if (200..=299).contains(&status) {
            self.on_success(call, is_invite, response);
            return;
        }
        if is_invite {
            self.dispatch(&call.acknowledgement_of(response).to_bytes());
        }
        let proof = call.credentials.as_ref().and_then(|who| digest::answer(response, &call.request, who));
        match proof.filter(|_| call.cseq() == 1 && call.state == CallState::Calling) {
            Some((header, value)) => {
                call.try_again(&self.via(), header, value);
                self.dispatch(&call.request.to_bytes());
            }
            None => self.fail(call, status),
        }
    }

    fn on_success(&mut self, call: &mut Call, is_invite: bool, response: &SipMessage) {
        if is_invite {
            self.dispatch(&call.inside("ACK", call.cseq(), response, &self.via()).to_bytes());
        }
        if call.state != CallState::Calling {
            return;
        }
        call.answered(response);
        let Some(offer) = call.offer.as_ref() else {
            self.events.push_back(Event::Registered(call.caller));
            return;
        };
        match offer.agreement(&response.body_text()) {
            Some(agreement) => self.events.push_back(Event::Answered(call.caller, agreement)),
            // RFC 3261 gives a caller no status of his own for an answer he cannot use; 488 says it best.
            None => self.fail(call, 488),
        }
    }

    fn fail(&mut self, call: &mut Call, status: u16) {
        call.failed(status);
        self.events.push_back(Event::Failed(call.caller, status));
    }

    fn on_request(&mut self, request: &SipMessage) {
        match request.method() {
            "ACK" => {}
            "BYE" => self.on_bye(request),
            "INVITE" if !self.calls.contains_key(request.call_id()) => self.on_invite(request),
            "INVITE" => self.respond(request, 488, "Not Acceptable Here", None),
            _ => self.respond(request, 200, "OK", None),
        }
    }

    fn on_bye(&mut self, request: &SipMessage) {
        self.respond(request, 200, "OK", None);
        if let Some(call) = self.calls.remove(request.call_id())
            && call.state == CallState::Answered
        {
            self.events.push_back(Event::Dropped(call.caller));
        }
    }

    /// A conference calls one of our users: he rings and answers at once.
    fn on_invite(&mut self, request: &SipMessage) {
        let user = request.uri().trim_start_matches("sip:").split('@').next().unwrap_or_default().to_owned();
        let answer = self.devices.get(&user).and_then(|(caller, offer)| {
            let (sdp, agreement) = offer.answer(&request.body_text())?;
            Some((*caller, sdp, agreement))
        });
        let Some((caller, sdp, agreement)) = answer else {
            self.respond(request, 488, "Not Acceptable Here", None);
            return;
        };
        self.respond(request, 180, "Ringing", None);
        self.respond(request, 200, "OK", Some(sdp));
        let tag = format!("c{caller}");
        let id = request.call_id().to_owned();
        self.calls.insert(id.clone(), Call::answering(caller, request, &tag));
        self.present.insert(caller, id);
        self.events.push_back(Event::Answered(caller, agreement));
    }

    fn respond(&self, request: &SipMessage, status: u16, reason: &str, sdp: Option<String>) {
        let user = request.uri().trim_start_matches("sip:").split('@').next().unwrap_or_default();
        let caller = self.devices.get(user).map_or(0, |(caller, _)| *caller);
        let mut response = SipMessage::response_to(request, status, reason, &format!("c{caller}"))
            .with("Contact", format!("<sip:{user}@{}>", self.local));
        if let Some(sdp) = sdp {
            response = response.with_body("application/sdp", sdp);
        }
        self.dispatch(&response.to_bytes());
    }

    fn repeat_unanswered(&mut self, now: Instant) {
        self.swept = now;
        let mut failed = Vec::new();
        for call in self.calls.values_mut() {
            let before = call.state;
            if call.is_due(now) {
                let _ = self.socket.send_to(&call.request.to_bytes(), self.server);
            }
            if call.state != before {
                failed.push(call.caller);
            }
        }
        self.calls.retain(|_, call| call.is_remembered());
        self.events.extend(failed.into_iter().map(|caller| Event::Failed(caller, call::REQUEST_TIMEOUT)));
    }

    fn via(&self) -> String {
        // The time makes it unique; RFC 3261 8.1.1.7 asks for the magic cookie in front.
        format!("SIP/2.0/UDP {};branch=z9hG4bK{:x};rport", self.local, sys::wall_nanos())
    }

    /// A message that is lost is repeated like any other.
    fn dispatch(&self, bytes: &[u8]) {
        let _ = self.socket.send_to(bytes, self.server);
    }
}

impl Signalling for Exchange {
    fn local_ip(&self) -> IpAddr {
        self.local.ip()
    }

    fn join(&mut self, caller: usize, _conference: usize, number: &str, identity: &Identity, offer: Offer) {
        let to = format!("sip:{number}@{}", self.domain);
        let body = offer.to_sdp();
        self.start("INVITE", caller, identity, &to, Some((offer, body)));
    }

    fn register(&mut self, caller: usize, who: &Credentials, offer: Offer) {
        self.devices.insert(who.user.clone(), (caller, offer));
        let to = format!("sip:{}", self.domain);
        self.start("REGISTER", caller, &Identity::User(who.clone()), &to, None);
    }

    fn hang_up(&mut self, caller: usize) {
        let Some(id) = self.present.get(&caller) else { return };
        let via = self.via();
        let Some(call) = self.calls.get_mut(id) else { return };
        if call.state == CallState::Answered {
            call.leave(&via);
            let bytes = call.request.to_bytes();
            self.dispatch(&bytes);
        }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn leaving(&self) -> usize {
        self.calls.values().filter(|call| call.state == CallState::Leaving).count()
    }

    fn pump(&mut self, deadline: Instant) {
        while self.events.is_empty() {
            let now = Instant::now();
            if now >= self.swept + SWEEP {
                self.repeat_unanswered(now);
            }
            if let Ok((length, source)) = self.socket.recv_from(&mut self.buffer) {
                self.take(length, source);
            } else if now >= deadline {
                return;
            } else {
                sys::wait_readable(&[&self.socket], (deadline - now).min(SWEEP));
            }
        }
    }
}

fn server_family(server: SocketAddr) -> IpAddr {
    match server {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}
