//! The URIs of a conference (c3p.md 1.2).
//!
//! Focus and MCU URIs of one conference differ in one token alone, and all of them route to the Focus.

use std::fmt;

use base::{ConferenceId, UserUri};

use crate::wire::token::McuType;

/// What stands before the kind of URI in the `opaque` parameter [V].
const CONFERENCE: &str = "app:conf:";
/// The kind of a Focus URI [V].
const FOCUS: &str = "focus";
/// The kind of the Factory's URI [V].
const FACTORY: &str = "focusfactory";
/// What stands between the kind and the conference id [V].
const ID: &str = ":id:";
/// Prefixes people type or paste before the URI [V-impl].
const TYPED_PREFIXES: [&str; 2] = ["conf:", "meet:"];
/// The header that carries the key of an anonymous join [V-impl].
const CONFERENCE_KEY: &str = "conf-key";
/// Characters of a URI that is read at all.
const LENGTH_MAX: usize = 1024;

/// Why a text is not a conference URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a conference URI: {why}")]
pub struct InvalidUri {
    /// What is wrong with it.
    pub why: &'static str,
}

/// A conference, by its organiser and id. Ids are unique for one organiser only.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FocusUri {
    /// The organiser's address of record.
    pub organizer: UserUri,
    /// The conference id.
    pub conference_id: ConferenceId,
}

impl FocusUri {
    /// A conference of an organiser; URI parameters of the organiser are dropped.
    pub fn new(organizer: &UserUri, conference_id: ConferenceId) -> Self {
        Self { organizer: organizer.address_of_record(), conference_id }
    }

    /// Reads a Focus URI. As [`ConferenceUri::parse`], but no other kind will do.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        match ConferenceUri::parse(text)? {
            ConferenceUri::Focus(focus) => Ok(focus),
            _ => Err(InvalidUri { why: "it does not name a focus" }),
        }
    }

    /// The URI of one of its MCUs.
    pub fn mcu_uri(&self, mcu: McuType) -> String {
        self.spelled(mcu.as_str())
    }

    fn spelled(&self, kind: &str) -> String {
        format!("{};gruu;opaque={CONFERENCE}{kind}{ID}{}", self.organizer, self.conference_id)
    }
}

impl fmt::Display for FocusUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.spelled(FOCUS))
    }
}

/// The URI of an organiser's Factory.
pub fn factory_uri(organizer: &UserUri) -> String {
    format!("{};gruu;opaque={CONFERENCE}{FACTORY}", organizer.address_of_record())
}

/// Any URI of conferencing. Compare values, not texts: parameters come in any order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ConferenceUri {
    /// A conference itself.
    Focus(FocusUri),
    /// One MCU of a conference.
    Mcu(FocusUri, McuType),
    /// The place where an organiser schedules conferences.
    Factory {
        /// The organiser's address of record.
        organizer: UserUri,
    },
}

impl ConferenceUri {
    /// Reads a conference URI.
    ///
    /// `gruu` and `opaque` come in any order, other parameters and headers are ignored, keywords are read without
    /// regard to case, and a `conf:` or `meet:` before the scheme is dropped. The conference id keeps its case.
    pub fn parse(text: &str) -> Result<Self, InvalidUri> {
        let invalid = |why| InvalidUri { why };
        if text.len() > LENGTH_MAX {
            return Err(invalid("it is too long"));
        }
        let address = without_typed_prefix(text).split('?').next().unwrap_or_default();
        let mut parts = address.split(';');
        let organizer = UserUri::parse(parts.next().unwrap_or_default()).map_err(|error| invalid(error.why))?;
        if organizer.host().is_empty() {
            return Err(invalid("it names no organiser at a domain"));
        }
        let opaque = opaque_of(parts)?;
        let conference = strip_keyword(opaque, CONFERENCE).ok_or(invalid("it is not one of conferencing"))?;
        if conference.eq_ignore_ascii_case(FACTORY) {
            return Ok(Self::Factory { organizer });
        }
        let (kind, id) = conference.split_once(ID).ok_or(invalid("it has no conference id"))?;
        let conference_id = ConferenceId::parse(id).map_err(|error| invalid(error.why))?;
        let focus = FocusUri { organizer, conference_id };
        let kind = kind.to_ascii_lowercase();
        match McuType::from_token(&kind) {
            _ if kind == FOCUS => Ok(Self::Focus(focus)),
            Some(mcu) => Ok(Self::Mcu(focus, mcu)),
            None => Err(invalid("it names an unknown kind of server")),
        }
    }

    /// The conference the URI belongs to; the Factory belongs to none.
    pub fn conference(&self) -> Option<&FocusUri> {
        match self {
            Self::Focus(focus) | Self::Mcu(focus, _) => Some(focus),
            Self::Factory { .. } => None,
        }
    }
}

