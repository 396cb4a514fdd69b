//! Keeping the gateway's own certificates in force: revocation lists are signed again, and its
//! certificate renewed, well before they run out. Only where the authority lies beside the gateway;
//! else whoever runs it does this. Not here: certificates of others.

use std::{fs, path::PathBuf, time::SystemTime};

use certs::{Authority, Credential, Error, Holder, Identity, Issued, LEAF_LIFETIME, UnixTime};

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

    /// When the authority signed a list last: by a revocation, or at a ceremony. What it issues under a new
    /// issuing certificate is let in only with that one's list.
    #[must_use]
    pub fn listed_at(&self) -> Option<SystemTime> {
        fs::metadata(self.authority.join("crls.pem")).and_then(|lists| lists.modified()).ok()
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
        Credential::settle(&self.tls)?;
        let now = UnixTime::of(SystemTime::now())?;
        let mut authority = Authority::open(&self.authority)?;
        authority.sign_due_crls(now)?;
        // At every turn: lists are also signed by the program, and at ceremonies of the root.
        if authority.trust(now)?.save(&self.tls)? {
            tracing::info!("revocation lists taken up");
        }
        let newest = authority.issued().filter(|issued| is_gateways(issued)).last();
        let due = newest.filter(|newest| newest.not_after < now.plus(third()));
        if let Some(serial) = due.map(|due| due.serial.clone()) {
            let renewed = authority.renew_with_key(&serial, now)?;
            renewed.replace(&self.tls)?;
            tracing::info!("the gateway's certificate was renewed");
        }
        Ok(())
    }
}

const fn third() -> certs::Lifetime {
    certs::Lifetime::from_seconds(LEAF_LIFETIME.seconds() / 3)
}

fn is_gateways(issued: &Issued) -> bool {
    issued.holder == Holder::Leaf(Identity::Gateway) && issued.revocation.is_none()
}

#[cfg(test)]
mod tests {
    use certs::{GatewayNames, Plan, Reason, Root, Which};

    use super::*;

    #[test]
    fn what_the_program_and_ceremonies_change_is_taken_up() {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::new(folder.path(), None);
        let now = UnixTime::of(SystemTime::now()).unwrap();
        let plan = Plan::sandbox("sandbox.example".parse().unwrap());
        let mut authority = Authority::init(&place.authority(), &plan, now).unwrap();
        let gateway = authority.issue_gateway_with_key(&GatewayNames::loopback(), now).unwrap();
        gateway.save(&place.tls_folder()).unwrap();
        let crls = || fs::read_to_string(place.tls_folder().join("crls.pem")).unwrap_or_default();
        let upkeep = Upkeep::new(&place);
        upkeep.renew();
        assert_eq!(crls(), authority.trust(now).unwrap().crls_pem());

        let agent = authority.issue_with_key(&"agency/ae.dfwac/main".parse().unwrap(), now).unwrap();
        let which = Which::Fingerprint(agent.certificate().fingerprint);
        authority.revoke(&which, Reason::KeyCompromise, now).unwrap();
        assert_ne!(crls(), authority.trust(now).unwrap().crls_pem());
        upkeep.renew();
        assert_eq!(crls(), authority.trust(now).unwrap().crls_pem());

        let mut root = Root::open(&authority.root_folder()).unwrap();
        let list = root.sign_list(now).unwrap();
        authority.install_root_list(list, now).unwrap();
        upkeep.renew();
        assert_eq!(crls(), authority.trust(now).unwrap().crls_pem());

        // A renewal that the power cut short.
        let serial = &gateway.certificate().serial;
        let renewed = authority.renew_with_key(serial, now).unwrap();
        renewed.save(&place.tls_folder().join("renewed")).unwrap();
        upkeep.renew();
        let chain = fs::read_to_string(place.tls_folder().join("certificate.pem")).unwrap();
        assert!(chain.starts_with(&renewed.certificate().to_pem()));
        let key = certs::Key::load(&place.tls_folder().join("key.pem")).unwrap();
        assert_eq!(key.to_pki(), renewed.key());
    }
}
