//! SIPp: scripted SIP flows and call load, from the scenarios in `tests/system/sipp`.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{g711, tone};

use crate::ports;
use crate::process::Process;
use crate::server::PASSWORD;

/// One run of SIPp.
#[derive(Clone, Debug)]
pub struct Sipp {
    scenario: String,
    arguments: Vec<String>,
    users: usize,
    conferences: Vec<String>,
}

/// How a run ended.
#[derive(Debug)]
pub struct SippReport {
    /// Whether every call went as the scenario says.
    pub passed: bool,
    /// What SIPp printed, and its errors.
    pub output: String,
}

impl SippReport {
    /// Panics with SIPp's output when a call went wrong.
    pub fn assert_passed(&self) {
        assert!(self.passed, "SIPp:\n{}", self.output);
    }
}

impl Sipp {
    /// One call of the scenario `tests/system/sipp/NAME.xml` as `user1`.
    pub fn scenario(name: &str) -> Self {
        Self { scenario: name.to_owned(), arguments: Vec::new(), users: 1, conferences: vec!["1000".to_owned()] }
    }

    /// Takes the users `user1` to `userN` in turn.
    #[must_use]
    pub fn users(mut self, count: usize) -> Self {
        self.users = count;
        self
    }

    /// Spreads the calls over these conferences.
    #[must_use]
    pub fn conferences(mut self, numbers: impl IntoIterator<Item = String>) -> Self {
        self.conferences = numbers.into_iter().collect();
        self
    }

    /// Makes so many calls, so many new ones each second, each of that length.
    #[must_use]
    pub fn load(mut self, calls: usize, rate: usize, length: Duration) -> Self {
        let (calls, rate, length) = (calls.to_string(), rate.to_string(), length.as_millis().to_string());
        self.arguments.extend(["-m", &calls, "-l", &calls, "-r", &rate, "-d", &length].map(str::to_owned));
        self
    }

    /// Over TCP with one connection.
    #[must_use]
    pub fn over_tcp(mut self) -> Self {
        self.arguments.extend(["-t", "t1"].map(str::to_owned));
        self
    }

    /// Runs it against a server and waits for its end.
    pub fn run(&self, server: SocketAddr, within: Duration) -> SippReport {
        let folder = tempfile::Builder::new().prefix("sipp-").tempdir().expect("temporary folder");
        self.write_inputs(&folder);
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).args(["-sf", "scenario.xml", "-inf", "users.csv", "-nostdin", "-trace_err"]);
        let (sip, media) = (ports::free(2).to_string(), ports::free(4).to_string());
        command.args(["-i", "127.0.0.1", "-p", &sip, "-mi", "127.0.0.1", "-mp", &media]);
        if self.arguments.is_empty() {
            command.args(["-m", "1"]);
        }
        command.args(&self.arguments).arg(server.to_string());
        let mut process = Process::start(command, &folder.path().join("log"), Stdio::null());
        let status = process.wait(within);
        let passed = status.is_some_and(|status| status.success());
        SippReport { passed, output: format!("{}\n{}", process.tail(), errors(&folder)) }
    }

    /// The scenario (SIPp writes its errors beside it), the users with their passwords, and the tone of scenarios that
    /// send RTP.
    fn write_inputs(&self, folder: &TempDir) {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{}.xml", self.scenario));
        std::fs::copy(&scenario, folder.path().join("scenario.xml"))
            .unwrap_or_else(|error| panic!("{}: {error}", scenario.display()));
        let mut users = "SEQUENTIAL\n".to_owned();
        for number in 0..self.users {
            let user = format!("user{}", number + 1);
            let conference = &self.conferences[number % self.conferences.len()];
            users.push_str(&format!("{user};[authentication username={user} password={PASSWORD}];{conference}\n"));
        }
        std::fs::write(folder.path().join("users.csv"), users).expect("written");
        let tone: Vec<u8> =
            tone::sine(tone::TONES[0], 10.0, 8_000).samples.into_iter().map(g711::encode_ulaw).collect();
        std::fs::write(folder.path().join("tone.ulaw"), tone).expect("written");
    }
}

fn errors(folder: &TempDir) -> String {
    let files = std::fs::read_dir(folder.path()).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_errors = |path: &std::path::PathBuf| path.to_string_lossy().contains("_errors");
    files.filter(is_errors).filter_map(|path| std::fs::read_to_string(path).ok()).collect()
}
