//! SRTP and SRTCP with keys from SDES (RFC 3711, RFC 7714, RFC 4568).
//!
//! The rest of the crate sees [`Sender`] and [`Receiver`]; the arithmetic of keys and packets is in `session`, which packets
//! came in `history`. Ciphers and hashes are libraries'; what they protect is written here, since a packet meets a leg whose
//! memory has left the processor's caches: a library with a box for each part took 1.3 us a packet for what is 0.3 us of
//! work, an allocation and two copies (loadtest/README.md). Here everything is done in place, and lies where
//! [`Receiver::memory_ahead`] can name it.
//!
//! Nothing is remembered of a packet before it has proved authentic: forgeries neither make state nor move a window.

mod history;
mod session;

use mcu_api::{LegFailure, SrtpKeys};

use self::history::{History, nearest_index};
use self::session::{Session, Stream};
use crate::rtp::Header;

/// SSRCs a peer may use under one key; a further one is refused, as forgetting one would open it to replay.
const SOURCES_MAX: usize = 16;
/// Packets that may be sent under one key (RFC 3711 9.2).
const RTP_MAX: u64 = 1 << 48;
const RTCP_MAX: u32 = 1 << 31;

/// Protects what we send.
pub(crate) struct Sender {
    rtp: Session,
    rtcp: Session,
    /// Index of the last RTP packet.
    sent: Option<u64>,
    /// Index of the next RTCP packet.
    next_report: u32,
}

impl Sender {
    /// With the local key.
    ///
    /// # Errors
    /// [`LegFailure::BadKeys`] when it has not the length its profile wants.
    pub(crate) fn new(keys: &SrtpKeys) -> Result<Self, LegFailure> {
        let session = |stream| Session::new(keys.profile, stream, &keys.local).ok_or(LegFailure::BadKeys);
        Ok(Self { rtp: session(Stream::Rtp)?, rtcp: session(Stream::Rtcp)?, sent: None, next_report: 0 })
    }

    /// Names to `fetch` the memory that the next RTP packet needs.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        self.rtp.memory_ahead(fetch);
    }

    /// Encrypts an RTP packet in place. `false` when it must not be sent: its number is used already, or all are. The packet is
    /// empty then, so that nothing is ever sent in the clear.
    pub(crate) fn protect_rtp(&mut self, packet: &mut Vec<u8>) -> bool {
        let protected = self.seal_rtp(packet).is_some();
        if !protected {
            packet.clear();
        }
        protected
    }

    /// The same for a compound RTCP packet.
    pub(crate) fn protect_rtcp(&mut self, packet: &mut Vec<u8>) -> bool {
        let protected = self.seal_rtcp(packet).is_some();
        if !protected {
            packet.clear();
        }
        protected
    }

    fn seal_rtp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let header = Header::read(packet)?;
        let index = nearest_index(self.sent, header.sequence);
        // Two packets under one index would give away what both say.
        if self.sent.is_some_and(|sent| index <= sent) || index >= RTP_MAX {
            return None;
        }
        self.sent = Some(index);
        self.rtp.seal_rtp(header.ssrc, index, header.payload_start(), packet)
    }

    fn seal_rtcp(&mut self, packet: &mut Vec<u8>) -> Option<()> {
        let ssrc = rtcp_source(packet)?;
        let index = self.next_report;
        if index >= RTCP_MAX {
            return None;
        }
        self.next_report += 1;
        self.rtcp.seal_rtcp(ssrc, index, packet)
    }
}

/// Checks and decrypts what the peer sends.
///
/// RTP and RTCP are kept apart, as proof for one says nothing about the replay window of the other.
pub(crate) struct Receiver {
    rtp: Session,
    rtp_sources: Sources,
    rtcp: Session,
    rtcp_sources: Sources,
    /// The master key identifier in each packet of the peer; empty for none.
    mki: Vec<u8>,
}

impl Receiver {
    /// With the remote key.
    ///
    /// # Errors
    /// [`LegFailure::BadKeys`] when it has not the length its profile wants.
    pub(crate) fn new(keys: &SrtpKeys) -> Result<Self, LegFailure> {
        let session = |stream| Session::new(keys.profile, stream, &keys.remote).ok_or(LegFailure::BadKeys);
        let (rtp_sources, rtcp_sources) = (Sources::default(), Sources::default());
        let mki = keys.remote_mki.clone();
        Ok(Self { rtp: session(Stream::Rtp)?, rtp_sources, rtcp: session(Stream::Rtcp)?, rtcp_sources, mki })
    }

