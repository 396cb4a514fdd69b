//! The ledger of an authority: what it issued, what it revoked, which lists it signed. A file of JSON
//! lines that is only ever appended to; a line is synced before what it tells of leaves the room. Not
//! here: certificates themselves.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Fault, Malformed, Refusal, Step},
    folder::{self, io_fault, to_u64},
    identity::Identity,
    permitted::GatewayName,
    serial::{Fingerprint, Serial},
    unix_time::UnixTime,
};

/// The format that is written, and the latest that is read.
const FORMAT: u32 = 1;
/// Longest line, in bytes: with [`crate::NAMES_MAX`] names of 253 bytes it has less than 6 KiB.
const LINE_BYTES_MAX: usize = 16 * 1024;

/// Whom an authority certified.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Holder {
    /// An issuing certificate, by its number; in the root's ledger only.
    Issuing(u32),
    /// A gateway, an agent or a member of staff.
    Leaf(Identity),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuing(number) => write!(f, "issuing/{number}"),
            Self::Leaf(identity) => identity.fmt(f),
        }
    }
}

impl FromStr for Holder {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.strip_prefix("issuing/") {
            Some(number) => number.parse().map(Self::Issuing).map_err(|_| Malformed::Identity),
            None => text.parse().map(Self::Leaf),
        }
    }
}

/// A certificate that was issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issued {
    /// Its serial number.
    pub serial: Serial,
    /// Whom it is for.
    pub holder: Holder,
    /// A gateway's names.
    pub names: Vec<GatewayName>,
    /// The SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of its public key's DER.
    pub key_digest: Fingerprint,
    /// When it was issued.
    pub at: UnixTime,
    /// Its first moment.
    pub not_before: UnixTime,
    /// Its last moment.
    pub not_after: UnixTime,
    /// When and why it was revoked.
    pub revocation: Option<Revocation>,
}

/// That a certificate was revoked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Revocation {
    /// When.
    pub at: UnixTime,
    /// Why.
    pub reason: Reason,
}

/// Why a certificate was revoked (RFC 5280, section 5.3.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Not said.
    Unspecified,
    /// Somebody else has the key, or may have. The key is not certified again.
    KeyCompromise,
    /// The holder belongs elsewhere now.
    AffiliationChanged,
    /// Another certificate took its place.
    Superseded,
    /// The holder has stopped working.
    CessationOfOperation,
    /// The holder may no longer.
    PrivilegeWithdrawn,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The reason's text, such as `key-compromise`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "key-compromise",
            Self::AffiliationChanged => "affiliation-changed",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessation-of-operation",
            Self::PrivilegeWithdrawn => "privilege-withdrawn",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Reason {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or(Malformed::Reason)
    }
}

/// The last list that was signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Listed {
    pub(crate) number: u64,
    /// Whether something was revoked after it.
    pub(crate) is_stale: bool,
}

/// One line of the file. Times are Unix seconds; serial numbers and digests are hex.
#[derive(Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case", deny_unknown_fields)]
enum Line {
    Opened {
        format: u32,
        certificate: String,
        at: u64,
    },
    Issued {
        serial: String,
        holder: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        names: Vec<String>,
        certificate: String,
        key: String,
        not_before: u64,
        not_after: u64,
        at: u64,
    },
    Revoked {
        serial: String,
        reason: String,
        at: u64,
    },
    Listed {
        number: u64,
        at: u64,
    },
}

/// An open ledger. All of it is in memory: [`crate::ISSUED_MAX`] bounds it.
pub(crate) struct Ledger {
    path: PathBuf,
    /// How much of the file was read: whole lines only.
    read_bytes: u64,
    lines: usize,
    issued: Vec<Issued>,
    by_serial: BTreeMap<Serial, usize>,
    by_fingerprint: BTreeMap<Fingerprint, usize>,
    compromised: BTreeSet<Fingerprint>,
    listed: Listed,
    /// Whose ledger it is: the fingerprint of the authority's certificate.
    certificate: Option<Fingerprint>,
    is_unsure: bool,
}

