//! `new-shard.json`: what two administrators sign so that a gateway goes on in a new shard of its logs. Not
//! here: what it must name (`proto::restore`).

use std::{fs, io, path::Path};

use anyhow::{Context as _, Result};
use proto::{
    directory::NewShard,
    log::{note::SignedNote, shard::Cut},
    wire,
};
use serde::{Deserialize, Serialize};

use crate::place::{Place, replace_private};

/// The file, in the gateway's folder.
const FILE: &str = "new-shard.json";

/// A shard that could be begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    number: u32,
    evidence: CutFile,
    directory: CutFile,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CutFile {
    /// Leaves that are here.
    size: u64,
    /// Their root, hex.
    root: String,
    /// The furthest checkpoint that was shown beyond, as the log has signed it; empty when there is none.
    witnessed: String,
}

impl Proposal {
    /// Of a shard.
    #[must_use]
    pub fn of(shard: &NewShard) -> Self {
        let cut = |cut: &Cut| CutFile {
            size: cut.size,
            root: cut.root.to_string(),
            witnessed: cut.witnessed.as_ref().map(SignedNote::to_string).unwrap_or_default(),
        };
        Self { number: shard.number.get(), evidence: cut(&shard.evidence), directory: cut(&shard.directory) }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// It is not there, or not of its form.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("{} is no proposal", path.display()))
    }

    /// What is signed.
    ///
    /// # Errors
    /// A root or checkpoint that is none.
    pub fn to_wire(&self) -> Result<wire::BeginShard> {
        let cut = |cut: &CutFile| {
            let root = proto::digest::Digest::from_hex(&cut.root, "root").context("its root")?;
            let wire = wire::LogCut { size: cut.size, root: root.to_vec(), witnessed: cut.witnessed.clone() };
            Cut::parse(Some(&wire)).context("its checkpoint")?;
            anyhow::Ok(wire)
        };
        Ok(wire::BeginShard {
            number: self.number,
            evidence: Some(cut(&self.evidence)?),
            directory: Some(cut(&self.directory)?),
        })
    }

    pub(super) fn write(&self, place: &Place) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        replace_private(&place.root().join(FILE), &text)
    }

    pub(super) fn remove(place: &Place) -> io::Result<()> {
        match fs::remove_file(place.root().join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}
