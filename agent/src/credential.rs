//! The certificate and its key, as they lie in the folder: the pair that was installed, and the one that
//! was renewed since, in one file, so that no power cut leaves a key without its certificate. Not here:
//! renewing it (`renewal`).

use std::io;

use rustls::pki_types::UnixTime;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    certificate::{Chain, ChainFault},
    folder::{Folder, FolderFault, Name},
    keys::{KeysFault, TlsKey},
    network::Network,
    settings::Settings,
};

/// Where the certificates begin in the file of a pair; its key stands before.
const CERTIFICATES: &str = "-----BEGIN CERTIFICATE-----";

/// A certificate and the key that it is for: both were checked, and fit.
#[derive(Debug)]
pub struct Credential {
    /// The key.
    pub key: TlsKey,
    /// The certificate, and what leads to the network's root.
    pub chain: Chain,
}

/// Why there is no pair that can be used.
#[derive(Debug, Error)]
pub enum NoCredential {
    /// The folder.
    #[error("{0}; put the certificate in place with `agent install`")]
    Folder(#[from] FolderFault),
    /// The key.
    #[error(transparent)]
    Key(#[from] KeysFault),
    /// The certificate.
    #[error(transparent)]
    Chain(#[from] ChainFault),
}

impl Credential {
    /// The pair that is used now: of those that can be used the one that lasts longer, so that nothing that
    /// went wrong with a renewal takes away what worked before it.
    ///
    /// # Errors
    /// [`NoCredential`], of the pair that was installed.
    pub fn load(
        folder: &Folder,
        network: &Network,
        settings: &Settings,
        now: UnixTime,
    ) -> Result<Self, NoCredential> {
        let of = |key: TlsKey, pem: &[u8]| {
            let chain = Chain::parse(pem, network, (&settings.agency, &settings.node), &key, now)?;
            Ok::<_, NoCredential>(Self { key, chain })
        };
        let renewed = read_renewed(folder).and_then(|(key, pem)| of(key, pem.as_bytes()).ok());
        let key = TlsKey::load(folder);
        let installed = key.map_err(NoCredential::from).and_then(|key| of(key, &folder.read(Name::Chain)?));
        match (installed, renewed) {
            (Ok(installed), Some(renewed)) if renewed.ends_at() < installed.ends_at() => Ok(installed),
            (_, Some(renewed)) => Ok(renewed),
            (installed, None) => installed,
        }
    }

    fn ends_at(&self) -> u64 {
        self.chain.lasts_unix_s().map_or(0, |lasts| lasts.end)
    }
}

/// What is not such a file counts for nothing: the pair before it is used.
fn read_renewed(folder: &Folder) -> Option<(TlsKey, String)> {
    let text = Zeroizing::new(String::from_utf8(folder.read(Name::Renewed).ok()?).ok()?);
    let (key, pem) = text.split_at(text.find(CERTIFICATES)?);
    Some((TlsKey::parse(Zeroizing::new(key.to_owned())).ok()?, pem.to_owned()))
}

/// Puts a renewed pair in place: both or neither, also when the power fails.
///
/// # Errors
/// [`FolderFault`].
pub fn save_renewed(folder: &Folder, key: &TlsKey, chain_pem: &str) -> Result<(), FolderFault> {
    let text = Zeroizing::new([key.pem().trim_end(), "\n", chain_pem].concat());
    folder.write(Name::Renewed, text.as_bytes())
}

/// Puts a certificate in place that was issued for the agent's first key. What was renewed before counts no
/// more, whichever lasts longer: people issue another when there is something wrong with the one in use.
///
/// # Errors
/// [`FolderFault`].
pub fn install(folder: &Folder, chain_pem: &str) -> Result<(), FolderFault> {
    folder.write(Name::Chain, chain_pem.as_bytes())?;
    match folder.remove(Name::Renewed) {
        Err(FolderFault::Io { kind: io::ErrorKind::NotFound, .. }) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::{AgencyId, Code};
    use rcgen::KeyPair;

    use super::*;
    use crate::{
        certificate::tests::{Authority, authority},
        keys::Keys,
    };

    const ME: &str = "spiffe://referral.example/agency/ae.dfwac/main";

    struct Place {
        _place: tempfile::TempDir,
        folder: Folder,
        keys: Keys,
        authority: Authority,
        settings: Settings,
    }

    fn place() -> Place {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        let keys = Keys::create(&folder).unwrap();
        let agency = AgencyId::parse("ae.dfwac", "agency").unwrap();
        let node = Code::parse("main", "node").unwrap();
        let settings = Settings::parse(&Settings::file(&agency, &node)).unwrap();
        Place { _place: place, folder, keys, authority: authority(), settings }
    }

    impl Place {
        fn issue(&self, key: &KeyPair, days: u64) -> String {
            self.authority.issue_for(key, ME, days)
        }

        /// The key of the pair that is used.
        fn used(&self) -> Result<String, NoCredential> {
            let network = self.authority.network();
            let loaded = Credential::load(&self.folder, network, &self.settings, UnixTime::now());
            loaded.map(|credential| credential.key.pem().to_owned())
        }
    }

    #[test]
    fn the_pair_is_used_that_lasts_longer_and_an_installed_one_ends_the_renewed() {
        let place = place();
        assert!(matches!(place.used(), Err(NoCredential::Folder(_))), "nothing was installed yet");
        let first = place.keys.tls.pem().to_owned();
        let of_first = place.issue(&place.keys.tls.pair().unwrap(), 10);
        install(&place.folder, &of_first).unwrap();
        assert_eq!(place.used().unwrap(), first);
        let new = TlsKey::generate().unwrap();
        let pem = place.issue(&new.pair().unwrap(), 90);
        save_renewed(&place.folder, &new, &pem).unwrap();
        assert_eq!(place.used().unwrap().trim_end(), new.pem().trim_end());
        let shorter = place.issue(&new.pair().unwrap(), 5);
        save_renewed(&place.folder, &new, &shorter).unwrap();
        assert_eq!(place.used().unwrap(), first);
        save_renewed(&place.folder, &new, &pem).unwrap();
        install(&place.folder, &of_first).unwrap();
        assert_eq!(place.used().unwrap(), first, "people had their reasons");
    }

    /// Whatever moment the power fails at: the file is the one before, the new one, or a torn one beside it.
    #[test]
    fn a_power_cut_leaves_a_pair_that_fits() {
        let place = place();
        let first = place.keys.tls.pem().to_owned();
        let of_first = place.issue(&place.keys.tls.pair().unwrap(), 10);
        install(&place.folder, &of_first).unwrap();
        let new = TlsKey::generate().unwrap();
        let pem = place.issue(&new.pair().unwrap(), 90);
        let whole = [new.pem().trim_end(), "\n", pem.as_str()].concat();
        let torn = place.folder.path(Name::Renewed).with_extension("tmp");
        for bytes in (0..whole.len() - 30).step_by(97) {
            std::fs::write(&torn, &whole[..bytes]).unwrap();
            assert_eq!(place.used().unwrap(), first, "{bytes} bytes beside it");
            // What a disk that forgot its order might show.
            place.folder.write(Name::Renewed, &whole.as_bytes()[..bytes]).unwrap();
            assert_eq!(place.used().unwrap(), first, "{bytes} bytes in its place");
        }
        save_renewed(&place.folder, &new, &pem).unwrap();
        assert_eq!(place.used().unwrap().trim_end(), new.pem().trim_end());
        // The old certificate has ended, or is gone: the renewed one does without.
        std::fs::remove_file(place.folder.path(Name::Chain)).unwrap();
        assert_eq!(place.used().unwrap().trim_end(), new.pem().trim_end());
        // And a file that others may read is not used.
        use std::os::unix::fs::PermissionsExt as _;
        let loose = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(place.folder.path(Name::Renewed), loose).unwrap();
        assert!(place.used().is_err());
    }
}
