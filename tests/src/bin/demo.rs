//! `cargo demo`: a whole network on this machine, and one referral's way through it. Everything that
//! is shown is done by the real programs, and could be typed. Not here: the programs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it tells a story")]

use std::{path::PathBuf, process::ExitCode, time::Instant};

use trials::{
    arguments::Arguments,
    demo::{Stage, story},
};

const USAGE: &str = "cargo demo [--once] [--dir FOLDER]

Runs a network of five agencies and a gateway in a temporary folder, sends an invented case through it,
and then leaves the network up for you.

  --once         end after the story
  --dir FOLDER   work in this empty folder, and keep it";

fn main() -> ExitCode {
    let arguments = Arguments::of_process(&["once", "help"]);
    if arguments.has("help") || !arguments.words.is_empty() {
        println!("{USAGE}");
        return if arguments.has("help") { ExitCode::SUCCESS } else { ExitCode::from(2) };
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nThe demo stopped: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = arguments.text("dir").map(PathBuf::from);
    let programs = trials::demo::build()?;
    let begun = Instant::now();
    let mut stage = Stage::open(programs, folder)?;
    story(&mut stage)?;
    println!("\nThat took {} seconds.", begun.elapsed().as_secs());
    if arguments.has("once") {
        return stage.close();
    }
    stage.stay_open()
}
