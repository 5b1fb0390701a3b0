//! Session timers (RFC 4028) as pure rules: what to ask for, what to grant, who refreshes, and when it is too late.

use base::Duration;
use sip_api::{Headers, Response, header_parameter};

/// The floor of RFC 4028 5, in seconds.
const FLOOR: u32 = 90;

/// Our wishes, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Interval we ask for and grant.
    pub(crate) interval: u32,
    /// Smallest interval we accept.
    pub(crate) min_se: u32,
}

impl Policy {
    /// Wishes in whole seconds, at least the floor, and no interval below the minimum.
    pub(crate) fn new(interval: Duration, min_se: Duration) -> Self {
        let seconds = |length: Duration| u32::try_from(length.as_secs()).unwrap_or(u32::MAX).max(FLOOR);
        let min_se = seconds(min_se);
        Self { interval: seconds(interval).max(min_se), min_se }
    }
}

/// Who keeps a session alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refresher {
    /// This side.
    Us,
    /// The other side.
    Peer,
}

/// A running session timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// Session interval in seconds.
    pub(crate) interval: u32,
    /// Who refreshes.
    pub(crate) refresher: Refresher,
}

impl SessionTimer {
    /// When the refresher refreshes: half way (RFC 4028 10).
    pub(crate) fn refresh_after(self) -> Duration {
        Duration::from_secs(u64::from(self.interval / 2))
    }

    /// When a session that was not refreshed is ended: the smaller of 32 s and a third before its end (RFC 4028 10).
    pub(crate) fn expire_after(self) -> Duration {
        Duration::from_secs(u64::from(self.interval - (self.interval / 3).min(32)))
    }
}

/// What a request says about session timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimerRequest {
    /// `Supported: timer`.
    pub(crate) supported: bool,
    /// `Session-Expires` in seconds.
    interval: Option<u32>,
    /// Its `refresher`: whether the sender of the request wants to refresh.
    sender_refreshes: Option<bool>,
    /// `Min-SE` in seconds.
    min_se: Option<u32>,
}

impl TimerRequest {
    /// Reads a request's headers; what cannot be read counts as absent.
    pub(crate) fn of(headers: &Headers) -> Self {
        let session_expires = headers.get("Session-Expires");
        Self {
            supported: headers.has_token("Supported", "timer") || headers.has_token("Require", "timer"),
            interval: session_expires.and_then(seconds),
            sender_refreshes: session_expires.and_then(uac_refreshes),
            min_se: headers.get("Min-SE").and_then(seconds),
        }
    }

    /// Whether the sender knows session timers at all.
    pub(crate) fn knows_timers(self) -> bool {
        self.supported || self.interval.is_some()
    }

    /// Whether the interval is smaller than we accept: answer 422. A sender without support cannot read a 422
    /// (RFC 4028 8.1), so he gets none.
    pub(crate) fn is_too_small(self, policy: Policy) -> bool {
        self.supported && self.interval.is_some_and(|interval| interval < policy.min_se)
    }

    /// The timer we grant in a 2xx (RFC 4028 9, table 2). Without support on the other side, we refresh.
    pub(crate) fn grant(self, policy: Policy) -> SessionTimer {
        let wanted = self.interval.map_or(policy.interval, |interval| interval.min(policy.interval));
        let interval = wanted.max(policy.min_se).max(self.min_se.unwrap_or(0));
        let refresher = match self.sender_refreshes {
            Some(true) if self.supported => Refresher::Peer,
            _ => Refresher::Us,
        };
        SessionTimer { interval, refresher }
    }

    /// Writes a granted timer into a 2xx. `Require: timer` only if the other side supports it and refreshes.
    pub(crate) fn write_grant(self, timer: SessionTimer, response: &mut Response) {
        let refresher = match timer.refresher {
            Refresher::Us => "uas",
            Refresher::Peer => "uac",
        };
        response.headers.push("Session-Expires", format!("{};refresher={refresher}", timer.interval));
        if timer.refresher == Refresher::Peer {
            response.headers.push("Require", "timer");
        }
    }
}

/// Writes our wishes into an INVITE or UPDATE. In a running session the roles stay; in a new one we refresh.
pub(crate) fn write_request(headers: &mut Headers, policy: Policy, running: Option<SessionTimer>) {
    let interval = running.map_or(policy.interval, |timer| timer.interval).max(policy.min_se);
    let refresher = match running.map(|timer| timer.refresher) {
        Some(Refresher::Peer) => "uas",
        Some(Refresher::Us) | None => "uac",
    };
    headers.set("Session-Expires", format!("{interval};refresher={refresher}"));
    headers.set("Min-SE", policy.min_se.to_string());
}

/// The timer a 2xx to our request sets up; `None` when there is none (RFC 4028 7.2).
pub(crate) fn granted(headers: &Headers) -> Option<SessionTimer> {
    let value = headers.get("Session-Expires")?;
    let refresher = match uac_refreshes(value) {
        Some(false) => Refresher::Peer,
        Some(true) | None => Refresher::Us,
    };
    Some(SessionTimer { interval: seconds(value)?.max(FLOOR), refresher })
}

