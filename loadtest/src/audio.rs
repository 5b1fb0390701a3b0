//! The audio side of the callers: sockets, a pacer that sends on absolute deadlines, and listeners.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use testkit::g711;

use crate::Failure;

/// Samples for each second.
pub(crate) const SAMPLE_RATE: u32 = 8_000;
/// Samples in one packet.
pub(crate) const FRAME: usize = 160;
/// The length of one packet.
pub(crate) const FRAME_TIME: Duration = Duration::from_millis(20);
/// The test tone in Hz: 1 kHz as ITU-T O.133 has it. A whole number of periods must not fit into a frame, else a lost
/// or repeated frame would leave no mark in the phase.
pub(crate) const TONE: f64 = 1_020.0;
/// Amplitude of tone and bursts as a share of full scale, about -10 dB.
pub(crate) const AMPLITUDE: f64 = 0.3;

/// An RTP socket at an even port, with its RTCP socket above, which only swallows.
pub(crate) struct Line {
    pub(crate) rtp: Arc<UdpSocket>,
    _rtcp: UdpSocket,
    pub(crate) address: SocketAddr,
}

impl Line {
    /// Binds both.
    pub(crate) fn open() -> Result<Self, Failure> {
        for _ in 0..1_000 {
            let rtp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = rtp.local_addr()?;
            // The server's own range is left to the server.
            if address.port() % 2 != 0 || (20_000..30_000).contains(&address.port()) {
                continue;
            }
            if let Ok(rtcp) = UdpSocket::bind((Ipv4Addr::LOCALHOST, address.port() + 1)) {
                return Ok(Self { rtp: Arc::new(rtp), _rtcp: rtcp, address });
            }
        }
        Err(Failure("no pair of free ports".to_owned()))
    }
}

/// What a stream carries.
pub(crate) enum Sound {
    /// Digital silence.
    Silence,
    /// The test tone without end.
    Tone,
    /// Bursts of the tone; each one's beginning is told.
    Bursts(Sender<Instant>),
}

impl Sound {
    /// Frames from one burst to the next.
    const PERIOD: u64 = 25;
    /// Frames of one burst.
    const BURST: u64 = 5;

    /// The payload of frame `index`, sent at `now`.
    fn frame(&self, index: u64, now: Instant) -> [u8; FRAME] {
        let is_loud = match self {
            Self::Silence => false,
            Self::Tone => true,
            // Not at once: the first burst must find an open path.
            Self::Bursts(_) => index >= Self::PERIOD && index % Self::PERIOD < Self::BURST,
        };
        if let Self::Bursts(starts) = self
            && is_loud
            && index.is_multiple_of(Self::PERIOD)
        {
            let _ = starts.send(now);
        }
        std::array::from_fn(|sample| {
            if is_loud { g711::encode_ulaw(tone(index * FRAME as u64 + sample as u64)) } else { g711::encode_ulaw(0) }
        })
    }
}

/// A cosine, so that a burst's first sample is already its loudest.
fn tone(sample: u64) -> i16 {
    let turns = sample as f64 * TONE / f64::from(SAMPLE_RATE);
    (AMPLITUDE * f64::from(i16::MAX) * (std::f64::consts::TAU * turns.fract()).cos()) as i16
}

/// A stream to be sent.
pub(crate) struct Stream {
    /// From where.
    pub(crate) socket: Arc<UdpSocket>,
    /// Where to.
    pub(crate) to: SocketAddr,
    /// What.
    pub(crate) sound: Sound,
    /// When its first packet goes; each further one follows 20 ms after the deadline of the one before.
    pub(crate) start: Instant,
}

/// One thread that sends all streams, each packet at its absolute deadline.
pub(crate) struct Pacer {
    streams: Sender<Stream>,
    thread: JoinHandle<Vec<f64>>,
}

impl Pacer {
    /// Starts the thread.
    pub(crate) fn start() -> Self {
        let (streams, arrivals) = channel();
        Self { streams, thread: std::thread::spawn(move || pace(&arrivals)) }
    }

    /// Adds a stream.
    pub(crate) fn add(&self, stream: Stream) {
        let _ = self.streams.send(stream);
    }

    /// Ends all streams. Gives how late each packet went out, in milliseconds.
    pub(crate) fn stop(self) -> Vec<f64> {
        drop(self.streams);
        self.thread.join().unwrap_or_default()
    }
}

