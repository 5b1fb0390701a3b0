//! The media server over real sockets on loopback, with phones made of plain UDP sockets.

mod phone;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base::{ConferenceId, LegId, Limits};
use codecs::Codecs;
use mcu_api::Codec;
use mcu_api::{
    AloneAudio, ConferenceMedia, LegFailure, LegMedia, LegStatistics, McuCommand, McuEvent, RecordingFormat,
};
use media_io::{EventSink, MediaConfig, MediaServer};
use mixer::{CodecError, CodecFactory, Decoder, Encoder, EncoderSettings, Gauge};

use crate::phone::Phone;

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const DRAIN: Duration = Duration::from_millis(300);
const MEDIA: ConferenceMedia = ConferenceMedia {
    alone: AloneAudio::Silence,
    entry_exit_tones: false,
    media_silence_ms: 0,
    jitter_delay_max_ms: 120,
};

struct Bench {
    server: MediaServer,
    events: Receiver<McuEvent>,
}

impl Bench {
    fn start(address: IpAddr, ports: RangeInclusive<u16>, codecs: Arc<dyn CodecFactory>) -> Self {
        let (sender, events) = channel();
        let sink: EventSink = Box::new(move |event| drop(sender.send(event)));
        let server = MediaServer::start(config(address, ports), codecs, sink).expect("the system is able");
        Self { server, events }
    }

    fn create(&self, name: &str) {
        self.server.send(McuCommand::CreateConference { conference: id(name), media: MEDIA });
    }

    fn reserve(&self, name: &str, leg: u64) -> SocketAddr {
        self.server.send(McuCommand::ReserveLeg { conference: id(name), leg: LegId(leg) });
        self.wait(|event| match event {
            McuEvent::LegReserved { leg: reserved, rtp, rtcp } if reserved == LegId(leg) => {
                assert_eq!((rtp.port() % 2, rtcp.port()), (0, rtp.port() + 1));
                Some(rtp)
            }
            _ => None,
        })
    }

    fn join(&self, name: &str, leg: u64, address: IpAddr) -> Phone {
        let server = self.reserve(name, leg);
        let phone = Phone::new(address, server, leg as u32);
        self.server.send(McuCommand::ConnectLeg { leg: LegId(leg), media: phone.media() });
        phone
    }

    /// The first event for which `pick` has an answer; others are passed over.
    fn wait<T>(&self, mut pick: impl FnMut(McuEvent) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).expect("the event comes in time");
            if let Some(found) = pick(event) {
                return found;
            }
        }
    }

    fn wait_removed(&self, leg: u64) -> LegStatistics {
        self.wait(|event| match event {
            McuEvent::LegRemoved { leg: removed, statistics } if removed == LegId(leg) => Some(statistics),
            _ => None,
        })
    }

    fn wait_failed(&self, leg: u64) -> LegFailure {
        self.wait(|event| match event {
            McuEvent::LegFailed { leg: failed, failure } if failed == LegId(leg) => Some(failure),
            _ => None,
        })
    }
}

fn config(address: IpAddr, ports: RangeInclusive<u16>) -> MediaConfig {
    let limits = Limits { port_drain: DRAIN, worker_queue: 64, worker_events: 64, ..Limits::default() };
    MediaConfig {
        address,
        advertised: address,
        ports,
        workers: 2,
        pin_workers: false,
        limits,
        ..MediaConfig::default()
    }
}

