//! The inbox: of each referral that has news a folder, with nothing readable of the case; moved to `open/` it gets
//! the contents, moved to `taken/` it was taken, and never comes again. Not here: what the files say (`notice`,
//! `content`).

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use proto::{
    ids::{ReferralKey, Urgency},
    lifecycle::Act,
};

use super::{
    HANDED_MAX, OPENED_KEPT, content,
    handed::{HandOver, Handed, News},
    notice, place,
    place::Place,
};
use crate::{case::Case, folder::Folder, office::Office, store::StoreFault};

/// The inbox.
pub(super) struct Inbox {
    place: Place,
    /// The change of the store after which everything was last as it should be.
    written_at: Option<u64>,
    lying: usize,
    /// What lies in `taken/` and holds nothing readable any more.
    swept: std::collections::BTreeSet<String>,
}

impl Inbox {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, written_at: None, lying: 0, swept: std::collections::BTreeSet::new() }
    }

    /// How many referrals lie here.
    pub(super) const fn lying(&self) -> usize {
        self.lying
    }

    /// Writes down what was taken, hands over what is new, opens what is to be opened.
    pub(super) fn look(&mut self, office: &Office, folder: &Folder, handed: &mut Handed) -> io::Result<()> {
        if handed.is_new() {
            // What had ended before there was a folder is old news.
            let ended = office.store.read(|state| {
                let ended = state.cases().filter(|case| case.status().is_final() && !case.waits());
                ended.map(hand_over).collect::<Vec<_>>()
            });
            handed.take(&ended, folder).map_err(io::Error::other)?;
        }
        let is_taken = self.take(folder, handed)?;
        let change = *office.store.changes().borrow();
        let lying = hand_overs(&self.place.inbox())?;
        if is_taken || self.written_at != Some(change) || lying.len() != self.lying {
            self.hand_over(office, handed, &lying)?;
            self.written_at = Some(change);
        }
        self.open(office)
    }

    /// What lies in `taken/`: first it is written down, then nothing readable of it stays.
    fn take(&mut self, folder: &Folder, handed: &mut Handed) -> io::Result<bool> {
        let lying = hand_overs(&self.place.taken())?;
        self.swept.retain(|name| lying.iter().any(|one| one.name() == *name));
        let fresh: Vec<_> = lying.into_iter().filter(|one| !self.swept.contains(&one.name())).collect();
        let new: Vec<_> =
            fresh.iter().filter(|one| handed.taken(&one.referral) < one.news).cloned().collect();
        if !new.is_empty() {
            handed.take(&new, folder).map_err(io::Error::other)?;
        }
        for one in fresh {
            close(&self.place.taken().join(one.name()))?;
            place::remove(&self.place.taken().join(one.name()).join(notice::ANSWERS))?;
            self.swept.insert(one.name());
        }
        Ok(!new.is_empty())
    }

    /// The inbox as it should be: the newest of each referral that was not taken, and nothing older.
    fn hand_over(&mut self, office: &Office, handed: &Handed, lying: &[HandOver]) -> io::Result<()> {
        let opened = hand_overs(&self.place.open())?;
        let wanted = wanted(office, |one| {
            handed.taken(&one.referral) < one.news && !opened.iter().any(|open| open == one)
        });
        for old in lying.iter().filter(|one| !wanted.contains_key(&one.name())) {
            place::remove(&self.place.inbox().join(old.name()))?;
        }
        for (name, case) in &wanted {
            if !self.place.inbox().join(name).exists() {
                self.write(office, name, case)?;
            }
        }
        self.lying = wanted.len();
        Ok(())
    }

    /// Writes a referral's folder beside its place and renames it: it is whole as soon as it is there.
    fn write(&self, office: &Office, name: &str, case: &Case) -> io::Result<()> {
        let half = self.place.inbox().join(format!("{}{name}", place::HIDDEN));
        place::remove(&half)?;
        place::make_folder(&half, place::mode(&self.place.inbox())?)?;
        notice::write(office, case, &half)?;
        fs::rename(half, self.place.inbox().join(name))
    }

    /// Opens what was moved to `open/`, and closes again what nobody took for long, or what is erased.
    fn open(&self, office: &Office) -> io::Result<()> {
        for one in hand_overs(&self.place.open())? {
            let folder = self.place.open().join(one.name());
            let opened_at = content::opened_at(&folder);
            let Some(case) = office.case(&one.referral) else {
                continue;
            };
            if is_destroyed(office, &case) {
                close(&folder)?;
                content::say_erased(&folder)?;
            } else if let Some(opened_at) = opened_at {
                let since = SystemTime::now().duration_since(opened_at).unwrap_or_default();
                if since > OPENED_KEPT {
                    close(&folder)?;
                    self.back(&folder, &one)?;
                }
            } else {
                content::write(office, &case, &folder)?;
            }
        }
        Ok(())
    }

    /// What was opened and not taken lies in the inbox again, unless something newer does.
    fn back(&self, folder: &Path, one: &HandOver) -> io::Result<()> {
        let inbox = self.place.inbox();
        let is_newer = |other: &HandOver| other.referral == one.referral && other.news >= one.news;
        if hand_overs(&inbox)?.iter().any(is_newer) {
            return place::remove(folder);
        }
        fs::rename(folder, inbox.join(one.name()))
    }
}

