//! The `convoke` binary: reads the command line and the configuration, builds the adapters, pumps effects, drains on
//! signal. Decides nothing; every decision is a machine's.
//!
//! Start reading at [`server`], then [`pump`].

#![forbid(unsafe_code)]

mod assemble;
mod calendar;
mod cli;
mod clock;
mod config;
mod demo;
mod evaluation;
mod groups_api;
mod guard;
mod happenings;
mod histories;
mod http;
mod journal;
mod phrases;
mod profiles;
mod pump;
mod registrations;
mod seed;
mod server;
mod storage;
mod story;
mod trusted;
mod watch;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    forbid_huge_pages();
    cli::run()
}

/// Memory comes in pages of 4 KiB, and not of 2 MiB, of which the kernel clears each as a whole when its first byte is touched:
/// a call's few dozen KiB lie apart, so that huge pages are mostly empty. loadtest/README.md has what either costs.
fn forbid_huge_pages() {
    // A kernel that refuses wastes memory, and nothing else.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_gives_no_huge_pages() {
        super::forbid_huge_pages();
        let status = std::fs::read_to_string("/proc/self/status").expect("proc(5)");
        assert!(status.contains("THP_enabled:\t0"), "{status}");
    }
}
