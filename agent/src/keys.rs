//! The agency's own keys: made on the spot, kept in files of their own, wiped from memory when they
//! are dropped. Not here: the network's keys (`network`), and what the keys are used for.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proto::{directory::change::PublicKeyOf, key::SigningKey};
use rcgen::KeyPair;
use seal::SealingKey;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    folder::{Folder, FolderFault, Name},
    rotation::Plan,
};

/// Length of the seed of a signing key, and of the store's key, in bytes.
pub const SEED_BYTES: usize = 32;
/// Most sealing keys that are held: the present one and those that older parts were sealed to.
pub const SEALING_KEYS_MAX: usize = 16;

/// Why there are no keys.
#[derive(Debug, Error)]
pub enum KeysFault {
    /// A file cannot be read or written.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// A file does not hold such a key. Nothing of it is repeated.
    #[error("{}: does not hold the key that belongs there; restore the file from the backup", .0.path())]
    NotAKey(Name),
    /// The operating system gave no randomness, or a library failed.
    #[error("no key could be made; try again")]
    NotMade,
    /// There are as many sealing keys as an agent holds.
    #[error(
        "there are {SEALING_KEYS_MAX} sealing keys already, and what came under each of them is kept; take the \
         oldest out of {}, when nothing is left that only it opens", Name::SealingKey.path()
    )]
    TooMany,
}

/// All keys of an agency's agent.
pub struct Keys {
    /// Signs envelopes, receipts and changes.
    pub signing: SigningKey,
    /// Open parts; the first one is published, the others open what was sealed before.
    pub sealing: Vec<SealingKey>,
    /// Cosigns checkpoints.
    pub witness: SigningKey,
    /// Encrypts the store.
    pub store: StoreKey,
    /// Of the certificate.
    pub tls: TlsKey,
    /// This agency's own too, and in the directory: those that come and those that go, while keys are rotated.
    pub passing: Vec<PublicKeyOf>,
}

/// The key under which the store's records are encrypted.
pub struct StoreKey(Zeroizing<[u8; SEED_BYTES]>);

/// The certificate's private key, in PEM.
pub struct TlsKey(Zeroizing<String>);

impl Keys {
    /// Makes new keys and puts them into a folder.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn create(folder: &Folder) -> Result<Self, KeysFault> {
        make_sealing(folder, Name::SealingKey)?;
        folder.write(Name::TlsKey, TlsKey::generate()?.pem().as_bytes())?;
        for name in [Name::SigningKey, Name::WitnessKey, Name::StoreKey] {
            make_signing(folder, name)?;
        }
        Self::load(folder)
    }

    /// Reads the keys of a folder.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn load(folder: &Folder) -> Result<Self, KeysFault> {
        Ok(Self {
            signing: signing(folder, Name::SigningKey)?,
            sealing: sealing(folder, Name::SealingKey)?,
            witness: signing(folder, Name::WitnessKey)?,
            store: StoreKey(seed(folder, Name::StoreKey)?),
            tls: TlsKey::load(folder)?,
            passing: Plan::read(folder)?.map(|plan| plan.public_keys()).unwrap_or_default(),
        })
    }

    /// The public keys that the directory may hold for this agency, and no others.
    #[must_use]
    pub fn published(&self) -> Vec<PublicKeyOf> {
        let sealing =
            self.sealing.iter().map(|key| PublicKeyOf::Sealing(key.recipient().as_bytes().to_vec()));
        [PublicKeyOf::Signing(self.signing.public()), PublicKeyOf::Witness(self.witness.public())]
            .into_iter()
            .chain(sealing)
            .chain(self.passing.iter().cloned())
            .collect()
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(secret)")
    }
}

impl StoreKey {
    /// Takes the 32 bytes of the key.
    #[must_use]
    pub const fn new(bytes: Zeroizing<[u8; SEED_BYTES]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StoreKey(secret)")
    }
}

impl TlsKey {
    /// Makes a new one.
    ///
    /// # Errors
    /// [`KeysFault::NotMade`].
    pub fn generate() -> Result<Self, KeysFault> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| KeysFault::NotMade)?;
        Ok(Self(Zeroizing::new(pair.serialize_pem())))
    }

    /// Reads the first one, which the agent made when its folder was.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn load(folder: &Folder) -> Result<Self, KeysFault> {
        let text = String::from_utf8(folder.read(Name::TlsKey)?);
        Self::parse(Zeroizing::new(text.map_err(|_| KeysFault::NotAKey(Name::TlsKey))?))
    }

    /// Takes a key in PEM.
    ///
    /// # Errors
    /// [`KeysFault::NotAKey`].
    pub fn parse(pem: Zeroizing<String>) -> Result<Self, KeysFault> {
        let key = Self(pem);
        key.pair()?;
        Ok(key)
    }

    /// The key in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// The key as what signs a certificate request.
    ///
    /// # Errors
    /// [`KeysFault::NotAKey`].
    pub fn pair(&self) -> Result<KeyPair, KeysFault> {
        KeyPair::from_pem(&self.0).map_err(|_| KeysFault::NotAKey(Name::TlsKey))
    }
}

impl std::fmt::Debug for TlsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsKey(secret)")
    }
}

/// Makes a key that signs, in a file of its own.
pub(crate) fn make_signing(folder: &Folder, name: Name) -> Result<SigningKey, KeysFault> {
    let mut seed = Zeroizing::new([0; SEED_BYTES]);
    getrandom::fill(seed.as_mut_slice()).map_err(|_| KeysFault::NotMade)?;
    folder.write(name, to_text(name, &seed).as_bytes())?;
    signing(folder, name)
}

