//! Shards of a log: the names under which one tree goes on after a restore that was behind what others
//! hold. A shard's tree begins with all that was restored; what was signed beyond under the names before it
//! is no part of it. Not here: who begins one (`directory`), and what must have been said (`restore`).

use std::fmt;

use crate::{Malformed, wire};

use super::{
    Unproven,
    checkpoint::{Checkpoint, Origin},
    note::{KeyName, KeyType, SignedNote, VerifierKey},
};

/// Between a log's name and the number of its shard.
const INFIX: &str = "/shard/";

/// The number of a shard. The first is the log as it began, and has the log's own name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShardNo(u32);

impl ShardNo {
    /// The log as it began.
    pub const FIRST: Self = Self(1);

    /// Reads a number.
    ///
    /// # Errors
    /// [`Malformed::Form`] for 0.
    pub const fn parse(number: u32) -> Result<Self, Malformed> {
        if number == 0 { Err(Malformed::Form { field: "number" }) } else { Ok(Self(number)) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after it; none after the last that can be numbered.
    #[must_use]
    pub const fn next(self) -> Option<Self> {
        match self.0.checked_add(1) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }
}

impl fmt::Display for ShardNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Origin {
    /// The name of a shard of this log: `<log>/shard/<number>`; of the first, the log's own.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] when the log's name leaves no room for it.
    pub fn shard(&self, number: ShardNo) -> Result<Self, Malformed> {
        Self::parse(&name(self.as_str(), number))
    }
}

impl VerifierKey {
    /// The key of a shard of the log whose key this is: the same key under the shard's name.
    ///
    /// # Errors
    /// As [`Origin::shard`].
    pub fn shard(&self, number: ShardNo) -> Result<Self, Malformed> {
        let name = KeyName::parse(&name(self.name().as_str(), number), "checkpoint.origin")?;
        Ok(Self::new(name, self.key_type(), self.public_key()))
    }
}

fn name(log: &str, number: ShardNo) -> String {
    if number == ShardNo::FIRST { log.to_owned() } else { format!("{log}{INFIX}{number}") }
}

/// Which shard of a log a note speaks of, by its first line; nothing when of none.
#[must_use]
pub fn named(note: &SignedNote, log: &VerifierKey) -> Option<ShardNo> {
    let (first, _) = note.text().split_once('\n')?;
    let rest = first.strip_prefix(log.name().as_str())?;
    if rest.is_empty() {
        return Some(ShardNo::FIRST);
    }
    let number = ShardNo(rest.strip_prefix(INFIX)?.parse().ok()?);
    // Written in one way, and the first has no number in its name.
    let is_exact = number > ShardNo::FIRST && name(log.name().as_str(), number) == first;
    is_exact.then_some(number)
}

/// Verifies a checkpoint that a log has signed in whichever of its shards.
///
/// # Errors
/// As [`Checkpoint::open`].
pub fn open(note: &SignedNote, log: &VerifierKey) -> Result<(ShardNo, Checkpoint), Unproven> {
    let number = named(note, log).filter(|_| log.key_type() == KeyType::Ed25519);
    let number = number.unwrap_or(ShardNo::FIRST);
    let checkpoint = Checkpoint::open(note, &log.shard(number)?)?;
    Ok((number, checkpoint))
}

/// Where a log was taken up again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The last checkpoint of what was restored: its size,
    pub size: u64,
    /// and its root.
    pub root: crate::digest::Digest,
    /// The furthest checkpoint that anybody has shown beyond it, as the log has signed it; none when nobody
    /// holds more.
    pub witnessed: Option<SignedNote>,
}

impl Cut {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: Option<&wire::LogCut>) -> Result<Self, Malformed> {
        let wire = wire.ok_or(Malformed::Missing { field: "cut" })?;
        let witnessed = match wire.witnessed.as_str() {
            "" => None,
            note => Some(SignedNote::parse(note)?),
        };
        if let Some(note) = &witnessed
            && Checkpoint::parse(note.text())?.size <= wire.size
        {
            return Err(Malformed::Form { field: "cut.witnessed" });
        }
        let root = crate::digest::Digest::parse(&wire.root, "cut.root")?;
        Ok(Self { size: wire.size, root, witnessed })
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::LogCut {
        wire::LogCut {
            size: self.size,
            root: self.root.to_vec(),
            witnessed: self.witnessed.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    /// What was witnessed, read; what was restored where nobody holds more.
    #[must_use]
    pub fn furthest(&self) -> (u64, crate::digest::Digest) {
        let witnessed = self.witnessed.as_ref().and_then(|note| Checkpoint::parse(note.text()).ok());
        witnessed.map_or((self.size, self.root), |checkpoint| (checkpoint.size, checkpoint.root))
    }
}

/// The shards of a log in their order: each with the size that it was taken up at.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Shards(Vec<(u64, ShardNo)>);

impl Shards {
    /// Of what was begun, in its order.
    #[must_use]
    pub fn new(begun: impl IntoIterator<Item = (u64, ShardNo)>) -> Self {
        Self(begun.into_iter().collect())
    }

    /// The shard that signs checkpoints of a size. Of the size that it was taken up at, the one before has.
    #[must_use]
    pub fn of_size(&self, size: u64) -> ShardNo {
        let begun = self.0.iter().rev().find(|(base, _)| *base < size);
        begun.map_or(ShardNo::FIRST, |(_, number)| *number)
    }

    /// The present one.
    #[must_use]
    pub fn present(&self) -> ShardNo {
        self.0.last().map_or(ShardNo::FIRST, |(_, number)| *number)
    }

    /// Up to which size what a shard has signed is a part of the tree of now; none while it goes on.
    #[must_use]
    pub fn valid_until(&self, shard: ShardNo) -> Option<u64> {
        self.0.iter().filter(|(_, number)| *number > shard).map(|(base, _)| *base).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{digest::Digest, key::SigningKey};

    fn key() -> SigningKey {
        SigningKey::from_seed(&[1; 32])
    }

    fn log() -> (Origin, VerifierKey) {
        let origin = Origin::parse("referral.example/log").unwrap();
        let verifier = VerifierKey::new(origin.key_name().clone(), KeyType::Ed25519, key().public());
        (origin, verifier)
    }

    #[test]
    fn a_checkpoint_is_opened_by_the_shard_that_it_names_and_by_the_logs_own_key() {
        let (origin, verifier) = log();
        for number in [1, 2, 10, u32::MAX].map(ShardNo) {
            let origin = origin.shard(number).unwrap();
            let checkpoint = Checkpoint { origin, size: 7, root: Digest([3; 32]) };
            let note = checkpoint.sign(&key());
            assert_eq!(open(&note, &verifier), Ok((number, checkpoint.clone())));
            let stranger = checkpoint.sign(&SigningKey::from_seed(&[2; 32]));
            assert!(open(&stranger, &verifier).is_err());
        }
        for other in [
            "referral.example/log/shard/1",
            "referral.example/log/shard/02",
            "referral.example/log/shard/0",
            "referral.example/log/shard/+2",
            "referral.example/log/shard/",
            "referral.example/log/shard/4294967296",
            "referral.example/logs",
            "another.example/log",
        ] {
            let origin = Origin::parse(other).unwrap_or_else(|_| Origin::parse("a.example").unwrap());
            let note = Checkpoint { origin, size: 7, root: Digest([3; 32]) }.sign(&key());
            assert_eq!(named(&note, &verifier), None, "{other}");
            assert!(open(&note, &verifier).is_err(), "{other}");
        }
        assert!(Origin::parse(&"a".repeat(250)).unwrap().shard(ShardNo(2)).is_err());
    }

    #[test]
    fn a_size_is_signed_in_the_shard_that_reaches_it() {
        let shards = Shards::new([(10, ShardNo(2)), (25, ShardNo(4))]);
        for (size, number) in [(0, 1), (10, 1), (11, 2), (25, 2), (26, 4), (u64::MAX, 4)] {
            assert_eq!(shards.of_size(size), ShardNo(number), "{size}");
        }
        assert_eq!(shards.present(), ShardNo(4));
        for (shard, until) in [(1, Some(10)), (2, Some(25)), (3, Some(25)), (4, None), (5, None)] {
            assert_eq!(shards.valid_until(ShardNo(shard)), until, "{shard}");
        }
        // One that was begun from an older backup takes part of the one before back.
        let back = Shards::new([(10, ShardNo(2)), (5, ShardNo(3))]);
        assert_eq!((back.of_size(5), back.of_size(12)), (ShardNo(1), ShardNo(3)));
        assert_eq!(Shards::default().of_size(9), ShardNo::FIRST);
    }

    #[test]
    fn a_cut_names_what_lies_beyond_it_or_nothing() {
        let (origin, _) = log();
        let note = |size| {
            Checkpoint { origin: origin.clone(), size, root: Digest([size.to_le_bytes()[0]; 32]) }
                .sign(&key())
        };
        let cut = Cut { size: 7, root: Digest([7; 32]), witnessed: Some(note(9)) };
        assert_eq!(Cut::parse(Some(&cut.to_wire())), Ok(cut.clone()));
        assert_eq!(cut.furthest(), (9, Digest([9; 32])));
        let none = Cut { witnessed: None, ..cut };
        assert_eq!(Cut::parse(Some(&none.to_wire())), Ok(none.clone()));
        assert_eq!(none.furthest(), (7, Digest([7; 32])));
        for bad in [
            wire::LogCut { witnessed: note(7).to_string(), ..cut.to_wire() },
            wire::LogCut { root: vec![7; 31], ..cut.to_wire() },
            wire::LogCut { witnessed: "a note".into(), ..cut.to_wire() },
        ] {
            assert!(Cut::parse(Some(&bad)).is_err());
        }
        assert!(Cut::parse(None).is_err());
    }
}
