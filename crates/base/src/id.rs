//! Identifiers as distinct types, so that one cannot stand where another belongs.

use std::fmt;

/// Why a text is not an identifier of the wanted kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind}: {why}")]
pub struct InvalidId {
    /// Which identifier was being read.
    pub kind: &'static str,
    /// What is wrong with the text.
    pub why: &'static str,
}

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

numeric_id!(
    /// One dialog plus its media; unique in the process.
    LegId
);
numeric_id!(
    /// A correlated set of legs: one caller and those rung for him; unique in the process.
    CallId
);
numeric_id!(
    /// One set of devices rung for one purpose; the first answer wins.
    OfferId
);
numeric_id!(
    /// One subscription to a conference's roster.
    SubscriptionId
);
numeric_id!(
    /// One command given to a Focus, on whichever surface it arrived.
    CommandId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text of the identifier.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                Self::parse(&text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::parse(text)
            }
        }
    };
}

text_id!(
    /// The id shared by every modality of one conference (requirement C5): 8 to 32 ASCII letters and digits
    /// (MS-CONFPRO 2.2.1.2). Case is kept and is significant.
    ConferenceId
);

impl ConferenceId {
    /// Reads a conference id; 8 to 32 ASCII letters and digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| InvalidId { kind: "conference id", why };
        if !(8..=32).contains(&text.len()) {
            return Err(invalid("it must have 8 to 32 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(invalid("only ASCII letters and digits are allowed"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id!(
    /// The number people dial to reach a conference: 1 to 15 digits.
    ConferenceNumber
);

impl ConferenceNumber {
    /// Digits of the longest number.
    pub const LENGTH_MAX: usize = 15;

    /// Reads a conference number; 1 to 15 ASCII digits.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| InvalidId { kind: "conference number", why };
        if !(1..=Self::LENGTH_MAX).contains(&text.len()) {
            return Err(invalid("it must have 1 to 15 digits"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(invalid("only the digits 0 to 9 are allowed"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id!(
    /// The entity of one device of one user in a roster, a brace-wrapped GUID by custom (c3p.md 2.5); at most 256
    /// printable ASCII characters. Compared as given.
    EndpointId
);

impl EndpointId {
    /// Reads an endpoint entity; 1 to 256 printable ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| InvalidId { kind: "endpoint entity", why };
        if !(1..=256).contains(&text.len()) {
            return Err(invalid("it must have 1 to 256 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(invalid("only printable ASCII characters without blanks are allowed"));
        }
        Ok(Self(text.to_owned()))
    }
}

text_id!(
    /// The SIP or tel URI that names a user in a roster, in canonical form: scheme and host in lower case, the user
    /// part and parameters as given. At most 512 printable ASCII characters. Compared in canonical form.
    UserUri
);

impl UserUri {
    /// Reads a `sip:`, `sips:` or `tel:` URI and puts it into canonical form.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = |why| InvalidId { kind: "user URI", why };
        if text.len() > 512 {
            return Err(invalid("it has more than 512 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"')) {
            return Err(invalid("only printable ASCII characters without blanks, quotes and brackets are allowed"));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(invalid("it has no scheme, which is sip:, sips: or tel:"));
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "sip" | "sips" | "tel") {
            return Err(invalid("the scheme must be sip, sips or tel"));
        }
        if rest.is_empty() {
            return Err(invalid("nothing follows the scheme"));
        }
        let canonical = match rest.rsplit_once('@') {
            Some(("", _)) => return Err(invalid("the user part is empty")),
            Some((user, host)) => {
                let end = host.find([';', '?']).unwrap_or(host.len());
                let (host, tail) = host.split_at(end);
                if host.is_empty() {
                    return Err(invalid("the host is empty"));
                }
                format!("{scheme}:{user}@{}{tail}", host.to_ascii_lowercase())
            }
            None if scheme == "tel" => format!("{scheme}:{rest}"),
            None => format!("{scheme}:{}", rest.to_ascii_lowercase()),
        };
        Ok(Self(canonical))
    }

    /// The same user without URI parameters and headers: the address of record.
    pub fn address_of_record(&self) -> UserUri {
        let end = self.0.find([';', '?']).unwrap_or(self.0.len());
        Self(self.0[..end].to_owned())
    }

    /// The part before `@`, or what follows the scheme of a `tel:` URI; parameters are not part of it.
    pub fn user_part(&self) -> &str {
        let rest = self.0.split_once(':').map_or("", |(_, rest)| rest);
        match rest.rsplit_once('@') {
            Some((user, _)) => user,
            None => rest.split([';', '?']).next().unwrap_or(""),
        }
    }

    /// The host (without port, parameters and headers); empty for a `tel:` URI.
    pub fn host(&self) -> &str {
        let Some((_, host)) = self.0.rsplit_once('@') else { return "" };
        let host = host.split([';', '?']).next().unwrap_or("");
        match host.rsplit_once(':') {
            Some((name, port)) if !name.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conference_ids_have_8_to_32_letters_and_digits() {
        assert!(ConferenceId::parse("K3V9PX2Q").is_ok());
        for bad in ["", "K3V9PX2", "K3V9PX2-", &"A".repeat(33), "K3V9PX2\u{e9}"] {
            assert!(ConferenceId::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn user_uris_are_compared_in_canonical_form() {
        let one = UserUri::parse("SIP:Ann@Example.COM;gruu").expect("valid");
        assert_eq!(one.as_str(), "sip:Ann@example.com;gruu");
        assert_eq!(one.address_of_record().as_str(), "sip:Ann@example.com");
        assert_eq!((one.user_part(), one.host()), ("Ann", "example.com"));
    }

    #[test]
    fn user_uris_without_scheme_or_host_are_refused() {
        for bad in ["", "ann@example.com", "sip:", "sip:ann@", "sip:@example.com", "http://x", "sip:a b@c"] {
            assert!(UserUri::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
