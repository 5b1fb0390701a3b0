//! What a leg weighs: in memory when idle, in processor time in a large conference.

use std::time::{Duration, Instant};

use super::{Joined, Setting, Stage};
use crate::Failure;
use crate::audio::{FRAME_TIME, Sound};
use crate::report::Figure;
use crate::server::CONFERENCES;

const IDLE_LEGS: usize = 500;
const KIB_PER_LEG_MAX: f64 = 100.0;
const PARTICIPANTS: usize = 100;
const TALKERS: usize = 3;
/// How long everybody is in before it is measured, so that buffers and tables have their size.
const SETTLING: Duration = Duration::from_secs(5);
const LOAD_TIME: Duration = Duration::from_secs(20);

/// 500 callers in 50 conferences who send silence.
pub(super) fn memory(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    stage.wait(Duration::from_secs(1))?;
    let before = stage.server.usage()?.resident_kib;
    let legs = fill(&mut stage, IDLE_LEGS, |index| index % CONFERENCES, 0)?;
    stage.wait(SETTLING)?;
    let after = stage.server.usage()?.resident_kib;
    stage.board.hang_up_all();
    let late = stage.pacer.stop();
    let each = (after - before) / legs.len() as f64;
    let note = format!("{before:.0} KiB without legs, {after:.0} KiB with {IDLE_LEGS} in {CONFERENCES} conferences");
    Ok(vec![
        Figure::new("memory of an idle plain-RTP leg", each, "KiB").at_most(KIB_PER_LEG_MAX).note(note).late(&late),
    ])
}

/// 100 callers in one conference, three of them talking.
pub(super) fn load(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    let legs = fill(&mut stage, PARTICIPANTS, |_| 0, TALKERS)?;
    stage.wait(SETTLING)?;
    let before = (stage.server.usage()?, Instant::now());
    stage.wait(LOAD_TIME)?;
    let seconds = before.1.elapsed().as_secs_f64();
    let cpu = stage.server.usage()?.cpu_seconds - before.0.cpu_seconds;
    stage.board.hang_up_all();
    let late = stage.pacer.stop();
    let each = cpu * 1_000.0 / (seconds * legs.len() as f64);
    let note =
        format!("{PARTICIPANTS} in one conference, {TALKERS} talking; {:.1} % of one core", 100.0 * cpu / seconds);
    Ok(vec![Figure::new("processor time of a participant-second", each, "ms").note(note).late(&late)])
}

/// Lets callers join one after another; the first `talkers` send the tone, the others silence, spread over a frame.
fn fill(
    stage: &mut Stage,
    count: usize,
    conference_of: impl Fn(usize) -> usize,
    talkers: usize,
) -> Result<Vec<Joined>, Failure> {
    let mut legs = Vec::new();
    for index in 0..count {
        let leg = stage.join(conference_of(index))?;
        let sound = if index < talkers { Sound::Tone } else { Sound::Silence };
        stage.talk(&leg, sound, Instant::now() + FRAME_TIME * index as u32 / count as u32);
        legs.push(leg);
    }
    Ok(legs)
}
