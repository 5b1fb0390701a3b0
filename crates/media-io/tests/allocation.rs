//! A worker that has warmed up reads, ticks, sends and reports without allocating.

mod phone;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use base::{ConferenceId, LegId};
use codecs::Codecs;
use mcu_api::{AloneAudio, ConferenceMedia, McuCommand, McuEvent};
use media_io::{EventSink, MediaConfig, MediaServer};

use crate::phone::Phone;

/// Generous: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

thread_local! {
    /// What this thread allocates is not the media side's.
    static FOREIGN: Cell<bool> = const { Cell::new(false) };
}

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !FOREIGN.get() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_worker_with_steady_talkers_does_not_allocate() {
    FOREIGN.set(true);
    let address = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (sender, events) = channel();
    let sink: EventSink = Box::new(move |event| {
        // The sink is the control side's, and so is what it does with an event.
        let before = FOREIGN.replace(true);
        drop(sender.send(event));
        FOREIGN.set(before);
    });
    let config = MediaConfig {
        address,
        advertised: address,
        ports: 24_160..=24_179,
        workers: 1,
        pin_workers: false,
        ..MediaConfig::default()
    };
    let server = MediaServer::start(config, Arc::new(Codecs), sink).expect("the system is able");
    let conference = ConferenceId::parse("STEADY01").expect("valid");
    let media = ConferenceMedia {
        alone: AloneAudio::Silence,
        entry_exit_tones: false,
        media_silence_ms: 0,
        jitter_delay_max_ms: 120,
    };
    server.send(McuCommand::CreateConference { conference: conference.clone(), media });
    let mut phones: Vec<Phone> = (1..=4)
        .map(|leg| {
            let leg = LegId(leg);
            server.send(McuCommand::ReserveLeg { conference: conference.clone(), leg });
            let rtp = std::iter::from_fn(|| events.recv_timeout(PATIENCE).ok()).find_map(|event| match event {
                McuEvent::LegReserved { leg: reserved, rtp, .. } if reserved == leg => Some(rtp),
                _ => None,
            });
            let phone = Phone::new(address, rtp.expect("there are ports"), leg.0 as u32);
            server.send(McuCommand::ConnectLeg { leg, media: phone.media() });
            phone
        })
        .collect();
    let mut talk_until = |ticks: u64| {
        let deadline = Instant::now() + PATIENCE;
        while server.counters().ticks < ticks {
            assert!(Instant::now() < deadline, "the worker ticks");
            for (at, phone) in phones.iter_mut().enumerate() {
                phone.send_tone(500.0 + 100.0 * at as f64);
                phone.forget();
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    };
    // Until every buffer has been used, the sockets are settled and the first reports were written.
    talk_until(500);
    events.try_iter().for_each(drop);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    talk_until(server.counters().ticks + 300);
    let counted = ALLOCATIONS.load(Ordering::Relaxed) - before;
    // On a machine that stands still for a while somebody may be heard to pause, and a report of who speaks has a list.
    let reports = events.try_iter().filter(|event| matches!(event, McuEvent::ActiveSpeakers { .. })).count();
    assert!(counted <= 4 * reports, "{counted} allocations, {reports} reports of who speaks");
}
