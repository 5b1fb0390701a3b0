//! `[focus]`: when conferences end, how long things may take in them, how large they may be (c3p.md 8.1, 8.3).

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::Finding;
use super::key::Kind::Plain;
use super::key::{Section, key};

/// The section in the table of all keys.
pub(super) const SECTION: Section = Section {
    name: "focus",
    is_list: false,
    about: "Conferences: when they end, how long things may take in them, how large they may be. The same for all.",
    keys: &[
        key(
            "without_join_hours",
            Plain,
            Some("24"),
            "24",
            "Hours after the last join when a conference ends, 0 to 8760; 0: never.",
        ),
        key(
            "unauthenticated_minutes",
            Plain,
            Some("10"),
            "10",
            "Minutes a conference goes on without anybody who has an account, 0 to 60; 0: for ever.",
        ),
        key(
            "ending_notice_seconds",
            Plain,
            Some("60"),
            "60",
            "Seconds before one of these two ends a conference when everybody is told, 0 to 300; 0: nobody is told.",
        ),
        key(
            "empty_linger_seconds",
            Plain,
            Some("0"),
            "0",
            "Seconds a conference outlives its last participant, with its lock and its roles, 0 to 600.",
        ),
        key(
            "unused_days",
            Plain,
            Some("14"),
            "14",
            "Days after which a scheduled conference that names no expiry time is deleted, counted from when it was scheduled,\nchanged or held last, 0 to 365; 0: never. Personal conferences and each [[conference]] are never deleted.",
        ),
        key(
            "ring_seconds",
            Plain,
            Some("60"),
            "60",
            "Seconds somebody whom a conference calls may let it ring, 10 to 170.",
        ),
        key(
            "pending_seconds",
            Plain,
            Some("20"),
            "20",
            "Seconds after which a C3P client hears that its command is still under way, 5 to 30.",
        ),
        key(
            "lobby_minutes",
            Plain,
            Some("15"),
            "15",
            "Minutes somebody may wait in the lobby until a presenter lets him in, 1 to 120.",
        ),
        key("pin_tries", Plain, Some("3"), "3", "Entries of the PIN before a caller is refused, 1 to 10."),
        key("pin_seconds", Plain, Some("30"), "30", "Seconds a caller has for one entry of the PIN, 5 to 120."),
        key(
            "roster_interval_ms",
            Plain,
            Some("100"),
            "100",
            "Milliseconds for which changes of a roster are gathered into one notification once one has gone out, 0 to 1000; 0: each\nis told at once, which costs n * n notifications when n people join together.",
        ),
        key(
            "legs_max",
            Plain,
            Some("5000"),
            "5000",
            "Devices in one conference, 2 to 5000, C3P clients among them; a further one is refused.",
        ),
        key(
            "endpoints_per_user",
            Plain,
            Some("16"),
            "16",
            "Devices of one user in one conference, 2 to 100, calls and C3P clients together; a further one is refused with 486. A user who\njoins by a client and by its audio has two.",
        ),
        key(
            "dial_outs_max",
            Plain,
            Some("100"),
            "100",
            "People one conference calls at once, 1 to 1000; a further command fails.",
        ),
    ],
};

/// The value of a key.
type Value = fn(&Focus) -> u32;

/// Each key with what it may be; a zero where it is allowed means what the key's description says.
const RANGES: &[(&str, RangeInclusive<u32>, Value)] = &[
    ("without_join_hours", 0..=8_760, |focus| focus.without_join_hours),
    ("unauthenticated_minutes", 0..=60, |focus| focus.unauthenticated_minutes),
    ("ending_notice_seconds", 0..=300, |focus| focus.ending_notice_seconds),
    ("empty_linger_seconds", 0..=600, |focus| focus.empty_linger_seconds),
    ("unused_days", 0..=365, |focus| focus.unused_days),
    ("ring_seconds", 10..=170, |focus| focus.ring_seconds),
    ("pending_seconds", 5..=30, |focus| focus.pending_seconds),
    ("lobby_minutes", 1..=120, |focus| focus.lobby_minutes),
    ("pin_tries", 1..=10, |focus| focus.pin_tries),
    ("pin_seconds", 5..=120, |focus| focus.pin_seconds),
    ("roster_interval_ms", 0..=1_000, |focus| focus.roster_interval_ms),
    ("legs_max", 2..=5_000, |focus| focus.legs_max),
    ("endpoints_per_user", 2..=100, |focus| focus.endpoints_per_user),
    ("dial_outs_max", 1..=1_000, |focus| focus.dial_outs_max),
];

/// `[focus]`: what is the same for every conference.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Focus {
    pub(crate) without_join_hours: u32,
    pub(crate) unauthenticated_minutes: u32,
    pub(crate) ending_notice_seconds: u32,
    pub(crate) empty_linger_seconds: u32,
    pub(crate) unused_days: u32,
    pub(crate) ring_seconds: u32,
    pub(crate) pending_seconds: u32,
    pub(crate) lobby_minutes: u32,
    pub(crate) pin_tries: u32,
    pub(crate) pin_seconds: u32,
    pub(crate) roster_interval_ms: u32,
    pub(crate) legs_max: u32,
    pub(crate) endpoints_per_user: u32,
    pub(crate) dial_outs_max: u32,
}

impl Default for Focus {
    fn default() -> Self {
        Self {
            without_join_hours: 24,
            unauthenticated_minutes: 10,
            ending_notice_seconds: 60,
            empty_linger_seconds: 0,
            unused_days: 14,
            ring_seconds: 60,
            pending_seconds: 20,
            lobby_minutes: 15,
            pin_tries: 3,
            pin_seconds: 30,
            roster_interval_ms: 100,
            legs_max: 5_000,
            endpoints_per_user: 16,
            dial_outs_max: 100,
        }
    }
}

/// Values outside their ranges.
pub(super) fn check(focus: &Focus, findings: &mut Vec<Finding>) {
    for (key, range, value) in RANGES {
        let value = value(focus);
        if !range.contains(&value) {
            let why = format!("write {} to {}", range.start(), range.end());
            findings.push(Finding::error(format!("focus.{key}"), Some(value.to_string()), why));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_refused_right_outside_its_range_and_taken_at_its_ends() {
        for (key, range, _) in RANGES {
            let told = |value: u32| {
                let config = crate::config::parse(&format!("[focus]\n{key} = {value}")).expect(key);
                crate::config::check(&config).iter().map(ToString::to_string).collect::<Vec<_>>()
            };
            assert_eq!((told(*range.start()), told(*range.end())), (Vec::new(), Vec::new()), "{key}");
            let beyond = told(range.end() + 1);
            assert!(beyond[0].contains(&format!("focus.{key}")) && beyond[0].contains("write"), "{beyond:?}");
            assert!(*range.start() == 0 || !told(range.start() - 1).is_empty(), "{key}");
        }
    }
}
