//! The way into Janus's AudioBridge: its JSON over a Unix socket, one session with one handle for each caller.
//!
//! The rooms are made when it is opened. A caller is a plain RTP participant: what an SDP would say stands in `rtp`.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::Credentials;

use crate::Failure;
use crate::plan::{Codec, Plan};
use crate::signalling::sdp::{Agreement, Offer};
use crate::signalling::{Event, Identity, Signalling};
use crate::sys;

/// The longest sleep on the socket.
const NAP: Duration = Duration::from_millis(2);
/// How long a request about a room may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// A caller whose answer is missing for so long begins again: a full Unix socket loses datagrams.
const AGAIN: Duration = Duration::from_secs(2);
/// The payload type callers speak Opus with; Janus takes any.
const OPUS: u8 = 111;
/// The number of the level extension.
const LEVEL_ID: u8 = 1;
/// Where Debian keeps plugins and transports.
const LIBRARIES: [&str; 2] = ["/usr/lib/x86_64-linux-gnu/janus", "/usr/lib/aarch64-linux-gnu/janus"];
/// The status of a caller whom Janus refused: SIP's internal error.
const REFUSED: u16 = 500;

/// A client of one Janus.
pub struct Janus {
    socket: UnixDatagram,
    session: u64,
    handles: BTreeMap<usize, u64>,
    offers: BTreeMap<usize, (usize, Offer)>,
    events: VecDeque<Event>,
    /// Who waits for an answer, and since when.
    pending: BTreeMap<usize, Instant>,
    leaving: usize,
    buffer: Vec<u8>,
}

impl Janus {
    /// The command that starts Janus with nothing but AudioBridge and the Unix socket, configured in `folder`.
    pub fn command(binary: &Path, folder: &Path) -> Result<Command, Failure> {
        let libraries = LIBRARIES.iter().map(Path::new).find(|path| path.exists());
        let libraries = libraries.ok_or_else(|| {
            let places = LIBRARIES.join(" nor in ");
            Failure(format!(
                "Janus's plugins are neither in {places}, where Debian puts them; make deps-peers installs them"
            ))
        })?;
        for (kind, file) in [("plugins", "libjanus_audiobridge.so"), ("transports", "libjanus_pfunix.so")] {
            std::fs::create_dir(folder.join(kind))?;
            std::os::unix::fs::symlink(libraries.join(kind).join(file), folder.join(kind).join(file))?;
        }
        for kind in ["events", "loggers"] {
            std::fs::create_dir(folder.join(kind))?;
        }
        let general = format!(
            "general: {{\n configs_folder = {0:?}\n plugins_folder = {1:?}\n transports_folder = {2:?}\n \
             events_folder = {3:?}\n loggers_folder = {4:?}\n debug_level = 2\n session_timeout = 0\n}}\n\
             media: {{\n}}\nnat: {{\n ice_lite = true\n}}\nplugins: {{\n}}\ntransports: {{\n}}\n",
            folder,
            folder.join("plugins"),
            folder.join("transports"),
            folder.join("events"),
            folder.join("loggers"),
        );
        let transport = format!(
            "general: {{\n enabled = true\n json = \"compact\"\n path = {:?}\n type = \"SOCK_DGRAM\"\n}}\nadmin: {{\n \
             admin_enabled = false\n}}\n",
            folder.join("api")
        );
        let plugin = "general: {\n rtp_port_range = \"10000-31999\"\n local_ip = \"127.0.0.1\"\n}\n";
        std::fs::write(folder.join("janus.jcfg"), general)?;
        std::fs::write(folder.join("janus.transport.pfunix.jcfg"), transport)?;
        std::fs::write(folder.join("janus.plugin.audiobridge.jcfg"), plugin)?;
        let mut command = Command::new(binary);
        command.arg("-C").arg(folder.join("janus.jcfg")).arg("-F").arg(folder).arg("-i").arg("127.0.0.1");
        command.current_dir(folder);
        Ok(command)
    }

    /// Whether it listens.
    pub fn is_ready(folder: &Path) -> bool {
        UnixDatagram::unbound().and_then(|socket| socket.connect(folder.join("api"))).is_ok()
    }

    /// Connects and makes the plan's rooms.
    pub fn open(folder: &Path, plan: &Plan) -> Result<Self, Failure> {
        let socket = UnixDatagram::bind(folder.join("client"))?;
        socket.connect(folder.join("api"))?;
        socket.set_nonblocking(true)?;
        let mut janus = Self {
            socket,
            session: 0,
            handles: BTreeMap::new(),
            offers: BTreeMap::new(),
            events: VecDeque::new(),
            pending: BTreeMap::new(),
            leaving: 0,
            buffer: vec![0; 256 << 10],
        };
        janus.session = id_of(&janus.ask(&json!({ "janus": "create", "transaction": "session" }))?)?;
        let attach = janus.attachment("rooms");
        let handle = id_of(&janus.ask(&attach)?)?;
        for room in 0..plan.shape.conferences {
            let body = json!({
                "request": "create", "room": room + 1, "sampling_rate": 48_000, "allow_rtp_participants": true,
                "audiolevel_ext": true, "audiolevel_event": false, "permanent": false,
            });
            let made = janus.message(handle, "room", &body);
            janus.ask(&made)?;
        }
        Ok(janus)
    }

    fn attachment(&self, transaction: &str) -> Value {
        json!({
            "janus": "attach", "plugin": "janus.plugin.audiobridge", "session_id": self.session,
            "transaction": transaction,
        })
    }

    fn attach(&mut self, caller: usize) {
        self.pending.insert(caller, Instant::now());
        let request = self.attachment(&format!("attach:{caller}"));
        self.tell(&request);
    }

