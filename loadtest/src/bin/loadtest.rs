//! `loadtest`: plans in, verdicts out. The command line alone; everything else is in the library beside it.

#![forbid(unsafe_code)]

use std::io::{IsTerminal, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use loadtest::Failure;
use loadtest::capacity::{self, Costs, Habits};
use loadtest::machine::Machine;
use loadtest::peers::{self, Contest};
use loadtest::plan::{Impairment, Plan};
use loadtest::relay::Relay;
use loadtest::results::{Report, compare, html, junit, table, write_file};
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
    Run(Box<RunArguments>),
    /// Lists the plans.
    List {
        /// The folder they are in.
        #[arg(long, value_name = "FOLDER", default_value = "loadtest/plans")]
        plans: PathBuf,
    },
    /// Sets two reports beside each other; exit code 1 when a figure became worse.
    Compare {
        /// The report (--json) of before.
        baseline: PathBuf,
        /// The report of now.
        now: PathBuf,
        /// How much a figure may change without meaning anything, in percent.
        #[arg(long, default_value_t = 10.0)]
        tolerance: f64,
    },
    /// Measures what participants, conferences and joins cost on this machine, for plan-capacity.
    Calibrate {
        /// The server's binary; by default the one beside this program.
        #[arg(long, value_name = "FILE")]
        binary: Option<PathBuf>,
        /// Where the costs are written.
        #[arg(long, value_name = "FILE", default_value = "target/loadtest/costs.json")]
        output: PathBuf,
    },
    /// How many nodes, how much bandwidth and memory a company needs, by the costs that calibrate measured.
    PlanCapacity(CapacityArguments),
    /// Carries datagrams of one client to a server and back over a bad network, until Ctrl-C.
    Relay(RelayArguments),
    /// Runs the same plans against Convoke and Janus AudioBridge in turn.
    Peers(PeersArguments),
}

