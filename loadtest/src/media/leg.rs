//! One caller's audio: his socket, what he sends at present, and what he received so far.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use crate::media::cipher::Cipher;
use crate::media::clips::{CHIRP_FRAME, CHIRP_PERIOD, Clips, Loop, Sound};
use crate::media::rtp::{self, Header, Report, Writing};
use crate::media::sequence::Sequence;
use crate::plan::Codec;

/// Frames between two reports: 5 s.
const REPORT_PERIOD: u64 = 250;
/// Missing numbers from which on it is no gap but a new beginning.
const GAP_MAX: u16 = 3_000;
/// Frames from one packet to the next in discontinuous transmission: 400 ms.
const DTX_PERIOD: u64 = 20;

/// What was agreed for a caller.
pub struct LegSetup {
    /// The caller's number in the run.
    pub caller: usize,
    /// His own socket.
    pub socket: UdpSocket,
    /// When his call was placed, see [`crate::sys::wall_nanos`].
    pub placed_at: i64,
    /// Where his packets go.
    pub remote: SocketAddr,
    /// What he speaks.
    pub codec: Codec,
    /// Payload type of that codec.
    pub payload_type: u8,
    /// The number agreed for RFC 6464.
    pub level_id: Option<u8>,
    /// The ready frames of his codec.
    pub clips: Arc<Clips>,
    /// What he sends first.
    pub sound: Sound,
    /// Encryption, when it was agreed.
    pub cipher: Option<Box<dyn Cipher>>,
    /// How much too long his clock's frames are, in millionths.
    pub drift_ppm: f64,
}

/// A recorded packet. Its payload stands in [`LegRecord::payloads`].
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// When the kernel took it, see [`crate::sys::wall_nanos`].
    pub at: i64,
    /// RTP timestamp.
    pub timestamp: u32,
    /// Where its payload begins in the store.
    pub start: u32,
    /// Its length.
    pub length: u16,
}

/// What a caller has seen.
#[derive(Clone, Debug, Default)]
pub struct LegRecord {
    /// His number.
    pub caller: usize,
    /// When his call was placed.
    pub placed_at: i64,
    /// When his first packet came.
    pub first_at: Option<i64>,
    /// When his last packet came.
    pub last_at: i64,
    /// Packets received.
    pub received: u64,
    /// Packets sent.
    pub sent: u64,
    /// Payload bytes received.
    pub bytes: u64,
    /// Packets that were never seen, by their numbers.
    pub lost: i64,
    /// Runs of packets that were missing when the next one came.
    pub gaps: u64,
    /// Missing packets of which the next one had a copy.
    pub recovered: u64,
    /// Packets that came after a later one.
    pub reordered: u64,
    /// Interarrival jitter at present, in ms.
    pub jitter_ms: f64,
    /// The longest time without a packet, in ms.
    pub gap_ms: f64,
    /// The loss of our packets in the server's last report, 0 to 1.
    pub server_loss: Option<f64>,
    /// Reports that came.
    pub reports: u64,
    /// Packets that were no RTP of his or could not be decrypted.
    pub foreign: u64,
    /// Recorded packets.
    pub heard: Vec<Heard>,
    /// Their payloads, one after another.
    pub payloads: Vec<u8>,
    /// When the packets were sent in which chirps begin.
    pub chirps: Vec<i64>,
}

/// A caller at work.
pub struct Leg {
    setup: LegSetup,
    frames: Loop,
    /// Frames sent of the present sound.
    place: u64,
    /// Frames since the start, sent or not.
    frame: u64,
    sequence: u16,
    timestamp: u32,
    ssrc: u32,
    paused: bool,
    bytes_sent: u32,
    arriving: Sequence,
    transit: Option<f64>,
    reported: (u64, i64),
    recording: bool,
    /// How far his clock is behind the wheel's slot, in slots.
    behind: f64,
    waits: bool,
    record: LegRecord,
}

impl Leg {
    /// A leg that has not sent anything yet; the numbers of its stream come from `random`.
    pub fn new(setup: LegSetup, random: u64) -> Self {
        let frames = setup.clips.of(setup.sound).clone();
        let place = random % frames.len() as u64;
        Self {
            frames,
            // Chirps begin with their loop; others start anywhere, so that not all say the same.
            place: if setup.sound == Sound::Chirp { 0 } else { place },
            frame: 0,
            sequence: (random >> 16) as u16,
            timestamp: (random >> 8) as u32,
            ssrc: (random >> 32) as u32,
            paused: true,
            bytes_sent: 0,
            arriving: Sequence::default(),
            transit: None,
            reported: (0, 0),
            recording: false,
            behind: 0.0,
            waits: false,
            record: LegRecord { caller: setup.caller, placed_at: setup.placed_at, ..LegRecord::default() },
            setup,
        }
    }

