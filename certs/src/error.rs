//! What can go wrong, split by whose fault it is: what was given cannot be read, the rules refuse it, or
//! it is ours. Each says what to do next. Nothing of a key is ever repeated.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

use crate::{
    permitted::GatewayName,
    serial::Serial,
    unix_time::{Lifetime, UnixTime},
};

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Error {
    /// What was given cannot be read.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The rules refuse it.
    #[error(transparent)]
    Refusal(#[from] Refusal),
    /// Ours: disk, randomness, a damaged folder.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What was given cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Malformed {
    /// Not a network.
    #[error(
        "not a network: write dotted lower-case labels of letters, digits and inner hyphens, at most 64 bytes, such as referral.example"
    )]
    Network,
    /// Not an agency.
    #[error("not an agency: write two or more dotted lower-case labels, at most 64 bytes, such as ae.dfwac")]
    Agency,
    /// Not a node.
    #[error("not a node: write one label of lower-case letters, digits and inner hyphens, at most 32 bytes")]
    Node,
    /// Not a pseudonym.
    #[error(
        "not a pseudonym: write one label of lower-case letters, digits and inner hyphens, at most 32 bytes; never a name"
    )]
    Pseudonym,
    /// Not a role.
    #[error("not a role: write administrator, operator or auditor")]
    Role,
    /// Not an identity.
    #[error(
        "not an identity: write gateway, agency/<agency>/<node> or staff/<administrator|operator|auditor>/<pseudonym>"
    )]
    Identity,
    /// Not a name that a gateway can have.
    #[error(
        "not a gateway's name: write a host such as gateway.referral.example, without wildcard, or an IP address"
    )]
    GatewayName,
    /// Not a name that an issuing certificate can permit.
    #[error(
        "not a name to permit: write a domain such as referral.example, or an IP range such as 10.1.0.0/16 with no bits set behind the prefix"
    )]
    PermittedName,
    /// Not a serial number.
    #[error("not a serial number: write 1 to 20 bytes in hex")]
    Serial,
    /// Not a fingerprint.
    #[error("not a fingerprint: write the certificate's SHA-256 in hex, 64 digits")]
    Fingerprint,
    /// Not a reason for revocation.
    #[error(
        "not a reason: write unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or privilege-withdrawn"
    )]
    Reason,
    /// Not a private key, or one of a kind that is not made here.
    #[error("not a private key of ECDSA P-256 as PEM (PKCS #8)")]
    Key,
    /// Not a certificate signing request.
    #[error("not one certificate signing request (PKCS #10), in PEM or DER")]
    Request,
    /// Not a certificate.
    #[error("not a certificate, in PEM or DER")]
    Certificate,
    /// Not a revocation list.
    #[error("not a revocation list, in PEM or DER")]
    RevocationList,
    /// None of the kinds of file that are shown.
    #[error("neither certificates nor revocation lists nor a request, in PEM or DER")]
    Unknown,
    /// Larger than is ever read.
    #[error("{bytes} bytes are more than the {limit_bytes} that are read")]
    TooLarge {
        /// How large it is.
        bytes: u64,
        /// The limit.
        limit_bytes: u64,
    },
}

