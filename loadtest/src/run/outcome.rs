//! What a run came to: its verdict, and why the generator may doubt itself.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::judge::hearing::Matrix;
use crate::machine::Machine;
use crate::media::leg::LegRecord;
use crate::plan::Plan;
use crate::results::table::number;
use crate::run::evidence::{Evidence, Joining};
use crate::run::figure::{
    Figure, Verdict, bounded, chirp_delays, figures_of_joins, figures_of_legs, figures_of_server, figures_of_sound,
    join_ms, opinions,
};
use crate::run::gauge::Sample;
use crate::run::score::Score;
use crate::statistics::Histogram;

/// Listeners of the hearing matrix that are kept in the report; wrong cells are kept always.
const LISTENERS_SHOWN: usize = 48;
/// Of packets that came, so many may be dropped by the kernel at our sockets before the run is void.
const DROPS_MAX: f64 = 1e-4;

/// What a run came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// What was to happen.
    pub plan: Plan,
    /// Where it happened.
    pub machine: serde_json::Value,
    /// How long it took.
    pub seconds: f64,
    /// What it came to.
    pub verdict: Verdict,
    /// A search ended here: its verdict says how far it came and is no failure of the plan.
    #[serde(default)]
    pub limit: bool,
    /// What earlier runs of the same came to, and why they do not count.
    #[serde(default)]
    pub earlier: Vec<String>,
    /// Why it failed whatever its thresholds say: nobody got in, or it ended before its time.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// It ended before its time, or could not begin.
    #[serde(default)]
    pub broke_off: bool,
    /// Why the generator doubts itself.
    pub doubts: Vec<String>,
    /// What went wrong, in words.
    pub faults: Vec<String>,
    /// All figures.
    pub figures: Vec<Figure>,
    /// Who was in at the end.
    pub joined: usize,
    /// Samples over the run.
    pub samples: Vec<Sample>,
    /// Answered joins.
    pub joinings: Vec<Joining>,
    /// From call to first audio, in ms.
    pub join_ms: Vec<f64>,
    /// Delays of chirps, in ms.
    pub delay_ms: Vec<f64>,
    /// Estimated opinions.
    pub opinions: Histogram,
    /// How late packets were sent, in ms.
    pub lateness: Histogram,
    /// The share of their time the media threads worked, in percent, the busiest one's.
    pub busy_percent: f64,
    /// Who heard whom.
    pub matrix: Matrix,
}

impl Outcome {
    /// Judges a run.
    pub fn judge(plan: &Plan, evidence: Evidence, seconds: f64) -> Self {
        let records: Vec<&LegRecord> = evidence.harvests.iter().flat_map(|harvest| &harvest.legs).collect();
        // Whoever called again has more than one record; his last one holds the end of the run.
        let by_caller: HashMap<usize, &LegRecord> = records.iter().map(|record| (record.caller, *record)).collect();
        let mut all_of_caller: HashMap<usize, Vec<&LegRecord>> = HashMap::new();
        records.iter().for_each(|record| all_of_caller.entry(record.caller).or_default().push(record));
        let matrix = Matrix::judge(&Score::members(plan), &evidence.turns, &all_of_caller);
        let chirps = chirp_delays(plan, &by_caller);
        let delay_ms: Vec<f64> = chirps.iter().flatten().copied().collect();
        let join_ms: Vec<f64> = records.iter().filter_map(|record| join_ms(record)).collect();
        let scores = opinions(plan, &records);
        let mut values = figures_of_joins(&evidence, &join_ms);
        let mut doubtful = Vec::new();
        if evidence.broke_off.is_none() {
            values.extend(figures_of_legs(&records, &scores, evidence.seconds));
            values.extend(figures_of_server(plan, &evidence));
            values.extend(figures_of_sound(&matrix, &chirps, &delay_ms));
            doubtful = doubts(plan, &evidence, &records);
        }
        if evidence.joinings.is_empty() {
            // Nothing was measured, so the generator did not measure itself either.
            doubtful.clear();
        }
        let reasons = reasons(plan, &evidence);
        let figures = bounded(plan, &values, evidence.usage[2].is_some());
        let lateness = evidence.lateness();
        let mut opinions = Histogram::new(0.1, 46);
        scores.iter().for_each(|score| opinions.add(*score));
        Self {
            plan: plan.clone(),
            machine: Machine::look().to_json(),
            seconds,
            verdict: verdict(&figures, !reasons.is_empty(), !doubtful.is_empty()),
            limit: false,
            earlier: Vec::new(),
            reasons,
            broke_off: evidence.broke_off.is_some(),
            doubts: doubtful,
            faults: evidence.faults.iter().chain(&matrix.faults).cloned().collect(),
            figures,
            joined: evidence.joined,
            busy_percent: evidence.busy_percent(),
            samples: evidence.samples,
            joinings: evidence.joinings,
            join_ms,
            delay_ms,
            opinions,
            lateness,
            matrix: shortened(matrix),
        }
    }

