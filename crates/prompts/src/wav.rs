//! 16-bit PCM in RIFF WAVE.

use crate::sound::SoundError;

/// Rates that are read, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
const PCM: u16 = 1;
/// The format that names its kind in a longer header; PCM begins there as here.
const EXTENSIBLE: u16 = 0xFFFE;

/// What a file holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wav {
    pub(crate) rate: u32,
    /// In mono.
    pub(crate) samples: Vec<i16>,
}

/// Reads a file. A data chunk that claims more than is there, as a writer that was interrupted leaves it, ends with the
/// file.
pub(crate) fn read(bytes: &[u8]) -> Result<Wav, SoundError> {
    let mut rest = bytes.get(12..).filter(|_| bytes[8..12] == *b"WAVE").ok_or(SoundError::Malformed)?;
    let mut format = None;
    while let Some((head, body)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let here = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " => format = Some(Format::read(here)?),
            b"data" => {
                let format: Format = format.ok_or(SoundError::Malformed)?;
                return Ok(Wav { rate: format.rate, samples: format.to_mono(here) });
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        rest = body.get(length.saturating_add(length % 2)..).unwrap_or_default();
    }
    Err(SoundError::Malformed)
}

struct Format {
    channels: u16,
    rate: u32,
}

impl Format {
    fn read(chunk: &[u8]) -> Result<Self, SoundError> {
        let fields: &[u8; 16] = chunk.first_chunk().ok_or(SoundError::Malformed)?;
        let short = |at: usize| u16::from_le_bytes([fields[at], fields[at + 1]]);
        let (kind, channels, bits) = (short(0), short(2), short(14));
        let rate = u32::from_le_bytes([fields[4], fields[5], fields[6], fields[7]]);
        let readable =
            [PCM, EXTENSIBLE].contains(&kind) && (1..=2).contains(&channels) && bits == 16 && RATES.contains(&rate);
        if readable { Ok(Self { channels, rate }) } else { Err(SoundError::Unsupported) }
    }

    fn to_mono(&self, data: &[u8]) -> Vec<i16> {
        let channels = usize::from(self.channels);
        let sample = |bytes: &[u8]| i32::from(i16::from_le_bytes([bytes[0], bytes[1]]));
        let mix = |bytes: &[u8]| (bytes.chunks_exact(2).map(sample).sum::<i32>() / i32::from(self.channels)) as i16;
        data.chunks_exact(2 * channels).map(mix).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(channels: u16, rate: u32, bits: u16, samples: &[i16]) -> Vec<u8> {
        let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        let mut bytes = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0".to_vec();
        bytes.extend(channels.to_le_bytes());
        bytes.extend(rate.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(bits.to_le_bytes());
        bytes.extend(b"data");
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(data);
        bytes
    }

    #[test]
    fn channels_are_mixed_down() {
        assert_eq!(read(&file(1, 8_000, 16, &[1, -2, 3])), Ok(Wav { rate: 8_000, samples: vec![1, -2, 3] }));
        assert_eq!(
            read(&file(2, 44_100, 16, &[100, 300, i16::MAX, i16::MAX])),
            Ok(Wav { rate: 44_100, samples: vec![200, i16::MAX] })
        );
    }

    #[test]
    fn other_kinds_are_refused() {
        for (channels, rate, bits) in [(0, 8_000, 16), (6, 8_000, 16), (1, 0, 16), (1, 96_000, 16), (1, 8_000, 8)] {
            assert_eq!(read(&file(channels, rate, bits, &[0])), Err(SoundError::Unsupported));
        }
    }

    #[test]
    fn a_file_that_ends_early_is_read_as_far_as_it_goes() {
        let good = file(1, 8_000, 16, &[1, 2, 3]);
        assert_eq!(read(&good[..good.len() - 2]).map(|wav| wav.samples), Ok(vec![1, 2]));
        for length in 0..good.len() - 6 {
            assert!(read(&good[..length]).is_err(), "{length}");
        }
    }
}
