//! What the workers count.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A snapshot of what the media side counted since its start, over all workers.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct MediaCounters { $($(#[$doc])* pub $name: u64),+ }

        /// The same figures of one worker, written by its thread alone.
        #[derive(Debug, Default)]
        pub(crate) struct SharedCounters { $(pub(crate) $name: Counter),+ }

        impl SharedCounters {
            /// Adds these figures to a snapshot. A name that ends in `max` is a maximum.
            pub(crate) fn add_to(&self, sum: &mut MediaCounters) {
                $(
                    let value = self.$name.get();
                    let is_maximum = stringify!($name).ends_with("max");
                    sum.$name = if is_maximum { sum.$name.max(value) } else { sum.$name + value };
                )+
            }
        }
    };
}

counters! {
    /// Conferences hosted now.
    conferences,
    /// Legs hosted now.
    legs,
    /// Port pairs that drain now.
    ports_draining,
    /// Ports of the range that were found taken by somebody else.
    ports_taken,
    /// Ticks done.
    ticks,
    /// Ticks that began more than 5 ms late.
    ticks_late,
    /// Ticks left out because the worker was too far behind.
    ticks_skipped,
    /// The longest tick, microseconds.
    tick_us_max,
    /// Time spent in ticks, microseconds.
    tick_us,
    /// Share of their time that workers spend in ticks, per mille, averaged over the last second; of the busiest one.
    busy_per_mille_max,
    /// Listeners who had to wait for a stream of their own.
    listeners_waited,
    /// Datagrams received.
    packets_received,
    /// Datagrams dropped here: larger than any media packet, or for a leg that is going.
    packets_dropped,
    /// Datagrams sent.
    packets_sent,
    /// Datagrams the system did not take.
    packets_unsent,
    /// Conferences ended by a defect or by an overflowing queue.
    conferences_failed,
    /// Commands refused because a worker's queue was full.
    commands_refused,
}

/// A number that one thread at a time writes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, count: u64) {
        self.set(self.get().wrapping_add(count));
    }

    pub(crate) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(crate) fn raise_to(&self, value: u64) {
        self.set(self.get().max(value));
    }
}
