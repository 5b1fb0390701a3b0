//! Which numbers a plan may hold: the one place that knows the range of each, and which of them contradict each other.

use testkit::tone::TONES;

use crate::Failure;
use crate::plan::{Plan, bounds};

/// Callers of one plan at most: each has a socket of this process, and audio ports of the server.
const CALLERS_MAX: usize = 10_000;
/// Seconds of a day: the longest that anything lasts.
const DAY: f64 = 86_400.0;

/// A number of a plan: its section and key, its value, and the least and the greatest that mean something.
type Ranged = (&'static str, &'static str, f64, f64, f64);

/// Refuses a plan with a number out of range, or with numbers that contradict each other.
///
/// # Errors
/// With the key, its value and what may stand there.
pub(super) fn check(plan: &Plan) -> Result<(), Failure> {
    for (section, key, value, least, most) in numbers(plan) {
        // NaN is within nothing.
        if !(least..=most).contains(&value) {
            return Err(Failure(format!("[{section}] {key} = {value}: write a number from {least} to {most}")));
        }
    }
    contradiction(plan).or_else(|| bounds::unreachable(plan)).map_or(Ok(()), |why| Err(Failure(why)))
}

fn numbers(plan: &Plan) -> Vec<Ranged> {
    let (shape, callers, arrivals) = (&plan.shape, &plan.callers, &plan.arrivals);
    let (network, check, generator) = (&plan.network, &plan.check, &plan.generator);
    let (bad, many) = (&network.impairment, CALLERS_MAX as f64);
    let mut all = vec![
        ("shape", "conferences", shape.conferences as f64, 1.0, many / 2.0),
        ("shape", "participants", shape.participants as f64, 2.0, many),
        ("shape", "talkers", shape.talkers as f64, 0.0, many),
        ("shape", "turn_seconds", shape.turn_seconds, 0.0, DAY),
        ("shape", "settle_seconds", shape.settle_seconds, 0.0, DAY),
        ("shape", "hold_seconds", shape.hold_seconds, 0.1, DAY),
        ("callers", "codecs.opus", callers.codecs.opus, 0.0, 1e6),
        ("callers", "codecs.pcmu", callers.codecs.pcmu, 0.0, 1e6),
        ("callers", "codecs.pcma", callers.codecs.pcma, 0.0, 1e6),
        ("callers", "registered", callers.registered, 0.0, 100.0),
        ("callers", "dialled_out", callers.dialled_out, 0.0, 100.0),
        ("callers", "drift_ppm", callers.drift_ppm, 0.0, 1_000.0),
        ("arrivals", "per_second", arrivals.per_second, 0.01, 1e5),
        ("arrivals", "churn_per_second", arrivals.churn_per_second, 0.0, 1_000.0),
        ("network", "callers", network.callers, 0.0, 100.0),
        ("network", "delay_ms", bad.delay_ms, 0.0, 10_000.0),
        ("network", "jitter_ms", bad.jitter_ms, 0.0, 10_000.0),
        ("network", "reorder", bad.reorder, 0.0, 100.0),
        ("network", "loss", bad.loss, 0.0, 100.0),
        ("network", "burst", bad.burst, 0.0, 10_000.0),
        ("network", "rate_kbit", bad.rate_kbit, 0.0, 1e7),
        ("network", "cut_every_seconds", bad.cut_every_seconds, 0.0, DAY),
        ("network", "cut_seconds", bad.cut_seconds, 0.0, DAY),
        ("check", "speakers", check.speakers as f64, 1.0, TONES.len() as f64),
        ("check", "together", check.together as f64, 1.0, 4.0),
        ("generator", "threads", generator.threads as f64, 1.0, 16.0),
        ("generator", "late_p99_ms", generator.late_p99_ms, 0.0, 1_000.0),
        ("generator", "busy_percent", generator.busy_percent, 0.0, 100.0),
        ("generator", "others_percent", generator.others_percent, 0.0, 100.0),
    ];
    if let Some(search) = &plan.search {
        all.extend([
            ("search", "steps", search.steps as f64, 1.0, 1_000.0),
            ("search", "attempts", search.attempts as f64, 1.0, 100.0),
            ("search", "more_conferences", search.more_conferences as f64, 0.0, many),
            ("search", "more_participants", search.more_participants as f64, 0.0, many),
            ("search", "conferences_percent", search.conferences_percent, 0.0, 1_000.0),
            ("search", "participants_percent", search.participants_percent, 0.0, 1_000.0),
        ]);
    }
    for (section, bounds) in [("thresholds", &plan.thresholds), ("goals", &plan.goals), ("stretch", &plan.stretch)] {
        all.extend(
            bounds.set().map(|(measure, bound)| (section, measure.name, bound, measure.range.0, measure.range.1)),
        );
    }
    if let Some(beside) = &plan.beside {
        all.push(("beside", "cpu_more_percent", beside.cpu_more_percent, 0.0, 1_000.0));
        all.extend(beside.stretch_percent.map(|percent| ("beside", "stretch_percent", percent, 0.0, 1_000.0)));
    }
    all
}

