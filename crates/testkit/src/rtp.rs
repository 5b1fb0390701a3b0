//! One G.711 stream in each direction: 20 ms packets out, a recording in (RFC 3550, RFC 3551, RFC 4733).

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior};

use crate::agent::random;
use crate::error::Error;
use crate::g711;
use crate::sdp::RemoteAudio;
use crate::tone;
use crate::wav::Sound;

/// Samples for each second of everything a scripted phone plays and records.
pub const SAMPLE_RATE: u32 = 8_000;
/// Samples in one packet: 20 ms.
const FRAME: usize = 160;
/// Longest recording: ten minutes.
const RECORDING_MAX: usize = 10 * 60 * SAMPLE_RATE as usize;
/// A packet whose timestamp jumps further than this starts a new stretch directly after the recording: ten seconds.
const JUMP_MAX: usize = 10 * SAMPLE_RATE as usize;

/// A pair of RTP and RTCP ports that plays and records.
pub struct AudioPort {
    local: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    remote: Option<RemoteAudio>,
    queue: VecDeque<i16>,
    /// Frequency in Hz and phase in samples.
    tone: Option<(u32, u64)>,
    digits: VecDeque<DigitPacket>,
    recording: Vec<i16>,
    packets: u64,
    /// SSRC of the stream being recorded, its first timestamp, and where that stands in the recording.
    origin: Option<(u32, u32, usize)>,
}

/// One packet of a telephone-event.
struct DigitPacket {
    event: u8,
    duration: u16,
    first: bool,
    end: bool,
}

impl DigitPacket {
    /// 20 ms packets of one key press.
    const FRAMES: u16 = 5;

    /// The packets of a key press; none for a key that does not exist.
    fn of_key(key: char) -> Vec<Self> {
        let Some(event) = "0123456789*#ABCD".find(key) else { return Vec::new() };
        let packet =
            |frame: u16, end| Self { event: event as u8, duration: frame * FRAME as u16, first: frame == 1, end };
        // RFC 4733 2.5.1.4: the last packet is sent three times.
        (1..=Self::FRAMES).map(|frame| packet(frame, false)).chain((0..3).map(|_| packet(Self::FRAMES, true))).collect()
    }
}

impl AudioPort {
    /// Binds an even port and the odd one above it.
    pub async fn open(ip: IpAddr) -> Result<Self, Error> {
        let (rtp, rtcp) = bind_pair(ip).await?;
        let local = rtp.local_addr()?;
        let rtp = Arc::new(rtp);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let tasks = vec![
            tokio::spawn(receive(rtp.clone(), shared.clone())),
            tokio::spawn(send(rtp, shared.clone())),
            tokio::spawn(swallow(rtcp)),
        ];
        Ok(Self { local, shared, tasks })
    }

    /// Where it receives RTP.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Starts sending to where the other side said it receives, or changes that.
    pub(crate) fn connect(&self, remote: RemoteAudio) {
        self.shared().remote = Some(remote);
    }

    /// Plays samples of [`SAMPLE_RATE`] after what is queued already. Silence is sent when nothing is queued.
    pub fn play(&self, samples: &[i16]) {
        self.shared().queue.extend(samples);
    }

    /// Plays a tone whenever nothing is queued, until the next call; `None` is silence.
    pub fn play_tone(&self, frequency: Option<u32>) {
        self.shared().tone = frequency.map(|frequency| (frequency, 0));
    }

    /// How long the queued samples last.
    pub fn queued(&self) -> Duration {
        Duration::from_millis(self.shared().queue.len() as u64 * 1_000 / u64::from(SAMPLE_RATE))
    }

    /// Presses keys (`0`-`9`, `*`, `#`, `A`-`D`), 100 ms each, directly one after another; others are left out.
    pub fn press(&self, keys: &str) {
        let mut shared = self.shared();
        for key in keys.chars() {
            shared.digits.extend(DigitPacket::of_key(key));
        }
    }

    /// What was heard so far; lost packets are silence.
    pub fn recording(&self) -> Sound {
        Sound { rate: SAMPLE_RATE, samples: self.shared().recording.clone() }
    }

    /// Forgets what was heard so far.
    pub fn restart_recording(&self) {
        let mut shared = self.shared();
        shared.recording.clear();
        shared.origin = None;
    }

