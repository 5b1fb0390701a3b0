//! A few hundred seeded days, and every seed that ever broke a rule.

use std::collections::BTreeMap;
use std::thread;

use sim::{Day, Report, Trace};

/// How many seeds each test run has.
const SEEDS: u64 = 200;

/// What must happen in them, or they prove nothing.
const MUST_HAPPEN: &[&str] = &[
    "2xx acknowledged",
    "answer crossed caller's CANCEL",
    "answered across CANCEL",
    "answered twice",
    "call answered",
    "challenged",
    "command failed",
    "command pending",
    "command succeeded",
    "conference lost",
    "dial-out answered",
    "dial-out cancelled",
    "dial-out retried",
    "digits pressed",
    "early media",
    "fork hung up",
    "group call answered",
    "group call offered",
    "media timed out",
    "phone lost power",
    "phone only sends 100",
    "phone refused",
    "phone rings out",
    "re-INVITE",
    "redirected",
    "REFER",
    "registrations changed",
    "ringing cancelled",
    "roster document",
    "server stopped",
    "SERVICE",
    "subscription refreshed",
    "transfer notified",
    "UPDATE",
];

/// What must happen on days on which the server is killed.
const MUST_HAPPEN_WITH_CRASHES: &[&str] = &[
    "2xx acknowledged",
    "agent opted in",
    "agent opted out",
    "answered across CANCEL",
    "answered twice",
    "call answered",
    "caller attached again",
    "caller forwarded",
    "caller lost at a restart",
    "caller sent on from where nobody was",
    "conversation attached again",
    "conversation outside the groups attached again",
    "group call answered",
    "group call offered",
    "history made anew",
    "journal lines lost",
    "phone lost power",
    "phone refused",
    "phone rings out",
    "ringing cancelled",
    "server killed",
    "server restarted",
];

fn hold(reports: &[Report]) {
    let broken: Vec<String> =
        reports.iter().filter(|report| report.broken.is_some()).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "replay one by `cargo run -p sim -- --seed N --trace`:\n{}", broken.join("\n"));
}

/// Runs these seeds on both cores.
fn run_all(seeds: u64, day: Day) -> Vec<Report> {
    let halves = [0..seeds / 2, seeds / 2..seeds].map(|seeds| {
        thread::spawn(move || seeds.map(|seed| sim::run_day(seed, day, Trace::Off)).collect::<Vec<Report>>())
    });
    halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect()
}

fn all_happened(reports: &[Report], wanted: &[&str]) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in reports.iter().flat_map(|report| &report.counts) {
        *counts.entry(what).or_default() += count;
    }
    let missing: Vec<&&str> = wanted.iter().filter(|what| !counts.contains_key(**what)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}; what did: {counts:?}");
}

#[test]
fn all_rules_hold_in_hundreds_of_days_in_which_everything_happens() {
    let reports = run_all(SEEDS, Day::Ordinary);
    hold(&reports);
    all_happened(&reports, MUST_HAPPEN);
}

/// I17, and every other invariant across the end of a process: it is killed at any boundary between two effects, and the
/// last lines of its journal may be lost.
#[test]
fn all_rules_of_groups_hold_however_often_the_server_is_killed() {
    let reports = run_all(SEEDS, Day::Crashes);
    hold(&reports);
    all_happened(&reports, MUST_HAPPEN_WITH_CRASHES);
}

/// The simulation would find the defect that the guard after a restart prevents (routing.md 3.6).
#[test]
fn a_restart_without_its_guard_is_found() {
    let found = (0..SEEDS).find_map(|seed| sim::run_day(seed, Day::CrashesWithoutGuard, Trace::Off).broken);
    let rule = found.expect("no seed breaks a rule").rule;
    assert!(rule.starts_with("I4"), "{rule}");
}

#[test]
fn seeds_that_once_broke_a_rule_break_none() {
    let listed = include_str!("../../../tests/scenarios/seeds.txt");
    let seed = |line: &str| {
        let first = line.split_whitespace().next().unwrap_or("");
        first.parse::<u64>().unwrap_or_else(|_| panic!("a line begins with a seed: {line:?}"))
    };
    let lines = listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let reports: Vec<Report> = lines.map(|line| sim::run(seed(line), Trace::Off)).collect();
    hold(&reports);
}

#[test]
fn one_seed_is_one_run() {
    for seed in 0..20 {
        let (one, other) = (sim::run(seed, Trace::On), sim::run(seed, Trace::On));
        let differs = one.story.iter().zip(&other.story).find(|(line, again)| line != again);
        assert!(differs.is_none() && one.story.len() == other.story.len(), "seed {seed}: {differs:#?}");
    }
}
