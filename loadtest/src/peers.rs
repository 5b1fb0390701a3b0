//! Side by side: the same plan against Convoke and a peer in turn, on the same machine, by the same callers and judge.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use crate::Failure;
use crate::machine::Machine;
use crate::plan::{Codecs, Plan, Search, Suite};
use crate::results::table::{number, word};
use crate::run::figure::Verdict;
use crate::run::outcome::Outcome;
use crate::run::search::climb;
use crate::run::{Onlooker, run_again};
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
    /// How often a run is tried again when the generator was saturated.
    pub retries: usize,
    /// Also how many participants each holds: the plans grow until a threshold breaks, conferences of more than ten in
    /// size, others in number.
    pub held: bool,
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
    /// Joins answered in each second.
    pub joins_per_second: f64,
    /// Participants before a threshold breaks; NaN when that was not asked.
    pub held: f64,
    /// Packets the callers missed, in percent.
    pub loss_percent: f64,
    /// What the worst of the runs came to.
    pub verdict: Verdict,
    /// How often it was run.
    pub runs: usize,
}

/// By how much the load grows from step to step, and how often: from 100 to 5,500 participants.
const GROWTH_PERCENT: f64 = 25.0;
const STEPS: usize = 19;

type Change = fn(&mut Plan);

/// Server, what differs, and how the plan changes.
const CONVOKE: &str = "Convoke";
const JANUS: &str = "Janus AudioBridge";
const ENTRIES: [(&str, &str, Change); 6] = [
    (CONVOKE, "", |_| {}),
    (JANUS, "", |_| {}),
    (CONVOKE, "SRTP", |plan| plan.callers.srtp = Some(Suite::AesCm)),
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
                    outcomes[place].push(run_again(&plan, &self.source(server), self.retries, onlooker)?);
                }
            }
            for ((server, variant, _), outcomes) in entries.iter().zip(&outcomes) {
                let mut row = Row::of(plan, server, variant, outcomes);
                if self.held && variant.is_empty() {
                    row.held = self.held_by(server, plan, onlooker)?;
                }
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn held_by(&self, server: &str, plan: &Plan, onlooker: Onlooker<'_>) -> Result<f64, Failure> {
        let is_large = plan.shape.participants > 10;
        let search = Search {
            more_participants: 0,
            more_conferences: 0,
            participants_percent: if is_large { GROWTH_PERCENT } else { 0.0 },
            conferences_percent: if is_large { 0.0 } else { GROWTH_PERCENT },
            steps: STEPS,
            attempts: 1,
        };
        let plan = Plan { search: Some(search), ..plan.clone() };
        let climb = climb(&plan, search, &self.source(server), self.retries, onlooker, &mut |_| ())?;
        Ok(climb.held() as f64)
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
            joins_per_second: median("joins_per_second"),
            held: f64::NAN,
            loss_percent: median("loss_percent"),
            verdict,
            runs: outcomes.len(),
        }
    }
}

