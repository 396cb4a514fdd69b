//! Snapshots of the store: the heads that a start still needs, so that it does not read all that was ever
//! written. Derived: without one a start takes longer, and makes the same. Not here: which heads are
//! needed ([`Fold::keeps`]).

use journal::{FileJournal, Journal as _, Mark, snapshot::Snapshots};
use prost::Message as _;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Fold, Place, StoreFault, VERSION, cipher, cipher::Cipher, heads, opening};
use crate::records::{Kept, Snapshot};

/// Where a snapshot stands among the records of a batch: behind all of them.
const SLOT: u32 = u32::MAX;

/// Why no snapshot was written.
#[derive(Debug, Error)]
pub(super) enum NotWritten {
    #[error(transparent)]
    Store(#[from] StoreFault),
    #[error(transparent)]
    Journal(#[from] journal::Fault),
    #[error(transparent)]
    Cipher(#[from] cipher::CipherFailed),
}

/// The newest one that is whole and ours.
pub(super) fn newest(
    snapshots: &Snapshots,
    cipher: &Cipher,
) -> Result<Option<(Mark, Vec<Kept>)>, StoreFault> {
    let loaded = snapshots.newest().map_err(|fault| opening(journal::OpenError::Fault(fault)))?;
    let Some(snapshot) = loaded.snapshot else {
        return Ok(None);
    };
    let number = snapshot.mark.batch_no.get();
    let opened = cipher.unseal(snapshot.bytes(), number, SLOT, cipher::Kind::Snapshot);
    // With another key the journal says so.
    let Ok(opened) = opened else {
        tracing::warn!("the store's snapshot cannot be opened; all of the store is read");
        return Ok(None);
    };
    match Snapshot::decode(opened.as_slice()) {
        Ok(read) if read.version == VERSION => Ok(Some((snapshot.mark, read.kept))),
        // A later version's: so is the journal, then.
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Writes a snapshot up to the journal's end. Gives how many records it holds.
pub(super) fn write(journal: &FileJournal, cipher: &Cipher, folded: &impl Fold) -> Result<usize, NotWritten> {
    let mark = journal.end();
    let (from, mut kept) = newest(&journal.snapshots(), cipher)?.unwrap_or((Mark::START, Vec::new()));
    kept.retain(|kept| kept.record.as_ref().is_some_and(|record| folded.keeps(record)));
    for batch in journal.reader().iter_from(from) {
        for (Place { position, slot }, record) in heads(&batch.map_err(StoreFault::Read)?, cipher)? {
            if folded.keeps(&record) {
                kept.push(Kept { position, slot, record: Some(record) });
            }
        }
    }
    let records = kept.len();
    let plain = Zeroizing::new(Snapshot { version: VERSION, kept }.encode_to_vec());
    let sealed = cipher.seal(&plain, mark.batch_no.get(), SLOT, cipher::Kind::Snapshot)?;
    journal.snapshots().write(mark, &[sealed])?;
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        keys::StoreKey,
        records::{Alarm, AlarmKind, Erased, ErasedWhy, Leaf, Record, Seen, Settled, SettledReason, record},
    };

    #[test]
    fn what_another_implementation_wrote_is_read_for_ever() {
        let golden = include_str!("../../tests/golden/store-snapshot-v1.hex");
        let mut lines = golden.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
        });
        let (encoded, blob) = (lines.next().unwrap(), lines.next().unwrap());
        let cipher = Cipher::new(&StoreKey::new(Zeroizing::new([1; 32])));
        assert_eq!(cipher.unseal(&blob, 7, SLOT, cipher::Kind::Snapshot).unwrap().as_slice(), encoded);
        assert!(cipher.unseal(&blob, 7, SLOT, cipher::Kind::Head).is_err(), "no record's");
        let at = |record| Record { at_ms: 1_790_000_000_000, record: Some(record) };
        let leaf = at(record::Record::Leaf(Leaf { index: 300, record: b"a leaf".to_vec() }));
        let kept = vec![Kept { position: 4096, slot: 3, record: Some(leaf) }];
        assert_eq!(Snapshot { version: VERSION, kept }.encode_to_vec(), encoded);
        let referral =
            proto::wire::ReferralRef { referral_id: vec![9; 16], opened_by: "ae.dfwac".to_owned() };
        let erased = Erased {
            referral: Some(referral),
            why: ErasedWhy::KeptLongEnough.into(),
            attempt: 1,
            envelopes: vec![vec![4; 32]],
            files: vec![vec![5; 32]],
            done: true,
        };
        let alarm =
            Alarm { kind: AlarmKind::Fork.into(), about: Vec::new(), detail: "directory log".to_owned() };
        let settled = Settled { alarm: Some(alarm), reason: SettledReason::Explained.into() };
        let seen = Seen {
            log: proto::wire::LogName::Directory.into(),
            checkpoint: "a note".to_owned(),
            proven_anew: true,
        };
        for record in
            [record::Record::Erased(erased), record::Record::Settled(settled), record::Record::Seen(seen)]
        {
            assert_eq!(at(record).encode_to_vec(), lines.next().unwrap());
        }
    }
}
