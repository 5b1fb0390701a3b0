//! Digest, the client's side: challenges of trunks and other servers, and the answers to them (RFC 3261 22, RFC 7616,
//! RFC 8760).

use base::Pii;
use sip_api::{DigestAlgorithm, DigestParams, Headers, Request};

/// Challenges of one call that are remembered: ours to the trunk, and those of proxies on the way.
const CHALLENGERS: usize = 4;

/// A name and a password for whoever challenges our requests.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The digest user name.
    pub username: String,
    /// The password.
    pub password: Pii,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).finish_non_exhaustive()
    }
}

/// Credentials with the challenges they have met. A request that follows carries its answers before it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    credentials: Credentials,
    /// Our nonce for every answer; each nonce of theirs has its own count (RFC 7616 3.4).
    cnonce: String,
    known: Vec<Challenge>,
}

/// Why a challenge is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// There are no credentials for this peer.
    NoCredentials,
    /// It has seen our answer and does not accept it.
    Refused,
    /// It wants an algorithm or a protection we do not know, or its challenge cannot be read.
    Unsupported,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Challenge {
    asker: Asker,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    algorithm: DigestAlgorithm,
    /// `algorithm` stood in the challenge, so it stands in the answer.
    names_algorithm: bool,
    /// `qop=auth`; without it the answer is that of RFC 2069.
    counted: bool,
    count: u32,
}

/// Who challenges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Server,
    Proxy,
}

impl Asker {
    fn of(status: u16) -> Self {
        if status == 407 { Self::Proxy } else { Self::Server }
    }

    const fn challenge_header(self) -> &'static str {
        match self {
            Self::Server => "WWW-Authenticate",
            Self::Proxy => "Proxy-Authenticate",
        }
    }

    const fn answer_header(self) -> &'static str {
        match self {
            Self::Server => "Authorization",
            Self::Proxy => "Proxy-Authorization",
        }
    }
}

impl Authority {
    /// Credentials that have met no challenge.
    pub(crate) fn new(credentials: Credentials, cnonce: String) -> Self {
        Self { credentials, cnonce, known: Vec::new() }
    }

    /// Takes the challenges of a 401 or 407 in. `sent` is the request that was refused.
    ///
    /// A realm is answered anew when the refused request had no answer for it, or one to an older challenge: its nonce
    /// has run out. Whoever challenges a fresh answer again has refused it, unless he says `stale`; `tries` counts the
    /// answers to this request, so that nobody can make us repeat it for ever.
    pub(crate) fn take_up(
        &mut self,
        status: u16,
        refusal: &Headers,
        sent: &Request,
        tries: u8,
    ) -> Result<(), Unanswered> {
        /// A proxy and a server may ask, and each may call its nonce stale once.
        const TRIES: u8 = 4;
        let asker = Asker::of(status);
        let mut challenges: Vec<(Challenge, bool)> = Vec::new();
        for value in refusal.get_all(asker.challenge_header()) {
            // RFC 8760 2.4: of one realm's challenges the topmost that is understood is taken.
            if let Some((challenge, stale)) = Challenge::read(asker, value)
                && !challenges.iter().any(|(other, _)| other.realm == challenge.realm)
            {
                challenges.push((challenge, stale));
            }
        }
        if challenges.is_empty() {
            return Err(Unanswered::Unsupported);
        }
        let answered: Vec<DigestParams> =
            sent.headers.get_all(asker.answer_header()).filter_map(DigestParams::parse).collect();
        for (challenge, stale) in challenges {
            let last = answered.iter().find(|params| params.get("realm") == Some(&challenge.realm));
            let in_advance = tries == 0;
            if tries >= TRIES || (last.is_some() && !stale && !in_advance) {
                return Err(Unanswered::Refused);
            }
            self.remember(challenge);
        }
        Ok(())
    }

