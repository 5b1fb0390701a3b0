//! RTCP (RFC 3550 6): reports written, and the little that is read of the peer's.
//!
//! What the peer reports is advice (reliability.md A10). A BYE ends nothing, and no length inside a packet is believed.

use base::Timestamp;

use crate::stream::Reception;

const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const DESCRIPTION: u8 = 202;
const BYE: u8 = 203;
const CNAME: u8 = 1;
/// Bytes of a report block.
const BLOCK: usize = 24;

/// Whether a datagram on a shared port is RTCP: its second byte lies where no RTP payload type may (RFC 5761 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}

/// What a compound packet says that we use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// SSRC of the peer's sender report, and the middle 32 bits of its NTP time.
    pub(crate) sender_report: Option<(u32, u32)>,
    /// There is a report in it, of a sender or of a receiver.
    pub(crate) is_report: bool,
    /// How many packets a sender says it has sent.
    pub(crate) sent_packets: Option<u32>,
    /// The block about us.
    pub(crate) echo: Option<Echo>,
}

/// What the peer says of the stream we send (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Echo {
    /// Share of packets lost since the report before, in 1/256.
    pub(crate) fraction_lost: u8,
    /// Middle of the NTP time of our last sender report.
    pub(crate) last_report: u32,
    /// Delay since then at the peer, in 1/65536 s.
    pub(crate) delay: u32,
}

/// Reads a compound packet; `None` when a length in it lies. `ssrc` is ours.
pub(crate) fn read(mut packet: &[u8], ssrc: u32) -> Option<Heard> {
    let mut heard = Heard::default();
    while !packet.is_empty() {
        let head: &[u8; 4] = packet.first_chunk()?;
        let length = (usize::from(u16::from_be_bytes([head[2], head[3]])) + 1) * 4;
        let (one, rest) = packet.split_at_checked(length)?;
        if head[0] >> 6 != 2 {
            return None;
        }
        let blocks = usize::from(head[0] & 0x1F);
        heard.is_report |= matches!(head[1], SENDER_REPORT | RECEIVER_REPORT);
        match head[1] {
            SENDER_REPORT => {
                heard.sender_report = Some((word(one, 4)?, word(one, 10)?));
                heard.sent_packets = Some(word(one, 20)?);
                heard.echo = find_echo(one.get(28..)?, blocks, ssrc)?.or(heard.echo);
            }
            RECEIVER_REPORT => heard.echo = find_echo(one.get(8..)?, blocks, ssrc)?.or(heard.echo),
            _ => {}
        }
        packet = rest;
    }
    Some(heard)
}

fn find_echo(blocks: &[u8], count: usize, ssrc: u32) -> Option<Option<Echo>> {
    let blocks = blocks.get(..count * BLOCK)?;
    let ours = blocks.chunks_exact(BLOCK).find(|block| word(block, 0) == Some(ssrc));
    Some(ours.and_then(|block| {
        Some(Echo { fraction_lost: block[4], last_report: word(block, 16)?, delay: word(block, 20)? })
    }))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

/// The middle 32 bits of an NTP time that counts from the start of the process: RFC 3550 6.4.1 allows any clock that
/// all our reports share.
pub(crate) fn middle_ntp(now: Timestamp) -> u32 {
    (ntp(now) >> 16) as u32
}

fn ntp(now: Timestamp) -> u64 {
    let (seconds, micros) = (now.as_micros() / 1_000_000, now.as_micros() % 1_000_000);
    (seconds << 32) | ((micros << 32) / 1_000_000)
}

/// What our report says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub(crate) ssrc: u32,
    pub(crate) cname: &'a str,
    /// `None` when we sent nothing since the last report.
    pub(crate) sent: Option<Sent>,
    /// About the peer's stream, with the time of its last sender report and the delay since then.
    pub(crate) reception: Option<(Reception, u32, u32)>,
}

/// What we sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) rtp_time: u32,
    pub(crate) packets: u32,
    pub(crate) bytes: u32,
}

