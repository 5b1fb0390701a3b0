//! `loadtest`: plans in, verdicts out. The command line alone; everything else is in the library beside it.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::Failure;
use loadtest::plan::Plan;
use loadtest::results::table;
use loadtest::run::outcome::{Outcome, Verdict};
use loadtest::run::stage::Sample;
use loadtest::target::{Running, Source};

/// Synthetic callers against a conferencing server. Exit code: 0 every plan passed, 1 one failed, 2 it could not be run,
/// 3 the generator was saturated and there is no verdict.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs plans, one after another, each against a server of its own unless one is given.
    Run(RunArguments),
    /// Lists the plans.
    List {
        /// The folder they are in.
        #[arg(long, value_name = "FOLDER", default_value = "loadtest/plans")]
        plans: PathBuf,
    },
}

#[derive(clap::Args)]
struct RunArguments {
    /// Names of plans in the folder, or files. Without any, all that need not be named.
    plans: Vec<String>,
    /// The folder the plans are in.
    #[arg(long = "plans", value_name = "FOLDER", default_value = "loadtest/plans")]
    folder: PathBuf,
    /// The server's binary, started for each plan; by default the one beside this program.
    #[arg(long, value_name = "FILE", conflicts_with = "server")]
    binary: Option<PathBuf>,
    /// A server that runs already: where it receives SIP over UDP.
    #[arg(long, value_name = "ADDRESS:PORT", requires = "domain")]
    server: Option<SocketAddr>,
    /// Its domain.
    #[arg(long, requires = "server")]
    domain: Option<String>,
    /// The number of its first conference; a plan's others follow.
    #[arg(long, default_value_t = 7_000)]
    first_number: usize,
    /// The password of its users load0, load1 ... and organizer.
    #[arg(long, default_value = "correct-horse-7")]
    password: String,
    /// Where its /metrics are.
    #[arg(long, value_name = "ADDRESS:PORT")]
    http: Option<SocketAddr>,
    /// Its process, when it runs on this machine.
    #[arg(long)]
    pid: Option<u32>,
    /// How often a plan is tried again when the generator was saturated.
    #[arg(long, default_value_t = 1)]
    retries: usize,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::List { plans } => list(&plans),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            complain(&why.0);
            ExitCode::from(2)
        }
    }
}

fn list(folder: &Path) -> Result<u8, Failure> {
    for plan in plans_in(folder)? {
        let mark = if plan.only_when_named { " (only when named)" } else { "" };
        say(&format!("{:<20} {:>6} callers  {}{mark}", plan.name, plan.callers(), plan.about));
    }
    Ok(0)
}

fn run(arguments: &RunArguments) -> Result<u8, Failure> {
    let plans = chosen(arguments)?;
    let source = source(arguments)?;
    let mut outcomes = Vec::new();
    for plan in &plans {
        let outcome = run_plan(plan, &source, arguments.retries)?;
        say(&table::table(&outcome));
        outcomes.push(outcome);
    }
    Ok(exit_code(&outcomes))
}

fn run_plan(plan: &Plan, source: &Source, retries: usize) -> Result<Outcome, Failure> {
    let mut left = retries;
    loop {
        let mut line = ProgressLine::new(&plan.name);
        let outcome = loadtest::run::run(plan, source, &mut |phase, sample| line.show(phase, sample))?;
        line.clear();
        if outcome.verdict != Verdict::Invalid || left == 0 {
            return Ok(outcome);
        }
        left -= 1;
        complain(&format!("{}: INVALID ({}); once more", plan.name, outcome.doubts.join("; ")));
    }
}

fn exit_code(outcomes: &[Outcome]) -> u8 {
    let any = |verdict| outcomes.iter().any(|outcome| outcome.verdict == verdict);
    match (any(Verdict::Fail), any(Verdict::Invalid)) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

fn chosen(arguments: &RunArguments) -> Result<Vec<Plan>, Failure> {
    if arguments.plans.is_empty() {
        return Ok(plans_in(&arguments.folder)?.into_iter().filter(|plan| !plan.only_when_named).collect());
    }
    let path_of = |name: &String| match name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => arguments.folder.join(format!("{name}.toml")),
    };
    arguments.plans.iter().map(|name| Plan::read(&path_of(name))).collect()
}

/// All plans of a folder; the smallest first, so that what is broken altogether shows at once.
fn plans_in(folder: &Path) -> Result<Vec<Plan>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|error| Failure(format!("{}: {error}", folder.display())))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let files = paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    let mut plans = files.map(|path| Plan::read(&path)).collect::<Result<Vec<_>, _>>()?;
    plans.sort_by_key(|plan| (plan.callers(), plan.name.clone()));
    Ok(plans)
}

fn source(arguments: &RunArguments) -> Result<Source, Failure> {
    if let (Some(sip), Some(domain)) = (arguments.server, &arguments.domain) {
        return Ok(Source::Running(Running {
            sip,
            domain: domain.clone(),
            first_number: arguments.first_number,
            password: arguments.password.clone(),
            http: arguments.http,
            pid: arguments.pid,
        }));
    }
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("convoke"));
    let binary = arguments.binary.clone().or_else(beside).and_then(|path| path.canonicalize().ok());
    let missing = || Failure("there is no server beside this program; build it, or name it with --binary".to_owned());
    Ok(Source::Binary(binary.ok_or_else(missing)?))
}

/// The live line: rewritten on a terminal, now and then a new one elsewhere.
struct ProgressLine {
    plan: String,
    terminal: bool,
    shown: usize,
}

impl ProgressLine {
    fn new(plan: &str) -> Self {
        Self { plan: plan.to_owned(), terminal: std::io::stderr().is_terminal(), shown: 0 }
    }

    fn show(&mut self, phase: &str, sample: &Sample) {
        self.shown += 1;
        if !self.terminal && !self.shown.is_multiple_of(20) {
            return;
        }
        let line = format!(
            "{} {:>5.0} s {phase}: {} in, {} failed, {:.0} packets/s in, loss {:.2} %, server {:.0} % {:.0} MiB, generator {:.0} %",
            self.plan,
            sample.at,
            sample.joined,
            sample.failures,
            sample.received_rate,
            sample.loss_percent,
            sample.server_cpu_percent,
            sample.server_kib / 1_024.0,
            sample.own_cpu_percent,
        );
        write_progress(&if self.terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") });
    }

    fn clear(&self) {
        if self.terminal {
            write_progress("\r\x1b[K");
        }
    }
}

#[expect(clippy::print_stderr, reason = "the command line's own progress")]
fn write_progress(text: &str) {
    eprint!("{text}");
    let _ = std::io::stderr().flush();
}

#[expect(clippy::print_stderr, reason = "the command line's own complaints")]
fn complain(text: &str) {
    eprintln!("loadtest: {text}");
}

#[expect(clippy::print_stdout, reason = "the command line's own output")]
fn say(text: &str) {
    println!("{}", text.trim_end());
}
