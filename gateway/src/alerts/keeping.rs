//! What stands and who was told of it, over a restart: one small file, so that a gateway that starts again
//! does not call everybody again. It may be lost; then people are told once more. Not here: what is in it.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use proto::{
    alert::{ALERTS_MAX, Alert, AlertKey, Code, Measure, Told},
    ids::{AgencyId, TimeMs},
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::place::replace_private;

/// The file, in the gateway's folder.
const FILE: &str = "alerts.json";
/// Longest file that is read.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The file, and what it says.
pub(super) struct Keeping {
    path: PathBuf,
    kept: Arc<Mutex<Kept>>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Kept {
    standing: Vec<Item>,
    told: BTreeMap<String, Heard>,
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Heard {
    at_ms: u64,
    alerts: Vec<Item>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Item {
    code: String,
    agency: Option<String>,
    /// When it was raised, or told.
    at_ms: u64,
    count: u64,
}

impl Item {
    fn new(key: &AlertKey, at: TimeMs, count: u64) -> Self {
        let agency = key.agency.as_ref().map(ToString::to_string);
        Self { code: key.code.name().to_owned(), agency, at_ms: at.0, count }
    }

    /// A code that this release does not know is dropped: its alert is over.
    fn key(&self) -> Option<AlertKey> {
        let code = Code::of_name(&self.code)?;
        let agency = self.agency.as_ref().map(|agency| AgencyId::parse(agency, "agency"));
        Some(AlertKey { code, agency: agency.transpose().ok()? })
    }
}

impl Keeping {
    /// Reads the file of a folder. One that cannot be read is as good as none.
    pub(super) fn open(root: &Path) -> Self {
        let path = root.join(FILE);
        let kept = read(&path).unwrap_or_else(|error| {
            if error.kind() != io::ErrorKind::NotFound {
                tracing::warn!(kind = ?error.kind(), "alerts.json cannot be read: people may be told twice");
            }
            Kept::default()
        });
        Self { path, kept: Arc::new(Mutex::new(kept)) }
    }

    pub(super) fn standing(&self) -> Vec<Alert> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let alert = |item: &Item| {
            let key = item.key()?;
            Some(Alert { key, raised_at: TimeMs(item.at_ms), measure: Measure::Plain })
        };
        kept.standing.iter().filter_map(alert).collect()
    }

    pub(super) fn told(&self, way: &str) -> Told {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(heard) = kept.told.get(way) else {
            return Told::default();
        };
        let alerts =
            heard.alerts.iter().filter_map(|item| Some((item.key()?, (item.count, TimeMs(item.at_ms)))));
        Told { alerts: alerts.collect(), at: TimeMs(heard.at_ms) }
    }

    pub(super) fn keep_standing(&self, standing: &[Alert]) -> JoinHandle<()> {
        let items = standing.iter().map(|alert| Item::new(&alert.key, alert.raised_at, 0)).collect();
        self.change(|kept| kept.standing = items)
    }

    pub(super) fn keep_told(&self, way: &str, told: &Told) -> JoinHandle<()> {
        let items = told.alerts.iter().map(|(key, (count, at))| Item::new(key, *at, *count));
        let heard = Heard { at_ms: told.at.0, alerts: items.take(ALERTS_MAX).collect() };
        self.change(|kept| {
            kept.told.insert(way.to_owned(), heard);
        })
    }

    /// Changes what is kept, and writes it aside: nobody needs to wait for the disk.
    fn change(&self, change: impl FnOnce(&mut Kept)) -> JoinHandle<()> {
        change(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        let (path, kept) = (self.path.clone(), Arc::clone(&self.kept));
        tokio::task::spawn_blocking(move || {
            // Under the lock, so that of two the newer is written last.
            let kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let written = serde_json::to_vec(&*kept).map_err(io::Error::from);
            if let Err(error) = written.and_then(|bytes| replace_private(&path, &bytes)) {
                tracing::warn!(kind = ?error.kind(), "alerts.json cannot be written");
            }
        })
    }
}

fn read(path: &Path) -> io::Result<Kept> {
    if fs::metadata(path)?.len() > FILE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    serde_json::from_slice(&fs::read(path)?).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stands_and_was_told_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let agency = AgencyId::parse("ae.dfwac", "agency").unwrap();
        let key = AlertKey { code: Code::AgencySilent, agency: Some(agency) };
        let alert = Alert { key: key.clone(), raised_at: TimeMs(7), measure: Measure::Plain };
        let told = Told { alerts: [(key, (3, TimeMs(8)))].into(), at: TimeMs(8) };
        let keeping = Keeping::open(folder.path());
        keeping.keep_standing(std::slice::from_ref(&alert)).await.unwrap();
        keeping.keep_told("hook", &told).await.unwrap();
        let text = || fs::read_to_string(folder.path().join(FILE)).unwrap();
        let again = Keeping::open(folder.path());
        assert_eq!(again.standing(), [alert]);
        assert_eq!(again.told("hook"), told);
        assert_eq!(again.told("mail"), Told::default());
        fs::write(folder.path().join(FILE), text().replace("agency_silent", "of_a_later_release")).unwrap();
        assert!(Keeping::open(folder.path()).standing().is_empty());
        fs::write(folder.path().join(FILE), "no json").unwrap();
        assert!(Keeping::open(folder.path()).standing().is_empty());
    }
}
