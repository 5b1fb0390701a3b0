//! Session keys, and what is done with them to a packet: RFC 3711 4 for AES in counter mode with HMAC-SHA1, RFC 7714 for AES in
//! Galois counter mode. The ciphers themselves are libraries'.

use ctr::cipher::{KeyIvInit, StreamCipher};
use hmac::Mac;
use mcu_api::SrtpProfile;
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, Tag, UnboundKey};

type KeyStream = ctr::Ctr128BE<aes::Aes128Enc>;
type Hmac = hmac::Hmac<sha1::Sha1>;

/// Bytes of an AES key, and of its blocks.
const BLOCK: usize = 16;
/// Bytes of the salt in counter mode; Galois mode has twelve.
const SALT: usize = 14;
/// Bytes of the key of HMAC-SHA1.
const MAC_KEY: usize = 20;
/// Bytes of the tag in Galois counter mode.
const GALOIS_TAG: usize = 16;
/// RTCP header and SSRC: never encrypted.
const RTCP_CLEAR: usize = 8;
/// Bytes of the word with the encryption bit and the index of an RTCP packet.
const RTCP_INDEX: usize = 4;
/// That bit.
const ENCRYPTED: u32 = 1 << 31;

/// RTP and RTCP have keys of their own (RFC 3711 4.3.2).
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Rtp,
    Rtcp,
}

/// The keys of one stream in one direction. What a packet needs of them lies together.
pub(super) enum Session {
    Counter(Box<Counter>),
    Galois(Box<Galois>),
}

/// AES in counter mode, and a tag by HMAC-SHA1.
pub(super) struct Counter {
    key: [u8; BLOCK],
    salt: [u8; SALT],
    /// Bytes of the tag that are sent.
    tag: usize,
    /// With the key taken in.
    mac: Hmac,
}

/// AES in Galois counter mode.
pub(super) struct Galois {
    salt: [u8; NONCE_LEN],
    key: LessSafeKey,
}

