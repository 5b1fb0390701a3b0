//! How many machines a company needs: from people and habits to legs, processor time, memory, bandwidth and nodes.
//!
//! The costs are measured on the user's own machine by [`calibrate`] and kept as JSON; the rest is arithmetic that can be
//! read here. It is the spirit of the Capacity Planning Tool: users in, a recommendation out.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::plan::Plan;
use crate::results::table::number;
use crate::run::Onlooker;
use crate::run::figure::Verdict;
use crate::run::outcome::Outcome;
use crate::target::Source;

/// What things cost on one machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// The machine they were measured on.
    pub machine: serde_json::Value,
    /// Processor time of each participant, in ms for each second.
    pub participant_ms: f64,
    /// Processor time of each conference besides, in ms for each second.
    pub conference_ms: f64,
    /// Memory of each participant in KiB.
    pub participant_kib: f64,
    /// Bandwidth of each participant in one direction in kbit/s, with the headers of IP, UDP and RTP.
    pub participant_kbit: f64,
    /// Processor time of one join and its end, in ms.
    pub join_ms: f64,
    /// Cores of the machine.
    pub cores: f64,
}

/// The habits of a company.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// How many people have accounts.
    pub users: f64,
    /// How many of a hundred are in a conference in the busiest hour.
    pub in_conference: f64,
    /// How many people a conference has on average.
    pub size: f64,
    /// How many of a hundred come by telephone; they need trunk channels.
    pub by_telephone: f64,
    /// How long a conference lasts, in minutes.
    pub minutes: f64,
    /// How many of a hundred of a node's processor time may be used: the rest is for bursts and for whoever takes over.
    pub load: f64,
    /// Nodes that may fail at once without anybody being refused; they come on top of those that the work needs.
    pub spare: f64,
    /// Cores of a node; without one, as many as the machine that was measured.
    pub cores: Option<f64>,
}

/// What they need.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Need {
    /// People in conferences at once.
    pub participants: f64,
    /// Conferences at once.
    pub conferences: f64,
    /// People who are there by telephone at once, on average over the busiest hour.
    pub by_telephone: f64,
    /// Telephone lines to be ordered: so many that at most 1 % of the calls find none (Erlang B).
    pub channels: f64,
    /// Joins each second in the busiest hour, spread evenly.
    pub joins_per_second: f64,
    /// Cores that work all the time.
    pub cores: f64,
    /// Nodes to be run: those that the work needs at `load`, and the spare ones. All of them take participants; none stands by.
    pub nodes: f64,
    /// Participants on each node when all of them work.
    pub participants_each: f64,
    /// Memory of the participants of a node, in MiB, after as many nodes as are spare have failed.
    pub memory_mib_each: f64,
    /// Bandwidth of a node in each direction, in Mbit/s, after as many nodes as are spare have failed.
    pub mbit_each: f64,
}

/// The arithmetic.
pub fn plan(costs: &Costs, habits: &Habits) -> Need {
    let participants = habits.users * habits.in_conference / 100.0;
    let conferences = participants / habits.size;
    let joins_per_second = participants / (habits.minutes * 60.0);
    let busy_ms =
        participants * costs.participant_ms + conferences * costs.conference_ms + joins_per_second * costs.join_ms;
    let cores = busy_ms / 1_000.0;
    let of_node = habits.cores.unwrap_or(costs.cores) * habits.load / 100.0;
    let working = (cores / of_node).ceil().max(1.0);
    let nodes = working + habits.spare;
    Need {
        participants,
        conferences,
        by_telephone: participants * habits.by_telephone / 100.0,
        channels: lines(participants * habits.by_telephone / 100.0),
        joins_per_second,
        cores,
        nodes,
        participants_each: participants / nodes,
        memory_mib_each: participants / working * costs.participant_kib / 1_024.0,
        mbit_each: participants / working * costs.participant_kbit / 1_000.0,
    }
}

/// Share of the calls by telephone that may find no line.
const BLOCKED_MAX: f64 = 0.01;

/// The fewest lines on which so many calls at once, on average, find one in all but [`BLOCKED_MAX`] of the cases (Erlang B).
fn lines(mean: f64) -> f64 {
    let (mut lines, mut blocked) = (0.0, 1.0);
    while mean > 0.0 && blocked > BLOCKED_MAX {
        lines += 1.0;
        blocked = mean * blocked / (lines + mean * blocked);
    }
    lines
}

/// A figure that is often a count: without a fraction where it has none.
fn count(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { number(value) }
}

