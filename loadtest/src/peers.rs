//! Side by side: the same plan against Convoke and a peer in turn, on the same machine, by the same callers and judge.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::Failure;
use crate::machine::Machine;
use crate::plan::{Codecs, Plan};
use crate::results::table::{number, word};
use crate::run::Onlooker;
use crate::run::outcome::{Outcome, Verdict};
use crate::statistics::percentile;
use crate::target::Source;

/// What is set beside each other.
#[derive(Clone, Debug)]
pub struct Contest {
    /// The plans.
    pub plans: Vec<Plan>,
    /// Convoke's binary.
    pub convoke: PathBuf,
    /// Janus's binary.
    pub janus: PathBuf,
    /// Runs of each; the median counts.
    pub runs: usize,
    /// Also with SRTP, without the level extension, and with G.711.
    pub variants: bool,
}

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The plan.
    pub plan: String,
    /// The server.
    pub server: &'static str,
    /// What differs from the plan.
    pub variant: &'static str,
    /// Processor time for each participant and second, in ms.
    pub cpu_ms: f64,
    /// Memory for each participant, in KiB.
    pub memory_kib: f64,
    /// Added delay of a chirp in ms, median and 99th percentile.
    pub delay_ms: [f64; 2],
    /// Packets the callers missed, in percent.
    pub loss_percent: f64,
    /// What the worst of the runs came to.
    pub verdict: Verdict,
    /// How often it was run.
    pub runs: usize,
}

type Change = fn(&mut Plan);

/// Server, what differs, and how the plan changes.
const CONVOKE: &str = "Convoke";
const JANUS: &str = "Janus AudioBridge";
const ENTRIES: [(&str, &str, Change); 6] = [
    (CONVOKE, "", |_| {}),
    (JANUS, "", |_| {}),
    (CONVOKE, "SRTP", |plan| plan.callers.srtp = true),
    (CONVOKE, "no level extension", |plan| plan.callers.audio_level = false),
    (CONVOKE, "G.711", |plan| plan.callers.codecs = Codecs { opus: 0.0, pcmu: 100.0, pcma: 0.0 }),
    (JANUS, "G.711", |plan| plan.callers.codecs = Codecs { opus: 0.0, pcmu: 100.0, pcma: 0.0 }),
];

impl Contest {
    /// Runs everything, servers in turn, so that a slow minute of the machine hits all of them.
    pub fn run(&self, onlooker: Onlooker<'_>) -> Result<Vec<Row>, Failure> {
        let mut rows = Vec::new();
        for plan in &self.plans {
            let entries = ENTRIES.iter().filter(|(_, variant, _)| self.variants || variant.is_empty());
            let entries: Vec<_> = entries.collect();
            let mut outcomes = vec![Vec::new(); entries.len()];
            for _ in 0..self.runs {
                for (place, (server, _, change)) in entries.iter().enumerate() {
                    let mut plan = plan.clone();
                    change(&mut plan);
                    outcomes[place].push(crate::run::run(&plan, &self.source(server), onlooker)?);
                }
            }
            let made = entries.iter().zip(&outcomes);
            rows.extend(made.map(|((server, variant, _), outcomes)| Row::of(plan, server, variant, outcomes)));
        }
        Ok(rows)
    }

    fn source(&self, server: &str) -> Source {
        if server == JANUS { Source::Janus(self.janus.clone()) } else { Source::Binary(self.convoke.clone()) }
    }
}

impl Row {
    fn of(plan: &Plan, server: &'static str, variant: &'static str, outcomes: &[Outcome]) -> Self {
        let median = |name: &str| percentile(&outcomes.iter().map(|o| o.value(name)).collect::<Vec<_>>(), 0.5);
        let any = |verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict);
        let verdict = match (any(Verdict::Invalid), any(Verdict::Fail)) {
            (true, _) => Verdict::Invalid,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Pass,
        };
        Self {
            plan: plan.name.clone(),
            server,
            variant,
            cpu_ms: median("cpu_ms"),
            memory_kib: median("memory_kib"),
            delay_ms: [median("delay_p50_ms"), median("delay_p99_ms")],
            loss_percent: median("loss_percent"),
            verdict,
            runs: outcomes.len(),
        }
    }
}

/// The table for a README, in Markdown. Ratios are to Convoke as the plan has it: how many times more the row costs.
pub fn markdown(machine: &Machine, rows: &[Row]) -> String {
    let mut text = format!(
        "{machine}\n\n| Plan | Server | CPU ms each participant-second | ratio | memory each, KiB | delay median / p99, ms | \
         loss, % | run |\n|---|---|---:|---:|---:|---:|---:|---|\n"
    );
    for row in rows {
        let base = rows.iter().find(|base| base.plan == row.plan && base.server == CONVOKE && base.variant.is_empty());
        let ratio = base.map_or(f64::NAN, |base| row.cpu_ms / base.cpu_ms);
        let variant = if row.variant.is_empty() { String::new() } else { format!(", {}", row.variant) };
        _ = writeln!(
            text,
            "| {} | {}{variant} | {} | {} | {} | {} / {} | {} | {} |",
            row.plan,
            row.server,
            number(row.cpu_ms),
            number(ratio),
            number(row.memory_kib),
            number(row.delay_ms[0]),
            number(row.delay_ms[1]),
            number(row.loss_percent),
            word(row.verdict)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_to_the_plain_row_of_the_same_plan() {
        let row = |server, variant, cpu_ms| Row {
            plan: "a".to_owned(),
            server,
            variant,
            cpu_ms,
            memory_kib: 30.0,
            delay_ms: [20.0, 30.0],
            loss_percent: 0.0,
            verdict: Verdict::Pass,
            runs: 1,
        };
        let rows = [row(CONVOKE, "", 0.5), row(JANUS, "", 10.0), row(CONVOKE, "SRTP", 0.6)];
        let text = markdown(&Machine::look(), &rows);
        assert!(text.contains("| Janus AudioBridge | 10.0 | 20.0 |"), "{text}");
        assert!(text.contains("| Convoke, SRTP | 0.60 | 1.20 |"), "{text}");
    }
}
