//! Replays one seed, or looks for the first one of a range that breaks a rule.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use sim::{Day, Report, Trace};

/// The control side in virtual time.
#[derive(Parser)]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with = "seeds", required_unless_present = "seeds")]
    seed: Option<u64>,
    /// Run these seeds, `FROM..TO`, until one breaks a rule.
    #[arg(long, value_parser = range)]
    seeds: Option<std::ops::Range<u64>>,
    /// Days on which the server is killed, instead of ordinary ones.
    #[arg(long)]
    crashes: bool,
    /// Print the story of the seed that is run, or of the one that fails.
    #[arg(long)]
    trace: bool,
}

fn range(text: &str) -> Result<std::ops::Range<u64>, String> {
    let wrong = || "write it as FROM..TO, two numbers".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    Ok(from.parse().map_err(|_| wrong())?..to.parse().map_err(|_| wrong())?)
}

fn main() -> ExitCode {
    match run(&Arguments::parse(), &mut io::stdout().lock()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn run(arguments: &Arguments, out: &mut impl Write) -> io::Result<bool> {
    let seeds = match (&arguments.seeds, arguments.seed) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(seed)) => seed..seed + 1,
        (None, None) => 0..0,
    };
    let single = arguments.seed.is_some();
    let day = if arguments.crashes { Day::Crashes } else { Day::Ordinary };
    let mut runs = 0_u64;
    for seed in seeds {
        let report = sim::run_day(seed, day, if single && arguments.trace { Trace::On } else { Trace::Off });
        runs += 1;
        if single {
            print(&report, out)?;
        }
        if report.broken.is_some() {
            let story = if arguments.trace && !single { sim::run_day(seed, day, Trace::On) } else { report };
            if !single {
                print(&story, out)?;
            }
            return Ok(false);
        }
    }
    writeln!(out, "{runs} runs, all rules hold")?;
    Ok(true)
}

fn print(report: &Report, out: &mut impl Write) -> io::Result<()> {
    for line in &report.story {
        writeln!(out, "{line}")?;
    }
    for (what, count) in &report.counts {
        writeln!(out, "{count:>7} {what}")?;
    }
    writeln!(out, "{report}")
}
