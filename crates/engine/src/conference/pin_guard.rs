//! Against guessing of PINs: how many wrong ones a source and a conference may have in a while (reliability.md 29).
//!
//! It outlives the Focus, because a conference nobody is in but the guesser ends with each of his calls.

use std::collections::HashMap;
use std::net::IpAddr;

use base::{ConferenceId, Duration, Timestamp, UserUri};

/// Who tries PINs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Guesser {
    /// Whoever sends from this address.
    Address(IpAddr),
    /// A caller whom a trusted trunk names; its other callers come from the same address.
    Caller(UserUri),
}

impl Guesser {
    /// The address that is his alone, or his network's.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Caller(_) => None,
        }
    }
}

/// Wrong PINs of one source for one conference in [`WINDOW`]; after that the source is refused.
const WRONG_PER_SOURCE: u32 = 10;

/// Wrong PINs for one conference from everywhere in [`WINDOW`]; after that nobody is asked for its PIN. Accounts still
/// enter, they need none.
const WRONG_PER_CONFERENCE: u32 = 100;

/// How long wrong PINs count.
const WINDOW: Duration = Duration::from_secs(600);

/// Sources remembered; when full, those whose time is over go, then all.
const SOURCES: usize = 10_000;

#[derive(Clone, Copy, Debug)]
struct Count {
    since: Timestamp,
    wrong: u32,
}

impl Count {
    fn is_over(&self, now: Timestamp) -> bool {
        now.since(self.since) >= WINDOW
    }
}

/// The wrong PINs of the last while.
#[derive(Debug, Default)]
pub(crate) struct PinGuard {
    sources: HashMap<(ConferenceId, Guesser), Count>,
    conferences: HashMap<ConferenceId, Count>,
}

impl PinGuard {
    /// Whether a caller from there may be asked for this conference's PIN.
    pub(crate) fn allows(&self, now: Timestamp, conference: &ConferenceId, source: &Guesser) -> bool {
        let below = |count: Option<&Count>, limit| count.is_none_or(|count| count.is_over(now) || count.wrong < limit);
        below(self.sources.get(&(conference.clone(), source.clone())), WRONG_PER_SOURCE)
            && below(self.conferences.get(conference), WRONG_PER_CONFERENCE)
    }

    /// A wrong PIN came from there.
    pub(crate) fn note_wrong(&mut self, now: Timestamp, conference: &ConferenceId, source: &Guesser) {
        if self.sources.len() >= SOURCES {
            self.sources.retain(|_, count| !count.is_over(now));
            self.conferences.retain(|_, count| !count.is_over(now));
        }
        if self.sources.len() >= SOURCES {
            // The conferences' own counts still hold against a guesser with so many addresses.
            self.sources.clear();
        }
        let fresh = Count { since: now, wrong: 0 };
        for count in [
            self.sources.entry((conference.clone(), source.clone())).or_insert(fresh),
            self.conferences.entry(conference.clone()).or_insert(fresh),
        ] {
            if count.is_over(now) {
                *count = fresh;
            }
            count.wrong += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_wrong_pins_shut_one_source_out_for_ten_minutes() {
        let mut guard = PinGuard::default();
        let conference = ConferenceId::parse("CONFERENCE1").expect("valid");
        let here = Guesser::Address(IpAddr::from([127, 0, 0, 1]));
        let there = Guesser::Caller(UserUri::parse("sip:+493055501234@127.0.0.1").expect("valid"));
        let start = Timestamp::from_millis(5);
        for _ in 0..WRONG_PER_SOURCE {
            assert!(guard.allows(start, &conference, &here));
            guard.note_wrong(start, &conference, &here);
        }
        assert!(!guard.allows(start, &conference, &here));
        assert!(guard.allows(start, &conference, &there));
        assert!(guard.allows(start + WINDOW, &conference, &here));
    }

    #[test]
    fn a_hundred_wrong_pins_from_everywhere_shut_the_conference() {
        let mut guard = PinGuard::default();
        let conference = ConferenceId::parse("CONFERENCE1").expect("valid");
        let source = |number: u32| Guesser::Address(IpAddr::from(number.to_be_bytes()));
        for number in 0..WRONG_PER_CONFERENCE {
            guard.note_wrong(Timestamp::ZERO, &conference, &source(number));
        }
        assert!(!guard.allows(Timestamp::ZERO, &conference, &source(7_777)));
    }
}
