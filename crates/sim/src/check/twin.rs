//! A second machine of response groups, told what the journal says that the engine's was told. It must decide the same
//! (I16), and its inside and its outputs are looked at after each input: every invariant of routing.md 3.5.

use std::collections::VecDeque;

use base::{CallId, Timestamp};
use response_group::watch::Watch;
use response_group::{Domain, Entry, Outcome, Output};

/// The second machine, and who watches it.
#[derive(Debug)]
pub(super) struct Twin {
    domain: Domain,
    watch: Watch,
    at: Timestamp,
    /// What it decided and the engine has not written down yet.
    decisions: VecDeque<Entry>,
    outcomes: Vec<(CallId, Outcome)>,
}

impl Twin {
    /// Takes one line of the journal in; the first one makes the twin.
    pub(super) fn follow(twin: &mut Option<Self>, entry: &Entry) -> Result<(), String> {
        match (twin, entry) {
            (twin @ None, Entry::Opened { at, config }) => {
                let domain = Domain::new(*at, (**config).clone()).map_err(|problems| format!("{problems:?}"))?;
                let (watch, decisions) = (Watch::new(*at, config), VecDeque::new());
                let mut new = Self { domain, watch, at: *at, decisions, outcomes: Vec::new() };
                new.look()?;
                *twin = Some(new);
                Ok(())
            }
            (Some(twin), Entry::Told { at, told, .. }) => {
                if let Some(forgotten) = twin.decisions.front() {
                    return Err(format!("I16: the engine did not write down {forgotten:?}"));
                }
                twin.at = *at;
                twin.watch.told(*at, told);
                twin.domain.handle(*at, told.clone());
                twin.look()
            }
            (Some(twin), Entry::Decided { .. }) => match twin.decisions.pop_front() {
                Some(own) if own == *entry => Ok(()),
                own => Err(format!("I16: the engine decided {entry:?}, a replay {own:?}")),
            },
            (_, entry) => Err(format!("the journal does not begin as one does, or begins again: {entry:?}")),
        }
    }

    fn look(&mut self) -> Result<(), String> {
        while let Some(output) = self.domain.poll_output() {
            self.watch.saw(self.at, &output);
            match output {
                Output::Journal(entry) if matches!(*entry, Entry::Decided { .. }) => self.decisions.push_back(*entry),
                Output::Cdr(record) => self.outcomes.push((record.call, record.outcome)),
                _ => {}
            }
        }
        self.watch.end_of_step(self.at);
        match self.watch.faults.iter().chain(&self.domain.breaches()).next() {
            Some(fault) => Err(fault.clone()),
            None => Ok(()),
        }
    }

    /// How calls ended since this was asked last.
    pub(super) fn take_outcomes(&mut self) -> Vec<(CallId, Outcome)> {
        std::mem::take(&mut self.outcomes)
    }

    /// What follows from the last line of a journal need not have been written down when the process died.
    pub(super) fn forget_decisions(&mut self) {
        self.decisions.clear();
    }

    pub(super) fn at_rest(&mut self) -> Result<(), String> {
        self.watch.at_rest(self.at);
        self.watch.faults.first().map_or(Ok(()), |fault| Err(fault.clone()))
    }
}
