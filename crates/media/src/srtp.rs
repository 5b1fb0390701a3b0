//! SRTP and SRTCP with keys from SDES (RFC 3711, RFC 7714, RFC 4568).
//!
//! The rest of the crate sees [`Protector`] and [`Unprotector`]; only this file knows the library beneath. The library
//! leaves three things open that are closed here:
//! * it makes state for an SSRC *before* it authenticates the packet, so anybody could make it grow; and the first
//!   packet, forged or not, sets the replay window, so one forgery could shut the peer out,
//! * it takes SRTCP packets without the encryption bit as they are, unauthenticated,
//! * it would read extension headers with a reader of its own; it is told by ours where the header ends.

use mcu_api::{LegFailure, SrtpKeys, SrtpProfile};
use rtc_srtp::context::Context;
use rtc_srtp::crypto::RTCCryptoProvider;
use rtc_srtp::crypto::providers::RingProvider;
use rtc_srtp::option::{srtcp_replay_protection, srtp_replay_protection};
use rtc_srtp::protection_profile::ProtectionProfile;

use crate::rtp::{HEADER_LENGTH, Header};

/// Packets back from the newest in which a late packet is told from a replayed one (reliability.md A9).
const REPLAY_WINDOW: usize = 1_024;
/// Length of all master keys.
const KEY_LENGTH: usize = 16;
/// SSRCs a peer may use under one key; a further one is refused, as forgetting one would open it to replay.
const SOURCES_MAX: usize = 16;
/// Unknown SSRCs tried in vain before the state they left in the library is thrown away.
const TRIED_MAX: usize = 64;
/// RTCP header and SSRC: never encrypted.
const RTCP_CLEAR: usize = 8;
/// The word with the encryption bit and the packet index.
const SRTCP_INDEX: usize = 4;

/// Protects what we send.
pub(crate) trait Protector: Send {
    /// Encrypts an RTP packet in place; `false` when it must not be sent.
    fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool;
    /// Encrypts a compound RTCP packet in place; `false` when it must not be sent.
    fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool;
}

/// Checks and decrypts what the peer sends.
pub(crate) trait Unprotector: Send {
    /// Decrypts an RTP packet in place and answers its length in the clear; `None` when it is forged, replayed or too
    /// short. `header` is that of the packet.
    fn unprotect_rtp(&mut self, packet: &mut [u8], header: &Header) -> Option<usize>;
    /// The same for RTCP.
    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize>;
}

/// Makes both directions.
///
/// # Errors
/// [`LegFailure::BadKeys`] when a key has not the length its profile wants.
pub(crate) fn protector(keys: &SrtpKeys) -> Result<Box<dyn Protector>, LegFailure> {
    Ok(Box::new(Sender { context: context(keys.profile, &keys.local)?, header: Described::default() }))
}

/// See [`protector`].
pub(crate) fn unprotector(keys: &SrtpKeys) -> Result<Box<dyn Unprotector>, LegFailure> {
    let probe = context(keys.profile, &keys.remote)?;
    let key = KeyMaterial { profile: keys.profile, bytes: keys.remote.clone() };
    let (rtp, rtcp) = (Sources::new(key.clone(), Some(probe)), Sources::new(key, None));
    Ok(Box::new(Receiver { rtp, rtcp, mki: keys.remote_mki.clone(), header: Described::default() }))
}

fn context(profile: SrtpProfile, key: &[u8]) -> Result<Context, LegFailure> {
    if key.len() != profile.key_length() {
        return Err(LegFailure::BadKeys);
    }
    let (key, salt) = key.split_at(KEY_LENGTH);
    let profile = match profile {
        SrtpProfile::AesCm128HmacSha1_80 => ProtectionProfile::Aes128CmHmacSha1_80,
        SrtpProfile::AesCm128HmacSha1_32 => ProtectionProfile::Aes128CmHmacSha1_32,
        SrtpProfile::AeadAes128Gcm => ProtectionProfile::AeadAes128Gcm,
    };
    let (rtp, rtcp) = (srtp_replay_protection(REPLAY_WINDOW), srtcp_replay_protection(REPLAY_WINDOW));
    Context::new(key, salt, profile, Some(rtp), Some(rtcp), RingProvider::new().crypto())
        .map_err(|_| LegFailure::BadKeys)
}