    /// What a plan comes to that could not be run at all.
    pub fn not_run(plan: &Plan, why: &str) -> Self {
        Self {
            reasons: vec![format!("it could not be run: {why}")],
            broke_off: true,
            joined: 0,
            ..Self::blank(plan, bounded(plan, &[], true), Verdict::Fail)
        }
    }

    /// Says what a figure is that no single run can tell.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        if let Some(figure) = self.figures.iter_mut().find(|figure| figure.name == name) {
            figure.value = Some(value);
        }
    }

    /// A run that came to this, for tests.
    #[cfg(test)]
    pub(crate) fn with_value(plan: &Plan, name: &'static str, value: f64, verdict: Verdict) -> Self {
        Self::blank(plan, bounded(plan, &[(name, value)], true), verdict)
    }

    /// With these figures and everybody in, and nothing else to tell.
    fn blank(plan: &Plan, figures: Vec<Figure>, verdict: Verdict) -> Self {
        Self {
            plan: plan.clone(),
            machine: Machine::look().to_json(),
            seconds: 0.0,
            verdict,
            limit: false,
            earlier: Vec::new(),
            reasons: Vec::new(),
            broke_off: false,
            doubts: Vec::new(),
            faults: Vec::new(),
            figures,
            joined: plan.callers(),
            samples: Vec::new(),
            joinings: Vec::new(),
            join_ms: Vec::new(),
            delay_ms: Vec::new(),
            opinions: Histogram::new(0.1, 46),
            lateness: Histogram::new(0.25, 400),
            busy_percent: 0.0,
            matrix: Matrix::default(),
        }
    }

    /// Why it failed: the reasons, and the figures beyond their bounds, each in words.
    pub fn broken(&self) -> Vec<String> {
        let failed = self.figures.iter().filter(|figure| figure.verdict == Verdict::Fail);
        let words = |figure: &Figure| {
            let value = figure.value.map_or("not measured".to_owned(), number);
            let sign = if figure.rises { ">=" } else { "<=" };
            format!("{} {value}, asked {sign} {}", figure.name, figure.bound.map_or(String::new(), number))
        };
        self.reasons.iter().cloned().chain(failed.map(words)).collect()
    }

    /// The value of a figure; NaN when it was not measured.
    pub fn value(&self, name: &str) -> f64 {
        self.figures.iter().find(|figure| figure.name == name).and_then(|figure| figure.value).unwrap_or(f64::NAN)
    }
}

fn verdict(figures: &[Figure], reasons: bool, doubtful: bool) -> Verdict {
    if doubtful {
        return Verdict::Invalid;
    }
    let broken = figures.iter().any(|figure| figure.verdict == Verdict::Fail);
    if reasons || broken { Verdict::Fail } else { Verdict::Pass }
}

