//! What a system of the agency's hands over in pieces, until it is sealed: in a file that only this process can read,
//! under a key that is nowhere but in its memory. After a kill it is noise, and the next start deletes it. Not here:
//! sealing it for its recipients (`draft`).

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufReader, BufWriter, Read, Write as _},
    path::PathBuf,
};

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use proto::digest::{Digest, Hasher};
use zeroize::Zeroizing;

use super::{RUN_BYTES, Spool, SpoolFault, private};
use crate::randomness;

/// How its files' names end.
pub(super) const VEILED: &str = "veiled";
const TAG_BYTES: usize = 16;

/// A file that is being taken.
pub struct Veiling {
    spool: Spool,
    of: Veil,
    file: BufWriter<File>,
    run: Zeroizing<Vec<u8>>,
    runs: u64,
    hasher: Hasher,
    bytes: u64,
}

/// A file that was taken whole; deleted when nobody has it any more.
pub struct Veiled {
    of: Veil,
    sha256: Digest,
    bytes: u64,
}

struct Veil {
    path: PathBuf,
    cipher: ChaCha20Poly1305,
}

impl Drop for Veil {
    fn drop(&mut self) {
        // Else the next start does it.
        drop(fs::remove_file(&self.path));
    }
}

impl Spool {
    /// A new file to take into.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn veiling(&self) -> Result<Veiling, SpoolFault> {
        self.check_room(0)?;
        let name: [u8; 16] = randomness::bytes().map_err(|_| SpoolFault::Randomness)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(name).with_extension(VEILED);
        let key: Zeroizing<[u8; 32]> =
            Zeroizing::new(randomness::bytes().map_err(|_| SpoolFault::Randomness)?);
        let file = private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
        Ok(Veiling {
            spool: self.clone(),
            of: Veil { path, cipher: ChaCha20Poly1305::new((&*key).into()) },
            file: BufWriter::with_capacity(2 * RUN_BYTES, file),
            run: Zeroizing::new(Vec::with_capacity(RUN_BYTES + TAG_BYTES)),
            runs: 0,
            hasher: Hasher::default(),
            bytes: 0,
        })
    }
}

impl Veiling {
    /// How much was taken.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), SpoolFault> {
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        while !bytes.is_empty() {
            let (now, rest) = bytes.split_at(bytes.len().min(RUN_BYTES - self.run.len()));
            self.run.extend_from_slice(now);
            bytes = rest;
            if self.run.len() == RUN_BYTES {
                self.write()?;
            }
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), SpoolFault> {
        // The room of the next run, as of the one that is written.
        self.spool.check_room(u64::try_from(2 * RUN_BYTES).unwrap_or(u64::MAX))?;
        let nonce = nonce(self.runs);
        let tag = self.of.cipher.encrypt_inout_detached(&nonce, &[], self.run.as_mut_slice().into());
        let tag = tag.map_err(|_| SpoolFault::Io(io::ErrorKind::Other))?;
        self.file.write_all(&self.run)?;
        self.file.write_all(&tag)?;
        self.run.clear();
        self.runs = self.runs.saturating_add(1);
        Ok(())
    }

    /// It is whole. It is not synced: what a power cut takes was not answered yet.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn finish(mut self) -> Result<Veiled, SpoolFault> {
        if !self.run.is_empty() {
            self.write()?;
        }
        self.file.flush()?;
        Ok(Veiled { of: self.of, sha256: self.hasher.finish(), bytes: self.bytes })
    }
}

impl Veiled {
    /// Its length.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// SHA-256 of what was taken.
    #[must_use]
    pub const fn sha256(&self) -> Digest {
        self.sha256
    }

    /// Reads it from its beginning; as often as it has recipients.
    ///
    /// # Errors
    /// The disk's.
    pub fn read(&self) -> io::Result<Unveiled<'_>> {
        let file = BufReader::with_capacity(2 * RUN_BYTES, File::open(&self.of.path)?);
        Ok(Unveiled { cipher: &self.of.cipher, file, run: Zeroizing::new(Vec::new()), at: 0, runs: 0 })
    }
}

impl std::fmt::Debug for Veiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Veiled")
    }
}

