//! However the load test ends, the server it started ends with it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const PLAN: &str = "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 1\n";
/// A server that says which process it is and is never ready.
const SERVER: &str = "#!/bin/sh\necho $$ > \"$0.new\"\nmv \"$0.new\" \"$0.pid\"\nexec sleep 600\n";

fn wait_for<T>(mut look: impl FnMut() -> Option<T>) -> Outcome<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while Instant::now() < deadline {
        if let Some(found) = look() {
            return Ok(found);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("it did not happen within 60 s".into())
}

/// Starts a run whose server has started; what it has in its folder of temporary files lies in `temporary`.
fn started(folder: &Path, temporary: &Path) -> Outcome<(Child, String)> {
    let (plan, server) = (folder.join("plan.toml"), folder.join("server"));
    std::fs::write(&plan, PLAN)?;
    std::fs::write(&server, SERVER)?;
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o755))?;
    let child = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .arg("run")
        .arg(&plan)
        .arg("--binary")
        .arg(&server)
        .env("TMPDIR", temporary)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let pid = wait_for(|| std::fs::read_to_string(folder.join("server.pid")).ok())?;
    Ok((child, pid.trim().to_owned()))
}

fn is_running(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

fn ended_by(signal: &str, child: &mut Child) -> Outcome<ExitStatus> {
    Command::new("kill").args(["-s", signal, &child.id().to_string()]).status()?;
    Ok(child.wait()?)
}

#[test]
fn a_signal_ends_the_server_and_removes_its_folder() -> Outcome<()> {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (folder, temporary) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let (mut child, server) = started(folder.path(), temporary.path())?;
        let own = std::fs::read_dir(temporary.path())?.next().ok_or("the server has no folder")??;
        assert_eq!(own.metadata()?.permissions().mode() & 0o777, 0o700, "passwords are in it");
        assert_eq!(ended_by(signal, &mut child)?.code(), Some(code), "{signal}");
        assert!(!is_running(&server), "{signal}: the server outlives the load test");
        assert_eq!(std::fs::read_dir(temporary.path())?.count(), 0, "{signal}: its folder is still there");
    }
    Ok(())
}

#[test]
fn a_load_test_that_is_killed_takes_its_server_along() -> Outcome<()> {
    let (folder, temporary) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let (mut child, server) = started(folder.path(), temporary.path())?;
    ended_by("KILL", &mut child)?;
    wait_for(|| (!is_running(&server)).then_some(()))
}