fn hand_over(case: &Case) -> HandOver {
    HandOver { referral: case.referral.clone(), news: News::of(case) }
}

/// What is to lie in the inbox, by its name: the most urgent first, as many as there may be.
fn wanted(office: &Office, is_wanted: impl Fn(&HandOver) -> bool) -> BTreeMap<String, Case> {
    office.store.read(|state| {
        let mut wanted: Vec<(Urgency, ReferralKey, HandOver)> = state
            .cases()
            .map(|case| (case.need.urgency, case.referral.clone(), hand_over(case)))
            .filter(|(_, _, one)| one.news > News::default() && is_wanted(one))
            .collect();
        wanted.sort_by_key(|(urgency, _, _)| std::cmp::Reverse(urgency.number()));
        wanted.truncate(HANDED_MAX);
        let with_case = |(_, referral, one): (Urgency, ReferralKey, HandOver)| {
            Some((one.name(), state.case(&referral)?.clone()))
        };
        wanted.into_iter().filter_map(with_case).collect()
    })
}

/// Folders of referrals in a folder; what else people keep there is theirs.
fn hand_overs(folder: &Path) -> io::Result<Vec<HandOver>> {
    let is_folder = |name: &String| fs::symlink_metadata(folder.join(name)).is_ok_and(|found| found.is_dir());
    Ok(place::names(folder)?
        .into_iter()
        .filter(is_folder)
        .filter_map(|name| HandOver::parse(&name))
        .collect())
}

/// Whether its content is to be nowhere any more.
fn is_destroyed(office: &Office, case: &Case) -> bool {
    let is_erased = office.store.read(|state| state.last_erasure(&case.referral).is_some());
    is_erased || case.done(Act::ConfirmPurge, &office.me, case.attempt()).is_some()
}

/// Removes what is readable of a case: everything in its folder that is not known to be harmless.
fn close(folder: &Path) -> io::Result<()> {
    let harmless = [notice::NOTICE, notice::ANSWERS, notice::RECEIPTS];
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_str().is_none_or(|name| !harmless.contains(&name)) {
            place::remove(&entry.path())?;
        }
    }
    Ok(())
}

/// What the store cannot give is the disk's fault.
pub(super) fn store_error(fault: &StoreFault) -> io::Error {
    io::Error::other(fault.to_string())
}

/// A folder inside a referral's folder, for whom that is for.
pub(super) fn inner(folder: &Path, name: &str) -> io::Result<PathBuf> {
    let inner = folder.join(name);
    place::make_folder(&inner, place::mode(folder)?)?;
    Ok(inner)
}
