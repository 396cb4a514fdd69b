//! The gateway's program. Not here: what it does (the library).

mod commands;

use std::process::ExitCode;

use clap::Parser as _;

/// Small things are made on one thread and freed on another all the time, which the system's allocator
/// is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    commands::Arguments::parse().run()
}
