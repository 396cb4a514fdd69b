//! The store under `kill -9`: a process of its own writes and tells what was answered; it is killed at
//! any moment, and everything that it told of must be there, whole and in order; what it told of as erased
//! must not.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and tells what it saw")]
#![allow(clippy::print_stdout, reason = "this is how the process that is killed tells what was answered")]

use std::{
    env,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use agent::{
    keys::StoreKey,
    records::{Erased, Leaf, Record, record},
    store::{self, Claim, Entry, Fold, Place, Store, StoreFault},
};
use zeroize::Zeroizing;

/// Names the folder to the process that is killed. Only this test sets it.
const FOLDER: &str = "AGENT_KILL_TEST_FOLDER";
const ROUNDS: u64 = 30;
const WRITERS: u64 = 4;
/// Of one in so many the body is erased again.
const ERASED: u64 = 16;

/// Each writer's numbers in the order in which they were folded, and where they stand.
#[derive(Default)]
struct Seen(Vec<(u64, Place)>);

impl Fold for Seen {
    fn apply(&mut self, place: Place, record: &Record) {
        if let Some(record::Record::Leaf(leaf)) = &record.record {
            self.0.push((leaf.index, place));
        }
    }
}

fn open(folder: &Path) -> Result<Store<Seen>, StoreFault> {
    let key = StoreKey::new(Zeroizing::new([7; 32]));
    Store::open(folder, &key, Seen::default())
}

fn body(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(usize::try_from(20 + number % 3_000).unwrap())
}

fn entry(number: u64) -> Entry {
    let leaf = Leaf { index: number, record: Vec::new() };
    let record = Record { at_ms: 1, record: Some(record::Record::Leaf(leaf)) };
    Entry { record, body: Some(body(number)) }
}

/// As the agent does it: the record that says so, then the body; again while no other segment is ready.
async fn erase(store: &Arc<Store<Seen>>, place: Place) {
    loop {
        let record = Record { at_ms: 1, record: Some(record::Record::Erased(Erased::default())) };
        let by = store.append_apart(vec![Entry::new(record)], Claim::Reserved).await.unwrap()[0];
        let erasing = Arc::clone(store);
        let erased = tokio::task::spawn_blocking(move || erasing.erase(&[place], by).unwrap());
        if erased.await.unwrap() {
            return;
        }
    }
}

/// Not a test by itself: what the process does that is killed.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else {
        return;
    };
    let store = Arc::new(open(Path::new(&folder)).unwrap());
    let next = store.read(|seen| seen.0.iter().map(|(number, _)| number / WRITERS + 1).max().unwrap_or(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let writers = (0..WRITERS).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for step in next.. {
                    let number = step * WRITERS + writer;
                    let places = store.append(vec![entry(number)], Claim::Ordinary).await.unwrap();
                    println!("answered {number}");
                    if number.is_multiple_of(ERASED) {
                        erase(&store, places[0]).await;
                        println!("erased {number}");
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

#[test]
fn nothing_that_was_answered_is_lost() {
    let place = tempfile::tempdir().unwrap();
    store::create(place.path()).unwrap();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
    let mut random = u64::try_from(started & u128::from(u64::MAX)).unwrap() | 1;
    println!("seed {random}");
    let (mut answered, mut erased): (Vec<u64>, Vec<u64>) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        for (word, number) in killed_after(place.path(), random % 60) {
            if word == "answered" { answered.push(number) } else { erased.push(number) }
        }
        let store = open(place.path()).unwrap();
        let there = store.read(|seen| seen.0.clone());
        let numbers: Vec<u64> = there.iter().map(|(number, _)| *number).collect();
        for number in &answered {
            assert!(numbers.contains(number), "round {round}: {number} was answered and is gone");
        }
        for writer in 0..WRITERS {
            let own: Vec<_> = numbers.iter().filter(|number| *number % WRITERS == writer).collect();
            assert!(own.is_sorted(), "round {round}: the order of writer {writer}");
        }
        for (number, at) in there.iter().rev().take(50) {
            let there = store.body(*at).unwrap();
            assert!(
                there.is_some() || number.is_multiple_of(ERASED),
                "round {round}: {number} was never erased"
            );
            assert!(there.is_none_or(|there| there.as_slice() == body(*number)), "round {round}");
        }
        for number in &erased {
            let (_, at) = there.iter().find(|(one, _)| one == number).unwrap();
            assert_eq!(store.body(*at).unwrap(), None, "round {round}: {number} was erased");
        }
        let unanswered = numbers.len() - answered.len();
        assert!(
            unanswered <= usize::try_from(WRITERS * (round + 1)).unwrap(),
            "{unanswered} more than asked"
        );
        close(store);
    }
    assert!(answered.len() > 100, "{} answers are too few to show anything", answered.len());
    assert!(erased.len() > 5, "{} erasures are too few to show anything", erased.len());
}

/// Starts the process, and kills it after so many answers. Gives all that it told.
fn killed_after(folder: &Path, answers: u64) -> Vec<(String, u64)> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut told = Vec::new();
    while u64::try_from(told.len()).unwrap() <= answers {
        let mut line = String::new();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "it ended by itself");
        told.extend(said(&line));
    }
    child.kill().unwrap();
    // What it had written to the pipe before it died was answered too.
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    told.extend(rest.split_inclusive('\n').filter_map(said));
    child.wait().unwrap();
    told
}

/// What a whole line tells, and of which number. A torn one tells nothing: its number may be cut.
fn said(line: &str) -> Option<(String, u64)> {
    let line = line.strip_suffix('\n')?;
    ["answered", "erased"].into_iter().find_map(|word| {
        let (_, number) = line.rsplit_once(word)?;
        Some((word.to_owned(), number.trim_start().parse().ok()?))
    })
}

/// Lets go of the store, and waits until its thread has.
fn close(store: Store<Seen>) {
    let mut changes = store.changes();
    drop(store);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { while changes.changed().await.is_ok() {} });
}
