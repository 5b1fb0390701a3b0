//! What one tick of a conference costs, in processor time of the thread, without sockets.
//!
//! Rooms of 10, 100 and 1,000 legs with 0 to 3 talkers. Everybody sends: the talkers a synthetic voice, the others room
//! noise, both as packets that were encoded before. Columns: all that is done for a leg in 20 ms (its packet handed in,
//! its share of the tick), the same for the whole room, and the memory a leg has. The kinds "mixed" (a third of the legs each
//! with Opus, PCMU and PCMA) and "mixed-ptime" (20, 40 and 60 ms) show what each further format costs to encode; "louder" and
//! "prompted", in which everybody hears something else than the plain mix, that it is encoded once for all who hear the same.
//!
//!     cargo bench -p mcu --bench room                       # the table
//!     cargo bench -p mcu --bench room -- 100 3 low-delay    # one room, for example under `valgrind --tool=callgrind`

#![allow(clippy::print_stdout, reason = "a table for people is what this program is for")]

mod heap;
mod room;
mod sound;

use room::{Kind, Room};

/// Ticks before it is measured: until noise is known to be noise and every buffer has its size.
const SETTLING: usize = 400;
const MEASURED: usize = 300;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    println!(
        "{:>6} {:>8}  {:<22} {:>12} {:>12} {:>12}",
        "legs", "talkers", "packets", "us per leg", "us per tick", "KiB per leg"
    );
    for kind in Kind::ALL {
        for legs in [10, 100, 1_000] {
            for talkers in 0..=3 {
                let name = [legs.to_string(), talkers.to_string(), kind.name().to_owned()];
                if wanted.is_empty() || wanted.iter().eq(&name) {
                    measure(legs, talkers, kind);
                }
            }
        }
    }
}

fn measure(legs: usize, talkers: usize, kind: Kind) {
    heap::forget();
    let mut room = Room::new(legs, talkers, kind);
    for _ in 0..SETTLING {
        tick(&mut room);
    }
    // The least of several parts: whatever else runs on the machine only adds.
    let part = |room: &mut Room| (0..MEASURED / 6).map(|_| tick(room)).sum::<f64>() / (MEASURED / 6) as f64;
    let took = (0..6).map(|_| part(&mut room)).fold(f64::INFINITY, f64::min);
    let (leg, memory) = (took / legs as f64, heap::held() as f64 / 1_024.0 / legs as f64);
    println!("{legs:>6} {talkers:>8}  {:<22} {leg:>12.3} {took:>12.1} {memory:>12.1}", kind.name());
}

/// Does a tick and answers how long the conference worked; that the phones prepare their packets is not measured.
fn tick(room: &mut Room) -> f64 {
    room.prepare();
    let begun = thread_time_us();
    room.tick();
    thread_time_us() - begun
}

/// Processor time of this thread, microseconds.
fn thread_time_us() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is writable and outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}
