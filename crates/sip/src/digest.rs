//! Digest authentication of requests (RFC 3261 22, RFC 8760), server side.
//!
//! Nonces are stateless: they carry their own time and a seal, so challenging a stranger costs no memory. State is
//! made only for a nonce that was used with a right password, to refuse a repeated nonce count.
//!
//! A nonce is good only from the address it was given to. Any other is answered with a new one, whatever the password, and
//! counts as no guess: who forges the address of a phone never sees a nonce for it, and so cannot use up its guesses.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use base::{Duration, Timestamp};
use sip_api::{DigestAlgorithm, DigestParams, Headers};

use crate::credentials::{Credentials, Ha1};
use crate::secret::{Secret, equal, random_token};
use crate::throttle::Guesses;

/// How long a nonce is good.
const NONCE_LIFE: Duration = Duration::from_secs(300);

/// Nonces whose counts are remembered. Only owners of a password can fill the table.
const NONCES: usize = 65_536;

/// Beginnings of the `User-Agent` of phones and tools that give up at a challenge they do not know instead of skipping
/// it, seen on the wire. They choose the weaker algorithm for themselves alone.
const MD5_ONLY_AGENTS: [&str; 3] = ["baresip v0", "baresip v1", "SIPp"];

/// Which algorithms a client is challenged with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithms {
    /// SHA-256 and MD5.
    Both,
    /// MD5, for phones that fail otherwise.
    Md5,
}

impl Algorithms {
    /// What the sender of a request can bear.
    pub(crate) fn of_sender(headers: &Headers) -> Self {
        let agent = headers.get("User-Agent").unwrap_or("");
        if MD5_ONLY_AGENTS.iter().any(|known| agent.starts_with(known)) { Self::Md5 } else { Self::Both }
    }

    const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Both => &["SHA-256", "MD5"],
            Self::Md5 => &["MD5"],
        }
    }
}

/// What the credentials of a request prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// There are none for our realm.
    None,
    /// They are right; the user's name without a domain.
    Right(String),
    /// The nonce is used up, old, or was not given to this address: ask again, with `stale=true`. Of the password this says
    /// something only where the nonce is used up.
    Stale,
    /// They are wrong. An unknown user looks the same as a wrong password.
    Wrong,
    /// Too many were wrong before; these were not looked at.
    Throttled,
}

/// Makes challenges and checks the answers.
pub(crate) struct Authenticator {
    realm: String,
    secret: Arc<Secret>,
    credentials: Arc<dyn Credentials>,
    counts: Mutex<HashMap<String, (u32, Timestamp)>>,
    guesses: Mutex<Guesses>,
}

impl Authenticator {
    /// An authenticator for one realm that allows `guesses` wrong passwords.
    pub(crate) fn new(realm: &str, secret: Arc<Secret>, credentials: Arc<dyn Credentials>, guesses: u32) -> Self {
        Self {
            realm: realm.to_owned(),
            secret,
            credentials,
            counts: Mutex::new(HashMap::new()),
            guesses: Mutex::new(Guesses::new(guesses)),
        }
    }

    /// The values of `WWW-Authenticate`: SHA-256 first, as a client takes the first it understands (RFC 8760 2.4).
    pub(crate) fn challenges(
        &self,
        now: Timestamp,
        source: IpAddr,
        stale: bool,
        algorithms: Algorithms,
    ) -> Vec<String> {
        let nonce = self.nonce(now, source);
        let stale = if stale { ", stale=true" } else { "" };
        let challenge = |algorithm: &&str| {
            format!("Digest realm=\"{}\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\"{stale}", self.realm)
        };
        algorithms.names().iter().map(challenge).collect()
    }

