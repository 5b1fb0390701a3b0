//! What a call costs when nobody says a word.

use std::time::{Duration, Instant};

use super::{Setting, Stage, number};
use crate::Failure;
use crate::audio::Line;
use crate::dialog::CallState;
use crate::report::Figure;
use crate::server::USERS;
use crate::switchboard::Caller;

const CALLS: usize = 1_000;
const CALLS_PER_SECOND: f64 = 100.0;
const CPU_SECONDS_MAX: f64 = 0.6;

/// Calls that end when they are answered: to a conference, and from one user to another.
pub(super) fn measure(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let [caller, callee] = USERS;
    let to_conference = series(setting, Caller::Stranger, &number(0), None)?;
    let to_user = series(setting, Caller::User(caller), callee, Some(callee))?;
    Ok(vec![
        to_conference
            .figure("signalling: 1,000 calls to a conference", "INVITE, 200, ACK, BYE; with a leg in the mixer"),
        to_user.figure(
            "signalling: 1,000 calls from user to user",
            "INVITE, 407, INVITE, 180, 200, ACK, BYE; two dialogs each, one digest, no media here",
        ),
    ])
}

struct Series {
    cpu_seconds: f64,
    failures: usize,
    late: Vec<f64>,
}

impl Series {
    fn figure(&self, name: &str, note: &str) -> Figure {
        // Refused calls are cheap; they must not make the figure look good.
        let value = if self.failures == 0 { self.cpu_seconds } else { f64::NAN };
        let note = format!("{note}; {} failed", self.failures);
        Figure::new(name, value, "CPU-s").at_most(CPU_SECONDS_MAX).note(note).late(&self.late)
    }
}

fn series(setting: &Setting, caller: Caller, to: &str, callee: Option<&'static str>) -> Result<Series, Failure> {
    let mut stage = Stage::set(setting)?;
    let line = Line::open()?;
    if let Some(callee) = callee {
        stage.board.register(callee, line.address)?;
    }
    stage.board.hang_up_at_once();
    // The first call loads what later ones share.
    stage.board.invite(caller, to, line.address);
    stage.wait(Duration::from_secs(1))?;
    let before = stage.server.usage()?;
    let start = Instant::now();
    let mut late = Vec::new();
    for index in 0..CALLS {
        let at = start + Duration::from_secs_f64(index as f64 / CALLS_PER_SECOND);
        stage.board.pump(at);
        late.push((Instant::now() - at).as_secs_f64() * 1_000.0);
        stage.board.invite(caller, to, line.address);
    }
    let is_open = |state| matches!(state, CallState::Calling | CallState::Leaving);
    let limit = Instant::now() + Duration::from_secs(40);
    stage.board.pump_until(limit, |board| board.count(|call| is_open(call.state)) == 0);
    let cpu_seconds = stage.server.usage()?.cpu_seconds - before.cpu_seconds;
    // A registration counts as an answered call.
    let registered = usize::from(callee.is_some());
    let ended = stage.board.count(|call| call.state == CallState::Ended);
    let failures = (CALLS + 1 + registered) - ended - stage.board.count(|call| call.state == CallState::Answered);
    Ok(Series { cpu_seconds, failures, late })
}