fn pace(arrivals: &Receiver<Stream>) -> Vec<f64> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut deadlines: BinaryHeap<Reverse<(Instant, usize, u64)>> = BinaryHeap::new();
    let mut lateness = Vec::new();
    loop {
        let next = deadlines.peek().map(|Reverse((at, _, _))| *at);
        let wait = next.map_or(FRAME_TIME, |at| at.saturating_duration_since(Instant::now()));
        match arrivals.recv_timeout(wait) {
            Ok(stream) => {
                deadlines.push(Reverse((stream.start, streams.len(), 0)));
                streams.push(stream);
                continue;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return lateness,
        }
        let now = Instant::now();
        if next.is_none_or(|at| at > now) {
            continue;
        }
        if let Some(Reverse((at, number, index))) = deadlines.pop() {
            lateness.push((now - at).as_secs_f64() * 1_000.0);
            let packet = packet(number as u32, index, &streams[number].sound.frame(index, now));
            let _ = streams[number].socket.send_to(&packet, streams[number].to);
            deadlines.push(Reverse((at + FRAME_TIME, number, index + 1)));
        }
    }
}

fn packet(source: u32, index: u64, payload: &[u8; FRAME]) -> Vec<u8> {
    let marker = if index == 0 { 0x80 } else { 0 };
    let mut bytes = Vec::with_capacity(12 + FRAME);
    bytes.extend([0x80, marker]);
    bytes.extend((index as u16).to_be_bytes());
    bytes.extend((index as u32).wrapping_mul(FRAME as u32).to_be_bytes());
    bytes.extend((0x1000_0000 + source).to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A packet that came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// When it was read from the socket.
    pub(crate) at: Instant,
    /// Its RTP timestamp, in samples.
    pub(crate) timestamp: u32,
    /// What it carries.
    pub(crate) samples: Vec<i16>,
}

/// A thread that reads one line's audio.
pub(crate) struct Listener {
    packets: Receiver<Heard>,
    closed: Arc<AtomicBool>,
}

impl Listener {
    /// Starts the thread.
    pub(crate) fn start(line: &Line) -> Result<Self, Failure> {
        let socket = line.rtp.clone();
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let (sender, packets) = channel();
        let closed = Arc::new(AtomicBool::new(false));
        let is_closed = closed.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 2_048];
            while !is_closed.load(Ordering::Relaxed) {
                let Ok((length, _)) = socket.recv_from(&mut buffer) else { continue };
                let at = Instant::now();
                if let Some(heard) = parse(&buffer[..length], at)
                    && sender.send(heard).is_err()
                {
                    return;
                }
            }
        });
        Ok(Self { packets, closed })
    }

    /// Waits for the next packet.
    pub(crate) fn next(&self, limit: Duration) -> Option<Heard> {
        self.packets.recv_timeout(limit).ok()
    }

    /// Whatever came so far and was not taken.
    pub(crate) fn take(&self) -> Vec<Heard> {
        self.packets.try_iter().collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// G.711 mu-law in plain RTP without extensions; anything else is not looked at.
fn parse(bytes: &[u8], at: Instant) -> Option<Heard> {
    if bytes.len() <= 12 || bytes[0] != 0x80 || bytes[1] & 0x7f != 0 {
        return None;
    }
    let timestamp = u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let samples = bytes[12..].iter().map(|code| g711::decode_ulaw(*code)).collect();
    Some(Heard { at, timestamp, samples })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_read_as_it_was_written() {
        let now = Instant::now();
        let (sender, starts) = channel();
        let burst = Sound::Bursts(sender);
        let loud = burst.frame(Sound::PERIOD, now);
        let heard = parse(&packet(1, 3, &loud), now).expect("valid");
        assert_eq!((heard.timestamp, heard.samples.len()), (480, FRAME));
        assert!(heard.samples[0] > 9_000, "a burst begins with its peak");
        assert_eq!(starts.try_iter().collect::<Vec<_>>(), [now]);
        assert_eq!(burst.frame(Sound::PERIOD + Sound::BURST, now), [g711::encode_ulaw(0); FRAME]);
    }

    #[test]
    fn reports_are_no_audio() {
        let mut report = packet(1, 3, &[0; FRAME]);
        report[1] = 200;
        assert!(parse(&report, Instant::now()).is_none());
    }
}
