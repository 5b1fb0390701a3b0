//! Kamailio as a stateful proxy on loopback: the measure by which the cost of a call is judged on this machine.
//!
//! A proxy does less than a server that is an end of both dialogs, so that its cost is a floor and not a rival's price.
//! Where it is not installed, the table says so and how it is installed.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::SipMessage;

use crate::Failure;
use loadtest::usage::Usage;

/// Two workers for the one socket, a transaction for each request, Record-Route so that ACK and BYE pass too.
const CONFIGURATION: &str = r#"#!KAMAILIO
debug=0
log_stderror=yes
fork=yes
children=2
listen=udp:SELF
disable_tcp=yes
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "corex.so"
loadmodule "maxfwd.so"
request_route {
    if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
    if (has_totag()) {
        if (loose_route()) { t_relay(); exit; }
        if (is_method("ACK")) { exit; }
        sl_send_reply("404", "Not Found");
        exit;
    }
    if (is_method("CANCEL")) { if (t_check_trans()) t_relay(); exit; }
    t_check_trans();
    record_route();
    ROUTE
    t_relay();
}
"#;

/// To the one phone.
const ONE: &str = r#"$du = "sip:CALLEE";"#;
/// To three phones at once, each with an address of its own (a branch for each, tm's parallel forking).
const FORK: &str =
    r#"$ru = "sip:first@CALLEE"; append_branch("sip:second@CALLEE"); append_branch("sip:third@CALLEE");"#;

/// What the table says where it is missing.
pub(crate) const ABSENT: &str =
    "not measured: there is no kamailio; `scripts/install-dependencies anchor` installs it from Debian";

/// Whom the proxy calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phones {
    /// One phone, which answers.
    One,
    /// Three, of which the first answers and the others ring until they are cancelled.
    Fork,
}

/// A running proxy and the phone that answers behind it.
pub(crate) struct Kamailio {
    child: Child,
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Kamailio {
    /// Starts it; `None` when it is not installed.
    pub(crate) fn start(phones: Phones) -> Result<Option<Self>, Failure> {
        let places = ["/usr/sbin/kamailio", "/usr/bin/kamailio", "/usr/local/sbin/kamailio"];
        let Some(program) = places.into_iter().find(|place| Path::new(place).exists()) else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("convoke-kamailio-").tempdir()?;
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let callee = answer_everything(closed.clone())?;
        let route = if phones == Phones::Fork { FORK } else { ONE };
        let text = CONFIGURATION.replace("ROUTE", route).replace("SELF", &address.to_string());
        let text = text.replace("CALLEE", &callee.to_string());
        let config = folder.path().join("kamailio.cfg");
        std::fs::write(&config, text)?;
        let child = Command::new(program)
            .arg("-DD")
            .args(["-m", "256", "-f"])
            .arg(&config)
            .arg("-Y")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let mut proxy = Self { child, address, closed, _folder: folder };
        proxy.wait_ready()?;
        Ok(Some(proxy))
    }

    /// Where it receives SIP over UDP.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time of all its processes so far, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Failure> {
        let own = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{own}/task/{own}/children"))?;
        let all = children.split_whitespace().filter_map(|pid| pid.parse().ok()).chain([own]);
        all.map(|pid| Ok(Usage::of(pid)?.cpu_seconds)).sum()
    }

    fn wait_ready(&mut self) -> Result<(), Failure> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        let deadline = Instant::now() + Duration::from_secs(10);
        // Anything it answers shows that it listens; a request inside an unknown dialog costs it nothing.
        let probe = SipMessage::request("OPTIONS", &format!("sip:{}", self.address))
            .with("Via", format!("SIP/2.0/UDP {};branch=z9hG4bKready", socket.local_addr()?))
            .with("Max-Forwards", "5")
            .with("From", "<sip:probe@probe.invalid>;tag=1")
            .with("To", "<sip:probe@probe.invalid>;tag=2")
            .with("Call-ID", "probe")
            .with("CSeq", "1 OPTIONS");
        while Instant::now() < deadline {
            socket.send_to(&probe.to_bytes(), self.address)?;
            if socket.recv(&mut [0; 2_048]).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure(format!("kamailio ended at its start ({status})")));
            }
        }
        Err(Failure("kamailio did not become ready within 10 s".to_owned()))
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // SIGTERM lets it end its workers itself; they would outlive a SIGKILL.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        }
        let _ = self.child.wait();
    }
}

/// Phones behind one socket that ring; all but the second and third answer every INVITE at once.
fn answer_everything(closed: Arc<AtomicBool>) -> Result<SocketAddr, Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let local = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        // INVITEs without a final response, by the branch that their CANCEL shares.
        let mut ringing: HashMap<String, SipMessage> = HashMap::new();
        while !closed.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(request) = SipMessage::parse(&buffer[..length]) else { continue };
            let send = |to: &SipMessage, status, reason| {
                let answer = SipMessage::response_to(to, status, reason, "callee");
                // What is lost is asked for again.
                let _ = socket.send_to(&answer.with("Contact", format!("<sip:callee@{local}>")).to_bytes(), from);
            };
            let only_rings = ["sip:second@", "sip:third@"].iter().any(|start| request.uri().starts_with(start));
            match request.method().to_owned().as_str() {
                "ACK" => {}
                "INVITE" if only_rings => {
                    send(&request, 180, "Ringing");
                    ringing.insert(request.header("Via").unwrap_or_default().to_owned(), request);
                }
                "INVITE" => {
                    send(&request, 180, "Ringing");
                    send(&request, 200, "OK");
                }
                "CANCEL" => {
                    send(&request, 200, "OK");
                    if let Some(invite) = request.header("Via").and_then(|via| ringing.remove(via)) {
                        send(&invite, 487, "Request Terminated");
                    }
                }
                _ => send(&request, 200, "OK"),
            }
        }
    });
    Ok(local)
}
