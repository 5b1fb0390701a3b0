//! linphonec, driven by its own console over a pipe, with files for microphone and loudspeaker.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::wav::{self, Sound};

use crate::line_options::{Codec, LineOptions};
use crate::ports;
use crate::process::Process;
use crate::server::PASSWORD;
use crate::wait::{Line, eventually};

/// A running linphonec. Dropping it ends it.
pub struct Linphone {
    process: Process,
    options: LineOptions,
    folder: TempDir,
}

impl Linphone {
    /// Starts it and, with a registrar, registers.
    pub fn start(options: LineOptions) -> Self {
        let folder = tempfile::Builder::new().prefix("linphone-").tempdir().expect("temporary folder");
        let home = folder.path().join("user");
        // Without these it does not start.
        for place in [".local/share/linphone", ".config/linphone"] {
            std::fs::create_dir_all(home.join(place)).expect("created");
        }
        options.write_tone(folder.path());
        std::fs::write(folder.path().join("rc"), config(&options, ports::free(8))).expect("written");
        let mut command = Command::new("linphonec");
        command.arg("-c").arg(folder.path().join("rc")).arg("-d").arg("6").arg("-l").arg(folder.path().join("debug"));
        command.env("HOME", &home).env_remove("XDG_DATA_HOME").env_remove("XDG_CONFIG_HOME");
        let process = Process::start(command, &folder.path().join("log"), Stdio::piped());
        let mut phone = Self { process, options, folder };
        phone.set_up();
        phone
    }

    fn set_up(&mut self) {
        eventually("prompt of linphonec", || self.process.output().contains("linphonec>"), || self.process.tail());
        let play = format!("play {}", self.folder.path().join("tone.wav").display());
        let record = format!("record {}", self.recording().display());
        // With IPv6 it would offer IPv6 media over IPv4 signalling when the machine has such an address.
        for command in ["ipv6 disable", "soundcard use files", &play, &record] {
            self.command(command);
        }
        if let Some(server) = self.options.server.clone() {
            let LineOptions { user, transport, .. } = self.options.clone();
            self.command(&format!("register sip:{user}@{server} sip:{server};transport={transport} {PASSWORD}"));
        }
    }

    fn command(&mut self, command: &str) {
        let console = self.process.stdin().expect("the console is a pipe");
        writeln!(console, "{command}").and_then(|()| console.flush()).expect("linphonec reads its console");
        // It reads its console between its own rounds; a second line in the same round is lost.
        std::thread::sleep(Duration::from_millis(300));
    }

    /// Takes the call that rings.
    pub fn answer(&mut self) {
        self.command("answer");
    }

    /// Puts its first call on hold, which it wants before it makes another.
    pub fn hold_first(&mut self) {
        self.command("pause 1");
        eventually("a paused call", || self.process.output().contains("paused"), || self.process.tail());
    }

    /// Sends the other side of its first call to that of its second one (REFER with `Replaces`).
    pub fn join_first_to_second(&mut self) {
        self.command("transfer 1 --to-call 2");
    }

    /// Waits until so many of its calls were established.
    pub fn wait_calls(&mut self, count: usize) {
        let what = format!("{count} established calls of {}", self.options.user);
        let done = || self.process.output().matches("established").count() >= count;
        eventually(&what, done, || self.process.tail());
    }

    fn recording(&self) -> PathBuf {
        self.folder.path().join("heard.wav")
    }
}

impl Line for Linphone {
    fn user(&self) -> &str {
        &self.options.user
    }

    fn tone(&self) -> u32 {
        self.options.tone
    }

    fn wait_registered(&mut self) {
        let debug = self.folder.path().join("debug");
        let done = || std::fs::read(&debug).is_ok_and(|log| String::from_utf8_lossy(&log).contains("RegistrationOk"));
        eventually(&format!("registration of {}", self.options.user), done, || self.process.tail());
    }

    fn call(&mut self, uri: &str) {
        self.command(&format!("call {uri}"));
        self.wait_established();
    }

    fn wait_established(&mut self) {
        let what = format!("established call of {}", self.options.user);
        eventually(&what, || self.process.output().contains("established"), || self.process.tail());
    }

    fn hang_up(&mut self) {
        self.command("terminate all");
        eventually("end of the call", || self.process.output().contains("ended"), || self.process.tail());
    }

    fn heard(&mut self) -> Sound {
        wav::read(&self.recording()).unwrap_or_else(|error| panic!("{error}\n{}", self.process.tail()))
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        if let Some(console) = self.process.stdin() {
            let _ = writeln!(console, "quit").and_then(|()| console.flush());
        }
        self.process.wait(Duration::from_secs(4));
    }
}

fn config(options: &LineOptions, port: u16) -> String {
    let at = |transport: &str| if options.transport == transport { port } else { 0 };
    let (udp, tcp, tls, rtp) = (at("udp"), at("tcp"), at("tls"), port + 2);
    let ca = options.ca.as_ref().map_or(String::new(), |path| format!("root_ca={}\n", path.display()));
    let verify = u8::from(options.ca.is_some());
    let encryption = if options.srtp { "srtp" } else { "none" };
    let mandatory = u8::from(options.srtp);
    let user = &options.user;
    let mut text = format!(
        "[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
use_ipv6=0
guess_hostname=1
contact=sip:{user}@127.0.0.1
inc_timeout=60
media_encryption={encryption}
media_encryption_mandatory={mandatory}
verify_server_certs={verify}
verify_server_cn=0
{ca}default_proxy=0
[rtp]
audio_rtp_port={rtp}
video_rtp_port={}
[sound]
echocancellation=0
[video]
capture=0
display=0
automatically_initiate=0
automatically_accept=0
[misc]
uuid=00000000-0000-4000-8000-{port:012}
",
        rtp + 2
    );
    let codec = match options.codec {
        Codec::Opus => "opus",
        Codec::Pcmu => "PCMU",
        Codec::Pcma => "PCMA",
    };
    let known =
        [("opus", 48_000, 2), ("PCMU", 8_000, 1), ("PCMA", 8_000, 1), ("speex", 16_000, 1), ("speex", 8_000, 1)];
    for (index, (name, rate, channels)) in known.into_iter().enumerate() {
        let enabled = u8::from(name == codec);
        text.push_str(&format!(
            "[audio_codec_{index}]\nmime={name}\nrate={rate}\nchannels={channels}\nenabled={enabled}\n"
        ));
    }
    text
}
