//! What two servers must not share: a data directory, and a range of media ports.
//!
//! Both would go well for a while: SQLite lets two processes write, and ports are taken one by one as calls come. So each
//! server marks what is its own when it starts, and a second one says so and ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use crate::config::Config;

/// The file in the data directory that is locked while a server runs on it. The system unlocks it however that ends.
const LOCK: &str = "convoke.lock";

/// The marks of one server; they last as long as this.
#[derive(Debug)]
pub(crate) struct Guards {
    _directory: File,
    _ports: UdpSocket,
}

impl Guards {
    /// Marks the data directory, which is made if it is not there, and the media ports.
    pub(crate) fn take(config: &Config) -> Result<Self, String> {
        Ok(Self { _directory: lock_directory(&config.data_dir)?, _ports: mark_ports(config)? })
    }
}

fn lock_directory(directory: &Path) -> Result<File, String> {
    let unusable = |error| format!("data_dir = {directory:?}: {error}; choose a directory this user may write to");
    std::fs::create_dir_all(directory).map_err(unusable)?;
    // Not truncated before it is ours: it says who holds it.
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(directory.join(LOCK));
    let mut file = options.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(already_served(directory, &mut file)),
        Err(TryLockError::Error(error)) => return Err(unusable(error)),
    }
    // Who we are is for people; the lock holds without it.
    let _written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn already_served(directory: &Path, file: &mut File) -> String {
    format!(
        "data_dir = {directory:?}: another server runs on it{}; stop that one, or give this one a data_dir of its own",
        holder(file)
    )
}

/// Who wrote himself into the lock, in brackets; nothing where that cannot be read.
fn holder(file: &mut File) -> String {
    let mut holder = String::new();
    match file.read_to_string(&mut holder) {
        Ok(_) if !holder.trim().is_empty() => format!(" (process {})", holder.trim()),
        _ => String::new(),
    }
}

/// That a server runs on this data directory, in words for the operator; nothing is made or changed.
pub(crate) fn served(directory: &Path) -> Option<String> {
    let mut file = File::open(directory.join(LOCK)).ok()?;
    let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    held.then(|| format!("a server runs on it{}", holder(&mut file)))
}

/// Holds the first port of the range. Two servers with the same range would otherwise share it call by call, and each
/// would find ports taken that it believes to be free.
fn mark_ports(config: &Config) -> Result<UdpSocket, String> {
    let ports = config.media.ports();
    let (first, last) = (*ports.start(), *ports.end());
    UdpSocket::bind(SocketAddr::new(config.media.address, first)).map_err(|error| {
        format!(
            "media.ports = \"{first}-{last}\": port {first} at {} cannot be had: {error}; if another server uses these \
             ports, give this one a range of its own",
            config.media.address
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &Path, ports: &str) -> Config {
        crate::config::parse(&format!("data_dir = {directory:?}\n[media]\nports = \"{ports}\"\n")).expect("valid")
    }

    #[test]
    fn a_second_server_on_a_directory_is_told_so_and_a_later_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let directory = folder.path().join("data");
        let first = Guards::take(&config(&directory, "23500-23503")).expect("free");
        let told = Guards::take(&config(&directory, "23504-23507")).expect_err("locked");
        let process = format!("process {}", std::process::id());
        for fragment in ["data_dir = ", "another server", process.as_str(), "a data_dir of its own"] {
            assert!(told.contains(fragment), "{told}");
        }
        assert_eq!(served(&directory).as_deref(), Some(format!("a server runs on it ({process})").as_str()));
        drop(first);
        assert_eq!(served(&directory), None);
        Guards::take(&config(&directory, "23504-23507")).expect("unlocked");
    }

    #[test]
    fn a_second_server_on_the_ports_is_told_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let _first = Guards::take(&config(&folder.path().join("one"), "23510-23513")).expect("free");
        let told = Guards::take(&config(&folder.path().join("two"), "23510-23515")).expect_err("taken");
        for fragment in ["media.ports = \"23510-23515\"", "port 23510", "a range of its own"] {
            assert!(told.contains(fragment), "{told}");
        }
    }
}
