//! WAV files of 16-bit PCM.

use std::io;
use std::path::Path;

/// Mono sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples for each second.
    pub rate: u32,
    /// The samples.
    pub samples: Vec<i16>,
}

impl Sound {
    /// Length in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// The part from `start` seconds on, for at most `length` seconds.
    #[must_use]
    pub fn part(&self, start: f64, length: f64) -> Self {
        let at = |seconds: f64| ((seconds * f64::from(self.rate)) as usize).min(self.samples.len());
        Self { rate: self.rate, samples: self.samples[at(start)..at(start + length)].to_vec() }
    }
}

/// Writes a WAV file.
pub fn write(path: &Path, sound: &Sound) -> io::Result<()> {
    let length = u32::try_from(sound.samples.len() * 2).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(44 + sound.samples.len() * 2);
    bytes.extend_from_slice(b"RIFF");
    bytes.extend_from_slice(&(36 + length).to_le_bytes());
    bytes.extend_from_slice(b"WAVEfmt ");
    bytes.extend_from_slice(&16_u32.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&1_u16.to_le_bytes());
    bytes.extend_from_slice(&sound.rate.to_le_bytes());
    bytes.extend_from_slice(&(sound.rate * 2).to_le_bytes());
    bytes.extend_from_slice(&2_u16.to_le_bytes());
    bytes.extend_from_slice(&16_u16.to_le_bytes());
    bytes.extend_from_slice(b"data");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend(sound.samples.iter().flat_map(|sample| sample.to_le_bytes()));
    std::fs::write(path, bytes)
}

/// Reads a WAV file; several channels are averaged.
pub fn read(path: &Path) -> io::Result<Sound> {
    let bytes = std::fs::read(path)?;
    parse(&bytes).ok_or_else(|| io::Error::other(format!("{} is not a WAV file of 16-bit PCM", path.display())))
}

/// Reads a WAV file's bytes. A data length that was never patched (a recorder was killed) means "to the end".
pub fn parse(bytes: &[u8]) -> Option<Sound> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let number = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let mut format = None;
    let mut at = 12;
    loop {
        let length = number(at + 4)? as usize;
        let body = at + 8;
        match bytes.get(at..at + 4)? {
            b"fmt " => {
                format = Some((u16::from_le_bytes(bytes.get(body + 2..body + 4)?.try_into().ok()?), number(body + 4)?))
            }
            b"data" => {
                let (channels, rate) = format.filter(|(channels, rate)| *channels > 0 && *rate > 0)?;
                let end = body.saturating_add(length);
                let data = if length == 0 || end > bytes.len() { &bytes[body..] } else { &bytes[body..end] };
                return Some(Sound { rate, samples: mono(data, usize::from(channels)) });
            }
            _ => {}
        }
        at = body.checked_add(length)?.checked_add(length & 1)?;
    }
}

fn mono(data: &[u8], channels: usize) -> Vec<i16> {
    let sample = |pair: &[u8]| i32::from(i16::from_le_bytes([pair[0], pair[1]]));
    data.chunks_exact(2 * channels)
        .map(|frame| (frame.chunks_exact(2).map(sample).sum::<i32>() / channels as i32) as i16)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().expect("temporary directory");
        let path = folder.path().join("a.wav");
        let sound = Sound { rate: 8_000, samples: vec![0, 1, -1, i16::MAX, i16::MIN] };
        write(&path, &sound).expect("written");
        assert_eq!(read(&path).expect("read"), sound);
        let mut unpatched = std::fs::read(&path).expect("read");
        unpatched[40..44].fill(0);
        assert_eq!(parse(&unpatched), Some(sound));
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = parse(&[b"RIFF....WAVE".as_slice(), &bytes].concat());
        }
    }
}
