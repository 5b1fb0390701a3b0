//! What an Opus packet tells without being decoded (RFC 6716 3).

/// Opus' RTP clock, in Hz (RFC 7587 4.1).
const CLOCK: u32 = 48_000;

/// The longest packet: 120 ms.
const SAMPLES_MAX: u32 = CLOCK / 1000 * 120;

/// Length of a packet in 48 kHz samples; `None` when it is empty or claims more than 120 ms.
pub(crate) fn samples(packet: &[u8]) -> Option<u32> {
    let toc = *packet.first()?;
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u32::from(*packet.get(1)? & 0x3F),
    };
    let samples = frames * frame_samples(toc);
    (frames > 0 && samples <= SAMPLES_MAX).then_some(samples)
}

/// Length of one frame, from the configuration in the first byte (RFC 6716 table 2).
fn frame_samples(toc: u8) -> u32 {
    let config = toc >> 3;
    match config {
        0..=11 => [480, 960, 1920, 2880][usize::from(config & 3)],
        12..=15 => [480, 960][usize::from(config & 1)],
        _ => [120, 240, 480, 960][usize::from(config & 3)],
    }
}

/// Whether the sender stopped transmission with this packet: at most one byte follows the first (RFC 6716 2.1.9).
pub(crate) fn is_dtx(packet: &[u8]) -> bool {
    packet.len() <= 2
}

/// Whether the packet certainly holds no speech: DTX, or SILK's voice activity flags are all off. These flags are the
/// first bits of a SILK or hybrid frame (RFC 6716 4.2.3). `false` when it cannot be told.
pub(crate) fn is_quiet(packet: &[u8]) -> bool {
    if is_dtx(packet) {
        return true;
    }
    let (toc, first) = (packet[0], packet[1]);
    let has_silk = toc >> 3 < 16;
    let single = toc & 3 == 0;
    let flags = (frame_samples(toc) / 960).clamp(1, 3);
    has_silk && single && first >> (8 - flags) == 0
}

/// Whether the packet holds a copy of what the one before it said (in-band FEC): the flag after SILK's voice activity
/// flags (RFC 6716 4.2.4). `false` when it cannot be told.
pub(crate) fn has_fec(packet: &[u8]) -> bool {
    if is_dtx(packet) {
        return false;
    }
    let (toc, first) = (packet[0], packet[1]);
    let flags = (frame_samples(toc) / 960).clamp(1, 3);
    toc >> 3 < 16 && toc & 3 == 0 && first & (0x80 >> flags) != 0
}

/// Joins packets of one frame each and of one configuration into one packet of several frames (RFC 6716 3.2.5, with
/// variable frame lengths). Answers `false`, with `out` empty, when they do not fit together.
pub(crate) fn join<'a>(packets: impl Iterator<Item = &'a [u8]> + Clone, out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut toc = None;
    let mut count = 0_u8;
    for packet in packets.clone() {
        let single = packet.first().is_some_and(|first| first & 3 == 0 && *toc.get_or_insert(*first) == *first);
        if !single || packet.len() > 1276 || count == 48 {
            return false;
        }
        count += 1;
    }
    let Some(toc) = toc else { return false };
    out.extend_from_slice(&[toc | 3, 0x80 | count]);
    for packet in packets.clone().take(usize::from(count) - 1) {
        push_length(packet.len() - 1, out);
    }
    packets.for_each(|packet| out.extend_from_slice(&packet[1..]));
    true
}

/// A frame length in one or two bytes (RFC 6716 3.2.1); at most 1275.
fn push_length(length: usize, out: &mut Vec<u8>) {
    if length < 252 {
        out.push(length as u8);
    } else {
        let first = 252 + (length & 3);
        out.extend_from_slice(&[first as u8, ((length - first) / 4) as u8]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_follow_the_configuration() {
        let cases: [(&[u8], Option<u32>); 8] = [
            (&[], None),
            (&[0b0000_1000, 1], Some(960)),  // SILK 20 ms
            (&[0b0001_1000, 1], Some(2880)), // SILK 60 ms
            (&[0b0110_1000, 1], Some(960)),  // hybrid 20 ms
            (&[0b1111_1000, 1], Some(960)),  // CELT 20 ms
            (&[0b1111_1001, 1], Some(1920)), // two of them
            (&[0b1111_1011, 6], Some(5760)), // six: 120 ms
            (&[0b1111_1011, 0x07], None),    // seven
        ];
        for (packet, expected) in cases {
            assert_eq!(samples(packet), expected, "{packet:?}");
        }
    }

    #[test]
    fn two_packets_of_10_ms_become_one_of_20_ms() {
        let one = [0b1111_0000, 1, 2, 3];
        let other = vec![0b1111_0000; 300];
        let mut joined = Vec::new();
        assert!(join([&one[..], &other[..]].into_iter(), &mut joined));
        assert_eq!(samples(&joined), Some(960));
        assert_eq!(joined[..6], [0b1111_0011, 0x82, 3, 1, 2, 3]);
        assert!(join([&other[..], &one[..]].into_iter(), &mut joined));
        assert_eq!(joined[2..4], [255, 11], "299 = 255 + 4 * 11");
        assert!(!join([&one[..], &[0b1110_1000, 1][..]].into_iter(), &mut joined), "different configurations");
    }

    #[test]
    fn error_correction_is_told_without_decoding() {
        assert!(has_fec(&[0b0000_1000, 0b0100_0000, 9]));
        assert!(!has_fec(&[0b0000_1000, 0b1011_1111, 9]));
        assert!(has_fec(&[0b0001_1000, 0b0001_0000, 9]), "after three flags of a 60 ms frame");
        assert!(!has_fec(&[0b1111_1000, 0xFF, 9]), "CELT has none");
        assert!(!has_fec(&[0b0000_1000]));
    }

    #[test]
    fn quiet_is_told_without_decoding() {
        assert!(is_quiet(&[0b0000_1000]));
        assert!(is_quiet(&[0b0000_1000, 0b0100_0000, 9]), "the voice activity flag is off");
        assert!(!is_quiet(&[0b0000_1000, 0b1000_0000, 9]));
        assert!(!is_quiet(&[0b0001_1000, 0b0010_0000, 9]), "third 20 ms of a 60 ms frame");
        assert!(!is_quiet(&[0b1111_1000, 0, 9]), "CELT does not tell");
    }
}
