//! Which points in time a Focus waits for.

use std::collections::{BTreeMap, BTreeSet};

use base::{LegId, Timestamp};

/// What a point in time is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// Nobody is in.
    Empty,
    /// No authenticated user is in.
    Unauthenticated,
    /// The notice before [`Timer::Unauthenticated`].
    UnauthenticatedNotice,
    /// Nobody joined for long.
    Length,
    /// The notice before [`Timer::Length`].
    LengthNotice,
    /// Changes are to be published that came too soon after the last document.
    Roster,
    /// A leg is being set up.
    SetUp(LegId),
    /// Who asked for a dial-out hears that it is still under way.
    Pending(LegId),
    /// A caller is to enter the PIN.
    Pin(LegId),
    /// Somebody waits in the lobby.
    Lobby(LegId),
}

/// At most one point in time for each [`Timer`].
#[derive(Debug, Default)]
pub(crate) struct Timers {
    at: BTreeMap<Timer, Timestamp>,
    order: BTreeSet<(Timestamp, Timer)>,
}

impl Timers {
    /// Starts a timer, or starts it anew.
    pub(crate) fn set(&mut self, timer: Timer, at: Timestamp) {
        self.cancel(timer);
        self.at.insert(timer, at);
        self.order.insert((at, timer));
    }

    /// Stops a timer if it runs.
    pub(crate) fn cancel(&mut self, timer: Timer) {
        if let Some(at) = self.at.remove(&timer) {
            self.order.remove(&(at, timer));
        }
    }

    /// Stops all of them.
    pub(crate) fn clear(&mut self) {
        self.at.clear();
        self.order.clear();
    }

    /// Whether a timer runs.
    pub(crate) fn is_set(&self, timer: Timer) -> bool {
        self.at.contains_key(&timer)
    }

    /// The next point in time.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.order.first().map(|(at, _)| *at)
    }

    /// The earliest timer whose time has come; it runs no more.
    pub(crate) fn pop_due(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.cancel(timer);
        Some(timer)
    }
}