/// Bytes that protection adds to an RTP packet.
const fn rtp_tag(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AesCm128HmacSha1_80 => 10,
        SrtpProfile::AesCm128HmacSha1_32 => 4,
        SrtpProfile::AeadAes128Gcm => 16,
    }
}

/// Bytes of the authentication tag of an RTCP packet (RFC 4568 6.2: 80 bits with both AES_CM profiles).
const fn rtcp_tag(profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => 10,
        SrtpProfile::AeadAes128Gcm => 16,
    }
}

/// Bytes of the authentication tag that stands behind the master key identifier; with AEAD the tag is part of what is
/// encrypted, and nothing follows (RFC 3711 3.1, RFC 7714 8.2).
const fn behind_mki(tag: usize, profile: SrtpProfile) -> usize {
    match profile {
        SrtpProfile::AesCm128HmacSha1_80 | SrtpProfile::AesCm128HmacSha1_32 => tag,
        SrtpProfile::AeadAes128Gcm => 0,
    }
}

/// Takes the master key identifier, which the library does not know, out of a packet: what is left lies at its beginning.
/// `None` when it has another one or none. `behind` is the length of what follows it.
fn take_out_mki<'a>(packet: &'a mut [u8], mki: &[u8], behind: usize) -> Option<&'a mut [u8]> {
    let end = packet.len().checked_sub(behind)?;
    let start = end.checked_sub(mki.len())?;
    if packet[start..end] != *mki {
        return None;
    }
    packet.copy_within(end.., start);
    packet.get_mut(..start + behind)
}

/// A header as the library wants it. It asks it for the source, the sequence number and the length alone; so one of the right
/// length will do, and the packet is neither read a second time nor by a second reader.
#[derive(Default)]
struct Described(rtc_rtp::Header);

impl Described {
    fn of(&mut self, header: &Header) -> &rtc_rtp::Header {
        self.0.ssrc = header.ssrc;
        self.0.sequence_number = header.sequence;
        // Whatever follows the fixed part comes in words, as contributing sources do.
        self.0.csrc.resize((header.payload_start() - HEADER_LENGTH) / 4, 0);
        &self.0
    }
}

struct Sender {
    context: Context,
    header: Described,
}

impl Protector for Sender {
    fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        let Some(header) = Header::read(packet) else { return false };
        let protected = self.context.encrypt_rtp_with_header(packet, self.header.of(&header));
        replace(packet, protected.as_deref().ok())
    }

    fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        let protected = self.context.encrypt_rtcp(packet);
        replace(packet, protected.as_deref().ok())
    }
}

/// Nothing is ever sent in the clear because protection failed.
fn replace(packet: &mut Vec<u8>, protected: Option<&[u8]>) -> bool {
    packet.clear();
    packet.extend_from_slice(protected.unwrap_or_default());
    protected.is_some()
}

/// RTP and RTCP are kept apart, as proof for one says nothing about the replay window of the other.
struct Receiver {
    rtp: Sources,
    rtcp: Sources,
    /// The master key identifier in each packet of the peer; empty for none.
    mki: Vec<u8>,
    header: Described,
}

#[derive(Clone)]
struct KeyMaterial {
    profile: SrtpProfile,
    bytes: Vec<u8>,
}

/// One context for each SSRC that has proved itself, and a probe on which unknown SSRCs are tried.
struct Sources {
    key: KeyMaterial,
    proven: Vec<(u32, Context)>,
    probe: Option<Context>,
    /// SSRCs that failed on this probe; none of them is tried on it again.
    tried: Vec<u32>,
}