fn id(name: &str) -> ConferenceId {
    ConferenceId::parse(name).expect("valid")
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn two_legs_hear_each_other_and_nobody_himself() {
    for (address, ports) in
        [(IpAddr::from(Ipv4Addr::LOCALHOST), 24_000..=24_019), (IpAddr::from(Ipv6Addr::LOCALHOST), 24_020..=24_039)]
    {
        let bench = Bench::start(address, ports, Arc::new(Codecs));
        bench.create("TWOLEGS1");
        let (mut ann, mut bob) = (bench.join("TWOLEGS1", 1, address), bench.join("TWOLEGS1", 2, address));
        until("Bob hears Ann's tone", || {
            ann.send_tone(1_000.0);
            bob.send_tone(440.0);
            bob.listen();
            ann.listen();
            bob.hears(1_000.0) && ann.hears(440.0)
        });
        assert!(!ann.hears(1_000.0) && !bob.hears(440.0), "{address}: somebody hears himself");

        let port = ann.server_port();
        bench.server.send(McuCommand::RemoveLeg { leg: LegId(1) });
        bench.server.send(McuCommand::RemoveLeg { leg: LegId(1) });
        let statistics = bench.wait_removed(1);
        assert!(statistics.received_packets > 0 && statistics.sent_packets > 0, "{statistics:?}");
        assert!(UdpSocket::bind((address, port)).is_err(), "the port rests, but stays ours");
        until("the ports come back", || bench.server.counters().ports_draining == 0);
        assert!(UdpSocket::bind((address, port)).is_ok());

        bench.server.send(McuCommand::EndConference { conference: id("TWOLEGS1") });
        bench.wait_removed(2);
        let counters = bench.server.counters();
        assert!(counters.ticks > 0 && counters.packets_sent > 0 && counters.packets_received > 0, "{counters:?}");
        drop(bench.server);
        let more: Vec<_> = bench.events.iter().filter(|event| matches!(event, McuEvent::LegRemoved { .. })).collect();
        assert_eq!(more, [], "each leg is removed once");
    }
}

#[test]
fn strangers_are_refused_once_a_peer_is_known_and_a_peer_that_moves_is_not() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start(address, 24_120..=24_139, Arc::new(Codecs));
    bench.create("SETTLED1");
    let (mut ann, mut bob) = (bench.join("SETTLED1", 1, address), bench.join("SETTLED1", 2, address));
    let stranger = UdpSocket::bind((address, 0)).expect("free");
    stranger.connect((address, ann.server_port())).expect("UDP connects");
    until("the stranger is refused", || {
        [&mut ann, &mut bob].into_iter().for_each(Phone::listen);
        ann.send_tone(1_000.0);
        bob.send_tone(440.0);
        stranger.send(&[0; 172]).is_err()
    });
    let mut moved = ann.moved(address);
    bench.server.send(McuCommand::ConnectLeg { leg: LegId(1), media: moved.media() });
    until("Ann is heard from where she is now, and hears", || {
        [&mut moved, &mut bob].into_iter().for_each(Phone::listen);
        moved.send_tone(1_300.0);
        bob.send_tone(440.0);
        // What is still on its way.
        ann.send_tone(1_000.0);
        bob.hears(1_300.0) && moved.hears(440.0) && !bob.hears(1_000.0)
    });
    drop(bench.server);
}

#[test]
fn ports_run_out_and_come_back() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let _other = UdpSocket::bind((address, 24_041)).expect("free");
    let bench = Bench::start(address, 24_040..=24_045, Arc::new(Codecs));
    bench.create("FEWPORTS");
    let (first, second) = (bench.reserve("FEWPORTS", 1), bench.reserve("FEWPORTS", 2));
    assert_eq!((first.port(), second.port()), (24_042, 24_044));
    assert!(bench.server.counters().ports_taken >= 1);
    bench.server.send(McuCommand::ReserveLeg { conference: id("FEWPORTS"), leg: LegId(3) });
    assert_eq!(bench.wait_failed(3), LegFailure::NoPort);
    bench.server.send(McuCommand::RemoveLeg { leg: LegId(1) });
    bench.wait_removed(1);
    bench.server.send(McuCommand::ReserveLeg { conference: id("FEWPORTS"), leg: LegId(4) });
    assert_eq!(bench.wait_failed(4), LegFailure::NoPort, "a resting port is not given away");
    until("the ports come back", || bench.server.counters().ports_draining == 0);
    assert_eq!(bench.reserve("FEWPORTS", 5).port(), 24_042);
}

#[test]
fn what_does_not_exist_is_answered_or_dropped() {
    let bench = Bench::start(Ipv4Addr::LOCALHOST.into(), 24_050..=24_053, Arc::new(Codecs));
    bench.server.send(McuCommand::ReserveLeg { conference: id("NOWHERE1"), leg: LegId(1) });
    assert_eq!(bench.wait_failed(1), LegFailure::NoConference);
    let refused = bench.server.place(McuCommand::ReserveLeg { conference: id("NOWHERE1"), leg: LegId(2) });
    let told = McuEvent::LegFailed { leg: LegId(2), failure: LegFailure::NoConference };
    assert_eq!(refused, Err(told), "whoever asked is told, and not the sink");
    bench.server.send(McuCommand::RemoveLeg { leg: LegId(1) });
    bench.server.send(McuCommand::EndConference { conference: id("NOWHERE1") });
    drop(bench.server);
    assert_eq!(bench.events.iter().count(), 0);
}

#[test]
fn one_wake_is_enough_for_all_that_was_placed() {
    let bench = Bench::start(Ipv4Addr::LOCALHOST.into(), 24_054..=24_059, Arc::new(Codecs));
    let commands = ["PLACED01", "PLACED02"].into_iter().enumerate().flat_map(|(index, name)| {
        let leg = LegId(index as u64);
        let create = McuCommand::CreateConference { conference: id(name), media: MEDIA };
        [create, McuCommand::ReserveLeg { conference: id(name), leg }]
    });
    commands.for_each(|command| assert_eq!(bench.server.place(command), Ok(())));
    bench.server.wake();
    let mut legs = [(); 2].map(|()| {
        bench.wait(|event| match event {
            McuEvent::LegReserved { leg, .. } => Some(leg.0),
            _ => None,
        })
    });
    legs.sort_unstable();
    assert_eq!(legs, [0, 1], "either worker has done what was placed for it");
}

