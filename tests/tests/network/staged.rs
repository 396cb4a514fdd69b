//! What trials with real agents share: the demo's network, and waiting for what its programs do.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    path::Path,
    thread,
    time::{Duration, Instant},
};

use trials::{
    demo::{Programs, Stage, found},
    sandbox::program,
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// The demo's five agencies, with their agreements.
pub(crate) fn stage(folder: &Path) -> Stage {
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.join("stage"))).unwrap();
    found(&mut stage).unwrap();
    stage
}

/// Looks again and again until something has come.
pub(crate) fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(came) = come() {
            return came;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        thread::yield_now();
    }
}
