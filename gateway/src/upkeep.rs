//! Keeping the gateway's own certificates in force: revocation lists are signed again, and its
//! certificate renewed, well before they run out. Only where the authority lies beside the gateway;
//! else whoever runs it does this. Not here: certificates of others.

use std::{path::PathBuf, time::SystemTime};

use certs::{Authority, Error, Holder, Identity, Issued, LEAF_LIFETIME, UnixTime};

use crate::place::Place;

/// What is kept in force, and with what.
#[derive(Debug, Clone)]
pub struct Upkeep {
    authority: PathBuf,
    tls: PathBuf,
}

impl Upkeep {
    /// Of a gateway's folder.
    #[must_use]
    pub fn new(place: &Place) -> Self {
        Self { authority: place.authority(), tls: place.tls_folder() }
    }

    /// Does what is due. A failure is told and tried again: what is in force stays so until its end.
    pub fn renew(&self) {
        if !self.authority.is_dir() {
            return;
        }
        if let Err(error) = self.try_renew() {
            tracing::error!(%error, "revocation lists or the gateway's certificate could not be renewed");
        }
    }

    fn try_renew(&self) -> Result<(), Error> {
        let now = UnixTime::of(SystemTime::now())?;
        let mut authority = Authority::open(&self.authority)?;
        if authority.sign_due_crls(now)? {
            authority.trust(now)?.save(&self.tls)?;
            tracing::info!("revocation lists signed again");
        }
        let newest = authority.issued().filter(|issued| is_gateways(issued)).last();
        let due = newest.filter(|newest| newest.not_after < now.plus(third()));
        if let Some(serial) = due.map(|due| due.serial.clone()) {
            let renewed = authority.renew_with_key(&serial, now)?;
            self.replace(&renewed)?;
            tracing::info!("the gateway's certificate was renewed");
        }
        Ok(())
    }

    /// Key and certificate are written beside, then put in place; whoever reads in between finds two
    /// that do not fit, and keeps what it has.
    fn replace(&self, renewed: &certs::Credential) -> Result<(), Error> {
        let beside = self.tls.join("renewed");
        if beside.exists() {
            std::fs::remove_dir_all(&beside).map_err(|error| io(&beside, &error))?;
        }
        renewed.save(&beside)?;
        for name in ["key.pem", "certificate.pem"] {
            let to = self.tls.join(name);
            std::fs::rename(beside.join(name), &to).map_err(|error| io(&to, &error))?;
        }
        std::fs::remove_dir(&beside).map_err(|error| io(&beside, &error))
    }
}

const fn third() -> certs::Lifetime {
    certs::Lifetime::from_seconds(LEAF_LIFETIME.seconds() / 3)
}

fn is_gateways(issued: &Issued) -> bool {
    issued.holder == Holder::Leaf(Identity::Gateway) && issued.revocation.is_none()
}

fn io(path: &std::path::Path, error: &std::io::Error) -> Error {
    certs::Fault::Io { step: certs::Step::Rename, path: path.into(), kind: error.kind() }.into()
}