impl fmt::Display for ConferenceUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Focus(focus) => focus.fmt(f),
            Self::Mcu(focus, mcu) => f.write_str(&focus.mcu_uri(*mcu)),
            Self::Factory { organizer } => f.write_str(&factory_uri(organizer)),
        }
    }
}

/// The key of an anonymous join, from the `?conf-key=...` tail of a conference URI [V-impl]. Taken as it stands.
pub fn conference_key(text: &str) -> Option<&str> {
    let (_, headers) = text.split_once('?')?;
    headers.split('&').find_map(|header| {
        let (name, value) = header.split_once('=')?;
        name.eq_ignore_ascii_case(CONFERENCE_KEY).then_some(value)
    })
}

/// The value of the `opaque` parameter, which must occur exactly once.
fn opaque_of<'t>(parameters: impl Iterator<Item = &'t str>) -> Result<&'t str, InvalidUri> {
    let mut values = parameters
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.eq_ignore_ascii_case("opaque"))
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => Err(InvalidUri { why: "it has no opaque parameter" }),
        (Some(_), Some(_)) => Err(InvalidUri { why: "it has two opaque parameters" }),
    }
}

fn without_typed_prefix(text: &str) -> &str {
    TYPED_PREFIXES.iter().find_map(|prefix| strip_keyword(text, prefix)).unwrap_or(text)
}

fn strip_keyword<'t>(text: &'t str, keyword: &str) -> Option<&'t str> {
    let (head, tail) = text.split_at_checked(keyword.len())?;
    head.eq_ignore_ascii_case(keyword).then_some(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn focus() -> FocusUri {
        let organizer = UserUri::parse("sip:ann@example.com").expect("valid");
        FocusUri::new(&organizer, ConferenceId::parse("K3V9PX2Q").expect("valid"))
    }

    #[test]
    fn every_form_is_printed_as_specified_and_read_back() {
        let cases = [
            (ConferenceUri::Focus(focus()), "sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q"),
            (
                ConferenceUri::Mcu(focus(), McuType::AudioVideo),
                "sip:ann@example.com;gruu;opaque=app:conf:audio-video:id:K3V9PX2Q",
            ),
            (ConferenceUri::Mcu(focus(), McuType::Chat), "sip:ann@example.com;gruu;opaque=app:conf:chat:id:K3V9PX2Q"),
            (
                ConferenceUri::Factory { organizer: focus().organizer },
                "sip:ann@example.com;gruu;opaque=app:conf:focusfactory",
            ),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_string(), text);
            assert_eq!(ConferenceUri::parse(text), Ok(value));
        }
        for mcu in McuType::ALL {
            assert_eq!(ConferenceUri::parse(&focus().mcu_uri(*mcu)), Ok(ConferenceUri::Mcu(focus(), *mcu)));
        }
    }

    #[test]
    fn what_people_and_other_programs_write_is_read() {
        let cases = [
            "sip:ann@example.com;opaque=app:conf:focus:id:K3V9PX2Q;gruu",
            "sip:ann@EXAMPLE.com;Opaque=APP:conf:FOCUS:id:K3V9PX2Q",
            "conf:sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q?conf-key=abc",
            "MEET:sip:ann@example.com;gruu;transport=tls;opaque=app:conf:focus:id:K3V9PX2Q",
        ];
        for text in cases {
            assert_eq!(FocusUri::parse(text), Ok(focus()), "{text}");
        }
        assert_eq!(conference_key(cases[2]), Some("abc"));
        assert_eq!(conference_key(cases[0]), None);
    }

    #[test]
    fn what_is_not_a_conference_uri_is_refused() {
        let cases = [
            "",
            "sip:ann@example.com",
            "sip:ann@example.com;gruu;opaque=srvr:MRAS:x",
            "sip:ann@example.com;gruu;opaque=app:conf:focus",
            "sip:ann@example.com;gruu;opaque=app:conf:focus:id:short",
            "sip:ann@example.com;gruu;opaque=app:conf:kitchen:id:K3V9PX2Q",
            "sip:ann@example.com;opaque=app:conf:focus:id:K3V9PX2Q;opaque=app:conf:focus:id:K3V9PX2R",
            "tel:+14255550123;opaque=app:conf:focus:id:K3V9PX2Q",
            "conf:conf:sip:ann@example.com;opaque=app:conf:focus:id:K3V9PX2Q",
        ];
        for text in cases {
            assert!(ConferenceUri::parse(text).is_err(), "{text:?} was accepted");
        }
        assert!(FocusUri::parse(&focus().mcu_uri(McuType::Chat)).is_err());
    }
}
