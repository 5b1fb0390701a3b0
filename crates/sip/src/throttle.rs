//! How much one source may do: requests without proven identity, and wrong passwords. Both tables are bounded.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use base::{Duration, Timestamp};

use crate::config::Rate;

/// Sources remembered at once.
const SOURCES: usize = 65_536;

/// A token bucket for each source address.
pub(crate) struct Buckets {
    rate: Rate,
    buckets: HashMap<IpAddr, Bucket>,
    /// Shared by all sources the table has no room for.
    overflow: Bucket,
    /// When the table was last searched for sources to forget. Searching for each new source would be a gift to a
    /// flood from forged addresses.
    swept: Timestamp,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Millionths of a token, so that slow rates refill too.
    tokens: u64,
    at: Timestamp,
}

impl Buckets {
    /// The pause between two searches.
    const SWEEP: Duration = Duration::from_secs(1);

    /// Full buckets.
    pub(crate) fn new(rate: Rate) -> Self {
        let overflow = Bucket { tokens: u64::from(rate.burst) * 1_000_000, at: Timestamp::ZERO };
        Self { rate, buckets: HashMap::new(), overflow, swept: Timestamp::ZERO }
    }

    /// Takes a token of this source; `false` when there is none.
    pub(crate) fn take(&mut self, now: Timestamp, source: IpAddr) -> bool {
        let (rate, full) = (self.rate, Bucket { tokens: u64::from(self.rate.burst) * 1_000_000, at: now });
        let full_table = self.buckets.len() >= SOURCES && !self.buckets.contains_key(&source);
        if full_table && now.since(self.swept) >= Self::SWEEP {
            self.swept = now;
            self.forget_idle(now);
        }
        let room = self.buckets.len() < SOURCES || self.buckets.contains_key(&source);
        let bucket = if room { self.buckets.entry(source).or_insert(full) } else { &mut self.overflow };
        bucket.refill(now, rate);
        let granted = bucket.tokens >= 1_000_000;
        if granted {
            bucket.tokens -= 1_000_000;
        }
        granted
    }

    /// Puts a token back: its owner has proved who he is.
    pub(crate) fn give_back(&mut self, source: IpAddr) {
        if let Some(bucket) = self.buckets.get_mut(&source) {
            bucket.tokens = (bucket.tokens + 1_000_000).min(u64::from(self.rate.burst) * 1_000_000);
        }
    }

    /// Forgets sources whose buckets would be full by now: a new bucket says the same.
    fn forget_idle(&mut self, now: Timestamp) {
        let rate = self.rate;
        self.buckets.retain(|_, bucket| {
            bucket.refill(now, rate);
            bucket.tokens < u64::from(rate.burst) * 1_000_000
        });
    }
}

impl Bucket {
    fn refill(&mut self, now: Timestamp, rate: Rate) {
        let micros = u64::try_from(now.since(self.at).as_micros()).unwrap_or(u64::MAX);
        let gained = micros.saturating_mul(u64::from(rate.per_second));
        self.tokens = self.tokens.saturating_add(gained).min(u64::from(rate.burst) * 1_000_000);
        self.at = now;
    }
}

/// Wrong passwords by source and user (reliability.md 29).
pub(crate) struct Guesses {
    allowed: u32,
    counts: HashMap<(IpAddr, String), (u32, Timestamp)>,
    /// Keys in the order they came; the oldest is forgotten first when the table is full.
    order: VecDeque<(IpAddr, String)>,
}

impl Guesses {
    /// How long wrong passwords count.
    pub(crate) const WINDOW: Duration = Duration::from_secs(600);
    const ENTRIES: usize = 10_000;

    /// No guesses yet; `allowed` in ten minutes.
    pub(crate) fn new(allowed: u32) -> Self {
        Self { allowed, counts: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether this source may try a password of this user.
    pub(crate) fn may_try(&self, now: Timestamp, source: IpAddr, user: &str) -> bool {
        self.counts
            .get(&key(source, user))
            .is_none_or(|(count, since)| *count < self.allowed || now.since(*since) >= Self::WINDOW)
    }

    /// Counts a wrong password.
    pub(crate) fn failed(&mut self, now: Timestamp, source: IpAddr, user: &str) {
        let key = key(source, user);
        if !self.counts.contains_key(&key) {
            if self.order.len() >= Self::ENTRIES
                && let Some(oldest) = self.order.pop_front()
            {
                self.counts.remove(&oldest);
            }
            self.order.push_back(key.clone());
        }
        let entry = self.counts.entry(key).or_insert((0, now));
        if now.since(entry.1) >= Self::WINDOW {
            *entry = (0, now);
        }
        entry.0 += 1;
    }
}

/// A name longer than any real one is cut, so that the table stays small.
fn key(source: IpAddr, user: &str) -> (IpAddr, String) {
    (source, user.chars().take(64).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn source(last: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(0x7f00_0000 + last))
    }

    #[test]
    fn a_bucket_empties_and_refills() {
        let mut buckets = Buckets::new(Rate { per_second: 2, burst: 3 });
        let now = Timestamp::from_millis(1_000);
        let taken = |buckets: &mut Buckets, now| (0..10).filter(|_| buckets.take(now, source(1))).count();
        assert_eq!(taken(&mut buckets, now), 3);
        assert!(buckets.take(now, source(2)), "another source has its own bucket");
        assert_eq!(taken(&mut buckets, now + Duration::from_millis(500)), 1);
        assert_eq!(taken(&mut buckets, now + Duration::from_secs(3600)), 3);
    }

    #[test]
    fn the_table_of_buckets_is_bounded() {
        let mut buckets = Buckets::new(Rate { per_second: 1, burst: 2 });
        for index in 0..70_000 {
            buckets.take(Timestamp::ZERO, source(index));
        }
        assert_eq!(buckets.buckets.len(), SOURCES);
        assert!(buckets.take(Timestamp::from_millis(10_000), source(70_001)));
        assert_eq!(buckets.buckets.len(), 1, "idle sources were forgotten");
    }

    #[test]
    fn ten_guesses_and_no_more() {
        let mut guesses = Guesses::new(10);
        let start = Timestamp::from_millis(5);
        for _ in 0..10 {
            assert!(guesses.may_try(start, source(1), "ann"));
            guesses.failed(start, source(1), "ann");
        }
        assert!(!guesses.may_try(start, source(1), "ann"));
        assert!(guesses.may_try(start, source(2), "ann") && guesses.may_try(start, source(1), "bob"));
        let later = start + Guesses::WINDOW;
        assert!(guesses.may_try(later, source(1), "ann"));
        guesses.failed(later, source(1), "ann");
        assert!(guesses.may_try(later, source(1), "ann"), "a new window starts at one");
    }

    #[test]
    fn the_table_of_guesses_is_bounded() {
        let mut guesses = Guesses::new(1);
        for index in 0..20_000 {
            guesses.failed(Timestamp::ZERO, source(index), "ann");
        }
        assert_eq!((guesses.counts.len(), guesses.order.len()), (Guesses::ENTRIES, Guesses::ENTRIES));
    }
}