/// Makes a key that opens, in a file of its own.
pub(crate) fn make_sealing(folder: &Folder, name: Name) -> Result<SealingKey, KeysFault> {
    let key = SealingKey::generate().map_err(|_| KeysFault::NotMade)?;
    folder.write(name, key.to_text().as_bytes())?;
    Ok(key)
}

/// Reads a key that signs.
pub(crate) fn signing(folder: &Folder, name: Name) -> Result<SigningKey, KeysFault> {
    Ok(SigningKey::from_seed(&*seed(folder, name)?))
}

/// Reads keys that open, the newest first.
pub(crate) fn sealing(folder: &Folder, name: Name) -> Result<Vec<SealingKey>, KeysFault> {
    let bytes = Zeroizing::new(folder.read(name)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| KeysFault::NotAKey(name))?;
    let keys = text.lines().map(SealingKey::parse).collect::<Result<Vec<_>, _>>();
    let keys = keys.map_err(|_| KeysFault::NotAKey(name))?;
    if keys.is_empty() || keys.len() > SEALING_KEYS_MAX { Err(KeysFault::NotAKey(name)) } else { Ok(keys) }
}

/// Writes the keys that open, the newest first.
pub(crate) fn write_sealing<'a>(
    folder: &Folder,
    keys: impl IntoIterator<Item = &'a SealingKey>,
) -> Result<(), KeysFault> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        text.push_str(key.to_text().trim_end());
        text.push('\n');
    }
    Ok(folder.write(Name::SealingKey, text.as_bytes())?)
}

/// What a key's file begins with, so that one is never taken for another.
const fn prefix(name: Name) -> &'static str {
    match name {
        Name::SigningKey | Name::NextSigningKey => "REFERRAL-SIGNING-KEY-1 ",
        Name::WitnessKey | Name::NextWitnessKey => "REFERRAL-WITNESS-KEY-1 ",
        Name::StoreKey => "REFERRAL-STORE-KEY-1 ",
        Name::Settings
        | Name::Network
        | Name::SealingKey
        | Name::TlsKey
        | Name::Chain
        | Name::Renewed
        | Name::Admission
        | Name::Exchange
        | Name::LocalToken
        | Name::BackupRecipient
        | Name::Rotation
        | Name::NextSealingKey
        | Name::Restored => "",
    }
}

fn to_text(name: Name, seed: &[u8; SEED_BYTES]) -> Zeroizing<String> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(seed));
    Zeroizing::new([prefix(name), encoded.as_str(), "\n"].concat())
}

fn seed(folder: &Folder, name: Name) -> Result<Zeroizing<[u8; SEED_BYTES]>, KeysFault> {
    let bytes = Zeroizing::new(folder.read(name)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| KeysFault::NotAKey(name))?;
    let encoded = text.trim_end().strip_prefix(prefix(name)).ok_or(KeysFault::NotAKey(name))?;
    let decoded = BASE64_STANDARD.decode(encoded).map_err(|_| KeysFault::NotAKey(name))?;
    let decoded = Zeroizing::new(decoded);
    let seed: [u8; SEED_BYTES] = decoded.as_slice().try_into().map_err(|_| KeysFault::NotAKey(name))?;
    Ok(Zeroizing::new(seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Folder) {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        (place, folder)
    }

    #[test]
    fn keys_are_what_they_were() {
        let (_place, folder) = folder();
        let (made, read) = (Keys::create(&folder).unwrap(), Keys::load(&folder).unwrap());
        assert_eq!(made.published(), read.published());
        assert_eq!(made.published().len(), 3);
        assert_eq!(made.store.bytes(), read.store.bytes());
        assert_eq!(made.tls.pem(), read.tls.pem());
        let shown = format!("{made:?} {:?} {:?}", made.store, made.tls);
        assert_eq!(shown, "Keys(secret) StoreKey(secret) TlsKey(secret)");
    }

    #[test]
    fn one_key_is_never_taken_for_another() {
        let (_place, folder) = folder();
        Keys::create(&folder).unwrap();
        let names = [Name::SigningKey, Name::WitnessKey, Name::StoreKey, Name::SealingKey, Name::TlsKey];
        for name in names {
            let own = folder.read(name).unwrap();
            for other in names.into_iter().filter(|other| *other != name) {
                folder.write(name, &folder.read(other).unwrap()).unwrap();
                assert!(
                    matches!(Keys::load(&folder), Err(KeysFault::NotAKey(at)) if at == name),
                    "{other:?}"
                );
            }
            folder.write(name, &own[..own.len() / 2]).unwrap();
            assert!(matches!(Keys::load(&folder), Err(KeysFault::NotAKey(at)) if at == name));
            folder.write(name, &own).unwrap();
        }
        assert!(Keys::load(&folder).is_ok());
    }

    #[test]
    fn older_sealing_keys_stay_up_to_a_limit() {
        let (_place, folder) = folder();
        let keys = Keys::create(&folder).unwrap();
        let text = |count: usize| {
            let older = (1..count).map(|_| SealingKey::generate().unwrap().to_text().to_string());
            [keys.sealing[0].to_text().to_string()].into_iter().chain(older).collect::<Vec<_>>().join("\n")
        };
        folder.write(Name::SealingKey, text(SEALING_KEYS_MAX).as_bytes()).unwrap();
        assert_eq!(Keys::load(&folder).unwrap().sealing.len(), SEALING_KEYS_MAX);
        folder.write(Name::SealingKey, text(SEALING_KEYS_MAX + 1).as_bytes()).unwrap();
        assert!(matches!(Keys::load(&folder), Err(KeysFault::NotAKey(Name::SealingKey))));
    }
}
