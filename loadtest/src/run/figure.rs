//! The figures of a run: what they are made of, and which of them are beyond their bounds.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::judge::delay::delays;
use crate::judge::hearing::Matrix;
use crate::judge::opinion::Frames;
use crate::media::leg::LegRecord;
use crate::plan::{MEASURES, Measure, Plan};
use crate::run::evidence::Evidence;
use crate::run::score::Score;
use crate::statistics::percentile;

/// What a figure or a run comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Good enough.
    Pass,
    /// Not good enough, or not measured though it should have been.
    Fail,
    /// The generator measured itself: no verdict.
    Invalid,
    /// No bound is set, or the server's inside cannot be seen.
    Info,
}

/// One figure of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name, one of [`MEASURES`].
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// What it is.
    pub about: String,
    /// Its value, if it could be measured.
    pub value: Option<f64>,
    /// The least good value.
    pub bound: Option<f64>,
    /// Greater is better.
    pub rises: bool,
    /// What it comes to.
    pub verdict: Verdict,
}

/// All figures in their order, with the plan's bounds. Those only the server can tell are for information where its
/// process is out of sight.
pub(crate) fn bounded(plan: &Plan, values: &[(&'static str, f64)], server_seen: bool) -> Vec<Figure> {
    let bounds: HashMap<&str, f64> = plan.thresholds.set().map(|(measure, bound)| (measure.name, bound)).collect();
    let figure = |measure: &Measure| {
        let value = values.iter().find(|(name, _)| *name == measure.name).map_or(f64::NAN, |(_, value)| *value);
        let bound = bounds.get(measure.name).copied().filter(|_| server_seen || !measure.of_server);
        let verdict = match bound {
            None => Verdict::Info,
            Some(bound) if measure.is_met(value, bound) => Verdict::Pass,
            Some(_) => Verdict::Fail,
        };
        Figure {
            name: measure.name.to_owned(),
            unit: measure.unit.to_owned(),
            about: measure.about.to_owned(),
            value: value.is_finite().then_some(value),
            bound,
            rises: measure.rises,
            verdict,
        }
    };
    MEASURES.iter().map(figure).collect()
}

pub(crate) fn join_ms(record: &LegRecord) -> Option<f64> {
    Some((record.first_at? - record.placed_at) as f64 / 1e6)
}

pub(crate) fn opinions(plan: &Plan, records: &[&LegRecord]) -> Vec<f64> {
    let heard = records.iter().filter(|record| record.received > 0);
    heard.map(|record| Frames::of(record).opinion(plan.codec_of(record.caller))).collect()
}

/// Bytes of the headers of IPv4, UDP and RTP.
const HEADERS: u64 = 20 + 8 + 12;

pub(crate) fn figures_of_legs(records: &[&LegRecord], scores: &[f64], seconds: f64) -> Vec<(&'static str, f64)> {
    let (lost, received) =
        records.iter().fold((0, 0), |(lost, received), record| (lost + record.lost, received + record.received));
    let all = |pick: fn(&LegRecord) -> f64| records.iter().map(|record| pick(record)).collect::<Vec<_>>();
    let bytes: u64 = records.iter().map(|record| record.bytes + HEADERS * record.received).sum();
    let reported: Vec<f64> = records.iter().filter_map(|record| record.server_loss).collect();
    vec![
        ("loss_percent", 100.0 * lost as f64 / (lost as f64 + received as f64)),
        ("kbit_each", bytes as f64 * 8.0 / 1_000.0 / (seconds * records.len() as f64)),
        ("gap_p99_ms", percentile(&all(|record| record.gap_ms), 0.99)),
        ("jitter_p99_ms", percentile(&all(|record| record.jitter_ms), 0.99)),
        ("mos_p05", percentile(scores, 0.05)),
        ("mos_median", percentile(scores, 0.5)),
        ("server_loss_percent", 100.0 * reported.iter().sum::<f64>() / reported.len() as f64),
    ]
}

pub(crate) fn figures_of_joins(evidence: &Evidence, join_ms: &[f64]) -> Vec<(&'static str, f64)> {
    let answers: Vec<f64> = evidence.joinings.iter().map(|joining| joining.answer_ms).collect();
    // Whoever called again during the talk did not join in the ramp.
    let first = evidence.joinings.iter().map(|joining| joining.at).fold(f64::INFINITY, f64::min);
    let in_ramp = evidence.joinings.iter().filter(|joining| joining.at - first <= evidence.ramp_seconds).count();
    vec![
        ("failures", evidence.failures as f64),
        ("join_p50_ms", percentile(join_ms, 0.5)),
        ("join_p99_ms", percentile(join_ms, 0.99)),
        ("answer_p99_ms", percentile(&answers, 0.99)),
        ("joins_per_second", in_ramp as f64 / evidence.ramp_seconds.max(1e-3)),
    ]
}

pub(crate) fn figures_of_server(plan: &Plan, evidence: &Evidence) -> Vec<(&'static str, f64)> {
    let change = |name: &str| {
        let [before, after] = &evidence.metrics;
        after.get(name).map_or(f64::NAN, |after| after - before.get(name).unwrap_or(&0.0))
    };
    let ticks = change("convoke_mixer_ticks_total");
    let mut figures = vec![
        ("late_ticks_percent", 100.0 * change("convoke_mixer_ticks_late_total") / ticks),
        ("skipped_ticks", change("convoke_mixer_ticks_skipped_total")),
    ];
    // What nobody used has no price for each.
    if let [Some(idle), Some(before), Some(after)] = evidence.usage
        && !evidence.joinings.is_empty()
    {
        let callers = plan.callers() as f64;
        let cpu = after.cpu_seconds - before.cpu_seconds;
        figures.push(("cpu_ms", cpu * 1_000.0 / (evidence.seconds * callers)));
        let quiet = evidence.quiet_seconds * cpu / evidence.seconds;
        let joining = joining_seconds(before.cpu_seconds - idle.cpu_seconds, quiet);
        figures.push(("join_cpu_ms", joining * 1_000.0 / callers));
        figures.push(("memory_kib", (after.resident_kib - idle.resident_kib) / callers));
    }
    figures
}

/// What joins cost of the time used while callers came, the rest of which is what those who were in already cost by themselves.
/// NaN where that rest hides it: it is known to a tenth at best, and both ends to a tick of the kernel's clock.
fn joining_seconds(used: f64, quiet: f64) -> f64 {
    let joining = used - quiet;
    if joining > 0.02 + 0.1 * quiet { joining } else { f64::NAN }
}

pub(crate) fn figures_of_sound(matrix: &Matrix, chirps: &[Option<f64>], delay_ms: &[f64]) -> Vec<(&'static str, f64)> {
    let lost = chirps.iter().filter(|chirp| chirp.is_none()).count() as f64;
    vec![
        // Where nothing was compared, nothing was right.
        ("hearing_wrong", if matrix.cells.is_empty() { f64::NAN } else { matrix.wrong() as f64 }),
        ("own_voice_db", matrix.own_voice_db()),
        ("delay_p50_ms", percentile(delay_ms, 0.5)),
        ("delay_p99_ms", percentile(delay_ms, 0.99)),
        ("chirps_lost_percent", 100.0 * lost / chirps.len() as f64),
    ]
}

pub(crate) fn chirp_delays(plan: &Plan, records: &HashMap<usize, &LegRecord>) -> Vec<Option<f64>> {
    let score = Score::new(plan);
    let mut found = Vec::new();
    for (chirper, ears) in score.delays() {
        let Some(sender) = records.get(chirper) else { continue };
        for ear in ears {
            let Some(record) = records.get(ear) else { continue };
            found.extend(delays(&sender.chirps, &talk_of(record, &sender.chirps), plan.codec_of(*ear)));
        }
    }
    found
}

/// What was recorded after the first chirp; before it lies the roll call.
fn talk_of(record: &LegRecord, chirps: &[i64]) -> LegRecord {
    let start = chirps.first().map_or(i64::MAX, |first| first - 200_000_000);
    let heard = record.heard.iter().filter(|heard| heard.at >= start).copied().collect();
    LegRecord { heard, payloads: record.payloads.clone(), ..LegRecord::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_joins_cost_is_not_told_where_noise_hides_it() {
        assert_eq!(joining_seconds(1.5, 1.0), 0.5);
        for (used, quiet) in [(1.05, 1.0), (0.9, 1.0), (0.02, 0.0)] {
            assert!(joining_seconds(used, quiet).is_nan(), "{used} of which {quiet}");
        }
    }

    #[test]
    fn the_first_audio_ends_the_join() {
        let record = LegRecord { placed_at: 5_000_000, first_at: Some(25_000_000), ..LegRecord::default() };
        assert_eq!(join_ms(&record), Some(20.0));
        assert_eq!(join_ms(&LegRecord::default()), None);
    }
}
