//! The tick allocates nothing, but for the events it reports.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use base::{Duration, LegId};
use mcu::Port;
use mcu_api::{Codec, Prompt};

use crate::analysis::decibels;
use crate::phone::{AMPLITUDE, Phone};
use crate::world::{SETTINGS, World};

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
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
fn a_steady_conference_ticks_without_allocating() {
    let mut world = World::new(SETTINGS);
    for leg in 0..12 {
        let codec = [Codec::Opus, Codec::Pcmu, Codec::Pcma][leg as usize % 3];
        let phone = Phone::new(leg, codec, 500.0 + 100.0 * leg as f64);
        world.join(if leg < 4 { phone } else { phone.silent() });
    }
    world.run(12.0);
    assert_eq!(allocations(&mut world, 100), 0);
}

/// Four of twelve speak at a time, others every half second. Decoders and encoders go from one to the other.
#[test]
fn changing_talkers_cost_no_allocation_but_the_report() {
    let mut world = World::new(SETTINGS);
    for leg in 0..12 {
        let codec = [Codec::Opus, Codec::Pcmu, Codec::Pcma][leg as usize % 3];
        world.join(Phone::new(leg, codec, 500.0 + 100.0 * leg as f64).silent());
    }
    let turn = |world: &mut World, number: u64| {
        for leg in 0..12 {
            world.phone(leg).amplitude = if (leg + number).is_multiple_of(3) { 0.22 } else { 0.0 };
        }
    };
    for number in 0..24 {
        turn(&mut world, number);
        world.run(0.5);
    }
    let mut counted = 0;
    world.events.clear();
    for number in 24..36 {
        turn(&mut world, number);
        counted += allocations(&mut world, 25);
    }
    // Each report of who speaks carries a list, and the conference's name; one or two tables may still grow.
    let reports = world.events.len();
    assert!(reports >= 12, "the talkers changed");
    assert!(counted <= 2 * reports + 4, "{counted} allocations for {reports} reports");
}

/// Allocations of this thread.
pub(crate) fn allocations_so_far() -> usize {
    ALLOCATIONS.get()
}

/// Some hear louder, and all are played a prompt at once, a second time: the streams of the first time are used again.
#[test]
fn a_prompt_to_all_is_played_again_without_allocating() {
    let mut world = World::new(SETTINGS);
    for leg in 0..60 {
        let codec = [Codec::Opus, Codec::Pcmu, Codec::Pcma][leg as usize % 3];
        let phone = Phone::new(leg, codec, 500.0 + 100.0 * leg as f64);
        world.join(if leg < 3 { phone } else { phone.silent() });
    }
    (20..40).for_each(|leg| world.conference.set_gain(LegId(leg), 0, 3));
    world.run(6.0);
    let mut counted = 0;
    for _ in 0..2 {
        (0..60).for_each(|leg| world.conference.play_prompt(LegId(leg), Prompt::Ending));
        counted = allocations(&mut world, 50);
    }
    assert_eq!(counted, 0);
}

/// Nine want to hear each otherwise, at once and for the first time: one more than streams wait for them, so that one has to
/// wait a tick.
#[test]
fn a_tick_that_opens_branches_does_not_allocate() {
    for codec in [Codec::Opus, Codec::Pcmu] {
        let mut world = World::new(SETTINGS);
        world.join(Phone::new(0, codec, 500.0));
        (1..=9).for_each(|leg| world.join(Phone::new(leg, codec, 300.0).silent()));
        world.run(3.0);
        (1..=9).for_each(|leg| world.conference.set_gain(LegId(leg), 0, -2 * leg as i8));
        let before = world.allocated;
        world.run(1.0);
        assert_eq!(world.allocated, before, "{codec:?}");
        for leg in 1..=9 {
            let heard = decibels(world.phone(leg).last(0.5), 500.0, AMPLITUDE);
            assert!((heard + 2.0 * leg as f64).abs() < 1.5, "{codec:?}: leg {leg} hears it {heard} dB louder");
        }
    }
}

/// Allocations inside of so many ticks.
fn allocations(world: &mut World, ticks: usize) -> usize {
    let mut counted = 0;
    for _ in 0..ticks {
        for phone in &mut world.phones {
            let mut packet = phone.speak();
            world.conference.handle_packet(world.now, phone.leg, Port::Rtp, phone.media.remote_rtp, &mut packet);
        }
        world.now = world.now + Duration::from_millis(20);
        world.sink.clear();
        world.conference.prepare();
        let before = allocations_so_far();
        world.conference.tick(world.now);
        world.conference.send(world.now, &mut world.sink);
        counted += allocations_so_far() - before;
        world.events.extend(std::iter::from_fn(|| world.conference.poll_event()));
    }
    counted
}
