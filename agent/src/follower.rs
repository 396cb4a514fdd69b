//! Following the logs: what they offer is taken only when it is signed, whole, and goes on from what
//! was seen before. Pure: fetching is the link's. Not here: the directory's rules
//! (`proto::directory`).

use std::collections::BTreeMap;

use proto::{
    Malformed,
    digest::Digest,
    directory::{
        Directory, PublicKeyOf,
        replica::{Replica, Unlawful},
    },
    ids::AgencyId,
    log::{
        Unproven,
        checkpoint::Checkpoint,
        merkle::verify_consistency,
        note::{SignedNote, VerifierKey},
        shard::{self, ShardNo},
    },
    wire,
};
use thiserror::Error;

use crate::network::Network;

/// Why what a log offers is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotFollowed {
    /// The checkpoint is not the log's.
    #[error("the checkpoint is not signed by the log: {0}")]
    NotSigned(Unproven),
    /// Not of its form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It does not go on from what was seen before.
    #[error("the log is not the one that was seen before: {0}")]
    Fork(Unproven),
    /// Entries are missing or out of order.
    #[error("entry {0} of the directory did not come in its turn")]
    Gap(u64),
    /// An entry that the rules refuse.
    #[error("entry {index} of the directory is refused: {unlawful}")]
    Unlawful {
        /// Which.
        index: u64,
        /// Why.
        unlawful: Unlawful,
    },
    /// The directory is of another network.
    #[error("the directory is of another network than network.toml")]
    OtherNetwork,
}

impl NotFollowed {
    /// Whether people must look before anything more is sealed.
    #[must_use]
    pub const fn is_alarm(&self) -> bool {
        match self {
            Self::Fork(_) | Self::Unlawful { .. } | Self::OtherNetwork => true,
            Self::NotSigned(_) | Self::Malformed(_) | Self::Gap(_) => false,
        }
    }
}

/// A checkpoint that a log signed, in one of its shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// Which.
    pub shard: ShardNo,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// Reads a checkpoint that a log signed.
///
/// # Errors
/// [`NotFollowed::NotSigned`] or [`NotFollowed::Malformed`].
pub fn open(note: &str, log: &VerifierKey) -> Result<(SignedNote, Offered), NotFollowed> {
    let note = SignedNote::parse(note)?;
    let (shard, checkpoint) = shard::open(&note, log).map_err(NotFollowed::NotSigned)?;
    Ok((note, Offered { shard, checkpoint }))
}

/// A note with the log's own line only: the cosignatures of others are not ours to keep.
#[must_use]
pub fn bare(note: &SignedNote, log: &VerifierKey) -> SignedNote {
    let mut lines = note.lines().iter();
    let log = shard::named(note, log).and_then(|shard| log.shard(shard).ok());
    let own =
        log.and_then(|log| lines.find(|line| line.id() == log.id() && line.name() == log.name().as_str()));
    let bare = own.and_then(|line| SignedNote::new(note.text().to_owned(), line.clone()).ok());
    bare.unwrap_or_else(|| note.clone())
}

/// The hashes of a proof.
///
/// # Errors
/// [`NotFollowed::Malformed`].
pub fn hashes(path: &[u8]) -> Result<Vec<Digest>, NotFollowed> {
    Ok(path.chunks(32).map(|bytes| Digest::parse(bytes, "path")).collect::<Result<_, _>>()?)
}

/// Checks that one of two checkpoints of a log is the beginning of the other. A shard begins with what was
/// restored of the one before it, so that it is one tree.
///
/// # Errors
/// [`NotFollowed::Fork`].
pub fn consistent(one: &Checkpoint, other: &Checkpoint, path: &[Digest]) -> Result<(), NotFollowed> {
    let (older, newer) = if one.size <= other.size { (one, other) } else { (other, one) };
    let verified = verify_consistency(older.size, older.root, newer.size, newer.root, path);
    verified.map_err(NotFollowed::Fork)
}

/// The texts of agreements that must be fetched before entries are taken.
///
/// # Errors
/// [`NotFollowed::Malformed`].
pub fn texts_needed(
    replica: &Replica,
    leaves: &[Vec<u8>],
    me: &AgencyId,
) -> Result<Vec<Digest>, NotFollowed> {
    let mut needed = Vec::new();
    for leaf in leaves {
        if let Some(digest) = replica.text_needed(leaf, me)?
            && !needed.contains(&digest)
        {
            needed.push(digest);
        }
    }
    Ok(needed)
}

/// An entry that was taken, and the text that had to be supplied before it.
#[derive(Clone, PartialEq)]
pub struct Taken {
    /// Of the agreement that the entry is about.
    pub text: Option<wire::SignedObject>,
    /// The entry.
    pub leaf: Vec<u8>,
}