impl Ledger {
    /// Starts the ledger of a new authority.
    pub(crate) fn create(path: &Path, certificate: Fingerprint, now: UnixTime) -> Result<Self, Error> {
        let opened = Line::Opened { format: FORMAT, certificate: certificate.to_string(), at: now.seconds() };
        folder::replace_private(path, text_of(&opened)?.as_bytes())?;
        Self::open(path)
    }

    /// Reads a ledger.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let mut ledger = Self {
            path: path.to_owned(),
            read_bytes: 0,
            lines: 0,
            issued: Vec::new(),
            by_serial: BTreeMap::new(),
            by_fingerprint: BTreeMap::new(),
            compromised: BTreeSet::new(),
            listed: Listed { number: 0, is_stale: true },
            certificate: None,
            is_unsure: false,
        };
        ledger.refresh()?;
        Ok(ledger)
    }

    /// Reads what other processes have appended. A last line without its end is one that is being
    /// written, or was never finished: it is left where it is.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        let mut file = folder::open_private(&self.path)?;
        let at = io_fault(Step::Read, &self.path);
        if file.metadata().map_err(&at)?.len() < self.read_bytes {
            return Err(Fault::Damaged { path: self.path.clone() }.into());
        }
        file.seek(SeekFrom::Start(self.read_bytes)).map_err(&at)?;
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(&at)?;
            let Some(text) = line.strip_suffix(b"\n") else {
                return Ok(());
            };
            if read > LINE_BYTES_MAX {
                return Err(self.damaged().into());
            }
            let parsed = serde_json::from_slice(text).map_err(|_| self.damaged())?;
            self.apply(&parsed)?;
            self.read_bytes += to_u64(read);
            self.lines += 1;
        }
    }

    pub(crate) const fn certificate(&self) -> Option<Fingerprint> {
        self.certificate
    }

    pub(crate) fn issued(&self) -> &[Issued] {
        &self.issued
    }

    pub(crate) fn find(&self, serial: &Serial) -> Option<&Issued> {
        self.by_serial.get(serial).and_then(|place| self.issued.get(*place))
    }

    pub(crate) fn find_fingerprint(&self, fingerprint: &Fingerprint) -> Option<&Issued> {
        self.by_fingerprint.get(fingerprint).and_then(|place| self.issued.get(*place))
    }

    pub(crate) fn is_compromised(&self, key: &Fingerprint) -> bool {
        self.compromised.contains(key)
    }

    pub(crate) const fn listed(&self) -> Listed {
        self.listed
    }

    /// Records a certificate, before it leaves. The folder must be locked.
    pub(crate) fn record_issued(&mut self, issued: &Issued) -> Result<(), Error> {
        self.append(&Line::Issued {
            serial: issued.serial.to_string(),
            holder: issued.holder.to_string(),
            names: issued.names.iter().map(ToString::to_string).collect(),
            certificate: issued.fingerprint.to_string(),
            key: issued.key_digest.to_string(),
            not_before: issued.not_before.seconds(),
            not_after: issued.not_after.seconds(),
            at: issued.at.seconds(),
        })
    }

    /// Records a revocation. The folder must be locked, the certificate known and not yet revoked.
    pub(crate) fn record_revoked(
        &mut self,
        serial: &Serial,
        reason: Reason,
        now: UnixTime,
    ) -> Result<(), Error> {
        let (serial, reason) = (serial.to_string(), reason.to_string());
        self.append(&Line::Revoked { serial, reason, at: now.seconds() })
    }

    /// Records that a list of this number is signed. The folder must be locked.
    pub(crate) fn record_listed(&mut self, number: u64, now: UnixTime) -> Result<(), Error> {
        self.append(&Line::Listed { number, at: now.seconds() })
    }

    fn append(&mut self, line: &Line) -> Result<(), Error> {
        if self.is_unsure {
            return Err(Fault::Unsure { path: self.path.clone() }.into());
        }
        let text = text_of(line)?;
        self.is_unsure = true;
        self.write(text.as_bytes()).map_err(io_fault(Step::Write, &self.path))?;
        self.is_unsure = false;
        self.apply(line)?;
        self.read_bytes += to_u64(text.len());
        self.lines += 1;
        Ok(())
    }

    fn write(&self, line: &[u8]) -> std::io::Result<()> {
        let mut file: File = OpenOptions::new().read(true).write(true).open(&self.path)?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        let mut rest = Vec::new();
        (&file).take(to_u64(LINE_BYTES_MAX)).read_to_end(&mut rest)?;
        if rest.contains(&b'\n') {
            // Somebody wrote without the lock; nothing of theirs is cut.
            return Err(std::io::ErrorKind::ResourceBusy.into());
        }
        // What a crash left half written was never promised to anybody.
        file.set_len(self.read_bytes)?;
        file.seek(SeekFrom::Start(self.read_bytes))?;
        file.write_all(line)?;
        file.sync_data()
    }

    fn apply(&mut self, line: &Line) -> Result<(), Error> {
        if matches!(line, Line::Opened { .. }) != (self.lines == 0) {
            return Err(self.damaged().into());
        }
        match line {
            Line::Opened { format, certificate, .. } => {
                if *format > FORMAT {
                    return Err(Fault::LaterFormat { path: self.path.clone(), version: *format }.into());
                }
                self.certificate = Some(certificate.parse().map_err(|_| self.damaged())?);
            }
            Line::Issued { .. } => {
                let issued = issued(line).ok_or_else(|| self.damaged())?;
                if self.by_serial.insert(issued.serial.clone(), self.issued.len()).is_some() {
                    return Err(self.damaged().into());
                }
                self.by_fingerprint.insert(issued.fingerprint, self.issued.len());
                self.issued.push(issued);
            }
            Line::Revoked { serial, reason, at } => {
                let revoked = self.apply_revoked(serial, reason, *at);
                revoked.ok_or_else(|| self.damaged())?;
            }
            Line::Listed { number, .. } => {
                if *number <= self.listed.number {
                    return Err(self.damaged().into());
                }
                self.listed = Listed { number: *number, is_stale: false };
            }
        }
        Ok(())
    }

    fn apply_revoked(&mut self, serial: &str, reason: &str, at: u64) -> Option<()> {
        let place = self.by_serial.get(&serial.parse().ok()?)?;
        let issued = self.issued.get_mut(*place)?;
        let revocation = Revocation { at: UnixTime::from_seconds(at).ok()?, reason: reason.parse().ok()? };
        if issued.revocation.replace(revocation).is_some() {
            return None;
        }
        if revocation.reason == Reason::KeyCompromise {
            self.compromised.insert(issued.key_digest);
        }
        self.listed.is_stale = true;
        Some(())
    }

    fn damaged(&self) -> Fault {
        Fault::DamagedLine { path: self.path.clone(), line: self.lines + 1 }
    }
}

