//! The chain of runs: which files count, which are left over from a crash, and which are due to be
//! merged. Not here: a run's own format, and who merges.
//!
//! The files themselves say what they cover, so there is no list to keep in step with them: the chain
//! begins at the journal's first byte, and of the runs that begin where it ends the one that reaches
//! farthest goes on. What is not in it is removed.

use std::{collections::BTreeMap, sync::Arc};

use journal::{BatchNo, Mark, Volume};

use super::{
    rows::{Coverage, RowsFault, Sorted},
    run::{self, Run, RunMaking, Stream},
    work::Stop,
};

/// So many neighbouring runs of one level become one of the next.
pub const RUNS_MERGED: usize = 8;
/// Runs that come to more rows together are not merged, so that no merge takes more than some 100 MB
/// of memory (its filter) and 3 GB of disk.
pub const MERGED_ROWS_MAX: u64 = 32 * 1024 * 1024;

/// The runs, oldest first, with nothing left out between them.
#[derive(Debug)]
pub(super) struct Runs {
    volume: Volume,
    chain: Vec<Arc<Run>>,
}

impl Runs {
    /// Takes a folder up, and removes what is left over.
    ///
    /// # Errors
    /// [`RowsFault`]: the disk's.
    pub(super) fn open(volume: Volume) -> Result<Self, RowsFault> {
        volume.remove_temporaries()?;
        let names = volume.names()?;
        // By their beginnings, those that reach farthest last.
        let mut found: BTreeMap<BatchNo, BTreeMap<BatchNo, Run>> = BTreeMap::new();
        for name in names.iter().filter(|name| name.starts_with(run::NAME)) {
            match Run::open(&volume, name) {
                Ok(run) if Run::name(&run.head) == *name => {
                    let Coverage { from, to, .. } = run.head.covers;
                    found.entry(from.batch_no).or_default().insert(to.batch_no, run);
                }
                Ok(_) | Err(RowsFault) => tracing::warn!(name, "a run that is not whole"),
            }
        }
        let mut runs = Self { volume, chain: Vec::new() };
        while let Some((_, run)) = found.get_mut(&runs.end().batch_no).and_then(BTreeMap::pop_last) {
            if run.head.covers.from != runs.end() {
                break;
            }
            runs.push(run);
        }
        runs.remove_others(&names);
        Ok(runs)
    }

    fn remove_others(&self, names: &[String]) {
        let kept: Vec<_> = self.chain.iter().map(|run| Run::name(&run.head)).collect();
        for name in names.iter().filter(|name| name.starts_with(run::NAME) && !kept.contains(name)) {
            self.remove(name);
        }
    }

    fn remove(&self, name: &str) {
        if self.volume.remove(name).is_err() {
            tracing::warn!(name, "a run that is of no use stays");
        }
    }

    /// Where they end.
    pub(super) fn end(&self) -> Mark {
        self.chain.last().map_or(Mark::START, |run| run.head.covers.to)
    }

    /// The last of them.
    pub(super) fn last(&self) -> Option<&Coverage> {
        self.chain.last().map(|run| &run.head.covers)
    }

    /// How many there are.
    pub(super) const fn count(&self) -> usize {
        self.chain.len()
    }

    /// The folder.
    pub(super) const fn volume(&self) -> &Volume {
        &self.volume
    }

    /// Takes a run that begins where the chain ends.
    pub(super) fn push(&mut self, run: Run) {
        if run.head.covers.from == self.end() {
            self.chain.push(Arc::new(run));
        }
    }

    /// Drops a run that has no place in the chain any more.
    pub(super) fn discard(&self, run: &Run) {
        self.remove(&Run::name(&run.head));
    }

    /// Forgets all runs that reach beyond a place.
    pub(super) fn cut(&mut self, end: Mark) {
        while let Some(last) = self.chain.pop_if(|last| last.head.covers.to.batch_no > end.batch_no) {
            self.discard(&last);
        }
    }

    /// The oldest neighbours that are due to become one.
    pub(super) fn due(&self) -> Option<Vec<Arc<Run>>> {
        let are_due = |runs: &&[Arc<Run>]| {
            let level = runs.first().map_or(0, |run| run.head.level);
            runs.iter().all(|run| run.head.level == level)
                && runs.iter().map(|run| run.head.rows).sum::<u64>() <= MERGED_ROWS_MAX
        };
        self.chain.windows(RUNS_MERGED).find(are_due).map(<[_]>::to_vec)
    }

