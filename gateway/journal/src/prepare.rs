//! Making one segment: full of zeros and durable before anybody uses it. Not here: when, and by
//! whom.

use crate::{
    fault::{Fault, Step},
    header,
    position::SegmentNo,
    segments::{Opened, Segments},
    volume::temporary,
};

/// Writes zeros and a header under a temporary name, syncs, renames, syncs the names.
pub(crate) fn make(segments: &Segments, segment: SegmentNo) -> Result<Opened, Fault> {
    let name = segment.file_name();
    let disk = segments.volume.disk();
    tracing::trace!(target: "journal", segment = segment.get(), "segment preparing");
    let written = write(segments, segment);
    if written.is_err() && disk.remove(&temporary(&name)).is_err() {
        tracing::debug!(target: "journal", "half a segment stays until the next start");
    }
    written?;
    disk.rename(&temporary(&name), &name)?;
    tracing::trace!(target: "journal", segment = segment.get(), "segment renamed");
    disk.sync_names()?;
    tracing::trace!(target: "journal", segment = segment.get(), "segment prepared");
    let file = segments.file(segment)?;
    let file = file.ok_or(Fault::Io { step: Step::Open, kind: std::io::ErrorKind::NotFound })?;
    segments.add(segment);
    Ok(Opened { segment, file })
}

fn write(segments: &Segments, segment: SegmentNo) -> Result<(), Fault> {
    let form = &segments.form;
    let file = segments.volume.disk().create(&temporary(&segment.file_name()))?;
    file.zero(0, form.segment_bytes.get())?;
    file.write_at(0, &header::encode(form, segment))?;
    file.sync()
}
