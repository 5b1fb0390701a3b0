//! The server under measurement: a child process with a generated configuration on free loopback ports.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::Failure;
use loadtest::usage::Usage;

/// The domain of the server's own users. Callers come from another one, so that nobody is asked for a password.
pub(crate) const DOMAIN: &str = "bench.invalid";
/// Password of the two users.
pub(crate) const PASSWORD: &str = "correct-horse-7";
/// The users of calls between people.
pub(crate) const USERS: [&str; 2] = ["caller", "callee"];
/// Numbers of the conferences: this one and those after it.
pub(crate) const FIRST_CONFERENCE: usize = 7_000;
/// How many conferences there are.
pub(crate) const CONFERENCES: usize = 50;

/// How many response groups there are, of three agents each.
pub(crate) const GROUPS: usize = 40;

/// The user part of a group.
pub(crate) fn group_name(index: usize) -> String {
    format!("group{index}")
}

/// The user part of an agent: the first three belong to the first group, and so on.
pub(crate) fn agent_name(index: usize) -> String {
    format!("agent{index}")
}

/// How long the server may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    child: Child,
    sip: SocketAddr,
    http: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts the binary and waits until it is ready.
    pub(crate) fn start(binary: &Path) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("convoke-bench-").tempdir()?;
        let (sip, http) = (free_udp()?, free_tcp()?);
        let config = folder.path().join("convoke.toml");
        std::fs::write(&config, configuration(&folder.path().join("data"), sip, http))?;
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
        let mut server = Self { child, sip, http, folder };
        server.wait_ready()?;
        Ok(server)
    }

    /// Where it receives SIP over UDP.
    pub(crate) fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// What the process has used so far.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.child.id())
    }

    fn wait_ready(&mut self) -> Result<(), Failure> {
        let deadline = Instant::now() + START_LIMIT;
        while Instant::now() < deadline {
            if self.is_ready() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(Failure(format!("the server ended at its start ({status}): {}", self.log())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(Failure(format!("the server did not become ready: {}", self.log())))
    }

    fn is_ready(&self) -> bool {
        let ask = || -> std::io::Result<String> {
            let mut stream = TcpStream::connect(self.http)?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            write!(stream, "GET /readyz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.http)?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    /// The last lines of what the server wrote.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Calls are still up when a figure failed; draining would wait for them.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn configuration(data: &Path, sip: SocketAddr, http: SocketAddr) -> String {
    let mut text = format!(
        "domain = \"{DOMAIN}\"\ndata_dir = {:?}\n\n[sip]\nlisten = [\"udp:{sip}\"]\n\n[http]\nlisten = \"{http}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"20000-29999\"\nmusic_when_alone = false\nentry_exit_tones = false\n",
        data.display().to_string()
    );
    for user in USERS {
        _ = write!(text, "\n[[user]]\nuri = \"sip:{user}@{DOMAIN}\"\npassword = \"{PASSWORD}\"\n");
    }
    for number in FIRST_CONFERENCE..FIRST_CONFERENCE + CONFERENCES {
        _ = write!(text, "\n[[conference]]\nnumber = \"{number}\"\naccess = \"anonymous\"\n");
    }
    for index in 0..GROUPS {
        let agents: Vec<String> =
            (3 * index..3 * index + 3).map(|agent| format!("\"sip:{}@{DOMAIN}\"", agent_name(agent))).collect();
        for agent in 3 * index..3 * index + 3 {
            _ = write!(text, "\n[[user]]\nuri = \"sip:{}@{DOMAIN}\"\npassword = \"{PASSWORD}\"\n", agent_name(agent));
        }
        _ = write!(
            text,
            "\n[[response_group]]\nuri = \"sip:{}@{DOMAIN}\"\nname = \"G\"\nagents = [{}]\n",
            group_name(index),
            agents.join(", ")
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
