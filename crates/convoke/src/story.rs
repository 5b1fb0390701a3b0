//! `convoke explain call` and `convoke replay`: what the response groups decided, and why, from their journal.

use std::fmt::Write as _;
use std::path::Path;

use base::Timestamp;
use engine::GroupJournal;
use response_group::{Entry, Output, Why};

use crate::journal;

/// The story of a response group's call, by its Call-ID or number; `None` when it is not in the journal.
pub(crate) fn explain(path: &Path, reference: &str) -> Result<Option<String>, String> {
    let told = |path: &Path| response_group::explain(&entries(path)?, reference).map_err(|error| broken(path, &error));
    // Of a call that was over when this journal began, the one before tells.
    let old = path.with_extension("journal.old");
    let story = match told(path)? {
        None if old.exists() => told(&old)?,
        story => story,
    };
    let Some(story) = story else { return Ok(None) };
    let began = story.lines.first().map_or(Timestamp::ZERO, |line| line.at);
    let mut text = format!("call {}  (Call-ID {})\n", story.call, story.reference);
    for line in &story.lines {
        let after = line.at.since(began);
        writeln!(text, "{:>9.3} s  {}", after.as_secs_f64(), line.what).expect("a String takes everything");
        for agent in &line.agents {
            writeln!(text, "             {} [{}]: {}", agent.agent, agent.agent_group, said(&agent.why, began))
                .expect("a String takes everything");
        }
    }
    Ok(Some(text))
}

/// Replays a journal: the decisions, and whether they are byte for byte those that were written down.
pub(crate) fn replay(path: &Path) -> Result<String, String> {
    let (entries, torn) = whole_entries(path)?;
    if entries.is_empty() {
        return Err(format!("{}: there is no journal, or nothing is in it", path.display()));
    }
    let (_, outputs) = response_group::replay(&entries).map_err(|error| broken(path, &error))?;
    let decisions = outputs.into_iter().filter_map(|output| match output {
        Output::Journal(entry) => Some(*entry),
        _ => None,
    });
    let again: Vec<String> = decisions.filter_map(|entry| decided(&entry)).collect();
    let written: Vec<String> = entries.iter().filter_map(decided).collect();
    if let Some(place) = (0..written.len().max(again.len())).find(|place| written.get(*place) != again.get(*place)) {
        let shown = |lines: &[String]| lines.get(place).cloned().unwrap_or_else(|| "nothing".to_owned());
        return Err(format!(
            "decision {} differs\nwritten:  {}\nreplayed: {}",
            place + 1,
            shown(&written),
            shown(&again)
        ));
    }
    let inputs = entries.iter().filter(|entry| matches!(entry, Entry::Told { .. })).count();
    let mut text = again.join("\n");
    writeln!(text, "\n{inputs} inputs replayed; {} decisions, byte for byte those of the journal", again.len())
        .expect("a String takes everything");
    if torn > 0 {
        writeln!(text, "the last line is torn: {torn} bytes at the end of the file were left out, as a start does")
            .expect("a String takes everything");
    }
    Ok(text)
}

fn decided(entry: &Entry) -> Option<String> {
    match entry {
        Entry::Decided { .. } => serde_json::to_string(entry).ok(),
        Entry::Opened { .. } | Entry::Checkpoint { .. } | Entry::Told { .. } => None,
    }
}

fn entries(path: &Path) -> Result<Vec<Entry>, String> {
    whole_entries(path).map(|(entries, _)| entries)
}

/// The machine's entries, and how many bytes of a torn line stand behind them.
fn whole_entries(path: &Path) -> Result<(Vec<Entry>, u64), String> {
    let (records, sound) = journal::read(path)?;
    let torn = std::fs::metadata(path).map_or(0, |file| file.len().saturating_sub(sound));
    let machine = records.into_iter().filter_map(|record| match record {
        GroupJournal::Machine(entry) => Some(entry),
        GroupJournal::Wire(_) => None,
    });
    Ok((machine.collect(), torn))
}

fn broken(path: &Path, error: &response_group::JournalError) -> String {
    format!("{}: the journal cannot be replayed: {error}", path.display())
}

/// Why an agent was or was not rung, in words.
fn said(why: &Why, began: Timestamp) -> String {
    let until = |until: &Timestamp| format!("until {:.3} s", until.since(began).as_secs_f64());
    match why {
        Why::Ready => "ready".to_owned(),
        Why::RingsForThis => "his phone rings for this call".to_owned(),
        Why::RingsForAnother { call } => format!("his phone rings for call {call}"),
        Why::Draining => "his phone is still being silenced".to_owned(),
        Why::Talking => "he talks".to_owned(),
        Why::WrapUp { until: at } => format!("pause after a conversation, {}", until(at)),
        Why::CoolDown { until: at } => format!("pause after a refused offer, {}", until(at)),
        Why::Paused { until: at } => format!("paused, {}", until(at)),
        Why::Tried => "tried in this pass".to_owned(),
        Why::Declined { until: at } => format!("he declined this call or something else answered it, {}", until(at)),
        Why::Ineligible { reason } => format!("not offered: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use response_group::{Config, Domain};

    use super::*;

    #[test]
    fn a_replay_says_that_a_torn_end_was_left_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("response-groups.journal");
        let mut domain = Domain::new(Timestamp::ZERO, Config::default()).expect("no groups are valid");
        let Some(Output::Journal(entry)) = domain.poll_output() else {
            panic!("a journal begins with how it was opened")
        };
        let line = serde_json::to_string(&GroupJournal::Machine(*entry)).expect("it can be written") + "\n";
        std::fs::write(&path, &line).expect("written");
        assert!(!replay(&path).expect("it can be replayed").contains("torn"));
        std::fs::write(&path, line.clone() + &line[..10]).expect("written");
        let told = replay(&path).expect("it can be replayed");
        assert!(told.contains("the last line is torn: 10 bytes at the end"), "{told}");
    }
}
