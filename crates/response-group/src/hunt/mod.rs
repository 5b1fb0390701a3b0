//! The five hunt methods: which ready agents of a pool are rung for one call.
//!
//! Each is a pure function over the same view. A pool keeps its ready agents in the method's order, so a method takes
//! from the front and looks only at agents this very call has tried.

mod attendant;
mod longest_idle;
mod parallel;
mod round_robin;
mod serial;

use std::collections::BTreeSet;

use base::Timestamp;

use crate::agent::{AgentIx, ReadyKey};
use crate::call::Call;
use crate::config::Method;
use crate::group::Pool;

/// What a method sees: the ready agents, and whom the call excludes.
pub(crate) struct View<'a> {
    ready: &'a BTreeSet<ReadyKey>,
    call: &'a Call,
    now: Timestamp,
    /// Phones that may be rung in addition.
    room: usize,
    cursor: Option<u32>,
}

impl View<'_> {
    /// The ready agents the call does not exclude, in order.
    fn candidates(&self) -> impl Iterator<Item = AgentIx> + '_ {
        self.ready.iter().map(|key| key.agent).filter(|agent| !self.call.excludes(*agent, self.now))
    }

    /// The same, from behind the cursor and around.
    fn candidates_after_cursor(&self) -> impl Iterator<Item = AgentIx> + '_ {
        let after = |key: &&ReadyKey| self.cursor.is_none_or(|cursor| key.position > cursor);
        let start = ReadyKey {
            idle_since: Timestamp::ZERO,
            position: self.cursor.map_or(0, |cursor| cursor.saturating_add(1)),
            agent: AgentIx(0),
        };
        let behind = self.ready.range(start..);
        let around = self.ready.iter().take_while(move |key| !after(key));
        behind.chain(around).map(|key| key.agent).filter(|agent| !self.call.excludes(*agent, self.now))
    }
}

/// Whom to ring now; empty when nobody can be.
pub(crate) fn select(pool: &Pool, call: &Call, now: Timestamp, ringing: usize) -> Vec<AgentIx> {
    let room = (pool.conf.max_fork as usize).saturating_sub(ringing);
    let view = View { ready: &pool.ready, call, now, room, cursor: pool.cursor };
    match pool.conf.method {
        Method::Parallel => parallel::select(&view),
        Method::Attendant => attendant::select(&view),
        Method::Serial => serial::select(&view),
        Method::LongestIdle => longest_idle::select(&view),
        Method::RoundRobin => round_robin::select(&view),
    }
}

/// Whether agents who become ready join the phones that ring already.
pub(crate) fn rings_many(method: Method) -> bool {
    matches!(method, Method::Parallel | Method::Attendant)
}
