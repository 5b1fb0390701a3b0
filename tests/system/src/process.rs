//! A child process with its output in a file, ended with the value that owns it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A running program. Dropping it ends the program: by what the owner asked for first, else by its process id.
pub(crate) struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts a program whose output (both streams) goes into the log file.
    pub(crate) fn start(mut command: Command, log: &Path, stdin: Stdio) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log).expect("the folder of the log exists");
        let errors = output.try_clone().expect("a file handle can be doubled");
        let child = command.stdin(stdin).stdout(output).stderr(errors).spawn();
        let child = child
            .unwrap_or_else(|error| panic!("{name} did not start ({error}); `make test` installs what the tests need"));
        Self { name, child, log: log.to_owned() }
    }

    /// What the program wrote so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// The last lines of the output, for a failure's message.
    pub(crate) fn tail(&self) -> String {
        let output = self.output();
        let lines: Vec<&str> = output.lines().collect();
        format!("--- {} ---\n{}", self.name, lines[lines.len().saturating_sub(40)..].join("\n"))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn stdin(&mut self) -> Option<&mut ChildStdin> {
        self.child.stdin.as_mut()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }

    /// Ends the program at once, without a chance to do anything (SIGKILL).
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }

    /// Waits for the program's own end.
    pub(crate) fn wait(&mut self, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        None
    }

    /// Sends the program a signal: `TERM`, `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        // The shell has `kill` built in; the command of that name is not on every machine.
        let _ = Command::new("sh").arg("-c").arg(format!("kill -{name} {}", self.id())).status();
    }

    /// Asks the program to end (SIGTERM) and waits; kills it when it does not.
    pub(crate) fn stop(&mut self, within: Duration) -> Option<ExitStatus> {
        if self.has_ended() {
            return self.child.wait().ok();
        }
        self.signal("TERM");
        self.wait(within).or_else(|| {
            let _ = self.child.kill();
            let _ = self.child.wait();
            None
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(3));
    }
}