    fn remember(&mut self, challenge: Challenge) {
        self.known.retain(|known| known.asker != challenge.asker || known.realm != challenge.realm);
        if self.known.len() >= CHALLENGERS {
            self.known.remove(0);
        }
        self.known.push(challenge);
    }

    /// Puts the answers to every challenge met so far on a request, in place of those it has.
    pub(crate) fn sign(&mut self, request: &mut Request) {
        let (method, uri) = (request.method.to_string(), request.uri.to_string());
        for asker in [Asker::Server, Asker::Proxy] {
            request.headers.remove(asker.answer_header());
        }
        for challenge in &mut self.known {
            let value = challenge.answer(&self.credentials, &self.cnonce, &method, &uri);
            request.headers.push(challenge.asker.answer_header(), value);
        }
    }
}

impl Challenge {
    /// Reads one challenge, and whether it says that the last nonce was merely too old; `None` when we cannot answer it.
    fn read(asker: Asker, value: &str) -> Option<(Self, bool)> {
        let params = DigestParams::parse(value)?;
        let counted = match params.get("qop") {
            Some(offered) => {
                // Only `auth-int` is asked for: the body would have to be hashed, which nobody does.
                if !offered.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) {
                    return None;
                }
                true
            }
            None => false,
        };
        let algorithm = params.get("algorithm");
        let stale = params.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
        let challenge = Self {
            asker,
            realm: params.get("realm")?.to_owned(),
            nonce: params.get("nonce")?.to_owned(),
            opaque: params.get("opaque").map(str::to_owned),
            algorithm: DigestAlgorithm::named(algorithm.unwrap_or("MD5"))?,
            names_algorithm: algorithm.is_some(),
            counted,
            count: 0,
        };
        Some((challenge, stale))
    }

    fn answer(&mut self, credentials: &Credentials, cnonce: &str, method: &str, uri: &str) -> String {
        self.count = self.count.saturating_add(1);
        let count = format!("{:08x}", self.count);
        let counted = self.counted.then_some((count.as_str(), cnonce));
        let ha1 = self.algorithm.ha1(&credentials.username, &self.realm, credentials.password.expose());
        let response = self.algorithm.response(&ha1, &self.nonce, counted, method, uri);
        let mut value = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{}\", uri=\"{uri}\", response=\"{response}\"",
            quoted(&credentials.username),
            quoted(&self.realm),
            quoted(&self.nonce),
        );
        if self.names_algorithm {
            value.push_str(&format!(", algorithm={}", self.algorithm.name()));
        }
        if let Some((count, cnonce)) = counted {
            value.push_str(&format!(", qop=auth, nc={count}, cnonce=\"{cnonce}\""));
        }
        if let Some(opaque) = &self.opaque {
            value.push_str(&format!(", opaque=\"{}\"", quoted(opaque)));
        }
        value
    }
}

