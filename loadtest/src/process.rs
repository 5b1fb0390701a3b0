//! A server that is started here: a child process in a folder of its own, on free loopback ports, with its log.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::ops::RangeInclusive;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use crate::Failure;
use crate::audio_ports::free_ports;
use crate::sys;
use crate::usage::{Usage, taken_ports};

/// How long a server may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(30);
/// What the server writes down while it is measured: as in production, nothing of a call that goes well.
const LOG_LEVEL: (&str, &str) = ("CONVOKE_LOG", "warn");

/// The children that run, by process and folder: a signal ends this program without dropping anything.
static CHILDREN: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

fn children() -> MutexGuard<'static, Vec<(u32, PathBuf)>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on SIGINT, SIGTERM and SIGHUP kill every child and remove its folder before they end this program, with 128 and
/// their number as its exit code.
///
/// # Errors
/// When the signals cannot be caught.
pub fn end_children_on_signals() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupted, mut terminated, mut hung_up) = {
        let _inside = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let kind = runtime.block_on(async {
            tokio::select! {
                _ = interrupted.recv() => SignalKind::interrupt(),
                _ = terminated.recv() => SignalKind::terminate(),
                _ = hung_up.recv() => SignalKind::hangup(),
            }
        });
        // The lock is held to the end, so that no further child is started.
        let children = children();
        for (pid, folder) in &*children {
            sys::kill_child(*pid);
            let _ = std::fs::remove_dir_all(folder);
        }
        std::process::exit(128 + kind.as_raw_value());
    })?;
    Ok(())
}

/// What the folders of children are called; random letters follow.
const FOLDER_PREFIX: &str = "convoke-load-";
/// Rights of such a folder.
const FOLDER_MODE: u32 = 0o700;
/// A file in it with the number of the process that made it.
const OWNER: &str = "owner";

/// A folder for a child, which nobody else may read: its configuration has passwords. It goes when it is dropped. Those
/// that programs left which were killed go before.
///
/// # Errors
/// When it cannot be made.
pub fn own_folder() -> std::io::Result<TempDir> {
    own_folder_in(&std::env::temp_dir())
}

fn own_folder_in(parent: &Path) -> std::io::Result<TempDir> {
    remove_left_behind(parent)?;
    let mut builder = tempfile::Builder::new();
    let folder = builder.prefix(FOLDER_PREFIX).permissions(Permissions::from_mode(FOLDER_MODE)).tempdir_in(parent)?;
    std::fs::write(folder.path().join(OWNER), std::process::id().to_string())?;
    Ok(folder)
}

