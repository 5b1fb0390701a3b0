//! Business hours and holidays: whether a group is open at an instant, in its own time zone.
//!
//! The instant is an argument and the zone rules are compiled in. Hours are civil time, so a night on which the clocks
//! change is right by itself: an hour that does not exist opens nothing, an hour that comes twice is open twice.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::config::ResponseGroup;

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

/// Whether a group takes calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Openness {
    Open,
    Closed,
    Holiday,
}

const MINUTES_PER_DAY: u32 = 24 * 60;

/// Whether a group is open, that many seconds after 1970-01-01T00:00:00Z. A text that cannot be read opens nothing;
/// the configuration's check has refused it before.
pub(crate) fn openness(group: &ResponseGroup, unix_seconds: i64) -> Openness {
    if group.hours.is_empty() && group.holidays.is_empty() {
        return Openness::Open;
    }
    let Some(local) = local_time(&group.time_zone, unix_seconds) else { return Openness::Closed };
    if group.holidays.iter().any(|holiday| holiday.holds(local.date())) {
        return Openness::Holiday;
    }
    let open = group.hours.is_empty() || group.hours.iter().any(|hours| hours.hold(local));
    if open { Openness::Open } else { Openness::Closed }
}

fn local_time(zone: &str, unix_seconds: i64) -> Option<DateTime> {
    let zone = time_zone(zone)?;
    Some(zone.to_datetime(Timestamp::from_second(unix_seconds).ok()?))
}

/// The rules of a zone by its name in the IANA database.
pub(crate) fn time_zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name).ok()
}

impl Hours {
    fn hold(&self, local: DateTime) -> bool {
        let (Some(from), Some(to)) = (minute_of_day(&self.from), minute_of_day(&self.to)) else { return false };
        let minute = u32::from(local.hour().unsigned_abs()) * 60 + u32::from(local.minute().unsigned_abs());
        let today = self.days.contains(&day_of(local.weekday()));
        if from < to {
            return today && (from..to).contains(&minute);
        }
        let yesterday = self.days.contains(&day_of(local.weekday().previous()));
        (today && minute >= from) || (yesterday && minute < to)
    }

    /// The spans of the week it covers, in minutes from Monday midnight; a span past Sunday night goes on on Monday.
    pub(crate) fn spans(&self) -> Option<Vec<(u32, u32)>> {
        let (from, to) = (minute_of_day(&self.from)?, minute_of_day(&self.to)?);
        let length = if from < to { to - from } else { to + MINUTES_PER_DAY - from };
        let starts = self.days.iter().map(|day| *day as u32 * MINUTES_PER_DAY + from);
        Some(starts.map(|start| (start, start + length)).collect())
    }
}

/// Whether two hours have a minute of the week in common.
pub(crate) fn overlap(one: &[(u32, u32)], other: &[(u32, u32)]) -> bool {
    let week = 7 * MINUTES_PER_DAY;
    let meets = |a: &(u32, u32), b: &(u32, u32)| {
        [0, week].iter().any(|shift| a.0 < b.1 + shift && b.0 + shift < a.1 || b.0 < a.1 + shift && a.0 + shift < b.1)
    };
    one.iter().any(|a| other.iter().any(|b| meets(a, b)))
}

impl Holiday {
    fn holds(&self, day: Date) -> bool {
        self.days().is_some_and(|(first, last)| (first..=last).contains(&day))
    }

    /// First and last day; `None` when a text is no date.
    pub(crate) fn days(&self) -> Option<(Date, Date)> {
        let first = self.from.parse().ok()?;
        let last = match &self.to {
            Some(to) => to.parse().ok()?,
            None => first,
        };
        Some((first, last))
    }
}

/// Minutes since midnight of `HH:MM`; `24:00` is the end of the day.
pub(crate) fn minute_of_day(text: &str) -> Option<u32> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    let (hour, minute): (u32, u32) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour * 60 + minute;
    (minute < 60 && total <= MINUTES_PER_DAY).then_some(total)
}

fn day_of(weekday: Weekday) -> Day {
    match weekday {
        Weekday::Monday => Day::Mon,
        Weekday::Tuesday => Day::Tue,
        Weekday::Wednesday => Day::Wed,
        Weekday::Thursday => Day::Thu,
        Weekday::Friday => Day::Fri,
        Weekday::Saturday => Day::Sat,
        Weekday::Sunday => Day::Sun,
    }
}
