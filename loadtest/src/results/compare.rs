//! Two reports beside each other: what became worse, beyond what chance explains.

use std::fmt::Write as _;

use crate::results::{Report, table::number};
use crate::run::outcome::{Figure, Verdict};

/// How much a figure may change without meaning anything: a share of the baseline, or this much by itself.
const FLOORS: &[(&str, f64)] = &[
    ("join_p50_ms", 5.0),
    ("join_p99_ms", 20.0),
    ("answer_p99_ms", 20.0),
    ("own_voice_db", 6.0),
    ("delay_p50_ms", 3.0),
    ("delay_p99_ms", 5.0),
    ("chirps_lost_percent", 1.0),
    ("loss_percent", 0.1),
    ("gap_p99_ms", 20.0),
    ("jitter_p99_ms", 3.0),
    ("mos_p05", 0.05),
    ("mos_median", 0.05),
    ("server_loss_percent", 0.5),
    ("late_ticks_percent", 1.0),
    ("cpu_ms", 0.02),
    ("memory_kib", 8.0),
];

/// What the comparison came to.
pub struct Comparison {
    /// For people.
    pub text: String,
    /// Figures that became worse.
    pub worse: usize,
}

/// Compares the plans both reports hold; `tolerance` is in percent.
pub fn compare(baseline: &Report, now: &Report, tolerance: f64) -> Comparison {
    let mut comparison = Comparison { text: String::new(), worse: 0 };
    for outcome in &now.outcomes {
        let name = &outcome.plan.name;
        let Some(before) = baseline.outcomes.iter().find(|before| before.plan.name == *name) else {
            _ = writeln!(comparison.text, "{name}: not in the baseline");
            continue;
        };
        if before.plan != outcome.plan {
            _ = writeln!(comparison.text, "{name}: the plan has changed; figures may not mean the same");
        }
        if [before.verdict, outcome.verdict].contains(&Verdict::Invalid) {
            _ = writeln!(comparison.text, "{name}: one of the runs is INVALID; nothing to compare");
            continue;
        }
        _ = writeln!(comparison.text, "{name}");
        for figure in &outcome.figures {
            let Some(old) = before.figures.iter().find(|old| old.name == figure.name) else { continue };
            comparison.add(old, figure, tolerance);
        }
    }
    comparison
}

impl Comparison {
    fn add(&mut self, old: &Figure, new: &Figure, tolerance: f64) {
        let (Some(before), Some(after)) = (old.value, new.value) else { return };
        let change = change(old, before, after, tolerance);
        if change == Change::Worse {
            self.worse += 1;
        }
        let word = match change {
            Change::None => "",
            Change::Better => "better",
            Change::Worse => "WORSE",
        };
        let percent = if before == 0.0 { String::new() } else { format!("{:+.0} %", 100.0 * (after / before - 1.0)) };
        _ = writeln!(
            self.text,
            "  {word:<7} {:<20} {:>10} -> {:>10} {:<4} {percent}",
            new.name,
            number(before),
            number(after),
            new.unit
        );
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    None,
    Better,
    Worse,
}

fn change(figure: &Figure, before: f64, after: f64, tolerance: f64) -> Change {
    let floor = FLOORS.iter().find(|(name, _)| *name == figure.name).map_or(0.0, |(_, floor)| *floor);
    let step = after - before;
    if step.abs() <= floor.max(before.abs() * tolerance / 100.0) {
        return Change::None;
    }
    if (step > 0.0) == figure.rises { Change::Better } else { Change::Worse }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::MEASURES;

    fn figure(name: &str) -> Figure {
        let measure = MEASURES.iter().find(|measure| measure.name == name).expect("known");
        Figure {
            name: name.to_owned(),
            unit: measure.unit.to_owned(),
            about: String::new(),
            value: None,
            bound: None,
            rises: measure.rises,
            verdict: Verdict::Info,
        }
    }

    #[test]
    fn only_what_chance_does_not_explain_is_worse() {
        let cases = [
            ("cpu_ms", 1.0, 1.09, Change::None),
            ("cpu_ms", 1.0, 1.2, Change::Worse),
            ("cpu_ms", 1.0, 0.8, Change::Better),
            ("cpu_ms", 0.01, 0.02, Change::None),
            ("mos_p05", 4.3, 3.8, Change::Worse),
            ("joins_per_second", 100.0, 150.0, Change::Better),
            ("failures", 0.0, 1.0, Change::Worse),
        ];
        for (name, before, after, expected) in cases {
            assert_eq!(change(&figure(name), before, after, 10.0), expected, "{name} {before} {after}");
        }
    }

    #[test]
    fn every_floor_belongs_to_a_figure() {
        assert!(FLOORS.iter().all(|(name, _)| MEASURES.iter().any(|measure| measure.name == *name)));
    }
}
