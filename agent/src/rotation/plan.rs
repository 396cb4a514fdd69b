//! A rotation's plan, as it stands on the disk: which keys come and go, and how far it has come. Not here: what is done
//! about it.

use proto::{
    directory::{AgencyKey, KeyPurpose, PublicKeyOf},
    ids::TimeMs,
    key::{KeyId, SigningKey},
};
use serde::{Deserialize, Serialize};

use super::{NotRenewed, Wanted};
use crate::{
    folder::{Folder, FolderFault, Name},
    keys::{self, Keys, KeysFault, SEALING_KEYS_MAX},
};

/// The version of the format.
const VERSION: u32 = 1;

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The new keys are made, and are being published. The former ones are in use.
    Publish,
    /// The new keys are being put into the place of the former ones.
    Switch,
    /// They are in use.
    InUse,
}

/// What becomes of the certificate's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Certificate {
    /// It is not to be rotated.
    Kept,
    /// It is to be.
    Due,
    /// There is a new one; those before are still good.
    Renewed,
    /// Those before are revoked.
    Done,
    /// The gateway cannot do it, for this reason.
    Left(String),
}

/// A key that comes, and the one that goes for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    purpose: i32,
    /// In hex, like the other.
    new: String,
    former: String,
}

impl Turn {
    fn of(new: &PublicKeyOf, former: &PublicKeyOf) -> Self {
        let hex = |key: &PublicKeyOf| key.to_vec().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { purpose: new.purpose().number(), new: hex(new), former: hex(former) }
    }

    fn read(&self, hex: &str) -> Option<PublicKeyOf> {
        let pairs = hex
            .as_bytes()
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()));
        PublicKeyOf::parse(self.purpose, &pairs.collect::<Option<Vec<_>>>()?).ok()
    }

    /// The key that comes.
    #[must_use]
    pub fn new_key(&self) -> Option<PublicKeyOf> {
        self.read(&self.new)
    }

    /// The key that goes.
    #[must_use]
    pub fn former_key(&self) -> Option<PublicKeyOf> {
        self.read(&self.former)
    }
}

/// A rotation, as `keys/rotation.json` has it. Nothing in it is secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    version: u32,
    /// When it was begun.
    pub begun_at_ms: u64,
    /// How far it has come.
    pub step: Step,
    /// The keys that come and go.
    pub turns: Vec<Turn>,
    /// What becomes of the certificate's key.
    pub certificate: Certificate,
    /// When the former sealing key is taken back.
    pub sealing_goes_at_ms: u64,
}

const NOT_A_PLAN: KeysFault = KeysFault::NotAKey(Name::Rotation);

