//! Which packets of a source have come: their indices, and the replay window (RFC 3711 3.3.1 and 3.3.2).

/// Packets back from the newest in which a late packet is told from a replayed one (reliability.md A9).
const WINDOW: u64 = 1_024;
/// A bit for each of them.
const WORDS: usize = WINDOW as usize / u64::BITS as usize;

/// The index of a packet by its sequence number, which is the lower 16 bits of it: the one nearest to the newest so far, or
/// the number itself where there was none.
pub(super) fn nearest_index(newest: Option<u64>, sequence: u16) -> u64 {
    let Some(newest) = newest else { return sequence.into() };
    let ahead = sequence.wrapping_sub(newest as u16).cast_signed();
    // Nothing was before the first 65,536.
    newest.checked_add_signed(ahead.into()).unwrap_or(sequence.into())
}

/// The packets of one source.
pub(super) struct History {
    newest: u64,
    /// Of the last [`WINDOW`] indices, each at its remainder by that: whether its packet came.
    came: [u64; WORDS],
}

impl History {
    /// One that begins with the packet of this index.
    pub(super) fn new(index: u64) -> Self {
        let mut history = Self { newest: index, came: [0; WORDS] };
        history.mark(index);
        history
    }

    /// The highest index.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether a packet can be told from those that came, and is none of them.
    pub(super) fn is_new(&self, index: u64) -> bool {
        let (word, bit) = place(index);
        index > self.newest || (self.newest - index < WINDOW && self.came[word] & bit == 0)
    }

    /// Notes a packet that is new, once it has proved authentic.
    pub(super) fn note(&mut self, index: u64) {
        if index > self.newest {
            let skipped = (index - self.newest).min(WINDOW);
            for left_out in index - skipped..index {
                let (word, bit) = place(left_out + 1);
                self.came[word] &= !bit;
            }
            self.newest = index;
        }
        self.mark(index);
    }

    fn mark(&mut self, index: u64) {
        let (word, bit) = place(index);
        self.came[word] |= bit;
    }
}

fn place(index: u64) -> (usize, u64) {
    let at = index % WINDOW;
    ((at / u64::from(u64::BITS)) as usize, 1 << (at % u64::from(u64::BITS)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_nearest_index_is_meant() {
        let cases = [
            (None, 7, 7),
            (None, 65_000, 65_000),
            (Some(7), 9, 9),
            (Some(7), 3, 3),
            (Some(65_535), 0, 65_536),
            (Some(65_540), 65_530, 65_530),
            (Some(0x5_0003), 0xFFFE, 0x4_FFFE),
            (Some(0x5_FFFE), 3, 0x6_0003),
            // Before the beginning there is nothing.
            (Some(3), 0xFFFE, 0xFFFE),
        ];
        for (newest, sequence, index) in cases {
            assert_eq!(nearest_index(newest, sequence), index, "{sequence} after {newest:?}");
        }
    }

    proptest! {
        /// Beside a set that forgets nothing.
        #[test]
        fn each_packet_is_new_once(
            first in 0_u64..5_000,
            steps in prop::collection::vec(prop_oneof![4 => -40_i64..40, 1 => -1_500_i64..1_500], 1..400),
        ) {
            let (mut history, mut came) = (History::new(first), BTreeSet::from([first]));
            let mut index = first;
            for step in steps {
                index = index.saturating_add_signed(step);
                let newest = *came.last().expect("the first");
                let fresh = !came.contains(&index) && index + WINDOW > newest;
                prop_assert_eq!(history.is_new(index), fresh, "{} after {}", index, newest);
                if fresh {
                    history.note(index);
                    came.insert(index);
                }
                prop_assert_eq!(history.newest(), *came.last().expect("the first"));
            }
        }
    }
}
