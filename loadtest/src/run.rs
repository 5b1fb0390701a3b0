//! How a plan happens: set up, join, settle, roll call, talk, leave; then the judgement.
//!
//! One thread conducts: it signals, tells the media threads who sends what, and samples. Start reading at [`run`]; the
//! module [`score`] says who sounds when, [`stage`] holds the callers, [`figure`] makes figures of the [`evidence`], [`outcome`]
//! the verdict.

pub mod dialler;
pub mod evidence;
pub mod figure;
pub mod gauge;
pub mod outcome;
pub mod score;
pub mod search;
pub mod stage;

use std::time::{Duration, Instant};

use crate::Failure;
use crate::judge::hearing::Turn;
use crate::plan::Plan;
use crate::run::evidence::Evidence;
use crate::run::figure::Verdict;
use crate::run::gauge::Sample;
use crate::run::outcome::Outcome;
use crate::run::score::Score;
use crate::run::stage::Stage;
use crate::sys::wall_nanos;
use crate::target::Source;

/// How long after the last arrival joins are waited for.
const JOIN_LIMIT: Duration = Duration::from_secs(35);
/// How long one turn of the roll call takes.
const TURN: Duration = Duration::from_millis(1_000);
/// How long the roll call pauses between turns, so that one tone's end is not the next one's beginning.
const PAUSE: Duration = Duration::from_millis(400);

/// Who looks on while a plan runs: the phase and the newest sample.
pub type Onlooker<'a> = &'a mut dyn FnMut(&str, &Sample);

/// Runs a plan once.
///
/// # Errors
/// When it could not begin; whatever happened while it ran is in the outcome, even that the server ended.
pub fn run(plan: &Plan, source: &Source, onlooker: Onlooker<'_>) -> Result<Outcome, Failure> {
    let started = Instant::now();
    let mut stage = Stage::set(plan, source, onlooker)?;
    let score = Score::new(plan);
    let evidence = match perform(&mut stage, &score) {
        Ok(evidence) => {
            stage.leave()?;
            evidence
        }
        Err(why) => stage.break_off(why.0)?,
    };
    Ok(Outcome::judge(plan, evidence, started.elapsed().as_secs_f64()))
}

/// Runs a plan, and again while the generator was saturated, so often at most. The outcome says why it was.
///
/// # Errors
/// As [`run`].
pub fn run_again(plan: &Plan, source: &Source, retries: usize, onlooker: Onlooker<'_>) -> Result<Outcome, Failure> {
    let mut earlier = Vec::new();
    loop {
        let mut outcome = run(plan, source, onlooker)?;
        if outcome.verdict != Verdict::Invalid || earlier.len() >= retries {
            outcome.earlier = earlier;
            return Ok(outcome);
        }
        earlier.push(format!("INVALID ({})", outcome.doubts.join("; ")));
    }
}

fn perform(stage: &mut Stage<'_>, score: &Score) -> Result<Evidence, Failure> {
    let idle = stage.usage();
    let ramp = join_all(stage)?;
    stage.wait("settling", Duration::from_secs_f64(stage.plan().shape.settle_seconds))?;
    let turns = if stage.plan().check.hearing { roll_call(stage, score)? } else { Vec::new() };
    let before = stage.begin_measuring();
    talk(stage, score)?;
    stage.finish(idle, before, turns, ramp)
}

/// Everybody joins; answers how long it took.
fn join_all(stage: &mut Stage<'_>) -> Result<Duration, Failure> {
    stage.register_all()?;
    let arrivals = stage.plan().arrivals;
    let start = Instant::now();
    for caller in 0..stage.plan().callers() {
        let due = start + Duration::from_secs_f64(caller as f64 / arrivals.per_second);
        stage.pump_until("joining", due)?;
        while arrivals.outstanding_max > 0 && stage.outstanding() >= arrivals.outstanding_max {
            stage.pump_once("joining", Instant::now() + JOIN_LIMIT)?;
        }
        stage.join(caller)?;
    }
    let limit = Instant::now() + JOIN_LIMIT;
    while stage.outstanding() > 0 && Instant::now() < limit {
        stage.pump_until("joining", Instant::now() + Duration::from_millis(5))?;
    }
    let took = stage.last_answer().map_or(start.elapsed(), |at| at.saturating_duration_since(start));
    stage.give_up_joining();
    Ok(took)
}

/// Members send their tones in turn while everybody records.
fn roll_call(stage: &mut Stage<'_>, score: &Score) -> Result<Vec<Turn>, Failure> {
    let everybody: Vec<usize> = (0..stage.plan().callers()).collect();
    everybody.iter().for_each(|caller| stage.record(*caller, true));
    let mut turns = Vec::new();
    for tones in score.turns() {
        tones.iter().for_each(|(caller, tone)| stage.play_tone(*caller, *tone));
        let from = wall_nanos();
        stage.wait("roll call", TURN)?;
        turns.push(Turn { tones: tones.clone(), from, to: wall_nanos() });
        tones.iter().for_each(|(caller, _)| stage.play_background(*caller));
        stage.wait("roll call", PAUSE)?;
    }
    everybody.iter().for_each(|caller| stage.record(*caller, false));
    Ok(turns)
}

/// The talk that is measured.
fn talk(stage: &mut Stage<'_>, score: &Score) -> Result<(), Failure> {
    let shape = stage.plan().shape.clone();
    let churn = stage.plan().arrivals.churn_per_second;
    score.ears().for_each(|ear| stage.record(ear, true));
    score.chirpers().for_each(|caller| stage.play_chirps(caller));
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(shape.hold_seconds);
    let (mut turn, mut churned) = (0_usize, 0_usize);
    score.talkers(0).for_each(|caller| stage.play_speech(caller));
    while Instant::now() < end {
        stage.pump_until("talking", (Instant::now() + Duration::from_millis(20)).min(end))?;
        let elapsed = start.elapsed().as_secs_f64();
        if shape.turn_seconds > 0.0 && elapsed >= (turn + 1) as f64 * shape.turn_seconds {
            score.talkers(turn).for_each(|caller| stage.play_background(caller));
            turn += 1;
            score.talkers(turn).for_each(|caller| stage.play_speech(caller));
        }
        while elapsed * churn > (churned + 1) as f64 {
            if let Some(caller) = score.leaver(churned) {
                stage.call_again(caller)?;
            }
            churned += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;
    use crate::target::Running;

    /// The outcome has the reason and what was seen until then; whoever runs more plans goes on.
    #[test]
    fn a_server_that_ends_in_mid_run_fails_the_plan_with_the_reason() -> Result<(), Failure> {
        let text = "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 3\nhold_seconds = 2\n";
        let mut ended = std::process::Command::new("true").spawn()?;
        let pid = ended.id();
        ended.wait()?;
        let deaf = UdpSocket::bind("127.0.0.1:0")?;
        let source = Source::Running(Running {
            sip: deaf.local_addr()?,
            domain: "load.invalid".to_owned(),
            first_number: 7_000,
            password: String::new(),
            http: None,
            pid: Some(pid),
        });
        let outcome = run_again(&Plan::parse(text)?, &source, 3, &mut |_, _| {})?;
        assert_eq!((outcome.verdict, outcome.broke_off, outcome.joined), (Verdict::Fail, true, 0));
        let reasons = outcome.reasons.join("; ");
        assert!(reasons.contains(&format!("the server's process {pid} has ended")), "{reasons}");
        assert!(!outcome.samples.is_empty() && outcome.earlier.is_empty());
        Ok(())
    }
}
