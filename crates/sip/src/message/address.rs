//! From and To, read more strictly than other name-addr headers.

use std::borrow::Cow;

use sip_api::{NameAddr, SipUri};

/// The value of From or To.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The URI; `None` when it is well formed but of a scheme this server does not speak.
    pub uri: Option<SipUri>,
    /// The tag.
    pub tag: Option<String>,
}

impl Address {
    /// Reads a value; `None` when it breaks the grammar.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let value = mend_ipv6(value);
        if let Some(inner) = bracketed(&value)
            && inner.contains([' ', '\t'])
        {
            return None;
        }
        match NameAddr::parse(&value) {
            Ok(address) => Some(Self { tag: address.tag().map(str::to_owned), uri: Some(address.uri) }),
            Err(_) => Self::of_foreign_scheme(&value),
        }
    }

    fn of_foreign_scheme(value: &str) -> Option<Self> {
        let (uri, params) = match bracketed(value) {
            Some(inner) => (inner, value.rsplit_once('>').map_or("", |(_, params)| params)),
            None => value.split_once(';').unwrap_or((value, "")),
        };
        if !is_foreign_uri(uri) {
            return None;
        }
        let tag = params.split(';').filter_map(|param| param.split_once('=')).find_map(|(name, value)| {
            name.trim().eq_ignore_ascii_case("tag").then(|| value.trim().to_owned()).filter(|tag| !tag.is_empty())
        });
        Some(Self { uri: None, tag })
    }
}

/// Whether this is an absolute URI of a scheme other than sip, sips and tel (RFC 3986 3.1).
pub(crate) fn is_foreign_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let scheme_char = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    let spoken = ["sip", "sips", "tel"].iter().any(|spoken| scheme.eq_ignore_ascii_case(spoken));
    !spoken
        && scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(scheme_char)
        && !rest.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"'))
}

/// An IPv6 address as the faulty grammar of RFC 3261 wrote it, with three colons in a row, becomes the one that is
/// meant (RFC 5118 4.10 asks to accept both).
pub(crate) fn mend_ipv6(text: &str) -> Cow<'_, str> {
    let inside = text.find('[').zip(text.find(']')).is_some_and(|(open, close)| {
        open < close && text[open..close].contains(":::") && !text[open..close].contains("::::")
    });
    if inside { Cow::Owned(text.replacen(":::", "::", 1)) } else { Cow::Borrowed(text) }
}

/// What stands between the angle brackets that follow the display name.
fn bracketed(value: &str) -> Option<&str> {
    let (mut quoted, mut escaped) = (false, false);
    for (index, character) in value.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => {
                let inner = &value[index + 1..];
                return inner.find('>').map(|close| &inner[..close]);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read() {
        for (text, tag) in [
            ("sip:ann@example.com ;   tag    = 1918", Some("1918")),
            ("\"J Rosenberg \\\\\\\"\" <sip:jdrosen@example.com> ; tag = 98asjd8", Some("98asjd8")),
            ("caller<sip:caller@example.com>;tag=323", Some("323")),
            ("<sip:user@[2001:db8:::192.0.2.1]>", None),
            ("isbn:2983792873", None),
            ("<http://www.example.com>;tag=3234233", Some("3234233")),
        ] {
            assert_eq!(Address::parse(text).expect(text).tag.as_deref(), tag, "{text}");
        }
    }

    #[test]
    fn broken_addresses_are_refused() {
        for text in [
            "",
            "ann",
            "\"Mr. J. User <sip:j.user@example.com>",
            "\"Watson\" < sip:t.watson@example.org >",
            "<sip:ann@example.com",
            "sip:2001:db8::10",
            "<sip:user@[2001:db8::::1]>",
        ] {
            assert_eq!(Address::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,60}") {
            let _ = Address::parse(&text);
        }
    }
}
