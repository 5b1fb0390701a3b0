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
mod http;
mod journal;
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
    cli::run()
}
