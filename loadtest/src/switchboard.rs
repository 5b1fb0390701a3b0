//! All synthetic callers behind one UDP socket: they invite, acknowledge, ring, answer and hang up.
//!
//! Nothing happens here by itself except reading the socket: whoever measures drives it by [`Switchboard::pump`], so that
//! one thread sees everything in order. Messages are those of the test kit, which knows none of the server's code.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use testkit::{Credentials, SipMessage, digest};

use crate::Failure;
use crate::dialog::{Call, CallState};
use crate::server::{DOMAIN, PASSWORD};

/// Messages waiting to be looked at; more wait in the socket.
const QUEUE: usize = 4_096;
/// How often unanswered requests are looked through. RFC 3261 17.1.1.2 repeats them after 500 ms at the earliest.
const SWEEP: Duration = Duration::from_millis(100);

/// Names a call of this process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallName(String);

/// Who calls.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Caller {
    /// Somebody of another domain, who has no password.
    Stranger,
    /// One of the server's users, who answers its challenge.
    User(&'static str),
}

/// The callers and, when registered, the callee.
pub(crate) struct Switchboard {
    socket: Arc<UdpSocket>,
    local: SocketAddr,
    server: SocketAddr,
    letters: Receiver<(Instant, SipMessage)>,
    calls: HashMap<String, Call>,
    /// Where the callee says it receives audio.
    callee_audio: Option<SocketAddr>,
    hang_up_at_once: bool,
    counter: u64,
    swept: Instant,
    closed: Arc<AtomicBool>,
}