#[derive(clap::Args)]
struct CapacityArguments {
    /// People with an account.
    #[arg(long)]
    users: f64,
    /// How many of a hundred are in a conference in the busiest hour.
    #[arg(long, default_value_t = 5.0)]
    in_conference: f64,
    /// People in a conference, on average.
    #[arg(long, default_value_t = 4.0)]
    size: f64,
    /// How many of a hundred participants come by telephone.
    #[arg(long, default_value_t = 15.0)]
    by_telephone: f64,
    /// Minutes a conference lasts.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// How many of a hundred of a node's processor time may be used.
    #[arg(long, default_value_t = 50.0)]
    load: f64,
    /// Nodes that may fail at once.
    #[arg(long, default_value_t = 1.0)]
    spare: f64,
    /// Cores of a node; by default as many as the machine that was measured.
    #[arg(long)]
    cores: Option<f64>,
    /// The costs.
    #[arg(long, value_name = "FILE", default_value = "target/loadtest/costs.json")]
    costs: PathBuf,
    /// The recommendation as JSON instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct RelayArguments {
    /// Where the client sends.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Where the server receives.
    #[arg(long, value_name = "ADDRESS:PORT")]
    to: SocketAddr,
    /// Delay in ms, each way.
    #[arg(long, default_value_t = 0.0)]
    delay: f64,
    /// The delay varies by as much up and down, in ms.
    #[arg(long, default_value_t = 0.0)]
    jitter: f64,
    /// This many of a hundred go ahead of others.
    #[arg(long, default_value_t = 0.0)]
    reorder: f64,
    /// This many of a hundred are lost.
    #[arg(long, default_value_t = 0.0)]
    loss: f64,
    /// Mean length of a run of losses.
    #[arg(long, default_value_t = 0.0)]
    burst: f64,
    /// Kilobits in each second; 0: any number.
    #[arg(long, default_value_t = 0.0)]
    rate: f64,
    /// Seconds from cut to cut; 0: none.
    #[arg(long, default_value_t = 0.0)]
    cut_every: f64,
    /// Seconds a cut lasts.
    #[arg(long, default_value_t = 0.0)]
    cut: f64,
    /// The same seed damages the same datagrams.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(clap::Args)]
struct PeersArguments {
    /// Plans in the folder.
    #[arg(default_values = ["peer-room", "peer-rooms"])]
    plans: Vec<String>,
    /// The folder the plans are in.
    #[arg(long = "plans", value_name = "FOLDER", default_value = "loadtest/plans")]
    folder: PathBuf,
    /// Convoke's binary; by default the one beside this program.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Janus's binary.
    #[arg(long, value_name = "FILE", default_value = "/usr/bin/janus")]
    janus: PathBuf,
    /// Runs of each; the median counts.
    #[arg(long, default_value_t = 1)]
    runs: usize,
    /// Also with SRTP, without the level extension, and with G.711.
    #[arg(long)]
    variants: bool,
    /// The machine is shared: what other programs take of it does not make a run invalid.
    #[arg(long)]
    shared: bool,
    /// Where the table (peers.md) and the figures (peers.json) go.
    #[arg(long, value_name = "FOLDER", default_value = "target/loadtest")]
    output: PathBuf,
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
    /// The machine is shared: what other programs take of it does not make a run invalid.
    #[arg(long)]
    shared: bool,
    /// Everything for machines.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// One case for each threshold, for continuous integration.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Everything for people, with plots, in one file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Run(arguments) => run(&arguments),
        Command::List { plans } => list(&plans),
        Command::Compare { baseline, now, tolerance } => compare_reports(&baseline, &now, tolerance),
        Command::Calibrate { binary, output } => calibrate(binary.as_deref(), &output),
        Command::PlanCapacity(arguments) => plan_capacity(&arguments),
        Command::Relay(arguments) => relay(&arguments),
        Command::Peers(arguments) => peers(&arguments),
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
    let mut plans = chosen(arguments)?;
    if arguments.shared {
        plans.iter_mut().for_each(|plan| plan.generator.others_percent = 100.0);
    }
    let source = source(arguments)?;
    let mut outcomes = Vec::new();
    for plan in &plans {
        match plan.search {
            Some(search) => outcomes.extend(search_capacity(plan, search.steps, &source, arguments.retries)?),
            None => {
                let outcome = run_plan(plan, &source, arguments.retries)?;
                say(&table::table(&outcome));
                outcomes.push(outcome);
            }
        }
    }
    let code = exit_code(&outcomes);
    write_reports(arguments, outcomes)?;
    Ok(code)
}

/// Raises the load until a threshold breaks. The search succeeds when its first step does: the answer is the last step
/// that passed, and only steps that passed are in the report, with the one that ended it said in words.
fn search_capacity(plan: &Plan, steps: usize, source: &Source, retries: usize) -> Result<Vec<Outcome>, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for step in 0..steps {
        let outcome = run_plan(&plan.at_step(step), source, retries)?;
        say(&table::table(&outcome));
        if outcome.verdict != Verdict::Pass {
            let held = outcomes.last().map_or(0, |last| last.plan.callers());
            let why = if outcome.verdict == Verdict::Invalid { "the generator gave out" } else { "a threshold broke" };
            say(&format!("{}: {held} callers held; at {} {why}", plan.name, outcome.plan.callers()));
            if outcomes.is_empty() {
                outcomes.push(outcome);
            }
            return Ok(outcomes);
        }
        outcomes.push(outcome);
    }
    let held = outcomes.last().map_or(0, |last| last.plan.callers());
    say(&format!("{}: {held} callers held, and no threshold broke", plan.name));
    Ok(outcomes)
}

fn write_reports(arguments: &RunArguments, outcomes: Vec<Outcome>) -> Result<(), Failure> {
    if let Some(path) = &arguments.html {
        write_file(path, &html::page(&outcomes))?;
    }
    if let Some(path) = &arguments.junit {
        write_file(path, &junit::document(&outcomes))?;
    }
    match &arguments.json {
        Some(path) => Report { outcomes }.write(path),
        None => Ok(()),
    }
}

fn compare_reports(baseline: &Path, now: &Path, tolerance: f64) -> Result<u8, Failure> {
    let comparison = compare::compare(&Report::read(baseline)?, &Report::read(now)?, tolerance);
    say(&comparison.text);
    say(&format!("{} figures became worse", comparison.worse));
    Ok(u8::from(comparison.worse > 0))
}

