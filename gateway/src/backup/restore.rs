//! Putting a backup back into a new folder, checked file by file. The gateway that is started there asks its
//! witnesses before it signs anything. Not here: asking them (`restoring`).

use std::{
    fs,
    path::Path,
    time::{Duration, UNIX_EPOCH},
};

use super::{
    Backup, Copier, KEY_FOLDERS, NoBackup, at, copy_file, empty_folder, name_below, read_file, sync_folder,
};
use crate::{
    clock,
    place::{Place, private_folder, write_private},
    restoring::{Cause, Marker},
};

/// Puts a backup into a new folder. `keys` is the folder with the keys, when the backup holds none.
///
/// # Errors
/// [`NoBackup`]. What was put back so far stays, and no gateway starts in it.
pub fn restore(
    backup: &Path,
    keys: Option<&Path>,
    to: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Backup, NoBackup> {
    let list = Backup::read(backup)?;
    if !list.has_keys && keys.is_none() {
        return Err(NoBackup::NoKeys);
    }
    empty_folder(to)?;
    let place = Place::new(to, None);
    // Before anything that a gateway could be started with.
    let now = clock::now().0;
    let marker = Marker { backup_made_at_ms: list.made_at_ms, ..Marker::new(Cause::Backup, now) };
    marker.write(&place).map_err(at(to))?;
    let mut done = 0;
    for (name, file) in &list.files {
        let (from, to) = (backup.join(name), to.join(name));
        // Names lead nowhere else: each is exactly one below the folder.
        if name_below(&from, backup).as_deref() != Some(name) || name.split('/').any(|part| part == "..") {
            return Err(NoBackup::Damaged(name.clone()));
        }
        if let Some(folder) = to.parent() {
            private_folder(folder).map_err(at(folder))?;
        }
        let copied = copy_file(&from, &to, &mut |bytes| {
            done += bytes;
            progress(done, list.bytes().max(done));
        });
        if copied.ok().as_ref() != Some(file) {
            return Err(NoBackup::Damaged(name.clone()));
        }
    }
    if let Some(keys) = keys {
        let mut quiet = |_, _| {};
        let mut copier = Copier::new(keys, to, &mut quiet);
        for folder in KEY_FOLDERS {
            copier.folder(&keys.join(folder), &|_| true)?;
        }
    }
    // The alert goes by this file's time: there is a backup, of then.
    let made = UNIX_EPOCH.checked_add(Duration::from_millis(list.made_at_ms)).unwrap_or(UNIX_EPOCH);
    write_private(&place.backup_made(), format!("{}\n", list.made_at_ms).as_bytes())
        .and_then(|()| fs::File::options().write(true).open(place.backup_made())?.set_modified(made))
        .map_err(at(&place.backup_made()))?;
    private_folder(&place.anchor()).map_err(at(&place.anchor()))?;
    sync_folder(to).map_err(at(to))?;
    Ok(list)
}

/// Checks every file of a backup against its list.
///
/// # Errors
/// [`NoBackup`]: the first that is missing or damaged.
pub fn check(backup: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Backup, NoBackup> {
    let list = Backup::read(backup)?;
    let mut done = 0;
    for (name, file) in &list.files {
        let read = read_file(&backup.join(name), &mut |_| Ok(()));
        if read.ok().as_ref() != Some(file) {
            return Err(NoBackup::Damaged(name.clone()));
        }
        done += file.bytes;
        progress(done, list.bytes());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::backup::{File, LIST};

    #[test]
    fn only_what_the_list_names_is_put_back_and_never_elsewhere() {
        let folder = tempfile::tempdir().unwrap();
        let backup = folder.path().join("backup");
        fs::create_dir(&backup).unwrap();
        fs::write(backup.join("gateway.toml"), "a").unwrap();
        fs::write(folder.path().join("outside"), "a").unwrap();
        let file = read_file(&backup.join("gateway.toml"), &mut |_| Ok(())).unwrap();
        let list = |names: &[(&str, &File)], has_keys| {
            let files: BTreeMap<_, _> =
                names.iter().map(|(name, file)| ((*name).to_owned(), (*file).clone())).collect();
            let list = Backup {
                version: 1,
                network: "a.example".into(),
                made_at_ms: 1,
                batches: 0,
                evidence_size: 0,
                directory_size: 0,
                has_keys,
                files,
            };
            fs::write(backup.join(LIST), serde_json::to_vec(&list).unwrap()).unwrap();
        };
        let put = |to: &str| {
            restore(&backup, None, &folder.path().join(to), &mut |_, _| {})
                .map(|_| ())
                .map_err(|no| no.to_string())
        };
        assert!(put("none").unwrap_err().contains("no whole backup"));
        list(&[("gateway.toml", &file)], false);
        assert!(put("none").unwrap_err().contains("--keys"));
        list(&[("gateway.toml", &file)], true);
        assert_eq!(put("one"), Ok(()));
        assert!(put("one").unwrap_err().contains("not empty"));
        assert!(Marker::read(&Place::new(&folder.path().join("one"), None)).is_some());
        list(&[("../outside", &file)], true);
        assert!(put("two").unwrap_err().contains("damaged"));
        let other = File { sha256: "00".repeat(32), ..file };
        list(&[("gateway.toml", &other)], true);
        assert!(put("three").unwrap_err().contains("gateway.toml is missing in the backup, or damaged"));
        assert!(check(&backup, &mut |_, _| {}).is_err());
    }
}
