//! `a=crypto`: SDES keys (RFC 4568, RFC 7714).

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use mcu_api::{SrtpKeys, SrtpProfile};

use crate::local::LocalKey;

/// One key the peer sends with. `Debug` shows no key.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Crypto {
    /// Its tag, by which an answer names it.
    pub(crate) tag: u32,
    /// The profile.
    pub(crate) profile: SrtpProfile,
    /// Master key and salt.
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({}, {:?}, ..)", self.tag, self.profile)
    }
}

impl Crypto {
    /// Reads `TAG SUITE inline:KEY[|LIFETIME][|MKI:LENGTH] [PARAMETERS]`. `None` for what cannot be used: unknown
    /// suites, several keys, a master key identifier, and parameters that would weaken or change the protection.
    /// The lifetime is tolerated: no call lasts 2^31 packets.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let profile = profile_of(parts.next()?)?;
        let key = parse_key(parts.next()?, profile)?;
        parts.all(is_harmless).then_some(Self { tag, profile, key })
    }
}

/// Chooses by our order of preference. `None` when there is no profile in common.
pub(crate) fn choose(offered: &[Crypto], ours: &[LocalKey]) -> Option<(u32, SrtpKeys)> {
    ours.iter().find_map(|local| {
        let remote = offered.iter().find(|crypto| crypto.profile == local.profile)?;
        let keys = SrtpKeys { profile: local.profile, local: local.key.clone(), remote: remote.key.clone() };
        Some((remote.tag, keys))
    })
}

/// The value of an `a=crypto` line of ours.
pub(crate) fn print(tag: u32, profile: SrtpProfile, key: &[u8]) -> String {
    format!("{tag} {} inline:{}", suite_name(profile), STANDARD.encode(key))
}

fn parse_key(text: &str, profile: SrtpProfile) -> Option<Vec<u8>> {
    let rest = text.strip_prefix("inline:")?;
    if rest.contains(';') || rest.contains(':') {
        // Several keys need identifiers in every packet, and so does a key with an identifier of its own.
        return None;
    }
    let encoded = rest.split('|').next()?.trim_end_matches('=');
    STANDARD_NO_PAD.decode(encoded).ok().filter(|key| key.len() == profile.key_length())
}

/// Session parameters that change nothing: a window hint, a derivation rate of zero, and those marked optional by `-`.
fn is_harmless(parameter: &str) -> bool {
    parameter.starts_with("WSH=") || parameter == "KDR=0" || parameter.starts_with('-')
}

fn profile_of(suite: &str) -> Option<SrtpProfile> {
    [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32, SrtpProfile::AeadAes128Gcm]
        .into_iter()
        .find(|profile| suite_name(*profile).eq_ignore_ascii_case(suite))
}

const fn suite_name(profile: SrtpProfile) -> &'static str {
    match profile {
        SrtpProfile::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
        SrtpProfile::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
        SrtpProfile::AeadAes128Gcm => "AEAD_AES_128_GCM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd";

    #[test]
    fn lines_that_can_be_used_are_read() {
        for tail in ["", "|2^20", "|1048576", "|2^31 WSH=64", " KDR=0", " -X-UNKNOWN=1"] {
            let crypto = Crypto::parse(&format!("3 AES_CM_128_HMAC_SHA1_80 {KEY}{tail}")).expect(tail);
            assert_eq!((crypto.tag, crypto.key.len(), crypto.key[1]), (3, 30, 1), "{tail}");
        }
    }

    #[test]
    fn lines_that_cannot_be_used_are_passed_over() {
        for line in [
            String::new(),
            format!("x AES_CM_128_HMAC_SHA1_80 {KEY}"),
            format!("1 AES_256_CM_HMAC_SHA1_80 {KEY}"),
            format!("1 AEAD_AES_128_GCM {KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:4"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY};{KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} UNENCRYPTED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} UNAUTHENTICATED_SRTP"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY} KDR=3"),
            "1 AES_CM_128_HMAC_SHA1_80 inline:AAAA".to_owned(),
            "1 AES_CM_128_HMAC_SHA1_80 inline:%%%%".to_owned(),
        ] {
            assert_eq!(Crypto::parse(&line), None, "{line:?} was taken");
        }
    }

    #[test]
    fn what_is_printed_is_read_back_and_never_shown() {
        let key: Vec<u8> = (0..28).collect();
        let crypto = Crypto::parse(&print(1, SrtpProfile::AeadAes128Gcm, &key)).expect("printed form");
        assert_eq!(crypto.key, key);
        assert_eq!(format!("{crypto:?}"), "Crypto(1, AeadAes128Gcm, ..)");
    }
}