/// Removes folders whose maker is dead. Only what is surely one of them: called so, a folder and no link, this user's, for
/// nobody else, with the number of a process that is no more.
fn remove_left_behind(parent: &Path) -> std::io::Result<()> {
    let user = std::fs::metadata("/proc/self")?.uid();
    for entry in std::fs::read_dir(parent)?.flatten() {
        let is_called_so = entry.file_name().to_string_lossy().starts_with(FOLDER_PREFIX);
        // Does not follow links.
        let Some(about) = entry.metadata().ok().filter(|_| is_called_so) else { continue };
        let is_own = about.is_dir() && about.uid() == user && about.mode() & 0o777 == FOLDER_MODE;
        if is_own && maker_is_dead(&entry.path()) {
            // Another program may remove it at the same time.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn maker_is_dead(folder: &Path) -> bool {
    let owner = std::fs::read_to_string(folder.join(OWNER)).ok();
    let number: Option<u32> = owner.and_then(|owner| owner.parse().ok());
    number.is_some_and(|number| !Path::new("/proc").join(number.to_string()).exists())
}

/// A running child. Dropping it ends it, and so does whatever ends this program.
pub struct Process {
    child: Child,
    folder: TempDir,
}

/// Lines of a server's section `[sip]`: all callers come from one address, and some accounts call for many.
pub const CALLER_BOUNDS: &str = "calls_per_account = 100000\ncalls_per_source = 100000\n\
                                 unanswered_per_account = 100000\nunanswered_per_source = 100000\n";

/// Where a Convoke that is started here receives, and where its data are.
#[derive(Clone, Debug)]
pub struct Places {
    /// SIP over UDP.
    pub sip: SocketAddr,
    /// Its HTTP side.
    pub http: SocketAddr,
    /// Its audio ports.
    pub audio: RangeInclusive<u16>,
    /// Its `data_dir`.
    pub data: PathBuf,
}

impl Process {
    /// Starts a command with `folder` as its own.
    pub fn spawn(command: &mut Command, folder: TempDir) -> Result<Self, Failure> {
        let log = std::fs::File::create(folder.path().join("log"))?;
        let program = command.get_program().display().to_string();
        // A group of its own: Ctrl-C at the terminal is for us, who end it.
        sys::end_with_us(command.process_group(0));
        let mut children = children();
        let child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| {
                Failure(format!("{program} cannot be started: {error}; --binary or --janus names another"))
            })?;
        children.push((child.id(), folder.path().to_owned()));
        Ok(Self { child, folder })
    }

    /// Starts Convoke with the configuration that is made for its places, and waits until it is ready. It has audio ports for
    /// that many callers.
    pub fn convoke(
        binary: &Path,
        callers: usize,
        configuration: impl FnOnce(&Places) -> String,
    ) -> Result<(Self, Places), Failure> {
        let folder = own_folder()?;
        let audio = free_ports(&taken_ports(), callers)?;
        let places = Places { sip: free_udp()?, http: free_tcp()?, audio, data: folder.path().join("data") };
        let config = folder.path().join("convoke.toml");
        std::fs::write(&config, configuration(&places))?;
        std::fs::set_permissions(&config, Permissions::from_mode(0o600))?;
        let mut command = Command::new(binary);
        command.args(["serve", "--config"]).arg(&config).env(LOG_LEVEL.0, LOG_LEVEL.1);
        let mut process = Self::spawn(&mut command, folder)?;
        process.wait_ready(|_| get(places.http, "/readyz").is_ok_and(|answer| answer.starts_with("HTTP/1.1 200")))?;
        Ok((process, places))
    }

    /// Waits until `is_ready` says so of its folder.
    ///
    /// # Errors
    /// With its last words when it ends before, or takes too long.
    pub fn wait_ready(&mut self, is_ready: impl Fn(&Path) -> bool) -> Result<(), Failure> {
        let deadline = Instant::now() + START_LIMIT;
        while !is_ready(self.folder.path()) {
            if let Some(words) = self.last_words() {
                return Err(Failure(words));
            }
            if Instant::now() > deadline {
                let (seconds, log) = (START_LIMIT.as_secs(), self.log());
                return Err(Failure(format!("the server did not become ready within {seconds} s: {log}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What it has used so far.
    pub fn usage(&self) -> Result<Usage, Failure> {
        Usage::of(self.child.id())
    }

    /// Whether it has ended by itself, and how.
    pub fn last_words(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok()??;
        Some(format!("the server ended ({status}): {}", self.log()))
    }

    /// The last lines of what it wrote.
    fn log(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        if lines.is_empty() {
            return "it said nothing; is the program that was named a server?".to_owned();
        }
        lines[lines.len().saturating_sub(5)..].join(" | ")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Calls are still up when a run failed; draining would wait for them.
        let mut children = children();
        children.retain(|(pid, _)| *pid != self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answer to a GET, head and body.
pub fn get(http: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&http, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {http}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
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

    /// The number of a process that is over and was waited for: nobody has it now.
    fn dead_process() -> Result<String, Failure> {
        let mut child = Command::new("true").spawn()?;
        child.wait()?;
        Ok(child.id().to_string())
    }

    #[test]
    fn folders_of_dead_programs_go_and_nothing_else() -> Result<(), Failure> {
        let parent = tempfile::tempdir()?;
        let (dead, own) = (dead_process()?, std::process::id().to_string());
        let cases: [(&str, u32, Option<&str>, bool); 6] = [
            ("convoke-load-dead", 0o700, Some(&dead), false),
            ("convoke-load-alive", 0o700, Some(&own), true),
            ("convoke-load-nobody's", 0o700, None, true),
            ("convoke-load-no-number", 0o700, Some("../1"), true),
            ("convoke-load-for-others", 0o755, Some(&dead), true),
            ("another-dead", 0o700, Some(&dead), true),
        ];
        for (name, mode, owner, _) in cases {
            let folder = parent.path().join(name);
            std::fs::create_dir(&folder)?;
            std::fs::create_dir(folder.join("data"))?;
            owner.map_or(Ok(()), |owner| std::fs::write(folder.join(OWNER), owner))?;
            std::fs::set_permissions(&folder, Permissions::from_mode(mode))?;
        }
        let link = parent.path().join("convoke-load-link");
        std::os::unix::fs::symlink(parent.path().join("another-dead"), &link)?;
        let made = own_folder_in(parent.path())?;
        assert_eq!(std::fs::read_to_string(made.path().join(OWNER))?, own);
        for (name, _, _, stays) in cases {
            assert_eq!(parent.path().join(name).exists(), stays, "{name}");
        }
        assert!(link.is_symlink());
        Ok(())
    }

    #[test]
    fn a_program_that_says_nothing_is_asked_after() -> Result<(), Failure> {
        let Err(Failure(words)) = Process::convoke(Path::new("/bin/false"), 1, |_| String::new()) else {
            return Err(Failure("it cannot be ready".to_owned()));
        };
        assert!(
            words.contains("exit status: 1") && words.contains("is the program that was named a server?"),
            "{words}"
        );
        let Err(Failure(words)) = Process::convoke(Path::new("/nonexistent"), 1, |_| String::new()) else {
            return Err(Failure("it is not there".to_owned()));
        };
        assert!(
            words.contains("/nonexistent cannot be started: No such file") && words.contains("--binary"),
            "{words}"
        );
        Ok(())
    }

    /// The server's log would be a good part of what a call costs.
    #[test]
    fn a_server_is_measured_without_its_log_and_its_last_words_are_told() -> Result<(), Failure> {
        let folder = tempfile::tempdir()?;
        let script = folder.path().join("server");
        std::fs::write(&script, "#!/bin/sh\necho \"log: $CONVOKE_LOG, $1 $2\"\ncat \"$3\"\nexit 7\n")?;
        std::fs::set_permissions(&script, Permissions::from_mode(0o755))?;
        let started = Process::convoke(&script, 1, |places| format!("data_dir = {:?}\n", places.data));
        let Err(Failure(words)) = started else { return Err(Failure("it cannot be ready".to_owned())) };
        for part in ["exit status: 7", "log: warn, serve --config", "data_dir = "] {
            assert!(words.contains(part), "{words}");
        }
        Ok(())
    }
}