fn issued(line: &Line) -> Option<Issued> {
    let Line::Issued { serial, holder, names, certificate, key, not_before, not_after, at } = line else {
        return None;
    };
    let names: Result<Vec<_>, _> = names.iter().map(|name| name.parse()).collect();
    Some(Issued {
        serial: serial.parse().ok()?,
        holder: holder.parse().ok()?,
        names: names.ok()?,
        fingerprint: certificate.parse().ok()?,
        key_digest: key.parse().ok()?,
        at: UnixTime::from_seconds(*at).ok()?,
        not_before: UnixTime::from_seconds(*not_before).ok()?,
        not_after: UnixTime::from_seconds(*not_after).ok()?,
        revocation: None,
    })
}

fn text_of(line: &Line) -> Result<String, Refusal> {
    // Lines hold nothing but parsed names, numbers and hex, which JSON can always say; their length is
    // bounded by the limits of these.
    let mut text = serde_json::to_string(line).unwrap_or_default();
    text.push('\n');
    if text.len() <= LINE_BYTES_MAX {
        Ok(text)
    } else {
        Err(Refusal::TooManyNames { limit: crate::NAMES_MAX })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const GOLDEN: &str = include_str!("../tests/golden/ledger-1.jsonl");

    fn at(seconds: u64) -> UnixTime {
        UnixTime::from_seconds(1_790_000_000 + seconds).unwrap()
    }

    struct Place {
        _folder: tempfile::TempDir,
        path: PathBuf,
    }

    fn place(content: &str) -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.jsonl");
        folder::replace_private(&path, content.as_bytes()).unwrap();
        Place { _folder: folder, path }
    }

    fn damaged(place: &Place, line: usize) -> Error {
        Fault::DamagedLine { path: place.path.clone(), line }.into()
    }

    #[test]
    fn format_1_is_read_and_written_byte_for_byte() {
        let golden = place(GOLDEN);
        let read = Ledger::open(&golden.path).unwrap();
        assert_eq!(read.issued().len(), 3);
        assert_eq!(read.listed(), Listed { number: 2, is_stale: false });
        let agency = read.find(&"617be49e5804970dc15693875c9d5249".parse().unwrap()).unwrap();
        assert_eq!(agency.holder.to_string(), "agency/ae.dfwac/main");
        assert_eq!(agency.revocation, Some(Revocation { at: at(20), reason: Reason::KeyCompromise }));
        assert_eq!(read.find_fingerprint(&agency.fingerprint), Some(agency));
        assert!(read.is_compromised(&agency.key_digest));

        let fresh = place("");
        let (gateway, agency, issuing) = (&read.issued()[0], agency, &read.issued()[2]);
        let mut written = Ledger::create(&fresh.path, Fingerprint::of(b""), at(0)).unwrap();
        written.record_listed(1, at(0)).unwrap();
        written.record_issued(gateway).unwrap();
        written.record_issued(agency).unwrap();
        written.record_revoked(&agency.serial, Reason::KeyCompromise, at(20)).unwrap();
        written.record_listed(2, at(20)).unwrap();
        written.record_issued(issuing).unwrap();
        assert_eq!(fs::read_to_string(&fresh.path).unwrap(), GOLDEN);
        assert_eq!(written.issued(), read.issued());
    }

    #[test]
    fn a_line_that_was_never_finished_is_no_line_and_the_next_takes_its_place() {
        let whole = GOLDEN.split_inclusive('\n').count();
        for cut in GOLDEN.len() - 120..GOLDEN.len() {
            let torn = place(&GOLDEN[..cut]);
            let mut ledger = Ledger::open(&torn.path).unwrap();
            assert_eq!(ledger.lines, whole - 1);
            ledger.record_listed(3, at(40)).unwrap();
            let again = Ledger::open(&torn.path).unwrap();
            assert_eq!((again.lines, again.listed().number), (whole, 3));
        }
    }

    #[test]
    fn a_damaged_line_is_named() {
        let lines: Vec<&str> = GOLDEN.split_inclusive('\n').collect();
        for line in 1..=lines.len() {
            let spoilt: String = lines
                .iter()
                .zip(1..)
                .map(
                    |(text, number)| {
                        if number == line { text.replacen("\":", "\";", 1) } else { text.to_string() }
                    },
                )
                .collect();
            let spoilt = place(&spoilt);
            assert_eq!(Ledger::open(&spoilt.path).err(), Some(damaged(&spoilt, line)));
        }
    }

    #[test]
    fn lines_that_contradict_the_ones_before_are_damage() {
        let revoked = r#"{"event":"revoked","serial":"617be49e5804970dc15693875c9d5249","reason":"unspecified","at":1}"#;
        let unknown = r#"{"event":"revoked","serial":"11","reason":"unspecified","at":1}"#;
        let listed = r#"{"event":"listed","number":2,"at":1}"#;
        let opened = GOLDEN.lines().next().unwrap();
        let issued = GOLDEN.lines().nth(2).unwrap();
        let other = r#"{"event":"listed","number":9,"at":1,"note":"x"}"#;
        for line in [revoked, unknown, listed, opened, issued, other] {
            let place = place(&format!("{GOLDEN}{line}\n"));
            assert_eq!(Ledger::open(&place.path).err(), Some(damaged(&place, 8)), "{line}");
        }
        let headless = place(&format!("{listed}\n"));
        assert_eq!(Ledger::open(&headless.path).err(), Some(damaged(&headless, 1)));
    }

    #[test]
    fn a_later_format_is_named() {
        let later = place(&GOLDEN.replacen("\"format\":1", "\"format\":2", 1));
        let expected = Fault::LaterFormat { path: later.path.clone(), version: 2 };
        assert_eq!(Ledger::open(&later.path).err(), Some(expected.into()));
    }

    #[test]
    fn what_others_append_is_read() {
        let shared = place(GOLDEN);
        let (mut one, mut two) = (Ledger::open(&shared.path).unwrap(), Ledger::open(&shared.path).unwrap());
        one.record_listed(3, at(40)).unwrap();
        // Without having read it, two would cut it off.
        let refused = two.record_listed(3, at(41));
        let kind = std::io::ErrorKind::ResourceBusy;
        let fault = Fault::Io { step: Step::Write, path: shared.path.clone(), kind };
        assert_eq!(refused, Err(fault.into()));
        let mut two = Ledger::open(&shared.path).unwrap();
        assert_eq!(two.listed().number, 3);
        two.record_listed(4, at(42)).unwrap();
        one.refresh().unwrap();
        assert_eq!(one.listed().number, 4);
    }

    #[test]
    fn after_a_failed_write_nothing_is_written_until_it_is_read_again() {
        let place = place(GOLDEN);
        let mut ledger = Ledger::open(&place.path).unwrap();
        let aside = place.path.with_extension("aside");
        fs::rename(&place.path, &aside).unwrap();
        assert!(matches!(ledger.record_listed(3, at(40)), Err(Error::Fault(Fault::Io { .. }))));
        fs::rename(&aside, &place.path).unwrap();
        let unsure = Fault::Unsure { path: place.path.clone() };
        assert_eq!(ledger.record_listed(3, at(40)), Err(unsure.into()));
        assert_eq!(fs::read_to_string(&place.path).unwrap(), GOLDEN);
        Ledger::open(&place.path).unwrap().record_listed(3, at(40)).unwrap();
    }

    #[test]
    fn a_ledger_that_shrank_is_damaged() {
        let place = place(GOLDEN);
        let mut ledger = Ledger::open(&place.path).unwrap();
        folder::replace_private(&place.path, &GOLDEN.as_bytes()[..400]).unwrap();
        let refused = ledger.refresh();
        assert_eq!(refused, Err(Fault::Damaged { path: place.path }.into()));
    }

    #[test]
    fn the_longest_line_can_be_written_and_read_and_no_longer_one() {
        let host = format!("{}example", "a23456789.".repeat(24));
        let name = |n: usize| GatewayName::Dns(format!("n{n}.{host}").into());
        let golden = Ledger::open(&place(GOLDEN).path).unwrap();
        let fresh = place("");
        let mut ledger = Ledger::create(&fresh.path, Fingerprint::of(b""), at(0)).unwrap();
        let most = Issued { names: (0..crate::NAMES_MAX).map(name).collect(), ..golden.issued()[0].clone() };
        ledger.record_issued(&most).unwrap();
        assert_eq!(Ledger::open(&fresh.path).unwrap().issued(), std::slice::from_ref(&most));
        let more = Issued { names: (0..80).map(name).collect(), ..golden.issued()[1].clone() };
        assert!(matches!(ledger.record_issued(&more), Err(Error::Refusal(Refusal::TooManyNames { .. }))));
        let long = place(&format!("{GOLDEN}{}\n", " ".repeat(LINE_BYTES_MAX)));
        assert_eq!(Ledger::open(&long.path).err(), Some(damaged(&long, 8)));
    }

    #[test]
    fn holders_and_reasons_go_round() {
        for text in ["issuing/7", "gateway", "agency/ae.dfwac/main", "staff/auditor/x"] {
            assert_eq!(text.parse::<Holder>().unwrap().to_string(), text);
        }
        assert_eq!("issuing/x".parse::<Holder>(), Err(Malformed::Identity));
        for reason in Reason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert_eq!("hold".parse::<Reason>(), Err(Malformed::Reason));
    }
}
