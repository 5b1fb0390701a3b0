//! Which bounds a plan may set: those that its run measures, and that some server could meet.
//!
//! A bound that nothing measures breaks in every run, and looks as if the server had.

use crate::plan::{Measure, Plan};
use crate::run::score::Score;

/// Why a bound of the plan can never be met, and what to write instead: of the first one that cannot.
pub(super) fn unreachable(plan: &Plan) -> Option<String> {
    let sections = [("thresholds", &plan.thresholds), ("goals", &plan.goals), ("stretch", &plan.stretch)];
    let mut all = sections.into_iter().flat_map(|(section, bounds)| bounds.set().map(move |bound| (section, bound)));
    all.find_map(|(section, (measure, bound))| {
        let why = unmeasured(plan, section, measure)
            .or_else(|| out_of_reach(plan, measure, bound))
            .or_else(|| (section == "stretch").then(|| no_stretch(plan, measure, bound)).flatten())?;
        Some(format!("[{section}] {} = {bound}: {why}", measure.name))
    })
    .or_else(|| of_beside(plan))
}

/// Why no run of the plan measures it.
fn unmeasured(plan: &Plan, section: &str, measure: &Measure) -> Option<String> {
    let why = match measure.name {
        "callers_held" if section == "thresholds" => "no single run tells it; write it in [goals]",
        "callers_held" if plan.search.is_none() => "only a search tells it; write [search]",
        "hearing_wrong" | "own_voice_db" if !plan.check.hearing => {
            "only the roll call tells it; write hearing = true in [check]"
        }
        "delay_p50_ms" | "delay_p99_ms" | "chirps_lost_percent" if !plan.check.delay => {
            "only chirps tell it; write delay = true in [check]"
        }
        "delay_p50_ms" | "delay_p99_ms" | "chirps_lost_percent" if !somebody_hears_chirps(plan) => {
            "chirps are between callers of one conference with a good network, and no two have it; write fewer callers in [network]"
        }
        _ => return None,
    };
    Some(why.to_owned())
}

fn somebody_hears_chirps(plan: &Plan) -> bool {
    Score::new(plan).ears().next().is_some()
}

/// Why the figure never becomes that good.
fn out_of_reach(plan: &Plan, measure: &Measure, bound: f64) -> Option<String> {
    let callers = plan.callers() as f64;
    match (measure.name, &plan.search) {
        ("callers_held", Some(search)) => {
            let most = plan.at_step(search.steps - 1).callers();
            (bound > most as f64).then(|| format!("the search ends at {most} callers; write more steps in [search]"))
        }
        ("joins_per_second", _) => {
            // The first of them comes at once.
            let most = plan.arrivals.per_second * callers / (callers - 1.0);
            let come = plan.arrivals.per_second;
            (bound > most).then(|| format!("only {come} come in a second; write a greater per_second in [arrivals]"))
        }
        _ => None,
    }
}

fn no_stretch(plan: &Plan, measure: &Measure, bound: f64) -> Option<String> {
    match plan.goals.set().find(|(other, _)| *other == measure) {
        None => Some(format!("write {} in [goals] too", measure.name)),
        Some((_, goal)) if !measure.is_met(bound, goal) => Some(format!("the goal is better: {goal}")),
        Some(_) => None,
    }
}

fn of_beside(plan: &Plan) -> Option<String> {
    let beside = plan.beside.as_ref()?;
    if beside.plan == plan.name {
        return Some(format!("[beside] plan = {:?}: name another plan than this one", beside.plan));
    }
    let (more, stretch) = (beside.cpu_more_percent, beside.stretch_percent?);
    (stretch > more).then(|| format!("[beside] stretch_percent = {stretch}: not more than cpu_more_percent = {more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(more: &str) -> Option<String> {
        let shape = "[shape]\nconferences = 2\nparticipants = 5\nhold_seconds = 4\n";
        Plan::parse(&format!("name = 'x'\nabout = 'y'\n{shape}{more}")).err().map(|why| why.0)
    }

    #[test]
    fn a_bound_that_can_never_be_met_is_refused_with_its_remedy() {
        let chirps = "only chirps tell it; write delay = true in [check]";
        let roll_call = "only the roll call tells it; write hearing = true in [check]";
        let search = "[search]\nmore_participants = 5\nsteps = 4\n";
        let all_bad = "[check]\ndelay = true\n[network]\ncallers = 100\nloss = 5\n";
        let cases = [
            ("[thresholds]\ndelay_p99_ms = 50\n", format!("[thresholds] delay_p99_ms = 50: {chirps}")),
            ("[goals]\ndelay_p50_ms = 40\n", format!("[goals] delay_p50_ms = 40: {chirps}")),
            ("[thresholds]\nchirps_lost_percent = 5\n", chirps.to_owned()),
            ("[check]\nhearing = false\n[thresholds]\nhearing_wrong = 0\n", roll_call.to_owned()),
            ("[check]\nhearing = false\n[thresholds]\nown_voice_db = -50\n", roll_call.to_owned()),
            (&format!("{all_bad}[thresholds]\ndelay_p99_ms = 150\n"), "write fewer callers in [network]".to_owned()),
            ("[thresholds]\ncallers_held = 10\n", "no single run tells it; write it in [goals]".to_owned()),
            (&format!("{search}[thresholds]\ncallers_held = 10\n"), "write it in [goals]".to_owned()),
            ("[goals]\ncallers_held = 10\n", "write [search]".to_owned()),
            (&format!("{search}[goals]\ncallers_held = 41\n"), "the search ends at 40 callers".to_owned()),
            ("[thresholds]\njoins_per_second = 56\n", "only 50 come in a second".to_owned()),
            ("[stretch]\ncpu_ms = 0.3\n", "[stretch] cpu_ms = 0.3: write cpu_ms in [goals] too".to_owned()),
            ("[goals]\ncpu_ms = 0.3\n[stretch]\ncpu_ms = 0.4\n", "the goal is better: 0.3".to_owned()),
            ("[beside]\nplan = 'x'\ncpu_more_percent = 5\n", "[beside] plan = \"x\": name another".to_owned()),
            (
                "[beside]\nplan = 'z'\ncpu_more_percent = 5\nstretch_percent = 6\n",
                "[beside] stretch_percent = 6: not more than cpu_more_percent = 5".to_owned(),
            ),
        ];
        for (more, words) in cases {
            let fault = fault(more).unwrap_or_default();
            assert!(fault.contains(&words), "{more}: {fault:?}");
        }
    }

    #[test]
    fn a_bound_that_can_be_met_is_none_of_our_business() {
        for more in [
            "[check]\ndelay = true\n[network]\ncallers = 50\n[thresholds]\ndelay_p99_ms = 50\nchirps_lost_percent = 0\n",
            "[thresholds]\nhearing_wrong = 0\nown_voice_db = -50\nmos_p05 = 4.4\njoins_per_second = 55\n",
            "[search]\nmore_participants = 5\nsteps = 4\n[goals]\ncallers_held = 30\n[stretch]\ncallers_held = 40\n",
            "[beside]\nplan = 'z'\ncpu_more_percent = 25\nstretch_percent = 15\n",
        ] {
            assert_eq!(fault(more), None, "{more}");
        }
    }
}
