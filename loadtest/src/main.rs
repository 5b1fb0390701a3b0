//! `bench`: one optimised server, many synthetic callers, a table of figures with their bounds.
//!
//! It decides what is measured and what is good enough. It must not know the server's crates: it sees what a phone sees,
//! and beyond that only what the kernel says about the server's process.
//!
//! Start reading at [`figures`]; [`switchboard`] calls, [`audio`] talks and listens, [`steadiness`] and [`delay`] judge.

#![forbid(unsafe_code)]

mod audio;
mod delay;
mod dialog;
mod figures;
mod kamailio;
mod report;
mod server;
mod steadiness;
mod switchboard;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use loadtest::machine::Machine;

use crate::figures::{MEASUREMENTS, Setting};

use crate::report::Figure;

/// Measure an optimised server with synthetic callers. Exit code: 0 when every figure is within its bound, 1 when one is
/// not, 2 when the callers themselves were too slow and the numbers are void.
#[derive(Parser)]
struct Arguments {
    /// How long the steady tone is listened to.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Measure only these (tone, delay, join, burst, signalling, groups, memory, load).
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The server's binary; by default the one beside this.
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
    /// Figures other programs have measured, to stand in the same table: a file with a line of JSON for each.
    #[arg(long, value_name = "FILE")]
    more: Option<PathBuf>,
    /// Where report.json and report.md go.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/bench")]
    output: PathBuf,
}

pub(crate) use loadtest::Failure;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let machine = Machine::look();
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("convoke"));
    let Some(binary) = arguments.server.or_else(beside).and_then(|path| path.canonicalize().ok()) else {
        progress("there is no server beside this program; build it, or name it with --server");
        return ExitCode::from(1);
    };
    let unknown: Vec<&String> =
        arguments.only.iter().filter(|only| MEASUREMENTS.iter().all(|(name, _)| name != only)).collect();
    if let Some(unknown) = unknown.first() {
        let names = MEASUREMENTS.map(|(name, _)| name).join(", ");
        progress(&format!("--only {unknown}: there is no such measurement; write one of {names}"));
        return ExitCode::from(1);
    }
    if let Err(why) = loadtest::process::end_children_on_signals() {
        progress(&why.0);
        return ExitCode::from(1);
    }
    let setting = Setting { binary, tone_seconds: arguments.seconds };
    let mut results: Vec<Figure> = Vec::new();
    for (name, measure) in MEASUREMENTS {
        if arguments.only.is_empty() || arguments.only.iter().any(|only| only == name) {
            progress(&format!("measuring {name} ..."));
            results.extend(measure(&setting).unwrap_or_else(|why| vec![Figure::unmeasured(name, &why)]));
        }
    }
    if let Some(path) = arguments.more {
        let why = |why: Failure| vec![Figure::unmeasured("figures of others", &why)];
        results.extend(report::read_more(&path).unwrap_or_else(why));
    }
    if let Err(error) = report::write(&arguments.output, &machine, &results) {
        progress(&format!("the report cannot be written: {error}"));
        return ExitCode::from(1);
    }
    print_report(&report::markdown(&machine, &results));
    ExitCode::from(report::exit_code(&results))
}

/// Standard output is for the table alone.
#[expect(clippy::print_stderr, reason = "the command line's own progress")]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}

fn print_report(text: &str) {
    // Whoever closed his end does not want to know.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
