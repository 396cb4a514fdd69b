//! A journal that is locked and whose headers are read, before recovery: the moment to load a
//! snapshot. Not here: frames.

use std::{any::Any, collections::BTreeSet, fmt, sync::Arc};

use crate::{
    anchor::AnchorFile,
    fault::{Damaged, Fault, OpenError, What},
    file_journal::{Config, FileJournal},
    form::Form,
    header::{self, SEGMENT_HEAD_BYTES},
    position::{Mark, SegmentNo},
    recover::{self, DAMAGE_MAX, Recovered},
    segments::Segments,
    snapshot::Snapshots,
    volume::Volume,
    width::to_usize,
};

/// A journal's directory, locked for this process. Nothing has been read but headers, and no
/// segment has been changed.
pub struct Closed {
    pub(crate) segments: Arc<Segments>,
    pub(crate) anchor: AnchorFile,
    pub(crate) damage: Vec<Damaged>,
    pub(crate) lock: Arc<dyn Any + Send + Sync>,
}

impl Closed {
    /// Locks a journal, removes what a crash left half made, and reads the segments' headers. The
    /// anchor lies on `anchor`, best another volume; the same will do.
    ///
    /// # Errors
    /// `Locked`, `NoJournal`, `NoHeader`, `ForeignSegment`, or a fault of the disk.
    pub fn lock(volume: &Volume, anchor: &Volume) -> Result<Self, OpenError> {
        let lock = volume.disk().lock()?.ok_or(OpenError::Locked)?;
        // A name that only the page cache knows must not carry an acknowledged batch.
        volume.disk().sync_names()?;
        let numbers = segment_numbers(volume)?;
        if numbers.is_empty() {
            return Err(OpenError::NoJournal);
        }
        volume.remove_temporaries()?;
        let heads = Heads::read(volume, &numbers)?;
        let form = heads.form()?;
        let mut damage = heads.damage(&form, volume)?;
        damage.extend(missing(&form, &numbers));
        damage.truncate(DAMAGE_MAX);
        Ok(Self {
            anchor: AnchorFile::new(anchor.clone(), form.log_id.clone()),
            segments: Arc::new(Segments::new(volume.clone(), form, numbers)),
            damage,
            lock: Arc::from(lock),
        })
    }

    /// The snapshots beside the segments.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.segments.volume.clone(), self.segments.form.log_id.clone())
    }

    /// The journal's anchor.
    #[must_use]
    pub const fn anchor(&self) -> &AnchorFile {
        &self.anchor
    }

    /// Finds the end of the journal and opens it. `from` is a snapshot's mark: what lies before
    /// it is not read. `None` reads all.
    ///
    /// # Errors
    /// `FromNotFound`, `CutBelowAnchor`, `BytesBeyondEnd`, or a fault of the disk. Nothing has
    /// been changed then.
    pub fn recover(self, config: Config, from: Option<Mark>) -> Result<(FileJournal, Recovered), OpenError> {
        let scan = recover::scan(&self, from.unwrap_or(Mark::START))?;
        scan.check_anchor()?;
        FileJournal::open(self, config, scan)
    }

    /// As [`Closed::recover`], although durable records may be gone: **dangerous**. What is
    /// appended now takes the positions of what was lost. Only after people have decided so.
    ///
    /// # Errors
    /// As [`Closed::recover`], except `CutBelowAnchor`.
    pub fn recover_below_anchor_dangerously(
        self,
        config: Config,
        from: Option<Mark>,
    ) -> Result<(FileJournal, Recovered), OpenError> {
        let scan = recover::scan(&self, from.unwrap_or(Mark::START))?;
        tracing::warn!(target: "journal", "opened without regard to the anchor");
        FileJournal::open(self, config, scan)
    }
}

impl fmt::Debug for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closed")
    }
}

pub(crate) fn segment_numbers(volume: &Volume) -> Result<BTreeSet<SegmentNo>, Fault> {
    let names = volume.disk().names()?;
    Ok(names.iter().filter_map(|name| SegmentNo::from_file_name(name)).collect())
}

/// What each segment's header says, `None` where it is unreadable.
pub(crate) struct Heads(Vec<(SegmentNo, Option<Form>)>);

impl Heads {
    pub(crate) fn read(volume: &Volume, numbers: &BTreeSet<SegmentNo>) -> Result<Self, Fault> {
        let mut heads = Vec::with_capacity(numbers.len());
        for segment in numbers {
            let mut bytes = vec![0; to_usize(SEGMENT_HEAD_BYTES)];
            if let Some(file) = volume.disk().open(&segment.file_name())? {
                file.read_at(0, &mut bytes)?;
            }
            heads.push((*segment, header::decode(&bytes, *segment)));
        }
        Ok(Self(heads))
    }

    /// The one form that all readable headers agree on.
    pub(crate) fn form(&self) -> Result<Form, OpenError> {
        let mut readable = self.0.iter().filter_map(|(n, form)| Some((*n, form.as_ref()?)));
        let (_, first) = readable.next().ok_or(OpenError::NoHeader)?;
        if let Some((segment, _)) = readable.find(|(_, form)| *form != first) {
            return Err(OpenError::ForeignSegment { segment });
        }
        let unplaced = self.0.iter().find(|(n, _)| !first.segment_bytes.can_hold(*n));
        match unplaced {
            Some((segment, _)) => Err(OpenError::ForeignSegment { segment: *segment }),
            None => Ok(first.clone()),
        }
    }

    fn damage(&self, form: &Form, volume: &Volume) -> Result<Vec<Damaged>, Fault> {
        let mut damage = Vec::new();
        for (segment, head) in &self.0 {
            let position = form.segment_bytes.position(*segment, 0);
            if head.is_none() {
                damage.push(Damaged { position, what: What::SegmentHead });
            }
            let file = volume.disk().open(&segment.file_name())?;
            let bytes = file.map_or(Ok(0), |file| file.len())?;
            if bytes != form.segment_bytes.get() {
                damage.push(Damaged { position, what: What::SegmentLength });
            }
        }
        Ok(damage)
    }
}

/// Numbers before the last that are not there.
fn missing(form: &Form, numbers: &BTreeSet<SegmentNo>) -> Vec<Damaged> {
    let last = numbers.last().map_or(0, |last| last.get());
    (0..last)
        .map(SegmentNo::new)
        .filter(|segment| !numbers.contains(segment))
        .take(DAMAGE_MAX)
        .map(|segment| Damaged {
            position: form.segment_bytes.position(segment, 0),
            what: What::SegmentMissing,
        })
        .collect()
}
