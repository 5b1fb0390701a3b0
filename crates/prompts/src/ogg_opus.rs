//! Opus in Ogg (RFC 7845): files read into packets, and the two headers that a file begins with.

use std::io::Cursor;

use mcu_api::Codec;
use mixer::{CodecFactory, PACKET_SAMPLES_MAX, SAMPLE_RATE};
use ogg::PacketReader;

use crate::sound::{SECONDS_MAX, SoundError};

/// The identification header (RFC 7845 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusHead {
    /// Channels, 1 or 2: channel mapping family 0.
    pub channels: u8,
    /// 48 kHz samples the player leaves out at the beginning.
    pub pre_skip: u16,
}

impl OpusHead {
    /// The header as the first packet of a stream, of 48 kHz input.
    pub fn write(self) -> Vec<u8> {
        let mut packet = b"OpusHead\x01".to_vec();
        packet.push(self.channels);
        packet.extend_from_slice(&self.pre_skip.to_le_bytes());
        packet.extend_from_slice(&SAMPLE_RATE.to_le_bytes());
        // No gain, mapping family 0.
        packet.extend_from_slice(&[0, 0, 0]);
        packet
    }

    fn read(packet: &[u8]) -> Option<Self> {
        let body = packet.strip_prefix(b"OpusHead")?;
        let (&[version, channels, skip_low, skip_high], rest) = body.split_first_chunk()?;
        let family = *rest.get(6)?;
        (version < 16 && (1..=2).contains(&channels) && family == 0)
            .then_some(Self { channels, pre_skip: u16::from_le_bytes([skip_low, skip_high]) })
    }
}

/// The comment header (RFC 7845 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpusTags {
    /// The comment `TITLE`, empty without one.
    pub title: String,
}

impl OpusTags {
    /// The header as the second packet of a stream.
    pub fn write(&self) -> Vec<u8> {
        const VENDOR: &[u8] = b"Convoke";
        let comment = [b"TITLE=", self.title.as_bytes()].concat();
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes();
        [b"OpusTags", &length(VENDOR)[..], VENDOR, &1u32.to_le_bytes()[..], &length(&comment)[..], &comment].concat()
    }

    /// The title is all that is looked for; comments that lie about their length have none.
    fn read(packet: &[u8]) -> Option<Self> {
        let mut rest = packet.strip_prefix(b"OpusTags")?;
        let mut next = |counted: bool| -> Option<&[u8]> {
            let (length, after) = rest.split_first_chunk()?;
            let length = u32::from_le_bytes(*length) as usize;
            if !counted {
                rest = after;
                return Some(&[]);
            }
            let (text, after) = after.split_at_checked(length)?;
            rest = after;
            Some(text)
        };
        let mut title = String::new();
        next(true)?;
        next(false)?;
        while let Some(comment) = next(true) {
            if let Some((key, value)) = std::str::from_utf8(comment).ok().and_then(|text| text.split_once('='))
                && key.eq_ignore_ascii_case("TITLE")
            {
                title = value.to_owned();
            }
        }
        Some(Self { title })
    }
}

/// One logical stream of a file.
pub(crate) struct OpusStream {
    pub(crate) title: String,
    pre_skip: usize,
    /// 48 kHz samples of the whole stream with what is skipped: the granule position of its last page.
    end: usize,
    packets: Vec<Vec<u8>>,
}

/// Reads a file: one stream, or a chain of them (RFC 7845 3).
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<OpusStream>, SoundError> {
    let mut reader = PacketReader::new(Cursor::new(bytes));
    let mut streams: Vec<OpusStream> = Vec::new();
    while let Some(packet) = reader.read_packet().map_err(|_| SoundError::Malformed)? {
        if packet.first_in_stream() {
            let head = OpusHead::read(&packet.data).ok_or(SoundError::Unsupported)?;
            streams.push(OpusStream {
                title: String::new(),
                pre_skip: usize::from(head.pre_skip),
                end: usize::MAX,
                packets: Vec::new(),
            });
            continue;
        }
        let stream = streams.last_mut().ok_or(SoundError::Malformed)?;
        match OpusTags::read(&packet.data).filter(|_| stream.packets.is_empty()) {
            Some(tags) => stream.title = tags.title,
            None => {
                if packet.last_in_stream() {
                    stream.end = usize::try_from(packet.absgp_page()).unwrap_or(usize::MAX);
                }
                stream.packets.push(packet.data);
            }
        }
    }
    Ok(streams)
}

impl OpusStream {
    /// Decodes it to 48 kHz mono.
    pub(crate) fn decode(&self, codecs: &dyn CodecFactory) -> Result<Vec<i16>, SoundError> {
        let mut decoder = codecs.decoder(Codec::Opus).map_err(|_| SoundError::Unsupported)?;
        let mut samples = Vec::new();
        let mut decoded = [0; PACKET_SAMPLES_MAX];
        for packet in &self.packets {
            let length = decoder.decode(Some(packet), false, &mut decoded).map_err(|_| SoundError::Malformed)?;
            samples.extend_from_slice(&decoded[..length]);
            if samples.len() > SECONDS_MAX * SAMPLE_RATE as usize {
                return Err(SoundError::TooLong);
            }
        }
        samples.truncate(self.end);
        samples.drain(..self.pre_skip.min(samples.len()));
        Ok(samples)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let head = OpusHead { channels: 1, pre_skip: 312 };
        assert_eq!(OpusHead::read(&head.write()), Some(head));
        let tags = OpusTags { title: "goodbye".to_owned() };
        assert_eq!(OpusTags::read(&tags.write()), Some(tags));
    }

    #[test]
    fn headers_that_lie_are_refused() {
        let good = OpusHead { channels: 1, pre_skip: 0 }.write();
        for length in 0..good.len() {
            assert_eq!(OpusHead::read(&good[..length]), None, "{length} bytes");
        }
        let mut lying = OpusTags { title: "x".to_owned() }.write();
        lying[8] = 0xFF;
        assert_eq!(OpusTags::read(&lying), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
            let _ = OpusTags::read(&[b"OpusTags", &bytes[..]].concat());
        }
    }
}
