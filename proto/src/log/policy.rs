//! Trust policies (C2SP `tlog-policy`): which logs count, and how many of which witnesses must have
//! cosigned. Not here: where policies come from; every verifier sets its own.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Malformed, key::PublicKey};

use super::{
    Unproven,
    checkpoint::Checkpoint,
    encoding::{lines, parse_decimal, too_large},
    note::{KeyType, Signed, SignedNote, VerifierKey},
    shard,
};

/// The largest policy that is read, in bytes.
pub const POLICY_BYTES_MAX: usize = 131_072;
/// The most logs in a policy.
pub const LOGS_MAX: usize = 32;
/// The most witnesses in a policy.
pub const WITNESSES_MAX: usize = 512;
/// The most groups in a policy.
pub const GROUPS_MAX: usize = 64;

/// The logs that are accepted, and the quorum of witnesses that must have cosigned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    quorum: Quorum,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Quorum {
    None,
    Witness(PublicKey),
    Group { threshold: usize, members: Vec<Self> },
}

impl Policy {
    /// The log's own signature is enough.
    ///
    /// # Errors
    /// [`Malformed::Form`] when the key's type is not a log's.
    pub fn unwitnessed(log: VerifierKey) -> Result<Self, Malformed> {
        Self::witnessed(log, 0, Vec::new())
    }

    /// The log's signature, and cosignatures of at least `threshold` of the witnesses.
    ///
    /// # Errors
    /// [`Malformed::Form`] when a key's type is not a log's or witness's, when two witnesses have the
    /// same public key, or when there are fewer witnesses than the threshold.
    pub fn witnessed(
        log: VerifierKey,
        threshold: usize,
        witnesses: Vec<VerifierKey>,
    ) -> Result<Self, Malformed> {
        let mut draft = Draft::default();
        draft.add_log(log)?;
        for witness in witnesses {
            draft.add_witness(witness)?;
        }
        if threshold > draft.witnesses.len() {
            return Err(form("policy.group"));
        }
        let members = draft.witnesses.iter().map(witness_quorum).collect();
        Ok(draft.with(Quorum::Group { threshold, members }))
    }

    /// Reads a policy file. URLs are allowed and not kept.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] above a limit of this module; [`Malformed::Missing`] without a quorum
    /// line; [`Malformed::Form`] for anything else that C2SP `tlog-policy` does not allow.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(too_large("policy", POLICY_BYTES_MAX));
        }
        let foreign = |c: char| c.is_ascii_control() && c != '\t' && c != '\n';
        if text.contains(foreign) {
            return Err(form("policy"));
        }
        let mut draft = Draft::default();
        for line in lines(text, "policy")? {
            let words: Vec<&str> = line.split([' ', '\t']).filter(|w| !w.is_empty()).collect();
            draft.line(&words)?;
        }
        let missing = Malformed::Missing { field: "policy.quorum" };
        let quorum = draft.quorum.take().ok_or(missing)?;
        Ok(draft.with(quorum))
    }

    /// The logs that are accepted.
    #[must_use]
    pub fn logs(&self) -> &[VerifierKey] {
        &self.logs
    }

    /// The witnesses that are known.
    #[must_use]
    pub fn witnesses(&self) -> &[VerifierKey] {
        &self.witnesses
    }

    /// Verifies a checkpoint: one of the logs signed it and has its origin for a name, enough
    /// witnesses cosigned it, and no known key's line is bad.
    ///
    /// # Errors
    /// As [`SignedNote::verify`] and [`Checkpoint::open`]; [`Unproven::NoQuorum`] when too few
    /// witnesses cosigned.
    pub fn open(&self, note: &SignedNote) -> Result<Checkpoint, Unproven> {
        // A log's later shards are the same log, under names of their own.
        let shard = |log: &VerifierKey| log.shard(shard::named(note, log)?).ok();
        let shards: Vec<VerifierKey> = self.logs.iter().filter_map(shard).collect();
        let others = self.logs.iter().filter(|log| !shards.contains(log));
        let signed = note.verify(shards.iter().chain(others).chain(&self.witnesses))?;
        let checkpoint = Checkpoint::signed_by_its_log(note, &signed)?;
        let cosigned: Vec<PublicKey> = signed.iter().filter_map(cosigner).collect();
        if self.quorum.is_met(&cosigned) { Ok(checkpoint) } else { Err(Unproven::NoQuorum) }
    }

    /// Whether [`Self::open`] would accept the note.
    #[must_use]
    pub fn satisfied_by(&self, note: &SignedNote) -> bool {
        self.open(note).is_ok()
    }
}