impl Session {
    /// From master key and salt; `None` when they have not the length that the profile wants.
    pub(super) fn new(profile: SrtpProfile, stream: Stream, master: &[u8]) -> Option<Self> {
        if master.len() != profile.key_length() {
            return None;
        }
        // The labels of RFC 3711 4.3.2: for encryption, authentication and salt.
        let [encryption, authentication, salting] = match stream {
            Stream::Rtp => [0, 1, 2],
            Stream::Rtcp => [3, 4, 5],
        };
        let key = derived(master, encryption);
        let tag = match (profile, stream) {
            (SrtpProfile::AeadAes128Gcm, _) => {
                let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).ok()?);
                return Some(Self::Galois(Box::new(Galois { salt: derived(master, salting), key })));
            }
            (SrtpProfile::AesCm128HmacSha1_32, Stream::Rtp) => 4,
            // RFC 4568 6.2: for RTCP it is 80 bits with both.
            (SrtpProfile::AesCm128HmacSha1_32 | SrtpProfile::AesCm128HmacSha1_80, _) => 10,
        };
        let mac = Hmac::new_from_slice(&derived::<MAC_KEY>(master, authentication)).ok()?;
        Some(Self::Counter(Box::new(Counter { key, salt: derived(master, salting), tag, mac })))
    }

    /// Names the memory that a packet needs.
    pub(super) fn memory_ahead(&self, fetch: &mut impl FnMut(*const u8, usize)) {
        match self {
            Self::Counter(keys) => fetch(std::ptr::from_ref(&**keys).cast(), size_of::<Counter>()),
            Self::Galois(keys) => fetch(std::ptr::from_ref(&**keys).cast(), size_of::<Galois>()),
        }
    }

    /// Bytes that follow a master key identifier; with AEAD the tag is part of what is encrypted, and nothing follows (RFC
    /// 3711 3.1, RFC 7714 8.2).
    pub(super) fn behind_mki(&self) -> usize {
        match self {
            Self::Counter(keys) => keys.tag,
            Self::Galois(_) => 0,
        }
    }

    /// Encrypts an RTP packet behind its header and adds the tag; `None` when that cannot be done.
    pub(super) fn seal_rtp(&self, ssrc: u32, index: u64, header: usize, packet: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Counter(keys) => {
                keys.crypt(ssrc, index, packet.get_mut(header..)?);
                keys.add_tag(packet, &rollovers(index));
            }
            Self::Galois(keys) => {
                let (clear, text) = packet.split_at_mut_checked(header)?;
                let tag = keys.seal(ssrc, index, clear, text)?;
                packet.extend_from_slice(tag.as_ref());
            }
        }
        Some(())
    }

    /// Checks an RTP packet, decrypts it and answers its length without the tag; `None` when it is not authentic.
    pub(super) fn open_rtp(&self, ssrc: u32, index: u64, header: usize, packet: &mut [u8]) -> Option<usize> {
        match self {
            Self::Counter(keys) => {
                let (text, tag) = split_last(packet, keys.tag)?;
                let encrypted = text.len().checked_sub(header)?;
                keys.check_tag(text, &rollovers(index), tag)?;
                keys.crypt(ssrc, index, split_last(text, encrypted)?.1);
                Some(header + encrypted)
            }
            Self::Galois(keys) => {
                let (clear, text) = packet.split_at_mut_checked(header)?;
                let (text, tag) = split_last(text, GALOIS_TAG)?;
                keys.open(ssrc, index, clear, text, tag)?;
                Some(header + text.len())
            }
        }
    }

    /// Encrypts an RTCP packet, and adds its index and the tag; `None` when that cannot be done.
    pub(super) fn seal_rtcp(&self, ssrc: u32, index: u32, packet: &mut Vec<u8>) -> Option<()> {
        let word = (index | ENCRYPTED).to_be_bytes();
        let (clear, text) = packet.split_at_mut_checked(RTCP_CLEAR)?;
        match self {
            Self::Counter(keys) => {
                keys.crypt(ssrc, index.into(), text);
                packet.extend_from_slice(&word);
                keys.add_tag(packet, &[]);
            }
            Self::Galois(keys) => {
                let tag = keys.seal(ssrc, index.into(), &with_index(clear, word)?, text)?;
                packet.extend_from_slice(tag.as_ref());
                packet.extend_from_slice(&word);
            }
        }
        Some(())
    }

    /// The index of an RTCP packet; `None` when it has none or says that it is not encrypted.
    pub(super) fn rtcp_index(&self, packet: &[u8]) -> Option<u32> {
        let end = packet.len().checked_sub(self.behind_mki())?;
        let word = u32::from_be_bytes(*packet.get(..end)?.last_chunk()?);
        (word & ENCRYPTED != 0).then_some(word & !ENCRYPTED)
    }

    /// See [`Session::open_rtp`].
    pub(super) fn open_rtcp(&self, ssrc: u32, index: u32, packet: &mut [u8]) -> Option<usize> {
        let word = (index | ENCRYPTED).to_be_bytes();
        match self {
            Self::Counter(keys) => {
                let (signed, tag) = split_last(packet, keys.tag)?;
                let encrypted = signed.len().checked_sub(RTCP_CLEAR + RTCP_INDEX)?;
                keys.check_tag(signed, &[], tag)?;
                keys.crypt(ssrc, index.into(), &mut signed[RTCP_CLEAR..][..encrypted]);
                Some(RTCP_CLEAR + encrypted)
            }
            Self::Galois(keys) => {
                let (clear, text) = packet.split_at_mut_checked(RTCP_CLEAR)?;
                let (text, _) = split_last(text, RTCP_INDEX)?;
                let (text, tag) = split_last(text, GALOIS_TAG)?;
                keys.open(ssrc, index.into(), &with_index(clear, word)?, text, tag)?;
                Some(RTCP_CLEAR + text.len())
            }
        }
    }
}

