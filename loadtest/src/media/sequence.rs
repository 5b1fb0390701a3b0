//! What the sequence numbers of a stream say about loss and order (RFC 3550 A.1 in spirit).

/// A pause of the numbers longer than this is a new start of the stream, not loss.
const LEAP: i64 = 3_000;

/// Follows the numbers of one caller's incoming stream.
#[derive(Clone, Debug, Default)]
pub struct Sequence {
    ssrc: u32,
    highest: Option<i64>,
    /// The first number that is counted.
    base: i64,
    /// Packets of this stream since `base`.
    received: i64,
    /// Loss of streams that went before.
    earlier: i64,
    reordered: u64,
}

impl Sequence {
    /// Takes a packet's number and source.
    pub fn take(&mut self, sequence: u16, ssrc: u32) {
        let step = self.highest.map(|highest| i64::from(sequence.wrapping_sub(highest as u16) as i16));
        match (self.highest, step) {
            (Some(highest), Some(step)) if ssrc == self.ssrc && step.abs() <= LEAP => {
                if step < 0 {
                    self.reordered += 1;
                }
                self.highest = Some(highest.max(highest + step));
                if highest + step >= self.base {
                    self.received += 1;
                }
            }
            _ => {
                self.earlier = self.lost();
                (self.ssrc, self.received) = (ssrc, 1);
                (self.base, self.highest) = (i64::from(sequence), Some(i64::from(sequence)));
            }
        }
    }

    /// Packets that the numbers say are missing.
    pub fn lost(&self) -> i64 {
        let expected = self.highest.map_or(0, |highest| highest + 1 - self.base);
        self.earlier + (expected - self.received).max(0)
    }

    /// Packets that came after a later one.
    pub const fn reordered(&self) -> u64 {
        self.reordered
    }

    /// The highest number with its turns, as a report tells it.
    pub fn highest(&self) -> u32 {
        self.highest.unwrap_or(0) as u32
    }

    /// The source heard last.
    pub const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Forgets loss and order so far.
    pub fn begin_measuring(&mut self) {
        self.base = self.highest.map_or(0, |highest| highest + 1);
        (self.received, self.earlier, self.reordered) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: &[(u16, u32)]) -> (i64, u64) {
        let mut sequence = Sequence::default();
        numbers.iter().for_each(|(number, ssrc)| sequence.take(*number, *ssrc));
        (sequence.lost(), sequence.reordered())
    }

    #[test]
    fn loss_and_order_are_read_from_the_numbers() {
        assert_eq!(after(&[]), (0, 0));
        assert_eq!(after(&[(65_534, 1), (65_535, 1), (0, 1), (1, 1)]), (0, 0), "a turn");
        assert_eq!(after(&[(1, 1), (2, 1), (5, 1)]), (2, 0), "a gap");
        assert_eq!(after(&[(1, 1), (3, 1), (2, 1), (4, 1)]), (0, 1), "out of order");
        assert_eq!(after(&[(1, 1), (3, 1), (900, 2), (901, 2)]), (1, 0), "a new source");
        assert_eq!(after(&[(1, 1), (20_000, 1), (20_001, 1)]), (0, 0), "a leap");
    }

    #[test]
    fn a_new_measurement_counts_from_the_next_packet() {
        let mut sequence = Sequence::default();
        [1, 5].iter().for_each(|number| sequence.take(*number, 1));
        sequence.begin_measuring();
        assert_eq!(sequence.lost(), 0);
        [4, 6, 8].iter().for_each(|number| sequence.take(*number, 1));
        assert_eq!((sequence.lost(), sequence.reordered()), (1, 1));
    }
}