    /// Names to `fetch` the memory that the next RTP packet needs.
    pub(crate) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        self.rtp.memory_ahead(fetch);
        self.rtp_sources.memory_ahead(fetch);
    }

    /// Decrypts an RTP packet in place and answers its length in the clear; `None` when it is forged, replayed or too
    /// short. `header` is that of the packet.
    pub(crate) fn unprotect_rtp(&mut self, packet: &mut [u8], header: &Header) -> Option<usize> {
        let packet = take_out_mki(packet, &self.mki, self.rtp.behind_mki())?;
        let index = |newest| nearest_index(newest, header.sequence);
        let open = |index| self.rtp.open_rtp(header.ssrc, index, header.payload_start(), packet);
        self.rtp_sources.accept(header.ssrc, index, open)
    }

    /// The same for RTCP.
    pub(crate) fn unprotect_rtcp(&mut self, packet: &mut [u8]) -> Option<usize> {
        let packet = take_out_mki(packet, &self.mki, self.rtcp.behind_mki())?;
        let (ssrc, index) = (rtcp_source(packet)?, self.rtcp.rtcp_index(packet)?);
        let open = |_| self.rtcp.open_rtcp(ssrc, index, packet);
        self.rtcp_sources.accept(ssrc, |_| index.into(), open)
    }
}

/// The SSRC in an RTCP packet.
fn rtcp_source(packet: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(*packet.get(4..)?.first_chunk()?))
}

/// Takes the master key identifier, which nothing protects, out of a packet: what is left lies at its beginning. `None` when it
/// has another one or none. `behind` is the length of what follows it.
fn take_out_mki<'a>(packet: &'a mut [u8], mki: &[u8], behind: usize) -> Option<&'a mut [u8]> {
    let end = packet.len().checked_sub(behind)?;
    let start = end.checked_sub(mki.len())?;
    if packet[start..end] != *mki {
        return None;
    }
    if !mki.is_empty() {
        packet.copy_within(end.., start);
    }
    packet.get_mut(..start + behind)
}

/// Those who have proved themselves, by SSRC.
#[derive(Default)]
struct Sources(Vec<(u32, History)>);

impl Sources {
    /// Lets `open` check a packet, whose index `index` finds from the newest before it, unless that came already; notes it when
    /// it is authentic.
    fn accept(
        &mut self,
        ssrc: u32,
        index: impl FnOnce(Option<u64>) -> u64,
        open: impl FnOnce(u64) -> Option<usize>,
    ) -> Option<usize> {
        let Some((_, history)) = self.0.iter_mut().find(|(proven, _)| *proven == ssrc) else {
            let index = index(None);
            let length = (self.0.len() < SOURCES_MAX).then(|| open(index))??;
            self.0.push((ssrc, History::new(index)));
            return Some(length);
        };
        let index = index(Some(history.newest()));
        let length = history.is_new(index).then(|| open(index))??;
        history.note(index);
        Some(length)
    }

    /// A peer who began anew goes on with his newest SSRC.
    fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        if let Some(newest) = self.0.last() {
            fetch(std::ptr::from_ref(newest).cast(), size_of_val(newest));
        }
    }
}

#[cfg(test)]
mod tests {
    use mcu_api::SrtpProfile;

    use super::*;
    use crate::rtp::Outgoing;

    const PROFILES: [SrtpProfile; 3] =
        [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32, SrtpProfile::AeadAes128Gcm];

