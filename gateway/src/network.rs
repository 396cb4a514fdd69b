//! `network.toml`: what agencies and staff are given of a network, all of it public. Not here: keys.

use std::{fs, io, path::Path};

use serde::{Deserialize, Serialize};

/// A network as its members know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkFile {
    /// The network's id, as in certificates.
    pub network: String,
    /// The gateway's address, such as `https://gateway.example:7443`.
    pub gateway: String,
    /// Where invitations are used, such as `gateway.example:7444`. Only whoever invites needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<String>,
    /// The evidence log's key, as a C2SP verifier key.
    pub evidence_log: String,
    /// The directory log's key, as a C2SP verifier key.
    pub directory_log: String,
    /// The certificate of the root, PEM.
    pub root: String,
}

impl NetworkFile {
    /// Reads the file.
    ///
    /// # Errors
    /// The disk's; `InvalidData` when it is no such file.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        toml::from_str(&text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Writes it to a new file.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = toml::to_string(self).map_err(io::Error::other)?;
        fs::write(path, text)
    }
}