/// The interval to ask for after a 422, if that is larger than what we asked for (RFC 4028 7.3).
pub(crate) fn raised(response: &Headers, asked: &Headers) -> Option<u32> {
    let minimum = response.get("Min-SE").and_then(seconds)?;
    let before = asked.get("Min-SE").and_then(seconds).unwrap_or(FLOOR);
    (minimum > before).then_some(minimum)
}

/// Rewrites our wishes for the INVITE after a 422: the interval is at least the peer's minimum.
pub(crate) fn write_raised(headers: &mut Headers, minimum: u32) {
    let value = headers.get("Session-Expires").unwrap_or("");
    let interval = seconds(value).unwrap_or(0).max(minimum);
    let refresher = if uac_refreshes(value) == Some(false) { "uas" } else { "uac" };
    headers.set("Session-Expires", format!("{interval};refresher={refresher}"));
    headers.set("Min-SE", minimum.to_string());
}

fn seconds(value: &str) -> Option<u32> {
    value.split(';').next()?.trim().parse().ok()
}

fn uac_refreshes(value: &str) -> Option<bool> {
    match header_parameter(value, "refresher")?.to_ascii_lowercase().as_str() {
        "uac" => Some(true),
        "uas" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy::new(Duration::from_secs(1800), Duration::from_secs(90))
    }

    fn request(lines: &[(&str, &str)]) -> TimerRequest {
        TimerRequest::of(&lines.iter().fold(Headers::new(), |headers, (name, value)| headers.with(name, *value)))
    }

    #[test]
    fn the_answering_side_grants_by_table_2_of_rfc_4028() {
        use Refresher::{Peer, Us};
        const TIMER: (&str, &str) = ("Supported", "timer");
        type Lines = &'static [(&'static str, &'static str)];
        let cases: &[(Lines, u32, Refresher)] = &[
            (&[], 1800, Us),
            (&[("Session-Expires", "600")], 600, Us),
            (&[("Session-Expires", "600;refresher=uac")], 600, Us),
            (&[TIMER], 1800, Us),
            (&[TIMER, ("x", "600")], 600, Us),
            (&[TIMER, ("Session-Expires", "600;refresher=uac")], 600, Peer),
            (&[TIMER, ("Session-Expires", "600;refresher=uas")], 600, Us),
            (&[TIMER, ("Session-Expires", "7200;refresher=uac")], 1800, Peer),
            (&[TIMER, ("Session-Expires", "7200"), ("Min-SE", "3600")], 3600, Us),
            (&[TIMER, ("Session-Expires", "x")], 1800, Us),
            (&[("Session-Expires", "10")], 90, Us),
        ];
        for (lines, interval, refresher) in cases {
            let expected = SessionTimer { interval: *interval, refresher: *refresher };
            assert_eq!(request(lines).grant(policy()), expected, "{lines:?}");
        }
    }

    #[test]
    fn too_small_an_interval_is_refused_only_to_those_who_understand_it() {
        assert!(request(&[("Supported", "timer"), ("Session-Expires", "89")]).is_too_small(policy()));
        assert!(!request(&[("Supported", "timer"), ("Session-Expires", "90")]).is_too_small(policy()));
        assert!(!request(&[("Session-Expires", "10")]).is_too_small(policy()));
    }

    #[test]
    fn the_asking_side_obeys_the_response() {
        let timer = |value: &str| granted(&Headers::new().with("Session-Expires", value));
        assert_eq!(timer("600;refresher=uas"), Some(SessionTimer { interval: 600, refresher: Refresher::Peer }));
        assert_eq!(timer("600;refresher=uac"), Some(SessionTimer { interval: 600, refresher: Refresher::Us }));
        assert_eq!(timer("600"), Some(SessionTimer { interval: 600, refresher: Refresher::Us }));
        assert_eq!(timer("1").map(|timer| timer.interval), Some(90));
        assert_eq!(granted(&Headers::new()), None);
    }

    #[test]
    fn sessions_are_refreshed_half_way_and_end_before_they_expire() {
        for (interval, refresh, expire) in [(90, 45, 60), (96, 48, 64), (1800, 900, 1768)] {
            let timer = SessionTimer { interval, refresher: Refresher::Us };
            assert_eq!(timer.refresh_after().as_secs(), refresh);
            assert_eq!(timer.expire_after().as_secs(), expire);
        }
    }

    #[test]
    fn a_422_raises_the_interval_once() {
        let asked = |min: &str| Headers::new().with("Min-SE", min);
        assert_eq!(raised(&asked("120"), &asked("90")), Some(120));
        assert_eq!(raised(&asked("90"), &asked("120")), None);
        assert_eq!(raised(&Headers::new(), &asked("90")), None);
    }

    #[test]
    fn roles_stay_in_a_running_session() {
        let mut headers = Headers::new();
        write_request(&mut headers, policy(), Some(SessionTimer { interval: 600, refresher: Refresher::Peer }));
        assert_eq!(headers.get("Session-Expires"), Some("600;refresher=uas"));
        write_request(&mut headers, policy(), None);
        assert_eq!(headers.get("Session-Expires"), Some("1800;refresher=uac"));
    }
}
