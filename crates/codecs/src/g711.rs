//! The two laws of G.711: 16-bit samples to bytes and back.

/// Which of the two companding laws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Law {
    /// mu-law, of North America and Japan.
    Mu,
    /// A-law, of the rest of the world.
    A,
}

impl Law {
    /// The sample a byte stands for.
    pub(crate) const fn decode(self, byte: u8) -> i16 {
        match self {
            Self::Mu => MU_SAMPLES[byte as usize],
            Self::A => A_SAMPLES[byte as usize],
        }
    }

    /// The square of the sample a byte stands for.
    pub(crate) const fn energy(self, byte: u8) -> u32 {
        (self.decode(byte) as i32).pow(2) as u32
    }

    /// The byte that stands for a sample.
    pub(crate) const fn encode(self, sample: i16) -> u8 {
        match self {
            Self::Mu => mu_byte(sample),
            Self::A => a_byte(sample),
        }
    }
}

const MU_SAMPLES: [i16; 256] = table(Law::Mu);
const A_SAMPLES: [i16; 256] = table(Law::A);

const fn table(law: Law) -> [i16; 256] {
    let mut samples = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        samples[byte] = match law {
            Law::Mu => mu_sample(byte as u8),
            Law::A => a_sample(byte as u8),
        };
        byte += 1;
    }
    samples
}

/// What mu-law adds to a magnitude, so that the eight segments begin at powers of two.
const MU_BIAS: i32 = 132;

/// The largest magnitude mu-law tells from larger ones.
const MU_CLIP: i32 = 32_635;

const fn mu_sample(byte: u8) -> i16 {
    let bits = !byte;
    let magnitude = ((((bits & 0x0f) as i32) << 3) + MU_BIAS) << ((bits & 0x70) >> 4);
    let magnitude = (magnitude - MU_BIAS) as i16;
    if bits & 0x80 == 0 { magnitude } else { -magnitude }
}

const fn mu_byte(sample: i16) -> u8 {
    let (sign, magnitude) = if sample < 0 { (0x80, -(sample as i32)) } else { (0, sample as i32) };
    let biased = if magnitude > MU_CLIP { MU_CLIP } else { magnitude } + MU_BIAS;
    // The bias makes bit 7 the lowest possible highest bit: segment 0.
    let segment = 24 - biased.leading_zeros();
    let step = (biased >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) as u8 | step as u8)
}

/// Every other bit of an A-law byte is inverted on the line.
const A_LINE: u8 = 0x55;

const fn a_sample(byte: u8) -> i16 {
    let bits = byte ^ A_LINE;
    let segment = (bits & 0x70) >> 4;
    let step = ((bits & 0x0f) as i16) << 4;
    let magnitude = if segment == 0 { step + 8 } else { (step + 0x108) << (segment - 1) };
    if bits & 0x80 == 0 { -magnitude } else { magnitude }
}

const fn a_byte(sample: i16) -> u8 {
    // The negative half begins at -1, so that both halves have the same number of steps.
    let (sign, magnitude) = if sample < 0 { (0, !sample) } else { (0x80, sample) };
    let segment = if magnitude < 256 { 0 } else { 8 - magnitude.leading_zeros() };
    let step = if segment == 0 { magnitude >> 4 } else { magnitude >> (segment + 3) } & 0x0f;
    (sign | (segment << 4) as u8 | step as u8) ^ A_LINE
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of G.711 tables 1a to 2b, scaled from 14 and 13 bits to 16.
    #[test]
    fn corner_values_are_those_of_the_standard() {
        let decoded = [
            (Law::Mu, 0xff, 0),
            (Law::Mu, 0xfe, 8),
            (Law::Mu, 0x7e, -8),
            (Law::Mu, 0x80, 32_124),
            (Law::Mu, 0x00, -32_124),
            (Law::Mu, 0xef, 132),
            (Law::A, 0xd5, 8),
            (Law::A, 0x55, -8),
            (Law::A, 0xaa, 32_256),
            (Law::A, 0x2a, -32_256),
            (Law::A, 0xc5, 264),
        ];
        for (law, byte, sample) in decoded {
            assert_eq!(law.decode(byte), sample, "{law:?} {byte:#04x}");
        }
        let encoded = [
            (Law::Mu, 0, 0xff),
            (Law::Mu, i16::MAX, 0x80),
            (Law::Mu, i16::MIN, 0x00),
            (Law::A, 0, 0xd5),
            (Law::A, -1, 0x55),
            (Law::A, i16::MAX, 0xaa),
            (Law::A, i16::MIN, 0x2a),
        ];
        for (law, sample, byte) in encoded {
            assert_eq!(law.encode(sample), byte, "{law:?} {sample}");
        }
    }

    #[test]
    fn every_byte_comes_back() {
        for byte in 0..=255 {
            // mu-law has a second zero, which stands for the same sample as the first.
            let wanted = if byte == 0x7f { 0xff } else { byte };
            assert_eq!(Law::Mu.encode(Law::Mu.decode(byte)), wanted);
            assert_eq!(Law::A.encode(Law::A.decode(byte)), byte);
        }
    }

    #[test]
    fn every_sample_comes_back_within_half_a_step() {
        for sample in i16::MIN..=i16::MAX {
            for law in [Law::Mu, Law::A] {
                let error = (i32::from(law.decode(law.encode(sample))) - i32::from(sample)).abs();
                // A step is a sixteenth of its segment at most; mu-law's segments are shifted by its bias.
                let half_step = (i32::from(sample).abs() + MU_BIAS) / 32 + 4;
                assert!(error <= half_step, "{law:?}: {sample} comes back {error} off");
            }
        }
    }
}
