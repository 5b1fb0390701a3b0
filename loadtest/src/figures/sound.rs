//! What the ear notices: a steady tone, the own voice, the delay.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use testkit::tone::level_db;
use testkit::wav;

use super::{Setting, Stage};
use crate::Failure;
use crate::audio::{FRAME_TIME, Listener, SAMPLE_RATE, Sound, TONE};
use crate::delay::{beginnings, delays};
use crate::report::Figure;
use crate::steadiness::{discontinuities, recording};
use loadtest::statistics::percentile;

/// The start of a call, in which a jitter buffer may still find its depth.
const SETTLING: Duration = Duration::from_secs(2);
/// The own voice below this, in dB of full scale, is not heard in any room.
const OWN_VOICE_DB_MAX: f64 = -60.0;
/// Conferences in which the delay is measured at once, their talkers spread over one frame: server and phone have no
/// common beat, and the delay depends on how they meet.
const BEATS: usize = 8;
/// How long bursts are sent.
const BURSTS_TIME: Duration = Duration::from_secs(20);
const DELAY_MS_MAX: f64 = 40.0;

/// A talker with the tone and a listener.
pub(super) fn tone(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    let (talker, listener) = (stage.join(0)?, stage.join(0)?);
    let now = Instant::now();
    stage.talk(&talker, Sound::Tone, now);
    stage.talk(&listener, Sound::Silence, now + FRAME_TIME / 2);
    let (own, far) = (Listener::start(&talker.line)?, Listener::start(&listener.line)?);
    stage.wait(SETTLING)?;
    own.take();
    far.take();
    let time = Duration::from_secs(setting.tone_seconds);
    stage.wait(time)?;
    let (own, far) = (recording(&own.take()), recording(&far.take()));
    stage.board.hang_up_all();
    let late = stage.pacer.stop();

    let level = |samples: Vec<i16>| match samples.len() {
        // Nobody who hears nothing at all is in a call.
        0 => f64::NAN,
        _ => level_db(&wav::Sound { rate: SAMPLE_RATE, samples }, TONE as u32),
    };
    let heard_seconds = far.len() as f64 / f64::from(SAMPLE_RATE);
    let faults = if far.is_empty() { f64::NAN } else { discontinuities(&far) as f64 };
    let far_level = level(far);
    Ok(vec![
        Figure::new("steady tone: discontinuities", faults, "")
            .at_most(0.0)
            .note(format!("in {heard_seconds:.1} s of {} Hz at {far_level:.1} dB of full scale", TONE))
            .late(&late),
        Figure::new("own voice at the talker", level(own), "dB")
            .at_most(OWN_VOICE_DB_MAX)
            .note("of full scale")
            .late(&late),
    ])
}

/// Talkers with bursts and a listener for each.
pub(super) fn delay(setting: &Setting) -> Result<Vec<Figure>, Failure> {
    let mut stage = Stage::set(setting)?;
    let mut pairs = Vec::new();
    for conference in 0..BEATS {
        pairs.push((stage.join(conference)?, stage.join(conference)?));
    }
    let start = Instant::now() + FRAME_TIME;
    let mut ears = Vec::new();
    for (beat, (talker, listener)) in pairs.iter().enumerate() {
        let (sender, starts) = channel();
        ears.push((starts, Listener::start(&listener.line)?));
        let at = start + FRAME_TIME * beat as u32 / BEATS as u32;
        stage.talk(talker, Sound::Bursts(sender), at);
        stage.talk(listener, Sound::Silence, at);
    }
    stage.wait(BURSTS_TIME)?;
    let late = stage.pacer.stop();
    // What is on its way still arrives.
    stage.board.pump(Instant::now() + Duration::from_millis(500));
    let mut found = Vec::new();
    for (starts, ear) in &ears {
        let sent: Vec<Instant> = starts.try_iter().collect();
        found.extend(delays(&sent, &beginnings(&ear.take())));
    }
    stage.board.hang_up_all();

    let bursts = found.len();
    let came: Vec<f64> = found.into_iter().flatten().collect();
    let lost = bursts - came.len();
    let value = |share| if lost * 100 > bursts { f64::NAN } else { percentile(&came, share) };
    let note = format!(
        "{bursts} bursts, {lost} lost; server's buffer, tick and coding and the loopback; without the phones' own frame and buffer"
    );
    Ok(vec![
        Figure::new("added mouth-to-ear delay, median", value(0.5), "ms").note(note).late(&late),
        Figure::new("added mouth-to-ear delay, p99", value(0.99), "ms").at_most(DELAY_MS_MAX).late(&late),
    ])
}
