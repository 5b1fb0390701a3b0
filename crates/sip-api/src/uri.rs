//! SIP and tel URIs, and header values of the form `"name" <uri>;parameter`.

use std::fmt;

/// Why a text is not a URI or a name-addr.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at byte {at}")]
pub struct ParseError {
    /// Byte offset in the text.
    pub at: usize,
    /// What is wrong.
    pub kind: &'static str,
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:` (RFC 3966)
    Tel,
}

/// A SIP, SIPS or tel URI (RFC 3261 19.1, RFC 3966). Escapes are kept as they came; the host is in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// The scheme.
    pub scheme: Scheme,
    /// The part before `@`, without a password; for `tel:` the number.
    pub user: Option<String>,
    /// Host name or address (IPv6 in brackets); empty for `tel:`.
    pub host: String,
    /// Port, if given.
    pub port: Option<u16>,
    /// URI parameters in order; names in lower case.
    pub params: Vec<(String, Option<String>)>,
    /// Header part (after `?`), as it came.
    pub headers: Option<String>,
}

impl SipUri {
    /// A plain `sip:` URI.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        Self {
            scheme: Scheme::Sip,
            user: user.map(str::to_owned),
            host: host.to_ascii_lowercase(),
            port,
            params: Vec::new(),
            headers: None,
        }
    }

    /// Reads a URI. Total: any text gives a value or an error.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let error = |at, kind| ParseError { at, kind };
        if let Some(at) = text.bytes().position(|byte| !byte.is_ascii_graphic() || matches!(byte, b'<' | b'>' | b'"')) {
            return Err(error(at, "character not allowed in a URI"));
        }
        let (scheme, rest) = text.split_once(':').ok_or(error(0, "no scheme"))?;
        let start = scheme.len() + 1;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "sip" => Scheme::Sip,
            "sips" => Scheme::Sips,
            "tel" => Scheme::Tel,
            _ => return Err(error(0, "unknown scheme")),
        };
        // What comes before the last '@' is the user part, in which a '?' may stand (RFC 3261 25.1, user-unreserved).
        let host_at = if scheme == Scheme::Tel { rest.len() } else { rest.rfind('@').map_or(0, |at| at + 1) };
        let (rest, headers) = match rest[host_at..].find('?') {
            Some(at) => (&rest[..host_at + at], Some(rest[host_at + at + 1..].to_owned())),
            None => (rest, None),
        };
        if scheme == Scheme::Tel {
            let mut parts = rest.split(';');
            let number = parts.next().unwrap_or("");
            if number.is_empty() {
                return Err(error(start, "no number"));
            }
            return Ok(Self {
                scheme,
                user: Some(number.to_owned()),
                host: String::new(),
                port: None,
                params: parse_params(parts),
                headers,
            });
        }
        let (user, host_part) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user.split(':').next().unwrap_or("").to_owned()), host),
            None => (None, rest),
        };
        if user.as_deref() == Some("") {
            return Err(error(start, "empty user part"));
        }
        let mut parts = host_part.split(';');
        let host_port = parts.next().unwrap_or("");
        let (host, port) = split_host_port(host_port).ok_or(error(start, "host or port not valid"))?;
        Ok(Self { scheme, user, host, port, params: parse_params(parts), headers })
    }

    /// The value of a URI parameter (`Some("")` when it has none); names compare without case.
    pub fn param(&self, name: &str) -> Option<&str> {
        find_param(&self.params, name)
    }

    /// Sets or replaces a URI parameter.
    pub fn set_param(&mut self, name: &str, value: Option<&str>) {
        self.params.retain(|(existing, _)| !existing.eq_ignore_ascii_case(name));
        self.params.push((name.to_ascii_lowercase(), value.map(str::to_owned)));
    }

    /// The same URI without parameters, headers and port: `sip:user@host`.
    pub fn address_of_record(&self) -> SipUri {
        SipUri { params: Vec::new(), headers: None, port: None, ..self.clone() }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scheme {
            Scheme::Sip => "sip:",
            Scheme::Sips => "sips:",
            Scheme::Tel => "tel:",
        })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if self.scheme != Scheme::Tel {
                f.write_str("@")?;
            }
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write_params(f, &self.params)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// `"display name" <uri>;parameters`, as in From, To, Contact, Route (RFC 3261 20.10).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name, unquoted.
    pub display_name: Option<String>,
    /// The URI.
    pub uri: SipUri,
    /// Header parameters (after `>`); names in lower case.
    pub params: Vec<(String, Option<String>)>,
}

impl NameAddr {
    /// A bare URI without a name and parameters.
    pub fn new(uri: SipUri) -> Self {
        Self { display_name: None, uri, params: Vec::new() }
    }

    /// Reads one value. Without angle brackets every parameter is a header parameter (RFC 3261 20.10).
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let text = text.trim();
        let (display_name, rest) = take_display_name(text)?;
        if let Some(open) = rest.find('<') {
            let inner = &rest[open + 1..];
            let close = inner.find('>').ok_or(ParseError { at: text.len(), kind: "no closing bracket" })?;
            let tail = inner[close + 1..].trim();
            if !tail.is_empty() && !tail.starts_with(';') {
                return Err(ParseError { at: text.len() - tail.len(), kind: "text after the closing bracket" });
            }
            let name = display_name.or_else(|| Some(rest[..open].trim().to_owned()).filter(|name| !name.is_empty()));
            return Ok(Self {
                display_name: name,
                uri: SipUri::parse(inner[..close].trim())?,
                params: parse_params(tail.split(';').skip(1)),
            });
        }
        let (uri, params) = rest.split_once(';').unwrap_or((rest, ""));
        Ok(Self { display_name, uri: SipUri::parse(uri.trim())?, params: parse_params(params.split(';')) })
    }

    /// The value of a header parameter (`Some("")` when it has none).
    pub fn param(&self, name: &str) -> Option<&str> {
        find_param(&self.params, name)
    }

    /// The dialog tag.
    pub fn tag(&self) -> Option<&str> {
        self.param("tag").filter(|tag| !tag.is_empty())
    }

    /// The same value with another tag.
    #[must_use]
    pub fn with_tag(mut self, tag: &str) -> Self {
        self.params.retain(|(name, _)| name != "tag");
        self.params.push(("tag".to_owned(), Some(tag.to_owned())));
        self
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            f.write_str("\"")?;
            for character in name.chars().filter(|character| !character.is_control()) {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>", self.uri)?;
        write_params(f, &self.params)
    }
}

/// Splits off a quoted display name; an unquoted one is left to the caller.
fn take_display_name(text: &str) -> Result<(Option<String>, &str), ParseError> {
    let Some(quoted) = text.strip_prefix('"') else { return Ok((None, text)) };
    let mut name = String::new();
    let mut escaped = false;
    for (index, character) in quoted.char_indices() {
        match character {
            _ if escaped => {
                name.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Ok((Some(name), quoted[index + 1..].trim_start())),
            _ => name.push(character),
        }
    }
    Err(ParseError { at: text.len(), kind: "unbalanced quote" })
}

fn split_host_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if text.starts_with('[') {
        let close = text.find(']')?;
        let (host, rest) = text.split_at(close + 1);
        host[1..close].parse::<std::net::Ipv6Addr>().ok()?;
        (host, if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) })
    } else {
        match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        }
    };
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(valid) {
        return None;
    }
    let port = match port {
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(port.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((host.to_ascii_lowercase(), port))
}

fn parse_params<'a>(parts: impl Iterator<Item = &'a str>) -> Vec<(String, Option<String>)> {
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once('=') {
            Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(value.trim().to_owned())),
            None => (part.to_ascii_lowercase(), None),
        })
        .collect()
}

fn find_param<'a>(params: &'a [(String, Option<String>)], name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(existing, _)| existing.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_deref().unwrap_or(""))
}

fn write_params(f: &mut fmt::Formatter<'_>, params: &[(String, Option<String>)]) -> fmt::Result {
    for (name, value) in params {
        match value {
            Some(value) => write!(f, ";{name}={value}")?,
            None => write!(f, ";{name}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn uris_are_printed_as_they_were_read() {
        for text in [
            "sip:ann@example.com;gruu;opaque=app:conf:focus:id:K3V9PX2Q",
            "sip:+14255550123@example.com;user=phone",
            "sips:bob@[2001:db8::1]:5061;transport=tls?Subject=x",
            "tel:+14255550123;phone-context=example.com",
            "sip:127.0.0.1:5060",
        ] {
            assert_eq!(SipUri::parse(text).expect(text).to_string(), text);
        }
    }

    #[test]
    fn bad_uris_are_errors() {
        for text in ["", "sip:", "http://x", "sip:@x", "sip:a@", "sip:a@h:99999", "sip:a@h:x", "sip:a b@h", "tel:"] {
            assert!(SipUri::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_display_name_may_hold_brackets_quotes_and_commas() {
        let value = NameAddr::parse(r#""Ann \"A\" <x>, B" <sip:ann@example.com>;tag=1"#).expect("valid");
        assert_eq!(value.display_name.as_deref(), Some("Ann \"A\" <x>, B"));
        assert_eq!(value.tag(), Some("1"));
        assert_eq!(NameAddr::parse(&value.to_string()).expect("printed form"), value);
    }

    #[test]
    fn parameters_without_brackets_belong_to_the_header() {
        let value = NameAddr::parse("sip:ann@example.com;tag=7").expect("valid");
        assert_eq!((value.tag(), value.uri.params.len()), (Some("7"), 0));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_printing_is_stable(text in "\\PC{0,80}") {
            if let Ok(value) = NameAddr::parse(&text) {
                let printed = value.to_string();
                let again = NameAddr::parse(&printed).expect("what we print we can read");
                prop_assert_eq!(again.to_string(), printed);
            }
        }
    }
}
