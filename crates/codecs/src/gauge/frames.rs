//! The frames of an Opus packet (RFC 6716 3).

/// Frames of one packet at most: 48 of 2.5 ms.
const FRAMES_MAX: usize = 48;

/// A packet whose lengths were checked.
pub(super) struct Packet<'a> {
    /// The first byte: configuration, channels, kind of packing.
    toc: u8,
    bytes: &'a [u8],
    lengths: [u16; FRAMES_MAX],
    count: usize,
}

/// What the frames of a CELT packet are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CeltShape {
    /// Length: 2.5 ms times two to the power of this.
    pub(super) log_length: usize,
    /// Bands that are coded.
    pub(super) bands: usize,
    pub(super) channels: usize,
}

impl<'a> Packet<'a> {
    /// Reads the head of a packet; `None` when it lies about a length.
    pub(super) fn read(packet: &'a [u8]) -> Option<Self> {
        let (&toc, rest) = packet.split_first()?;
        let mut read = Self { toc, bytes: rest, lengths: [0; FRAMES_MAX], count: 1 };
        match toc & 3 {
            0 => read.lengths[0] = rest.len() as u16,
            1 => {
                read.count = 2;
                read.divide(rest.len())?;
            }
            2 => {
                read.count = 2;
                read.lengths[0] = read.length()?;
                read.give_rest_to_last()?;
            }
            _ => read.read_many()?,
        }
        Some(read)
    }

    /// The frames; an empty one was left out by its encoder.
    pub(super) fn frames(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut rest = self.bytes;
        self.lengths[..self.count].iter().map_while(move |&length| {
            let (frame, after) = rest.split_at_checked(length.into())?;
            rest = after;
            Some(frame)
        })
    }

    /// The shape of the frames, if they are CELT alone (RFC 6716 table 2).
    pub(super) fn celt(&self) -> Option<CeltShape> {
        let config = usize::from(self.toc >> 3);
        let bands = [13, 17, 19, 21][config.checked_sub(16)? / 4];
        Some(CeltShape { log_length: config & 3, bands, channels: self.channels() })
    }

    /// Voice activity flags of each frame, if there is one channel; only for packets with SILK in them.
    pub(super) fn mono_voice_flags(&self) -> Option<u8> {
        (self.channels() == 1).then(|| self.voice_flags())
    }

    /// Voice activity flags of each channel of a frame.
    fn voice_flags(&self) -> u8 {
        match self.toc >> 3 {
            config @ 0..=11 => [1, 1, 2, 3][usize::from(config & 3)],
            _ => 1,
        }
    }

    /// Whether any voice activity flag is set; only for packets with SILK in them.
    pub(super) fn has_voice(&self) -> bool {
        let flags = self.voice_flags();
        // One flag for each 20 ms, then one for redundancy, and the same for the second channel.
        let of_channel = 0xFF_u8 << (8 - flags);
        let mask = if self.channels() == 2 { of_channel | of_channel >> (flags + 1) } else { of_channel };
        self.frames().any(|frame| frame.first().is_some_and(|first| first & mask != 0))
    }

    fn channels(&self) -> usize {
        if self.toc & 4 == 0 { 1 } else { 2 }
    }

    /// Any number of frames (RFC 6716 3.2.5).
    fn read_many(&mut self) -> Option<()> {
        let (&head, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        self.count = usize::from(head & 0x3F);
        if !(1..=FRAMES_MAX).contains(&self.count) {
            return None;
        }
        if head & 0x40 != 0 {
            let padding = self.padding()?;
            self.bytes = self.bytes.get(..self.bytes.len().checked_sub(padding)?)?;
        }
        if head & 0x80 == 0 {
            return self.divide(self.bytes.len());
        }
        for at in 0..self.count - 1 {
            self.lengths[at] = self.length()?;
        }
        self.give_rest_to_last()
    }

    fn padding(&mut self) -> Option<usize> {
        let mut padding = 0;
        loop {
            let (&byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            if byte < 255 {
                return Some(padding + usize::from(byte));
            }
            padding += 254;
        }
    }

    /// A length in one or two bytes (RFC 6716 3.2.1).
    fn length(&mut self) -> Option<u16> {
        let (&first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        if first < 252 {
            return Some(first.into());
        }
        let (&second, rest) = rest.split_first()?;
        self.bytes = rest;
        Some(u16::from(second) * 4 + u16::from(first))
    }

    fn divide(&mut self, length: usize) -> Option<()> {
        let each = length / self.count;
        self.lengths[..self.count].fill(each as u16);
        (each * self.count == length).then_some(())
    }

    fn give_rest_to_last(&mut self) -> Option<()> {
        let before: usize = self.lengths[..self.count - 1].iter().map(|&length| usize::from(length)).sum();
        self.lengths[self.count - 1] = self.bytes.len().checked_sub(before)? as u16;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, packet, lengths of its frames.
    type Case = (&'static str, &'static [u8], Option<&'static [usize]>);

    fn lengths(packet: &[u8]) -> Option<Vec<usize>> {
        Packet::read(packet).map(|packet| packet.frames().map(<[u8]>::len).collect())
    }

    #[test]
    fn frames_are_found_in_every_packing() {
        let cases: [Case; 10] = [
            ("one", &[0xF8, 1, 2, 3], Some(&[3])),
            ("two equal", &[0xF9, 1, 2, 3, 4], Some(&[2, 2])),
            ("two equal of an odd length", &[0xF9, 1, 2, 3], None),
            ("two", &[0xFA, 1, 9, 8, 7], Some(&[1, 2])),
            ("two, the first too long", &[0xFA, 4, 9, 8, 7], None),
            ("three equal", &[0xFB, 3, 1, 2, 3], Some(&[1, 1, 1])),
            ("three with padding", &[0xFB, 0x43, 2, 1, 2, 3, 0, 0], Some(&[1, 1, 1])),
            ("two of their own length", &[0xFB, 0x82, 1, 5, 6, 7], Some(&[1, 2])),
            ("none", &[0xFB, 0], None),
            ("empty", &[], None),
        ];
        for (name, packet, wanted) in cases {
            assert_eq!(lengths(packet).as_deref(), wanted, "{name}");
        }
    }

    #[test]
    fn voice_activity_flags_are_the_first_bits() {
        let cases: [(&[u8], bool); 6] = [
            (&[0b0000_1000, 0b0100_0000, 9], false),
            (&[0b0000_1000, 0b1000_0000, 9], true),
            (&[0b0001_1000, 0b0010_0000, 9], true),
            (&[0b0001_1000, 0b0001_0000, 9], false),
            (&[0b0000_1100, 0b0010_0000, 9], true),
            (&[0b0000_1000, 0b0010_0000, 9], false),
        ];
        for (packet, voice) in cases {
            assert_eq!(Packet::read(packet).expect("valid").has_voice(), voice, "{packet:02x?}");
        }
    }
}
