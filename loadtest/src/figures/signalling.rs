//! What a call costs when nobody says a word.

use std::time::{Duration, Instant};

use super::{Setting, Stage, number};
use crate::Failure;
use crate::audio::Line;
use crate::dialog::CallState;
use crate::kamailio::{ABSENT, Kamailio, Phones};
use crate::report::Figure;
use crate::server::USERS;
use crate::switchboard::{Caller, Switchboard};

const CALLS: usize = 2_500;
/// At a low rate each message wakes a thread, which then costs more than the message; at this one servers are compared.
const CALLS_PER_SECOND: f64 = 250.0;
/// For 1,000 calls.
const CPU_SECONDS_MAX: f64 = 0.6;

/// Calls that end when they are answered: to a conference, and from one user to another.
pub(super) fn measure(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let [caller, callee] = USERS;
    let to_conference = series(setting, Caller::Stranger, &number(0), None)?;
    let to_user = series(setting, Caller::User(caller), callee, Some(callee))?;
    let mut figures = vec![
        to_conference
            .figure("signalling: 1,000 calls to a conference", "INVITE, 200, ACK, BYE; with a leg in the mixer"),
        to_user.figure(
            "signalling: 1,000 calls from user to user",
            "INVITE, 407, INVITE, 180, 200, ACK, BYE; two dialogs each, one digest, no media here",
        ),
    ];
    figures.push(anchor()?);
    Ok(figures)
}

/// What the same calls cost a stateful proxy on this machine.
fn anchor() -> Result<Figure, Failure> {
    let name = "signalling: 1,000 calls through Kamailio's stateful proxy";
    let Some(proxy) = Kamailio::start(Phones::One)? else { return Ok(Figure::absent(name, ABSENT)) };
    let mut board = Switchboard::open(proxy.address())?;
    let line = Line::open()?;
    board.hang_up_at_once();
    let before = proxy.cpu_seconds()?;
    let late = call_often(&mut board, Caller::Stranger, "callee", &line);
    let series = Series { cpu_seconds: proxy.cpu_seconds()? - before, failures: CALLS - ended(&board), late };
    let note = "for comparison: INVITE, 180, 200, ACK, BYE relayed; no end of a dialog, no digest, no media";
    Ok(Figure { most: None, ..series.figure(name, note) })
}

struct Series {
    cpu_seconds: f64,
    failures: usize,
    late: Vec<f64>,
}

impl Series {
    fn figure(&self, name: &str, note: &str) -> Figure {
        // Refused calls are cheap; they must not make the figure look good.
        let for_1_000 = self.cpu_seconds * 1_000.0 / CALLS as f64;
        let value = if self.failures == 0 { for_1_000 } else { f64::NAN };
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
    let late = call_often(&mut stage.board, caller, to, &line);
    let cpu_seconds = stage.server.usage()?.cpu_seconds - before.cpu_seconds;
    // The first call, and a registration, which counts as an answered call.
    let others = 1 + usize::from(callee.is_some());
    let answered = stage.board.count(|call| call.state == CallState::Answered);
    let failures = (CALLS + others) - ended(&stage.board) - answered;
    Ok(Series { cpu_seconds, failures, late })
}

/// Places the calls at their times and waits for their ends; answers how late each was placed, in ms.
fn call_often(board: &mut Switchboard, caller: Caller, to: &str, line: &Line) -> Vec<f64> {
    let start = Instant::now();
    let mut late = Vec::with_capacity(CALLS);
    for index in 0..CALLS {
        let at = start + Duration::from_secs_f64(index as f64 / CALLS_PER_SECOND);
        board.pump(at);
        late.push((Instant::now() - at).as_secs_f64() * 1_000.0);
        board.invite(caller, to, line.address);
    }
    let is_open = |state| matches!(state, CallState::Calling | CallState::Leaving);
    let limit = Instant::now() + Duration::from_secs(40);
    board.pump_until(limit, |board| board.count(|call| is_open(call.state)) == 0);
    late
}

fn ended(board: &Switchboard) -> usize {
    board.count(|call| call.state == CallState::Ended)
}
