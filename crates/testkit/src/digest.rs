//! The client's half of digest authentication (RFC 2617, RFC 7616, RFC 8760).

use md5::Digest;

use crate::message::SipMessage;

/// A user's name and password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The digest user name.
    pub user: String,
    /// The password.
    pub password: String,
}

/// The header (name and value) that answers the challenge of a 401 or 407; `None` when no challenge is understood.
pub fn answer(response: &SipMessage, request: &SipMessage, who: &Credentials) -> Option<(&'static str, String)> {
    let (challenge, header) = match response.status()? {
        401 => ("WWW-Authenticate", "Authorization"),
        407 => ("Proxy-Authenticate", "Proxy-Authorization"),
        _ => return None,
    };
    // RFC 8760 2.3: the first challenge that is supported is taken.
    let value = response.headers_named(challenge).find_map(|text| {
        Challenge::parse(text)
            .map(|challenge| challenge.response(request.method(), request.uri(), who, &super::agent::token()))
    })?;
    Some((header, value))
}

#[derive(Debug, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha256,
}

#[derive(Debug)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: Algorithm,
    qop_auth: bool,
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("Digest")?;
        let algorithm = match field(rest, "algorithm").unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => Algorithm::Md5,
            "SHA-256" => Algorithm::Sha256,
            _ => return None,
        };
        Some(Self {
            realm: field(rest, "realm")?.to_owned(),
            nonce: field(rest, "nonce")?.to_owned(),
            opaque: field(rest, "opaque").map(str::to_owned),
            algorithm,
            qop_auth: field(rest, "qop").is_some_and(|list| list.split(',').any(|item| item.trim() == "auth")),
        })
    }

    fn hash(&self, text: &str) -> String {
        let bytes = match self.algorithm {
            Algorithm::Md5 => md5::Md5::digest(text).to_vec(),
            Algorithm::Sha256 => sha2::Sha256::digest(text).to_vec(),
        };
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn response(&self, method: &str, uri: &str, who: &Credentials, cnonce: &str) -> String {
        let secret = self.hash(&format!("{}:{}:{}", who.user, self.realm, who.password));
        let request = self.hash(&format!("{method}:{uri}"));
        let proof = if self.qop_auth {
            self.hash(&format!("{secret}:{}:00000001:{cnonce}:auth:{request}", self.nonce))
        } else {
            self.hash(&format!("{secret}:{}:{request}", self.nonce))
        };
        let algorithm = if self.algorithm == Algorithm::Md5 { "MD5" } else { "SHA-256" };
        let mut value = format!(
            r#"Digest username="{}", realm="{}", nonce="{}", uri="{uri}", response="{proof}", algorithm={algorithm}"#,
            who.user, self.realm, self.nonce
        );
        if self.qop_auth {
            value.push_str(&format!(r#", qop=auth, nc=00000001, cnonce="{cnonce}""#));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(r#", opaque="{opaque}""#));
        }
        value
    }
}

/// The value of `name=value` or `name="value"` in a challenge.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut rest = text;
    while let Some(equals) = rest.find('=') {
        let key = rest[..equals].trim_matches(|character: char| character == ',' || character.is_whitespace());
        let after = rest[equals + 1..].trim_start();
        let (value, tail) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => after.split_once(',').unwrap_or((after, "")),
        };
        if key.eq_ignore_ascii_case(name) {
            return Some(value.trim());
        }
        rest = tail;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 2617 3.5.
    #[test]
    fn the_example_of_the_rfc_is_reproduced() {
        let challenge = Challenge::parse(
            r#"Digest realm="testrealm@host.com", qop="auth,auth-int", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="5ccc069c403ebaf9f0171e9517f40e41""#,
        )
        .expect("valid");
        let who = Credentials { user: "Mufasa".into(), password: "Circle Of Life".into() };
        let value = challenge.response("GET", "/dir/index.html", &who, "0a4f113b");
        assert!(value.contains(r#"response="6629fae49393a05397450978507c4ef1""#), "{value}");
        assert!(value.contains(r#"opaque="5ccc069c403ebaf9f0171e9517f40e41""#), "{value}");
    }

    #[test]
    fn an_unknown_algorithm_is_not_answered() {
        assert!(Challenge::parse(r#"Digest realm="a", nonce="b", algorithm=SHA-512-256"#).is_none());
    }
}