impl Report<'_> {
    /// Writes the compound packet into `out`: sender or receiver report, then our name.
    pub(crate) fn write(&self, now: Timestamp, out: &mut Vec<u8>) {
        out.clear();
        let (kind, words) = if self.sent.is_some() { (SENDER_REPORT, 6) } else { (RECEIVER_REPORT, 1) };
        let blocks = u8::from(self.reception.is_some());
        out.extend_from_slice(&[0x80 | blocks, kind, 0, words + blocks * 6]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        if let Some(sent) = self.sent {
            out.extend_from_slice(&ntp(now).to_be_bytes());
            for word in [sent.rtp_time, sent.packets, sent.bytes] {
                out.extend_from_slice(&word.to_be_bytes());
            }
        }
        if let Some((reception, last_report, since)) = self.reception {
            let lost = u32::from(reception.fraction_lost) << 24 | reception.lost & 0xFF_FFFF;
            let words = [reception.ssrc, lost, reception.highest_sequence, reception.jitter, last_report, since];
            words.iter().for_each(|word| out.extend_from_slice(&word.to_be_bytes()));
        }
        self.write_name(out);
    }

    fn write_name(&self, out: &mut Vec<u8>) {
        let name = &self.cname.as_bytes()[..self.cname.len().min(255)];
        let start = out.len();
        out.extend_from_slice(&[0x81, DESCRIPTION, 0, 0]);
        out.extend_from_slice(&self.ssrc.to_be_bytes());
        out.extend_from_slice(&[CNAME, name.len() as u8]);
        out.extend_from_slice(name);
        // The list of items ends with at least one zero.
        out.push(0);
        while !(out.len() - start).is_multiple_of(4) {
            out.push(0);
        }
        let words = ((out.len() - start) / 4 - 1) as u16;
        out[start + 2..start + 4].copy_from_slice(&words.to_be_bytes());
    }
}

/// Adds a BYE to a compound packet.
pub(crate) fn write_bye(ssrc: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&[0x81, BYE, 0, 1]);
    out.extend_from_slice(&ssrc.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEPTION: Reception =
        Reception { ssrc: 9, fraction_lost: 64, lost: 3, highest_sequence: 70_000, jitter: 12 };

    fn report(sent: bool, reception: bool) -> Vec<u8> {
        let report = Report {
            ssrc: 7,
            cname: "leg",
            sent: sent.then_some(Sent { rtp_time: 1, packets: 2, bytes: 3 }),
            reception: reception.then_some((RECEPTION, 0xAAAA_BBBB, 65_536)),
        };
        let mut out = Vec::new();
        report.write(Timestamp::from_millis(1_500), &mut out);
        out
    }

    #[test]
    fn reports_are_read_as_they_were_written() {
        for (sent, reception) in [(false, false), (false, true), (true, false), (true, true)] {
            let mut packet = report(sent, reception);
            write_bye(7, &mut packet);
            assert_eq!(packet.len() % 4, 0);
            let heard = read(&packet, 9).expect("well formed");
            assert_eq!(heard.sender_report, sent.then_some((7, 0x0001_8000)));
            let echo = Echo { fraction_lost: 64, last_report: 0xAAAA_BBBB, delay: 65_536 };
            assert_eq!(heard.echo, reception.then_some(echo));
            assert_eq!(read(&packet, 8).expect("well formed").echo, None, "about somebody else");
        }
    }

    #[test]
    fn lengths_that_lie_are_refused() {
        let good = report(true, true);
        for length in 1..good.len() {
            let cut_between = [0, 52].contains(&length);
            assert_eq!(read(&good[..length], 9).is_some(), cut_between, "{length} bytes");
        }
        let mut more_blocks = good.clone();
        more_blocks[0] = 0x9F;
        assert_eq!(read(&more_blocks, 9), None);
        let mut longer = good;
        longer[2] = 0xFF;
        assert_eq!(read(&longer, 9), None);
        assert_eq!(read(&[0x40, 201, 0, 1, 0, 0, 0, 7], 9), None, "version 1");
        let bye_with_lying_reason = [0x81, BYE, 0, 2, 0, 0, 0, 7, 255, b'x', b'y', b'z'];
        assert_eq!(read(&bye_with_lying_reason, 9), Some(Heard::default()));
    }
}
