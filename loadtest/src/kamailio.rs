//! Kamailio as a stateful proxy on loopback: the measure by which the cost of a call is judged on this machine.
//!
//! A proxy does less than a server that is an end of both dialogs, so that its cost is a floor and not a rival's price.
//! Nothing is measured where it is not installed.

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
    $du = "sip:CALLEE";
    t_relay();
}
"#;

/// A running proxy and the phone that answers behind it.
pub(crate) struct Kamailio {
    child: Child,
    address: SocketAddr,
    closed: Arc<AtomicBool>,
    _folder: TempDir,
}

impl Kamailio {
    /// Starts it; `None` when it is not installed.
    pub(crate) fn start() -> Result<Option<Self>, Failure> {
        let places = ["/usr/sbin/kamailio", "/usr/bin/kamailio", "/usr/local/sbin/kamailio"];
        let Some(program) = places.into_iter().find(|place| Path::new(place).exists()) else { return Ok(None) };
        let folder = tempfile::Builder::new().prefix("convoke-kamailio-").tempdir()?;
        let address = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let closed = Arc::new(AtomicBool::new(false));
        let callee = answer_everything(closed.clone())?;
        let text = CONFIGURATION.replace("SELF", &address.to_string()).replace("CALLEE", &callee.to_string());
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

/// A phone that rings and answers every INVITE at once.
fn answer_everything(closed: Arc<AtomicBool>) -> Result<SocketAddr, Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let local = socket.local_addr()?;
    std::thread::spawn(move || {
        let mut buffer = vec![0; 65_536];
        while !closed.load(Ordering::Relaxed) {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
            let Some(request) = SipMessage::parse(&buffer[..length]) else { continue };
            let answers: &[(u16, &str)] = match request.method() {
                "ACK" => &[],
                "INVITE" => &[(180, "Ringing"), (200, "OK")],
                _ => &[(200, "OK")],
            };
            for (status, reason) in answers {
                let answer = SipMessage::response_to(&request, *status, reason, "callee")
                    .with("Contact", format!("<sip:callee@{local}>"));
                // What is lost is asked for again.
                let _ = socket.send_to(&answer.to_bytes(), from);
            }
        }
    });
    Ok(local)
}
