//! Business hours and holidays: whether a group is open at an instant, in its own time zone.
//!
//! The instant is an argument and the zone rules are compiled in. Hours are civil time, so a night on which the clocks
//! change is right by itself: an hour that does not exist opens nothing, an hour that comes twice is open twice.

use serde::{Deserialize, Serialize};

/// One span of a week when the group is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hours {
    /// The days it belongs to.
    pub days: Vec<Day>,
    /// From this time on, `HH:MM`.
    pub from: String,
    /// Up to this time, not included; `24:00` is midnight. A time before `from` lies on the next day.
    pub to: String,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "a day of the week explains itself")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A span of days when the group is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holiday {
    /// What it is called.
    pub name: String,
    /// The first day, `YYYY-MM-DD`.
    pub from: String,
    /// The last day, included; `None` is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}
