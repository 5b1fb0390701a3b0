//! The server under measurement: a child process with a generated configuration on free loopback ports.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use crate::Failure;
use loadtest::process::{CALLER_BOUNDS, Places, Process};
use loadtest::usage::Usage;

/// The domain of the server's own users. Callers come from another one, so that nobody is asked for a password.
pub(crate) const DOMAIN: &str = "bench.invalid";
/// Password of the two users.
pub(crate) const PASSWORD: &str = "correct-horse-7";
/// The users of calls between people.
pub(crate) const USERS: [&str; 2] = ["caller", "callee"];
/// Numbers of the conferences: this one and those after it.
pub(crate) const FIRST_CONFERENCE: usize = 7_000;
/// Callers of one measurement at most.
const CALLERS_MAX: usize = 2_000;
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

/// A running server. Dropping it ends it.
pub(crate) struct Server {
    process: Process,
    sip: SocketAddr,
}

impl Server {
    /// Starts the binary and waits until it is ready.
    pub(crate) fn start(binary: &Path) -> Result<Self, Failure> {
        let (process, places) = Process::convoke(binary, CALLERS_MAX, configuration)?;
        Ok(Self { process, sip: places.sip })
    }

    /// Where it receives SIP over UDP.
    pub(crate) fn sip(&self) -> SocketAddr {
        self.sip
    }

    /// What the process has used so far.
    pub(crate) fn usage(&self) -> Result<Usage, Failure> {
        self.process.usage()
    }
}

fn configuration(Places { sip, http, audio, data }: &Places) -> String {
    let mut text = format!(
        "domain = \"{DOMAIN}\"\ndata_dir = {:?}\n\n[sip]\nlisten = [\"udp:{sip}\"]\n\
         {CALLER_BOUNDS}\n[http]\nlisten = \"{http}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\nmusic_when_alone = false\nentry_exit_tones = false\n",
        data.display().to_string(),
        audio.start(),
        audio.end()
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
