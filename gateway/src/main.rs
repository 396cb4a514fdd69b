//! The gateway's program. Not here: what it does (the library).

mod commands;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    commands::Arguments::parse().run()
}
