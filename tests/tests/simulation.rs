//! Many seeds of the simulation, and the bugs that it must see.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells what it saw"
)]

use std::{
    env,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use trials::simulation::{Done, FAULTS, Failure, STEPS, planted::Bug, run};

/// Seeds of the test command. Long runs are the same test with more: `TRIAL_SEEDS=1000000`.
const SEEDS: u64 = 1_500;
/// Among so many seeds each planted bug must be seen.
const SEEDS_TO_SEE_A_BUG: u64 = 300;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap())
}

/// So many seeds, on all cores; the first that fails ends it.
fn run_all(seeds: u64) -> Result<Done, Failure> {
    let next = AtomicU64::new(number("TRIAL_FIRST_SEED").unwrap_or(0));
    let end = next.load(Ordering::Relaxed) + seeds;
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let worker = || {
            let mut done = Done::default();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= end {
                    return Ok(done);
                }
                let one = run(seed, None).inspect_err(|_| next.store(end, Ordering::Relaxed))?;
                assert!(one.steps >= STEPS && one.faults >= FAULTS, "seed {seed}: {one:?}");
                done += one;
            }
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut all = Done::default();
        for worker in workers {
            all += worker.join().unwrap()?;
        }
        Ok(all)
    })
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_told_twice() {
    let done = match run_all(number("TRIAL_SEEDS").unwrap_or(SEEDS)) {
        Ok(done) => done,
        Err(failure) => panic!("{failure}"),
    };
    println!("{done:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(done.acknowledged > 0 && done.repeated > 0 && done.handed_over > 0 && done.lives > 0, "{done:?}");
    assert!(done.expiries > 0 && done.escalations > 0, "{done:?}");
    assert!(done.key_changes > 0 && done.operations > 0, "{done:?}");
    assert!(done.index_runs > 0 && done.index_made_again > 0, "{done:?}");
}

fn is_seen(bug: Bug) {
    let seen = (0..SEEDS_TO_SEE_A_BUG).find_map(|seed| run(seed, Some(bug)).err());
    match seen {
        Some(failure) => println!("{bug:?}: {failure}"),
        None => panic!("{bug:?} was not seen in {SEEDS_TO_SEE_A_BUG} seeds"),
    }
}

#[test]
fn an_answer_before_the_sync_is_seen() {
    is_seen(Bug::AnswerBeforeSync);
}

#[test]
fn an_ignored_append_error_is_seen() {
    is_seen(Bug::IgnoredAppendError);
}

#[test]
fn a_new_receipt_on_retry_is_seen() {
    is_seen(Bug::NewReceiptOnRetry);
}

#[test]
fn a_skipped_tile_is_seen() {
    is_seen(Bug::SkippedTile);
}

#[test]
fn a_duplicate_within_a_batch_is_seen() {
    is_seen(Bug::DuplicateInBatch);
}

#[test]
fn rows_that_the_index_forgot_are_seen() {
    is_seen(Bug::ForgottenRows);
}
