//! The range decoder of RFC 6716 4.1, as much of it as the head of a CELT frame needs.
//!
//! It reads zeros where a frame is too short, as the RFC says; nothing here can fail.

/// The decoder's range is kept above this (RFC 6716 4.1.2.1).
const RANGE_MIN: u32 = 1 << 23;
/// Total of the frequencies of a Laplace symbol.
const LAPLACE_TOTAL: u32 = 1 << 15;
/// Least frequency of a Laplace symbol far from zero, and how many on each side have it at least (RFC 6716 4.3.2.1).
const LAPLACE_LEAST: u32 = 1;
const LAPLACE_LEAST_COUNT: u32 = 16;

/// Reads symbols from the front of a frame, and plain bits from its end.
pub(super) struct RangeDecoder<'a> {
    frame: &'a [u8],
    next: usize,
    range: u32,
    /// How far the code lies below the top of the range.
    value: u32,
    /// The byte that was read last; its lowest bit is still to be used.
    rest: u32,
    bits_read: u32,
    end_bits_read: u32,
}

impl<'a> RangeDecoder<'a> {
    /// A decoder at the beginning of a frame.
    pub(super) fn new(frame: &'a [u8]) -> Self {
        let mut decoder = Self { frame, next: 0, range: 128, value: 0, rest: 0, bits_read: 9, end_bits_read: 0 };
        decoder.rest = decoder.byte();
        decoder.value = 127 - (decoder.rest >> 1);
        decoder.normalise();
        decoder
    }

    /// Bits of the frame.
    pub(super) fn bits(&self) -> u32 {
        self.frame.len() as u32 * 8
    }

    /// Bits used so far, rounded up (RFC 6716 4.1.6.1).
    pub(super) fn tell(&self) -> u32 {
        (self.bits_read + self.end_bits_read).saturating_sub(32 - self.range.leading_zeros())
    }

    /// A bit that is set with a probability of one in `2^log_probability`.
    pub(super) fn bit(&mut self, log_probability: u32) -> bool {
        let below = self.range >> log_probability;
        let set = self.value < below;
        if set {
            self.range = below;
        } else {
            self.value -= below;
            self.range -= below;
        }
        self.normalise();
        set
    }

    /// One of `total` symbols that are equally likely, at most 256.
    pub(super) fn uniform(&mut self, total: u32) -> u32 {
        let (step, symbol) = self.symbol(total);
        self.take(step, symbol, symbol + 1, total);
        symbol
    }

    /// One of several values, of which each occurs so often in 256.
    pub(super) fn one_of(&mut self, frequencies: &[u8]) -> u32 {
        let (step, symbol) = self.symbol(256);
        let (mut low, mut value) = (0, 0);
        for &frequency in frequencies {
            let high = low + u32::from(frequency);
            if symbol < high {
                self.take(step, low, high, 256);
                break;
            }
            (low, value) = (high, value + 1);
        }
        value
    }

    /// The next plain bits, at most 16: they stand at the end of the frame, the lowest first (RFC 6716 4.1.4).
    pub(super) fn bits_from_end(&mut self, bits: u32) -> u32 {
        let bit = |at: u32| {
            let byte = self.frame.len().checked_sub(1 + (at / 8) as usize).map_or(0, |place| self.frame[place]);
            u32::from(byte >> (at % 8) & 1)
        };
        let value = (0..bits).map(|number| bit(self.end_bits_read + number) << number).sum();
        self.end_bits_read += bits;
        value
    }

    /// -1, 0 or 1, with a half for 0: how energies are written when few bits are left.
    pub(super) fn small(&mut self) -> i32 {
        let (step, symbol) = self.symbol(4);
        let (value, from, to) = match symbol {
            0 | 1 => (0, 0, 2),
            2 => (-1, 2, 3),
            _ => (1, 3, 4),
        };
        self.take(step, from, to, 4);
        value
    }

    /// A number near zero: `zero` of 2^15 is the frequency of zero, `decay` of 2^14 how it falls on both sides.
    pub(super) fn laplace(&mut self, zero: u32, decay: u32) -> i32 {
        let (step, symbol) = self.symbol(LAPLACE_TOTAL);
        let (mut low, mut width, mut value) = (0, zero, 0);
        if symbol >= zero {
            let rest = LAPLACE_TOTAL - LAPLACE_LEAST * 2 * LAPLACE_LEAST_COUNT - zero;
            low = zero;
            width = ((rest * (16_384 - decay)) >> 15) + LAPLACE_LEAST;
            value = 1;
            while width > LAPLACE_LEAST && symbol >= low + 2 * width {
                low += 2 * width;
                width = (((2 * width - 2 * LAPLACE_LEAST) * decay) >> 15) + LAPLACE_LEAST;
                value += 1;
            }
            if width <= LAPLACE_LEAST {
                let further = (symbol - low) / (2 * LAPLACE_LEAST);
                value += further as i32;
                low += 2 * further * LAPLACE_LEAST;
            }
            if symbol < low + width {
                value = -value;
            } else {
                low += width;
            }
        }
        self.take(step, low, (low + width).min(LAPLACE_TOTAL), LAPLACE_TOTAL);
        value
    }

    /// The size of one step of `total`, and where the code lies.
    fn symbol(&self, total: u32) -> (u32, u32) {
        let step = self.range / total;
        (step, total - (self.value / step + 1).min(total))
    }

    /// Takes the symbol that reaches from `low` to `high` of `total`.
    fn take(&mut self, step: u32, low: u32, high: u32, total: u32) {
        let above = step * (total - high);
        self.value -= above;
        self.range = if low > 0 { step * (high - low) } else { self.range - above };
        self.normalise();
    }

    fn normalise(&mut self) {
        while self.range <= RANGE_MIN {
            self.bits_read += 8;
            self.range <<= 8;
            let fresh = self.byte();
            let bits = (self.rest << 8 | fresh) >> 1 & 0xFF;
            self.rest = fresh;
            self.value = ((self.value << 8) + (255 & !bits)) & 0x7FFF_FFFF;
        }
    }

    fn byte(&mut self) -> u32 {
        let byte = self.frame.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        byte.into()
    }
}
