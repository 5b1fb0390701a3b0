//! A wallboard that was shown once and has only heard the events since: it must still show what is.

use std::collections::BTreeMap;

use base::UserUri;
use engine::EngineEvent;
use response_group::{AgentStatus, Snapshot, WallboardEvent};

/// What somebody knows who was shown the wallboard when the process began.
#[derive(Debug, PartialEq)]
pub(super) struct Board {
    waiting: BTreeMap<UserUri, u32>,
    agents: BTreeMap<UserUri, AgentStatus>,
}

impl Board {
    pub(super) fn shown(snapshot: &Snapshot) -> Self {
        let waiting = snapshot.groups.iter().map(|group| (group.uri.clone(), group.waiting));
        let agents = snapshot.agents.iter().map(|agent| (agent.uri.clone(), agent.status.clone()));
        Self { waiting: waiting.collect(), agents: agents.collect() }
    }

    /// Something is told. Each who begins to wait or ceases to makes a difference of one.
    pub(super) fn hears(&mut self, event: &EngineEvent) -> Result<(), String> {
        let (group, before, waiting) = match event {
            EngineEvent::Wallboard(WallboardEvent::Queued { group, waiting }) => {
                (group, waiting.checked_sub(1), waiting)
            }
            // Whoever was turned away never waited.
            EngineEvent::Wallboard(WallboardEvent::LeftQueue { group, waiting, waited_millis: 0, .. })
                if self.waiting.get(group) == Some(waiting) =>
            {
                return Ok(());
            }
            EngineEvent::Wallboard(WallboardEvent::LeftQueue { group, waiting, .. }) => {
                (group, waiting.checked_add(1), waiting)
            }
            EngineEvent::GroupAgent { agent, state } => {
                self.agents.insert(agent.clone(), state.clone());
                return Ok(());
            }
            _ => return Ok(()),
        };
        let known = self.waiting.insert(group.clone(), *waiting);
        if known == before {
            return Ok(());
        }
        Err(format!("who follows the events of {group} knows of {known:?} waiting, and is told {event:?}"))
    }

    /// What is shown now is what he knows.
    pub(super) fn agrees_with(&self, snapshot: &Snapshot) -> Result<(), String> {
        let now = Self::shown(snapshot);
        if *self == now {
            Ok(())
        } else {
            Err(format!("who follows the events knows {self:?}, the wallboard shows {now:?}"))
        }
    }
}
