//! The committed journal of format version 1: what we write today is the same bytes, and what was
//! written then is read. Not here: its inputs (`golden/recipe.rs`).

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub, reason = "a test's helpers")]

#[path = "golden/recipe.rs"]
mod recipe;

use std::{fs, path::Path};

use journal::{AnchorFound, Blob, Closed, Config, Journal, Mark, Volume};

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1")
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    recipe::write(directory.path()).unwrap();
    for name in recipe::FILES {
        let written = fs::read(directory.path().join(name)).unwrap();
        assert!(written == fs::read(golden().join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn the_golden_journal_is_read() {
    let directory = tempfile::tempdir().unwrap();
    for name in recipe::FILES {
        fs::copy(golden().join(name), directory.path().join(name)).unwrap();
    }
    let volume = Volume::directory(directory.path()).unwrap();
    let closed = Closed::lock(&volume, &volume).unwrap();
    let snapshot = closed.snapshots().newest().unwrap().snapshot.unwrap();
    assert_eq!(snapshot.bytes(), recipe::STATE);
    let (journal, recovered) = closed.recover(Config::inline(), None).unwrap();
    assert_eq!((recovered.damage, recovered.cut), (vec![], None));
    assert_eq!((recovered.end.batch_no.get(), snapshot.mark), (4, recovered.end));
    let AnchorFound::Found(anchor) = recovered.anchor else { panic!("no anchor") };
    assert_eq!((anchor.mark, &anchor.owner_bytes[..]), (recovered.end, recipe::CHECKPOINT));
    let batches: Vec<_> = journal.reader().iter_from(Mark::START).map(Result::unwrap).collect();
    assert_eq!(batches.len(), recipe::batches().len());
    for (batch, (meta, blobs)) in batches.iter().zip(recipe::batches()) {
        assert_eq!(batch.meta(), meta);
        for (index, (blob, given)) in batch.blobs().zip(&blobs).enumerate() {
            let erased = batch.mark().batch_no.get() == recipe::ERASED_BATCH && index == 0;
            let expected =
                if erased { Blob::Erased { bytes: 20, by: recipe::ERASED_BY } } else { Blob::Present(given) };
            assert_eq!(blob, expected);
        }
    }
}
