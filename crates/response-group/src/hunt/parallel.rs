//! Parallel: everybody who is available, at once, up to the pool's limit; the rest as phones fall silent.

use super::View;
use crate::agent::AgentIx;

pub(super) fn select(view: &View<'_>) -> Vec<AgentIx> {
    view.candidates().take(view.room).collect()
}
