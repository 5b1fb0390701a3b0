//! Digest authentication as both ends of the wire need it (RFC 7616, RFC 8760): parameters, algorithms, the response.

use md5::Md5;
use sha2::{Digest, Sha256};

/// The parameters of one `Digest` challenge or of one answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DigestParams(Vec<(String, String)>);

impl DigestParams {
    /// Reads a header value; `None` when it is not Digest, or a parameter stands twice or is broken.
    pub fn parse(value: &str) -> Option<Self> {
        let (scheme, mut rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut params: Vec<(String, String)> = Vec::new();
        while !rest.trim_start_matches([' ', '\t', ',']).is_empty() {
            let (name, value) = rest.trim_start_matches([' ', '\t', ',']).split_once('=')?;
            let name = name.trim().to_ascii_lowercase();
            let (value, tail) = take_value(value.trim_start())?;
            if name.is_empty() || params.iter().any(|(other, _)| *other == name) {
                return None;
            }
            params.push((name, value));
            rest = tail;
        }
        Some(Self(params))
    }

    /// A parameter, by its name in lower case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// A hash algorithm of digest authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestAlgorithm {
    /// RFC 8760.
    Sha256,
    /// RFC 2617; what a challenge without `algorithm` means.
    Md5,
}

impl DigestAlgorithm {
    /// The algorithm of this name; `None` when we do not know it, as with the `-sess` variants.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Sha256, Self::Md5].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// The hash of a text in lower-case hexadecimal.
    pub fn hash(self, text: &str) -> String {
        match self {
            Self::Sha256 => hex(&Sha256::digest(text)),
            Self::Md5 => hex(&Md5::digest(text)),
        }
    }

    /// The hash of user, realm and password: `H(A1)` (RFC 7616 3.4.2).
    pub fn ha1(self, user: &str, realm: &str, password: &str) -> String {
        self.hash(&format!("{user}:{realm}:{password}"))
    }

    /// The `response` (RFC 7616 3.4.1). `counted` is the nonce count, in eight hexadecimal digits, and the client's
    /// nonce of `qop=auth`; a challenge without `qop` is answered without them (RFC 2069).
    pub fn response(self, ha1: &str, nonce: &str, counted: Option<(&str, &str)>, method: &str, uri: &str) -> String {
        let ha2 = self.hash(&format!("{method}:{uri}"));
        self.hash(&match counted {
            Some((count, cnonce)) => format!("{ha1}:{nonce}:{count}:{cnonce}:auth:{ha2}"),
            None => format!("{ha1}:{nonce}:{ha2}"),
        })
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes a token or a quoted string off the front; what is left begins with a comma or is empty.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let value = text[..end].trim();
        return (!value.contains(['"', ' ', '\t'])).then(|| (value.to_owned(), &text[end..]));
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (index, character) in quoted.char_indices() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => {
                let tail = quoted[index + 1..].trim_start();
                return (tail.is_empty() || tail.starts_with(',')).then_some((value, tail));
            }
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616_3_9_1_is_met() {
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let counted = Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"));
        for (algorithm, wanted) in [
            (DigestAlgorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            (DigestAlgorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        ] {
            let ha1 = algorithm.ha1("Mufasa", "http-auth@example.org", "Circle of Life");
            assert_eq!(algorithm.response(&ha1, nonce, counted, "GET", "/dir/index.html"), wanted);
        }
    }

    #[test]
    fn parameters_are_tokens_or_quoted_strings_and_stand_once() {
        let read = |text| DigestParams::parse(text);
        let params = read("digest Realm=\"a, \\\"b\\\"\" , qop=\"auth,auth-int\",stale=TRUE").expect("valid");
        assert_eq!(params.get("realm"), Some("a, \"b\""));
        assert_eq!((params.get("qop"), params.get("stale")), (Some("auth,auth-int"), Some("TRUE")));
        for broken in ["Basic realm=\"a\"", "Digest realm=\"a", "Digest a=1, A=2", "Digest realm=\"a\"b", "Digest =1"] {
            assert_eq!(read(broken), None, "{broken}");
        }
    }
}