/// Codecs with a defect: making a decoder panics.
struct Broken;

impl CodecFactory for Broken {
    fn decoder(&self, _: Codec) -> Result<Box<dyn Decoder>, CodecError> {
        panic!("a planted defect");
    }

    fn gauge(&self, codec: Codec) -> Box<dyn Gauge> {
        Codecs.gauge(codec)
    }

    fn encoder(&self, settings: EncoderSettings) -> Result<Box<dyn Encoder>, CodecError> {
        Codecs.encoder(settings)
    }
}

#[test]
fn a_defect_ends_one_conference_only() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start(address, 24_060..=24_079, Arc::new(Broken));
    // Three conferences on two workers: one of the sound ones shares the worker with the broken one.
    for name in ["SOUND001", "BROKEN01", "SOUND002"] {
        bench.create(name);
    }
    let mut sound = [bench.join("SOUND001", 1, address), bench.join("SOUND002", 2, address)];
    let mut broken = bench.join("BROKEN01", 3, address);
    bench.reserve("BROKEN01", 4);
    until("the conference fails", || {
        broken.send_tone(1_000.0);
        bench.server.counters().conferences_failed == 1
    });
    let legs = bench.wait(|event| match event {
        McuEvent::ConferenceFailed { conference, legs } if conference == id("BROKEN01") => Some(legs),
        _ => None,
    });
    assert_eq!(legs, [LegId(3), LegId(4)]);
    for phone in &mut sound {
        phone.forget();
        until("the others go on", || {
            phone.listen();
            phone.received() > 10
        });
    }
    bench.server.send(McuCommand::RemoveLeg { leg: LegId(1) });
    bench.wait_removed(1);
    assert_eq!(bench.server.counters().conferences, 2);
}

#[test]
fn a_full_queue_ends_its_conference() {
    let gate = Arc::new(Mutex::new(()));
    let (sender, events) = channel();
    let closed = gate.lock().expect("fresh");
    let sink: EventSink = {
        let gate = Arc::clone(&gate);
        Box::new(move |event| {
            drop(gate.lock());
            drop(sender.send(event));
        })
    };
    let config = MediaConfig { workers: 1, ..config(Ipv4Addr::LOCALHOST.into(), 24_080..=24_083) };
    let server = MediaServer::start(config, Arc::new(Codecs), sink).expect("the system is able");
    let bench = Bench { server, events };
    bench.create("CROWDED1");
    let reserve = |leg| bench.server.send(McuCommand::ReserveLeg { conference: id("CROWDED1"), leg: LegId(leg) });
    [1, 2].into_iter().for_each(reserve);
    until("all ports are given away", || bench.server.counters().legs == 2);
    // Each further one is answered by an event. The first event is stuck in the sink; when there is no room for more, no
    // command is done.
    let mut more = 3..;
    until("the queue is full", || {
        more.by_ref().take(100).for_each(reserve);
        bench.server.counters().commands_refused > 0
    });
    drop(closed);
    let legs = bench.wait(|event| match event {
        McuEvent::ConferenceFailed { legs, .. } => Some(legs),
        _ => None,
    });
    assert_eq!(legs, [LegId(1), LegId(2)], "those for whom there were ports");
}

