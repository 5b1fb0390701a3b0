//! What a call to a response group costs, and how fast it moves.

use std::collections::{HashMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testkit::{Credentials, SipMessage, digest, g711, tone};

use super::{Setting, Stage};
use crate::Failure;
use crate::audio::Line;
use crate::dialog::CallState;
use crate::kamailio::{ABSENT, Kamailio, Phones};
use crate::report::Figure;
use crate::server::{DOMAIN, GROUPS, PASSWORD, agent_name, group_name};
use crate::switchboard::{Caller, Switchboard};

/// Agents of each group.
const AGENTS: usize = 3;
const CALLS: usize = 1_000;
const CALLS_PER_SECOND: f64 = 100.0;
/// For 1,000 calls; a stateful proxy that forks to three needs 0.55 to 0.58.
const CPU_SECONDS_MAX: f64 = 1.0;
const CANCEL_MS_MAX: f64 = 5.0;
const AUDIO_MS_MAX: f64 = 40.0;
/// Single calls for the two times.
const SINGLES: usize = 20;
/// What an agent plays.
const TONE_HZ: u32 = 1_000;

/// How long a caller stays on the line. He is answered at once, by the welcome; an agent has answered and the others are
/// cancelled well before, and the group's next call comes later.
const STAY: Duration = Duration::from_millis(150);

/// All figures, with the proxy's beside them.
pub(super) fn measure(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    // What one cannot measure must not hide the others.
    let measured = |name: &str, figure: Result<Figure, Failure>| {
        figure.unwrap_or_else(|why| Figure::unmeasured(&format!("groups: {name}"), &why))
    };
    Ok(vec![
        measured("processor time", cost(setting)),
        measured("hang-up", hang_up_to_cancel(setting)),
        measured("answer", answer_to_audio(setting)),
        measured("Kamailio", anchor()),
    ])
}

/// Calls that ring three agents; one answers, two are cancelled, the caller hangs up.
fn cost(setting: &Setting) -> Result<Figure, Failure> {
    let mut stage = Stage::set(setting)?;
    let agents = Agents::register(stage.server.sip(), Answer::First)?;
    let before = stage.server.usage()?;
    let late = call_often(&mut stage.board, |index| group_name(index % GROUPS))?;
    let cpu_seconds = stage.server.usage()?.cpu_seconds - before.cpu_seconds;
    let ended = stage.board.count(|call| call.state == CallState::Ended);
    let [offers, answers, cancels] =
        [agents.count(|seen| seen.invites), agents.count(|seen| seen.answers), agents.count(|seen| seen.cancels)];
    // What did not ring, was not answered or was not cancelled has cost nothing, and must not make the figure look good.
    let complete = (ended, offers, answers, cancels) == (CALLS, AGENTS * CALLS, CALLS, (AGENTS - 1) * CALLS);
    let value = if complete { cpu_seconds * 1_000.0 / CALLS as f64 } else { f64::NAN };
    let note = format!(
        "each rings three agents, one answers, two are cancelled; {CALLS} calls, {ended} ended in order, {offers} offers, \
         {answers} answered, {cancels} cancelled"
    );
    Ok(Figure::new("groups: 1,000 calls to three agents in parallel", value, "CPU-s")
        .at_most(CPU_SECONDS_MAX)
        .note(note)
        .late(&late))
}

/// The same through Kamailio, which forks each call to three phones. It is no end of a dialog and mixes nothing.
fn anchor() -> Result<Figure, Failure> {
    let name = "groups: 1,000 calls forked to three by Kamailio";
    let Some(proxy) = Kamailio::start(Phones::Fork)? else { return Ok(Figure::absent(name, ABSENT)) };
    let mut board = Switchboard::open(proxy.address())?;
    let before = proxy.cpu_seconds()?;
    let late = call_often(&mut board, |_| "callee".to_owned())?;
    let cpu_seconds = proxy.cpu_seconds()? - before;
    let ended = board.count(|call| call.state == CallState::Ended);
    let value = if ended == CALLS { cpu_seconds * 1_000.0 / CALLS as f64 } else { f64::NAN };
    let note = format!("for comparison: one of three phones answers, two are cancelled; {} failed", CALLS - ended);
    Ok(Figure::new(name, value, "CPU-s").note(note).late(&late))
}

/// Places the calls at their times, ends each after [`STAY`], and waits for the last one; answers how late each was
/// placed, in ms.
fn call_often(board: &mut Switchboard, to: impl Fn(usize) -> String) -> Result<Vec<f64>, Failure> {
    let line = Line::open()?;
    let start = Instant::now();
    let mut late = Vec::with_capacity(CALLS);
    let mut open = VecDeque::new();
    for index in 0..CALLS {
        let at = start + Duration::from_secs_f64(index as f64 / CALLS_PER_SECOND);
        board.pump(at);
        late.push((Instant::now() - at).as_secs_f64() * 1_000.0);
        open.push_back((Instant::now() + STAY, board.invite(Caller::Stranger, &to(index), line.address)));
        while let Some((_, call)) = open.pop_front_if(|(due, _)| *due <= Instant::now()) {
            board.hang_up(&call);
        }
    }
    for (due, call) in open {
        board.pump(due);
        board.hang_up(&call);
    }
    let is_open = |state| matches!(state, CallState::Calling | CallState::Answered | CallState::Leaving);
    let limit = Instant::now() + Duration::from_secs(40);
    board.pump_until(limit, |board| board.count(|call| is_open(call.state)) == 0);
    Ok(late)
}

/// From the caller's BYE to the CANCEL at a ringing agent.
fn hang_up_to_cancel(setting: &Setting) -> Result<Figure, Failure> {
    let mut stage = Stage::set(setting)?;
    let line = Line::open()?;
    let agents = Agents::register(stage.server.sip(), Answer::Nobody)?;
    let mut times = Vec::new();
    for index in 0..SINGLES {
        let call = stage.board.invite(Caller::Stranger, &group_name(index % GROUPS), line.address);
        stage.board.pump_until(Instant::now() + Duration::from_secs(5), |board| board.call(&call).is_settled());
        stage.board.pump(Instant::now() + Duration::from_millis(200));
        let began = Instant::now();
        stage.board.hang_up(&call);
        stage.board.pump(Instant::now() + Duration::from_millis(200));
        let first = agents.cancelled_after(began).ok_or_else(|| Failure("no CANCEL came".to_owned()))?;
        times.push(first.as_secs_f64() * 1_000.0);
    }
    Ok(worst("groups: caller hangs up, agents' phones are cancelled", times, CANCEL_MS_MAX))
}

/// From an agent's 200 to the first packet in which the caller hears him.
fn answer_to_audio(setting: &Setting) -> Result<Figure, Failure> {
    let mut stage = Stage::set(setting)?;
    let agents = Agents::register(stage.server.sip(), Answer::Speaking)?;
    let mut times = Vec::new();
    for index in 0..SINGLES {
        let line = Line::open()?;
        let ear = Ear::open(&line);
        let call = stage.board.invite(Caller::Stranger, &group_name(index % GROUPS), line.address);
        stage.board.pump_until(Instant::now() + Duration::from_secs(5), |board| board.call(&call).is_settled());
        stage.board.pump(Instant::now() + Duration::from_millis(600));
        let answered = agents.answered_last().ok_or_else(|| Failure("no agent answered".to_owned()))?;
        let heard = ear.heard().ok_or_else(|| Failure("the agent is not heard".to_owned()))?;
        times.push(heard.saturating_duration_since(answered).as_secs_f64() * 1_000.0);
        stage.board.hang_up(&call);
        stage.board.pump(Instant::now() + Duration::from_millis(100));
    }
    Ok(worst("groups: an agent answers, the caller hears him", times, AUDIO_MS_MAX))
}

/// The worst of few is stricter than a percentile of many.
fn worst(name: &str, mut times: Vec<f64>, most: f64) -> Figure {
    times.sort_by(f64::total_cmp);
    let median = times.get(times.len() / 2).copied().unwrap_or(f64::NAN);
    let worst = times.last().copied().unwrap_or(f64::NAN);
    Figure::new(name, worst, "ms").at_most(most).note(format!("the worst of {}; median {median:.1} ms", times.len()))
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answer {
    /// The first of each group.
    First,
    /// He, and he speaks at once.
    Speaking,
    /// All of them ring on.
    Nobody,
}

/// What the agents saw.
#[derive(Default)]
struct Seen {
    invites: usize,
    answers: usize,
    cancels: usize,
    cancelled: Vec<Instant>,
    answered: Option<Instant>,
}

/// Every agent behind one socket.
struct Agents {
    seen: Arc<Mutex<Seen>>,
    closed: Arc<AtomicBool>,
}

impl Agents {
    fn register(server: SocketAddr, answer: Answer) -> Result<Self, Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        for index in 0..GROUPS * AGENTS {
            register_one(&socket, server, &agent_name(index), index)?;
        }
        let (seen, closed) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let desk = Desk {
            local: socket.local_addr()?,
            socket,
            server,
            answer,
            seen: Arc::clone(&seen),
            mouth: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?,
            ringing: HashMap::new(),
        };
        let is_closed = Arc::clone(&closed);
        std::thread::spawn(move || desk.work(&is_closed));
        Ok(Self { seen, closed })
    }

    fn count(&self, what: impl Fn(&Seen) -> usize) -> usize {
        what(&self.seen.lock().expect("no holder panics"))
    }

    fn cancelled_after(&self, began: Instant) -> Option<Duration> {
        let seen = self.seen.lock().expect("no holder panics");
        seen.cancelled.iter().find(|at| **at >= began).map(|at| at.saturating_duration_since(began))
    }

    fn answered_last(&self) -> Option<Instant> {
        self.seen.lock().expect("no holder panics").answered
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// REGISTER, with the answer to its challenge.
fn register_one(socket: &UdpSocket, server: SocketAddr, user: &str, index: usize) -> Result<(), Failure> {
    let local = socket.local_addr()?;
    let uri = format!("sip:{user}@{DOMAIN}");
    let mut request = SipMessage::request("REGISTER", &format!("sip:{DOMAIN}"))
        .with("Via", format!("SIP/2.0/UDP {local};branch=z9hG4bKr{index};rport"))
        .with("Max-Forwards", "70")
        .with("From", format!("<{uri}>;tag=r{index}"))
        .with("To", format!("<{uri}>"))
        .with("Call-ID", format!("r{index}@{local}"))
        .with("CSeq", "1 REGISTER")
        .with("Contact", format!("<sip:{user}@{local}>"))
        .with("Expires", "3600");
    let credentials = Credentials { user: user.to_owned(), password: PASSWORD.to_owned() };
    let mut buffer = vec![0; 8_192];
    for _ in 0..40 {
        socket.send_to(&request.to_bytes(), server)?;
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        let Some(response) = SipMessage::parse(&buffer[..length]) else { continue };
        match response.status() {
            Some(200) if response.call_id() == request.call_id() => return Ok(()),
            Some(401) if response.call_id() == request.call_id() => {
                let proof = digest::answer(&response, &request, &credentials);
                let Some((header, value)) = proof else { break };
                request.set(header, value);
                request.set("CSeq", "2 REGISTER");
                request.set("Via", format!("SIP/2.0/UDP {local};branch=z9hG4bKs{index};rport"));
            }
            _ => {}
        }
    }
    Err(Failure(format!("{user} could not register")))
}

/// The thread behind the agents' socket.
struct Desk {
    socket: UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    answer: Answer,
    seen: Arc<Mutex<Seen>>,
    /// Where the answering agent speaks from.
    mouth: UdpSocket,
    /// INVITEs without a final response, by Call-ID.
    ringing: HashMap<String, SipMessage>,
}

impl Desk {
    fn work(mut self, closed: &AtomicBool) {
        let mut buffer = vec![0; 65_536];
        let voice = (self.answer == Answer::Speaking).then(|| self.mouth.try_clone().ok().map(voice)).flatten();
        while !closed.load(Ordering::Relaxed) {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer) else { continue };
            let Some(message) = SipMessage::parse(&buffer[..length]) else { continue };
            if message.status().is_none() {
                self.on_request(&message, voice.as_ref());
            }
        }
    }

    fn on_request(&mut self, request: &SipMessage, voice: Option<&Sender<SocketAddr>>) {
        let reply = |status, reason| SipMessage::response_to(request, status, reason, "agent");
        match request.method() {
            "INVITE" => self.on_invite(request, voice),
            "CANCEL" => {
                let now = Instant::now();
                {
                    let mut seen = self.seen.lock().expect("no holder panics");
                    seen.cancels += 1;
                    seen.cancelled.push(now);
                }
                self.send(&reply(200, "OK"));
                if let Some(invite) = self.ringing.remove(request.call_id()) {
                    self.send(&SipMessage::response_to(&invite, 487, "Request Terminated", "agent"));
                }
            }
            "ACK" => {}
            _ => self.send(&reply(200, "OK")),
        }
    }

    fn on_invite(&mut self, invite: &SipMessage, voice: Option<&Sender<SocketAddr>>) {
        let contact = format!("<sip:agent@{}>", self.local);
        let reply =
            |status, reason| SipMessage::response_to(invite, status, reason, "agent").with("Contact", contact.clone());
        self.send(&reply(180, "Ringing"));
        let number = invite.uri().trim_start_matches("sip:agent").split('@').next().and_then(|text| text.parse().ok());
        let is_first = number.is_some_and(|number: usize| number.is_multiple_of(AGENTS));
        self.seen.lock().expect("no holder panics").invites += 1;
        if self.answer == Answer::Nobody || !is_first {
            self.ringing.insert(invite.call_id().to_owned(), invite.clone());
            return;
        }
        if let (Some(voice), Some(audio)) = (voice, audio_of(&invite.body_text())) {
            // He speaks from the very moment of his answer.
            let _ = voice.send(audio);
        }
        let Ok(mouth) = self.mouth.local_addr() else { return };
        let body = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n\
             a=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n",
            mouth.port()
        );
        {
            let mut seen = self.seen.lock().expect("no holder panics");
            seen.answers += 1;
            seen.answered = Some(Instant::now());
        }
        self.send(&reply(200, "OK").with_body("application/sdp", body));
    }

    fn send(&self, message: &SipMessage) {
        // What is lost is repeated by the server.
        let _ = self.socket.send_to(&message.to_bytes(), self.server);
    }
}

/// A thread that speaks for a second to each address it is given.
fn voice(socket: UdpSocket) -> Sender<SocketAddr> {
    let (sender, places): (Sender<SocketAddr>, Receiver<SocketAddr>) = channel();
    std::thread::spawn(move || {
        let samples = tone::sine(TONE_HZ, 1.0, 8_000).samples;
        let sound: Vec<u8> = samples.into_iter().map(g711::encode_ulaw).collect();
        let mut source = 1_u32;
        for to in places {
            source += 1;
            let began = Instant::now();
            for (index, frame) in sound.chunks(160).take(30).enumerate() {
                let number = u16::try_from(index).unwrap_or(0);
                let mut packet = vec![0x80, 0];
                packet.extend(number.to_be_bytes());
                packet.extend((u32::from(number) * 160).to_be_bytes());
                packet.extend(source.to_be_bytes());
                packet.extend(frame);
                let _ = socket.send_to(&packet, to);
                let next = began + Duration::from_millis(20) * (u32::from(number) + 1);
                std::thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        }
    });
    sender
}

/// Listens on a caller's line for the agent's tone.
struct Ear {
    heard: Arc<Mutex<Option<Instant>>>,
    closed: Arc<AtomicBool>,
}

impl Ear {
    fn open(line: &Line) -> Self {
        let (heard, closed) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
        let (socket, note, is_closed) = (line.rtp.clone(), Arc::clone(&heard), Arc::clone(&closed));
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !is_closed.load(Ordering::Relaxed) {
                let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
                let at = Instant::now();
                if length > 12 && is_tone(&buffer[12..length]) {
                    note.lock().expect("no holder panics").get_or_insert(at);
                }
            }
        });
        Self { heard, closed }
    }

    fn heard(&self) -> Option<Instant> {
        *self.heard.lock().expect("no holder panics")
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// Whether most of a packet's power is at the agent's frequency (Goertzel).
fn is_tone(payload: &[u8]) -> bool {
    let samples: Vec<f64> = payload.iter().map(|byte| f64::from(g711::decode_ulaw(*byte)) / 32_768.0).collect();
    let power: f64 = samples.iter().map(|sample| sample * sample).sum();
    let step = 2.0 * (std::f64::consts::TAU * f64::from(TONE_HZ) / 8_000.0).cos();
    let (mut one, mut two) = (0.0, 0.0);
    for sample in &samples {
        (one, two) = (sample + step * one - two, one);
    }
    let there = (one * one + two * two - step * one * two) * 2.0 / samples.len() as f64;
    power / samples.len() as f64 > 1e-4 && there / power > 0.5
}

/// Address and port of the first audio stream.
fn audio_of(sdp: &str) -> Option<SocketAddr> {
    let line = |prefix: &str| sdp.lines().find_map(|line| line.trim_end().strip_prefix(prefix));
    let ip: std::net::IpAddr = line("c=IN IP4 ")?.parse().ok()?;
    Some(SocketAddr::new(ip, line("m=audio ")?.split(' ').next()?.parse().ok()?))
}
