//! Waiting for something that will happen, with a deadline generous enough for a busy machine.

use std::time::{Duration, Instant};

/// How long a real phone may take for anything it does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until the condition holds; panics with `what` and the details when it never does.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool, details: impl FnOnce() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "in {} s there was no {what}\n{}", PATIENCE.as_secs(), details());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A phone as a test sees it, whoever made it. It is used for one call.
pub trait Line {
    /// Its user name.
    fn user(&self) -> &str;
    /// The tone it plays, in Hz.
    fn tone(&self) -> u32;
    /// Waits until the registrar accepted it.
    fn wait_registered(&mut self);
    /// Calls somebody and waits until the call is up.
    fn call(&mut self, uri: &str);
    /// Waits until a call (made or answered) is up.
    fn wait_established(&mut self);
    /// Hangs up and waits until the phone is done with the call.
    fn hang_up(&mut self);
    /// What it heard in its last call. Ask after [`Line::hang_up`].
    fn heard(&mut self) -> testkit::wav::Sound;
}
