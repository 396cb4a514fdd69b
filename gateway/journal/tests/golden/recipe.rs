//! The inputs of the golden journal: two segments of 64 KiB, one erased blob, an anchor, a
//! snapshot. Not here: the files that they gave (`v1/`), and comparing.

use std::{error::Error, path::Path};

use journal::{BatchNo, Closed, Config, FileJournal, Journal, LogId, SegmentBytes, SegmentNo, Volume};

/// The files of the journal that are compared; the segment that is only ready is not kept.
pub const FILES: [&str; 4] =
    ["0000000000000000.seg", "0000000000000001.seg", "anchor", "snapshot-00000000000100f0"];

/// In this batch the blob with index 0 is erased.
pub const ERASED_BATCH: u64 = 1;
/// By whom, as stored.
pub const ERASED_BY: u64 = 0x1122_3344_5566_7788;
/// The owner's bytes in the anchor.
pub const CHECKPOINT: &[u8] = b"referral.example/log/2026\n4\n";
/// The owner's bytes in the snapshot.
pub const STATE: &[u8] = b"open work, clocks, frontier";

/// Metadata and blobs of the four batches, in order.
pub fn batches() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    vec![
        (b"first".to_vec(), vec![]),
        (b"second".to_vec(), vec![b"ciphertext that goes".to_vec(), b"ciphertext".to_vec()]),
        (b"third".to_vec(), vec![(0..=255).cycle().take(65_100).collect(), vec![]]),
        (b"fourth, in the next segment".to_vec(), vec![vec![0xa5; 100]]),
    ]
}

/// Makes the journal in an existing, empty directory.
pub fn write(directory: &Path) -> Result<(), Box<dyn Error>> {
    let volume = Volume::directory(directory)?;
    let log_id = LogId::new(*b"golden log id 01");
    FileJournal::create(&volume, &log_id, SegmentBytes::MIN)?;
    let closed = Closed::lock(&volume, &volume)?;
    let (mut journal, _) = closed.recover(Config::inline(), None)?;
    for (meta, blobs) in batches() {
        let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        journal.append(&meta, &blobs)?;
    }
    let erased = BatchNo::new(ERASED_BATCH);
    journal.eraser().rewrite_segment(SegmentNo::new(0), |batch_no, _, blob| {
        (batch_no == erased && blob == 0).then_some(ERASED_BY)
    })?;
    journal.anchor().write(journal.end(), CHECKPOINT)?;
    journal.snapshots().write(journal.end(), [STATE])?;
    Ok(())
}
