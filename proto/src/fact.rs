//! What the rules decide and the journal keeps: effects, which become facts when they get their place
//! in a log. Not here: deciding (`decide`), and what a fact changes (`state`).

use std::sync::Arc;

use prost::Message as _;

use crate::{
    Malformed, canonical,
    evidence::{Happening, Record},
    fields,
    ids::TimeMs,
    wire,
};

/// Longest directory record: what an entry bundle's 16-bit length can hold.
pub const DIRECTORY_RECORD_BYTES_MAX: u64 = 65_535;

/// Something decided that has no place in a log yet.
#[derive(Clone, PartialEq)]
pub enum Effect {
    /// An evidence record.
    Evidence(Box<Happening>),
    /// A directory record.
    Directory {
        /// When it takes effect.
        effective_at: TimeMs,
        /// What it says.
        what: wire::directory_record::What,
    },
}

impl From<Happening> for Effect {
    fn from(happening: Happening) -> Self {
        Self::Evidence(Box::new(happening))
    }
}

/// Something decided, in its place, with the bytes that are committed.
#[derive(Clone, PartialEq)]
pub enum Fact {
    /// An evidence record, shared with the receipts over it.
    Evidence(Arc<Record>),
    /// A directory record.
    Directory(DirectoryFact),
}

impl Fact {
    /// Writes the form in the journal, a `RecordedEvent`, as the field with this number.
    pub(crate) fn encode(&self, tag: u32, out: &mut Vec<u8>) {
        match self {
            Self::Evidence(record) => {
                let (bytes, salt) = (record.bytes(), &record.salt.0);
                let length = fields::bytes_len(1, bytes).saturating_add(fields::bytes_len(2, salt));
                fields::head(tag, length, out);
                fields::bytes(1, bytes, out);
                fields::bytes(2, salt, out);
            }
            Self::Directory(fact) => {
                fields::head(tag, fields::bytes_len(3, &fact.bytes), out);
                fields::bytes(3, &fact.bytes, out);
            }
        }
    }

    /// Reads the form in the journal.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: wire::RecordedEvent) -> Result<Self, Malformed> {
        if wire.directory.is_empty() {
            Record::parse(wire.record, &wire.salt).map(Self::from)
        } else {
            DirectoryFact::parse(wire.directory).map(Self::Directory)
        }
    }

    /// The evidence record, when it is one.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.shared_record().map(AsRef::as_ref)
    }

    /// The evidence record, when it is one, to be held by others too.
    #[must_use]
    pub const fn shared_record(&self) -> Option<&Arc<Record>> {
        match self {
            Self::Evidence(record) => Some(record),
            Self::Directory(_) => None,
        }
    }
}

impl From<Record> for Fact {
    fn from(record: Record) -> Self {
        Self::Evidence(Arc::new(record))
    }
}

/// A directory record and its bytes, which are the leaf.
#[derive(Clone, PartialEq)]
pub struct DirectoryFact {
    record: wire::DirectoryRecord,
    bytes: Vec<u8>,
}

impl DirectoryFact {
    /// Makes the record. This is the only moment at which it is encoded.
    #[must_use]
    pub fn new(time: TimeMs, effective_at: TimeMs, what: wire::directory_record::What) -> Self {
        let record =
            wire::DirectoryRecord { time_ms: time.0, effective_at_ms: effective_at.0, what: Some(what) };
        let bytes = record.encode_to_vec();
        Self { record, bytes }
    }

    /// Reads a leaf of the directory log.
    ///
    /// # Errors
    /// [`Malformed`]: too large, or no such message. Later versions' fields are ignored; the bytes
    /// stay what they are.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, Malformed> {
        canonical::limit(bytes.len(), DIRECTORY_RECORD_BYTES_MAX, "directory")?;
        match wire::DirectoryRecord::decode(bytes.as_slice()) {
            Ok(record) => Ok(Self { record, bytes }),
            Err(_) => Err(Malformed::Protobuf { message: "DirectoryRecord" }),
        }
    }

    /// The leaf.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// When it was logged.
    #[must_use]
    pub const fn time(&self) -> TimeMs {
        TimeMs(self.record.time_ms)
    }

    /// When it takes effect.
    #[must_use]
    pub const fn effective_at(&self) -> TimeMs {
        TimeMs(self.record.effective_at_ms)
    }

    /// What it says.
    #[must_use]
    pub const fn what(&self) -> Option<&wire::directory_record::What> {
        self.record.what.as_ref()
    }
}