/// What no number by itself tells.
fn contradiction(plan: &Plan) -> Option<String> {
    let (shape, callers, bad) = (&plan.shape, &plan.callers, &plan.network.impairment);
    let all = plan.callers();
    if all > CALLERS_MAX {
        let (conferences, participants) = (shape.conferences, shape.participants);
        return Some(format!(
            "[shape] conferences = {conferences} times participants = {participants} are {all} callers: at most {CALLERS_MAX}"
        ));
    }
    if shape.talkers > shape.participants {
        let (talkers, participants) = (shape.talkers, shape.participants);
        return Some(format!("[shape] talkers = {talkers}: not more than participants = {participants}"));
    }
    if callers.codecs.opus + callers.codecs.pcmu + callers.codecs.pcma <= 0.0 {
        return Some("[callers] codecs: at least one has a share of more than 0".to_owned());
    }
    if callers.registered + callers.dialled_out > 100.0 {
        let (registered, dialled_out) = (callers.registered, callers.dialled_out);
        return Some(format!(
            "[callers] registered = {registered} and dialled_out = {dialled_out}: together at most 100, for who is called does not call"
        ));
    }
    if bad.cut_seconds > bad.cut_every_seconds {
        let (cut, every) = (bad.cut_seconds, bad.cut_every_seconds);
        return Some(format!("[network] cut_seconds = {cut}: not more than cut_every_seconds = {every}"));
    }
    let raises = plan.search.as_ref().is_none_or(|search| {
        search.more_participants + search.more_conferences > 0
            || search.participants_percent + search.conferences_percent > 0.0
    });
    (!raises).then(|| "[search] says neither more_participants nor more_conferences, nor either in percent".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(more: &str) -> String {
        let shape = if more.contains("[shape]") {
            ""
        } else {
            "[shape]\nconferences = 2\nparticipants = 5\nhold_seconds = 4\n"
        };
        let text = format!("name = 'x'\nabout = 'y'\n{shape}{more}");
        Plan::parse(&text).map_or_else(|why| why.0, |_| format!("accepted: {more}"))
    }

    #[test]
    fn every_number_has_a_range_and_its_refusal_names_key_value_and_remedy() {
        let cases = [
            ("[arrivals]\nper_second = nan\n", "[arrivals] per_second = NaN: write a number from 0.01 to 100000"),
            ("[arrivals]\nper_second = 1e-300\n", "per_second"),
            ("[arrivals]\nchurn_per_second = -1\n", "churn_per_second = -1"),
            ("[arrivals]\nchurn_per_second = 1e12\n", "churn_per_second"),
            ("[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = nan\n", "[shape] hold_seconds = NaN"),
            ("[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = inf\n", "hold_seconds = inf"),
            ("[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 1e30\n", "hold_seconds"),
            ("[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 1\nturn_seconds = -1\n", "turn_seconds = -1"),
            ("[shape]\nconferences = 9223372036854775807\nparticipants = 2\nhold_seconds = 1\n", "conferences"),
            ("[shape]\nconferences = 5000\nparticipants = 9000\nhold_seconds = 1\n", "45000000 callers: at most 10000"),
            ("[callers]\ncodecs = { opus = -100, pcmu = 150 }\n", "codecs.opus = -100"),
            ("[callers]\ncodecs = { opus = nan }\n", "codecs.opus = NaN"),
            ("[network]\ndelay_ms = -1\n", "delay_ms = -1"),
            ("[network]\njitter_ms = -1\n", "jitter_ms"),
            ("[network]\nrate_kbit = -1\n", "rate_kbit"),
            ("[generator]\nlate_p99_ms = -1\n", "late_p99_ms"),
            ("[generator]\nbusy_percent = nan\n", "busy_percent = NaN"),
            ("[thresholds]\nloss_percent = nan\n", "[thresholds] loss_percent = NaN"),
            ("[thresholds]\nloss_percent = -5\n", "[thresholds] loss_percent = -5: write a number from 0 to 100"),
            ("[thresholds]\nlate_ticks_percent = 101\n", "late_ticks_percent = 101: write a number from 0 to 100"),
            ("[thresholds]\nmos_p05 = 9\n", "[thresholds] mos_p05 = 9: write a number from 1 to 4.4"),
            ("[goals]\nmos_median = 0.5\n", "[goals] mos_median = 0.5: write a number from 1 to 4.4"),
            ("[thresholds]\nfailures = -1\n", "[thresholds] failures = -1: write a number from 0"),
            ("[thresholds]\nown_voice_db = 50\n", "own_voice_db = 50: write a number from -100 to 0"),
            ("[stretch]\nmemory_kib = -1\n", "[stretch] memory_kib = -1"),
            ("[beside]\nplan = 'z'\ncpu_more_percent = -1\n", "[beside] cpu_more_percent = -1"),
        ];
        for (more, words) in cases {
            assert!(fault(more).contains(words), "{more}: {}", fault(more));
        }
    }

    #[test]
    fn numbers_that_contradict_each_other_are_refused() {
        let cases = [
            ("[callers]\nregistered = 80\ndialled_out = 80\n", "together at most 100"),
            ("[network]\ncut_every_seconds = 2\ncut_seconds = 3\n", "not more than cut_every_seconds = 2"),
            (
                "[shape]\nconferences = 1\nparticipants = 2\nhold_seconds = 1\ntalkers = 3\n",
                "not more than participants = 2",
            ),
            ("[search]\nsteps = 3\n", "neither"),
        ];
        for (more, words) in cases {
            assert!(fault(more).contains(words), "{more}: {}", fault(more));
        }
    }
}
