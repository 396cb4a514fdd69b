//! Which files an agent is, and where each goes when it is restored. Not here: what is in them.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

/// Whole folders of it.
const FOLDERS: [&str; 3] = ["keys", "tls", "spool"];
/// The store, which is copied up to a place.
pub(super) const STORE: &str = "store";
/// What is half made: it is made, or fetched, again.
const HALF: [&str; 4] = ["tmp", "part", "sealing", "veiled"];
/// Single files.
const FILES: [&str; 5] = ["agent.toml", "network.toml", "admission.json", "exchange.json", "restored.json"];

/// A file.
pub(super) struct Listed {
    /// In the backup: below the folder, with `/` between.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Everything but the store, in order. The exchange folder is people's, and what is there is in the store too.
pub(super) fn all(root: &Path) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for name in FILES {
        add(root, name, &mut listed)?;
    }
    for folder in FOLDERS {
        add(root, folder, &mut listed)?;
    }
    listed.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(listed)
}

/// Links are no files of the agent's.
fn add(root: &Path, name: &str, listed: &mut Vec<Listed>) -> io::Result<()> {
    let path = root.join(name);
    let metadata = match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        found => found?,
    };
    let is_half = path.extension().is_some_and(|extension| HALF.iter().any(|half| extension == *half));
    if metadata.is_file() && !is_half {
        listed.push(Listed { name: name.to_owned(), path, bytes: metadata.len() });
    } else if metadata.is_dir() {
        for entry in fs::read_dir(&path)? {
            if let Ok(inner) = entry?.file_name().into_string() {
                add(root, &format!("{name}/{inner}"), listed)?;
            }
        }
    }
    Ok(())
}

/// Where a file of a backup goes; none when it is not one that a backup holds.
pub(super) fn place(root: &Path, name: &str) -> Option<PathBuf> {
    let path = Path::new(name);
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    let first = path.components().next()?.as_os_str().to_str()?;
    let is_ours = FILES.contains(&name) || ((first == STORE || FOLDERS.contains(&first)) && first != name);
    (is_plain && is_ours).then(|| root.join(path))
}

/// Makes folders for their owner only.
pub(super) fn make_folders(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backup_leads_nowhere_else() {
        let root = Path::new("/agent");
        for name in ["agent.toml", "keys/signing.key", "store/segments/1", "spool/a.in"] {
            assert_eq!(place(root, name), Some(root.join(name)), "{name}");
        }
        for name in [
            "",
            "keys",
            "/etc/passwd",
            "keys/../../x",
            "other.toml",
            "agent.sock",
            "./agent.toml",
            "x/keys/y",
        ] {
            assert_eq!(place(root, name), None, "{name}");
        }
    }
}
