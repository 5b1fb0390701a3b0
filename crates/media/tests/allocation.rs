//! A leg that has warmed up does not allocate for a packet, protected or not.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use base::Timestamp;
use mcu_api::{Codec, LegMedia, SrtpKeys, SrtpProfile};

use crate::common::{PEER, address, leg, media, ms};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
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

/// Allocations of 100 ticks: to take a packet in and to hand its audio out, and to write one.
fn counted(srtp: Option<SrtpProfile>) -> (usize, usize) {
    let keys = srtp.map(|profile| {
        let key: Vec<u8> = (0..profile.key_length() as u8).collect();
        SrtpKeys { profile, local: key.clone(), remote: key, remote_mki: Vec::new() }
    });
    let media = LegMedia { srtp: keys, ..media(Codec::Opus) };
    let (mut ours, mut theirs) = (leg(1), leg(2));
    for leg in [&mut ours, &mut theirs] {
        leg.connect(Timestamp::ZERO, &media).expect("keys fit");
    }
    let payload = [0xF8; 80];
    let (mut packet, mut written) = (Vec::with_capacity(2_048), Vec::with_capacity(2_048));
    let (mut taken, mut sent) = (0, 0);
    for number in 0..300 {
        let now = ms(20 * number);
        theirs.write_rtp(now, &payload, 960, false, None, &mut packet).expect("it has an address");
        let before = ALLOCATIONS.get();
        ours.handle_rtp(now, address(PEER), &mut packet);
        ours.pull(now);
        let between = ALLOCATIONS.get();
        ours.write_rtp(now, &payload, 960, false, None, &mut written).expect("it has an address");
        ours.poll_rtcp(now, &mut written);
        let after = ALLOCATIONS.get();
        if number >= 200 {
            (taken, sent) = (taken + between - before, sent + after - between);
        }
    }
    assert_eq!(ours.statistics().received_packets, 300);
    (taken, sent)
}

#[test]
fn a_packet_costs_no_allocation() {
    assert_eq!(counted(None), (0, 0));
    for profile in [SrtpProfile::AesCm128HmacSha1_80, SrtpProfile::AesCm128HmacSha1_32, SrtpProfile::AeadAes128Gcm] {
        assert_eq!(counted(Some(profile)), (0, 0), "{profile:?}");
    }
}
