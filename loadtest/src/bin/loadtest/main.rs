//! `loadtest`: plans in, verdicts out. The command line alone; everything else is in the library beside it.

#![forbid(unsafe_code)]

mod arguments;
mod progress;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser as _;
use loadtest::Failure;
use loadtest::capacity::{self, Costs, Habits};
use loadtest::goals::{self, Line};
use loadtest::machine::Machine;
use loadtest::peers::{self, Contest};
use loadtest::plan::{Impairment, Plan};
use loadtest::process;
use loadtest::relay::Relay;
use loadtest::results::{Report, check_writable, compare, html, junit, table, write_file};
use loadtest::run::gauge::Sample;
use loadtest::run::outcome::{Outcome, exit_code};
use loadtest::run::run_again;
use loadtest::run::search::{Climb, climb};
use loadtest::target::{Running, Source};

use crate::arguments::{
    Arguments, CapacityArguments, Command, FiguresArguments, PeersArguments, RelayArguments, RunArguments,
};
use crate::progress::ProgressLine;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let done = process::end_children_on_signals().and_then(|()| obey(command));
    match done {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            complain(&why.0);
            ExitCode::from(2)
        }
    }
}

fn obey(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(arguments) => run(&arguments),
        Command::List { plans } => list(&plans),
        Command::Compare { baseline, now, tolerance } => compare_reports(&baseline, &now, tolerance),
        Command::Calibrate { binary, output } => calibrate(binary.as_deref(), &output),
        Command::PlanCapacity(arguments) => plan_capacity(&arguments),
        Command::Relay(arguments) => relay(&arguments),
        Command::Peers(arguments) => peers(&arguments),
        Command::Figures(arguments) => figures(&arguments),
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
    let mut plans = chosen(&arguments.folder, &arguments.plans)?;
    if arguments.shared {
        plans.iter_mut().for_each(|plan| plan.generator.others_percent = 100.0);
    }
    let source = source(arguments)?;
    for path in [&arguments.html, &arguments.junit, &arguments.json].into_iter().flatten() {
        check_writable(path)?;
    }
    let mut report = Report { outcomes: Vec::new() };
    let mut not_run = false;
    for plan in &plans {
        match run_plan(plan, &source, arguments.retries) {
            Ok(Done::Once(outcome)) => {
                say(&table::table(&outcome));
                report.outcomes.push(*outcome);
            }
            Ok(Done::Search(climb)) => {
                say(&climb.sentence());
                report.outcomes.extend(climb.outcomes);
            }
            Err(why) => {
                not_run = true;
                let outcome = Outcome::not_run(plan, &why.0);
                say(&table::table(&outcome));
                report.outcomes.push(outcome);
            }
        }
        // After each plan: whatever ends the others early, these are not lost.
        write_reports(arguments, &report)?;
    }
    Ok(if not_run { 2 } else { exit_code(&report.outcomes) })
}

/// What came of a plan.
enum Done {
    /// It was run.
    Once(Box<Outcome>),
    /// It was run with more and more callers.
    Search(Climb),
}

fn run_plan(plan: &Plan, source: &Source, retries: usize) -> Result<Done, Failure> {
    let mut line = ProgressLine::new(&plan.name);
    let mut onlooker = |phase: &str, sample: &Sample| line.show(phase, sample);
    let done = match plan.search {
        Some(search) => {
            let mut told = |outcome: &Outcome| say(&table::table(outcome));
            Done::Search(climb(plan, search, source, retries, &mut onlooker, &mut told)?)
        }
        None => Done::Once(Box::new(run_again(plan, source, retries, &mut onlooker)?)),
    };
    line.clear();
    Ok(done)
}

/// Plans in turn, `runs` times, so that a slow minute of the machine hits all of them.
fn figures(arguments: &FiguresArguments) -> Result<u8, Failure> {
    let mut plans = chosen(&arguments.folder, &arguments.plans)?;
    goals::check(&plans)?;
    if arguments.shared {
        plans.iter_mut().for_each(|plan| plan.generator.others_percent = 100.0);
    }
    let source = own_server(arguments.binary.as_deref())?;
    let mut outcomes = vec![Vec::new(); plans.len()];
    for _ in 0..arguments.runs {
        for (plan, outcomes) in plans.iter().zip(&mut outcomes) {
            match run_plan(plan, &source, arguments.retries)? {
                Done::Once(outcome) => outcomes.push(*outcome),
                Done::Search(climb) => outcomes.extend(climb.summary()),
            }
        }
    }
    let lines = goals::lines(&outcomes);
    let text = goals::markdown(&Machine::look(), &lines);
    say(&text);
    write_file(&arguments.output.join("figures.md"), &text)?;
    Report { outcomes: outcomes.into_iter().flatten().collect() }.write(&arguments.output.join("figures.json"))?;
    Ok(lines.iter().map(Line::exit_code).max().unwrap_or(0))
}

fn write_reports(arguments: &RunArguments, report: &Report) -> Result<(), Failure> {
    if let Some(path) = &arguments.html {
        write_file(path, &html::page(&report.outcomes))?;
    }
    if let Some(path) = &arguments.junit {
        write_file(path, &junit::document(&report.outcomes))?;
    }
    match &arguments.json {
        Some(path) => report.write(path),
        None => Ok(()),
    }
}

fn compare_reports(baseline: &Path, now: &Path, tolerance: f64) -> Result<u8, Failure> {
    let comparison = compare::compare(&Report::read(baseline)?, &Report::read(now)?, tolerance)?;
    say(&comparison.text);
    say(&format!("{} became worse, {} could not be compared", comparison.worse, comparison.invalid));
    Ok(comparison.exit_code())
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
    let costs = Costs::parse(&text).map_err(|Failure(why)| Failure(format!("{}: {why}", path.display())))?;
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
    let contest = Contest {
        plans,
        convoke,
        janus,
        runs: arguments.runs,
        variants: arguments.variants,
        retries: arguments.retries,
        held: arguments.held,
    };
    let machine = Machine::look();
    let mut line = ProgressLine::new("peers");
    let rows = contest.run(&mut |phase, sample| line.show(phase, sample))?;
    line.clear();
    let table = peers::markdown(&machine, &rows);
    say(&table);
    let json = serde_json::json!({ "machine": machine.to_json(), "rows": rows });
    write_file(&arguments.output.join("peers.md"), &table)?;
    write_file(&arguments.output.join("peers.json"), &format!("{json:#}\n"))?;
    Ok(peers::exit_code(&rows))
}

/// Plans by name or file; without any, all of the folder that need not be named.
fn chosen(folder: &Path, names: &[String]) -> Result<Vec<Plan>, Failure> {
    if names.is_empty() {
        return Ok(plans_in(folder)?.into_iter().filter(|plan| !plan.only_when_named).collect());
    }
    let path_of = |name: &String| match name.ends_with(".toml") {
        true => PathBuf::from(name),
        false => folder.join(format!("{name}.toml")),
    };
    names.iter().map(|name| Plan::read(&path_of(name))).collect()
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
    let beside = || std::env::current_exe().map(|own| own.with_file_name("convoke"));
    let binary = binary.map_or_else(beside, |named| Ok(named.to_owned()))?;
    let missing = |error| {
        let binary = binary.display();
        Failure(format!(
            "no server: {binary}: {error}; cargo build --release -p convoke makes one, --binary names another"
        ))
    };
    Ok(Source::Binary(binary.canonicalize().map_err(missing)?))
}

fn complain(text: &str) {
    // Whoever closed his end does not want to know.
    let _ = writeln!(std::io::stderr(), "loadtest: {text}");
}

fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{}", text.trim_end());
}
