//! Files that settings name: certificates of an authority, and a password, which only its owner may read.

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use crate::NotTold;

/// Longest file that is read, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The folder that paths are relative to.
#[derive(Clone)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Certificates in PEM, when the settings name a file of them.
    pub(crate) fn authority(&self, path: Option<&str>) -> Result<Option<Vec<u8>>, NotTold> {
        path.map(|path| self.read(path).map(|(bytes, _)| bytes).map_err(|_| NotTold::File("ca"))).transpose()
    }

    /// A password, without the line end behind it.
    pub(crate) fn password(&self, path: &str) -> Result<String, NotTold> {
        let wrong = NotTold::File("password_file");
        let (bytes, metadata) = self.read(path).map_err(|_| wrong)?;
        let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
        if metadata.mode() & 0o077 != 0 || !is_ours {
            return Err(wrong);
        }
        let text = String::from_utf8(bytes).map_err(|_| wrong)?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }

    /// A file's bytes, and whose it is.
    fn read(&self, path: &str) -> io::Result<(Vec<u8>, Metadata)> {
        let file = File::open(self.0.join(path))?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > FILE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok((bytes, metadata))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn a_password_is_read_only_when_it_is_its_owners() {
        let folder = tempfile::tempdir().unwrap();
        let (path, files) = (folder.path().join("word"), Folder::new(folder.path()));
        fs::write(&path, "a word\r\n").unwrap();
        for (mode, expected) in
            [(0o600, Ok("a word".to_owned())), (0o640, Err(NotTold::File("password_file")))]
        {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(files.password("word"), expected);
        }
        assert_eq!(files.password("nowhere"), Err(NotTold::File("password_file")));
        assert_eq!(files.authority(Some("nowhere")), Err(NotTold::File("ca")));
        assert_eq!(files.authority(None), Ok(None));
        File::create(folder.path().join("long")).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
        assert_eq!(files.authority(Some("long")), Err(NotTold::File("ca")));
    }
}
