//! The header of an age file: version, one stanza for each recipient, and a MAC. Stricter than
//! age: every stanza must be of our one type. Not here: the payload.

use std::io::{BufRead, Read as _};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hmac::Mac as _;
use hpke::rand_core::CryptoRng;

use crate::{
    NotOpened, Recipient, SealingKey,
    file_key::{FileKey, PrimitiveFailed},
    stanza::{STANZA_PREFIX, STANZA_TEXT_BYTES, STANZA_TYPE, Stanza},
};

/// How many recipients (keys, not agencies) one part can be sealed for.
pub const RECIPIENTS_MAX: usize = 32;

/// The longest header that is ever accepted, in bytes: that of [`RECIPIENTS_MAX`] recipients.
pub const HEADER_BYTES_MAX: u64 = VERSION_BYTES + 32 * STANZA_TEXT_BYTES + MAC_LINE_BYTES;

/// How much of a line is read before it is judged, in bytes without its line feed. The longest
/// legal line, a stanza's first, has 1512; the rest is room to say what is wrong with another.
const LINE_BYTES_MAX: u64 = 2048;

const VERSION_LINE: &[u8] = b"age-encryption.org/v1";
const VERSION_BYTES: u64 = 22;
const MAC_MARK: &[u8] = b"---";
const MAC_LINE_BYTES: u64 = 3 + 1 + 43 + 1;
const MAC_BYTES: usize = 32;

/// The length of a header, in bytes, for so many recipients (at most [`RECIPIENTS_MAX`]).
pub(crate) const fn header_bytes(recipients: u64) -> u64 {
    VERSION_BYTES + recipients * STANZA_TEXT_BYTES + MAC_LINE_BYTES
}

/// Writes the header that wraps `file_key` for every recipient.
pub(crate) fn write(
    file_key: &FileKey,
    recipients: &[Recipient],
    rng: &mut impl CryptoRng,
) -> Result<Vec<u8>, PrimitiveFailed> {
    let mut header = VERSION_LINE.to_vec();
    header.push(b'\n');
    for recipient in recipients {
        Stanza::wrap(file_key, recipient, rng)?.write_to(&mut header);
    }
    end(&mut header, file_key)?;
    Ok(header)
}

/// Appends the line that ends a header and authenticates it.
pub(crate) fn end(header: &mut Vec<u8>, file_key: &FileKey) -> Result<(), PrimitiveFailed> {
    header.extend_from_slice(MAC_MARK);
    let mac = file_key.header_mac()?.chain_update(&*header).finalize();
    header.push(b' ');
    header.extend_from_slice(STANDARD_NO_PAD.encode(mac.into_bytes()).as_bytes());
    header.push(b'\n');
    Ok(())
}

/// A header as it was read. It is not authentic before [`Header::unwrap`].
pub(crate) struct Header {
    stanzas: Vec<Stanza>,
    /// Everything that the MAC is over.
    covered: Vec<u8>,
    mac: [u8; MAC_BYTES],
}

impl Header {
    /// Reads a header. At most one line of [`LINE_BYTES_MAX`] is read before it is judged, and at
    /// most that much beyond [`HEADER_BYTES_MAX`] in all.
    pub(crate) fn read(source: &mut impl BufRead) -> Result<Self, NotOpened> {
        let mut line = Vec::new();
        read_line(source, &mut line, NotOpened::NotAge)?;
        if line != VERSION_LINE {
            return Err(NotOpened::NotAge);
        }
        let mut header = Self { stanzas: Vec::new(), covered: Vec::new(), mac: [0; MAC_BYTES] };
        header.cover(&line);
        loop {
            read_line(source, &mut line, NotOpened::HeaderLine)?;
            if let Some(mac) = line.strip_prefix(MAC_MARK) {
                header.covered.extend_from_slice(MAC_MARK);
                header.mac = parse_mac(mac)?;
                return Ok(header);
            }
            header.read_stanza(&mut line, source)?;
        }
    }

    /// Unwraps the file key with the first key that fits, and authenticates the header with it.
    pub(crate) fn unwrap(&self, keys: &[SealingKey]) -> Result<FileKey, NotOpened> {
        let file_key = keys
            .iter()
            .flat_map(|key| self.stanzas.iter().map(move |stanza| stanza.unwrap(key)))
            .find_map(|unwrapped| unwrapped)
            .ok_or(NotOpened::NoKeyFits)?;
        let mac = file_key.header_mac().map_err(NotOpened::from)?;
        mac.chain_update(&self.covered).verify_slice(&self.mac).map_err(|_| NotOpened::HeaderMac)?;
        Ok(file_key)
    }

    /// How many recipients the file is for.
    pub(crate) fn recipients(&self) -> u64 {
        crate::count(self.stanzas.len())
    }

    /// Reads a stanza whose first line is in `line`.
    fn read_stanza(&mut self, line: &mut Vec<u8>, source: &mut impl BufRead) -> Result<(), NotOpened> {
        let argument = stanza_argument(line)?.to_vec();
        if self.stanzas.len() == RECIPIENTS_MAX {
            return Err(NotOpened::TooManyRecipients);
        }
        self.cover(line);
        read_line(source, line, NotOpened::Stanza)?;
        self.cover(line);
        self.stanzas.push(Stanza::parse(&argument, line)?);
        Ok(())
    }

    fn cover(&mut self, line: &[u8]) {
        self.covered.extend_from_slice(line);
        self.covered.push(b'\n');
    }
}

/// The one argument that follows the type on a stanza's first line.
fn stanza_argument(line: &[u8]) -> Result<&[u8], NotOpened> {
    let arguments = line.strip_prefix(STANZA_PREFIX).ok_or(NotOpened::HeaderLine)?;
    let mut arguments = arguments.split(|byte| *byte == b' ');
    if arguments.next() != Some(STANZA_TYPE.as_bytes()) {
        return Err(NotOpened::OtherRecipientType);
    }
    match (arguments.next(), arguments.next()) {
        (Some(argument), None) => Ok(argument),
        (Some(_) | None, _) => Err(NotOpened::Stanza),
    }
}

fn parse_mac(rest: &[u8]) -> Result<[u8; MAC_BYTES], NotOpened> {
    let text = rest.strip_prefix(b" ").ok_or(NotOpened::HeaderLine)?;
    let mac = STANDARD_NO_PAD.decode(text).ok();
    mac.and_then(|mac| mac.try_into().ok()).ok_or(NotOpened::HeaderLine)
}

/// Reads one line without its line feed; `too_long` is the answer to one over the limit.
fn read_line(source: &mut impl BufRead, line: &mut Vec<u8>, too_long: NotOpened) -> Result<(), NotOpened> {
    line.clear();
    let read = source
        .take(LINE_BYTES_MAX + 1)
        .read_until(b'\n', line)
        .map_err(|error| NotOpened::Read(error.kind()))?;
    match line.pop() {
        Some(b'\n') => Ok(()),
        Some(_) if crate::count(read) > LINE_BYTES_MAX => Err(too_long),
        Some(_) | None => Err(NotOpened::Truncated),
    }
}
