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
    /// Its identifier, as it stands in each packet; empty for none.
    pub(crate) mki: Vec<u8>,
}

/// The longest master key identifier, in bytes (RFC 4568 9.2).
const MKI_MAX: usize = 128;

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({}, {:?}, ..)", self.tag, self.profile)
    }
}

impl Crypto {
    /// Reads `TAG SUITE inline:KEY[|LIFETIME][|MKI:LENGTH] [PARAMETERS]`. `None` for what cannot be used: unknown
    /// suites, several keys, and parameters that would weaken or change the protection.
    /// The lifetime is tolerated: no call lasts 2^31 packets.
    pub(crate) fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split_ascii_whitespace();
        let tag = parts.next()?.parse().ok()?;
        let profile = profile_of(parts.next()?)?;
        let (key, mki) = parse_key(parts.next()?, profile)?;
        parts.all(is_harmless).then_some(Self { tag, profile, key, mki })
    }
}

/// Chooses by our order of preference. `None` when there is no profile in common.
pub(crate) fn choose(offered: &[Crypto], ours: &[LocalKey]) -> Option<(u32, SrtpKeys)> {
    ours.iter().find_map(|local| {
        let remote = offered.iter().find(|crypto| crypto.profile == local.profile)?;
        Some((remote.tag, both(local, remote)))
    })
}

/// The keys of both directions.
pub(crate) fn both(local: &LocalKey, remote: &Crypto) -> SrtpKeys {
    SrtpKeys {
        profile: local.profile,
        local: local.key.clone(),
        remote: remote.key.clone(),
        remote_mki: remote.mki.clone(),
    }
}

/// The value of an `a=crypto` line of ours.
pub(crate) fn print(tag: u32, profile: SrtpProfile, key: &[u8]) -> String {
    format!("{tag} {} inline:{}", suite_name(profile), STANDARD.encode(key))
}

/// Key and identifier of `inline:KEY[|LIFETIME][|MKI:LENGTH]`.
fn parse_key(text: &str, profile: SrtpProfile) -> Option<(Vec<u8>, Vec<u8>)> {
    // Several keys, `;` between them, would change in the middle of a call.
    let rest = text.strip_prefix("inline:").filter(|rest| !rest.contains(';'))?;
    let mut fields = rest.split('|');
    let key = STANDARD_NO_PAD.decode(fields.next()?.trim_end_matches('=')).ok()?;
    let identifier = fields.find_map(|field| field.split_once(':'));
    let mki = identifier.map_or(Some(Vec::new()), |(value, length)| parse_mki(value, length))?;
    (key.len() == profile.key_length()).then_some((key, mki))
}

/// The bytes of an identifier, highest first (RFC 4568 6.1): a decimal value, and how many bytes it has in a packet.
fn parse_mki(value: &str, length: &str) -> Option<Vec<u8>> {
    let length = length.parse().ok().filter(|length| (1..=MKI_MAX).contains(length))?;
    let value = value.parse::<u128>().ok()?.to_be_bytes();
    let (cut, kept) = value.split_at(value.len().saturating_sub(length));
    let fits = cut.iter().all(|byte| *byte == 0);
    fits.then(|| [&vec![0; length - kept.len()], kept].concat())
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
    fn a_master_key_identifier_is_read_as_it_stands_in_packets() {
        let long = [vec![0; 16], vec![1; 1], vec![0; 3]].concat();
        for (tail, expected) in
            [("|2^31|1:1", vec![1]), ("|1:4", vec![0, 0, 0, 1]), ("|2^20|258:2", vec![1, 2]), ("|16777216:20", long)]
        {
            let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}{tail}")).expect(tail);
            assert_eq!(crypto.mki, expected, "{tail}");
        }
    }

    #[test]
    fn lines_that_cannot_be_used_are_passed_over() {
        for line in [
            String::new(),
            format!("x AES_CM_128_HMAC_SHA1_80 {KEY}"),
            format!("1 AES_256_CM_HMAC_SHA1_80 {KEY}"),
            format!("1 AEAD_AES_128_GCM {KEY}"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:0"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|1:129"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|256:1"),
            format!("1 AES_CM_128_HMAC_SHA1_80 {KEY}|2^20|x:4"),
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