#[test]
fn a_recording_is_as_long_as_it_took_and_its_end_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let (sender, events) = channel();
    let config = MediaConfig {
        recordings_dir: Some(folder.path().to_owned()),
        ..config(Ipv4Addr::LOCALHOST.into(), 24_100..=24_119)
    };
    let sink: EventSink = Box::new(move |event| drop(sender.send(event)));
    let bench = Bench { server: MediaServer::start(config, Arc::new(Codecs), sink).expect("able"), events };
    let ended = |bench: &Bench| {
        bench.wait(|event| match event {
            McuEvent::RecordingEnded { file, length_ms, error, .. } => Some((file, length_ms, error)),
            _ => None,
        })
    };
    let start = |conference: &str, name: &str, format| {
        let (conference, name) = (id(conference), name.to_owned());
        bench.server.send(McuCommand::StartRecording { conference, name, format });
    };
    start("NOSUCH01", "x", RecordingFormat::Wav);
    assert!(ended(&bench).2.is_some(), "there is no such conference");
    bench.create("RECORD01");
    start("RECORD01", "../x", RecordingFormat::Wav);
    assert!(ended(&bench).2.is_some(), "no such name, which is said at once");
    bench.server.send(McuCommand::StopRecording { conference: id("RECORD01") });

    let mut ann = bench.join("RECORD01", 1, Ipv4Addr::LOCALHOST.into());
    let (mut wave, mut opus) = (None, None);
    for format in [RecordingFormat::Wav, RecordingFormat::Opus] {
        // The orders are given within these times, however busy the machine is.
        let before_start = Instant::now();
        start("RECORD01", "talk", format);
        let from = Instant::now();
        while from.elapsed() < Duration::from_millis(1_500) {
            ann.send_tone(1_000.0);
            ann.listen();
            std::thread::sleep(Duration::from_millis(5));
        }
        let least = from.elapsed();
        bench.server.send(McuCommand::StopRecording { conference: id("RECORD01") });
        let most = before_start.elapsed();
        let (file, length_ms, error) = ended(&bench);
        assert_eq!(error, None);
        let (length, frame) = (Duration::from_millis(length_ms), Duration::from_millis(20));
        assert!(least <= length + frame && length <= most + frame, "{length:?} of {least:?} to {most:?}");
        let bytes = std::fs::read(folder.path().join(&file)).expect("it has its name");
        match format {
            RecordingFormat::Wav => {
                wave = Some(bytes.len());
                assert_eq!(bytes.len() as u64, 44 + length_ms * 96);
            }
            RecordingFormat::Opus => opus = Some(bytes.len()),
        }
    }
    assert!(opus < wave, "Opus is smaller");
    drop(bench);
    let unfinished = std::fs::read_dir(folder.path()).expect("there").filter_map(Result::ok);
    assert_eq!(unfinished.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count(), 0);
}

#[test]
fn who_reports_loss_is_sent_error_correction() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start(address, 24_120..=24_139, Arc::new(Codecs));
    bench.create("LOSSY001");
    let mut ann = bench.join("LOSSY001", 1, address);
    let server = bench.reserve("LOSSY001", 2);
    let socket = UdpSocket::bind((address, 0)).expect("a port is free");
    socket.set_nonblocking(true).expect("a socket option");
    let local = socket.local_addr().expect("bound");
    let media = LegMedia {
        remote_rtp: local,
        remote_rtcp: local,
        rtcp_mux: true,
        codec: Codec::Opus,
        send_payload_type: 111,
        receive_payload_type: 111,
        opus_fec: true,
        ..ann.media()
    };
    bench.server.send(McuCommand::ConnectLeg { leg: LegId(2), media });
    // SSRC of the latest packet, and whether it is in Opus' speech mode, which alone has error correction.
    let mut latest = None;
    let mut talk = || {
        ann.send_tone(440.0);
        ann.listen();
        let mut packet = [0; 2_048];
        while let Ok(length) = socket.recv(&mut packet) {
            if length > 12 && packet[1] & 0x7F == 111 {
                latest = Some((packet[8..12].to_vec(), packet[12] >> 3 < 16));
            }
        }
        latest.clone()
    };
    until("audio comes", || talk().is_some_and(|(_, speech_mode)| !speech_mode));
    let (ssrc, _) = talk().expect("it came");
    // RFC 3550 6.4.2: a tenth was lost.
    let report = [&[0x81, 201, 0, 7, 0, 0, 0, 2], &*ssrc, &[26, 0, 0, 0], &[0; 16]].concat();
    socket.send_to(&report, server).expect("loopback");
    until("there is error correction", || talk().is_some_and(|(_, speech_mode)| speech_mode));
}

#[test]
fn gains_are_heard_at_the_other_end_of_the_wire() {
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let bench = Bench::start(address, 24_140..=24_159, Arc::new(Codecs));
    bench.create("LOUDNESS");
    let (mut ann, mut bob) = (bench.join("LOUDNESS", 1, address), bench.join("LOUDNESS", 2, address));
    let mut hears = || {
        ann.send_tone(1_000.0);
        ann.listen();
        bob.listen();
        bob.amplitude(1_000.0)
    };
    // The phone speaks at 8,000.
    let near = |heard: f64, wanted: f64| (0.85 * wanted..1.15 * wanted).contains(&heard);
    until("Bob hears Ann as she speaks", || near(hears(), 8_000.0));
    let set = |leg, ingress_db, egress_db| {
        bench.server.send(McuCommand::SetGain { leg: LegId(leg), ingress_db, egress_db });
    };
    set(2, 0, -20);
    until("Bob hears everything at a tenth", || near(hears(), 800.0));
    set(1, 6, 0);
    until("Ann is heard at twice that", || near(hears(), 1_600.0));
    set(2, 0, 0);
    until("Bob hears her twice as loud as she speaks", || near(hears(), 16_000.0));
}
