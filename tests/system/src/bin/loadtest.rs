//! Many callers in conferences of ten, against the binary named by `CONVOKE_BIN`; `scripts/loadtest` sets the size.

use std::process::ExitCode;
use std::time::Duration;

use system_tests::{Server, ServerOptions, Sipp, alone};

/// How many people each conference has.
const CONFERENCE: usize = 10;

#[allow(clippy::print_stdout, reason = "a command line tool speaks on standard output")]
fn main() -> ExitCode {
    let calls = setting("CONVOKE_LOAD_CALLS", 200);
    let rate = setting("CONVOKE_LOAD_RATE", 20).max(1);
    let length = Duration::from_secs(setting("CONVOKE_LOAD_SECONDS", 20) as u64);
    let _turn = alone();
    let numbers: Vec<String> = (0..calls.div_ceil(CONFERENCE)).map(|number| format!("{}", 2_000 + number)).collect();
    let conferences = numbers.iter().map(|number| (number.clone(), None, "open")).collect();
    let options = ServerOptions { numbered_users: calls, media_legs: calls, conferences, ..ServerOptions::default() };
    let server = Server::start(&options);
    let within = length + Duration::from_secs((calls / rate) as u64 + 60);
    let report = Sipp::scenario("participant")
        .users(calls)
        .conferences(numbers)
        .load(calls, rate, length)
        .run(server.sip(), within);
    println!("{}", report.output);
    let ended = server.stop();
    println!("{calls} calls, {rate} new ones a second, {} s each: {}", length.as_secs(), verdict(report.passed));
    println!("the server's end: {}", verdict(ended));
    if report.passed && ended { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn verdict(passed: bool) -> &'static str {
    if passed { "passed" } else { "FAILED" }
}

/// A whole number out of the environment.
fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
