//! baresip without a sound card: a WAV is its microphone, `sndfile` its tape, `ctrl_tcp` its keypad.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use testkit::wav::{self, Sound};

use crate::line_options::{Codec, LineOptions};
use crate::ports;
use crate::process::Process;
use crate::server::PASSWORD;
use crate::wait::{Line, eventually};

/// A running baresip. Dropping it ends it.
pub struct Baresip {
    process: Process,
    control: TcpStream,
    events: Arc<Mutex<Vec<Value>>>,
    port: u16,
    options: LineOptions,
    folder: TempDir,
}

impl Baresip {
    /// Starts it. It answers calls by itself.
    pub fn start(options: LineOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("baresip-").tempdir().expect("temporary folder");
        // SIP over TLS takes the port above the others'; then the control port, and RTP from an even one on.
        let port = ports::free(24);
        options.write_tone(folder.path());
        std::fs::write(folder.path().join("config"), config(&options, folder.path(), port)).expect("written");
        std::fs::write(folder.path().join("accounts"), account(&options)).expect("written");
        std::fs::write(folder.path().join("contacts"), "\n").expect("written");
        let mut command = Command::new("baresip");
        command.arg("-f").arg(folder.path()).args(["-s", "-t", "300"]);
        let mut process = Process::start(command, &folder.path().join("log"), Stdio::null());
        let control = connect(&mut process, port + 2);
        let events = Arc::new(Mutex::new(Vec::new()));
        let reader = control.try_clone().expect("a socket can be doubled");
        let sink = events.clone();
        std::thread::spawn(move || read_events(reader, &sink));
        Self { process, control, events, port, options, folder }
    }

    /// The URI that reaches it directly, without a registrar.
    pub fn direct_uri(&self) -> String {
        format!("sip:{}@127.0.0.1:{}", self.options.user, self.port)
    }

