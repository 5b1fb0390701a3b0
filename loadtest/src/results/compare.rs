//! Two reports beside each other: what became worse, beyond what chance explains.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::Failure;
use crate::results::{Report, table::number};
use crate::run::figure::{Figure, Verdict};
use crate::run::outcome::Outcome;

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
    /// What became worse: figures, verdicts, and what is no longer measured or run.
    pub worse: usize,
    /// Runs that cannot be compared, since a generator was saturated.
    pub invalid: usize,
}

impl Comparison {
    /// 1 when something became worse, else 3 when something could not be compared.
    pub const fn exit_code(&self) -> u8 {
        match (self.worse, self.invalid) {
            (0, 0) => 0,
            (0, _) => 3,
            _ => 1,
        }
    }
}

/// Compares all runs of the baseline with those of now: the first of a plan with the first, and so on. `tolerance` is in
/// percent.
///
/// # Errors
/// When the two have no plan in common.
pub fn compare(baseline: &Report, now: &Report, tolerance: f64) -> Result<Comparison, Failure> {
    let (before, after) = (numbered(baseline), numbered(now));
    if before.keys().all(|run| !after.contains_key(run)) {
        return Err(Failure("the reports have no plan in common; there is nothing to compare".to_owned()));
    }
    let mut comparison = Comparison { text: String::new(), worse: 0, invalid: 0 };
    comparison.add_machines(baseline, now);
    for (run, old) in &before {
        match after.get(run) {
            Some(new) => comparison.add_run(old, new, tolerance),
            // How far a search came is told by the steps that passed.
            None if old.limit => {}
            None => comparison.add_worse(&format!("{}: not in the report of now", run.0)),
        }
    }
    for (name, _) in after.keys().filter(|run| !before.contains_key(run)) {
        _ = writeln!(comparison.text, "{name}: not in the baseline");
    }
    Ok(comparison)
}

/// The runs by plan and by how many of the same plan were before.
fn numbered(report: &Report) -> BTreeMap<(&str, usize), &Outcome> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut runs = BTreeMap::new();
    for outcome in &report.outcomes {
        let count = counts.entry(&outcome.plan.name).or_insert(0);
        runs.insert((outcome.plan.name.as_str(), *count), outcome);
        *count += 1;
    }
    runs
}

impl Comparison {
    fn add_worse(&mut self, what: &str) {
        self.worse += 1;
        _ = writeln!(self.text, "WORSE {what}");
    }

    /// Says what is not the same about the two machines.
    fn add_machines(&mut self, baseline: &Report, now: &Report) {
        let machine =
            |report: &Report| report.outcomes.first().map(|outcome| outcome.machine.clone()).unwrap_or_default();
        let (before, now) = (machine(baseline), machine(now));
        for what in ["cpu", "cores", "kernel"].into_iter().filter(|what| before[what] != now[what]) {
            let (before, now) = (&before[what], &now[what]);
            _ = writeln!(self.text, "another machine: {what} {before} -> {now}; figures of time cannot be compared");
        }
    }

    fn add_run(&mut self, before: &Outcome, now: &Outcome, tolerance: f64) {
        let name = &now.plan.name;
        if before.plan != now.plan {
            _ = writeln!(self.text, "{name}: the plan has changed; figures may not mean the same");
        }
        if [before.verdict, now.verdict].contains(&Verdict::Invalid) {
            self.invalid += 1;
            _ = writeln!(self.text, "{name}: one of the runs is INVALID; nothing to compare");
            return;
        }
        _ = writeln!(self.text, "{name}");
        if (before.verdict, now.verdict) == (Verdict::Pass, Verdict::Fail) {
            self.add_worse(&format!("{name}: PASS -> FAIL ({})", now.broken().join(", ")));
        }
        for old in &before.figures {
            match now.figures.iter().find(|figure| figure.name == old.name) {
                Some(new) => self.add(old, new, tolerance),
                None => self.add_lost(old),
            }
        }
    }

