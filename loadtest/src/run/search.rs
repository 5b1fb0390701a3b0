//! How much a machine holds: a plan is repeated with more and more callers until a bound breaks.

use crate::Failure;
use crate::plan::{Plan, Search};
use crate::run::Onlooker;
use crate::run::figure::Verdict;
use crate::run::outcome::Outcome;
use crate::target::Source;

/// What a search found.
pub struct Climb {
    /// All steps in their order. The last one is the one that broke, marked as [`Outcome::limit`], if one did.
    pub outcomes: Vec<Outcome>,
}

impl Climb {
    /// Callers of the last step that passed.
    pub fn held(&self) -> usize {
        let passed = self.outcomes.iter().rev().find(|outcome| outcome.verdict == Verdict::Pass);
        passed.map_or(0, |outcome| outcome.plan.callers())
    }

    /// The last step that passed, or the first if none did, with the callers it held as a figure.
    pub fn summary(&self) -> Option<Outcome> {
        let held = self.held();
        let passed = self.outcomes.iter().rev().find(|outcome| outcome.verdict == Verdict::Pass);
        let mut outcome = passed.or(self.outcomes.first())?.clone();
        outcome.set("callers_held", held as f64);
        Some(outcome)
    }

    /// The result in a sentence.
    pub fn sentence(&self) -> String {
        let (held, name) = (self.held(), self.outcomes.first().map_or("", |outcome| &outcome.plan.name));
        match self.outcomes.last().filter(|outcome| outcome.verdict != Verdict::Pass) {
            None => format!("{name}: {held} callers held, and no threshold broke"),
            Some(last) => {
                let why = match last.verdict {
                    Verdict::Invalid => "the generator gave out",
                    _ if last.broke_off => "the run broke off",
                    _ => "a threshold broke",
                };
                format!("{name}: {held} callers held; at {} {why}", last.plan.callers())
            }
        }
    }
}

/// Raises the load until a bound breaks; `told` hears of each step.
///
/// # Errors
/// When a step could not be run at all.
pub fn climb(
    plan: &Plan,
    search: Search,
    source: &Source,
    retries: usize,
    onlooker: Onlooker<'_>,
    told: &mut dyn FnMut(&Outcome),
) -> Result<Climb, Failure> {
    let mut outcomes: Vec<Outcome> = Vec::new();
    for step in 0..search.steps {
        let mut outcome = attempt(&plan.at_step(step), search, source, retries, onlooker)?;
        let ended = outcome.verdict != Verdict::Pass;
        // The first step is what the plan asks for at least; whatever ends a later one is the answer, and no failure,
        // unless the server ended with it.
        outcome.limit = ended && !outcomes.is_empty() && !outcome.broke_off;
        told(&outcome);
        outcomes.push(outcome);
        if ended {
            break;
        }
    }
    Ok(Climb { outcomes })
}

/// One step. A bound of nothing at all breaks by one hiccup of the machine: a step that fails is tried again.
fn attempt(
    plan: &Plan,
    search: Search,
    source: &Source,
    retries: usize,
    onlooker: Onlooker<'_>,
) -> Result<Outcome, Failure> {
    let mut outcome = super::run_again(plan, source, retries, onlooker)?;
    for _ in 1..search.attempts {
        if outcome.verdict != Verdict::Fail {
            break;
        }
        let broken = outcome.broken().join(", ");
        let earlier = std::mem::take(&mut outcome.earlier);
        outcome = super::run_again(plan, source, retries, onlooker)?;
        outcome.earlier.splice(0..0, earlier.into_iter().chain([format!("FAIL ({broken})")]));
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(participants: usize, verdict: Verdict) -> Outcome {
        let text = format!(
            "name = 'x'\nabout = 'y'\n[shape]\nconferences = 1\nparticipants = {participants}\nhold_seconds = 4\n"
        );
        Outcome::with_value(&Plan::parse(&text).expect("valid"), "loss_percent", 0.0, verdict)
    }

    #[test]
    fn the_answer_is_the_last_step_that_passed() {
        let climb =
            Climb { outcomes: vec![step(100, Verdict::Pass), step(200, Verdict::Pass), step(300, Verdict::Fail)] };
        assert_eq!(climb.held(), 200);
        assert_eq!(climb.summary().map(|outcome| outcome.value("callers_held")), Some(200.0));
        assert_eq!(climb.sentence(), "x: 200 callers held; at 300 a threshold broke");
        let none = Climb { outcomes: vec![step(100, Verdict::Invalid)] };
        assert_eq!((none.held(), none.sentence().ends_with("at 100 the generator gave out")), (0, true));
    }

    #[test]
    fn where_a_search_ended_is_no_failure_but_its_first_step_is() {
        let mut limit = step(200, Verdict::Fail);
        limit.limit = true;
        let all = [step(100, Verdict::Pass), limit];
        assert_eq!(crate::run::outcome::exit_code(&all), 0);
        assert_eq!(crate::run::outcome::exit_code(&[step(100, Verdict::Fail)]), 1);
    }
}
