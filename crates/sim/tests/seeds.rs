//! A few hundred seeded days, and every seed that ever broke a rule.

use std::collections::BTreeMap;
use std::thread;

use sim::{Report, Trace};

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

fn hold(reports: &[Report]) {
    let broken: Vec<String> =
        reports.iter().filter(|report| report.broken.is_some()).map(ToString::to_string).collect();
    assert!(broken.is_empty(), "replay one by `cargo run -p sim -- --seed N --trace`:\n{}", broken.join("\n"));
}

#[test]
fn all_rules_hold_in_hundreds_of_days_in_which_everything_happens() {
    let halves = [0..SEEDS / 2, SEEDS / 2..SEEDS]
        .map(|seeds| thread::spawn(move || seeds.map(|seed| sim::run(seed, Trace::Off)).collect::<Vec<Report>>()));
    let reports: Vec<Report> = halves.into_iter().flat_map(|half| half.join().expect("no panic")).collect();
    hold(&reports);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (what, count) in reports.iter().flat_map(|report| &report.counts) {
        *counts.entry(what).or_default() += count;
    }
    let missing: Vec<&&str> = MUST_HAPPEN.iter().filter(|what| !counts.contains_key(**what)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}; what did: {counts:?}");
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
