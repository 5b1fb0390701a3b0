//! A table of legs that is looked into for every packet.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use base::LegId;

/// A map from legs. Their numbers are the server's own, so nobody can choose them to collide, and mixing their bits is
/// hash enough.
pub type LegMap<V> = HashMap<LegId, V, BuildHasherDefault<LegHasher>>;

/// Mixes the bits of a number.
#[derive(Default)]
pub struct LegHasher(u64);

impl Hasher for LegHasher {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn write_u64(&mut self, number: u64) {
        // 2^64 by the golden ratio: neighbours end up far apart, in the high bits too, of which the table uses seven.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(32);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
