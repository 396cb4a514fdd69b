//! How far long work with large files is: sealing one, uploading one. Not here: the work.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// It is sealed into the spool.
    Sealing,
    /// It is uploaded; done is what the gateway has on its disk.
    Uploading,
}

/// So many bytes of so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moved {
    /// Done.
    pub done: u64,
    /// In all.
    pub all: u64,
}

/// Everything that is under way. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Moving(Arc<Mutex<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    all: BTreeMap<u64, (Work, Moved)>,
}

/// One of them; dropped, it is under way no more.
#[derive(Debug)]
pub struct One {
    moving: Moving,
    number: u64,
}

impl Moving {
    /// Something begins.
    #[must_use]
    pub fn begin(&self, work: Work, all: u64) -> One {
        let mut under_way = self.lock();
        let number = under_way.next;
        under_way.next += 1;
        under_way.all.insert(number, (work, Moved { done: 0, all }));
        One { moving: self.clone(), number }
    }

    /// All of one kind together; nothing when none is under way.
    #[must_use]
    pub fn of(&self, work: Work) -> Option<Moved> {
        let under_way = self.lock();
        let of_kind = under_way.all.values().filter(|(kind, _)| *kind == work).map(|(_, moved)| *moved);
        of_kind.reduce(|sum, one| Moved {
            done: sum.done.saturating_add(one.done),
            all: sum.all.saturating_add(one.all),
        })
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl One {
    /// So far it is.
    pub fn is_at(&self, done: u64) {
        if let Some((_, moved)) = self.moving.lock().all.get_mut(&self.number) {
            moved.done = done.min(moved.all);
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.moving.lock().all.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_counts_together_until_it_ends() {
        let moving = Moving::default();
        assert_eq!(moving.of(Work::Sealing), None);
        let (one, other) = (moving.begin(Work::Sealing, 100), moving.begin(Work::Sealing, 50));
        let upload = moving.begin(Work::Uploading, 7);
        one.is_at(60);
        other.is_at(51);
        upload.is_at(3);
        assert_eq!(moving.of(Work::Sealing), Some(Moved { done: 110, all: 150 }));
        assert_eq!(moving.of(Work::Uploading), Some(Moved { done: 3, all: 7 }));
        drop(one);
        assert_eq!(moving.of(Work::Sealing), Some(Moved { done: 50, all: 50 }));
        drop((other, upload));
        assert_eq!((moving.of(Work::Sealing), moving.of(Work::Uploading)), (None, None));
    }
}