    /// Presses keys in the call.
    pub fn press(&mut self, keys: &str) {
        for key in keys.chars() {
            self.command("sndcode", &key.to_string());
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// Sends the other side of the call on to this URI (REFER).
    pub fn transfer(&mut self, uri: &str) {
        self.command("transfer", uri);
    }

    /// How many events of that type there were.
    pub fn events(&self, kind: &str) -> usize {
        let events = self.events.lock().expect("no holder panics");
        events.iter().filter(|event| event["type"].as_str() == Some(kind)).count()
    }

    /// Waits until the call ends from the other side.
    pub fn wait_closed(&mut self) {
        self.wait_event("CALL_CLOSED");
    }

    fn wait_event(&mut self, kind: &str) {
        let what = format!("{kind} at {}", self.options.user);
        eventually(&what, || self.events(kind) > 0, || self.process.tail());
    }

    fn command(&mut self, command: &str, parameters: &str) {
        self.send(command, parameters).expect("baresip reads its control socket");
    }

    fn send(&mut self, command: &str, parameters: &str) -> std::io::Result<()> {
        let text = serde_json::json!({ "command": command, "params": parameters, "token": command }).to_string();
        // A netstring: length, colon, text, comma.
        write!(self.control, "{}:{text},", text.len())
    }

    fn recording(&self) -> Option<PathBuf> {
        let files = std::fs::read_dir(self.folder.path()).ok()?.flatten().map(|entry| entry.path());
        let is_heard = |path: &PathBuf| path.to_string_lossy().ends_with("-dec.wav");
        files.filter(is_heard).max_by_key(|path| std::fs::metadata(path).and_then(|data| data.modified()).ok())
    }
}

impl Line for Baresip {
    fn user(&self) -> &str {
        &self.options.user
    }

    fn tone(&self) -> u32 {
        self.options.tone
    }

    fn wait_registered(&mut self) {
        // The first REGISTER is often answered before the control socket is open: the log is asked too.
        let done = || self.events("REGISTER_OK") > 0 || self.process.output().contains("binding");
        let what = format!("registration of {}", self.options.user);
        eventually(&what, done, || self.process.tail());
    }

    fn call(&mut self, uri: &str) {
        self.command("dial", uri);
        self.wait_established();
    }

    fn wait_established(&mut self) {
        self.wait_event("CALL_ESTABLISHED");
    }

    fn hang_up(&mut self) {
        self.command("hangup", "");
        self.wait_closed();
    }

    fn heard(&mut self) -> Sound {
        let path = self.recording().unwrap_or_else(|| panic!("no recording\n{}", self.process.tail()));
        wav::read(&path).expect("baresip writes WAV files of 16-bit PCM")
    }
}

impl Drop for Baresip {
    fn drop(&mut self) {
        // `quit` lets it send BYE and unregister; the process is ended by its id if it does not follow.
        let _ = self.send("quit", "");
        self.process.wait(Duration::from_secs(2));
    }
}

fn config(options: &LineOptions, folder: &Path, port: u16) -> String {
    let (folder, control, rtp) = (folder.display(), port + 2, port + 4);
    let ca = options.ca.as_ref().map_or(String::new(), |path| format!("sip_cafile {}\n", path.display()));
    format!(
        "poll_method epoll
sip_listen 127.0.0.1:{port}
{ca}net_interface 127.0.0.1
call_local_timeout 60
call_max_calls 4
audio_player aubridge,sink{port}
audio_source aufile,{folder}/tone.wav
audio_alert aubridge,sink{port}
audio_level no
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 1
auplay_channels 1
ausrc_format s16
auplay_format s16
audio_txmode thread
rtp_ports {rtp}-{}
rtcp_mux no
jitter_buffer_delay 2-20
module_path {}
module opus.so
module g711.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module_tmp uuid.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
snd_path {folder}
opus_bitrate 32000
opus_inbandfec yes
",
        rtp + 18,
        modules(),
    )
}

/// Where the distribution keeps baresip's modules.
fn modules() -> String {
    let places = ["/usr/lib/baresip/modules", "/usr/lib64/baresip/modules", "/usr/local/lib/baresip/modules"];
    places.into_iter().find(|place| Path::new(place).is_dir()).unwrap_or(places[0]).to_owned()
}

fn account(options: &LineOptions) -> String {
    let LineOptions { user, transport, .. } = options;
    let server = options.server.as_deref().unwrap_or("127.0.0.1");
    let registration = match &options.server {
        Some(server) => format!("regint=120;outbound=\"sip:{server};transport={transport}\""),
        None => "regint=0".to_owned(),
    };
    let codec = match options.codec {
        Codec::Opus => "opus/48000/2",
        Codec::Pcmu => "pcmu",
        Codec::Pcma => "pcma",
    };
    let srtp = if options.srtp { ";mediaenc=srtp-mand" } else { "" };
    format!(
        "<sip:{user}@{server};transport={transport}>;auth_user={user};auth_pass={PASSWORD};{registration};audio_codecs={codec};answermode=auto{srtp}\n"
    )
}

fn connect(process: &mut Process, port: u16) -> TcpStream {
    let mut stream = None;
    let mut connected = || {
        stream = TcpStream::connect(("127.0.0.1", port)).ok();
        stream.is_some() || process.has_ended()
    };
    eventually("control socket of baresip", &mut connected, String::new);
    stream.unwrap_or_else(|| panic!("baresip ended\n{}", process.tail()))
}

/// Reads netstrings of JSON until the socket closes.
fn read_events(mut socket: TcpStream, events: &Mutex<Vec<Value>>) {
    let mut buffer = Vec::new();
    let mut chunk = [0; 4_096];
    while let Ok(length @ 1..) = socket.read(&mut chunk) {
        buffer.extend_from_slice(&chunk[..length]);
        while let Some(colon) = buffer.iter().position(|byte| *byte == b':') {
            let size = std::str::from_utf8(&buffer[..colon]).ok().and_then(|text| text.parse::<usize>().ok());
            let Some(end) = size.map(|size| colon + 1 + size) else { return };
            if buffer.len() <= end {
                break;
            }
            if let Ok(event) = serde_json::from_slice(&buffer[colon + 1..end]) {
                events.lock().expect("no holder panics").push(event);
            }
            buffer.drain(..=end);
        }
    }
}
