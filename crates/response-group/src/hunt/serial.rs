//! Serial: one at a time, always the first of the configured order who was not tried.

use super::View;
use crate::agent::AgentIx;

pub(super) fn select(view: &View<'_>) -> Vec<AgentIx> {
    view.candidates().take(1).collect()
}
