//! One test with real phones at a time.

use std::fs::File;

/// The right to use the machine's processors for phones; dropping it gives it on.
pub struct Turn {
    _lock: File,
}

/// Waits until no other test with real phones runs, in this test binary or another. Phones work in real time: on a machine
/// with two cores two such tests at once would measure each other.
pub fn alone() -> Turn {
    // Beside the test binaries: whoever built them may write there.
    let path = std::env::current_exe().expect("a test knows its file").with_file_name("system-tests.lock");
    let lock = File::options().create(true).append(true).open(path).expect("the target folder can be written");
    lock.lock().expect("the file system has locks");
    Turn { _lock: lock }
}