    /// RTP packets received.
    pub fn packets_received(&self) -> u64 {
        self.shared().packets
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().expect("no holder panics")
    }
}

impl Drop for AudioPort {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind_pair(ip: IpAddr) -> Result<(UdpSocket, UdpSocket), Error> {
    for _ in 0..50 {
        let rtp = UdpSocket::bind((ip, 0)).await?;
        let port = rtp.local_addr()?.port();
        if port % 2 == 0
            && port < u16::MAX
            && let Ok(rtcp) = UdpSocket::bind((ip, port + 1)).await
        {
            return Ok((rtp, rtcp));
        }
    }
    Err(Error::Io(std::io::Error::from(std::io::ErrorKind::AddrInUse)))
}

/// RTCP is received and not looked at, so that the sender sees no "port unreachable".
async fn swallow(socket: UdpSocket) {
    let mut buffer = [0; 2_048];
    loop {
        let _ = socket.recv_from(&mut buffer).await;
    }
}

async fn receive(socket: Arc<UdpSocket>, shared: Arc<Mutex<Shared>>) {
    let mut buffer = [0; 2_048];
    loop {
        // An ICMP error of an earlier send is reported here; it says nothing about the next packet.
        let Ok((length, _)) = socket.recv_from(&mut buffer).await else { continue };
        shared.lock().expect("no holder panics").record(&buffer[..length]);
    }
}

async fn send(socket: Arc<UdpSocket>, shared: Arc<Mutex<Shared>>) {
    let ssrc = random() as u32;
    let mut sequence = random() as u16;
    let mut timestamp = random() as u32;
    let mut event_timestamp = timestamp;
    let mut tick = tokio::time::interval_at(Instant::now(), Duration::from_millis(20));
    // A late tick is made up for, as a sound card would.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        tick.tick().await;
        timestamp = timestamp.wrapping_add(FRAME as u32);
        let packet = {
            let mut shared = shared.lock().expect("no holder panics");
            let Some(remote) = shared.remote.clone() else { continue };
            if matches!(remote.direction, "sendonly" | "inactive") {
                continue;
            }
            let (kind, payload) = shared.next_payload(&remote);
            if kind.first_of_event {
                event_timestamp = timestamp;
            }
            let stamp = if kind.event { event_timestamp } else { timestamp };
            (header(&kind, sequence, stamp, ssrc), payload, remote.rtp)
        };
        sequence = sequence.wrapping_add(1);
        let (mut bytes, payload, peer) = packet;
        bytes.extend_from_slice(&payload);
        let _ = socket.send_to(&bytes, peer).await;
    }
}

/// What a packet carries.
struct Kind {
    payload_type: u8,
    event: bool,
    first_of_event: bool,
}

fn header(kind: &Kind, sequence: u16, timestamp: u32, ssrc: u32) -> Vec<u8> {
    let marker = if kind.first_of_event { 0x80 } else { 0 };
    let mut bytes = vec![0x80, kind.payload_type | marker];
    bytes.extend_from_slice(&sequence.to_be_bytes());
    bytes.extend_from_slice(&timestamp.to_be_bytes());
    bytes.extend_from_slice(&ssrc.to_be_bytes());
    bytes
}

impl Shared {
    fn next_payload(&mut self, remote: &RemoteAudio) -> (Kind, Vec<u8>) {
        if let (Some(payload_type), Some(digit)) = (remote.telephone_event, self.digits.pop_front()) {
            let flags = if digit.end { 0x80 | 10 } else { 10 };
            let duration = digit.duration.to_be_bytes();
            let kind = Kind { payload_type, event: true, first_of_event: digit.first };
            return (kind, vec![digit.event, flags, duration[0], duration[1]]);
        }
        let encode = if remote.payload_type == 8 { g711::encode_alaw } else { g711::encode_ulaw };
        let payload = (0..FRAME).map(|_| encode(self.next_sample())).collect();
        (Kind { payload_type: remote.payload_type, event: false, first_of_event: false }, payload)
    }

    fn next_sample(&mut self) -> i16 {
        if let Some(sample) = self.queue.pop_front() {
            return sample;
        }
        let Some((frequency, phase)) = &mut self.tone else { return 0 };
        let turns = (*phase * u64::from(*frequency) % u64::from(SAMPLE_RATE)) as f64 / f64::from(SAMPLE_RATE);
        *phase += 1;
        (tone::AMPLITUDE * f64::from(i16::MAX) * (std::f64::consts::TAU * turns).sin()) as i16
    }

