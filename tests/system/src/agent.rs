//! Agents of response groups played by SIPp: each is registered under a user's name and does what its scenario says.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use testkit::{Agent, AgentOptions};

use crate::ports;
use crate::process::Process;
use crate::server::{PASSWORD, Server};
use crate::sipp::SippReport;

/// A SIPp that waits for calls. Dropping it ends it.
pub struct SippAgent {
    process: Process,
    folder: TempDir,
    address: SocketAddr,
}

impl SippAgent {
    /// Starts the scenario `tests/system/sipp/NAME.xml` for so many calls; `keys` are its keywords and their values.
    pub fn start(scenario: &str, calls: usize, keys: &[(&str, &str)]) -> Self {
        let folder = tempfile::Builder::new().prefix("agent-").tempdir().expect("temporary folder");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("sipp").join(format!("{scenario}.xml"));
        std::fs::copy(&file, folder.path().join("scenario.xml"))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let (sip, media) = (ports::free(2), ports::free(4));
        let mut command = Command::new("sipp");
        command.current_dir(folder.path()).args(["-sf", "scenario.xml", "-nostdin", "-trace_err", "-rtcheck", "loose"]);
        command.args(["-i", "127.0.0.1", "-p", &sip.to_string(), "-mi", "127.0.0.1", "-mp", &media.to_string()]);
        command.args(["-m", &calls.to_string()]);
        for (name, value) in keys {
            command.args(["-key", name, value]);
        }
        let process = Process::start(command, &folder.path().join("log"), Stdio::null());
        Self { process, folder, address: SocketAddr::from(([127, 0, 0, 1], sip)) }
    }

    /// Registers it under a user's name, for ten minutes.
    pub async fn register(&self, server: &Server, user: &str) {
        register_at(server, user, self.address).await;
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

/// Registers an address under a user's name, as another device of his.
pub async fn register_at(server: &Server, user: &str, address: SocketAddr) {
    let options = AgentOptions::new(user, server.domain(), PASSWORD, server.sip());
    let (agent, _requests) = Agent::open(options).await.expect("free port");
    let mut request = agent.new_request("REGISTER", &format!("sip:{}", server.domain())).with("Expires", "600");
    request.set("To", format!("<{}>", agent.address_of_record()));
    request.set("Contact", format!("<sip:{user}@{address}>"));
    let response = agent.request(&mut request).await.expect("the registrar answers");
    assert_eq!(response.status(), Some(200), "{user} is registered");
}
