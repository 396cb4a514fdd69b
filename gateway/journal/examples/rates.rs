//! How fast batches become durable, beside the machine's own rate of write and sync of the same
//! sizes, taken alternately: `cargo run --release -p journal --example rates -- DIRECTORY`.
//! Prints a line of JSON for each size. Not here: anything but the journal.

use std::{
    error::Error,
    fs::{File, OpenOptions},
    io::{Write, stdout},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use journal::{Closed, Config, FileJournal, Journal, LogId, SegmentBytes, Volume, batch_bytes};

const ENTRY_BYTES: usize = 2048;
const BATCH_ENTRIES: [u32; 4] = [1, 16, 64, 256];
const ROUNDS: usize = 8;
const ROUND: Duration = Duration::from_millis(500);
const BARE_BYTES: u64 = 64 * 1024 * 1024;

fn main() -> Result<(), Box<dyn Error>> {
    let parent = std::env::args_os().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = parent.join(format!("journal-rates-{}", std::process::id()));
    std::fs::create_dir(&directory)?;
    let measured = measure(&directory);
    std::fs::remove_dir_all(&directory)?;
    measured
}

fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let mut journal = journal(directory)?;
    let mut bare = Bare::new(&directory.join("bare"))?;
    for entries in BATCH_ENTRIES {
        let mut own = Vec::new();
        let mut machine = Vec::new();
        for _ in 0..ROUNDS {
            own.push(rate(entries, || append(&mut journal, entries))?);
            machine.push(rate(entries, || bare.write(entries))?);
        }
        let (own, machine) = (median(own), median(machine));
        writeln!(
            stdout(),
            "{{\"batch_entries\":{entries},\"entry_bytes\":{ENTRY_BYTES},\
             \"journal_entries_per_s\":{own:.0},\"machine_entries_per_s\":{machine:.0},\
             \"ratio\":{:.3}}}",
            own / machine
        )?;
    }
    Ok(())
}

fn journal(directory: &Path) -> Result<FileJournal, Box<dyn Error>> {
    let volume = Volume::directory(directory)?;
    FileJournal::create(&volume, &LogId::new([1; 16]), SegmentBytes::DEFAULT)?;
    let config = Config { reserve_bytes: 0, ..Config::default() };
    Ok(Closed::lock(&volume, &volume)?.recover(config, None)?.0)
}

fn append(journal: &mut FileJournal, entries: u32) -> Result<(), Box<dyn Error>> {
    let entry = [0x5a; ENTRY_BYTES];
    let blobs: Vec<&[u8]> = (0..entries).map(|_| &entry[..]).collect();
    journal.append(b"", &blobs)?;
    Ok(())
}

/// Entries a second over one round.
fn rate(entries: u32, mut batch: impl FnMut() -> Result<(), Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < ROUND {
        batch()?;
        count += entries;
    }
    Ok(f64::from(count) / started.elapsed().as_secs_f64())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// A file full of zeros that is written over from start to end, again and again.
struct Bare {
    file: File,
    at: u64,
    bytes: Vec<u8>,
}

impl Bare {
    fn new(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all_at(&vec![0; usize::try_from(BARE_BYTES)?], 0)?;
        file.sync_all()?;
        Ok(Self { file, at: 0, bytes: Vec::new() })
    }

    fn write(&mut self, entries: u32) -> Result<(), Box<dyn Error>> {
        let bytes = batch_bytes(0, (0..entries).map(|_| ENTRY_BYTES));
        self.bytes.resize(usize::try_from(bytes)?, 0x5a);
        if self.at + bytes > BARE_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(&self.bytes, self.at)?;
        self.file.sync_data()?;
        self.at += bytes;
        Ok(())
    }
}
