//! Digits of a telephone: read from INFO bodies, counted once when a phone sends each in two ways, and gathered to what was asked
//! for.
//!
//! Phones send telephone-events (RFC 4733) or INFO with `application/dtmf-relay` or `application/dtmf`; both bodies are
//! custom, no standard. Some phones and gateways send both for one key.

use std::collections::VecDeque;

use base::{Duration, Timestamp};
use call::Body;

/// How far apart the two reports of one key may be. An INFO comes when the key is released, or waits for the answer to
/// the one before.
const TWICE_WITHIN: Duration = Duration::from_secs(2);

/// Digits remembered of one leg; faster typists than this do not exist, and then the oldest is forgotten.
const REMEMBERED: usize = 32;

/// How a digit came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// In the audio stream, as a telephone-event.
    Event,
    /// In the dialog, by INFO.
    Info,
}

/// Takes a key of a number or PIN of at most `longest` keys: `#` ends it and gives what was keyed in, `*` begins it anew. What is
/// longer is wrong however long it is, so that one key too many is kept and no more.
pub(crate) fn key_in(keyed: &mut String, key: char, longest: usize) -> Option<String> {
    match key {
        '#' => return Some(std::mem::take(keyed)),
        '*' => keyed.clear(),
        _ if keyed.len() <= longest => keyed.push(key),
        _ => {}
    }
    None
}

/// The digits of one leg that were heard one way and may still be heard the other way.
#[derive(Debug, Default)]
pub(crate) struct Digits {
    once: VecDeque<(Timestamp, Way, char)>,
}

impl Digits {
    /// Whether this is a key of its own, and not the second report of one that has been counted.
    pub(crate) fn is_new(&mut self, now: Timestamp, way: Way, digit: char) -> bool {
        self.once.retain(|(at, ..)| now.since(*at) <= TWICE_WITHIN);
        let twin = self.once.iter().position(|(_, known, other)| *known != way && *other == digit);
        if let Some(twin) = twin {
            self.once.remove(twin);
            return false;
        }
        if self.once.len() >= REMEMBERED {
            self.once.pop_front();
        }
        self.once.push_back((now, way, digit));
        true
    }
}

/// Whether a body is of the kind that carries a digit.
pub(crate) fn is_digit_body(body: &Body) -> bool {
    let kind = body.content_type.split(';').next().unwrap_or("").trim();
    ["application/dtmf-relay", "application/dtmf"].iter().any(|known| kind.eq_ignore_ascii_case(known))
}

/// `Signal=5` of `application/dtmf-relay`, or the digit alone of `application/dtmf`; 10 and 11 are the event numbers of
/// `*` and `#` (RFC 4733 3.2), which some phones write instead.
pub(crate) fn digit_of(body: &Body) -> Option<char> {
    let text = std::str::from_utf8(&body.bytes).ok()?;
    let signal = |line: &str| {
        let (name, value) = line.split_once('=')?;
        name.trim().eq_ignore_ascii_case("Signal").then(|| value.trim().to_owned())
    };
    let value = text.lines().find_map(signal).unwrap_or_else(|| text.trim().to_owned());
    match value.as_str() {
        "10" => Some('*'),
        "11" => Some('#'),
        other => {
            let mut characters = other.chars();
            let digit = characters.next().map(|digit| digit.to_ascii_uppercase());
            digit.filter(|digit| characters.next().is_none() && "0123456789*#ABCD".contains(*digit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_phones_are_read() {
        for (kind, text, digit) in [
            ("application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", Some('5')),
            ("application/dtmf-relay", "Signal= *\r\nDuration= 250\r\n", Some('*')),
            ("application/dtmf-relay", "signal=#", Some('#')),
            ("application/dtmf-relay", "Duration=160\r\nSignal=11\r\n", Some('#')),
            ("application/dtmf; charset=utf-8", "10\r\n", Some('*')),
            ("Application/DTMF", "d", Some('D')),
            ("application/dtmf-relay", "Signal=55", None),
            ("application/dtmf-relay", "Duration=160", None),
            ("application/dtmf", "", None),
            ("application/dtmf", "x", None),
        ] {
            let body = Body::new(kind, text);
            assert!(is_digit_body(&body), "{kind}");
            assert_eq!(digit_of(&body), digit, "{text:?}");
        }
        assert!(!is_digit_body(&Body::new("application/dtmf-other", "5")));
        assert_eq!(digit_of(&Body::new("application/dtmf", vec![0xff, 0xfe])), None);
    }

    #[test]
    fn a_key_that_is_reported_both_ways_counts_once() {
        use Way::{Event, Info};
        for (reports, counted) in [
            (&[(0, Event, '5'), (200, Info, '5')][..], "5"),
            (&[(0, Info, '5'), (200, Event, '5')], "5"),
            (&[(0, Event, '5'), (100, Event, '5'), (200, Info, '5'), (300, Info, '5')], "55"),
            (&[(0, Event, '4'), (100, Event, '7'), (200, Info, '4'), (300, Info, '7'), (400, Event, '1')], "471"),
            (&[(0, Info, '1'), (50, Info, '1'), (90, Info, '1')], "111"),
            (&[(0, Event, '5'), (2_001, Info, '5')], "55"),
        ] {
            let mut digits = Digits::default();
            let heard: String = reports
                .iter()
                .filter(|(at, way, digit)| digits.is_new(Timestamp::from_millis(*at), *way, *digit))
                .map(|(.., digit)| *digit)
                .collect();
            assert_eq!(heard, counted, "{reports:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut digits = Digits::default();
        for _ in 0..1_000 {
            assert!(digits.is_new(Timestamp::ZERO, Way::Info, '5'));
        }
        assert_eq!(digits.once.len(), REMEMBERED);
    }
}
