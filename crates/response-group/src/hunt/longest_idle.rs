//! Longest idle: one at a time, the one who was set free first.
//!
//! The ready of such a pool stand in the order of `idle_since`, so that the front is the answer (I12).

use super::View;
use crate::agent::AgentIx;

pub(super) fn select(view: &View<'_>) -> Vec<AgentIx> {
    view.candidates().take(1).collect()
}