    /// Files a packet by its timestamp. A new source goes on behind what was recorded of the one before.
    fn record(&mut self, packet: &[u8]) {
        let Some((payload_type, timestamp, ssrc, payload)) = parse(packet) else { return };
        self.packets += 1;
        let decode = match payload_type {
            0 => g711::decode_ulaw,
            8 => g711::decode_alaw,
            _ => return,
        };
        let place = |(source, start, base): (u32, u32, usize)| {
            let offset = timestamp.wrapping_sub(start) as usize;
            (source == ssrc).then_some(base + offset)
        };
        let end = self.recording.len();
        let at = match self.origin.and_then(place).filter(|at| *at <= end + JUMP_MAX) {
            Some(at) => at,
            None => {
                self.origin = Some((ssrc, timestamp, end));
                end
            }
        };
        if at + payload.len() > RECORDING_MAX {
            return;
        }
        if self.recording.len() < at + payload.len() {
            self.recording.resize(at + payload.len(), 0);
        }
        for (slot, code) in self.recording[at..].iter_mut().zip(payload) {
            *slot = decode(*code);
        }
    }
}

/// Payload type, timestamp, SSRC and payload of an RTP packet; `None` for anything else.
fn parse(packet: &[u8]) -> Option<(u8, u32, u32, &[u8])> {
    let number = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    let first = *packet.first()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut start = 12 + 4 * usize::from(first & 0x0f);
    if first & 0x10 != 0 {
        let words = u16::from_be_bytes(packet.get(start + 2..start + 4)?.try_into().ok()?);
        start += 4 + 4 * usize::from(words);
    }
    let padding = if first & 0x20 != 0 { usize::from(*packet.last()?) } else { 0 };
    let payload = packet.get(start..packet.len().checked_sub(padding)?)?;
    Some((packet.get(1)? & 0x7f, number(4)?, number(8)?, payload))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(timestamp: u32, ssrc: u32, fill: i16) -> Vec<u8> {
        let mut bytes = header(&Kind { payload_type: 0, event: false, first_of_event: false }, 1, timestamp, ssrc);
        bytes.extend([g711::encode_ulaw(fill); FRAME]);
        bytes
    }

    #[test]
    fn a_recording_is_filed_by_time_and_goes_on_with_a_new_source() {
        let mut shared = Shared::default();
        shared.record(&packet(u32::MAX - 159, 1, 1_000));
        shared.record(&packet(160, 1, 1_000));
        assert_eq!(shared.recording.len(), 3 * FRAME);
        assert!(shared.recording[FRAME..2 * FRAME].iter().all(|sample| *sample == 0), "a lost packet is silence");
        shared.record(&packet(0, 1, 1_000));
        assert!(shared.recording[FRAME..2 * FRAME].iter().all(|sample| *sample > 900), "a late packet is filed");
        shared.record(&packet(77, 2, 1_000));
        assert_eq!(shared.recording.len(), 4 * FRAME);
    }

    #[test]
    fn a_pressed_key_is_one_event_whose_end_is_sent_three_times() {
        let remote = RemoteAudio {
            rtp: SocketAddr::from(([127, 0, 0, 1], 9)),
            payload_type: 0,
            telephone_event: Some(101),
            direction: "sendrecv",
        };
        let mut shared = Shared::default();
        for digit in DigitPacket::of_key('#') {
            shared.digits.push_back(digit);
        }
        let packets: Vec<(Kind, Vec<u8>)> = (0..9).map(|_| shared.next_payload(&remote)).collect();
        let durations: Vec<u16> = packets[..8].iter().map(|(_, body)| u16::from_be_bytes([body[2], body[3]])).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800, 800]);
        assert!(packets[..8].iter().all(|(kind, body)| kind.payload_type == 101 && body[0] == 11));
        assert_eq!(packets[..8].iter().filter(|(kind, _)| kind.first_of_event).count(), 1);
        assert_eq!(packets[..8].iter().filter(|(_, body)| body[1] & 0x80 != 0).count(), 3);
        assert_eq!((packets[8].0.payload_type, packets[8].1.len()), (0, FRAME), "then audio goes on");
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            Shared::default().record(&bytes);
        }
    }
}