    /// Keys that are the same both ways.
    fn keys(profile: SrtpProfile) -> SrtpKeys {
        let key: Vec<u8> = (0..profile.key_length() as u8).collect();
        SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: Vec::new() }
    }

    fn pair(keys: &SrtpKeys) -> (Sender, Receiver) {
        (Sender::new(keys).expect("keys fit"), Receiver::new(keys).expect("keys fit"))
    }

    fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
        let mut packet = Vec::new();
        let outgoing = Outgoing { marker: false, payload_type: 0, sequence, timestamp: 160, ssrc, level: None };
        outgoing.write(b"twenty milliseconds", &mut packet);
        packet
    }

    fn protect(sender: &mut Sender, clear: &[u8]) -> Vec<u8> {
        let mut packet = clear.to_vec();
        assert!(sender.protect_rtp(&mut packet));
        packet
    }

    fn unprotect(receiver: &mut Receiver, packet: &[u8]) -> Option<Vec<u8>> {
        let mut packet = packet.to_vec();
        let header = Header::read(&packet)?;
        let length = receiver.unprotect_rtp(&mut packet, &header)?;
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
            let (mut sender, mut receiver) = pair(&keys);
            let packet = protect(&mut sender, &clear);
            assert_eq!(packet[..12], clear[..12], "the header stays readable");
            assert_eq!(packet[12..], *expected, "{profile:?}");
            assert_eq!(unprotect(&mut receiver, &packet), Some(clear));
        }
    }

    #[test]
    fn what_is_protected_is_recovered_once() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(&keys(profile));
            let clear = rtp(7, 100);
            let packet = protect(&mut sender, &clear);
            assert_ne!(packet[12..31], clear[12..]);
            assert_eq!(unprotect(&mut receiver, &packet).as_ref(), Some(&clear), "{profile:?}");
            assert_eq!(unprotect(&mut receiver, &packet), None, "{profile:?}: a replay");
        }
    }

    #[test]
    fn what_the_next_packet_needs_is_named_ahead() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(&keys(profile));
            assert!(unprotect(&mut receiver, &protect(&mut sender, &rtp(7, 100))).is_some());
            let (mut to_send, mut to_receive) = (Vec::new(), Vec::new());
            sender.memory_ahead(&mut |memory, bytes| to_send.push((memory.addr(), bytes)));
            receiver.memory_ahead(&mut |memory, bytes| to_receive.push((memory.addr(), bytes)));
            let keys = |session: &Session| match session {
                Session::Counter(keys) => (std::ptr::from_ref(&**keys).addr(), size_of_val(&**keys)),
                Session::Galois(keys) => (std::ptr::from_ref(&**keys).addr(), size_of_val(&**keys)),
            };
            let source = (receiver.rtp_sources.0.as_ptr().addr(), size_of::<(u32, History)>());
            assert_eq!(to_send, [keys(&sender.rtp)], "{profile:?}");
            assert_eq!(to_receive, [keys(&receiver.rtp), source], "{profile:?}");
        }
    }

    #[test]
    fn no_number_is_used_twice() {
        for profile in PROFILES {
            let (mut sender, _) = pair(&keys(profile));
            protect(&mut sender, &rtp(7, 100));
            for sequence in [100, 99] {
                let mut packet = rtp(7, sequence);
                assert!(!sender.protect_rtp(&mut packet) && packet.is_empty(), "{profile:?}: {sequence}");
            }
            protect(&mut sender, &rtp(7, 101));
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
            let keys = SrtpKeys { remote_mki: vec![0, 1], ..keys(profile) };
            let (mut sender, mut receiver) = pair(&keys);
            let clear = rtp(7, 100);
            let packet = protect(&mut sender, &clear);
            assert_eq!(unprotect(&mut receiver, &packet), None, "{profile:?}: without it");
            assert_eq!(unprotect(&mut receiver, &with_mki(&packet, &[0, 2], rtp_behind)), None, "{profile:?}: another");
            let marked = with_mki(&packet, &[0, 1], rtp_behind);
            for length in 0..marked.len() {
                assert_eq!(unprotect(&mut receiver, &marked[..length]), None, "{profile:?}: {length} bytes");
            }
            assert_eq!(unprotect(&mut receiver, &marked), Some(clear), "{profile:?}");

            let mut report = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
            assert!(sender.protect_rtcp(&mut report));
            assert_eq!(receiver.unprotect_rtcp(&mut with_mki(&report, &[0, 1], rtcp_behind)), Some(8), "{profile:?}");
        }
    }

    #[test]
    fn each_changed_byte_is_noticed() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(&keys(profile));
            let packet = protect(&mut sender, &rtp(7, 100));
            for at in 0..packet.len() {
                let mut forged = packet.clone();
                forged[at] ^= 0x04;
                assert_eq!(unprotect(&mut receiver, &forged), None, "{profile:?}: byte {at}");
            }
            for length in 0..packet.len() {
                assert_eq!(unprotect(&mut receiver, &packet[..length]), None, "{profile:?}: {length} bytes");
            }
            let far_ahead = rtp(7, 30_000);
            assert_eq!(unprotect(&mut receiver, &far_ahead), None, "{profile:?}");
            assert!(unprotect(&mut receiver, &packet).is_some(), "{profile:?}: forgeries leave no trace");
        }
    }

    #[test]
    fn packets_of_an_earlier_ssrc_cannot_be_replayed() {
        let keys = keys(SrtpProfile::AeadAes128Gcm);
        let (mut sender, mut receiver) = pair(&keys);
        let old = protect(&mut sender, &rtp(7, 100));
        assert!(unprotect(&mut receiver, &old).is_some());
        for ssrc in 8..8 + SOURCES_MAX as u32 + 2 {
            let packet = protect(&mut pair(&keys).0, &rtp(ssrc, 1));
            let room = ssrc < 7 + SOURCES_MAX as u32;
            assert_eq!(unprotect(&mut receiver, &packet).is_some(), room, "SSRC {ssrc}");
            assert_eq!(unprotect(&mut receiver, &old), None);
        }
    }

    #[test]
    fn the_sequence_may_wrap_and_packets_may_be_late() {
        let (mut sender, mut receiver) = pair(&keys(SrtpProfile::AesCm128HmacSha1_32));
        let packets: Vec<_> = (0..200_u16).map(|n| protect(&mut sender, &rtp(7, n.wrapping_add(65_436)))).collect();
        for chunk in packets.chunks(4) {
            for packet in chunk.iter().rev() {
                assert!(unprotect(&mut receiver, packet).is_some());
            }
        }
    }

    #[test]
    fn rtcp_in_the_clear_or_forged_is_refused() {
        for profile in PROFILES {
            let (mut sender, mut receiver) = pair(&keys(profile));
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
            assert_eq!(Sender::new(&keys).err(), Some(LegFailure::BadKeys));
            assert_eq!(Receiver::new(&keys).err(), Some(LegFailure::BadKeys));
        }
    }
}