impl Switchboard {
    /// Opens the socket.
    pub(crate) fn open(server: SocketAddr) -> Result<Self, Failure> {
        let socket = Arc::new(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let (sender, letters) = sync_channel(QUEUE);
        let closed = Arc::new(AtomicBool::new(false));
        let (reader, is_closed) = (socket.clone(), closed.clone());
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            while !is_closed.load(Ordering::Relaxed) {
                let Ok((length, _)) = reader.recv_from(&mut buffer) else { continue };
                let arrival = Instant::now();
                let Some(message) = SipMessage::parse(&buffer[..length]) else { continue };
                if sender.send((arrival, message)).is_err() {
                    return;
                }
            }
        });
        Ok(Self {
            local: socket.local_addr()?,
            socket,
            server,
            letters,
            calls: HashMap::new(),
            callee_audio: None,
            hang_up_at_once: false,
            counter: 0,
            swept: Instant::now(),
            closed,
        })
    }

    /// From now on every call ends as soon as it is answered.
    pub(crate) fn hang_up_at_once(&mut self) {
        self.hang_up_at_once = true;
    }

    /// Registers one of the server's users here, and answers what comes for him after a 180.
    pub(crate) fn register(&mut self, user: &'static str, audio: SocketAddr) -> Result<(), Failure> {
        self.callee_audio = Some(audio);
        let name = self.start("REGISTER", Caller::User(user), &format!("sip:{DOMAIN}"), None);
        self.pump_until(Instant::now() + Duration::from_secs(5), |board| board.call(&name).is_settled());
        match self.call(&name).state {
            CallState::Answered => Ok(()),
            state => Err(Failure(format!("REGISTER came to {state:?}"))),
        }
    }

    /// Sends an INVITE to `user` of the server's domain, offering G.711 at `audio`.
    pub(crate) fn invite(&mut self, caller: Caller, user: &str, audio: SocketAddr) -> CallName {
        self.start("INVITE", caller, &format!("sip:{user}@{DOMAIN}"), Some(audio))
    }

    /// A call's present state.
    pub(crate) fn call(&self, name: &CallName) -> &Call {
        &self.calls[&name.0]
    }

    /// Hangs up what was answered.
    pub(crate) fn hang_up(&mut self, name: &CallName) {
        let Some(mut call) = self.calls.remove(&name.0) else { return };
        if call.state == CallState::Answered {
            self.send_bye(&mut call);
        }
        self.calls.insert(name.0.clone(), call);
    }

    /// Hangs up everything, waits for the answers and forgets the calls.
    pub(crate) fn hang_up_all(&mut self) {
        let names: Vec<CallName> = self.calls.keys().cloned().map(CallName).collect();
        for name in &names {
            self.hang_up(name);
            self.pump(Instant::now() + Duration::from_millis(2));
        }
        self.pump_until(Instant::now() + Duration::from_secs(10), |board| {
            board.calls.values().all(|call| call.state != CallState::Leaving)
        });
        self.calls.clear();
    }

    /// Works until `deadline`.
    pub(crate) fn pump(&mut self, deadline: Instant) {
        self.pump_until(deadline, |_| false);
    }

    /// Works until `done` or `deadline`; tells whether it was done.
    pub(crate) fn pump_until(&mut self, deadline: Instant, done: impl Fn(&Self) -> bool) -> bool {
        loop {
            if done(self) {
                return true;
            }
            let now = Instant::now();
            if now >= deadline {
                return false;
            }
            if now >= self.swept + SWEEP {
                self.repeat_unanswered(now);
            }
            match self.letters.recv_timeout((deadline - now).min(SWEEP)) {
                Ok((at, message)) if message.status().is_some() => self.on_response(at, &message),
                Ok((_, message)) => self.on_request(&message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }

    /// How many calls fulfil a condition.
    pub(crate) fn count(&self, condition: impl Fn(&Call) -> bool) -> usize {
        self.calls.values().filter(|call| condition(call)).count()
    }

    fn start(&mut self, method: &'static str, caller: Caller, to: &str, audio: Option<SocketAddr>) -> CallName {
        self.counter += 1;
        let (from, user) = match caller {
            Caller::Stranger => (format!("sip:caller{}@callers.invalid", self.counter), None),
            Caller::User(user) => (format!("sip:{user}@{DOMAIN}"), Some(user)),
        };
        let to_user = if method == "REGISTER" { from.clone() } else { to.to_owned() };
        let name = format!("{}-{}@127.0.0.1", self.counter, self.local.port());
        let mut request = SipMessage::request(method, to)
            .with("Via", self.via())
            .with("Max-Forwards", "70")
            .with("From", format!("<{from}>;tag=f{}", self.counter))
            .with("To", format!("<{to_user}>"))
            .with("Call-ID", name.clone())
            .with("CSeq", format!("1 {method}"))
            .with("Contact", format!("<sip:{}@{}>", user.unwrap_or("caller"), self.local));
        if let Some(audio) = audio {
            request = request.with_body("application/sdp", sdp(audio));
        }
        if method == "REGISTER" {
            request = request.with("Expires", "3600");
        }
        let call = Call::new(request, user);
        self.send(&call.request);
        self.calls.insert(name.clone(), call);
        CallName(name)
    }

    fn on_response(&mut self, at: Instant, response: &SipMessage) {
        let Some(mut call) = self.calls.remove(response.call_id()) else { return };
        match (response.method(), response.status().unwrap_or(0)) {
            ("BYE", 200..) => call.end(),
            ("INVITE", 100..=199) => call.repeat = None,
            ("INVITE", status @ 200..) if response.cseq() == call.cseq() => {
                self.on_final(&mut call, at, status, response);
            }
            ("INVITE", 300..) => self.send(&call.acknowledgement_of(response)),
            ("REGISTER", status @ 200..) if response.cseq() == call.cseq() => {
                self.on_final(&mut call, at, status, response);
            }
            _ => {}
        }
        self.calls.insert(response.call_id().to_owned(), call);
    }

    fn on_final(&mut self, call: &mut Call, at: Instant, status: u16, response: &SipMessage) {
        let is_invite = response.method() == "INVITE";
        if (200..=299).contains(&status) {
            if is_invite {
                self.send(&call.inside("ACK", call.cseq(), response, &self.via()));
            }
            if call.state != CallState::Calling {
                return;
            }
            call.answered(at, response);
            if is_invite && self.hang_up_at_once {
                self.send_bye(call);
            }
            return;
        }
        if is_invite {
            self.send(&call.acknowledgement_of(response));
        }
        let credentials = call.user.map(|user| Credentials { user: user.to_owned(), password: PASSWORD.to_owned() });
        let proof = credentials.and_then(|credentials| digest::answer(response, &call.request, &credentials));
        match proof.filter(|_| call.cseq() == 1 && call.state == CallState::Calling) {
            Some((header, value)) => {
                call.try_again(&self.via(), header, value);
                self.send(&call.request);
            }
            None => call.failed(status),
        }
    }

    fn on_request(&mut self, request: &SipMessage) {
        if request.method() == "ACK" {
            return;
        }
        let answer = |status, reason| SipMessage::response_to(request, status, reason, "callee");
        let known = self.calls.get_mut(request.call_id());
        match (request.method(), known) {
            ("BYE", Some(call)) => {
                call.hung_up_by_peer();
                self.send(&answer(200, "OK"));
            }
            ("INVITE", None) if self.callee_audio.is_some() => {
                let contact = format!("<sip:callee@{}>", self.local);
                self.send(&answer(180, "Ringing").with("Contact", contact.clone()));
                let audio = self.callee_audio.unwrap_or(self.local);
                self.send(&answer(200, "OK").with("Contact", contact).with_body("application/sdp", sdp(audio)));
            }
            ("INVITE", _) => self.send(&answer(488, "Not Acceptable Here")),
            _ => self.send(&answer(200, "OK")),
        }
    }

    fn send_bye(&self, call: &mut Call) {
        call.leave(&self.via());
        self.send(&call.request);
    }

    fn repeat_unanswered(&mut self, now: Instant) {
        self.swept = now;
        for call in self.calls.values_mut() {
            if call.is_due(now) {
                let _ = self.socket.send_to(&call.request.to_bytes(), self.server);
            }
        }
    }

    fn via(&self) -> String {
        // The time makes it unique; RFC 3261 8.1.1.7 asks for the magic cookie in front.
        let nanos = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
        format!("SIP/2.0/UDP {};branch=z9hG4bK{nanos:x};rport", self.local)
    }

    /// A message that is lost is repeated like any other.
    fn send(&self, message: &SipMessage) {
        let _ = self.socket.send_to(&message.to_bytes(), self.server);
    }
}

impl Drop for Switchboard {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// G.711 mu-law at that address.
fn sdp(audio: SocketAddr) -> String {
    let (ip, port) = (audio.ip(), audio.port());
    format!(
        "v=0\r\no=- {port} 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
         a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n"
    )
}
