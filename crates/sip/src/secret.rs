//! The secret of this process and what is derived from it: nonces and the tags of stateless answers.

use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest, Sha256};

/// Random octets drawn at start; they never leave the process.
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Draws a new one.
    pub(crate) fn draw() -> Self {
        let mut octets = [0; 32];
        fill(&mut octets);
        Self(octets)
    }

    /// The first 64 bits of HMAC-SHA-256 (RFC 2104) over the parts, in hexadecimal. Enough for values that live for
    /// minutes and can be tested only against this server.
    pub(crate) fn seal(&self, parts: &[&str]) -> String {
        let (mut inner, mut outer) = ([0x36_u8; 64], [0x5c_u8; 64]);
        for (index, byte) in self.0.iter().enumerate() {
            inner[index] ^= byte;
            outer[index] ^= byte;
        }
        let mut hash = Sha256::new().chain_update(inner);
        for part in parts {
            // The length in front keeps ("ab", "c") apart from ("a", "bc").
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hex(&Sha256::new().chain_update(outer).chain_update(hash.finalize()).finalize()[..8])
    }
}

/// A random text of 128 bits in hexadecimal, for branches and tags.
pub(crate) fn random_token() -> String {
    let mut octets = [0; 16];
    fill(&mut octets);
    hex(&octets)
}

/// The first 128 bits of SHA-256 over the parts, in hexadecimal.
pub(crate) fn digest(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| hex_digits(*byte)).collect()
}

/// The two digits of a byte, which need no memory.
pub(crate) fn hex_digits(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
}

fn fill(octets: &mut [u8]) {
    OsRng.try_fill_bytes(octets).expect("the system has random numbers once it has started");
}

/// Whether two texts are equal, in a time that depends on their lengths alone (reliability.md 28).
pub(crate) fn equal(one: &str, other: &str) -> bool {
    let difference = one.bytes().zip(other.bytes()).fold(0, |sum, (a, b)| sum | (a ^ b));
    one.len() == other.len() && std::hint::black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_depend_on_every_part_and_on_the_secret() {
        let secret = Secret([7; 32]);
        assert_eq!(secret.seal(&["a", "bc"]), secret.seal(&["a", "bc"]));
        assert_ne!(secret.seal(&["a", "bc"]), secret.seal(&["ab", "c"]));
        assert_ne!(secret.seal(&["a"]), Secret([8; 32]).seal(&["a"]));
    }

    #[test]
    fn bytes_have_two_digits_each() {
        assert_eq!(hex(&[0x00, 0x0F, 0xA5, 0xFF]), "000fa5ff");
    }

    #[test]
    fn equality_is_equality() {
        assert!(equal("", "") && equal("abc", "abc"));
        assert!(!equal("abc", "abd") && !equal("abc", "ab") && !equal("", "a"));
    }
}