    /// Puts a merged run in the place of its parts, if they are still there.
    pub(super) fn replace(&mut self, merged: Run) {
        let Coverage { from, to, .. } = merged.head.covers;
        let first = self.chain.iter().position(|run| run.head.covers.from == from);
        let last = self.chain.iter().position(|run| run.head.covers.to == to);
        let (Some(first), Some(last)) = (first, last) else {
            // Cut meanwhile: what it covers is being made again.
            return self.discard(&merged);
        };
        let parts: Vec<_> = self.chain.splice(first..=last, [Arc::new(merged)]).collect();
        for part in parts {
            self.discard(&part);
        }
    }

    /// The value of a key that has a name. The newest first: a retry is of something recent.
    ///
    /// # Errors
    /// Where the damaged run begins.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Mark> {
        for run in self.chain.iter().rev() {
            if let Some(value) = run.get(key).map_err(|RowsFault| run.head.covers.from)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// Takes rows from a key on, as long as their keys begin so, and `most` of each run at the most.
    ///
    /// # Errors
    /// Where the damaged run begins.
    pub(super) fn scan(&self, from: &[u8], prefix: &[u8], most: usize) -> Result<Sorted, Mark> {
        let mut rows = Sorted::new();
        for run in &self.chain {
            run.scan(from, prefix, most, &mut rows).map_err(|RowsFault| run.head.covers.from)?;
        }
        Ok(rows)
    }

    /// The last row at or before a key, of keys that only grow from run to run: the newest run that
    /// has one has the last.
    ///
    /// # Errors
    /// Where the damaged run begins.
    pub(super) fn at_or_before(
        &self,
        key: &[u8],
        sort: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, Mark> {
        for run in self.chain.iter().rev() {
            let row = run.at_or_before(key).map_err(|RowsFault| run.head.covers.from)?;
            if let Some((_, value)) = row.filter(|(key, _)| sort(key)) {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

/// The rows that make a run: those that the store has, and those that it does not.
pub(super) type Rest = [Sorted; 2];

/// Makes a run of rows.
///
/// # Errors
/// [`RowsFault`]: the disk's.
pub(super) fn spill(volume: &Volume, rows: &Rest, covers: Coverage, stop: &Stop) -> Result<Run, RowsFault> {
    let mut rows: Vec<_> = rows.iter().flatten().collect();
    // Two that are sorted: this merges them.
    rows.sort();
    let names = rows.iter().filter(|(key, _)| super::key::name(key).is_some()).count();
    let names = u64::try_from(names).map_err(|_| RowsFault)?;
    let mut making = RunMaking::new(volume, 0, covers, names)?;
    for (number, (key, value)) in rows.into_iter().enumerate() {
        stop.check(number)?;
        making.push(key, value)?;
    }
    making.finish()
}

/// Why runs were not merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unmerged {
    /// The one that begins here is damaged.
    Damaged(Mark),
    /// The new one could not be written, or is not wanted any more.
    Unwritten,
}

impl From<RowsFault> for Unmerged {
    fn from(RowsFault: RowsFault) -> Self {
        Self::Unwritten
    }
}

/// Makes one run of neighbours.
///
/// # Errors
/// [`Unmerged`].
pub(super) fn merge(volume: &Volume, parts: &[Arc<Run>], stop: &Stop) -> Result<Run, Unmerged> {
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else {
        return Err(Unmerged::Unwritten);
    };
    let damaged = |part: &Arc<Run>| Unmerged::Damaged(part.head.covers.from);
    let covers = Coverage { from: first.head.covers.from, ..last.head.covers };
    let names = parts.iter().map(|part| part.head.names).sum();
    let mut making = RunMaking::new(volume, first.head.level + 1, covers, names)?;
    let open = |part: &Arc<Run>| Stream::new(Arc::clone(part)).map_err(|RowsFault| damaged(part));
    let mut streams = parts.iter().map(open).collect::<Result<Vec<_>, _>>()?;
    let mut number = 0;
    while let Some(next) = next(&mut streams) {
        stop.check(number)?;
        number += 1;
        if let Some((key, value)) = next.row() {
            making.push(key, value)?;
        }
        next.advance().map_err(|RowsFault| damaged(next.run()))?;
    }
    Ok(making.finish()?)
}

/// The stream whose row comes next.
fn next(streams: &mut [Stream]) -> Option<&mut Stream> {
    let rows = streams.iter().enumerate().filter_map(|(place, stream)| Some((stream.row()?.0, place)));
    let (_, place) = rows.min()?;
    streams.get_mut(place)
}
