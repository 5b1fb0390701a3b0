//! Round robin: one at a time, the first behind the one who had the last turn, and around.

use super::View;
use crate::agent::AgentIx;

pub(super) fn select(view: &View<'_>) -> Vec<AgentIx> {
    view.candidates_after_cursor().take(1).collect()
}
