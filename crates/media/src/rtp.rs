//! RTP packets (RFC 3550 5.1): the one checked header reader, and the writer.

use std::ops::Range;

use crate::AudioLevel;

/// Length of the header without contributing sources and extensions.
pub(crate) const HEADER_LENGTH: usize = 12;

/// Profile of one-byte header extension elements (RFC 8285 4.2).
const ONE_BYTE_EXTENSIONS: u16 = 0xBEDE;

/// What the header of a packet says, after every length in it was checked against the packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Where the one-byte extension elements stand; empty without such.
    elements: Range<usize>,
    /// Where the payload begins.
    payload_start: usize,
    padded: bool,
}

impl Header {
    /// Reads the header; `None` when it is not RTP or lies about a length. Padding is not looked at: in an SRTP packet
    /// it is encrypted.
    pub(crate) fn read(packet: &[u8]) -> Option<Self> {
        let fixed: &[u8; HEADER_LENGTH] = packet.first_chunk()?;
        if fixed[0] >> 6 != 2 {
            return None;
        }
        let mut offset = HEADER_LENGTH + usize::from(fixed[0] & 0x0F) * 4;
        let mut elements = 0..0;
        if fixed[0] & 0x10 != 0 {
            let head = packet.get(offset..offset + 4)?;
            let length = usize::from(u16::from_be_bytes([head[2], head[3]])) * 4;
            let body = offset + 4..offset + 4 + length;
            if u16::from_be_bytes([head[0], head[1]]) == ONE_BYTE_EXTENSIONS {
                check_elements(packet.get(body.clone())?)?;
                elements = body.clone();
            }
            offset = body.end;
        }
        if offset > packet.len() {
            return None;
        }
        Some(Self {
            marker: fixed[1] & 0x80 != 0,
            payload_type: fixed[1] & 0x7F,
            sequence: u16::from_be_bytes([fixed[2], fixed[3]]),
            timestamp: u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]),
            ssrc: u32::from_be_bytes([fixed[8], fixed[9], fixed[10], fixed[11]]),
            elements,
            payload_start: offset,
            padded: fixed[0] & 0x20 != 0,
        })
    }

    /// Where the payload begins.
    pub(crate) fn payload_start(&self) -> usize {
        self.payload_start
    }

    /// The payload of a packet in the clear; `None` when its padding lies.
    pub(crate) fn payload<'a>(&self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let payload = packet.get(self.payload_start..)?;
        if !self.padded {
            return Some(payload);
        }
        let padding = usize::from(*payload.last()?);
        if padding == 0 { None } else { payload.get(..payload.len().checked_sub(padding)?) }
    }

    /// The audio level that stands under extension `id` (RFC 6464).
    pub(crate) fn audio_level(&self, packet: &[u8], id: u8) -> Option<AudioLevel> {
        let mut rest = packet.get(self.elements.clone())?;
        while let Some((&head, after)) = rest.split_first() {
            if head == 0 {
                rest = after;
                continue;
            }
            let length = usize::from(head & 0x0F) + 1;
            if head >> 4 == id {
                let byte = *after.first()?;
                return Some(AudioLevel { minus_dbov: byte & 0x7F, voice: byte & 0x80 != 0 });
            }
            rest = after.get(length..)?;
        }
        None
    }
}

/// Checks that extension elements stay inside their block. Id 15 is reserved and nobody sends it; it is refused so that
/// no two readers can disagree about where the elements end.
fn check_elements(mut rest: &[u8]) -> Option<()> {
    while let Some((&head, after)) = rest.split_first() {
        rest = match head {
            0 => after,
            0xF0.. => return None,
            _ => after.get(usize::from(head & 0x0F) + 1..)?,
        };
    }
    Some(())
}

/// What the header of a packet of ours says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
    /// Extension id and level (RFC 6464 3).
    pub(crate) level: Option<(u8, AudioLevel)>,
}

impl Outgoing {
    /// Writes header and payload into `out`, replacing what was there.
    pub(crate) fn write(&self, payload: &[u8], out: &mut Vec<u8>) {
        out.clear();
        out.push(0x80 | if self.level.is_some() { 0x10 } else { 0 });
        out.push(self.payload_type & 0x7F | if self.marker { 0x80 } else { 0 });
        out.extend_from_slice(&self.sequence.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some((id, level)) = self.level {
            let byte = level.minus_dbov.min(127) | if level.voice { 0x80 } else { 0 };
            out.extend_from_slice(&ONE_BYTE_EXTENSIONS.to_be_bytes());
            out.extend_from_slice(&[0, 1, id << 4, byte, 0, 0]);
        }
        out.extend_from_slice(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(first: u8, tail: &[u8]) -> Vec<u8> {
        let mut packet = vec![first, 0, 0, 7, 0, 0, 0, 160, 0, 0, 0, 9];
        packet.extend_from_slice(tail);
        packet
    }

    #[test]
    fn what_is_written_is_read_back() {
        let level = AudioLevel { minus_dbov: 33, voice: true };
        let outgoing = Outgoing {
            marker: true,
            payload_type: 111,
            sequence: 65_535,
            timestamp: 0xFFFF_FFF0,
            ssrc: 0x1234_5678,
            level: Some((5, level)),
        };
        let mut bytes = Vec::new();
        outgoing.write(b"sound", &mut bytes);
        let header = Header::read(&bytes).expect("valid");
        assert_eq!((header.marker, header.payload_type, header.sequence), (true, 111, 65_535));
        assert_eq!((header.timestamp, header.ssrc), (0xFFFF_FFF0, 0x1234_5678));
        assert_eq!(header.payload(&bytes), Some(&b"sound"[..]));
        assert_eq!(header.audio_level(&bytes, 5), Some(level));
        assert_eq!(header.audio_level(&bytes, 6), None);
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let cases: [(&str, Vec<u8>); 9] = [
            ("empty", Vec::new()),
            ("eleven bytes", packet(0x80, &[])[..11].to_vec()),
            ("version 1", packet(0x40, &[1, 2])),
            ("15 contributing sources in 8 bytes", packet(0x8F, &[0; 8])),
            ("extension without a head", packet(0x90, &[0xBE, 0xDE])),
            ("giant extension", packet(0x90, &[0xBE, 0xDE, 0xFF, 0xFF, 1, 2, 3, 4])),
            ("element beyond its block", packet(0x90, &[0xBE, 0xDE, 0, 1, 0x1F, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9])),
            ("reserved element", packet(0x90, &[0xBE, 0xDE, 0, 1, 0xF0, 0, 0, 0])),
            ("giant foreign extension", packet(0x90, &[0x10, 0, 0, 9, 1, 2, 3, 4])),
        ];
        for (name, bytes) in cases {
            assert_eq!(Header::read(&bytes), None, "{name}");
        }
    }

    #[test]
    fn padding_that_lies_is_refused() {
        let cases: [(&[u8], Option<&[u8]>); 5] = [
            (&[7, 7, 0, 2], Some(&[7, 7])),
            (&[0, 0, 0, 4], Some(&[])),
            (&[7, 7, 0, 5], None),
            (&[7, 7, 7, 0], None),
            (&[], None),
        ];
        for (tail, expected) in cases {
            let bytes = packet(0xA0, tail);
            assert_eq!(Header::read(&bytes).expect("the header is fine").payload(&bytes), expected, "{tail:?}");
        }
    }
}
