//! The server under load: started here with a configuration of its own, or somebody's that runs already.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use testkit::Credentials;

use crate::Failure;
use crate::plan::Plan;
use crate::process::{CALLER_BOUNDS, Places, Process, get, own_folder};
use crate::signalling::janus::Janus;
use crate::signalling::{Exchange, Signalling};
use crate::usage::Usage;

/// The domain of servers started here.
const DOMAIN: &str = "load.invalid";
/// The password of their users.
const PASSWORD: &str = "correct-horse-7";
/// The number of the first conference; the others follow.
const FIRST_NUMBER: usize = 7_000;
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
    process: Option<Process>,
}

impl Target {
    /// Starts or takes it.
    pub fn set_up(source: &Source, plan: &Plan) -> Result<Self, Failure> {
        match source {
            Source::Running(running) => Ok(Self { running: running.clone(), process: None }),
            Source::Binary(binary) => Self::start(binary, plan),
            Source::Janus(binary) => Self::start_janus(binary),
        }
    }

    /// The callers' way into it.
    pub fn signalling(&self, plan: &Plan) -> Result<Box<dyn Signalling>, Failure> {
        match &self.process {
            Some(process) if self.running.http.is_none() => Ok(Box::new(Janus::open(process.folder(), plan)?)),
            _ => Ok(Box::new(Exchange::open(self.running.sip, &self.running.domain)?)),
        }
    }

    fn start_janus(binary: &Path) -> Result<Self, Failure> {
        let folder = own_folder()?;
        let mut command = Janus::command(binary, folder.path())?;
        let mut process = Process::spawn(&mut command, folder)?;
        process.wait_ready(Janus::is_ready)?;
        let running = Running {
            sip: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            domain: String::new(),
            first_number: FIRST_NUMBER,
            password: String::new(),
            http: None,
            pid: Some(process.id()),
        };
        Ok(Self { running, process: Some(process) })
    }

    fn start(binary: &Path, plan: &Plan) -> Result<Self, Failure> {
        let (process, places) = Process::convoke(binary, plan.callers(), |places| configuration(places, plan))?;
        let running = Running {
            sip: places.sip,
            domain: DOMAIN.to_owned(),
            first_number: FIRST_NUMBER,
            password: PASSWORD.to_owned(),
            http: Some(places.http),
            pid: Some(process.id()),
        };
        Ok(Self { running, process: Some(process) })
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

    /// Whether it has ended, and its last words if it was started here. Of a server that runs already only its process
    /// can tell.
    pub fn last_words(&mut self) -> Option<String> {
        if let Some(process) = &mut self.process {
            return process.last_words();
        }
        let pid = self.running.pid.filter(|pid| Usage::of(*pid).is_err())?;
        Some(format!("the server's process {pid} has ended"))
    }
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

fn configuration(Places { sip, http, audio, data }: &Places, plan: &Plan) -> String {
    let srtp = if plan.callers.srtp.is_some() { "require" } else { "support" };
    let mut text = format!(
        "domain = \"{DOMAIN}\"\ndata_dir = {:?}\n\n[sip]\nlisten = [\"udp:{sip}\"]\n\
         {CALLER_BOUNDS}\n[http]\nlisten = \"{http}\"\n\n\
         [media]\naddress = \"127.0.0.1\"\nports = \"{}-{}\"\nsrtp = \"{srtp}\"\nmusic_when_alone = false\n\
         entry_exit_tones = false\n",
        data.display().to_string(),
        audio.start(),
        audio.end()
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