/// The inside of a quoted string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_api::{Method, SipUri};

    fn authority() -> Authority {
        let password = Pii::new("Circle of Life");
        let credentials = Credentials { username: "Mufasa".to_owned(), password };
        Authority::new(credentials, "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".to_owned())
    }

    fn request() -> Request {
        Request::new(Method::Invite, SipUri::parse("sip:+49301@gw.example").expect("valid"))
    }

    fn challenged(status: u16, challenges: &[&str]) -> (u16, Headers) {
        let name = if status == 407 { "Proxy-Authenticate" } else { "WWW-Authenticate" };
        (status, challenges.iter().fold(Headers::new(), |headers, value| headers.with(name, *value)))
    }

    fn params(request: &Request, name: &str) -> DigestParams {
        DigestParams::parse(request.headers.get(name).expect("it is signed")).expect("it can be read")
    }

    #[test]
    fn the_topmost_algorithm_we_know_is_taken_and_every_request_counts() {
        let (status, refusal) = challenged(
            407,
            &[
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, qop=\"auth\"",
                "Digest realm=\"r\", nonce=\"n\", algorithm=SHA-256, qop=\"auth-int,auth\", opaque=\"o\"",
                "Digest realm=\"r\", nonce=\"n\", algorithm=MD5, qop=\"auth\"",
            ],
        );
        let mut authority = authority();
        let mut request = request();
        authority.take_up(status, &refusal, &request, 0).expect("it can be answered");
        for count in ["00000001", "00000002"] {
            authority.sign(&mut request);
            assert_eq!(request.headers.get_all("Proxy-Authorization").count(), 1);
            let params = params(&request, "Proxy-Authorization");
            assert_eq!((params.get("algorithm"), params.get("opaque")), (Some("SHA-256"), Some("o")));
            assert_eq!((params.get("qop"), params.get("nc")), (Some("auth"), Some(count)));
            assert_eq!(params.get("uri"), Some("sip:+49301@gw.example"));
            let cnonce = params.get("cnonce").expect("given");
            let ha1 = DigestAlgorithm::Sha256.ha1("Mufasa", "r", "Circle of Life");
            let wanted =
                DigestAlgorithm::Sha256.response(&ha1, "n", Some((count, cnonce)), "INVITE", &request.uri.to_string());
            assert_eq!(params.get("response"), Some(wanted.as_str()));
        }
    }

    #[test]
    fn a_challenge_without_qop_is_answered_as_rfc_2069_says() {
        let (status, refusal) = challenged(401, &["Digest realm=\"r\", nonce=\"n\""]);
        let (mut authority, mut request) = (authority(), request());
        authority.take_up(status, &refusal, &request, 0).expect("it can be answered");
        authority.sign(&mut request);
        let params = params(&request, "Authorization");
        assert_eq!((params.get("qop"), params.get("nc"), params.get("algorithm")), (None, None, None));
        let ha1 = DigestAlgorithm::Md5.ha1("Mufasa", "r", "Circle of Life");
        let wanted = DigestAlgorithm::Md5.response(&ha1, "n", None, "INVITE", "sip:+49301@gw.example");
        assert_eq!(params.get("response"), Some(wanted.as_str()));
    }

    #[test]
    fn what_we_cannot_compute_is_not_answered() {
        for value in ["Basic realm=\"r\"", "Digest realm=\"r\"", "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""] {
            let (status, refusal) = challenged(401, &[value]);
            assert_eq!(authority().take_up(status, &refusal, &request(), 0), Err(Unanswered::Unsupported), "{value}");
        }
    }

    #[test]
    fn a_fresh_answer_that_is_challenged_again_was_refused_unless_its_nonce_is_stale() {
        let again = |stale: &str| challenged(401, &[&format!("Digest realm=\"r\", nonce=\"m\", qop=\"auth\"{stale}")]);
        let (status, first) = challenged(401, &["Digest realm=\"r\", nonce=\"n\", qop=\"auth\""]);
        let (mut authority, mut request) = (authority(), request());
        authority.take_up(status, &first, &request, 0).expect("it can be answered");
        authority.sign(&mut request);
        let refused = Err(Unanswered::Refused);
        assert_eq!(authority.clone().take_up(401, &again("").1, &request, 1), refused);
        assert_eq!(authority.clone().take_up(401, &again(", stale=true").1, &request, 1), Ok(()));
        assert_eq!(authority.clone().take_up(401, &again(", stale=true").1, &request, 4), refused, "not for ever");
        assert_eq!(authority.take_up(401, &again("").1, &request, 0), Ok(()), "an answer given in advance is old");
        authority.sign(&mut request);
        let params = params(&request, "Authorization");
        assert_eq!((params.get("nonce"), params.get("nc")), (Some("m"), Some("00000001")));
    }

    #[test]
    fn the_password_is_not_printed() {
        let printed = format!("{:?}", authority());
        assert!(printed.contains("Mufasa") && !printed.contains("Life"), "{printed}");
    }
}
