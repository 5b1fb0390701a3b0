//! An ordered list of headers with the lookups a dialog needs.

use crate::uri::{NameAddr, ParseError};

/// Headers in the order of the message. Names compare without case and compact forms are understood (RFC 3261 7.3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header at the end. Line breaks in the value become blanks, so that no value can smuggle in a header.
    pub fn push(&mut self, name: &str, value: impl Into<String>) {
        let mut value: String = value.into();
        if value.contains(['\r', '\n', '\0']) {
            value = value.replace(['\r', '\n', '\0'], " ");
        }
        self.0.push((name.to_owned(), value));
    }

    /// Adds a header at the end and returns the list, for building messages.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// Replaces every header of this name by one.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.remove(name);
        self.push(name, value);
    }

    /// Removes every header of this name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(existing, _)| !same_header_name(existing, name));
    }

    /// The first header of this name, trimmed.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// Every header line of this name, in order, trimmed; a line with several values comes as one.
    pub fn get_all<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> + use<'a, 'n> {
        self.0.iter().filter(move |(existing, _)| same_header_name(existing, name)).map(|(_, value)| value.trim())
    }

    /// Every value of a comma-separated header, over all its lines. Commas in quotes and brackets do not separate.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.get_all(name).flat_map(split_values).filter(|value| !value.is_empty()).collect()
    }

    /// Whether a comma-separated header holds this token, without case (`Supported`, `Require`, `Allow` ...).
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.values(name).iter().any(|value| value.eq_ignore_ascii_case(token))
    }

    /// Whether the sender takes bodies of this type: `Accept` names it or a range it is in, or is not there (RFC 3261 20.1;
    /// `q=0` names what is not taken).
    pub fn accepts(&self, media_type: &str) -> bool {
        let kind = media_type.split('/').next().unwrap_or("");
        let is_in = |range: &str| {
            let named = range.split(';').next().unwrap_or("").trim();
            let any = named.strip_suffix("/*").is_some_and(|of| of == "*" || of.eq_ignore_ascii_case(kind));
            let refused = header_parameter(range, "q").is_some_and(|q| q.parse() == Ok(0.0));
            (any || named.eq_ignore_ascii_case(media_type)) && !refused
        };
        self.get("Accept").is_none() || self.values("Accept").into_iter().any(is_in)
    }

    /// The first value of a name-addr header.
    pub fn name_addr(&self, name: &str) -> Option<Result<NameAddr, ParseError>> {
        self.values(name).first().map(|value| NameAddr::parse(value))
    }

    /// Every value of a name-addr header; the first value that cannot be read is the error.
    pub fn name_addrs(&self, name: &str) -> Result<Vec<NameAddr>, ParseError> {
        self.values(name).into_iter().map(NameAddr::parse).collect()
    }

    /// The headers in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many header lines there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The value of a parameter in a header like `1800;refresher=uac`, without quotes; `Some("")` when it has none.
pub fn header_parameter<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    value.split(';').skip(1).find_map(|part| {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().trim_matches('"'))
    })
}

fn split_values(line: &str) -> Vec<&str> {
    let (mut quoted, mut escaped, mut depth, mut start) = (false, false, 0_usize, 0);
    let mut values = Vec::new();
    for (index, character) in line.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => depth += 1,
            '>' if !quoted => depth = depth.saturating_sub(1),
            ',' if !quoted && depth == 0 => {
                values.push(line[start..index].trim());
                start = index + 1;
            }
            _ => {}
        }
    }
    values.push(line[start..].trim());
    values
}

/// Whether two header names mean the same header, without case and with compact forms (RFC 3261 7.3.3).
pub fn same_header_name(one: &str, other: &str) -> bool {
    // Asked for every header of every message, so the usual case comes first.
    if one.len() > 1 && other.len() > 1 {
        return one.eq_ignore_ascii_case(other);
    }
    long_form(one).eq_ignore_ascii_case(long_form(other))
}

fn long_form(name: &str) -> &str {
    const COMPACT: [(&str, &str); 15] = [
        ("i", "Call-ID"),
        ("m", "Contact"),
        ("e", "Content-Encoding"),
        ("l", "Content-Length"),
        ("c", "Content-Type"),
        ("f", "From"),
        ("s", "Subject"),
        ("k", "Supported"),
        ("t", "To"),
        ("v", "Via"),
        ("o", "Event"),
        ("u", "Allow-Events"),
        ("r", "Refer-To"),
        ("b", "Referred-By"),
        ("x", "Session-Expires"),
    ];
    if name.len() > 1 {
        return name;
    }
    COMPACT.iter().find(|(short, _)| short.eq_ignore_ascii_case(name)).map_or(name, |(_, long)| long)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compact_names_and_commas_are_understood() {
        let headers = Headers::new()
            .with("m", "\"A, B\" <sip:a@x>, <sip:b@x;p=1,2>")
            .with("Contact", "sip:c@x")
            .with("k", "timer, 100rel");
        let contacts = headers.name_addrs("contact").expect("valid");
        assert_eq!(contacts.len(), 3);
        assert_eq!(contacts[0].display_name.as_deref(), Some("A, B"));
        assert!(headers.has_token("Supported", "100REL"));
    }

    #[test]
    fn a_value_cannot_smuggle_in_a_header() {
        let headers = Headers::new().with("Subject", "x\r\nFrom: evil");
        assert_eq!(headers.get("subject"), Some("x  From: evil"));
    }

    #[test]
    fn types_are_accepted_by_name_by_range_and_without_a_word() {
        for (accept, taken) in [
            (None, true),
            (Some(""), false),
            (Some("text/plain"), false),
            (Some("text/*, audio/x"), false),
            (Some("text/plain, Application/X+xml;q=0.5"), true),
            (Some("application/*"), true),
            (Some("*/*"), true),
            (Some("application/x+xml;q=0.0"), false),
        ] {
            let headers = accept.map_or_else(Headers::new, |accept| Headers::new().with("Accept", accept));
            assert_eq!(headers.accepts("application/x+xml"), taken, "{accept:?}");
        }
    }

    #[test]
    fn header_parameters_are_found() {
        assert_eq!(header_parameter("1800;refresher=uac", "Refresher"), Some("uac"));
        assert_eq!(header_parameter("active;expires=\"60\"", "expires"), Some("60"));
        assert_eq!(header_parameter("active", "expires"), None);
    }
}
