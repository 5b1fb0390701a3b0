//! RTP and RTCP as bytes: what a caller writes, and what he reads of what comes (RFC 3550, RFC 8285, RFC 6464).

/// Bytes of an RTP header without extensions.
const HEADER: usize = 12;

/// What a packet's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Payload type, 7 bits.
    pub payload_type: u8,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp in units of the codec's clock.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Where the payload begins.
    pub payload: usize,
    /// Where it ends, padding excluded.
    pub end: usize,
}

/// Whether a datagram on a shared port is RTCP (RFC 5761 4).
pub fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

/// Reads an RTP header; `None` for anything else.
pub fn parse(bytes: &[u8]) -> Option<Header> {
    if bytes.len() < HEADER || bytes[0] >> 6 != 2 || is_rtcp(bytes) {
        return None;
    }
    let mut payload = HEADER + 4 * usize::from(bytes[0] & 0x0f);
    if bytes[0] & 0x10 != 0 {
        let words = u16::from_be_bytes([*bytes.get(payload + 2)?, *bytes.get(payload + 3)?]);
        payload += 4 + 4 * usize::from(words);
    }
    let padding = if bytes[0] & 0x20 != 0 { usize::from(*bytes.last()?) } else { 0 };
    let end = bytes.len().checked_sub(padding)?;
    (payload <= end).then(|| Header {
        payload_type: bytes[1] & 0x7f,
        sequence: u16::from_be_bytes([bytes[2], bytes[3]]),
        timestamp: u32_at(bytes, 4),
        ssrc: u32_at(bytes, 8),
        payload,
        end,
    })
}

/// What goes into a header.
#[derive(Clone, Copy, Debug)]
pub struct Writing {
    /// Payload type.
    pub payload_type: u8,
    /// Marker bit: the first packet after a pause.
    pub marker: bool,
    /// Sequence number.
    pub sequence: u16,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// The number agreed for RFC 6464, and the level: bit 7 is voice, the rest the level in -dBov.
    pub level: Option<(u8, u8)>,
}

/// Writes a packet over what `out` held.
pub fn write(writing: Writing, payload: &[u8], out: &mut Vec<u8>) {
    out.clear();
    let extension = if writing.level.is_some() { 0x10 } else { 0 };
    let marker = if writing.marker { 0x80 } else { 0 };
    out.extend([0x80 | extension, marker | writing.payload_type]);
    out.extend(writing.sequence.to_be_bytes());
    out.extend(writing.timestamp.to_be_bytes());
    out.extend(writing.ssrc.to_be_bytes());
    if let Some((id, level)) = writing.level {
        // RFC 8285 4.2: the one-byte form, one element of one byte, padded to a word.
        out.extend([0xbe, 0xde, 0, 1, id << 4, level, 0, 0]);
    }
    out.extend(payload);
}

/// What a caller tells about what he received and sent (RFC 3550 6.4.1): a sender report with one block, and the CNAME.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report {
    /// Our source.
    pub ssrc: u32,
    /// NTP time now, 32.32 bits.
    pub ntp: u64,
    /// RTP timestamp now.
    pub timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub bytes: u32,
    /// The source heard.
    pub about: u32,
    /// Share lost since the last report, in 256ths.
    pub fraction_lost: u8,
    /// Packets lost in all.
    pub lost: u32,
    /// Highest sequence number received, extended.
    pub highest: u32,
    /// Jitter in units of the codec's clock.
    pub jitter: u32,
}

/// Writes the report over what `out` held.
pub fn write_report(report: &Report, out: &mut Vec<u8>) {
    out.clear();
    out.extend([0x81, 200, 0, 12]);
    for word in
        [report.ssrc, (report.ntp >> 32) as u32, report.ntp as u32, report.timestamp, report.packets, report.bytes]
    {
        out.extend(word.to_be_bytes());
    }
    out.extend(report.about.to_be_bytes());
    out.extend((u32::from(report.fraction_lost) << 24 | report.lost.min(0x7f_ffff)).to_be_bytes());
    for word in [report.highest, report.jitter, 0, 0] {
        out.extend(word.to_be_bytes());
    }
    // SDES with a CNAME of six characters: source, item, its length, and the end of the list.
    out.extend([0x81, 202, 0, 4]);
    out.extend(report.ssrc.to_be_bytes());
    out.extend([1, 6]);
    out.extend(b"caller");
    out.extend([0, 0, 0, 0]);
}

/// The share of our packets the server says it lost, 0 to 1, from the first report block of a compound packet.
pub fn reported_loss(bytes: &[u8]) -> Option<f64> {
    let block = match (bytes.get(1)?, bytes[0] & 0x1f) {
        (200, 1..) => 28,
        (201, 1..) => 8,
        _ => return None,
    };
    Some(f64::from(*bytes.get(block + 4)?) / 256.0)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        for level in [None, Some((3, 0x80 | 20))] {
            let writing = Writing { payload_type: 111, marker: true, sequence: 65_535, timestamp: 7, ssrc: 9, level };
            write(writing, &[1, 2, 3], &mut bytes);
            let header = parse(&bytes).expect("valid");
            assert_eq!((header.payload_type, header.sequence, header.timestamp, header.ssrc), (111, 65_535, 7, 9));
            assert_eq!(bytes[header.payload..header.end], [1, 2, 3]);
            assert_eq!(header.payload, if level.is_some() { 20 } else { 12 });
        }
    }

    #[test]
    fn reports_are_told_from_audio_and_hold_whole_words() {
        let mut bytes = Vec::new();
        write_report(&Report { fraction_lost: 64, ..Report::default() }, &mut bytes);
        assert!(is_rtcp(&bytes) && parse(&bytes).is_none());
        // Both packets of the compound one are as long as they say.
        let first = 4 * (1 + usize::from(bytes[3]));
        assert_eq!(bytes.len(), first + 4 * (1 + usize::from(bytes[first + 3])));
        assert_eq!(reported_loss(&bytes), Some(0.25));
    }

    #[test]
    fn broken_headers_are_refused() {
        let mut whole = Vec::new();
        let level = Some((3, 1));
        write(Writing { payload_type: 0, marker: false, sequence: 1, timestamp: 2, ssrc: 3, level }, &[], &mut whole);
        assert!((0..whole.len()).all(|length| parse(&whole[..length]).is_none()));
        let padded = [&[0xa0, 0][..], &[0; 10], &[255]].concat();
        assert!(parse(&padded).is_none());
    }
}
