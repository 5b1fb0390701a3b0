//! The report for continuous integration: one suite for each plan, one case for each bound.

use std::fmt::Write as _;

use crate::results::{escaped, table};
use crate::run::figure::{Figure, Verdict};
use crate::run::outcome::Outcome;

/// The document.
pub fn document(outcomes: &[Outcome]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    // Where a search ended is an answer and no case that could fail.
    for outcome in outcomes.iter().filter(|outcome| !outcome.limit) {
        let cases: Vec<&Figure> = outcome.figures.iter().filter(|figure| figure.bound.is_some()).collect();
        let invalid = outcome.verdict == Verdict::Invalid;
        let failed = !invalid && !outcome.reasons.is_empty();
        let failures =
            usize::from(failed) + cases.iter().filter(|figure| !invalid && figure.verdict == Verdict::Fail).count();
        _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{}\" time=\"{:.1}\">",
            escaped(&outcome.plan.name),
            cases.len() + usize::from(invalid) + usize::from(failed),
            usize::from(invalid),
            outcome.seconds
        );
        if failed {
            _ = writeln!(
                text,
                "    <testcase name=\"run\"><failure message=\"{}\"/></testcase>",
                escaped(&outcome.reasons.join("; "))
            );
        }
        if invalid {
            _ = writeln!(
                text,
                "    <testcase name=\"generator\"><error message=\"{}\"/></testcase>",
                escaped(&outcome.doubts.join("; "))
            );
        }
        cases.iter().for_each(|figure| case(figure, invalid, &mut text));
        text.push_str("  </testsuite>\n");
    }
    text.push_str("</testsuites>\n");
    text
}

fn case(figure: &Figure, invalid: bool, text: &mut String) {
    let unit = if figure.unit.is_empty() { String::new() } else { format!(" {}", figure.unit) };
    let value = figure.value.map_or("not measured".to_owned(), |value| format!("{}{unit}", table::number(value)));
    let sign = if figure.rises { "at least" } else { "at most" };
    let bound = figure.bound.map_or(String::new(), table::number);
    let name = escaped(&figure.name);
    if invalid {
        _ = writeln!(text, "    <testcase name=\"{name}\"><skipped/></testcase>");
    } else if figure.verdict == Verdict::Fail {
        _ = writeln!(
            text,
            "    <testcase name=\"{name}\"><failure message=\"{}\"/></testcase>",
            escaped(&format!("{value}, {sign} {bound}{unit}"))
        );
    } else {
        _ = writeln!(text, "    <testcase name=\"{name}\"/>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Plan;

    fn plan(more: &str) -> Plan {
        let text =
            format!("name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 4\n{more}");
        Plan::parse(&text).expect("valid")
    }

    #[test]
    fn a_run_that_failed_without_any_bound_has_a_failing_case() {
        let text = document(&[Outcome::not_run(&plan(""), "no server & no hope")]);
        assert!(text.contains("tests=\"1\" failures=\"1\" errors=\"0\""), "{text}");
        assert!(text.contains("<failure message=\"it could not be run: no server &amp; no hope\"/>"), "{text}");
    }

    #[test]
    fn a_broken_bound_is_told_as_a_sentence() {
        let plan = plan("[thresholds]\nmos_p05 = 4\ncpu_ms = 0.5\n");
        let text = document(&[Outcome::with_value(&plan, "cpu_ms", 0.75, Verdict::Fail)]);
        assert!(text.contains("message=\"not measured, at least 4.00\""), "{text}");
        assert!(text.contains("message=\"0.75 ms, at most 0.50 ms\""), "{text}");
    }
}
