//! A program of the agency's that carries a notice: it reads one line of JSON. Not here: what stands in it
//! (`notices`).

use std::{
    io::Write as _,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::way::NotTold;

/// How long the agency's program may take.
pub(super) const PROGRAM_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether the program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Runs the agency's program with a message on its standard input.
pub(super) fn carry(command: &[String], message: &str) -> Result<(), NotTold> {
    let not_run = |error: std::io::Error| NotTold::NotRun(error.kind());
    let (program, arguments) = command.split_first().ok_or(NotTold::NotRun(std::io::ErrorKind::NotFound))?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(not_run)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has perhaps ended already: its status tells.
        drop(writeln!(input, "{message}"));
    }
    let end = Instant::now() + PROGRAM_TIME_MAX;
    loop {
        if let Some(status) = child.try_wait().map_err(not_run)? {
            return if status.success() { Ok(()) } else { Err(NotTold::ProgramFailed) };
        }
        if Instant::now() >= end {
            child.kill().and_then(|()| child.wait()).map_err(not_run)?;
            return Err(NotTold::ProgramLate);
        }
        thread::sleep(LOOK_EVERY);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_program_reads_the_message_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("cat > '{}'", told.display());
        let command = ["sh", "-c", &script].map(str::to_owned);
        assert_eq!(carry(&command, "{\"unseen\":1}"), Ok(()));
        assert_eq!(std::fs::read_to_string(told).unwrap(), "{\"unseen\":1}\n");
        assert_eq!(carry(&["false".to_owned()], ""), Err(NotTold::ProgramFailed));
        let nowhere = Err(NotTold::NotRun(std::io::ErrorKind::NotFound));
        assert_eq!(carry(&["/nowhere/at-all".to_owned()], ""), nowhere);
        assert_eq!(carry(&[], ""), nowhere);
    }
}
