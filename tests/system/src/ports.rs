//! Free port numbers on loopback.

use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU32, Ordering};

/// Below the range the kernel takes ephemeral ports from, so that nobody grabs one between our look and its use.
const FIRST: u16 = 11_000;
const LAST: u16 = 31_000;

/// Where the next search starts. Processes start at different places, so that test binaries do not follow each other.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// The first of `count` neighbouring ports, an even number, that are free for UDP and TCP now. Each call gives others.
pub(crate) fn free(count: u16) -> u16 {
    let spread = std::process::id() % 19 * 1_000;
    let span = u32::from(LAST - FIRST);
    for _ in 0..2_000 {
        let offset = NEXT.fetch_add(u32::from(count + count % 2), Ordering::Relaxed);
        // One circle for all sizes: a phone's port must never lie in the range a server keeps for its legs.
        let Ok(place) = u16::try_from(offset.wrapping_add(spread) % span) else { continue };
        let first = FIRST + place;
        if first + count <= LAST && (first..first + count).all(is_free) {
            return first;
        }
    }
    panic!("no {count} free ports between {FIRST} and {LAST}");
}

fn is_free(port: u16) -> bool {
    UdpSocket::bind(("127.0.0.1", port)).is_ok() && TcpListener::bind(("127.0.0.1", port)).is_ok()
}
