//! The agent's command line. Not here: what it does (the library), and the words of its outcomes
//! (`program`).

#[cfg(unix)]
mod program;

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    program::main()
}

/// The command line speaks to the agent over a Unix socket, which this system does not have.
#[cfg(not(unix))]
fn main() -> ExitCode {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "the command line is not available on this system yet"));
    ExitCode::FAILURE
}