impl Plan {
    /// The plan that a folder holds; none when no key is rotated.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn read(folder: &Folder) -> Result<Option<Self>, KeysFault> {
        let text = match folder.read(Name::Rotation) {
            Err(FolderFault::Missing(_)) => return Ok(None),
            text => text?,
        };
        let plan: Self = serde_json::from_slice(&text).map_err(|_| NOT_A_PLAN)?;
        let is_whole = plan.turns.iter().all(|turn| turn.new_key().is_some() && turn.former_key().is_some());
        if plan.version == VERSION && is_whole { Ok(Some(plan)) } else { Err(NOT_A_PLAN) }
    }

    /// Makes the new keys, beside the former ones. They are in no use before the plan is saved.
    pub(super) fn make(
        folder: &Folder,
        wanted: Wanted,
        now: TimeMs,
        sealing_goes_at: TimeMs,
    ) -> Result<Self, KeysFault> {
        let present = Keys::load(folder)?;
        let mut turns = Vec::new();
        if wanted.signing {
            let new = keys::make_signing(folder, Name::NextSigningKey)?.public();
            turns.push(Turn::of(&PublicKeyOf::Signing(new), &PublicKeyOf::Signing(present.signing.public())));
        }
        if wanted.sealing {
            if present.sealing.len() >= SEALING_KEYS_MAX {
                return Err(KeysFault::TooMany);
            }
            let new = keys::make_sealing(folder, Name::NextSealingKey)?;
            let public = |key: &seal::SealingKey| PublicKeyOf::Sealing(key.recipient().as_bytes().to_vec());
            turns.extend(present.sealing.first().map(|former| Turn::of(&public(&new), &public(former))));
        }
        if wanted.witness {
            let new = keys::make_signing(folder, Name::NextWitnessKey)?.public();
            turns.push(Turn::of(&PublicKeyOf::Witness(new), &PublicKeyOf::Witness(present.witness.public())));
        }
        Ok(Self {
            version: VERSION,
            begun_at_ms: now.0,
            step: Step::Publish,
            turns,
            certificate: if wanted.certificate { Certificate::Due } else { Certificate::Kept },
            sealing_goes_at_ms: sealing_goes_at.0,
        })
    }

    pub(super) fn save(&self, folder: &Folder) -> Result<(), KeysFault> {
        let text = serde_json::to_vec(self).map_err(|_| NOT_A_PLAN)?;
        Ok(folder.write(Name::Rotation, &text)?)
    }

    /// The same, with the former sealing key taken back now.
    pub(super) fn sooner(self, now: TimeMs) -> Self {
        Self { sealing_goes_at_ms: self.sealing_goes_at_ms.min(now.0), ..self }
    }

    pub(super) fn with_certificate(self, certificate: Certificate) -> Self {
        Self { certificate, ..self }
    }

    /// Puts the new keys into the place of the former ones, and gives the keys as they are then.
    pub(super) fn switch(&self, folder: &Folder) -> Result<Keys, KeysFault> {
        Self { step: Step::Switch, ..self.clone() }.save(folder)?;
        self.put(folder)?;
        Keys::load(folder)
    }

    /// Finishes what was cut short while keys were put in place. To be done before they are read.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn settle(folder: &Folder) -> Result<(), KeysFault> {
        match Self::read(folder)? {
            Some(plan) if plan.step == Step::Switch => plan.put(folder),
            Some(_) | None => Ok(()),
        }
    }

    /// The same whether some of it was done before or not.
    fn put(&self, folder: &Folder) -> Result<(), KeysFault> {
        for (purpose, next, name) in [
            (KeyPurpose::Signing, Name::NextSigningKey, Name::SigningKey),
            (KeyPurpose::Witness, Name::NextWitnessKey, Name::WitnessKey),
        ] {
            if self.turns(purpose).is_some() {
                folder.write(name, &zeroize::Zeroizing::new(folder.read(next)?))?;
            }
        }
        if self.turns(KeyPurpose::Sealing).is_some() {
            let new = keys::sealing(folder, Name::NextSealingKey)?;
            let id = |key: &seal::SealingKey| KeyId::of(key.recipient().as_bytes());
            let former = keys::sealing(folder, Name::SealingKey)?;
            let former = former.iter().filter(|key| new.iter().all(|new| id(new) != id(key)));
            keys::write_sealing(folder, new.iter().chain(former))?;
        }
        Self { step: Step::InUse, ..self.clone() }.save(folder)
    }

    /// Takes the plan away, and then what nothing names any more.
    pub(super) fn finish(folder: &Folder) -> Result<(), KeysFault> {
        folder.remove(Name::Rotation)?;
        for name in [Name::NextSigningKey, Name::NextSealingKey, Name::NextWitnessKey] {
            match folder.remove(name) {
                Err(FolderFault::Io { kind: std::io::ErrorKind::NotFound, .. }) => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    /// The keys of a purpose that come and go, if they do.
    #[must_use]
    pub fn turns(&self, purpose: KeyPurpose) -> Option<&Turn> {
        self.turns.iter().find(|turn| turn.purpose == purpose.number())
    }

    /// The keys that come.
    pub fn new_keys(&self) -> impl Iterator<Item = PublicKeyOf> + use<'_> {
        self.turns.iter().filter_map(Turn::new_key)
    }

    /// The keys that come and those that go.
    #[must_use]
    pub fn public_keys(&self) -> Vec<PublicKeyOf> {
        self.new_keys().chain(self.turns.iter().filter_map(Turn::former_key)).collect()
    }

    /// The private half of a key that comes, when it is one that signs objects.
    pub(super) fn next_signing(
        &self,
        folder: &Folder,
        key: &PublicKeyOf,
    ) -> Result<Option<SigningKey>, KeysFault> {
        let read = || keys::signing(folder, Name::NextSigningKey);
        let new = key.signing().map(|_| read()).transpose()?;
        Ok(new.filter(|new| Some(new.public()) == key.signing()))
    }

    /// The former keys that stand in the directory and are to be taken back by now.
    pub(super) fn due(&self, held: &[AgencyKey], now: TimeMs) -> Vec<KeyId> {
        let is_due =
            |key: &PublicKeyOf| key.purpose() != KeyPurpose::Sealing || self.sealing_goes_at_ms <= now.0;
        self.standing(held).filter(is_due).map(|key| key.id()).collect()
    }

    /// When the former sealing key is taken back that still stands in the directory.
    pub(super) fn later(&self, held: &[AgencyKey]) -> Option<TimeMs> {
        self.standing(held).next().map(|_| TimeMs(self.sealing_goes_at_ms))
    }

    fn standing<'a>(&'a self, held: &'a [AgencyKey]) -> impl Iterator<Item = PublicKeyOf> + use<'a> {
        let stands =
            |key: &PublicKeyOf| held.iter().any(|held| held.key == *key && held.revoked_at.is_none());
        self.turns.iter().filter_map(Turn::former_key).filter(stands)
    }
}

/// Whether the gateway will not do it however often it is asked.
pub(super) fn is_left(why: &NotRenewed) -> bool {
    match why {
        NotRenewed::NotServed => true,
        // One of a release before does not read the order.
        NotRenewed::Refused { code, .. } => ["NO_AUTHORITY", "NOT_ISSUED_HERE", "TOO_EARLY"].contains(code),
        NotRenewed::Call(_) | NotRenewed::NotMade | NotRenewed::Chain(_) | NotRenewed::Folder(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        _place: tempfile::TempDir,
        folder: Folder,
        were: Keys,
        plan: Plan,
    }

    fn place() -> Place {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        let were = Keys::create(&folder).unwrap();
        let plan = Plan::make(&folder, Wanted::ALL, TimeMs(5), TimeMs(9)).unwrap();
        plan.save(&folder).unwrap();
        Place { _place: place, folder, were, plan }
    }

    fn ids(keys: &Keys) -> Vec<String> {
        keys.sealing.iter().map(|key| KeyId::of(key.recipient().as_bytes()).to_string()).collect()
    }

    #[test]
    fn it_is_what_it_was_and_its_keys_are_the_agencys_own() {
        let place = place();
        assert_eq!(Plan::read(&place.folder).unwrap().as_ref(), Some(&place.plan));
        let keys = Keys::load(&place.folder).unwrap();
        assert_eq!(keys.signing.public(), place.were.signing.public(), "nothing is in use yet");
        let own = keys.published();
        assert!(place.plan.new_keys().count() == 3 && place.plan.new_keys().all(|key| own.contains(&key)));
        let new = place.plan.turns(KeyPurpose::Signing).unwrap().new_key().unwrap();
        let next = place.plan.next_signing(&place.folder, &new).unwrap().unwrap();
        assert_eq!(Some(next.public()), new.signing());
        let witness = place.plan.turns(KeyPurpose::Witness).unwrap().new_key().unwrap();
        assert!(place.plan.next_signing(&place.folder, &witness).unwrap().is_none());
        for bad in ["", "{}", r#"{"version":2}"#] {
            place.folder.write(Name::Rotation, bad.as_bytes()).unwrap();
            assert!(Keys::load(&place.folder).is_err(), "{bad}");
        }
    }

    /// Whichever of the files were put in place before the power failed.
    #[test]
    fn a_switch_that_was_cut_short_is_finished() {
        for done in 0..4 {
            let Place { folder, were, plan, .. } = &place();
            Plan { step: Step::Switch, ..plan.clone() }.save(folder).unwrap();
            let next = |name| folder.read(name).unwrap();
            if done > 0 {
                folder.write(Name::SigningKey, &next(Name::NextSigningKey)).unwrap();
            }
            if done > 1 {
                folder.write(Name::WitnessKey, &next(Name::NextWitnessKey)).unwrap();
            }
            if done > 2 {
                let both = [next(Name::NextSealingKey), b"\n".to_vec(), next(Name::SealingKey)].concat();
                folder.write(Name::SealingKey, &both).unwrap();
            }
            Plan::settle(folder).unwrap();
            let keys = Keys::load(folder).unwrap();
            let new: Vec<_> = plan.new_keys().collect();
            assert!(new.contains(&PublicKeyOf::Signing(keys.signing.public())), "{done}");
            assert!(new.contains(&PublicKeyOf::Witness(keys.witness.public())), "{done}");
            assert_eq!((ids(&keys).len(), &ids(&keys)[1..]), (2, ids(were).as_slice()), "{done}");
            assert_eq!(Plan::read(folder).unwrap().unwrap().step, Step::InUse);
            Plan::settle(folder).unwrap();
            assert_eq!(ids(&Keys::load(folder).unwrap()), ids(&keys), "once");
            // The former ones are this agency's own until they are taken back.
            assert!(were.published().iter().all(|key| keys.published().contains(key)));
            Plan::finish(folder).unwrap();
            Plan::finish(folder).unwrap_err();
            let keys = Keys::load(folder).unwrap();
            assert!(keys.passing.is_empty() && folder.read(Name::NextSigningKey).is_err());
        }
    }

    #[test]
    fn a_former_key_goes_when_it_is_due_and_stands_still() {
        let Place { plan, .. } = place();
        let formers: Vec<_> = plan.turns.iter().filter_map(Turn::former_key).collect();
        let held = |key: &PublicKeyOf, revoked_at| AgencyKey {
            id: key.id(),
            key: key.clone(),
            effective_at: TimeMs(1),
            revoked_at,
        };
        let all: Vec<_> = formers.iter().map(|key| held(key, None)).collect();
        assert_eq!(plan.due(&all, TimeMs(8)).len(), 2, "not the sealing key");
        assert_eq!(plan.due(&all, TimeMs(9)).len(), 3);
        assert_eq!(plan.clone().sooner(TimeMs(7)).due(&all, TimeMs(8)).len(), 3);
        let taken: Vec<_> = formers.iter().map(|key| held(key, Some(TimeMs(2)))).collect();
        assert!(plan.due(&taken, TimeMs(9)).is_empty() && plan.later(&taken).is_none());
        assert_eq!(plan.later(&all), Some(TimeMs(9)));
    }

    #[test]
    fn there_are_only_so_many_sealing_keys() {
        let place = place();
        let folder = &place.folder;
        let many: Vec<_> = (0..SEALING_KEYS_MAX).map(|_| seal::SealingKey::generate().unwrap()).collect();
        keys::write_sealing(folder, &many).unwrap();
        let made = Plan::make(folder, Wanted::ALL, TimeMs(1), TimeMs(1));
        assert!(matches!(made, Err(KeysFault::TooMany)));
        let others = Wanted { sealing: false, ..Wanted::ALL };
        assert!(Plan::make(folder, others, TimeMs(1), TimeMs(1)).is_ok());
    }
}