impl Counter {
    /// Encrypts or decrypts.
    fn crypt(&self, ssrc: u32, index: u64, text: &mut [u8]) {
        let mut start = [0; BLOCK];
        start[..SALT].copy_from_slice(&self.salt);
        add_position(&mut start[4..], ssrc, index);
        KeyStream::new(&self.key.into(), &start.into()).apply_keystream(text);
    }

    /// `unsent` is signed too.
    fn signed(&self, packet: &[u8], unsent: &[u8]) -> Hmac {
        self.mac.clone().chain_update(packet).chain_update(unsent)
    }

    fn add_tag(&self, packet: &mut Vec<u8>, unsent: &[u8]) {
        let tag = self.signed(packet, unsent).finalize().into_bytes();
        packet.extend_from_slice(&tag[..self.tag]);
    }

    fn check_tag(&self, packet: &[u8], unsent: &[u8], tag: &[u8]) -> Option<()> {
        // In a time that does not depend on where they differ.
        self.signed(packet, unsent).verify_truncated_left(tag).ok()
    }
}

impl Galois {
    fn nonce(&self, ssrc: u32, index: u64) -> Nonce {
        let mut nonce = self.salt;
        add_position(&mut nonce[2..], ssrc, index);
        Nonce::assume_unique_for_key(nonce)
    }

    fn seal(&self, ssrc: u32, index: u64, clear: &[u8], text: &mut [u8]) -> Option<Tag> {
        self.key.seal_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(clear), text).ok()
    }

    fn open(&self, ssrc: u32, index: u64, clear: &[u8], text: &mut [u8], tag: &[u8]) -> Option<()> {
        let tag = Tag::try_from(tag).ok()?;
        let opened = self.key.open_in_place_separate_tag(self.nonce(ssrc, index), Aad::from(clear), tag, text, 0..);
        opened.map(|_| ()).ok()
    }
}

/// The pseudo-random bytes that a label stands for (RFC 3711 4.3.3, RFC 7714 11).
fn derived<const N: usize>(master: &[u8], label: u8) -> [u8; N] {
    let (key, salt) = master.split_at(BLOCK);
    let mut start = [0; BLOCK];
    start[..salt.len()].copy_from_slice(salt);
    start[7] ^= label;
    let mut bytes = [0; N];
    KeyStream::new(key.into(), &start.into()).apply_keystream(&mut bytes);
    bytes
}

/// Adds to a salt which packet it is for: SSRC and index of 48 bits (RFC 3711 4.1.1, RFC 7714 8.1 and 9.1).
fn add_position(salt: &mut [u8], ssrc: u32, index: u64) {
    let index = index.to_be_bytes();
    let position = ssrc.to_be_bytes().into_iter().chain(index[2..].iter().copied());
    salt.iter_mut().zip(position).for_each(|(salt, position)| *salt ^= position);
}

/// How often the sequence number began anew.
fn rollovers(index: u64) -> [u8; 4] {
    ((index >> 16) as u32).to_be_bytes()
}

/// What RTCP has authenticated beside what is encrypted (RFC 7714 9.3).
fn with_index(clear: &[u8], word: [u8; RTCP_INDEX]) -> Option<[u8; RTCP_CLEAR + RTCP_INDEX]> {
    let mut signed = [0; RTCP_CLEAR + RTCP_INDEX];
    signed[..RTCP_CLEAR].copy_from_slice(clear.get(..RTCP_CLEAR)?);
    signed[RTCP_CLEAR..].copy_from_slice(&word);
    Some(signed)
}

fn split_last(packet: &mut [u8], bytes: usize) -> Option<(&mut [u8], &mut [u8])> {
    let at = packet.len().checked_sub(bytes)?;
    packet.split_at_mut_checked(at)
}