/// What all rows together come to, as an exit code: 1 when a run failed, else 3 when the generator was saturated in one.
pub fn exit_code(rows: &[Row]) -> u8 {
    let any = |verdict| rows.iter().any(|row| row.verdict == verdict);
    match (any(Verdict::Fail), any(Verdict::Invalid)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

/// A column of the table, and its ratio.
struct Column {
    title: &'static str,
    value: fn(&Row) -> f64,
    /// Greater is better.
    rises: bool,
}

const COLUMNS: [Column; 5] = [
    Column { title: "CPU ms a participant-second", value: |row| row.cpu_ms, rises: false },
    Column { title: "memory each, KiB", value: |row| row.memory_kib, rises: false },
    Column { title: "delay median, ms", value: |row| row.delay_ms[0], rises: false },
    Column { title: "joins/s", value: |row| row.joins_per_second, rises: true },
    Column { title: "most held", value: |row| row.held, rises: true },
];

/// The table for a README, in Markdown. In brackets, how many times better Convoke as the plan has it is: so many times less
/// processor time, memory and delay, so many times more joins and participants.
pub fn markdown(machine: &Machine, rows: &[Row]) -> String {
    let runs = rows.iter().map(|row| row.runs).min().unwrap_or(0);
    let how = if runs == 1 { "One run of each.".to_owned() } else { format!("Medians of {runs} runs.") };
    let mut text = format!("{machine}\n\n{how} In brackets: how many times better Convoke is.\n\n| Plan | Server |");
    COLUMNS.iter().for_each(|column| _ = write!(text, " {} |", column.title));
    text.push_str(" delay p99, ms | loss, % | run |\n|---|---|");
    COLUMNS.iter().for_each(|_| text.push_str("---:|"));
    text.push_str("---:|---:|---|\n");
    for row in rows {
        let base = rows.iter().find(|base| base.plan == row.plan && base.server == CONVOKE && base.variant.is_empty());
        let variant = if row.variant.is_empty() { String::new() } else { format!(", {}", row.variant) };
        _ = write!(text, "| {} | {}{variant} |", row.plan, row.server);
        COLUMNS.iter().for_each(|column| _ = write!(text, " {} |", column.cell(row, base)));
        let (p99, loss) = (shown(row.delay_ms[1]), shown(row.loss_percent));
        _ = writeln!(text, " {p99} | {loss} | {} |", word(row.verdict));
    }
    text
}

impl Column {
    fn cell(&self, row: &Row, base: Option<&Row>) -> String {
        let value = (self.value)(row);
        let own = base.map_or(f64::NAN, self.value);
        let ratio = if self.rises { own / value } else { value / own };
        match base {
            Some(base) if !std::ptr::eq(base, row) && ratio.is_finite() => {
                format!("{} ({})", shown(value), shown(ratio))
            }
            _ => shown(value),
        }
    }
}

fn shown(value: f64) -> String {
    if value.is_finite() { number(value) } else { "-".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_run_is_worse_than_one_that_says_nothing() {
        let row = |verdict| Row {
            plan: String::new(),
            server: JANUS,
            variant: "",
            cpu_ms: 1.0,
            memory_kib: 1.0,
            delay_ms: [1.0; 2],
            joins_per_second: 1.0,
            held: 1.0,
            loss_percent: 0.0,
            verdict,
            runs: 1,
        };
        let of = |verdicts: &[Verdict]| exit_code(&verdicts.iter().map(|verdict| row(*verdict)).collect::<Vec<_>>());
        assert_eq!(of(&[Verdict::Pass, Verdict::Invalid, Verdict::Fail]), 1);
        assert_eq!((of(&[Verdict::Pass, Verdict::Invalid]), of(&[Verdict::Pass])), (3, 0));
    }

    #[test]
    fn ratios_are_to_the_plain_row_of_the_same_plan() {
        let row = |server, variant: &'static str, cpu_ms| Row {
            plan: "a".to_owned(),
            server,
            variant,
            cpu_ms,
            memory_kib: 10.0 * cpu_ms,
            delay_ms: [20.0, 30.0],
            joins_per_second: 100.0 / cpu_ms,
            held: if variant.is_empty() { 200.0 / cpu_ms } else { f64::NAN },
            loss_percent: 0.0,
            verdict: Verdict::Pass,
            runs: 1,
        };
        let rows = [row(CONVOKE, "", 0.5), row(JANUS, "", 10.0), row(CONVOKE, "SRTP", 0.6)];
        let text = markdown(&Machine::look(), &rows);
        let janus = "| Janus AudioBridge | 10.0 (20.0) | 100 (20.0) | 20.0 (1.00) | 10.0 (20.0) | 20.0 (20.0) |";
        assert!(text.contains(janus), "{text}");
        assert!(text.contains("| Convoke | 0.50 | 5.00 |"), "{text}");
        assert!(
            text.contains("| Convoke, SRTP | 0.60 (1.20) | 6.00 (1.20) | 20.0 (1.00) | 167 (1.20) | - |"),
            "{text}"
        );
    }
}
