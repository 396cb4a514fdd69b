//! After a backup was restored: what the gateway's records of this agency tell of that this agent does not hold. They
//! are a chain without gaps, so nothing of it is left out. Not here: backups (`backup`), and following (`link`).

use std::sync::{Mutex, PoisonError};

use proto::{
    evidence::{Event, Record},
    ids::{AgencyId, TimeMs},
};
use serde::{Deserialize, Serialize};

use crate::{
    case::Standing,
    clock,
    folder::{Folder, FolderFault, Name},
    state::State,
};

/// Most missing envelopes that are named; of more only their number is known.
pub const MISSING_MAX: usize = 1_000;

/// A restored agent, and what it misses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Restored {
    /// When the backup was made: Unix milliseconds.
    pub backup_made_at_ms: u64,
    /// When it was restored.
    pub restored_at_ms: u64,
    /// What is not here.
    #[serde(default)]
    pub missing: Vec<Missing>,
    /// How many more.
    #[serde(default)]
    pub more: u64,
}

/// An envelope of which the gateway has evidence, and this agent nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missing {
    /// Its referral.
    pub referral: String,
    /// Whether this agency sent it; else it was received, and signed for.
    pub sent: bool,
    /// Its digest, in hex.
    pub envelope: String,
    /// Index of the evidence.
    pub evidence: u64,
    /// When: Unix milliseconds.
    pub at_ms: u64,
}

/// Marks a folder as restored.
///
/// # Errors
/// [`FolderFault`].
pub fn mark(folder: &Folder, backup_made_at_ms: u64) -> Result<(), FolderFault> {
    let restored =
        Restored { backup_made_at_ms, restored_at_ms: clock::now().0, missing: Vec::new(), more: 0 };
    write(folder, &restored)
}

/// What a folder says of it; none when nothing was restored, or people have removed the file.
#[must_use]
pub fn read(folder: &Folder) -> Option<Restored> {
    let bytes = folder.read(Name::Restored).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn write(folder: &Folder, restored: &Restored) -> Result<(), FolderFault> {
    folder.write(Name::Restored, &serde_json::to_vec(restored).unwrap_or_default())
}

/// Looks at what is followed.
#[derive(Debug)]
pub struct Board {
    folder: Folder,
    restored: Mutex<Option<Restored>>,
}

impl Board {
    /// Of a folder.
    #[must_use]
    pub fn of(folder: &Folder) -> Self {
        let restored = Mutex::new(read(folder));
        Self { folder: folder.clone(), restored }
    }

    /// Looks whether records are of something that is not here, and writes that down before they are followed on.
    ///
    /// # Errors
    /// [`FolderFault`].
    pub fn look(&self, records: &[Record], state: &State) -> Result<(), FolderFault> {
        let mut held = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(restored) = held.as_mut() else {
            return Ok(());
        };
        let until = TimeMs(restored.restored_at_ms);
        let before = restored.clone();
        for record in records.iter().filter(|record| record.place.time <= until) {
            let found = missing(record, state.me(), state);
            let is_known =
                |one: &Missing| restored.missing.iter().any(|known| known.evidence == one.evidence);
            match found.filter(|one| !is_known(one)) {
                Some(one) if restored.missing.len() < MISSING_MAX => {
                    tracing::error!(
                        referral = one.referral,
                        sent = one.sent,
                        "the backup does not hold an envelope that the gateway has evidence of"
                    );
                    restored.missing.push(one);
                }
                Some(_) => restored.more = restored.more.saturating_add(1),
                None => {}
            }
        }
        if *restored == before { Ok(()) } else { write(&self.folder, restored) }
    }
}

fn missing(record: &Record, me: &AgencyId, state: &State) -> Option<Missing> {
    let what = &record.what;
    let sent = what.event == Event::SubmissionAcceptance && what.sender.as_ref() == Some(me);
    let received = what.event == Event::ContentHandover && what.recipient.as_ref() == Some(me);
    let envelope = what.envelope.filter(|_| sent || received)?;
    let step = state.case_of(&envelope).and_then(|case| case.step(&envelope));
    let is_here = step.is_some_and(|step| match &step.standing {
        // Each time that parts were released it was handed over anew.
        Standing::Arrived(deliveries) => deliveries.iter().any(|delivery| {
            let handed = delivery.handed_over.and_then(|handed| handed.logged);
            handed.is_none_or(|logged| logged.index == record.place.index)
        }),
        // It is pushed again, and answered with the receipt that there is.
        Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => sent,
    });
    (!is_here).then(|| Missing {
        referral: what.referral.as_ref().map_or_else(String::new, |referral| referral.id.to_string()),
        sent,
        envelope: envelope.to_string(),
        evidence: record.place.index,
        at_ms: record.place.time.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        assert_eq!(read(&folder), None);
        mark(&folder, 17).unwrap();
        let restored = read(&folder).unwrap();
        assert_eq!((restored.backup_made_at_ms, restored.missing.len(), restored.more), (17, 0, 0));
        assert!(restored.restored_at_ms > 17);
    }
}