impl Costs {
    /// Reads what [`calibrate`] measured.
    ///
    /// # Errors
    /// With what is no such file, or the key of a cost below 0, or of no cores.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let costs: Self = serde_json::from_str(text).map_err(|error| Failure(error.to_string()))?;
        let named = [
            ("participant_ms", costs.participant_ms),
            ("conference_ms", costs.conference_ms),
            ("participant_kib", costs.participant_kib),
            ("participant_kbit", costs.participant_kbit),
            ("join_ms", costs.join_ms),
        ];
        match named.into_iter().find(|(_, cost)| *cost < 0.0) {
            Some((key, cost)) => Err(Failure(format!("{key} = {cost}: write a cost of 0 or more"))),
            None if costs.cores <= 0.0 => Err(Failure(format!("cores = {}: write a number above 0", costs.cores))),
            None => Ok(costs),
        }
    }
}

/// The recommendation for people.
pub fn describe(costs: &Costs, habits: &Habits, need: &Need) -> String {
    let mut text = String::new();
    let lines = [
        ("users", count(habits.users), format!("{} % of them in conferences", number(habits.in_conference))),
        (
            "participants",
            count(need.participants),
            format!("on average, in {} conferences of {}", count(need.conferences), count(habits.size)),
        ),
        (
            "telephone channels",
            count(need.channels),
            format!(
                "of which {} are busy on average ({} % come by telephone); at most {} % of the calls find none",
                count(need.by_telephone),
                count(habits.by_telephone),
                count(100.0 * BLOCKED_MAX)
            ),
        ),
        ("joins", number(need.joins_per_second), format!("a second, conferences of {} min", number(habits.minutes))),
        (
            "cores at work",
            number(need.cores),
            format!(
                "{} ms a participant, {} ms a conference, {} ms a join",
                number(costs.participant_ms),
                number(costs.conference_ms),
                number(costs.join_ms)
            ),
        ),
        (
            "nodes",
            count(need.nodes),
            format!(
                "{} for the work and {} spare, of {} cores at {} %",
                count(need.nodes - habits.spare),
                count(habits.spare),
                count(habits.cores.unwrap_or(costs.cores)),
                count(habits.load)
            ),
        ),
        (
            "participants a node",
            number(need.participants_each),
            "while all nodes work: the spare ones take their share".to_owned(),
        ),
        (
            "memory a node",
            number(need.memory_mib_each),
            "MiB for participants, beside the server's own, when as many nodes as are spare have failed".to_owned(),
        ),
        (
            "bandwidth a node",
            number(need.mbit_each),
            "Mbit/s in, and as much out, when as many nodes as are spare have failed".to_owned(),
        ),
    ];
    for (name, value, words) in lines {
        _ = writeln!(text, "  {name:<20} {value:>10}  {words}");
    }
    text
}

/// Measures the costs with three short plans: few people in one conference, more, and as many as those in many conferences.
pub fn calibrate(source: &Source, onlooker: Onlooker<'_>) -> Result<Costs, Failure> {
    let few = measured(1, 10, source, onlooker)?;
    let one = measured(1, 60, source, onlooker)?;
    let many = measured(15, 4, source, onlooker)?;
    costs(&few, &one, &many)
}

fn measured(
    conferences: usize,
    participants: usize,
    source: &Source,
    onlooker: Onlooker<'_>,
) -> Result<Outcome, Failure> {
    let text = format!(
        "name = \"calibration-{conferences}\"\nabout = \"{conferences} conferences of {participants}\"\n\
         [shape]\nconferences = {conferences}\nparticipants = {participants}\ntalkers = 2\nhold_seconds = 20\n\
         [arrivals]\nper_second = 60\n[check]\nhearing = false\n[generator]\nothers_percent = 100\n[thresholds]\nfailures = 0\nloss_percent = 1\n"
    );
    let outcome = crate::run::run(&Plan::parse(&text)?, source, onlooker)?;
    match outcome.verdict {
        Verdict::Pass | Verdict::Info => Ok(outcome),
        Verdict::Invalid => Err(Failure(format!("the generator was saturated: {}", outcome.doubts.join("; ")))),
        Verdict::Fail => Err(Failure(format!("the measurement failed: {}", outcome.broken().join("; ")))),
    }
}

