//! The report for people: one HTML file that needs no network, with plots as inline SVG.

use std::fmt::Write as _;

use crate::judge::opinion::CONSTANTS;
use crate::results::svg::{self, Curve, Square};
use crate::results::{escaped, table};
use crate::run::figure::Figure;
use crate::run::gauge::Sample;
use crate::run::outcome::Outcome;
use crate::statistics::Histogram;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1d2733;--dim:#67707c;--paper:#fff;--card:#f5f7f9;--line:#d9dee4;--a:#1768ac;--b:#d1603d;--c:#3a8f5c;--bad:#c22f2f;--good:#2c7f4a}
@media(prefers-color-scheme:dark){:root{--ink:#e7ebef;--dim:#9aa5b1;--paper:#14181d;--card:#1d232a;--line:#343c46;--a:#5aaaf0;--b:#f0916f;--c:#6cc794;--bad:#ff7b72;--good:#63c787}}
body{font:15px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:0 auto;max-width:1180px;padding:1.2rem}
h1{font-size:1.5rem;margin:.2rem 0}h2{font-size:1.2rem;margin:2rem 0 .3rem}p{margin:.3rem 0;color:var(--dim)}
div.wide{overflow-x:auto}table{border-collapse:collapse;width:100%;margin:.8rem 0;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid var(--line)}td.n{text-align:right;white-space:nowrap}
.pass{color:var(--good);font-weight:600}.limit{color:var(--b);font-weight:600}.fail,.invalid{color:var(--bad);font-weight:700}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(420px,100%),1fr));gap:12px}.plots svg{background:var(--card);border-radius:8px;width:100%;height:auto}
svg text{fill:var(--dim);font:11px system-ui,sans-serif}svg .title{fill:var(--ink);font-weight:600;font-size:13px}svg .end{text-anchor:end}svg .mid{text-anchor:middle}
svg polyline{fill:none;stroke-width:1.8}.c0{stroke:var(--a)}.c1{stroke:var(--b)}.c2{stroke:var(--c)}svg .l0{fill:var(--a)}svg .l1{fill:var(--b)}svg .l2{fill:var(--c)}
.grid{stroke:var(--line)}.f0,.cell{fill:var(--a)}.wrong{fill:var(--bad);stroke:var(--bad);stroke-width:1.5}.mark{stroke:var(--b);stroke-dasharray:4 3}
ul{margin:.4rem 0}code{background:var(--card);padding:0 .25rem;border-radius:3px}
";

/// The whole page.
pub fn page(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Load test</title><style>{STYLE}</style></head><body><h1>Load test</h1>\n"
    );
    if let Some(first) = outcomes.first() {
        let word = |key: &str| escaped(first.machine[key].as_str().unwrap_or("unknown"));
        _ = writeln!(
            text,
            "<p>{}, {} cores, Linux {}; commit <code>{}</code>; {}; load before {}</p>",
            word("cpu"),
            first.machine["cores"],
            word("kernel"),
            word("commit"),
            word("date"),
            word("load_before")
        );
    }
    _ = writeln!(text, "<p>Opinions: {}.</p>", escaped(CONSTANTS));
    summary(outcomes, &mut text);
    outcomes.iter().for_each(|outcome| section(outcome, &mut text));
    text.push_str("</body></html>\n");
    text
}

fn summary(outcomes: &[Outcome], text: &mut String) {
    text.push_str(
        "<div class=\"wide\"><table><tr><th>Plan</th><th>Callers</th><th>Verdict</th><th>What it shows</th></tr>",
    );
    for outcome in outcomes {
        let plan = &outcome.plan;
        _ = write!(
            text,
            "<tr><td><a href=\"#{0}\">{0}</a></td><td class=\"n\">{1}</td><td class=\"{2}\">{3}</td><td>{4}</td></tr>",
            escaped(&plan.name),
            plan.callers(),
            class(outcome),
            table::verdict(outcome),
            escaped(&plan.about)
        );
    }
    text.push_str("</table></div>\n");
}

fn class(outcome: &Outcome) -> String {
    table::verdict(outcome).to_lowercase()
}

fn section(outcome: &Outcome, text: &mut String) {
    let plan = &outcome.plan;
    let shape = &plan.shape;
    _ = writeln!(
        text,
        "<h2 id=\"{0}\">{0} <span class=\"{1}\">{2}</span></h2><p>{3}</p><p>{4} conference{10} of {5}, {6} talk; {7:.0} s in \
         all; generator {8}, {9:.0} % busy</p>",
        escaped(&plan.name),
        class(outcome),
        table::verdict(outcome),
        escaped(&plan.about),
        shape.conferences,
        shape.participants,
        shape.talkers,
        outcome.seconds,
        table::lateness(outcome),
        outcome.busy_percent,
        if shape.conferences == 1 { "" } else { "s" }
    );
    complaints(outcome, text);
    text.push_str("<div class=\"wide\"><table><tr><th>Figure</th><th>Value</th><th>Bound</th><th></th><th></th></tr>");
    outcome.figures.iter().filter(|figure| figure.value.is_some() || figure.bound.is_some()).for_each(|f| row(f, text));
    text.push_str("</table></div>\n<div class=\"plots\">");
    plots(outcome).iter().for_each(|plot| text.push_str(plot));
    text.push_str("</div>\n");
}

