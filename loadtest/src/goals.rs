//! The figures of plans against their goals: what is aimed at, what was measured, and whether that is enough.
//!
//! A plan's thresholds hold on any machine; its goals are for a quiet one, and were set on two cores. The table names the
//! machine, for a figure is worth nothing without it.

use std::fmt::Write as _;

use crate::Failure;
use crate::machine::Machine;
use crate::plan::{Measure, Plan};
use crate::results::table::number;
use crate::run::figure::Verdict;
use crate::run::outcome::Outcome;
use crate::statistics::percentile;

/// One figure with its goal.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// The plan, which is also the command's argument.
    pub plan: String,
    /// What the plan shows.
    pub about: String,
    /// What was measured, in words.
    pub what: String,
    /// Its unit.
    pub unit: &'static str,
    /// Greater is better.
    pub rises: bool,
    /// What is aimed at.
    pub goal: f64,
    /// What would be better still.
    pub stretch: Option<f64>,
    /// The median of the runs; NaN when it could not be measured.
    pub value: f64,
    /// How often it was run.
    pub runs: usize,
    /// What it comes to.
    pub reached: Reached,
}

/// What a figure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// Better than asked.
    Stretch,
    /// As good as asked.
    Goal,
    /// Not as good as asked, or not measured.
    Missed,
    /// A threshold of the plan broke: what was measured is not what was asked for.
    Failed,
    /// The generator was saturated.
    Invalid,
}

impl Line {
    /// What it means for the whole: 0, 1 when it was missed, 3 when it says nothing.
    pub const fn exit_code(&self) -> u8 {
        match self.reached {
            Reached::Stretch | Reached::Goal => 0,
            Reached::Missed | Reached::Failed => 1,
            Reached::Invalid => 3,
        }
    }
}

/// Looks whether all plans are among them that others are set beside.
///
/// # Errors
/// With the one that is missing.
pub fn check(plans: &[Plan]) -> Result<(), Failure> {
    for plan in plans {
        if let Some(beside) = &plan.beside
            && plans.iter().all(|other| other.name != beside.plan)
        {
            let (name, other) = (&plan.name, &beside.plan);
            return Err(Failure(format!("{name} is measured beside {other}: name both, {other} {name}")));
        }
    }
    Ok(())
}

/// The lines of plans, each with its runs, in their order.
pub fn lines(plans: &[Vec<Outcome>]) -> Vec<Line> {
    plans.iter().flat_map(|outcomes| lines_of(outcomes, plans)).collect()
}

fn lines_of(outcomes: &[Outcome], all: &[Vec<Outcome>]) -> Vec<Line> {
    let Some(plan) = outcomes.first().map(|outcome| &outcome.plan) else { return Vec::new() };
    let mut lines: Vec<Line> = plan.goals.set().map(|(measure, goal)| line(plan, measure, goal, outcomes)).collect();
    if let Some(beside) = &plan.beside {
        let other = all.iter().find(|others| others.first().is_some_and(|outcome| outcome.plan.name == beside.plan));
        let ratio = median("cpu_ms", outcomes) / other.map_or(f64::NAN, |others| median("cpu_ms", others));
        let more = Line {
            plan: plan.name.clone(),
            about: plan.about.clone(),
            what: format!("cpu_ms more than {}", beside.plan),
            unit: "%",
            rises: false,
            goal: beside.cpu_more_percent,
            stretch: beside.stretch_percent,
            value: 100.0 * (ratio - 1.0),
            runs: outcomes.len(),
            reached: Reached::Missed,
        };
        lines.push(judged(more, outcomes));
    }
    lines
}

fn line(plan: &Plan, measure: &Measure, goal: f64, outcomes: &[Outcome]) -> Line {
    let stretch = plan.stretch.set().find(|(other, _)| other.name == measure.name).map(|(_, bound)| bound);
    let line = Line {
        plan: plan.name.clone(),
        about: plan.about.clone(),
        what: measure.name.to_owned(),
        unit: measure.unit,
        rises: measure.rises,
        goal,
        stretch,
        value: median(measure.name, outcomes),
        runs: outcomes.len(),
        reached: Reached::Missed,
    };
    judged(line, outcomes)
}

fn judged(mut line: Line, outcomes: &[Outcome]) -> Line {
    let any = |verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict && !outcome.limit);
    let meets = |bound: f64| if line.rises { line.value >= bound } else { line.value <= bound };
    line.reached = match (any(Verdict::Invalid), any(Verdict::Fail)) {
        (true, _) => Reached::Invalid,
        (false, true) => Reached::Failed,
        _ if line.stretch.is_some_and(meets) => Reached::Stretch,
        _ if meets(line.goal) => Reached::Goal,
        _ => Reached::Missed,
    };
    line
}