impl Sources {
    fn new(key: KeyMaterial, probe: Option<Context>) -> Self {
        Self { key, proven: Vec::new(), probe, tried: Vec::new() }
    }

    /// Runs `decrypt` on the context of `ssrc` and copies the clear text over `packet`.
    fn unprotect<B: std::ops::Deref<Target = [u8]>>(
        &mut self,
        ssrc: u32,
        packet: &mut [u8],
        decrypt: impl FnOnce(&mut Context, &[u8]) -> Option<B>,
    ) -> Option<usize> {
        let clear = match self.proven.iter_mut().find(|(proven, _)| *proven == ssrc) {
            Some((_, context)) => decrypt(context, packet)?,
            None => self.try_unknown(ssrc, |probe| decrypt(probe, packet))?,
        };
        packet.get_mut(..clear.len())?.copy_from_slice(&clear);
        Some(clear.len())
    }

    fn try_unknown<B>(&mut self, ssrc: u32, decrypt: impl FnOnce(&mut Context) -> Option<B>) -> Option<B> {
        if self.proven.len() == SOURCES_MAX {
            return None;
        }
        if self.tried.len() == TRIED_MAX || self.tried.contains(&ssrc) {
            self.tried.clear();
            self.probe = None;
        }
        let mut probe = match self.probe.take() {
            Some(probe) => probe,
            None => context(self.key.profile, &self.key.bytes).ok()?,
        };
        let clear = decrypt(&mut probe);
        if clear.is_some() {
            self.proven.push((ssrc, probe));
            self.tried.clear();
        } else {
            self.probe = Some(probe);
            self.tried.push(ssrc);
        }
        clear
    }
}

impl Unprotector for Receiver {
    fn unprotect_rtp(&mut self, packet: &mut [u8], header: &Header) -> Option<usize> {
        let profile = self.rtp.key.profile;
        let packet = take_out_mki(packet, &self.mki, behind_mki(rtp_tag(profile), profile))?;
        if packet.len() < header.payload_start().max(HEADER_LENGTH) + rtp_tag(profile) {
            return None;
        }
        let described = self.header.of(header);
        self.rtp
            .unprotect(header.ssrc, packet, |context, packet| context.decrypt_rtp_with_header(packet, described).ok())
    }

    fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let profile = self.rtcp.key.profile;
        let tag = rtcp_tag(profile);
        let packet = take_out_mki(packet, &self.mki, behind_mki(tag, profile))?;
        if packet.len() < RTCP_CLEAR + SRTCP_INDEX + tag {
            return None;
        }
        let index_at = packet.len() - behind_mki(tag, profile) - SRTCP_INDEX;
        let encrypted = packet[index_at] & 0x80 != 0;
        if !encrypted {
            return None;
        }
        let ssrc = u32::from_be_bytes([packet[4], packet[5], packet[6], packet[7]]);
        self.rtcp.unprotect(ssrc, packet, |context, packet| context.decrypt_rtcp(packet).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::Outgoing;

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32, SrtpProfile::AeadAes128Gcm];