/// What is read of it.
pub struct Unveiled<'a> {
    cipher: &'a ChaCha20Poly1305,
    file: BufReader<File>,
    run: Zeroizing<Vec<u8>>,
    at: usize,
    runs: u64,
}

impl Unveiled<'_> {
    /// The next run; an empty one at the end.
    fn next(&mut self) -> io::Result<()> {
        self.run.clear();
        self.at = 0;
        let most = u64::try_from(RUN_BYTES + TAG_BYTES).unwrap_or(u64::MAX);
        self.file.by_ref().take(most).read_to_end(&mut self.run)?;
        if self.run.is_empty() {
            return Ok(());
        }
        let damaged = || io::Error::from(io::ErrorKind::InvalidData);
        let text = self.run.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?;
        let (run, tag) = self.run.split_at_mut(text);
        let tag = Tag::try_from(&*tag).map_err(|_| damaged())?;
        let opened = self.cipher.decrypt_inout_detached(&nonce(self.runs), &[], run.into(), &tag);
        opened.map_err(|_| damaged())?;
        self.run.truncate(text);
        self.runs = self.runs.saturating_add(1);
        Ok(())
    }
}

impl Read for Unveiled<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.run.len() {
            self.next()?;
        }
        let mut left = self.run.get(self.at..).unwrap_or_default();
        let read = left.read(buffer)?;
        self.at += read;
        Ok(read)
    }
}

/// One key is for one file, so runs are counted.
fn nonce(run: u64) -> Nonce {
    let mut nonce = [0; 12];
    let (count, _) = nonce.split_at_mut(8);
    count.copy_from_slice(&run.to_le_bytes());
    Nonce::from(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("spool")).unwrap();
        (place, spool)
    }

    fn taken(spool: &Spool, content: &[u8], piece: usize) -> Veiled {
        let mut veiling = spool.veiling().unwrap();
        content.chunks(piece).for_each(|piece| veiling.take(piece).unwrap());
        veiling.finish().unwrap()
    }

    fn files(spool: &Spool) -> Vec<PathBuf> {
        fs::read_dir(&spool.folder).unwrap().map(|file| file.unwrap().path()).collect()
    }

    #[test]
    fn whatever_its_pieces_it_is_read_as_it_was_as_often_as_wanted_and_then_gone() {
        let (_place, spool) = spool();
        for bytes in [0, 1, RUN_BYTES - 1, RUN_BYTES, RUN_BYTES + 1, 3 * RUN_BYTES] {
            let content: Vec<u8> = (0_u8..=250).cycle().take(bytes).collect();
            for piece in [7_001, RUN_BYTES, 2 * RUN_BYTES + 5] {
                let veiled = taken(&spool, &content, piece);
                for _ in 0..2 {
                    let mut read = Vec::new();
                    veiled.read().unwrap().read_to_end(&mut read).unwrap();
                    assert!(read == content, "{bytes} bytes in pieces of {piece}");
                }
                assert_eq!(veiled.sha256(), Digest::of(&content));
                assert_eq!(veiled.bytes(), u64::try_from(bytes).unwrap());
            }
        }
        assert!(files(&spool).is_empty());
    }

    #[test]
    fn nothing_of_it_is_readable_on_the_disk_and_what_is_changed_is_not_read() {
        let (_place, spool) = spool();
        let content = b"an invented case ".repeat(10_000);
        let veiled = taken(&spool, &content, 9_999);
        let path = files(&spool).pop().unwrap();
        let mut lies = fs::read(&path).unwrap();
        assert!(!lies.windows(8).any(|window| content.starts_with(window) || window == b"invented"));
        lies[RUN_BYTES + 40] ^= 1;
        fs::write(&path, &lies).unwrap();
        let mut read = Vec::new();
        let error = veiled.read().unwrap().read_to_end(&mut read).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_is_broken_off_is_gone_and_without_room_nothing_is_taken() {
        let (_place, spool) = spool();
        let mut veiling = spool.veiling().unwrap();
        veiling.take(&[1; RUN_BYTES]).unwrap();
        assert_eq!(files(&spool).len(), 1);
        drop(veiling);
        assert!(files(&spool).is_empty());
        let full = Spool { reserve_bytes: u64::MAX, ..spool };
        assert_eq!(full.veiling().map(|_| ()).err(), Some(SpoolFault::Full));
    }
}
