//! Several phones in one conference: they join, stay, leave, and tell what they heard while all were there.

use std::time::{Duration, Instant};

use testkit::tone::{Listener, Matrix, drop_outs};
use testkit::wav::Sound;

use crate::wait::Line;

/// How long all phones stay together.
const TOGETHER: Duration = Duration::from_secs(6);
/// Left out at the start of that time: jitter buffers settle and the last entry tone fades.
const SETTLE: f64 = 1.5;
/// Left out at its end.
const BEFORE_END: f64 = 0.5;
/// Tolerated share of 20 ms frames without the tone of another. Two phones without a server between them show none; a
/// machine that builds and tests at once delays the phones themselves.
const DROP_OUTS_MAX: f64 = 0.05;

/// A phone and the URI by which it reaches the conference.
pub type Participant = (Box<dyn Line>, String);

/// Lets all phones join in turn and leave in turn, and gives what each heard while all were there.
pub fn meet(participants: &mut [Participant]) -> Vec<Listener> {
    for (phone, uri) in participants.iter_mut() {
        phone.call(uri);
    }
    std::thread::sleep(TOGETHER);
    let end = Instant::now();
    let mut after_end = Vec::new();
    for (phone, _) in participants.iter_mut() {
        after_end.push(end.elapsed().as_secs_f64());
        phone.hang_up();
    }
    let together = participants.iter_mut().zip(after_end);
    together.map(|((phone, _), late)| listener(phone.as_mut(), late)).collect()
}

/// Everybody hears everybody else without gaps, and nobody himself.
pub fn assert_complete(listeners: &[Listener]) {
    Matrix::measure(listeners).assert_complete();
    for (listener, other) in listeners.iter().zip(listeners.iter().cycle().skip(1)) {
        let share = drop_outs(&listener.heard, other.tone);
        assert!(share <= DROP_OUTS_MAX, "{} misses {:.1} % of {}", listener.name, share * 100.0, other.name);
    }
}

/// What a phone heard while all were there; its recording goes on for `late` seconds after that.
fn listener(phone: &mut dyn Line, late: f64) -> Listener {
    let sound = phone.heard();
    let start = sound.seconds() - late - TOGETHER.as_secs_f64() + SETTLE;
    assert!(start > 0.0, "{} recorded only {:.1} s", phone.user(), sound.seconds());
    let heard: Sound = sound.part(start, TOGETHER.as_secs_f64() - SETTLE - BEFORE_END);
    Listener { name: phone.user().to_owned(), tone: phone.tone(), heard }
}
