//! Where and of what the measurement was made: without it no number means anything.

use std::fmt;
use std::process::Command;

use serde_json::{Value, json};

/// The machine and the build.
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    rustc: String,
    commit: String,
    date: String,
    /// Processes that wanted to run in the minute before: a busy machine measures badly.
    load: String,
}

impl Machine {
    /// Looks; what cannot be found out is `unknown`.
    pub fn look() -> Self {
        let unknown = || "unknown".to_owned();
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let model = read("/proc/cpuinfo")
            .lines()
            .find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
        // Of the tree this program lies in, wherever it is called from.
        let own = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.to_owned())).unwrap_or_default();
        let git = |arguments: &[&str]| said(Command::new("git").arg("-C").arg(&own).args(arguments));
        let changed = git(&["status", "--porcelain", "--untracked-files=no"]).is_some_and(|text| !text.is_empty());
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        let now = time::OffsetDateTime::now_utc();
        Self {
            cpu: model.unwrap_or_else(unknown),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            rustc: said(Command::new("rustc").arg("--version")).unwrap_or_else(unknown),
            commit: commit
                .map_or_else(unknown, |commit| if changed { format!("{commit} and changes") } else { commit }),
            date: format!("{} {:02}:{:02} UTC", now.date(), now.hour(), now.minute()),
            load: read("/proc/loadavg").split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// The same for the report.
    pub fn to_json(&self) -> Value {
        json!({
            "cpu": self.cpu, "cores": self.cores, "kernel": self.kernel, "rustc": self.rustc,
            "commit": self.commit, "date": self.date, "load_before": self.load,
        })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, kernel, rustc, commit, date, load } = self;
        write!(f, "{cpu}, {cores} cores; Linux {kernel}; {rustc}; commit {commit}; {date}; load before {load}")
    }
}

/// What a program says, when it succeeds.
fn said(program: &mut Command) -> Option<String> {
    let output = program.output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
