//! G.711: the two logarithmic codes of telephony, one byte for each sample (ITU-T G.711).

/// Codes a linear sample as mu-law.
pub fn encode_ulaw(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    const CLIP: i32 = 32_635;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = i32::from(sample).abs().min(CLIP) + BIAS;
    let segment = (magnitude.ilog2() as i32 - 7).clamp(0, 7);
    let mantissa = (magnitude >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | mantissa) as u8
}

/// The linear sample of a mu-law code.
pub fn decode_ulaw(code: u8) -> i16 {
    let code = !code;
    let magnitude = ((i32::from(code & 0x0f) << 3) + 0x84) << (code >> 4 & 7);
    let value = magnitude - 0x84;
    (if code & 0x80 != 0 { -value } else { value }) as i16
}

/// Codes a linear sample as A-law.
pub fn encode_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = if sample >= 0 { (0x80, i32::from(sample)) } else { (0, -i32::from(sample) - 1) };
    let magnitude = magnitude >> 4;
    let code = if magnitude < 32 {
        // The first two segments have the same step.
        magnitude
    } else {
        let segment = magnitude.ilog2() as i32 - 3;
        (segment << 4) | ((magnitude >> (segment - 1)) & 0x0f)
    };
    ((code | sign) ^ 0x55) as u8
}

/// The linear sample of an A-law code.
pub fn decode_alaw(code: u8) -> i16 {
    let code = code ^ 0x55;
    let (segment, mantissa) = (i32::from(code >> 4 & 7), i32::from(code & 0x0f));
    let magnitude = match segment {
        0 => (mantissa << 4) + 8,
        _ => ((mantissa << 4) + 0x108) << (segment - 1),
    };
    (if code & 0x80 != 0 { magnitude } else { -magnitude }) as i16
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reference values of ITU-T G.191's table for a few codes.
    #[test]
    fn known_codes_have_known_values() {
        assert_eq!([decode_ulaw(0xff), decode_ulaw(0x80), decode_ulaw(0x00)], [0, 32_124, -32_124]);
        assert_eq!([decode_alaw(0xd5), decode_alaw(0xaa), decode_alaw(0x2a)], [8, 32_256, -32_256]);
    }

    #[test]
    fn every_code_survives_decoding_and_encoding() {
        for code in 0..=255_u8 {
            // Mu-law has two codes for zero.
            if code != 0x7f {
                assert_eq!(encode_ulaw(decode_ulaw(code)), code);
            }
            assert_eq!(encode_alaw(decode_alaw(code)), code);
        }
    }
}
