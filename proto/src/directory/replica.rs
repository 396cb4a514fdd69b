//! The directory as an agent rebuilds it from the leaves of the directory log, each verified and
//! judged once more, so that what a gateway should not have logged is seen. Not here: fetching leaves,
//! and whether the log's own signature covers them (`log::checkpoint`).

use std::collections::BTreeMap;

use thiserror::Error;

use super::{Applied, ChangeBody, Directory, DirectoryObject, Subject, authority::Verdict};
use crate::{
    Malformed,
    agreement::Agreement,
    command::{Command, DirectoryCommand},
    digest::Digest,
    dsse::{PayloadType, Signed, Unverified},
    fact::DirectoryFact,
    ids::{AgencyId, Locator, TimeMs},
    log::merkle::{Frontier, leaf_hash},
    refusal::Refusal,
    wire::{self, directory_record::What},
};

/// Why a leaf cannot stand in a directory log. Whoever sees one stops: the log was led wrongly, or is
/// of a later version than this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unlawful {
    /// It is not of its form, or a signature does not verify.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its signers could not make this change.
    #[error("the rules refuse it: {0}")]
    Refused(Refusal),
    /// The same change was logged before.
    #[error("the same change stands in the log already")]
    Repeated,
    /// It is older than the leaf before it.
    #[error("it is older than the entry before it")]
    TimeRunsBack,
    /// It takes effect at another moment than the rules say.
    #[error("it takes effect at another moment than the rules say")]
    OtherMoment,
    /// It says of an agreement what its text, or the entry before, does not.
    #[error("it does not say of an agreement what its text says")]
    OtherAgreement,
    /// A shard that does not begin where the log ends.
    #[error("a shard of the log does not begin where the log ends")]
    OtherShard,
    /// Nothing had lapsed.
    #[error("nothing lapsed at that moment")]
    NothingLapsed,
}

/// A directory rebuilt from its log.
#[derive(Clone, Default, Debug)]
pub struct Replica {
    directory: Directory,
    log: Frontier,
    last: TimeMs,
    texts: BTreeMap<Digest, (Signed, Agreement)>,
    entries: BTreeMap<Digest, Entry>,
}

/// What the log says of an agreement. Its text goes to its parties only.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    parties: Vec<AgencyId>,
    signed_by: Vec<AgencyId>,
    supersedes: Option<Digest>,
}

impl Replica {
    /// What the leaves so far build. Agreements are in it as far as their texts were supplied.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// The log so far.
    #[must_use]
    pub const fn log(&self) -> &Frontier {
        &self.log
    }

    /// When the last leaf was logged.
    #[must_use]
    pub const fn last(&self) -> TimeMs {
        self.last
    }

    /// The agreement whose text must be supplied before a leaf is taken: the leaf is about one that
    /// binds this agency.
    ///
    /// # Errors
    /// [`Malformed`]: no directory record.
    pub fn text_needed(&self, leaf: &[u8], me: &AgencyId) -> Result<Option<Digest>, Malformed> {
        let fact = DirectoryFact::parse(leaf.to_vec())?;
        let Some(What::Agreement(entry)) = fact.what() else {
            return Ok(None);
        };
        let digest = Digest::parse(&entry.agreement, "agreement")?;
        let binds = entry.parties.iter().any(|party| party == me.as_str());
        Ok(Some(digest).filter(|digest| binds && !self.texts.contains_key(digest)))
    }

    /// Takes the text of an agreement, to be held when its entry comes.
    ///
    /// # Errors
    /// [`Malformed`]: no agreement, or a signature that does not verify.
    pub fn supply(&mut self, text: wire::SignedObject) -> Result<Digest, Malformed> {
        let signed = Unverified::parse(text)?.verify(|id| self.directory.verification_key(id))?;
        if signed.payload_type() != PayloadType::Agreement {
            return Err(Malformed::Form { field: "payload_type" });
        }
        let agreement = Agreement::parse(signed.payload())?;
        let digest = signed.digest();
        self.texts.insert(digest, (signed, agreement));
        Ok(digest)
    }

    /// Takes the next leaf. Nothing has changed when it is refused.
    ///
    /// # Errors
    /// [`Unlawful`]: it cannot stand there.
    pub fn take(&mut self, leaf: Vec<u8>) -> Result<(), Unlawful> {
        let fact = DirectoryFact::parse(leaf)?;
        if fact.time() < self.last {
            return Err(Unlawful::TimeRunsBack);
        }
        let at = Locator { batch: self.log.size(), entry: 0 };
        let applied = Applied { time: fact.time(), effective_at: fact.effective_at(), at };
        match fact.what() {
            Some(What::Change(object) | What::Mechanism(object)) => self.take_signed(object, applied)?,
            Some(What::Agreement(entry)) => self.take_agreement(entry, &applied)?,
            Some(What::Lapse(lapse)) => self.take_lapse(lapse, &applied)?,
            // A kind of entry that this version does not know may be a stop.
            None => return Err(Malformed::Missing { field: "what" }.into()),
        }
        self.last = fact.time();
        self.log.append(leaf_hash(fact.bytes()));
        Ok(())
    }