/// Why a run fails whatever its thresholds say. A plan that sets no bound for failures allows none: figures of those who
/// got in say nothing about those who did not.
fn reasons(plan: &Plan, evidence: &Evidence) -> Vec<String> {
    let (callers, failures) = (plan.callers(), evidence.failures);
    let mut reasons: Vec<String> =
        evidence.broke_off.iter().map(|why| format!("it ended before its time: {why}")).collect();
    if evidence.joinings.is_empty() {
        reasons.push(format!("nobody got in: 0 of {callers} callers were answered"));
    } else if failures > 0 && evidence.joined == 0 {
        reasons.push(format!("nobody was in at the end: {failures} of {callers} callers were refused or lost"));
    } else if failures > 0 && plan.thresholds.failures.is_none() {
        reasons.push(format!(
            "not everybody got in and stayed: {failures} failures of {callers} callers; [thresholds] failures allows some"
        ));
    }
    reasons
}

/// What all runs together come to, as an exit code: 1 when one failed, else 3 when the generator was saturated in one.
/// Where a search ended is no failure.
pub fn exit_code(outcomes: &[Outcome]) -> u8 {
    let any = |verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict && !outcome.limit);
    match (any(Verdict::Fail), any(Verdict::Invalid)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

/// Why the figures may be the generator's own.
fn doubts(plan: &Plan, evidence: &Evidence, records: &[&LegRecord]) -> Vec<String> {
    let mut doubts = Vec::new();
    let late = evidence.lateness().percentile(0.99);
    if late > plan.generator.late_p99_ms {
        doubts.push(format!(
            "a packet in a hundred was sent {late:.1} ms late or more; at most {}",
            plan.generator.late_p99_ms
        ));
    }
    let busy = evidence.busy_percent();
    if busy > plan.generator.busy_percent {
        doubts.push(format!("a media thread worked {busy:.0} % of its time; at most {}", plan.generator.busy_percent));
    }
    if evidence.others_percent > plan.generator.others_percent {
        let (others, most) = (evidence.others_percent, plan.generator.others_percent);
        doubts.push(format!("other programs took {others:.0} % of the machine; at most {most}"));
    }
    let received: u64 = records.iter().map(|record| record.received).sum();
    if evidence.drops as f64 > DROPS_MAX * received as f64 {
        doubts
            .push(format!("the kernel dropped {} of {received} datagrams at the callers' own sockets", evidence.drops));
    }
    doubts
}

/// The matrix of the report: the first listeners, and whatever is wrong.
fn shortened(mut matrix: Matrix) -> Matrix {
    let mut listeners: Vec<usize> = matrix.cells.iter().map(|cell| cell.listener).collect();
    listeners.sort_unstable();
    listeners.dedup();
    listeners.truncate(LISTENERS_SHOWN);
    matrix.cells.retain(|cell| !cell.right || listeners.binary_search(&cell.listener).is_ok());
    matrix
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::judge::hearing::Turn;
    use crate::media::wheel::Harvest;
    use crate::usage::Usage;

    fn plan() -> Plan {
        Plan::parse(
            "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n\
             [thresholds]\nfailures = 0\ncpu_ms = 1.0\nmos_p05 = 4.0\n",
        )
        .expect("valid")
    }

    #[test]
    fn a_figure_beyond_its_bound_or_unmeasured_fails_the_run() {
        let good = [("failures", 0.0), ("cpu_ms", 0.9), ("mos_p05", 4.2)];
        let judged = |values: &[(&'static str, f64)], seen| verdict(&bounded(&plan(), values, seen), false, false);
        assert_eq!(judged(&good, true), Verdict::Pass);
        for (bad, value) in [(0, 1.0), (1, 1.1), (2, 3.9), (2, f64::NAN)] {
            let mut values = good;
            values[bad].1 = value;
            assert_eq!(judged(&values, true), Verdict::Fail, "{:?}", values[bad]);
        }
        assert_eq!(judged(&[good[0], good[2]], false), Verdict::Pass, "a server out of sight tells no processor time");
        assert_eq!(verdict(&bounded(&plan(), &good, true), false, true), Verdict::Invalid);
    }

    /// A plan of two callers of which some were answered, with the roll call done.
    fn seen(plan: &Plan, answered: usize) -> Evidence {
        let turns = vec![Turn { tones: vec![(0, 0)], from: 0, to: 1_000_000_000 }];
        Evidence {
            harvests: vec![Harvest {
                legs: Vec::new(),
                lateness: Histogram::new(0.25, 400),
                losses: Default::default(),
                busy: 0.0,
            }],
            turns,
            seconds: 4.0,
            ramp_seconds: 1.0,
            quiet_seconds: 1.0,
            joined: answered,
            failures: plan.callers() - answered,
            faults: Vec::new(),
            joinings: vec![Joining { at: 0.0, answer_ms: 5.0 }; answered],
            samples: Vec::new(),
            usage: [Some(Usage { cpu_seconds: 1.0, resident_kib: 9.0 }); 3],
            metrics: [BTreeMap::new(), BTreeMap::new()],
            drops: 0,
            others_percent: 0.0,
            broke_off: None,
        }
    }

    fn without_thresholds() -> Plan {
        let mut plan = plan();
        plan.thresholds = crate::plan::Thresholds::default();
        plan
    }

    #[test]
    fn a_plan_fails_when_nobody_or_not_everybody_got_in() {
        let bare = without_thresholds();
        let mut tolerant = bare.clone();
        tolerant.thresholds.failures = Some(2.0);
        let cases = [
            (&bare, 2, Verdict::Pass, ""),
            (&bare, 1, Verdict::Fail, "1 failures of 2 callers"),
            (&bare, 0, Verdict::Fail, "nobody got in: 0 of 2"),
            (&tolerant, 1, Verdict::Pass, ""),
            (&tolerant, 0, Verdict::Fail, "nobody got in"),
        ];
        for (plan, answered, verdict, words) in cases {
            let outcome = Outcome::judge(plan, seen(plan, answered), 5.0);
            assert_eq!(outcome.verdict, verdict, "{answered} answered");
            let reasons = outcome.reasons.join("; ");
            assert!(
                reasons.contains(words) && reasons.is_empty() == words.is_empty(),
                "{answered} answered: {reasons}"
            );
        }
    }

    #[test]
    fn who_calls_again_during_the_talk_does_not_make_joins_faster() {
        let (plan, mut evidence) = (without_thresholds(), seen(&without_thresholds(), 2));
        evidence.joinings.extend([3.0, 4.0].map(|at| Joining { at, answer_ms: 5.0 }));
        assert_eq!(Outcome::judge(&plan, evidence, 5.0).value("joins_per_second"), 2.0);
    }

    #[test]
    fn what_nobody_heard_or_used_is_not_0() {
        let plan = without_thresholds();
        let outcome = Outcome::judge(&plan, seen(&plan, 0), 5.0);
        for name in ["hearing_wrong", "cpu_ms", "join_cpu_ms", "memory_kib", "loss_percent", "late_ticks_percent"] {
            assert!(outcome.value(name).is_nan(), "{name}: {}", outcome.value(name));
        }
        assert_eq!(outcome.value("failures"), 2.0);
    }

    #[test]
    fn a_run_that_broke_off_fails_with_its_reason_and_without_figures_of_the_talk() {
        let plan = without_thresholds();
        let evidence = Evidence {
            broke_off: Some("the server ended (signal: 9)".to_owned()),
            others_percent: 100.0,
            ..seen(&plan, 2)
        };
        let outcome = Outcome::judge(&plan, evidence, 5.0);
        assert_eq!((outcome.verdict, outcome.broke_off), (Verdict::Fail, true));
        assert_eq!(outcome.reasons, ["it ended before its time: the server ended (signal: 9)"]);
        assert!(outcome.value("cpu_ms").is_nan() && outcome.value("answer_p99_ms") == 5.0);
    }
}
