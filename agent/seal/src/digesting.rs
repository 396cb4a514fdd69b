//! SHA-256 and length of what passes by. Not here: what they are compared with.

use std::io::{self, Read, Write};

use sha2::{Digest as _, Sha256};

/// What identifies the ciphertext of a sealed part: what an envelope's header lists of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sealed {
    /// SHA-256 of the whole age file, 32 bytes.
    pub sha256: [u8; 32],
    /// Length of the whole age file, in bytes.
    pub bytes: u64,
}

/// Hashes and counts everything that is read from, or written to, what it wraps.
pub(crate) struct Digesting<T> {
    inner: T,
    hasher: Sha256,
    bytes: u64,
}

impl<T> Digesting<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, hasher: Sha256::new(), bytes: 0 }
    }

    /// Digest and length of what has passed so far.
    pub(crate) fn sealed(&self) -> Sealed {
        Sealed { sha256: self.hasher.clone().finalize().into(), bytes: self.bytes }
    }

    fn passed(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes = self.bytes.saturating_add(crate::count(bytes.len()));
    }
}

impl<T: Read> Read for Digesting<T> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        // A reader that claims more than the buffer holds is broken; nothing of it may be used.
        let Some(bytes) = buffer.get(..read) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        self.passed(bytes);
        Ok(read)
    }
}

impl<T: Write> Write for Digesting<T> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        let Some(bytes) = buffer.get(..written) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        self.passed(bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads until `buffer` is full or the source ends; returns how much was read.
pub(crate) fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match source.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
