//! A sound file of the operator's.

use mixer::CodecFactory;

use crate::{ogg_opus, rate, wav};

/// The longest sound, in seconds: ten minutes, 58 MB of samples.
pub const SECONDS_MAX: usize = 600;

/// Why a sound file cannot be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SoundError {
    /// The file lies about itself or ends too early.
    #[error("the file is damaged")]
    Malformed,
    /// It is of a kind that is not read.
    #[error("write 16-bit PCM in WAVE, or Opus in Ogg, with one or two channels")]
    Unsupported,
    /// It is longer than [`SECONDS_MAX`].
    #[error("the sound is longer than ten minutes")]
    TooLong,
}

/// Reads a sound file into mono samples at the mixer's rate: 16-bit PCM in RIFF WAVE of 8 to 48 kHz, or Opus in Ogg, of
/// one or two channels. The kind is told from its first bytes.
///
/// # Errors
/// [`SoundError`] when it cannot be played.
pub fn read_sound(bytes: &[u8], codecs: &dyn CodecFactory) -> Result<Vec<i16>, SoundError> {
    if bytes.starts_with(b"RIFF") {
        let sound = wav::read(bytes)?;
        if sound.samples.len() > SECONDS_MAX * sound.rate as usize {
            return Err(SoundError::TooLong);
        }
        return Ok(rate::to_mixer_rate(sound.samples, sound.rate));
    }
    if !bytes.starts_with(b"OggS") {
        return Err(SoundError::Unsupported);
    }
    let mut samples = Vec::new();
    for stream in ogg_opus::read(bytes)? {
        samples.append(&mut stream.decode(codecs)?);
        if samples.len() > SECONDS_MAX * mixer::SAMPLE_RATE as usize {
            return Err(SoundError::TooLong);
        }
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use codecs::Codecs;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_kind_is_told_from_the_first_bytes() {
        assert_eq!(read_sound(b"ID3 an MP3 file", &Codecs), Err(SoundError::Unsupported));
        assert_eq!(read_sound(b"", &Codecs), Err(SoundError::Unsupported));
        let shipped = crate::language::SHIPPED[0].1;
        let samples = read_sound(shipped, &Codecs).expect("a chain is played as one");
        assert!(samples.len() > 60 * 48_000);
        assert_eq!(read_sound(&shipped[..shipped.len() / 2], &Codecs).map(|_| ()), Err(SoundError::Malformed));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            for kind in [&b"RIFF"[..], b"OggS"] {
                let _ = read_sound(&[kind, &bytes].concat(), &Codecs);
            }
        }
    }
}