fn calibrate(binary: Option<&Path>, output: &Path) -> Result<u8, Failure> {
    let mut line = ProgressLine::new("calibrate");
    let costs = capacity::calibrate(&own_server(binary)?, &mut |phase, sample| line.show(phase, sample))?;
    line.clear();
    let text = serde_json::to_string_pretty(&costs).map_err(|error| Failure(error.to_string()))?;
    write_file(output, &format!("{text}\n"))?;
    say(&format!("{text}\nwritten to {}", output.display()));
    Ok(0)
}

fn plan_capacity(arguments: &CapacityArguments) -> Result<u8, Failure> {
    let path = &arguments.costs;
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure(format!("{}: {error}; loadtest calibrate makes it", path.display())))?;
    let costs: Costs = serde_json::from_str(&text).map_err(|error| Failure(format!("{}: {error}", path.display())))?;
    let habits = Habits {
        users: arguments.users,
        in_conference: arguments.in_conference,
        size: arguments.size,
        by_telephone: arguments.by_telephone,
        minutes: arguments.minutes,
        load: arguments.load,
        spare: arguments.spare,
        cores: arguments.cores,
    };
    if [habits.users, habits.size, habits.minutes, habits.load].iter().any(|number| *number <= 0.0) {
        return Err(Failure("users, size, minutes and load are more than 0".to_owned()));
    }
    let need = capacity::plan(&costs, &habits);
    if arguments.json {
        say(&serde_json::to_string_pretty(&need).map_err(|error| Failure(error.to_string()))?);
    } else {
        say(&capacity::describe(&costs, &habits, &need));
    }
    Ok(0)
}

fn relay(arguments: &RelayArguments) -> Result<u8, Failure> {
    let impairment = Impairment {
        delay_ms: arguments.delay,
        jitter_ms: arguments.jitter,
        reorder: arguments.reorder,
        loss: arguments.loss,
        burst: arguments.burst,
        rate_kbit: arguments.rate,
        cut_every_seconds: arguments.cut_every,
        cut_seconds: arguments.cut,
    };
    let mut relay = Relay::start(arguments.seed)?;
    let ends = relay.add(arguments.listen.ip(), arguments.listen.port(), None, &impairment)?;
    relay.connect(ends.pair, arguments.to);
    say(&format!("{} <-> {} by way of {}", ends.front, arguments.to, ends.back));
    loop {
        std::thread::park();
    }
}

fn peers(arguments: &PeersArguments) -> Result<u8, Failure> {
    let Source::Binary(convoke) = own_server(arguments.binary.as_deref())? else {
        return Err(Failure("peers starts its servers itself".to_owned()));
    };
    if !arguments.janus.exists() {
        return Err(Failure(format!("there is no {}; make bench-peers installs it", arguments.janus.display())));
    }
    let read = |name: &String| Plan::read(&arguments.folder.join(format!("{name}.toml")));
    let mut plans = arguments.plans.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if arguments.shared {
        plans.iter_mut().for_each(|plan| plan.generator.others_percent = 100.0);
    }
    let janus = arguments.janus.clone();
    let contest = Contest { plans, convoke, janus, runs: arguments.runs.max(1), variants: arguments.variants };
    let machine = Machine::look();
    let mut line = ProgressLine::new("peers");
    let rows = contest.run(&mut |phase, sample| line.show(phase, sample))?;
    line.clear();
    let table = peers::markdown(&machine, &rows);
    say(&table);
    let json = serde_json::json!({ "machine": machine.to_json(), "rows": rows });
    write_file(&arguments.output.join("peers.md"), &table)?;
    write_file(&arguments.output.join("peers.json"), &format!("{json:#}\n"))?;
    let invalid = rows.iter().any(|row| row.verdict == Verdict::Invalid);
    Ok(if invalid { 3 } else { 0 })
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
    own_server(arguments.binary.as_deref())
}

fn own_server(binary: Option<&Path>) -> Result<Source, Failure> {
    let beside = || Some(std::env::current_exe().ok()?.parent()?.join("convoke"));
    let binary = binary.map(Path::to_path_buf).or_else(beside).and_then(|path| path.canonicalize().ok());
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
