//! What of this agency's own must be sealed anew: what the gateway refused because the directory had changed
//! meanwhile, what its recipient could not open, and what is sealed to a key that was revoked since. Not
//! here: sealing it (`office::anew`).

use std::collections::BTreeMap;

use proto::{
    command::HandoverResult,
    digest::Digest,
    directory::{Directory, KeyPurpose},
    evidence::Event,
    header::Header,
    ids::{AgencyId, TimeMs},
    key::KeyId,
    refusal::Refusal,
};

use crate::told::Told;

/// How often the same content is sealed anew by itself. After that a person must look: what is wrong is
/// not the key.
pub const ANEW_MAX: u32 = 5;

/// Why an envelope must be sealed anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// The gateway refused it: keys, agreement or mechanism are others by now.
    Refused,
    /// It was never pushed, since one before it was refused.
    Behind(Digest),
    /// Its recipient could not open it, in this attempt.
    NotOpened(u32),
    /// It waits for its recipient, and a key that opens it was revoked.
    KeyRevoked,
}

/// What must be sealed anew, and what could have to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Anew {
    waiting: BTreeMap<Digest, Why>,
    /// What carries the content of another, and how often it was sealed before.
    times: BTreeMap<Digest, u32>,
    /// What carries the content of an envelope now.
    instead: BTreeMap<Digest, Digest>,
    /// What nobody has fetched yet, and what it is sealed to.
    sealed_to: BTreeMap<Digest, (AgencyId, Vec<KeyId>)>,
}

/// Whether a refusal says that the same content, sealed for today's directory, may pass.
#[must_use]
pub const fn mends(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::SealingKeyNotInForce
            | Refusal::AgreementSuperseded
            | Refusal::MechanismChanged
            | Refusal::RecipientFull
    )
}

impl Anew {
    /// What waits to be sealed anew, and why.
    pub fn waiting(&self) -> impl Iterator<Item = (&Digest, Why)> {
        self.waiting.iter().map(|(digest, why)| (digest, *why))
    }

    /// Whether an envelope waits to be sealed anew.
    #[must_use]
    pub fn waits(&self, digest: &Digest) -> bool {
        self.waiting.contains_key(digest)
    }

    /// The envelope that carries the content of another now.
    #[must_use]
    pub fn instead_of(&self, digest: &Digest) -> Option<&Digest> {
        self.instead.get(digest)
    }

    /// An envelope of ours is to be pushed.
    pub(crate) fn queued(&mut self, digest: Digest, header: &Header, instead_of: Option<Digest>) {
        if let Some(before) = instead_of {
            self.waiting.remove(&before);
            self.sealed_to.remove(&before);
            self.instead.insert(before, digest);
            self.times.insert(digest, self.times.get(&before).map_or(1, |times| times.saturating_add(1)));
        }
        let own = header.parts.iter().filter(|part| part.recipient.is_none());
        let keys: Vec<KeyId> = own.flat_map(|part| part.key_ids.iter().copied()).collect();
        if !keys.is_empty() {
            self.sealed_to.insert(digest, (header.to.clone(), keys));
        }
    }

    /// The gateway has refused an envelope of ours.
    pub(crate) fn refused(&mut self, digest: Digest, refusal: Option<Refusal>) {
        self.sealed_to.remove(&digest);
        self.waiting.remove(&digest);
        if refusal.is_some_and(mends) {
            self.wait(digest, Why::Refused);
        }
    }

    /// An envelope of ours was not pushed, since one before it was refused.
    pub(crate) fn withdrawn(&mut self, digest: Digest, behind: Digest) {
        self.sealed_to.remove(&digest);
        self.waiting.remove(&digest);
        if self.waits(&behind) {
            self.wait(digest, Why::Behind(behind));
        }
    }

    /// The gateway tells what became of an envelope of ours.
    pub(crate) fn told(&mut self, told: &Told, me: &AgencyId) {
        let Some(digest) = told.what.envelope.filter(|_| told.what.sender.as_ref() == Some(me)) else {
            return;
        };
        let cannot_open = u64::from(HandoverResult::CannotOpen.number().unsigned_abs());
        let event = told.what.event;
        if event == Event::ContentHandoverFailure && told.what.count == cannot_open {
            self.wait(digest, Why::NotOpened(told.what.attempt));
        } else if matches!(event, Event::ContentHandover | Event::ReturnedForResealing | Event::Recalled)
            || matches!(event, Event::Expired | Event::Escalated)
        {
            self.is_over(&digest);
        }
    }

    /// The directory has changed: what waits for its recipient under a key that is in force no more.
    pub(crate) fn look(&mut self, directory: &Directory, now: TimeMs) {
        let in_force =
            |owner: &AgencyId, id: &KeyId| directory.key_in_force(owner, id, KeyPurpose::Sealing, now);
        let revoked =
            self.sealed_to.iter().filter(|(_, (owner, keys))| !keys.iter().all(|id| in_force(owner, id)));
        let revoked: Vec<Digest> = revoked.map(|(digest, _)| *digest).collect();
        for digest in revoked {
            self.sealed_to.remove(&digest);
            self.wait(digest, Why::KeyRevoked);
        }
    }

    /// A person decides.
    pub(crate) fn given_up(&mut self, digest: &Digest) {
        self.waiting.remove(digest);
        let behind: Vec<Digest> =
            self.waiting().filter(|(_, why)| *why == Why::Behind(*digest)).map(|(it, _)| *it).collect();
        behind.iter().for_each(|digest| self.given_up(digest));
    }

    fn is_over(&mut self, digest: &Digest) {
        self.sealed_to.remove(digest);
        self.waiting.remove(digest);
    }

    fn wait(&mut self, digest: Digest, why: Why) {
        if self.times.get(&digest).is_none_or(|times| *times < ANEW_MAX) {
            self.waiting.entry(digest).or_insert(why);
        }
    }
}
