//! SRTP of the callers, with keys from the session description (RFC 3711, RFC 4568).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rtc_srtp::context::Context;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::RingProvider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::Failure;
use crate::plan::Suite;
use crate::statistics::Random;

/// Packets in which a late one is told from a replayed one.
const REPLAY_WINDOW: usize = 1_024;

/// Encrypts and decrypts whole packets.
pub trait Cipher: Send {
    /// Encrypts an RTP or, with `control`, an RTCP packet in place; false when it cannot.
    fn protect(&mut self, packet: &mut Vec<u8>, control: bool) -> bool;
    /// Checks and decrypts; `None` for a forged packet.
    fn unprotect(&mut self, packet: &[u8], control: bool) -> Option<Vec<u8>>;
}

/// A caller's key, as it stands in his session description.
#[derive(Clone, Debug)]
pub struct SdesKey {
    /// The suite it is for.
    pub suite: Suite,
    /// Key and salt in base64.
    pub inline: String,
}

impl SdesKey {
    /// A key that protects nothing of worth: the callers are synthetic.
    pub fn new(suite: Suite, random: &mut Random) -> Self {
        let profile = profile(suite);
        let bytes: Vec<u8> = (0..profile.key_len() + profile.salt_len()).map(|_| random.next() as u8).collect();
        Self { suite, inline: STANDARD.encode(bytes) }
    }
}

/// One caller's two directions.
pub struct Sdes {
    own: Context,
    theirs: Context,
}

impl Sdes {
    /// From his own key and the one in the other description.
    pub fn boxed(own: &SdesKey, theirs: &str) -> Result<Box<dyn Cipher>, Failure> {
        let profile = profile(own.suite);
        Ok(Box::new(Self { own: context(profile, &own.inline)?, theirs: context(profile, theirs)? }))
    }
}

const fn profile(suite: Suite) -> ProtectionProfile {
    match suite {
        Suite::AesCm => ProtectionProfile::Aes128CmHmacSha1_80,
        Suite::AesGcm => ProtectionProfile::AeadAes128Gcm,
    }
}

fn context(profile: ProtectionProfile, key: &str) -> Result<Context, Failure> {
    let bad = |why: String| Failure(format!("an SRTP key is of no use: {why}"));
    let bytes = STANDARD.decode(key).map_err(|error| bad(error.to_string()))?;
    if bytes.len() != profile.key_len() + profile.salt_len() {
        return Err(bad(format!("{} bytes", bytes.len())));
    }
    let (key, salt) = bytes.split_at(profile.key_len());
    let (rtp, rtcp) = (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
    Context::new(key, salt, profile, Some(rtp), Some(rtcp), RingProvider::new().crypto())
        .map_err(|error| bad(error.to_string()))
}

impl Cipher for Sdes {
    fn protect(&mut self, packet: &mut Vec<u8>, control: bool) -> bool {
        let sealed = if control { self.own.encrypt_rtcp(packet) } else { self.own.encrypt_rtp(packet) };
        match sealed {
            Ok(sealed) => {
                packet.clear();
                packet.extend_from_slice(&sealed);
                true
            }
            Err(_) => false,
        }
    }

    fn unprotect(&mut self, packet: &[u8], control: bool) -> Option<Vec<u8>> {
        let opened = if control { self.theirs.decrypt_rtcp(packet) } else { self.theirs.decrypt_rtp(packet) };
        Some(opened.ok()?.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::rtp::{Report, Writing, write, write_report};

    #[test]
    fn one_callers_packets_open_at_the_other() {
        for (suite, tag) in [(Suite::AesCm, 10), (Suite::AesGcm, 16)] {
            let mut random = Random::new(1);
            let (one, other) = (SdesKey::new(suite, &mut random), SdesKey::new(suite, &mut random));
            let mut here = Sdes::boxed(&one, &other.inline).expect("keys");
            let mut there = Sdes::boxed(&other, &one.inline).expect("keys");
            let mut packet = Vec::new();
            let writing =
                Writing { payload_type: 0, marker: false, sequence: 5, timestamp: 6, ssrc: 7, level: Some((1, 20)) };
            write(writing, &[1, 2, 3, 4], &mut packet);
            let clear = packet.clone();
            assert!(here.protect(&mut packet, false) && packet.len() == clear.len() + tag);
            assert_eq!(there.unprotect(&packet, false), Some(clear));
            packet[14] ^= 1;
            assert_eq!(there.unprotect(&packet, false), None, "forged");
            write_report(&Report::default(), &mut packet);
            let clear = packet.clone();
            assert!(here.protect(&mut packet, true));
            assert_eq!(there.unprotect(&packet, true), Some(clear));
        }
    }

    #[test]
    fn keys_of_the_wrong_length_are_refused() {
        for suite in [Suite::AesCm, Suite::AesGcm] {
            let own = SdesKey::new(suite, &mut Random::new(1));
            assert!(Sdes::boxed(&own, "AAAA").is_err() && Sdes::boxed(&own, "!").is_err());
        }
    }
}
