//! Phones and trunks played by SIPp: each waits for a call and does what its scenario says.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Credentials, SipMessage, digest};

use crate::ports;
use crate::process::Process;
use crate::server::{PASSWORD, Server};
use crate::sipp::SippReport;

/// A SIPp that waits for calls. Dropping it ends it.
pub struct SippAgent {
    process: Process,
    folder: TempDir,
}

impl SippAgent {
    /// Registers a user and lets the scenario `tests/system/sipp/NAME.xml` answer for him. One call, then it
    /// ends.
    pub fn start(server: &Server, user: &str, scenario: &str) -> Self {
        let sip = ports::free(2);
        register_from(server, user, SocketAddr::from(([127, 0, 0, 1], sip)));
        Self::listen(sip, scenario)
    }

    /// A trunk: the scenario answers at this address, and nobody registers. One call, then it ends.
    pub fn trunk(scenario: &str) -> (Self, SocketAddr) {
        let sip = ports::free(2);
        (Self::listen(sip, scenario), SocketAddr::from(([127, 0, 0, 1], sip)))
    }

    fn listen(sip: u16, scenario: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("agent-").tempdir().expect("temporary folder");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{scenario}.xml"));
        std::fs::copy(&file, folder.path().join("scenario.xml"))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let media = ports::free(4);
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).args(["-sf", "scenario.xml", "-nostdin", "-trace_err", "-rtcheck", "loose"]);
        command.args(["-i", "127.0.0.1", "-p", &sip.to_string(), "-mi", "127.0.0.1", "-mp", &media.to_string()]);
        command.args(["-m", "1", "-deadcall_wait", "0"]);
        let process = Process::start(command, &folder.path().join("log"), Stdio::null());
        Self { process, folder }
    }

    /// Waits for its end; it passed when each call went as the scenario says.
    pub fn finish(mut self, within: Duration) -> SippReport {
        let passed = self.process.wait(within).is_some_and(|status| status.success());
        let errors = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
        let errors = errors.map(|entry| entry.path()).filter(|path| path.to_string_lossy().contains("_errors"));
        let errors: String = errors.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
        SippReport { passed, output: format!("{}\n{errors}", self.process.tail()) }
    }
}

/// Registers a user from the very address at which he will be called: the server calls back where a registration came
/// from. The port is free again afterwards.
fn register_from(server: &Server, user: &str, address: SocketAddr) {
    let socket = UdpSocket::bind(address).expect("a free port");
    socket.set_read_timeout(Some(Duration::from_secs(2))).expect("a timeout");
    let uri = format!("sip:{user}@{}", server.domain());
    let mut request = SipMessage::request("REGISTER", &format!("sip:{}", server.domain()))
        .with("Via", format!("SIP/2.0/UDP {address};branch=z9hG4bKone{};rport", address.port()))
        .with("Max-Forwards", "70")
        .with("From", format!("<{uri}>;tag=r{}", address.port()))
        .with("To", format!("<{uri}>"))
        .with("Call-ID", format!("register-{address}"))
        .with("CSeq", "1 REGISTER")
        .with("Contact", format!("<sip:{user}@{address}>"))
        .with("Expires", "600");
    let credentials = Credentials { user: user.to_owned(), password: PASSWORD.to_owned() };
    let mut buffer = [0; 8_192];
    for _ in 0..10 {
        socket.send_to(&request.to_bytes(), server.sip()).expect("sent");
        let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
        let response = SipMessage::parse(&buffer[..length]).expect("a response");
        match response.status() {
            Some(200) => return,
            Some(401) => {
                let (header, value) = digest::answer(&response, &request, &credentials).expect("a challenge");
                request.set(header, value);
                request.set("CSeq", "2 REGISTER");
                request.set("Via", format!("SIP/2.0/UDP {address};branch=z9hG4bKtwo{};rport", address.port()));
            }
            _ => {}
        }
    }
    panic!("{user} could not register");
}
