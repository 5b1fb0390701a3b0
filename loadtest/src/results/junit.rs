//! The report for continuous integration: one suite for each plan, one case for each bound.

use std::fmt::Write as _;

use crate::results::{escaped, table};
use crate::run::outcome::{Figure, Outcome, Verdict};

/// The document.
pub fn document(outcomes: &[Outcome]) -> String {
    let mut text = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    // Where a search ended is an answer and no case that could fail.
    for outcome in outcomes.iter().filter(|outcome| !outcome.limit) {
        let cases: Vec<&Figure> = outcome.figures.iter().filter(|figure| figure.bound.is_some()).collect();
        let invalid = outcome.verdict == Verdict::Invalid;
        let failures = cases.iter().filter(|figure| !invalid && figure.verdict == Verdict::Fail).count();
        _ = writeln!(
            text,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{}\" time=\"{:.1}\">",
            escaped(&outcome.plan.name),
            cases.len() + usize::from(invalid),
            usize::from(invalid),
            outcome.seconds
        );
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
    let value = figure.value.map_or("nothing".to_owned(), table::number);
    let sign = if figure.rises { "at least" } else { "at most" };
    let bound = figure.bound.map_or(String::new(), table::number);
    let name = escaped(&figure.name);
    if invalid {
        _ = writeln!(text, "    <testcase name=\"{name}\"><skipped/></testcase>");
    } else if figure.verdict == Verdict::Fail {
        _ = writeln!(
            text,
            "    <testcase name=\"{name}\"><failure message=\"{value} {0}, {sign} {bound} {0}\"/></testcase>",
            escaped(&figure.unit)
        );
    } else {
        _ = writeln!(text, "    <testcase name=\"{name}\"/>");
    }
}