    /// Changes what is sent from now on.
    pub fn play(&mut self, sound: Sound) {
        self.setup.sound = sound;
        self.frames = self.setup.clips.of(sound).clone();
        self.place = 0;
    }

    /// Starts or stops recording.
    pub fn set_recording(&mut self, on: bool) {
        self.recording = on;
    }

    /// The caller's number.
    pub const fn caller(&self) -> usize {
        self.setup.caller
    }

    /// By how many slots of a millisecond the next frame is later than a right clock's, or earlier, after each frame.
    pub fn drift(&mut self) -> isize {
        self.behind += self.setup.drift_ppm * 20.0 / 1e6;
        let slots = self.behind.trunc();
        self.behind -= slots;
        slots as isize
    }

    /// The next visit is too early and leaves it alone.
    pub const fn wait(&mut self) {
        self.waits = true;
    }

    /// Whether this visit is the one to leave it alone.
    pub fn waits(&mut self) -> bool {
        std::mem::take(&mut self.waits)
    }

    /// The socket to be read.
    pub const fn socket(&self) -> &UdpSocket {
        &self.setup.socket
    }

    /// Packets received and lost so far.
    pub fn seen(&self) -> (u64, i64) {
        (self.record.received, self.arriving.lost())
    }

    /// When the last packet came; 0 when none has since figures were forgotten.
    pub const fn last_at(&self) -> i64 {
        self.record.last_at
    }

    /// Forgets figures, so that they speak of what comes from now on.
    pub fn begin_measuring(&mut self) {
        let record = &mut self.record;
        (record.received, record.sent, record.bytes, record.last_at, record.gap_ms) = (0, 0, 0, 0, 0.0);
        (record.gaps, record.recovered) = (0, 0);
        self.arriving.begin_measuring();
        self.reported = (0, 0);
    }

    /// The end: everything that was seen.
    pub fn finish(mut self) -> LegRecord {
        (self.record.lost, self.record.reordered) = (self.arriving.lost(), self.arriving.reordered());
        self.record
    }

    /// Sends this frame's packet, if there is one.
    pub fn send(&mut self, now: i64, packet: &mut Vec<u8>) {
        let index = (self.place % self.frames.len() as u64) as usize;
        let is_dtx = matches!(self.setup.sound, Sound::Dtx(_));
        if is_dtx && !self.place.is_multiple_of(DTX_PERIOD) {
            self.paused = true;
        } else {
            self.send_frame(index, packet);
        }
        if self.setup.sound == Sound::Chirp && index % CHIRP_PERIOD == CHIRP_FRAME {
            self.record.chirps.push(now);
        }
        self.place += 1;
        self.frame += 1;
        self.timestamp = self.timestamp.wrapping_add(self.units());
        if self.frame.is_multiple_of(REPORT_PERIOD) {
            self.send_report(now, packet);
        }
    }

    fn send_frame(&mut self, index: usize, packet: &mut Vec<u8>) {
        let frame = &self.frames[index];
        let writing = Writing {
            payload_type: self.setup.payload_type,
            marker: std::mem::take(&mut self.paused),
            sequence: self.sequence,
            timestamp: self.timestamp,
            ssrc: self.ssrc,
            level: self.setup.level_id.map(|id| (id, frame.level)),
        };
        rtp::write(writing, &frame.payload, packet);
        self.sequence = self.sequence.wrapping_add(1);
        self.bytes_sent = self.bytes_sent.wrapping_add(frame.payload.len() as u32);
        self.record.sent += 1;
        self.dispatch(packet, false);
    }

    fn send_report(&mut self, now: i64, packet: &mut Vec<u8>) {
        let (received, lost) = self.seen();
        let (new_received, new_lost) = (received - self.reported.0.min(received), lost - self.reported.1);
        self.reported = (received, lost);
        let expected = (new_received as i64 + new_lost).max(1);
        // RFC 3550 4: seconds since 1900 and their fraction.
        let seconds = (now / 1_000_000_000) as u64 + 2_208_988_800;
        let fraction = ((now % 1_000_000_000) as u64 * (1 << 32)) / 1_000_000_000;
        let report = Report {
            ssrc: self.ssrc,
            ntp: seconds << 32 | fraction,
            timestamp: self.timestamp,
            packets: self.record.sent as u32,
            bytes: self.bytes_sent,
            about: self.arriving.ssrc(),
            fraction_lost: (new_lost.max(0) * 256 / expected).min(255) as u8,
            lost: lost.max(0) as u32,
            highest: self.arriving.highest(),
            jitter: (self.record.jitter_ms * f64::from(self.units()) / 20.0) as u32,
        };
        rtp::write_report(&report, packet);
        self.dispatch(packet, true);
    }

    fn dispatch(&mut self, packet: &mut Vec<u8>, control: bool) {
        let ready = self.setup.cipher.as_mut().is_none_or(|cipher| cipher.protect(packet, control));
        if ready {
            // A datagram the system does not take is one the network lost.
            let _ = self.setup.socket.send_to(packet, self.setup.remote);
        }
    }