fn median(name: &str, outcomes: &[Outcome]) -> f64 {
    percentile(&outcomes.iter().map(|outcome| outcome.value(name)).collect::<Vec<_>>(), 0.5)
}

/// The table, in Markdown.
pub fn markdown(machine: &Machine, lines: &[Line]) -> String {
    let mut text = format!(
        "{machine}\n\n| Plan | It shows | Figure | Measured | Goal | Stretch | Verdict |\n|---|---|---|---:|---:|---:|---|\n"
    );
    for line in lines {
        let sign = if line.rises { ">=" } else { "<=" };
        let value = if line.value.is_finite() { number(line.value) } else { "-".to_owned() };
        let stretch = line.stretch.map_or_else(|| "-".to_owned(), |bound| format!("{sign} {}", number(bound)));
        let Line { plan, about, what, unit, .. } = line;
        _ = writeln!(
            text,
            "| `{plan}` | {about} | {what} | {value} {unit} | {sign} {} | {stretch} | {} |",
            number(line.goal),
            word(line.reached)
        );
    }
    let runs = lines.iter().map(|line| line.runs).min().unwrap_or(0);
    let how = if runs == 1 { "One run of each.".to_owned() } else { format!("Medians of {runs} runs.") };
    _ = writeln!(text, "\n{how} Goals are for a machine that does nothing else; they were set on two cores.");
    text
}

const fn word(reached: Reached) -> &'static str {
    match reached {
        Reached::Stretch => "stretch met",
        Reached::Goal => "met",
        Reached::Missed => "MISSED",
        Reached::Failed => "FAIL",
        Reached::Invalid => "INVALID",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(name: &str, more: &str, cpu_ms: f64, verdict: Verdict) -> Outcome {
        let text = format!(
            "name = '{name}'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n\
             [goals]\ncpu_ms = 0.4\n[stretch]\ncpu_ms = 0.3\n{more}"
        );
        Outcome::with_value(&Plan::parse(&text).expect("valid"), "cpu_ms", cpu_ms, verdict)
    }

    #[test]
    fn the_median_is_held_against_goal_and_stretch() {
        for (values, reached) in [
            ([0.2, 0.31, 0.1], Reached::Stretch),
            ([0.2, 0.35, 0.9], Reached::Goal),
            ([0.5, 0.41, 0.1], Reached::Missed),
            ([f64::NAN; 3], Reached::Missed),
        ] {
            let runs = values.map(|value| outcome("a", "", value, Verdict::Pass)).to_vec();
            let lines = lines(&[runs]);
            assert_eq!((lines.len(), lines[0].reached), (1, reached), "{values:?}");
        }
    }

    #[test]
    fn what_was_not_measured_as_asked_meets_nothing() {
        for (verdict, reached, code) in [(Verdict::Fail, Reached::Failed, 1), (Verdict::Invalid, Reached::Invalid, 3)] {
            let runs = vec![outcome("a", "", 0.1, Verdict::Pass), outcome("a", "", 0.1, verdict)];
            let line = &lines(&[runs])[0];
            assert_eq!((line.reached, line.exit_code()), (reached, code));
        }
    }

    #[test]
    fn a_plan_is_set_beside_another() {
        let beside = "[beside]\nplan = 'a'\ncpu_more_percent = 25\nstretch_percent = 15\n";
        for (cpu_ms, reached) in [(0.22, Reached::Stretch), (0.249, Reached::Goal), (0.26, Reached::Missed)] {
            let runs =
                [vec![outcome("a", "", 0.2, Verdict::Pass)], vec![outcome("a-srtp", beside, cpu_ms, Verdict::Pass)]];
            let lines = lines(&runs);
            assert_eq!((lines.len(), lines[2].reached), (3, reached), "{cpu_ms}: {lines:?}");
            let text = markdown(&Machine::look(), &lines);
            assert!(text.contains("| `a-srtp` | y | cpu_ms more than a |"), "{text}");
        }
        let plans: Vec<Plan> =
            [("a", ""), ("a-srtp", beside)].map(|(name, more)| outcome(name, more, 0.2, Verdict::Pass).plan).to_vec();
        assert!(check(&plans).is_ok() && check(&plans[..1]).is_ok());
        let alone = check(&plans[1..]).expect_err("nothing is measured beside it");
        assert_eq!(alone.0, "a-srtp is measured beside a: name both, a a-srtp");
    }
}
