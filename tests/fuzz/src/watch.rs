//! Notices a parser that does not come back.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// Longer than any input may take on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Holds the input being tried. Its thread ends with it.
pub(crate) struct Watch(Arc<Mutex<Current>>);

#[derive(Default)]
struct Current {
    round: u64,
    input: Vec<u8>,
}

impl Watch {
    /// Starts to look. A hang ends the process, because nothing else ends a loop; the input is written to `directory`.
    pub(crate) fn start(name: &'static str, directory: PathBuf) -> Self {
        let watch = Self(Arc::default());
        let current = Arc::downgrade(&watch.0);
        std::thread::spawn(move || look(name, &directory, &current));
        watch
    }

    /// This input is next.
    pub(crate) fn begin(&self, input: &[u8]) {
        let mut current = lock(&self.0);
        current.round += 1;
        current.input.clear();
        current.input.extend_from_slice(input);
    }
}

fn look(name: &str, directory: &std::path::Path, current: &Weak<Mutex<Current>>) {
    let mut seen = 0;
    loop {
        std::thread::sleep(PATIENCE);
        let Some(current) = current.upgrade() else { return };
        let current = lock(&current);
        if current.round == seen {
            let path = crate::keep(directory, "hangs", &current.input);
            crate::say(&format!("{name}: no answer for {PATIENCE:?}; the input is in {}", path.display()));
            std::process::abort();
        }
        seen = current.round;
    }
}

/// The lock is held for a copy alone.
fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}