    /// Takes a datagram that came at `at`.
    pub fn receive(&mut self, bytes: &[u8], at: i64) {
        let control = rtp::is_rtcp(bytes);
        let clear = match self.setup.cipher.as_mut() {
            Some(cipher) => match cipher.unprotect(bytes, control) {
                Some(clear) => Some(clear),
                None => return self.record.foreign += 1,
            },
            None => None,
        };
        let bytes = clear.as_deref().unwrap_or(bytes);
        if control {
            self.record.reports += 1;
            self.record.server_loss = rtp::reported_loss(bytes).or(self.record.server_loss);
            return;
        }
        match rtp::parse(bytes) {
            Some(header) if header.payload_type == self.setup.payload_type => self.count(&header, bytes, at),
            _ => self.record.foreign += 1,
        }
    }

    fn count(&mut self, header: &Header, bytes: &[u8], at: i64) {
        let expected = self.arriving.highest().wrapping_add(1) as u16;
        let began = self.arriving.ssrc() == header.ssrc;
        self.arriving.take(header.sequence, header.ssrc);
        self.follow_jitter(header.timestamp, at);
        let record = &mut self.record;
        if began && (1..GAP_MAX).contains(&header.sequence.wrapping_sub(expected)) {
            record.gaps += 1;
            let copies = self.setup.codec == Codec::Opus && opus_has_copy(&bytes[header.payload..header.end]);
            record.recovered += u64::from(copies);
        }
        record.first_at.get_or_insert(at);
        if record.last_at > 0 {
            record.gap_ms = record.gap_ms.max((at - record.last_at) as f64 / 1e6);
        }
        record.last_at = record.last_at.max(at);
        record.received += 1;
        record.bytes += (header.end - header.payload) as u64;
        if self.recording {
            let record = &mut self.record;
            let payload = &bytes[header.payload..header.end];
            let (start, length) = (record.payloads.len() as u32, payload.len() as u16);
            record.payloads.extend_from_slice(payload);
            record.heard.push(Heard { at, timestamp: header.timestamp, start, length });
        }
    }

    /// RFC 3550 6.4.1.
    fn follow_jitter(&mut self, timestamp: u32, at: i64) {
        let transit = at as f64 / 1e6 - f64::from(timestamp) * 20.0 / f64::from(self.units());
        if let Some(before) = self.transit.replace(transit) {
            let change = (transit - before).abs();
            // The timestamp's turn, or a new stream, is no jitter.
            if change < 1_000.0 {
                self.record.jitter_ms += (change - self.record.jitter_ms) / 16.0;
            }
        }
    }

    /// Units of the codec's clock in a frame.
    const fn units(&self) -> u32 {
        match self.setup.codec {
            Codec::Opus => 960,
            Codec::Pcmu | Codec::Pcma => 160,
        }
    }
}

/// Whether an Opus packet of one mono frame holds a copy of the frame before it, as in-band error correction sends them:
/// in SILK and hybrid packets (configurations 0 to 15) of up to 60 ms the bit behind one activity bit for each 20 ms
/// (RFC 6716 3.1 and 4.2.3).
fn opus_has_copy(payload: &[u8]) -> bool {
    let [head, first, ..] = payload else { return false };
    let configuration = head >> 3;
    let is_silk = configuration < 16 && head & 0b111 == 0;
    let frames = match (configuration, configuration % 4) {
        (12.., _) | (_, 0 | 1) => 1,
        (_, more) => more,
    };
    is_silk && (first >> (7 - frames)) & 1 == 1
}

#[cfg(test)]
mod tests {
    use opus::{Application, Bandwidth, Bitrate, Channels, Encoder};

    use super::*;

    #[test]
    fn copies_are_seen_without_decoding() -> Result<(), opus::Error> {
        for (loss, application) in [(20, Application::Voip), (0, Application::Voip), (20, Application::LowDelay)] {
            let mut encoder = Encoder::new(48_000, Channels::Mono, application)?;
            encoder.set_bitrate(Bitrate::Bits(32_000))?;
            encoder.set_inband_fec(loss > 0)?;
            encoder.set_packet_loss_perc(loss)?;
            encoder.set_bandwidth(Bandwidth::Wideband)?;
            let mut seen = 0;
            for frame in 0..50 {
                let voice =
                    |at: usize| ((frame * 960 + at) as f32 * 0.03).sin() * ((at + frame * 960) as f32 * 1e-3).sin();
                let samples: Vec<f32> = (0..960).map(|at| 0.4 * voice(at)).collect();
                seen += usize::from(opus_has_copy(&encoder.encode_vec_float(&samples, 1_000)?));
            }
            let expected = if loss > 0 && application == Application::Voip { 30..=50 } else { 0..=0 };
            assert!(expected.contains(&seen), "{seen} of 50 with {loss} % and {application:?}");
        }
        Ok(())
    }
}