fn complaints(outcome: &Outcome, text: &mut String) {
    let lines: Vec<&String> =
        outcome.reasons.iter().chain(&outcome.doubts).chain(&outcome.earlier).chain(&outcome.faults).collect();
    if lines.is_empty() {
        return;
    }
    text.push_str("<ul>");
    lines.iter().take(20).for_each(|line| _ = write!(text, "<li>{}</li>", escaped(line)));
    text.push_str("</ul>");
}

fn row(figure: &Figure, text: &mut String) {
    let word = table::word(figure.verdict);
    let bound = figure
        .bound
        .map_or(String::new(), |bound| format!("{} {}", if figure.rises { "≥" } else { "≤" }, table::number(bound)));
    _ = write!(
        text,
        "<tr><td><code>{}</code></td><td class=\"n\">{} {}</td><td class=\"n\">{bound}</td><td class=\"{}\">{word}</td><td>{}</td></tr>",
        escaped(&figure.name),
        figure.value.map_or("-".to_owned(), table::number),
        escaped(&figure.unit),
        word.to_lowercase(),
        escaped(&figure.about)
    );
}

fn plots(outcome: &Outcome) -> Vec<String> {
    let over_time = |pick: fn(&Sample) -> f64| outcome.samples.iter().map(|s| (s.at, pick(s))).collect::<Vec<_>>();
    let curve = |name, pick| Curve { name, points: over_time(pick) };
    let mut plots = vec![
        svg::lines(
            "Callers in conferences",
            "seconds",
            svg::COUNTED,
            &[curve("in", |s| s.joined as f64), curve("failed", |s| s.failures as f64)],
        ),
        svg::lines(
            "Time to the answer, over the run",
            "seconds",
            "ms",
            &[Curve { name: "INVITE to 200", points: outcome.joinings.iter().map(|j| (j.at, j.answer_ms)).collect() }],
        ),
        svg::lines(
            "Processor time",
            "seconds",
            "% of a core",
            &[curve("server", |s| s.server_cpu_percent), curve("generator", |s| s.own_cpu_percent)],
        ),
        svg::lines("Packets lost", "seconds", "%", &[curve("of those expected", |s| s.loss_percent)]),
        svg::lines(
            "Packets",
            "seconds",
            "each second",
            &[curve("sent", |s| s.sent_rate), curve("received", |s| s.received_rate)],
        ),
        svg::lines("Memory of the server", "seconds", "MiB", &[curve("resident", |s| s.server_kib / 1_024.0)]),
    ];
    if !outcome.delay_ms.is_empty() {
        plots.push(distribution("Added delay of a chirp", &outcome.delay_ms, outcome.value("delay_p99_ms")));
    }
    if !outcome.join_ms.is_empty() {
        plots.push(distribution("From INVITE to the first audio", &outcome.join_ms, outcome.value("join_p99_ms")));
    }
    let heights: Vec<f64> = outcome.opinions.counts[10..].iter().map(|count| *count as f64).collect();
    plots.push(svg::columns("Estimated opinion of the callers", "1 bad, 4.5 excellent", 1.0, 0.1, &heights, None));
    plots.push(lateness(&outcome.lateness));
    if !outcome.matrix.cells.is_empty() {
        plots.push(hearing(outcome));
    }
    plots
}

fn distribution(title: &str, values: &[f64], p99: f64) -> String {
    const COLUMNS: usize = 40;
    let most = values.iter().copied().fold(1.0, f64::max);
    let mut histogram = Histogram::new(most / COLUMNS as f64 * 1.001, COLUMNS);
    values.iter().for_each(|value| histogram.add(*value));
    let heights: Vec<f64> = histogram.counts.iter().map(|count| *count as f64).collect();
    svg::columns(title, "ms", 0.0, histogram.width, &heights, Some((p99, "p99")))
}

fn lateness(histogram: &Histogram) -> String {
    let last = histogram.counts.iter().rposition(|count| *count > 0).map_or(4, |place| place + 1).max(4);
    // Nearly all packets are in time: their logarithm lets the others be seen.
    let heights: Vec<f64> = histogram.counts[..last].iter().map(|count| (*count as f64 + 1.0).log10()).collect();
    svg::columns("How late the generator sent (log10 of packets)", "ms", 0.0, histogram.width, &heights, None)
}

/// Rows listen, columns talk; conferences stand together, so that they are blocks along the diagonal.
fn hearing(outcome: &Outcome) -> String {
    let cells = &outcome.matrix.cells;
    let names = |pick: fn(&crate::judge::hearing::Cell) -> usize| {
        let mut all: Vec<usize> = cells.iter().map(pick).collect();
        all.sort_unstable_by_key(|caller| (caller % outcome.plan.shape.conferences, *caller));
        all.dedup();
        all.truncate(60);
        all
    };
    let (listeners, talkers) = (names(|cell| cell.listener), names(|cell| cell.talker));
    let squares: Vec<Square> = cells
        .iter()
        .filter_map(|cell| {
            let row = listeners.iter().position(|caller| *caller == cell.listener)?;
            let column = talkers.iter().position(|caller| *caller == cell.talker)?;
            Some(Square {
                place: (row, column),
                heat: (cell.level_db + 70.0) / 60.0,
                wrong: !cell.right,
                hint: format!("{} hears {} at {:.0} dB", cell.listener, cell.talker, cell.level_db),
            })
        })
        .collect();
    let rows: Vec<String> = listeners.iter().map(|caller| format!("caller {caller}")).collect();
    let columns: Vec<String> = talkers.iter().map(usize::to_string).collect();
    svg::heat_map("Who hears whom: rows listen, columns talk, red is wrong", &rows, &columns, &squares)
}
