//! How fast a caller is in: one after another, and 300 in each second.

use std::time::{Duration, Instant};

use super::{ANSWER_LIMIT, Setting, Stage, number};
use crate::Failure;
use crate::audio::{Line, Listener, Sound, Stream};
use crate::dialog::CallState;
use crate::report::Figure;
use crate::switchboard::Caller;
use loadtest::statistics::percentile;

const SEQUENTIAL: usize = 100;
const JOIN_MS_MAX: f64 = 150.0;
const BURST: usize = 600;
const BURST_PER_SECOND: f64 = 300.0;
/// How long everybody stays: a server that takes 600 and drops some has failed these.
const STAY: Duration = Duration::from_secs(2);

/// One caller after another, into a conference where somebody talks.
pub(super) fn sequential(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    let resident = stage.join(0)?;
    stage.talk(&resident, Sound::Tone, Instant::now());
    stage.wait(Duration::from_secs(1))?;
    let mut times = Vec::new();
    for index in 0..SEQUENTIAL {
        // The join before ended with a packet, that is at the server's tick; the next must not keep step with it.
        stage.wait(Duration::from_millis(20 + index as u64 * 7 % 20))?;
        times.push(time_to_audio(&mut stage)?);
    }
    stage.board.hang_up_all();
    let late = stage.pacer.stop();
    Ok(vec![
        Figure::new("join, INVITE to first audio, p50", percentile(&times, 0.5), "ms")
            .note(format!("{SEQUENTIAL} joins, one after another"))
            .late(&late),
        Figure::new("join, INVITE to first audio, p99", percentile(&times, 0.99), "ms")
            .at_most(JOIN_MS_MAX)
            .late(&late),
    ])
}

/// In milliseconds.
fn time_to_audio(stage: &mut Stage) -> Result<f64, Failure> {
    let line = Line::open()?;
    let ear = Listener::start(&line)?;
    let call = stage.board.invite(Caller::Stranger, &number(0), line.address);
    stage.board.pump_until(Instant::now() + ANSWER_LIMIT, |board| board.call(&call).is_settled());
    let (state, placed, remote) = {
        let call = stage.board.call(&call);
        (call.state, call.placed, call.remote_audio)
    };
    let remote = remote.ok_or_else(|| Failure(format!("a join came to {state:?}")))?;
    // A phone talks as soon as it is answered.
    let socket = line.rtp.clone();
    stage.pacer.add(Stream { socket, to: remote, sound: Sound::Silence, start: Instant::now() });
    let first = ear.next(ANSWER_LIMIT).ok_or_else(|| Failure("a joined caller heard nothing".to_owned()))?;
    stage.board.hang_up(&call);
    stage.board.pump_until(Instant::now() + ANSWER_LIMIT, |board| board.call(&call).state != CallState::Leaving);
    Ok((first.at - placed).as_secs_f64() * 1_000.0)
}

/// 300 joins in each second, all into one conference.
pub(super) fn burst(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    let lines: Vec<Line> = (0..BURST).map(|_| Line::open()).collect::<Result<_, _>>()?;
    let start = Instant::now();
    let (mut calls, mut late) = (Vec::new(), Vec::new());
    for (index, line) in lines.iter().enumerate() {
        let at = start + Duration::from_secs_f64(index as f64 / BURST_PER_SECOND);
        stage.board.pump(at);
        late.push((Instant::now() - at).as_secs_f64() * 1_000.0);
        calls.push(stage.board.invite(Caller::Stranger, &number(0), line.address));
    }
    let limit = Instant::now() + Duration::from_secs(40);
    stage.board.pump_until(limit, |board| board.count(|call| !call.is_settled()) == 0);
    stage.board.pump(Instant::now() + STAY);
    let failures = stage.board.count(|call| call.state != CallState::Answered);
    let answers: Vec<f64> = calls
        .iter()
        .filter_map(|call| stage.board.call(call).answered_after)
        .map(|time| time.as_secs_f64() * 1_000.0)
        .collect();
    stage.board.hang_up_all();
    let answer = percentile(&answers, 0.99);
    Ok(vec![
        Figure::new("300 joins/s into one conference: failures", failures as f64, "")
            .at_most(0.0)
            .note(format!("of {BURST}; INVITE to 200 p99 {answer:.1} ms"))
            .late(&late),
    ])
}