    /// A figure that is not measured any more.
    fn add_lost(&mut self, old: &Figure) {
        if let Some(before) = old.value {
            self.add_worse(&format!("{} {} -> not measured", old.name, number(before)));
        }
    }

    fn add(&mut self, old: &Figure, new: &Figure, tolerance: f64) {
        let (Some(before), Some(after)) = (old.value, new.value) else {
            if new.value.is_none() {
                self.add_lost(old);
            }
            return;
        };
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
            "  {word:<7} {:<20} {:>10} -> {:>10} {:<6} {percent}",
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

    #[test]
    fn another_machine_is_told() {
        let report = |cpu: &str| {
            let text = "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n";
            let plan = crate::plan::Plan::parse(text).expect("a plan");
            let machine = serde_json::json!({ "cpu": cpu, "cores": 2, "kernel": "6" });
            Report { outcomes: vec![Outcome { machine, ..Outcome::not_run(&plan, "nothing") }] }
        };
        let told = |now: &str| compare(&report("Z80"), &report(now), 10.0).expect("the same plan").text;
        assert!(told("6502").starts_with("another machine: cpu \"Z80\" -> \"6502\""), "{}", told("6502"));
        assert!(!told("Z80").contains("another machine"));
    }

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

    fn run(name: &str, cpu_ms: f64, verdict: Verdict) -> Outcome {
        let text =
            format!("name = '{name}'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n");
        Outcome::with_value(&crate::plan::Plan::parse(&text).expect("valid"), "cpu_ms", cpu_ms, verdict)
    }

    fn report(outcomes: Vec<Outcome>) -> Report {
        Report { outcomes }
    }

    #[test]
    fn what_is_missing_invalid_or_failed_now_is_no_success() {
        let both = || report(vec![run("a", 1.0, Verdict::Pass), run("b", 1.0, Verdict::Pass)]);
        let mut vanished = report(vec![run("a", 1.0, Verdict::Pass), run("b", 1.0, Verdict::Pass)]);
        vanished.outcomes[0].figures.clear();
        let cases = [
            (both(), 0, "cpu_ms"),
            (report(vec![run("a", 1.0, Verdict::Pass)]), 1, "WORSE b: not in the report of now"),
            (report(vec![run("a", 1.0, Verdict::Pass), run("b", 1.0, Verdict::Fail)]), 1, "PASS -> FAIL"),
            (report(vec![run("a", f64::NAN, Verdict::Pass), run("b", 1.0, Verdict::Pass)]), 1, "1.00 -> not measured"),
            (vanished, 1, "1.00 -> not measured"),
            (report(vec![run("a", 1.0, Verdict::Pass), run("b", 1.0, Verdict::Invalid)]), 3, "INVALID"),
        ];
        for (now, code, words) in cases {
            let comparison = compare(&both(), &now, 10.0).expect("something in common");
            assert_eq!(comparison.exit_code(), code, "{}", comparison.text);
            assert!(comparison.text.contains(words), "{}", comparison.text);
        }
        assert!(compare(&both(), &report(vec![run("c", 1.0, Verdict::Pass)]), 10.0).is_err());
    }

    /// The steps of a search have one name; each is held against its own.
    #[test]
    fn a_search_that_ended_a_step_earlier_is_worse() {
        let limit = || Outcome { limit: true, ..run("a", 9.0, Verdict::Fail) };
        let before = report(vec![run("a", 1.0, Verdict::Pass), run("a", 2.0, Verdict::Pass), limit()]);
        let same = compare(&before, &before, 10.0).expect("the same");
        assert_eq!(same.exit_code(), 0, "{}", same.text);
        let now = report(vec![run("a", 1.0, Verdict::Pass), limit()]);
        assert_eq!(compare(&before, &now, 10.0).expect("the same plan").exit_code(), 1);
    }
}
