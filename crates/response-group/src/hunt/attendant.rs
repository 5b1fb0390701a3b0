//! Attendant: like parallel, but presence matters only as do-not-disturb.
//!
//! The difference lies in who is ready, which `AgentEntry::obstacle` decides; the choice among the ready is the same.

use super::View;
use crate::agent::AgentIx;

pub(super) fn select(view: &View<'_>) -> Vec<AgentIx> {
    view.candidates().take(view.room).collect()
}