impl Quorum {
    fn is_met(&self, cosigned: &[PublicKey]) -> bool {
        match self {
            Self::None => true,
            Self::Witness(key) => cosigned.contains(key),
            Self::Group { threshold, members } => {
                let met = members.iter().filter(|member| member.is_met(cosigned));
                met.count() >= *threshold
            }
        }
    }
}

/// A policy file while its lines are read.
#[derive(Default)]
struct Draft {
    logs: Vec<VerifierKey>,
    witnesses: Vec<VerifierKey>,
    /// Witnesses and groups by name.
    named: BTreeMap<String, Quorum>,
    /// Names that are in a group. Each may be in one only, so that no witness counts twice.
    grouped: BTreeSet<String>,
    groups_count: usize,
    quorum: Option<Quorum>,
}

impl Draft {
    fn line(&mut self, words: &[&str]) -> Result<(), Malformed> {
        match words {
            [] => Ok(()),
            [comment, ..] if comment.starts_with('#') => Ok(()),
            ["log", vkey] | ["log", vkey, _] => self.add_log(VerifierKey::parse(vkey)?),
            ["witness", name, vkey] | ["witness", name, vkey, _] => {
                let witness = VerifierKey::parse(vkey)?;
                self.name(name, witness_quorum(&witness))?;
                self.add_witness(witness)
            }
            ["group", name, threshold, members @ ..] => self.add_group(name, threshold, members),
            ["quorum", name] => self.set_quorum(name),
            _ => Err(form("policy")),
        }
    }

    fn add_log(&mut self, log: VerifierKey) -> Result<(), Malformed> {
        match log.key_type() {
            KeyType::Ed25519 => add_key(&mut self.logs, log, "policy.log", LOGS_MAX),
            KeyType::CosignatureV1 => Err(form("policy.log")),
        }
    }

    fn add_witness(&mut self, witness: VerifierKey) -> Result<(), Malformed> {
        match witness.key_type() {
            KeyType::Ed25519 => Err(form("policy.witness")),
            KeyType::CosignatureV1 => add_key(&mut self.witnesses, witness, "policy.witness", WITNESSES_MAX),
        }
    }

    fn add_group(&mut self, name: &str, threshold: &str, names: &[&str]) -> Result<(), Malformed> {
        let malformed = form("policy.group");
        self.groups_count = self.groups_count.saturating_add(1);
        if self.groups_count > GROUPS_MAX {
            return Err(too_large("policy.group", GROUPS_MAX));
        }
        let threshold = match threshold {
            "any" => 1,
            "all" => names.len(),
            number => usize::try_from(parse_decimal(number, "policy.group")?).unwrap_or(0),
        };
        if !(1..=names.len()).contains(&threshold) {
            return Err(malformed);
        }
        let mut members = Vec::with_capacity(names.len());
        for member in names {
            members.push(self.named.get(*member).ok_or(malformed)?.clone());
            if !self.grouped.insert((*member).to_owned()) {
                return Err(malformed);
            }
        }
        self.name(name, Quorum::Group { threshold, members })
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), Malformed> {
        let malformed = form("policy.quorum");
        let quorum = match name {
            NONE => Quorum::None,
            name => self.named.get(name).ok_or(malformed)?.clone(),
        };
        match self.quorum.replace(quorum) {
            None => Ok(()),
            Some(_) => Err(malformed),
        }
    }

    fn name(&mut self, name: &str, quorum: Quorum) -> Result<(), Malformed> {
        if name == NONE || self.named.insert(name.to_owned(), quorum).is_some() {
            return Err(form("policy.name"));
        }
        Ok(())
    }

    fn with(self, quorum: Quorum) -> Policy {
        Policy { logs: self.logs, witnesses: self.witnesses, quorum }
    }
}

/// The predefined name of the quorum without witnesses.
const NONE: &str = "none";

const fn form(field: &'static str) -> Malformed {
    Malformed::Form { field }
}

const fn witness_quorum(witness: &VerifierKey) -> Quorum {
    Quorum::Witness(witness.public_key())
}

const fn cosigner(signed: &Signed<'_>) -> Option<PublicKey> {
    match signed {
        Signed::Ed25519 { key: _ } => None,
        Signed::CosignatureV1 { key, at: _ } => Some(key.public_key()),
    }
}

/// Adds a key that is not there yet under any name.
fn add_key(
    keys: &mut Vec<VerifierKey>,
    key: VerifierKey,
    field: &'static str,
    count_max: usize,
) -> Result<(), Malformed> {
    if keys.iter().any(|there| there.public_key() == key.public_key()) {
        return Err(form(field));
    }
    keys.push(key);
    if keys.len() > count_max {
        return Err(too_large(field, count_max));
    }
    Ok(())
}