/// Two equations, two unknowns: participants and conferences.
fn costs(few: &Outcome, one: &Outcome, many: &Outcome) -> Result<Costs, Failure> {
    let busy = |outcome: &Outcome| outcome.value("cpu_ms") * outcome.plan.callers() as f64;
    let memory = |outcome: &Outcome| outcome.value("memory_kib") * outcome.plan.callers() as f64;
    let rooms = |outcome: &Outcome| outcome.plan.shape.conferences as f64;
    let (participant_ms, conference_ms) =
        solved((rooms(one), busy(one)), (rooms(many), busy(many)), one.plan.callers() as f64);
    let costs = Costs {
        machine: one.machine.clone(),
        participant_ms,
        conference_ms,
        participant_kib: growth(memory(few), memory(one).max(memory(many)), few.plan.callers(), one.plan.callers()),
        participant_kbit: one.value("kbit_each").max(many.value("kbit_each")),
        // Too little to be told from noise is next to nothing.
        join_ms: one.value("join_cpu_ms").max(many.value("join_cpu_ms")).max(0.0),
        cores: one.machine["cores"].as_f64().unwrap_or(1.0),
    };
    let known =
        [costs.participant_ms, costs.conference_ms, costs.participant_kib, costs.participant_kbit, costs.join_ms];
    if known.iter().any(|cost| !cost.is_finite()) {
        return Err(Failure("the server's process cannot be seen; start it here, or name it with --pid".to_owned()));
    }
    Ok(costs)
}

/// What each participant more takes, without what the first calls take whatever their number.
fn growth(of_few: f64, of_more: f64, few: usize, more: usize) -> f64 {
    ((of_more - of_few) / (more as f64 - few as f64)).max(0.0)
}

/// Costs of a participant and a conference from two points (conferences, processor time) with as many participants.
fn solved(one: (f64, f64), many: (f64, f64), participants: f64) -> (f64, f64) {
    let conference = ((many.1 - one.1) / (many.0 - one.0)).max(0.0);
    (((one.1 - one.0 * conference) / participants).max(0.0), conference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Costs {
        Costs {
            machine: serde_json::Value::Null,
            participant_ms: 0.5,
            conference_ms: 5.0,
            participant_kib: 100.0,
            participant_kbit: 50.0,
            join_ms: 2.0,
            cores: 4.0,
        }
    }

    const HABITS: Habits = Habits {
        users: 40_000.0,
        in_conference: 5.0,
        size: 4.0,
        by_telephone: 10.0,
        minutes: 30.0,
        load: 50.0,
        spare: 1.0,
        cores: None,
    };

    #[test]
    fn ten_times_the_users_need_ten_times_the_work() {
        let need = plan(&example(), &HABITS);
        assert_eq!((need.participants, need.conferences, need.by_telephone), (2_000.0, 500.0, 200.0));
        // 2,000 x 0.5 ms + 500 x 5 ms + 1.1 x 2 ms are 3.5 cores: two nodes of two usable cores, and the spare one.
        assert!((need.cores - 3.502).abs() < 0.001);
        assert_eq!((need.nodes, need.mbit_each), (3.0, 50.0));
        let more = plan(&example(), &Habits { users: 400_000.0, ..HABITS });
        assert!((more.cores - 10.0 * need.cores).abs() < 1e-9);
        let text = describe(&example(), &HABITS, &need);
        assert!(text.contains("while all nodes work") && text.matches("when as many nodes as are spare").count() == 2);
        assert!(text.contains("2 for the work and 1 spare, of 4 cores at 50 %"), "{text}");
        assert_eq!(plan(&example(), &Habits { users: 1.0, spare: 0.0, ..HABITS }).nodes, 1.0);
    }

    #[test]
    fn all_but_one_call_in_a_hundred_find_a_line() {
        // Published tables of Erlang B, 1 %.
        assert_eq!([0.0, 0.01, 4.46, 84.0].map(lines), [0.0, 1.0, 10.0, 100.0]);
    }

    #[test]
    fn memory_is_what_more_people_take_more() {
        assert_eq!(growth(2_400.0 + 190.0, 2_400.0 + 1_140.0, 10, 60), 19.0);
    }

    #[test]
    fn a_cost_below_nothing_is_refused_with_its_key() {
        let text = serde_json::to_string(&Costs { participant_ms: -3.0, ..example() }).expect("JSON");
        let Err(Failure(why)) = Costs::parse(&text) else { panic!("it is taken") };
        assert_eq!(why, "participant_ms = -3: write a cost of 0 or more");
        let text = serde_json::to_string(&example()).expect("JSON");
        assert_eq!(Costs::parse(&text).ok(), Some(example()));
    }

    #[test]
    fn the_equations_are_solved() {
        assert_eq!(solved((1.0, 35.0), (15.0, 105.0), 60.0), (0.5, 5.0));
        assert_eq!(solved((1.0, 35.0), (15.0, 20.0), 60.0).1, 0.0, "noise makes no cost negative");
    }
}