/// Takes entries up to a checkpoint: all of them, or none when one of them, or their root, is not as
/// it must be.
///
/// # Errors
/// [`NotFollowed`].
pub fn follow(
    replica: &Replica,
    leaves: Vec<Vec<u8>>,
    texts: &BTreeMap<Digest, wire::SignedObject>,
    (network, me): (&Network, &AgencyId),
    Offered { shard, checkpoint }: &Offered,
) -> Result<(Vec<Taken>, Directory), NotFollowed> {
    let mut next = replica.clone();
    let mut taken = Vec::with_capacity(leaves.len());
    for leaf in leaves {
        let index = next.log().size();
        let text = next.text_needed(&leaf, me)?.and_then(|digest| texts.get(&digest)).cloned();
        if let Some(text) = &text {
            next.supply(text.clone())?;
        }
        next.take(leaf.clone()).map_err(|unlawful| NotFollowed::Unlawful { index, unlawful })?;
        taken.push(Taken { text, leaf });
    }
    if next.log().size() != checkpoint.size {
        return Err(NotFollowed::Gap(next.log().size()));
    }
    if next.log().root() != checkpoint.root {
        return Err(NotFollowed::Fork(Unproven::RootMismatch));
    }
    // A shard is begun by a leaf that two administrators have signed: the log's own key is not enough.
    if next.directory().directory_shards().of_size(checkpoint.size) != *shard {
        return Err(NotFollowed::Fork(Unproven::OtherLog));
    }
    let names = next.directory().network().map(|names| {
        names.network == network.name
            && names.evidence_origin.key_name() == network.evidence.name()
            && names.directory_origin.key_name() == network.directory.name()
    });
    if names == Some(false) { Err(NotFollowed::OtherNetwork) } else { Ok((taken, next.directory().clone())) }
}

/// A key of this agency that the directory holds and that it did not publish.
#[must_use]
pub fn foreign_key(replica: &Replica, me: &AgencyId, published: &[PublicKeyOf]) -> Option<String> {
    let keys = replica.directory().agency(me).map(|agency| agency.keys.as_slice()).unwrap_or_default();
    let standing = keys.iter().filter(|key| key.revoked_at.is_none());
    standing.filter(|key| !published.contains(&key.key)).map(|key| key.id.to_string()).next()
}

#[cfg(test)]
mod tests {
    use proto::{
        key::SigningKey,
        log::{
            checkpoint::Origin,
            cosignature::{CosignedAt, cosign},
            merkle::{Frontier, consistency_proof, leaf_hash},
            note::{KeyName, KeyType},
        },
    };

    use super::*;

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_seed(&[byte; 32])
    }

    fn vkey(byte: u8) -> VerifierKey {
        let origin = Origin::parse("referral.example/log").unwrap();
        VerifierKey::new(origin.key_name().clone(), KeyType::Ed25519, key(byte).public())
    }

    /// A log's leaves, and its checkpoint at a size.
    fn log(leaves: u8, first: &[u8]) -> (Vec<Digest>, Checkpoint) {
        let hashes: Vec<_> =
            [leaf_hash(first)].into_iter().chain((1..leaves).map(|leaf| leaf_hash(&[leaf]))).collect();
        let mut frontier = Frontier::default();
        frontier.extend(hashes.iter().copied());
        let origin = Origin::parse("referral.example/log").unwrap();
        (hashes, Checkpoint { origin, size: frontier.size(), root: frontier.root() })
    }

    #[test]
    fn only_the_logs_own_signature_counts() {
        let (_, checkpoint) = log(3, b"first");
        let note = checkpoint.sign(&key(1)).to_string();
        assert_eq!(open(&note, &vkey(1)).unwrap().1, Offered { shard: ShardNo::FIRST, checkpoint });
        assert_eq!(open(&note, &vkey(2)).map(|_| ()), Err(NotFollowed::NotSigned(Unproven::Unsigned)));
        let changed = note.replace("\n3\n", "\n4\n");
        assert_eq!(open(&changed, &vkey(1)).map(|_| ()), Err(NotFollowed::NotSigned(Unproven::BadSignature)));
        assert!(matches!(open("", &vkey(1)), Err(NotFollowed::Malformed(_))));
        assert!(!NotFollowed::NotSigned(Unproven::Unsigned).is_alarm(), "anybody can send nonsense");
    }

    #[test]
    fn a_log_goes_on_or_it_is_a_fork_whichever_is_shown_first() {
        let ((_, small), (hashes, large)) = (log(3, b"first"), log(7, b"first"));
        let path = consistency_proof(3, 7, hashes.as_slice()).unwrap();
        assert_eq!(consistent(&small, &large, &path), Ok(()));
        assert_eq!(consistent(&large, &small, &path), Ok(()), "an older one is no shrinking log");
        let (_, other) = log(3, b"another");
        let fork = Err(NotFollowed::Fork(Unproven::RootMismatch));
        assert_eq!(consistent(&other, &large, &path), fork);
        assert_eq!(consistent(&small, &other, &[]), fork, "two of one size");
        assert!(NotFollowed::Fork(Unproven::RootMismatch).is_alarm());
        assert!(super::hashes(&[0; 33]).is_err());
    }

    #[test]
    fn only_the_logs_own_line_is_kept() {
        let (_, checkpoint) = log(3, b"first");
        let own = checkpoint.sign(&key(1));
        let witness = KeyName::parse("jo.mosd", "name").unwrap();
        let at = CosignedAt::from_unix_s(1_790_000_000).unwrap();
        let cosigned = own.clone().with(cosign(&witness, &key(5), at, &checkpoint)).unwrap();
        assert_eq!(bare(&cosigned, &vkey(1)), own);
    }
}
