//! A phone for tests: a UDP socket that speaks G.711 mu-law in RTP and listens for tones.
#![allow(dead_code, reason = "each test file uses a part")]

use std::f64::consts::TAU;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use mcu_api::{Codec, Direction, LegMedia, OpusLimits};

/// Samples of a 20 ms packet.
const PACKET: usize = 160;
/// Samples in which a tone is looked for: half a second.
const WINDOW: usize = 4_000;
const TICK: Duration = Duration::from_millis(20);

/// A phone in a call with the server.
pub(crate) struct Phone {
    socket: UdpSocket,
    /// Where reports go, so that they go to no other phone.
    reports: UdpSocket,
    server: SocketAddr,
    ssrc: u32,
    sent: u32,
    next: Instant,
    heard: Vec<i16>,
}

impl Phone {
    /// A phone at `address` that sends to the server's RTP port.
    pub(crate) fn new(address: IpAddr, server: SocketAddr, ssrc: u32) -> Self {
        let socket = UdpSocket::bind((address, 0)).expect("a port is free");
        socket.set_nonblocking(true).expect("a socket option");
        let reports = UdpSocket::bind((address, 0)).expect("a port is free");
        Self { socket, reports, server, ssrc, sent: 0, next: Instant::now(), heard: Vec::new() }
    }

    /// The same phone, from now on at another port.
    pub(crate) fn moved(&self, address: IpAddr) -> Self {
        Self::new(address, self.server, self.ssrc + 1_000)
    }

    /// What offer and answer agreed on.
    pub(crate) fn media(&self) -> LegMedia {
        LegMedia {
            remote_rtp: self.socket.local_addr().expect("bound"),
            remote_rtcp: self.reports.local_addr().expect("bound"),
            rtcp_mux: false,
            codec: Codec::Pcmu,
            send_payload_type: 0,
            receive_payload_type: 0,
            telephone_event: None,
            packet_time_ms: 20,
            opus_fec: false,
            opus_dtx: false,
            opus_limits: OpusLimits::default(),
            remote_signalling: None,
            comfort_noise: None,
            audio_level_extension: None,
            direction: Direction::SendRecv,
            srtp: None,
        }
    }

    /// The server's RTP port.
    pub(crate) fn server_port(&self) -> u16 {
        self.server.port()
    }

    /// Sends the packets of a tone that are due by now.
    pub(crate) fn send_tone(&mut self, hertz: f64) {
        while self.next <= Instant::now() {
            let mut packet = vec![0x80, 0];
            packet.extend_from_slice(&(self.sent as u16).to_be_bytes());
            packet.extend_from_slice(&(self.sent * PACKET as u32).to_be_bytes());
            packet.extend_from_slice(&self.ssrc.to_be_bytes());
            let start = self.sent as usize * PACKET;
            packet.extend((start..start + PACKET).map(|n| {
                let phase = TAU * hertz * n as f64 / 8_000.0;
                encode((phase.sin() * 8_000.0) as i16)
            }));
            self.socket.send_to(&packet, self.server).expect("loopback");
            self.sent += 1;
            self.next += TICK;
        }
    }

    /// Reads what has come.
    pub(crate) fn listen(&mut self) {
        let mut packet = [0; 2_048];
        while let Ok((length, source)) = self.socket.recv_from(&mut packet) {
            assert_eq!(source, self.server, "symmetric RTP");
            assert_eq!((packet[0], packet[1] & 0x7F, length), (0x80, 0, 12 + PACKET));
            self.heard.extend(packet[12..length].iter().map(|&byte| decode(byte)));
        }
    }

    /// Forgets what was heard.
    pub(crate) fn forget(&mut self) {
        self.listen();
        self.heard.clear();
    }

    /// Packets heard.
    pub(crate) fn received(&self) -> usize {
        self.heard.len() / PACKET
    }

    /// Whether the last half second holds a tone, louder than -40 dB.
    pub(crate) fn hears(&self, hertz: f64) -> bool {
        self.amplitude(hertz) > 32_768.0 / 100.0
    }

    /// The amplitude of a tone in the last half second; 0 before there was as much.
    pub(crate) fn amplitude(&self, hertz: f64) -> f64 {
        let Some(window) = self.heard.len().checked_sub(WINDOW).map(|start| &self.heard[start..]) else {
            return 0.0;
        };
        let turn = TAU * hertz / 8_000.0;
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, &sample) in window.iter().enumerate() {
            let phase = turn * n as f64;
            real += f64::from(sample) * phase.cos();
            imaginary += f64::from(sample) * phase.sin();
        }
        2.0 * f64::hypot(real, imaginary) / WINDOW as f64
    }
}

/// G.711 mu-law.
fn encode(sample: i16) -> u8 {
    let magnitude = (i32::from(sample).abs() + 132).min(32_635);
    let exponent = (magnitude >> 7).ilog2() as i32;
    let mantissa = (magnitude >> (exponent + 3)) & 0x0F;
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(sign | exponent << 4 | mantissa) as u8
}

fn decode(byte: u8) -> i16 {
    let byte = !byte;
    let (exponent, mantissa) = (i32::from(byte >> 4 & 7), i32::from(byte & 0x0F));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    if byte & 0x80 != 0 { -magnitude as i16 } else { magnitude as i16 }
}
