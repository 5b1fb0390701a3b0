//! The table on the screen.

use std::fmt::Write as _;

use crate::run::figure::{Figure, Verdict};
use crate::run::outcome::Outcome;

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
    let late = lateness(outcome);
    _ = writeln!(
        text,
        "{:<7} {}: {} of {} callers in at the end, {:.0} s; generator {late}, {:.0} % busy",
        verdict(outcome),
        plan.name,
        outcome.joined,
        plan.callers(),
        outcome.seconds,
        outcome.busy_percent,
    );
    text
}

/// How late the generator sent, in words.
pub fn lateness(outcome: &Outcome) -> String {
    match outcome.lateness.percentile(0.99) {
        late if late.is_finite() => format!("{late:.1} ms late (p99)"),
        _ => "did not send".to_owned(),
    }
}

fn line(figure: &Figure) -> String {
    let value = figure.value.map_or_else(|| "-".to_owned(), number);
    let bound = figure
        .bound
        .map_or_else(String::new, |bound| format!("{} {}", if figure.rises { ">=" } else { "<=" }, number(bound)));
    let Figure { name, unit, .. } = figure;
    format!("  {:<7} {name:<20} {value:>10} {unit:<6} {bound:<12} {}", word(figure.verdict), figure.about)
}

/// A number with as many digits as say something.
pub fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        size if size < 1e-9 => "0".to_owned(),
        // Two digits that are not 0.
        size => {
            let digits = 1 - size.log10().floor() as i32;
            let text = format!("{value:.*}", digits.unsigned_abs() as usize);
            text.trim_end_matches('0').to_owned()
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    #[test]
    fn no_number_but_0_is_written_as_0() {
        let cases = [
            (0.0, "0"),
            (0.0001, "0.0001"),
            (-0.0051, "-0.0051"),
            (0.05, "0.05"),
            (9.99, "9.99"),
            (12.34, "12.3"),
            (250.4, "250"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn columns_stand_below_each_other_whatever_the_unit() {
        let text = "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n\
                    [thresholds]\nkbit_each = 9\ncpu_ms = 9\nfailures = 9\n";
        let outcome = Outcome::with_value(&Plan::parse(text).expect("valid"), "cpu_ms", 1.0, Verdict::Pass);
        let table = table(&outcome);
        let places: Vec<Option<usize>> =
            table.lines().filter(|line| line.contains("<=")).map(|line| line.find("<=")).collect();
        assert!(places.len() == 3 && places.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
    }
}
