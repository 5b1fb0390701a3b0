//! A worker: one thread that reads, ticks and sleeps.
//!
//! It does not wake for packets. Right before a tick it reads all that has come; when each packet came, the kernel has
//! noted. Commands are done at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Instant;

use base::{Duration, Timestamp};
use mixer::{CodecFactory, Sounds};

use crate::config::MediaConfig;
use crate::events::Outlet;
use crate::host::Host;
use crate::ports::PortPool;
use crate::server::{Order, Shared};
use crate::sys::Inbox;

/// Time between two ticks.
const TICK: Duration = Duration::from_millis(20);
/// A tick that begins later than this after its time is counted as late.
const LATE: Duration = Duration::from_millis(5);
/// Ticks made up for at most after a stall; further ones are left out.
const CATCH_UP_MAX: u32 = 3;

/// What a worker is made of.
pub(crate) struct Setup {
    pub(crate) index: usize,
    pub(crate) config: MediaConfig,
    pub(crate) codecs: Arc<dyn CodecFactory>,
    pub(crate) sounds: Arc<Sounds>,
    pub(crate) ports: Arc<PortPool>,
    pub(crate) events: Outlet,
    pub(crate) shared: Arc<Shared>,
    pub(crate) commands: rtrb::Consumer<Order>,
}

impl Setup {
    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.config.epoch.elapsed()
    }
}

/// Starts the thread.
pub(crate) fn spawn(setup: Setup) -> io::Result<JoinHandle<()>> {
    let name = format!("media-{}", setup.index);
    std::thread::Builder::new().name(name).spawn(move || run(setup))
}

fn run(setup: Setup) {
    if setup.config.pin_workers {
        pin(setup.index);
    }
    let epoch = setup.config.epoch;
    let shared = Arc::clone(&setup.shared);
    let now = || Timestamp::ZERO + epoch.elapsed();
    let mut host = Host::new(setup);
    let mut inbox = Inbox::new();
    let mut clock = TickClock::default();
    while !shared.stop.load(Ordering::Relaxed) {
        while !host.is_congested()
            && let Some(command) = host.next_command()
        {
            host.apply(now(), command);
        }
        host.fail_overflowed();
        host.flush_events();
        let drained = host.drain(now());
        if host.is_idle() {
            clock = TickClock::default();
            host.note_idle();
            let rest = drained.map(|until| until.since(now()));
            shared.bell.wait(if host.is_congested() { Some(TICK) } else { rest });
            continue;
        }
        // For what commands began; and again after the ticks, so that little is left to do right before one.
        host.prepare();
        while let Some(due) = clock.due(now()) {
            do_tick(&mut host, &shared, &mut inbox, now(), due);
        }
        host.prepare();
        shared.bell.wait(Some(clock.rest(now())));
    }
    host.end_all(now());
    host.flush_events();
    while host.is_congested() {
        std::thread::sleep(TICK);
        host.flush_events();
    }
}

fn do_tick(host: &mut Host, shared: &Shared, inbox: &mut Inbox, now: Timestamp, due: Due) {
    let begun = Instant::now();
    host.receive(now, inbox);
    // The time given is that at which the tick should have been, so that our own delays do not look like jitter.
    host.tick(due.at);
    host.flush_events();
    let took = begun.elapsed();
    host.note_tick(took, TICK);
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    shared.counters.ticks.add(1);
    shared.counters.ticks_late.add(u64::from(due.late));
    shared.counters.ticks_skipped.add(due.skipped);
    shared.counters.tick_us.add(micros);
    shared.counters.tick_us_max.raise_to(micros);
}

fn pin(index: usize) {
    let Some(cores) = core_affinity::get_core_ids().filter(|cores| !cores.is_empty()) else { return };
    if !core_affinity::set_for_current(cores[index % cores.len()]) {
        tracing::warn!(worker = index, "the worker could not be pinned to a core");
    }
}

/// Ticks at absolute times, so that a late one does not delay those after it.
#[derive(Clone, Copy, Debug, Default)]
struct TickClock {
    next: Option<Timestamp>,
}

/// A tick that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Due {
    at: Timestamp,
    late: bool,
    skipped: u64,
}

impl TickClock {
    /// The tick that is due, if any. Ask until there is none.
    fn due(&mut self, now: Timestamp) -> Option<Due> {
        let mut at = *self.next.get_or_insert(now + TICK);
        if now < at {
            return None;
        }
        let behind = now.since(at).as_micros() / TICK.as_micros();
        let skipped = u32::try_from(behind).unwrap_or(u32::MAX).saturating_sub(CATCH_UP_MAX);
        at = at + TICK * skipped;
        self.next = Some(at + TICK);
        Some(Due { at, late: now.since(at) > LATE, skipped: skipped.into() })
    }

    /// How long to sleep: until the next tick.
    fn rest(&self, now: Timestamp) -> Duration {
        self.next.map_or(TICK, |next| next.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(at: u64) -> Timestamp {
        Timestamp::from_millis(at)
    }

    #[test]
    fn ticks_keep_their_times() {
        let mut clock = TickClock::default();
        let mut ticks = Vec::new();
        for now in [100, 119, 120, 139, 147, 160, 1_000, 1_020] {
            while let Some(due) = clock.due(ms(now)) {
                ticks.push((now, due.at.as_micros() / 1_000, due.late, due.skipped));
            }
        }
        let expected = [
            (120, 120, false, 0),
            (147, 140, true, 0),
            (160, 160, false, 0),
            (1_000, 940, true, 38),
            (1_000, 960, true, 0),
            (1_000, 980, true, 0),
            (1_000, 1_000, false, 0),
            (1_020, 1_020, false, 0),
        ];
        assert_eq!(ticks, expected);
    }

    #[test]
    fn one_sleeps_until_the_tick() {
        let mut clock = TickClock::default();
        assert_eq!(clock.due(ms(100)), None);
        for (now, rest) in [(101, 19), (118, 2), (125, 0)] {
            assert_eq!(clock.rest(ms(now)), Duration::from_millis(rest), "at {now} ms");
        }
    }
}