    /// Whoever waits for too long lets go of his handle, if he has one, and begins again.
    fn repeat_unanswered(&mut self) {
        let late: Vec<usize> =
            self.pending.iter().filter(|(_, since)| since.elapsed() > AGAIN).map(|(caller, _)| *caller).collect();
        for caller in late {
            if let Some(handle) = self.handles.remove(&caller) {
                let session = self.session;
                self.tell(&json!({
                    "janus": "detach", "session_id": session, "handle_id": handle, "transaction": "given-up",
                }));
            }
            self.attach(caller);
        }
    }

    fn message(&self, handle: u64, transaction: &str, body: &Value) -> Value {
        json!({
            "janus": "message", "session_id": self.session, "handle_id": handle, "transaction": transaction, "body": body,
        })
    }

    /// Sends a request and waits for its success.
    fn ask(&mut self, request: &Value) -> Result<Value, Failure> {
        self.tell(request);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let Some(answer) = self.read(NAP) else { continue };
            if answer["transaction"] == request["transaction"] && answer["janus"] != "ack" {
                let fault = !answer["plugindata"]["data"]["error"].is_null();
                return if answer["janus"] == "success" && !fault {
                    Ok(answer)
                } else {
                    Err(Failure(format!("Janus refused: {answer}")))
                };
            }
        }
        Err(Failure(format!("Janus did not answer {request}")))
    }

    fn tell(&self, request: &Value) {
        // A request Janus does not take has no answer, which is told where the answer is missed.
        let _ = self.socket.send(request.to_string().as_bytes());
    }

    /// The next message, if one comes within that time.
    fn read(&mut self, wait: Duration) -> Option<Value> {
        sys::wait_readable(&[&self.socket], wait);
        let length = self.socket.recv(&mut self.buffer).ok()?;
        serde_json::from_slice(&self.buffer[..length]).ok()
    }

    /// Transactions are a letter for the step and the number of the caller.
    fn take(&mut self, message: &Value) {
        let Some((step, caller)) = message["transaction"].as_str().and_then(|text| text.split_once(':')) else {
            return;
        };
        let Ok(caller) = caller.parse::<usize>() else { return };
        match (step, message["janus"].as_str().unwrap_or_default()) {
            ("attach", "success") => self.on_attached(caller, message),
            ("join", "event") => self.on_joined(caller, &message["plugindata"]["data"]),
            ("leave", "success") => {
                self.leaving = self.leaving.saturating_sub(1);
                self.events.push_back(Event::Ended(caller));
            }
            (_, "error") => self.events.push_back(Event::Failed(caller, REFUSED)),
            _ => {}
        }
    }

    fn on_attached(&mut self, caller: usize, message: &Value) {
        let (Ok(handle), Some((conference, offer))) = (id_of(message), self.offers.get(&caller)) else { return };
        self.handles.insert(caller, handle);
        let (payload_type, codec) = match offer.codec {
            Codec::Opus => (OPUS, "opus"),
            Codec::Pcmu => (0, "pcmu"),
            Codec::Pcma => (8, "pcma"),
        };
        let mut rtp = json!({
            "ip": offer.audio.ip().to_string(), "port": offer.audio.port(), "payload_type": payload_type, "fec": false,
        });
        if offer.audio_level {
            rtp["audiolevel_ext"] = LEVEL_ID.into();
        }
        let body = json!({ "request": "join", "room": conference + 1, "codec": codec, "rtp": rtp });
        let request = self.message(handle, &format!("join:{caller}"), &body);
        self.tell(&request);
    }

    fn on_joined(&mut self, caller: usize, data: &Value) {
        // An answer that was given up comes too late; its handle is gone.
        let Some((_, offer)) = self.offers.get(&caller).filter(|_| self.pending.contains_key(&caller)) else { return };
        let port = data["rtp"]["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let Some(port) = port.filter(|_| data["audiobridge"] == "joined") else {
            self.pending.remove(&caller);
            self.events.push_back(Event::Failed(caller, REFUSED));
            return;
        };
        self.pending.remove(&caller);
        let payload_type = match offer.codec {
            Codec::Opus => data["rtp"]["payload_type"].as_u64().unwrap_or(u64::from(OPUS)) as u8,
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        };
        let agreement = Agreement {
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            payload_type,
            level_id: offer.audio_level.then_some(LEVEL_ID),
            remote_key: None,
        };
        self.events.push_back(Event::Answered(caller, agreement));
    }
}

fn id_of(answer: &Value) -> Result<u64, Failure> {
    answer["data"]["id"].as_u64().ok_or_else(|| Failure(format!("Janus named no id: {answer}")))
}

impl Signalling for Janus {
    fn local_ip(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn join(&mut self, caller: usize, conference: usize, _number: &str, _identity: &Identity, offer: Offer) {
        self.offers.insert(caller, (conference, offer));
        self.attach(caller);
    }

    fn register(&mut self, caller: usize, _who: &Credentials, _offer: Offer) {
        // AudioBridge calls nobody.
        self.events.push_back(Event::Failed(caller, REFUSED));
    }

    fn hang_up(&mut self, caller: usize) {
        let Some(handle) = self.handles.remove(&caller) else { return };
        let transaction = format!("leave:{caller}");
        let request = json!({
            "janus": "detach", "session_id": self.session, "handle_id": handle, "transaction": transaction,
        });
        self.leaving += 1;
        self.tell(&request);
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn leaving(&self) -> usize {
        self.leaving
    }

    fn pump(&mut self, deadline: Instant) {
        while self.events.is_empty() {
            match self.read(deadline.saturating_duration_since(Instant::now()).min(NAP)) {
                Some(message) => self.take(&message),
                None => {
                    self.repeat_unanswered();
                    if Instant::now() >= deadline {
                        return;
                    }
                }
            }
        }
    }
}
