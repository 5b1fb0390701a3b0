//! The table on the screen.

use std::fmt::Write as _;

use crate::run::outcome::{Figure, Outcome, Verdict};

/// The table of one run, and its last line.
pub fn table(outcome: &Outcome) -> String {
    let mut text = String::new();
    let plan = &outcome.plan;
    _ = writeln!(text, "{}: {}", plan.name, plan.about);
    for figure in outcome.figures.iter().filter(|figure| figure.value.is_some() || figure.bound.is_some()) {
        _ = writeln!(text, "{}", line(figure));
    }
    for reason in &outcome.reasons {
        _ = writeln!(text, "  ! {reason}");
    }
    for fault in outcome.faults.iter().take(10) {
        _ = writeln!(text, "  ! {fault}");
    }
    if outcome.faults.len() > 10 {
        _ = writeln!(text, "  ! and {} more", outcome.faults.len() - 10);
    }
    for doubt in &outcome.doubts {
        _ = writeln!(text, "  ? {doubt}");
    }
    for earlier in &outcome.earlier {
        _ = writeln!(text, "  ? once more after {earlier}");
    }
    let late = outcome.lateness.percentile(0.99);
    _ = writeln!(
        text,
        "{:<7} {}: {} of {} callers in at the end, {:.0} s; generator {late:.1} ms late (p99), {:.0} % busy",
        verdict(outcome),
        plan.name,
        outcome.joined,
        plan.callers(),
        outcome.seconds,
        outcome.busy_percent,
    );
    text
}

fn line(figure: &Figure) -> String {
    let value = figure.value.map_or_else(|| "-".to_owned(), number);
    let bound = figure
        .bound
        .map_or_else(String::new, |bound| format!("{} {}", if figure.rises { ">=" } else { "<=" }, number(bound)));
    let Figure { name, unit, .. } = figure;
    format!("  {:<7} {name:<20} {value:>10} {unit:<4} {bound:<12} {}", word(figure.verdict), figure.about)
}

/// A number with as many digits as say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

/// How the verdict of a run is written.
pub const fn verdict(outcome: &Outcome) -> &'static str {
    if outcome.limit { "LIMIT" } else { word(outcome.verdict) }
}

/// How a verdict is written.
pub const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Invalid => "INVALID",
        Verdict::Info => "",
    }
}
