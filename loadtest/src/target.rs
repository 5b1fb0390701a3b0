//! The server under load: started here with a configuration of its own, or somebody's that runs already.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testkit::Credentials;

use crate::Failure;
use crate::plan::Plan;
use crate::signalling::janus::Janus;
use crate::signalling::{Exchange, Signalling};
use crate::usage::Usage;

/// The domain of servers started here.
const DOMAIN: &str = "load.invalid";
/// The password of their users.
const PASSWORD: &str = "correct-horse-7";
/// The number of the first conference; the others follow.
const FIRST_NUMBER: usize = 7_000;
/// How long a server may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// The audio ports of servers started here. They lie below those the kernel gives to callers.
const PORTS: (u16, u16) = (10_000, 31_999);

/// Where the server comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// This binary is started for each run.
    Binary(PathBuf),
    /// It runs already.
    Running(Running),
    /// This binary of Janus is started for each run, with its AudioBridge alone.
    Janus(PathBuf),
}

/// A server that runs already, and what it must be configured with: conferences with numbers that follow each other, for
/// strangers (`access = "anonymous"`) unless the plan's callers are registered, and users `load0`, `load1` ...
#[derive(Clone, Debug)]
pub struct Running {
    /// Where it receives SIP over UDP.
    pub sip: SocketAddr,
    /// Its domain.
    pub domain: String,
    /// The number of its first conference.
    pub first_number: usize,
    /// The password of all its users.
    pub password: String,
    /// Where `/metrics` is.
    pub http: Option<SocketAddr>,
    /// Its process, if it runs on this machine.
    pub pid: Option<u32>,
}

/// A server under load. Dropping it ends it, if it was started here.
pub struct Target {
    running: Running,
    child: Option<(Child, TempDir)>,
}

impl Target {
    /// Starts or takes it.
    pub fn set_up(source: &Source, plan: &Plan) -> Result<Self, Failure> {
        match source {
            Source::Running(running) => Ok(Self { running: running.clone(), child: None }),
            Source::Binary(binary) => Self::start(binary, plan),
            Source::Janus(binary) => Self::start_janus(binary),
        }
    }

    /// The callers' way into it.
    pub fn signalling(&self, plan: &Plan) -> Result<Box<dyn Signalling>, Failure> {
        match &self.child {
            Some((_, folder)) if self.running.http.is_none() => Ok(Box::new(Janus::open(folder.path(), plan)?)),
            _ => Ok(Box::new(Exchange::open(self.running.sip, &self.running.domain)?)),
        }
    }

