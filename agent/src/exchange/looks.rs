//! What lies in the outbox and how it looks: only what is whole and has not changed from one look to the next is
//! taken. Not here: taking it (`outbox`).

use std::{
    fs, io,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{place::HIDDEN, said};
use crate::document::ATTACHMENTS_MAX;

/// What a folder is called that is whole: people rename it when everything is in it.
pub(super) const READY: &str = ".ready";
/// Most files of one folder.
pub(super) const FILES_MAX: usize = ATTACHMENTS_MAX + 1;
/// What changed less than this long ago is not taken, however often it is looked at.
pub(super) const STILL: Duration = Duration::from_secs(2);

/// Endings of what programs have not written to its end.
const UNFINISHED: &[&str] =
    &["~", ".tmp", ".part", ".partial", ".crdownload", ".filepart", ".half", ".swp", ".lock"];

/// What something in the outbox is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// One document.
    Document,
    /// A folder with one document and its attachments.
    Ready,
    /// A folder that may not be whole.
    NotReady,
    /// A word of ours, a half-written file, or nothing that is sent.
    Other,
}

/// What a name says.
pub(super) fn sort(name: &str, is_folder: bool) -> Sort {
    let lower = name.to_lowercase();
    let is_ours = [said::ERROR, said::SENT, said::WAITING].iter().any(|ending| lower.ends_with(ending));
    if is_ours || is_unfinished(&lower) {
        Sort::Other
    } else if is_folder {
        if lower.ends_with(READY) { Sort::Ready } else { Sort::NotReady }
    } else if is_document(&lower) {
        Sort::Document
    } else {
        Sort::Other
    }
}

/// Whether a program has not written a file to its end, or has it open.
fn is_unfinished(lower: &str) -> bool {
    lower.starts_with('~') || UNFINISHED.iter().any(|ending| lower.ends_with(ending))
}

/// What systems put into folders by themselves. It is not sent.
fn is_of_a_desktop(name: &str) -> bool {
    name.starts_with(HIDDEN) || ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str())
}

/// Whether a file's name is that of a document.
pub(super) fn is_document(name: &str) -> bool {
    let lower = name.to_lowercase();
    [".json", ".toml"].iter().any(|ending| lower.ends_with(ending))
}

/// How something looks: every file of it, its length, and when it was changed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look(Vec<(String, u64, Option<SystemTime>)>);

/// Why something cannot be taken, whatever is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It is, or holds, something else than files: a link could lead anywhere.
    NotFiles,
    /// Too many files.
    TooMany,
    /// A file of it is half-written, or open in a program.
    Unfinished,
}

impl Look {
    /// How something looks now.
    pub(super) fn of(path: &Path) -> io::Result<Result<Self, Unfit>> {
        let metadata = fs::symlink_metadata(path)?;
        if metadata.is_file() {
            return Ok(Ok(Self(vec![(String::new(), metadata.len(), metadata.modified().ok())])));
        }
        if !metadata.is_dir() {
            return Ok(Err(Unfit::NotFiles));
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = fs::symlink_metadata(entry.path())?;
            let Ok(name) = entry.file_name().into_string() else {
                return Ok(Err(Unfit::NotFiles));
            };
            if is_of_a_desktop(&name) {
                continue;
            }
            if !metadata.is_file() {
                return Ok(Err(Unfit::NotFiles));
            }
            if is_unfinished(&name.to_lowercase()) {
                return Ok(Err(Unfit::Unfinished));
            }
            if files.len() >= FILES_MAX {
                return Ok(Err(Unfit::TooMany));
            }
            files.push((name, metadata.len(), metadata.modified().ok()));
        }
        files.sort();
        Ok(Ok(Self(files)))
    }

    /// Whether nothing of it was changed a moment ago. A clock that is ahead does not hold anything up: that it
    /// looks the same twice is asked besides.
    pub(super) fn is_still(&self, now: SystemTime) -> bool {
        let is_old = |at: &SystemTime| now.duration_since(*at).map_or(true, |since| since >= STILL);
        self.0.iter().all(|(_, _, at)| at.as_ref().is_none_or(is_old))
    }

    /// Names of its files; one without a name for a file by itself.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_taken() {
        for (name, is_folder, expected) in [
            ("case.json", false, Sort::Document),
            ("CASE.JSON", false, Sort::Document),
            ("case.toml", false, Sort::Document),
            ("case.json.tmp", false, Sort::Other),
            ("case.json.part", false, Sort::Other),
            ("case.json~", false, Sort::Other),
            ("~case.json", false, Sort::Other),
            ("case.json.error.txt", false, Sort::Other),
            ("case.json.sent.txt", false, Sort::Other),
            ("report.pdf", false, Sort::Other),
            ("case", true, Sort::NotReady),
            ("case.ready", true, Sort::Ready),
            ("case.Ready", true, Sort::Ready),
            ("case.ready.part", true, Sort::Other),
        ] {
            assert_eq!(sort(name, is_folder), expected, "{name}");
        }
    }

    #[test]
    fn what_changes_looks_otherwise() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("case.ready");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("a.json"), "{}").unwrap();
        let first = Look::of(&folder).unwrap().unwrap();
        assert_eq!(Look::of(&folder).unwrap().unwrap(), first);
        fs::write(folder.join("b.pdf"), "x").unwrap();
        let second = Look::of(&folder).unwrap().unwrap();
        assert_ne!(second, first);
        assert_eq!(second.names().collect::<Vec<_>>(), ["a.json", "b.pdf"]);
        fs::write(folder.join("b.pdf"), "xy").unwrap();
        assert_ne!(Look::of(&folder).unwrap().unwrap(), second);
        let now = SystemTime::now();
        assert!(!second.is_still(now) && second.is_still(now + 2 * STILL));
        // A clock that is ahead.
        assert!(second.is_still(now - 2 * STILL));
    }

    #[test]
    fn links_folders_and_crowds_are_not_taken() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("case.ready");
        fs::create_dir(&folder).unwrap();
        for number in 0..FILES_MAX {
            fs::write(folder.join(number.to_string()), "").unwrap();
        }
        assert!(Look::of(&folder).unwrap().is_ok());
        fs::write(folder.join("more"), "").unwrap();
        assert_eq!(Look::of(&folder).unwrap(), Err(Unfit::TooMany));
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        for name in [".DS_Store", "Thumbs.db", "desktop.ini"] {
            fs::write(folder.join(name), "").unwrap();
        }
        assert_eq!(Look::of(&folder).unwrap().unwrap().names().count(), 0);
        fs::write(folder.join("~$report.docx"), "").unwrap();
        assert_eq!(Look::of(&folder).unwrap(), Err(Unfit::Unfinished));
        fs::remove_file(folder.join("~$report.docx")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", folder.join("a.pdf")).unwrap();
        assert_eq!(Look::of(&folder).unwrap(), Err(Unfit::NotFiles));
        assert_eq!(Look::of(&folder.join("a.pdf")).unwrap(), Err(Unfit::NotFiles));
        fs::remove_file(folder.join("a.pdf")).unwrap();
        fs::create_dir(folder.join("inner")).unwrap();
        assert_eq!(Look::of(&folder).unwrap(), Err(Unfit::NotFiles));
    }
}