    fn take_signed(&mut self, object: &wire::SignedObject, applied: Applied) -> Result<(), Unlawful> {
        let Command::Directory(command) = Command::verify(object.clone(), &self.directory)? else {
            return Err(Malformed::Form { field: "payload_type" }.into());
        };
        let DirectoryCommand { signed, object } = *command;
        let now = applied.time;
        match &object {
            DirectoryObject::Change(change) if !self.concerns_others(&change.body) => {
                // Whether its author's clock was ahead is the gateway's to judge, whose own may have been
                // behind.
                let verdict = self.directory.judge_change(&signed, change, (now, TimeMs(u64::MAX)));
                is_allowed(verdict, applied.effective_at)?;
                self.check_shard(&change.body)?;
                self.directory.apply_change(&signed, change, applied);
            }
            DirectoryObject::Change(change) => {
                at_once(&applied)?;
                self.directory.apply_change(&signed, change, applied);
            }
            DirectoryObject::Mechanism(mechanism) => {
                let verdict = self.directory.judge_mechanism(&signed, mechanism, now);
                is_allowed(verdict, applied.effective_at)?;
                self.directory.apply_mechanism(&signed, mechanism, applied.at);
            }
            // An agreement's text never stands in the log.
            DirectoryObject::Agreement(_) => {
                return Err(Malformed::Form { field: "payload_type" }.into());
            }
        }
        Ok(())
    }

    fn check_shard(&self, body: &ChangeBody) -> Result<(), Unlawful> {
        let ChangeBody::BeginShard(begun) = body else {
            return Ok(());
        };
        let fits = (begun.directory.size, begun.directory.root) == (self.log.size(), self.log.root());
        if fits { Ok(()) } else { Err(Unlawful::OtherShard) }
    }

    /// Whether a stop or start is of an agreement between others: whether its signers could is for
    /// its parties to judge, who have its text.
    fn concerns_others(&self, body: &ChangeBody) -> bool {
        match body {
            ChangeBody::Suspend { subject } | ChangeBody::Resume { subject } => self.is_of_others(subject),
            ChangeBody::Genesis { .. }
            | ChangeBody::AdmitAgency { .. }
            | ChangeBody::PublishKey { .. }
            | ChangeBody::RevokeKey { .. }
            | ChangeBody::Profile { .. }
            | ChangeBody::AddAdministrator(_)
            | ChangeBody::RemoveAdministrator(_)
            | ChangeBody::Calendar(_)
            | ChangeBody::RestoreOverride { .. }
            | ChangeBody::BeginShard(_)
            | ChangeBody::Invite(_)
            | ChangeBody::RevokeInvitation(_)
            | ChangeBody::ConfirmClock { .. } => false,
        }
    }

    fn is_of_others(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Agency(_) => false,
            Subject::Agreement(digest) => {
                self.entries.contains_key(digest) && !self.directory.agreements.contains_key(digest)
            }
        }
    }

    fn take_agreement(&mut self, wire: &wire::AgreementEntry, applied: &Applied) -> Result<(), Unlawful> {
        at_once(applied)?;
        let digest = Digest::parse(&wire.agreement, "agreement")?;
        let entry = Entry::parse(wire)?;
        if let Some(before) = self.entries.get(&digest) {
            let grew = before.signed_by.iter().all(|party| entry.signed_by.contains(party));
            if !grew || before.parties != entry.parties || before.supersedes != entry.supersedes {
                return Err(Unlawful::OtherAgreement);
            }
        }
        if let Some((signed, agreement)) = self.texts.get(&digest) {
            if agreement.parties != entry.parties || agreement.supersedes != entry.supersedes {
                return Err(Unlawful::OtherAgreement);
            }
            self.directory.apply_agreement(signed, agreement, &entry.signed_by, applied.at);
        }
        self.entries.insert(digest, entry);
        Ok(())
    }

    fn take_lapse(&mut self, lapse: &wire::Lapse, applied: &Applied) -> Result<(), Unlawful> {
        at_once(applied)?;
        let subject = Subject::parse(lapse.subject.clone())?;
        let due = self.directory.lapses.range(..=applied.time).any(|(_, due)| due.contains(&subject));
        if !due && !self.is_of_others(&subject) {
            return Err(Unlawful::NothingLapsed);
        }
        self.directory.release(&subject);
        Ok(())
    }
}

impl Entry {
    fn parse(wire: &wire::AgreementEntry) -> Result<Self, Unlawful> {
        let agencies = |texts: &[String], field| {
            texts.iter().map(|text| AgencyId::parse(text, field)).collect::<Result<Vec<_>, _>>()
        };
        let entry = Self {
            parties: agencies(&wire.parties, "parties")?,
            signed_by: agencies(&wire.signed_by, "signed_by")?,
            supersedes: if wire.supersedes.is_empty() {
                None
            } else {
                Some(Digest::parse(&wire.supersedes, "supersedes")?)
            },
        };
        let all = entry.parties.iter().all(|party| entry.signed_by.contains(party));
        let of_parties = entry.signed_by.iter().all(|party| entry.parties.contains(party));
        if of_parties && all == wire.in_force { Ok(entry) } else { Err(Unlawful::OtherAgreement) }
    }
}

fn is_allowed(verdict: Result<Verdict, Refusal>, effective_at: TimeMs) -> Result<(), Unlawful> {
    match verdict {
        Err(refusal) => Err(Unlawful::Refused(refusal)),
        Ok(Verdict::Done(_)) => Err(Unlawful::Repeated),
        Ok(Verdict::Allowed { effective_at: due, .. }) if due == effective_at => Ok(()),
        Ok(Verdict::Allowed { .. }) => Err(Unlawful::OtherMoment),
    }
}

fn at_once(applied: &Applied) -> Result<(), Unlawful> {
    if applied.effective_at == applied.time { Ok(()) } else { Err(Unlawful::OtherMoment) }
}