    fn start_janus(binary: &Path) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("convoke-peer-").tempdir()?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Janus::command(binary, folder.path())?
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure(format!("{}: {error}", binary.display())))?;
        let running = Running {
            sip: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            domain: String::new(),
            first_number: FIRST_NUMBER,
            password: String::new(),
            http: None,
            pid: Some(child.id()),
        };
        let mut target = Self { running, child: Some((child, folder)) };
        let deadline = Instant::now() + START_LIMIT;
        while !target.child.as_ref().is_some_and(|(_, folder)| Janus::is_ready(folder.path())) {
            if let Some(words) = target.last_words() {
                return Err(Failure(words));
            }
            if Instant::now() > deadline {
                return Err(Failure("Janus did not become ready".to_owned()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(target)
    }

    fn start(binary: &Path, plan: &Plan) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("convoke-load-").tempdir()?;
        let (sip, http) = (free_udp()?, free_tcp()?);
        let config = folder.path().join("convoke.toml");
        std::fs::write(&config, configuration(&folder.path().join("data"), sip, http, plan))?;
        let log = std::fs::File::create(folder.path().join("log"))?;
        let child = Command::new(binary)
            .args(["serve", "--config"])
            .arg(&config)
            .current_dir(folder.path())
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| Failure(format!("{}: {error}", binary.display())))?;
        let running = Running {
            sip,
            domain: DOMAIN.to_owned(),
            first_number: FIRST_NUMBER,
            password: PASSWORD.to_owned(),
            http: Some(http),
            pid: Some(child.id()),
        };
        let mut target = Self { running, child: Some((child, folder)) };
        target.wait_ready()?;
        Ok(target)
    }

    /// Where it receives SIP over UDP.
    pub const fn sip(&self) -> SocketAddr {
        self.running.sip
    }

    /// Its domain.
    pub fn domain(&self) -> &str {
        &self.running.domain
    }

    /// The number of the conference of that index.
    pub fn number(&self, conference: usize) -> String {
        (self.running.first_number + conference).to_string()
    }

    /// The account of a caller.
    pub fn account(&self, caller: usize) -> Credentials {
        Credentials { user: format!("load{caller}"), password: self.running.password.clone() }
    }

    /// The account of whoever leads the conferences.
    pub fn organizer(&self) -> Credentials {
        Credentials { user: "organizer".to_owned(), password: self.running.password.clone() }
    }

    /// The Focus of the permanent conference of that index.
    pub fn focus(&self, conference: usize) -> String {
        let (domain, number) = (&self.running.domain, self.number(conference));
        format!("sip:organizer@{domain};gruu;opaque=app:conf:focus:id:PERMANENT{number:0>15}")
    }

    /// What its process has used so far; `None` when it runs elsewhere.
    pub fn usage(&self) -> Option<Usage> {
        Usage::of(self.running.pid?).ok()
    }

    /// Sums of its metrics by name, labels left out; empty when it tells none.
    pub fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.running.http.and_then(|http| get(http, "/metrics").ok());
        answer.map(|text| metrics_of(&text)).unwrap_or_default()
    }

    /// Whether it was started here and has ended by itself, and its last words.
    pub fn last_words(&mut self) -> Option<String> {
        let (child, folder) = self.child.as_mut()?;
        let status = child.try_wait().ok()??;
        Some(format!("the server ended ({status}): {}", tail(folder.path())))
    }

    fn wait_ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            let answer = self.running.http.and_then(|http| get(http, "/readyz").ok());
            if answer.is_some_and(|text| text.starts_with("HTTP/1.1 200")) {
                return Ok(());
            }
            if let Some(words) = self.last_words() {
                return Err(Failure(words));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let log = self.child.as_ref().map(|(_, folder)| tail(folder.path())).unwrap_or_default();
        Err(Failure(format!("the server did not become ready: {log}")))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some((child, _)) = self.child.as_mut() {
            // Calls are still up when a run failed; draining would wait for them.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn tail(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join(" | ")
}

fn get(http: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&http, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Reads the Prometheus text format.
fn metrics_of(text: &str) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let name = series.split('{').next().unwrap_or(series);
        if let Ok(value) = value.trim().parse::<f64>() {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}

fn configuration(data: &Path, sip: SocketAddr, http: SocketAddr, plan: &Plan) -> String {
    let srtp = if plan.callers.srtp { "require" } else { "support" };
    let mut text = format!(
        "domain = \"{DOMAIN}\"\ndata_dir = {:?}\n\n[sip]\nlisten = [\"udp:{sip}\"]\n\n[http]\nlisten = \"{http}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\nsrtp = \"{srtp}\"\nmusic_when_alone = false\n\
         entry_exit_tones = false\n",
        data.display().to_string(),
        PORTS.0,
        PORTS.1
    );
    let callers = 0..plan.callers();
    let with_account = callers.filter(|caller| {
        plan.is_among(*caller, plan.callers.registered, 1) || plan.is_among(*caller, plan.callers.dialled_out, 2)
    });
    for user in with_account.map(|caller| format!("load{caller}")).chain(["organizer".to_owned()]) {
        _ = write!(text, "\n[[user]]\nuri = \"sip:{user}@{DOMAIN}\"\npassword = \"{PASSWORD}\"\n");
    }
    for number in FIRST_NUMBER..FIRST_NUMBER + plan.shape.conferences {
        _ = write!(
            text,
            "\n[[conference]]\nnumber = \"{number}\"\naccess = \"anonymous\"\norganizer = \"sip:organizer@{DOMAIN}\"\n"
        );
    }
    text
}

/// An address nobody listens at now. Somebody may take it before the server does; then the server says so and ends.
fn free_udp() -> std::io::Result<SocketAddr> {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn free_tcp() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_summed_over_their_labels() {
        let text = "# HELP a x\na{d=\"in\"} 3\na{d=\"out\"} 4\nb 1.5\nhalf\n";
        let sums = metrics_of(text);
        assert_eq!((sums.get("a"), sums.get("b"), sums.len()), (Some(&7.0), Some(&1.5), 2));
    }
}