/// The rules refuse it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The request is not signed by the key that it is for.
    #[error(
        "the request is not signed by its own key: make it again with the key that the certificate is for"
    )]
    NoProofOfPossession,
    /// The key is of a kind that is not certified.
    #[error(
        "the key is of a kind that is not certified: use ECDSA P-256 (or P-384, Ed25519, RSA of 2048 to 4096 bits)"
    )]
    KeyKind,
    /// An id of another network.
    #[error("an id of another network")]
    OtherNetwork,
    /// A certificate with no id, or more than one.
    #[error("the certificate has no SPIFFE id, or more than one")]
    NotOneIdentity,
    /// A gateway's certificate was asked for without names.
    #[error("a gateway's certificate needs the names that agents call it by")]
    NamesMissing,
    /// Names were given for an agent or a member of staff.
    #[error("only a gateway's certificate has names")]
    NamesForGatewayOnly,
    /// More names than a certificate has.
    #[error("more than {limit} names")]
    TooManyNames {
        /// The limit.
        limit: usize,
    },
    /// A gateway's name that the issuing certificate does not permit.
    #[error(
        "the issuing certificate does not permit the name {name}: use one that it permits, or make a new issuing certificate at a ceremony of the root"
    )]
    NameNotPermitted {
        /// The name.
        name: GatewayName,
    },
    /// A lifetime of nothing, or too long.
    #[error("a lifetime must be more than nothing and at most {most}")]
    Lifetime {
        /// The longest.
        most: Lifetime,
    },
    /// No certificate of that name was issued here.
    #[error("no certificate of that name was issued here: see what was with `certs list`")]
    NotIssued,
    /// A revoked certificate is not renewed.
    #[error("certificate {serial} is revoked and is not renewed: issue a new one for a new key")]
    Revoked {
        /// Which.
        serial: Serial,
    },
    /// An expired certificate is not renewed.
    #[error("certificate {serial} expired at {at} and is not renewed: issue a new one")]
    Expired {
        /// Which.
        serial: Serial,
        /// When.
        at: UnixTime,
    },
    /// A key that was revoked as compromised is not certified again.
    #[error("this key was revoked as compromised: make a new key")]
    CompromisedKey,
    /// No issuing certificate is in force.
    #[error("no issuing certificate is in force: make one at a ceremony of the root")]
    NoIssuing,
    /// The issuing certificate has given out as many as it may.
    #[error(
        "the issuing certificate has given out {limit} certificates, its limit: make a new one at a ceremony of the root"
    )]
    Full {
        /// The limit.
        limit: usize,
    },
    /// Not a certificate or list of this network's root.
    #[error("not signed by this network's root")]
    OtherRoot,
    /// Not the certificate of the key that waits for one.
    #[error("not the certificate that was asked for: its key, constraints or dates are others")]
    OtherIssuing,
    /// An older list than the one that is here.
    #[error("revocation list {number} is not newer than {known}, which is here already")]
    OlderList {
        /// The number given.
        number: u64,
        /// The number that is here.
        known: u64,
    },
    /// The list has run out, or is not yet in force.
    #[error("the revocation list is in force from {from} to {until} only: sign a new one, or set the clock")]
    ListNotInForce {
        /// Its first moment.
        from: UnixTime,
        /// Its last.
        until: UnixTime,
    },
    /// An authority is set up only once.
    #[error("{} is there already: choose a new folder", path.display())]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A file or folder that others may open.
    #[error("{} may be opened by others (mode {mode:04o}): whoever can has the keys; if nobody did, chmod go-rwx", path.display())]
    TooOpen {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Ours: disk, randomness, a damaged folder.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The operating system refuses.
    #[error("cannot {step} {}: {kind}", path.display())]
    Io {
        /// What was tried.
        step: Step,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// A file that is not as this program writes it.
    #[error("{} is damaged: restore the folder from its backup", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
    },
    /// A line of a ledger that is not as this program writes it.
    #[error("line {line} of {} is damaged: restore the folder from its backup", path.display())]
    DamagedLine {
        /// Which ledger.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// Made by a later version of this program.
    #[error("{} has format {version}: use the later version that wrote it", path.display())]
    LaterFormat {
        /// Which ledger.
        path: PathBuf,
        /// Its format.
        version: u32,
    },
    /// A write failed before; what is on the disk is not known until it is read again.
    #[error("writing {} failed before: open the folder again", path.display())]
    Unsure {
        /// Which ledger.
        path: PathBuf,
    },
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// Signing failed.
    #[error("the cryptographic library could not sign")]
    Signing,
    /// The clock shows a time that certificates cannot name.
    #[error("the clock shows a time before 1970 or after 9999: set it")]
    Clock,
}

/// What was tried when the operating system refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Making a file or folder.
    Create,
    /// Opening or reading.
    Read,
    /// Writing or syncing.
    Write,
    /// Putting in place.
    Rename,
    /// Locking against other programs.
    Lock,
    /// Removing.
    Remove,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Read => "read",
            Self::Write => "write",
            Self::Rename => "put in place",
            Self::Lock => "lock",
            Self::Remove => "remove",
        })
    }
}