    fn pair(profile: SrtpProfile) -> (Box<dyn Protector>, Box<dyn Unprotector>) {
        let key: Vec<u8> = (0..profile.key_length() as u8).collect();
        let keys = SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: Vec::new() };
        (protector(&keys).expect("keys fit"), unprotector(&keys).expect("keys fit"))
    }

    fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        let outgoing = Outgoing { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc, level: None };
        outgoing.write(b"twenty milliseconds", &mut packet);
        packet
    }

    fn protect(protector: &mut dyn Protector, clear: &[u8]) -> Vec<u8> {
        let mut packet = clear.to_vec();
        assert!(protector.protect_rtp(&mut packet));
        packet
    }

    fn unprotect(unprotector: &mut dyn Unprotector, packet: &[u8]) -> Option<Vec<u8>> {
        let mut packet = packet.to_vec();
        let header = Header::read(&packet)?;
        let length = unprotector.unprotect_rtp(&mut packet, &header)?;
        packet.truncate(length);
        Some(packet)
    }

    /// Master key and salt of RFC 3711 B.3. The packets were computed by a second implementation, whose session keys
    /// are those that RFC 3711 B.3 derives.
    #[test]
    fn packets_agree_with_another_implementation() {
        let master = [
            0xE1, 0xF9, 0x7A, 0x0D, 0x3E, 0x01, 0x8B, 0xE0, 0xD6, 0x4F, 0xA3, 0x2C, 0x06, 0xDE, 0x41, 0x39, 0x0E, 0xC6,
            0x75, 0xAD, 0x49, 0x8A, 0xFE, 0xEB, 0xB6, 0x96, 0x0B, 0x3A, 0xAB, 0xE6,
        ];
        let cases: [(SrtpProfile, &[u8]); 2] = [
            (
                SrtpProfile::AesCm128HmacSha1_80,
                &[
                    0x91, 0x89, 0x12, 0x89, 0x38, 0x4B, 0xF3, 0x1E, 0x4E, 0x63, 0x15, 0xD7, 0x4C, 0x53, 0xEC, 0xC6,
                    0xF1, 0x74, 0xE0, 0xD9, 0xFB, 0x69, 0x80, 0xE8, 0x68, 0x4B, 0xA0, 0xF6, 0x3E,
                ],
            ),
            (
                SrtpProfile::AeadAes128Gcm,
                &[
                    0xD1, 0x16, 0xC2, 0x3C, 0x81, 0x3B, 0xDE, 0x74, 0xAE, 0x14, 0x15, 0x4A, 0x6C, 0x51, 0xA4, 0x6D,
                    0xD6, 0x3E, 0x1E, 0xF0, 0xFA, 0xE9, 0xE9, 0xDA, 0x32, 0x34, 0x56, 0x17, 0x60, 0x2C, 0x49, 0x3B,
                    0xA7, 0x1A, 0x5F,
                ],
            ),
        ];
        for (profile, expected) in cases {
            let key = master[..profile.key_length()].to_vec();
            let keys = SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: Vec::new() };
            let clear = rtp(0xCAFE_BABE, 0x1234);
            let packet = protect(&mut *protector(&keys).expect("keys fit"), &clear);
            assert_eq!(packet[..12], clear[..12], "the header stays readable");
            assert_eq!(packet[12..], *expected, "{profile:?}");
            assert_eq!(unprotect(&mut *unprotector(&keys).expect("keys fit"), &packet), Some(clear));
        }
    }

    #[test]
    fn what_is_protected_is_recovered_once() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let clear = rtp(7, 100);
            let packet = protect(&mut *sender, &clear);
            assert_ne!(packet[12..31], clear[12..]);
            assert_eq!(unprotect(&mut *receiver, &packet).as_ref(), Some(&clear), "{profile:?}");
            assert_eq!(unprotect(&mut *receiver, &packet), None, "{profile:?}: a replay");
        }
    }

    /// A packet with a master key identifier, as a peer who offered one sends it.
    fn with_mki(packet: &[u8], mki: &[u8], behind: usize) -> Vec<u8> {
        let (head, tail) = packet.split_at(packet.len() - behind);
        [head, mki, tail].concat()
    }

    #[test]
    fn a_peers_master_key_identifier_is_taken_out() {
        for (profile, rtp_behind, rtcp_behind) in [
            (SrtpProfile::AesCm128HmacSha1_80, 10, 10),
            (SrtpProfile::AesCm128HmacSha1_32, 4, 10),
            (SrtpProfile::AeadAes128Gcm, 0, 0),
        ] {
            let key: Vec<u8> = (0..profile.key_length() as u8).collect();
            let keys = SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: vec![0, 1] };
            let (mut sender, mut receiver) =
                (protector(&keys).expect("keys fit"), unprotector(&keys).expect("keys fit"));
            let clear = rtp(7, 100);
            let packet = protect(&mut *sender, &clear);
            assert_eq!(unprotect(&mut *receiver, &packet), None, "{profile:?}: without it");
            assert_eq!(
                unprotect(&mut *receiver, &with_mki(&packet, &[0, 2], rtp_behind)),
                None,
                "{profile:?}: another"
            );
            let marked = with_mki(&packet, &[0, 1], rtp_behind);
            for length in 0..marked.len() {
                assert_eq!(unprotect(&mut *receiver, &marked[..length]), None, "{profile:?}: {length} bytes");
            }
            assert_eq!(unprotect(&mut *receiver, &marked), Some(clear), "{profile:?}");

            let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
            assert!(sender.protect_rtcp(&mut report));
            assert_eq!(receiver.unprotect_rtcp(&mut with_mki(&report, &[0, 1], rtcp_behind)), Some(8), "{profile:?}");
        }
    }

    #[test]
    fn each_changed_byte_is_noticed() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let packet = protect(&mut *sender, &rtp(7, 100));
            for at in 0..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 0x04;
                assert_eq!(unprotect(&mut *receiver, &forged), None, "{profile:?}: byte {at}");
            }
            for length in 0..packet.len() {
                assert_eq!(unprotect(&mut *receiver, &packet[..length]), None, "{profile:?}: {length} bytes");
            }
            let far_ahead = rtp(7, 30_000);
            assert_eq!(unprotect(&mut *receiver, &far_ahead), None, "{profile:?}");
            assert!(unprotect(&mut *receiver, &packet).is_some(), "{profile:?}: forgeries leave no trace");
        }
    }

    #[test]
    fn packets_of_an_earlier_ssrc_cannot_be_replayed() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AeadAes128Gcm);
        let old = protect(&mut *sender, &rtp(7, 100));
        assert!(unprotect(&mut *receiver, &old).is_some());
        for ssrc in 8..8 + SOURCES_MAX as u32 + 2 {
            let packet = protect(&mut *sender, &rtp(ssrc, 1));
            let room = ssrc < 7 + SOURCES_MAX as u32;
            assert_eq!(unprotect(&mut *receiver, &packet).is_some(), room, "SSRC {ssrc}");
            assert_eq!(unprotect(&mut *receiver, &old), None);
        }
    }

    #[test]
    fn the_sequence_may_wrap_and_packets_may_be_late() {
        let (mut sender, mut receiver) = pair(SrtpProfile::AesCm128HmacSha1_32);
        let packets: Vec<_> = (0..200_u16).map(|n| protect(&mut *sender, &rtp(7, n.wrapping_add(65_436)))).collect();
        for chunk in packets.chunks(4) {
            for packet in chunk.iter().rev() {
                assert!(unprotect(&mut *receiver, packet).is_some());
            }
        }
    }

    #[test]
    fn rtcp_in_the_clear_or_forged_is_refused() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(profile);
            let clear = [0x80, 201, 0, 1, 0, 0, 0, 7];
            let mut packet = clear.to_vec();
            assert!(sender.protect_rtcp(&mut packet));
            for at in 4..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 0x80;
                assert_eq!(receiver.unprotect_rtcp(&mut forged), None, "{profile:?}: byte {at}");
            }
            for length in 0..packet.len() {
                assert_eq!(
                    receiver.unprotect_rtcp(&mut packet[..length].to_vec()),
                    None,
                    "{profile:?}: {length} bytes"
                );
            }
            assert_eq!(receiver.unprotect_rtcp(&mut packet.clone()), Some(clear.len()), "{profile:?}");
            assert_eq!(receiver.unprotect_rtcp(&mut packet), None, "{profile:?}: a replay");
        }
    }

    #[test]
    fn keys_of_a_wrong_length_are_refused() {
        for profile in PROFILES {
            let keys = SrtpKeys { profile, local: vec![1; 29], remote: vec![1; 29], remote_mki: Vec::new() };
            assert_eq!(protector(&keys).err(), Some(LegFailure::BadKeys));
        }
    }
}