    /// Checks the `Authorization` of a request.
    pub(crate) fn verify(&self, now: Timestamp, source: IpAddr, method: &str, headers: &Headers) -> Proof {
        let mut ours = headers.get_all("Authorization").filter_map(DigestParams::parse);
        let Some(credential) = ours.find(|credential| credential.get("realm") == Some(&self.realm)) else {
            return Proof::None;
        };
        let user = credential.get("username").unwrap_or("");
        // A nonce that is not ours may be that of a process before this one: a phone in a call it took up again must be
        // able to hang up, and asks anew only when it is told that the nonce is stale (RFC 7616 3.3). So may one whose
        // address has changed. The password is not looked at, or it could be guessed without end.
        let made = credential.get("nonce").and_then(|nonce| self.nonce_time(now, source, nonce));
        let Some(made) = made.filter(|made| now.since(*made) <= NONCE_LIFE) else { return Proof::Stale };
        if !self.guesses().may_try(now, source, user) {
            return Proof::Throttled;
        }
        if !self.password_is_right(user, method, &credential) {
            self.guesses().failed(now, source, user);
            return Proof::Wrong;
        }
        match self.count_is_new(now, made, &credential) {
            true => Proof::Right(user.to_owned()),
            false => Proof::Stale,
        }
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nonce(&self, now: Timestamp, source: IpAddr) -> String {
        let stamp = format!("{:08x}{}", now.as_micros() / 1_000_000, &random_token()[..8]);
        format!("{stamp}{}", self.seal(&stamp, source))
    }

    fn seal(&self, stamp: &str, source: IpAddr) -> String {
        self.secret.seal(&["nonce", stamp, &source.to_string()])
    }

    /// When this nonce was made; `None` when it is not ours, or was given to another address.
    fn nonce_time(&self, now: Timestamp, source: IpAddr, nonce: &str) -> Option<Timestamp> {
        let (stamp, seal) = nonce.split_at_checked(16)?;
        if !equal(seal, &self.seal(stamp, source)) {
            return None;
        }
        let made = Timestamp::from_millis(u64::from_str_radix(stamp.get(..8)?, 16).ok()? * 1_000);
        (made <= now).then_some(made)
    }

    fn password_is_right(&self, user: &str, method: &str, credential: &DigestParams) -> bool {
        // An unknown user is checked against hashes nobody can meet, to take the same time (reliability.md 28).
        let found = self.credentials.ha1(user, &self.realm);
        let known = found.is_some();
        let ha1 = found.unwrap_or_else(|| Ha1 { sha256: "0".repeat(64), md5: "0".repeat(32) });
        let expected = response(credential, &ha1, method);
        let given = credential.get("response").unwrap_or("").to_ascii_lowercase();
        expected.is_some_and(|expected| equal(&given, &expected)) && known
    }

    /// Whether the nonce count is higher than all before it (RFC 7616 3.4, `nc`).
    fn count_is_new(&self, now: Timestamp, made: Timestamp, credential: &DigestParams) -> bool {
        let (Some(nonce), Some(count)) = (credential.get("nonce"), count(credential)) else { return false };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= NONCES {
            counts.retain(|_, (_, made)| now.since(*made) <= NONCE_LIFE);
        }
        let full = counts.len() >= NONCES;
        match counts.get_mut(nonce) {
            Some((last, _)) => std::mem::replace(last, count.max(*last)) < count,
            None if full => false,
            None => counts.insert(nonce.to_owned(), (count, made)).is_none(),
        }
    }
}

/// The nonce count; `None` when it is not eight hexadecimal digits.
fn count(credential: &DigestParams) -> Option<u32> {
    let text = credential.get("nc")?;
    (text.len() == 8).then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// The right answer for these hashes of the password; `None` when a part is missing or `qop` is not `auth`.
fn response(credential: &DigestParams, ha1: &Ha1, method: &str) -> Option<String> {
    let algorithm = DigestAlgorithm::named(credential.get("algorithm").unwrap_or("MD5"))?;
    let ha1 = match algorithm {
        DigestAlgorithm::Sha256 => &ha1.sha256,
        DigestAlgorithm::Md5 => &ha1.md5,
    };
    let (nonce, uri) = (credential.get("nonce")?, credential.get("uri")?);
    let counted = (credential.get("nc")?, credential.get("cnonce")?);
    count(credential)?;
    if !credential.get("qop")?.eq_ignore_ascii_case("auth") {
        return None;
    }
    Some(algorithm.response(ha1, nonce, Some(counted), method, uri))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    struct Ann;

    impl Credentials for Ann {
        fn ha1(&self, user: &str, realm: &str) -> Option<Ha1> {
            (user == "ann").then(|| Ha1::of_password("ann", realm, "secret"))
        }
    }

    const HERE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn authenticator() -> Authenticator {
        Authenticator::new("example.com", Arc::new(Secret::draw()), Arc::new(Ann), 10)
    }

    /// What a phone would send for this user and password.
    fn answer(nonce: &str, algorithm: &str, user: &str, password: &str, count: u32) -> Headers {
        let ha1 = Ha1::of_password(user, "example.com", password);
        let value = format!(
            "Digest username=\"{user}\", realm=\"example.com\", nonce=\"{nonce}\", uri=\"sip:example.com\", \
             algorithm={algorithm}, qop=auth, nc={count:08x}, cnonce=\"c\""
        );
        let credential = DigestParams::parse(&value).expect("valid");
        let response = response(&credential, &ha1, "REGISTER").expect("complete");
        Headers::new().with("Authorization", format!("{value}, response=\"{response}\""))
    }

    #[test]
    fn right_passwords_pass_with_both_algorithms_and_wrong_ones_do_not() {
        let authenticator = authenticator();
        let nonce = authenticator.nonce(NOW, HERE);
        for (algorithm, user, password, count, expected) in [
            ("SHA-256", "ann", "secret", 1, Proof::Right("ann".to_owned())),
            ("MD5", "ann", "secret", 2, Proof::Right("ann".to_owned())),
            ("MD5", "ann", "guess", 3, Proof::Wrong),
            ("SHA-256", "bob", "secret", 4, Proof::Wrong),
        ] {
            let headers = answer(&nonce, algorithm, user, password, count);
            assert_eq!(authenticator.verify(NOW, HERE, "REGISTER", &headers), expected, "{user} {password}");
        }
        let headers = answer(&nonce, "MD5", "ann", "secret", 9);
        assert_eq!(authenticator.verify(NOW, HERE, "INVITE", &headers), Proof::Wrong, "bound to the method");
        assert_eq!(authenticator.verify(NOW, HERE, "REGISTER", &Headers::new()), Proof::None);
    }

    #[test]
    fn a_used_old_or_foreign_nonce_is_stale() {
        let authenticator = authenticator();
        let nonce = authenticator.nonce(NOW, HERE);
        let verify = |now, headers: &Headers| authenticator.verify(now, HERE, "REGISTER", headers);
        let first = answer(&nonce, "SHA-256", "ann", "secret", 2);
        assert_eq!(verify(NOW, &first), Proof::Right("ann".to_owned()));
        assert_eq!(verify(NOW, &first), Proof::Stale, "the same count again");
        assert_eq!(verify(NOW, &answer(&nonce, "SHA-256", "ann", "secret", 1)), Proof::Stale, "a lower count");
        let late = NOW + NONCE_LIFE + Duration::from_secs(2);
        assert_eq!(verify(late, &answer(&nonce, "SHA-256", "ann", "secret", 3)), Proof::Stale);
        let forged = format!("{}0", &nonce[..nonce.len() - 1]);
        let forged = if forged == nonce { nonce.replace('0', "1") } else { forged };
        assert_eq!(verify(NOW, &answer(&forged, "SHA-256", "ann", "secret", 3)), Proof::Stale, "of an earlier process");
    }

    #[test]
    fn a_nonce_not_given_to_this_source_is_no_guess_and_tells_nothing_of_the_password() {
        let authenticator = authenticator();
        let other = IpAddr::from([127, 0, 0, 9]);
        let (mine, theirs) = (authenticator.nonce(NOW, HERE), authenticator.nonce(NOW, other));
        let late = NOW + NONCE_LIFE + Duration::from_secs(2);
        for count in 1..=30 {
            for (now, nonce) in
                [(NOW, theirs.as_str()), (NOW, "0000000043da3c540ca693fef68d43a6"), (late, mine.as_str())]
            {
                for password in ["guess", "secret"] {
                    let headers = answer(nonce, "MD5", "ann", password, count);
                    assert_eq!(
                        authenticator.verify(now, HERE, "REGISTER", &headers),
                        Proof::Stale,
                        "{nonce} {password}"
                    );
                }
            }
        }
        let right = answer(&mine, "MD5", "ann", "secret", 1);
        assert_eq!(
            authenticator.verify(NOW, HERE, "REGISTER", &right),
            Proof::Right("ann".to_owned()),
            "not locked out"
        );
        // A phone whose address has changed comes in with the next nonce.
        assert_eq!(authenticator.verify(NOW, other, "REGISTER", &right), Proof::Stale);
        let moved = answer(&theirs, "MD5", "ann", "secret", 1);
        assert_eq!(authenticator.verify(NOW, other, "REGISTER", &moved), Proof::Right("ann".to_owned()));
    }

    #[test]
    fn the_eleventh_guess_is_not_looked_at() {
        let authenticator = authenticator();
        let nonce = authenticator.nonce(NOW, HERE);
        for count in 1..=10 {
            let headers = answer(&nonce, "MD5", "ann", "guess", count);
            assert_eq!(authenticator.verify(NOW, HERE, "REGISTER", &headers), Proof::Wrong);
        }
        let right = answer(&nonce, "MD5", "ann", "secret", 11);
        assert_eq!(authenticator.verify(NOW, HERE, "REGISTER", &right), Proof::Throttled);
    }

    #[test]
    fn the_stronger_challenge_comes_first() {
        let challenges = authenticator().challenges(NOW, HERE, true, Algorithms::Both);
        let [first, second] = challenges.as_slice() else { panic!("{challenges:?}") };
        assert!(first.contains("algorithm=SHA-256") && second.contains("algorithm=MD5"), "{first} {second}");
        assert!(first.contains("stale=true") && first.contains("qop=\"auth\""), "{first}");
    }

    #[test]
    fn a_phone_that_fails_at_sha_256_is_asked_for_md5_alone() {
        let old = Headers::new().with("User-Agent", "baresip v1.0.0 (x86_64/linux)");
        let challenges = authenticator().challenges(NOW, HERE, false, Algorithms::of_sender(&old));
        assert!(challenges.len() == 1 && challenges[0].contains("algorithm=MD5"), "{challenges:?}");
        for modern in ["baresip v3.0.0", "LinphoneC/5.1", ""] {
            assert_eq!(Algorithms::of_sender(&Headers::new().with("User-Agent", modern)), Algorithms::Both);
        }
    }

    proptest! {
        #[test]
        fn any_credentials_are_read_without_panic(value in "(Digest )?[ -~]{0,80}", nonce in "\\PC{0,40}") {
            let headers = Headers::new().with("Authorization", value).with(
                "Authorization",
                format!("Digest realm=\"example.com\",username=\"ann\",nonce=\"{nonce}\",nc=1,qop=auth"),
            );
            let proof = authenticator().verify(NOW, HERE, "INVITE", &headers);
            prop_assert!(!matches!(proof, Proof::Right(_)));
        }
    }
}
