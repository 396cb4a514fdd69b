//! The gateway's program. Not here: what it does (the library).

mod commands;

use std::process::ExitCode;

use clap::Parser as _;
use mimalloc::MiMalloc;

/// What comes is taken on one thread and given back on another, a hundred thousand times a second.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    commands::Arguments::parse().run()
}
