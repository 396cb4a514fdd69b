//! The authority in its folder: issues, renews, revokes, signs lists, without the root's key. Not here:
//! the root (`root`), and who may ask.
//!
//! Several programs may work on one folder: each act locks it, and reads what others did before.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use crate::{
    certificate::Certificate,
    credential::{Chain, Credential, LISTS_FILE, ROOT_FILE, Trust},
    error::{Error, Fault, Refusal, Step},
    folder::{self, Lock, io_fault, to_u64},
    identity::Identity,
    issuer::{
        CERTIFICATE_FILE, ISSUING_LIFETIME, Issuer, KEY_FILE, LEAF_LIFETIME, LEAF_LIFETIME_MAX, Order,
        ROOT_LIFETIME, key_digest, read_certificate, read_list,
    },
    key::Key,
    ledger::{Holder, Issued, Reason},
    name::{Agency, Network},
    permitted::{GatewayNames, Permitted},
    request::{REQUEST_BYTES_MAX, Request},
    revocation::{CRL_VALIDITY, CRL_VALIDITY_MAX, RevocationList},
    root::{Root, limit},
    serial::{Fingerprint, Serial},
    template,
    unix_time::{Lifetime, UnixTime},
};

const ROOT_FOLDER: &str = "root";
const ROOT_LIST_FILE: &str = "root.crl.pem";
const ISSUING_FOLDER: &str = "issuing";
const NEXT_FOLDER: &str = "next";
const REQUEST_FILE: &str = "request.pem";

/// How long before its list runs out the root is called for.
const ROOT_LIST_NOTICE: Lifetime = Lifetime::from_days(60);
/// How long before the issuing certificate runs out a new one is called for: from then on the longest
/// certificates would be cut short.
const ISSUING_NOTICE: Lifetime = LEAF_LIFETIME_MAX;
/// How long before the root runs out a new network of keys is called for.
const ROOT_NOTICE: Lifetime = ISSUING_LIFETIME;

/// What a new authority is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The network.
    pub network: Network,
    /// The names that gateways may have.
    pub permitted: Permitted,
    /// How long the root lasts; at most [`ROOT_LIFETIME`].
    pub root_lifetime: Lifetime,
    /// How long the issuing certificate lasts; at most [`ISSUING_LIFETIME`].
    pub issuing_lifetime: Lifetime,
}

impl Plan {
    /// With the usual lifetimes.
    #[must_use]
    pub const fn new(network: Network, permitted: Permitted) -> Self {
        Self { network, permitted, root_lifetime: ROOT_LIFETIME, issuing_lifetime: ISSUING_LIFETIME }
    }

    /// For demos and tests: the machine's own names and addresses are permitted.
    #[must_use]
    pub fn sandbox(network: Network) -> Self {
        let permitted = Permitted::sandbox(&network);
        Self::new(network, permitted)
    }
}

/// Which certificates are meant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// One, by its serial number.
    Serial(Serial),
    /// One, by its fingerprint.
    Fingerprint(Fingerprint),
    /// Every one of this identity that has not expired.
    Identity(Identity),
    /// Every one of this agency that has not expired.
    Agency(Agency),
}

impl Which {
    fn is(&self, issued: &Issued, now: UnixTime) -> bool {
        let lasts = now <= issued.not_after;
        match (self, &issued.holder) {
            (Self::Serial(serial), _) => *serial == issued.serial,
            (Self::Fingerprint(fingerprint), _) => *fingerprint == issued.fingerprint,
            (Self::Identity(wanted), Holder::Leaf(identity)) => lasts && wanted == identity,
            (Self::Agency(wanted), Holder::Leaf(Identity::Agency { agency, .. })) => {
                lasts && wanted == agency
            }
            (Self::Identity(_) | Self::Agency(_), _) => false,
        }
    }
}

/// What a revocation did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Revoked {
    /// What is revoked by it.
    pub now: Vec<Issued>,
    /// What had been revoked before.
    pub before: Vec<Issued>,
}

/// Something that people, or a timer, must do before a date.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Duty {
    /// The root's key is still here: take this folder offline.
    TakeRootOffline(PathBuf),
    /// Sign the issuing certificates' lists: [`Authority::sign_crls`].
    SignCrls,
    /// Sign the root's list at a ceremony before this moment; after it every connection is refused.
    SignRootCrl(UnixTime),
    /// Make a new issuing certificate at a ceremony before this moment.
    RenewIssuing(UnixTime),
    /// Make a new root, and give it to everybody, before this moment.
    RenewRoot(UnixTime),
}

impl fmt::Display for Duty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakeRootOffline(path) => {
                write!(f, "the root's key is still here: move {} to an offline medium", path.display())
            }
            Self::SignCrls => f.write_str("the revocation lists are due: run `certs crl`"),
            Self::SignRootCrl(until) => write!(
                f,
                "the root's revocation list runs out at {until}, and then every connection is refused: sign it at a ceremony"
            ),
            Self::RenewIssuing(until) => {
                write!(f, "the issuing certificate runs out at {until}: make a new one at a ceremony")
            }
            Self::RenewRoot(until) => write!(f, "the root runs out at {until}: set up a new authority"),
        }
    }
}

/// The authority. `Debug` shows no key.
pub struct Authority {
    folder: PathBuf,
    network: Network,
    root: Certificate,
    root_list: RevocationList,
    /// By number; the last is the newest.
    issuing: Vec<(u32, Issuer)>,
    crl_validity: Lifetime,
}

impl Authority {
    /// Makes an authority: root, first issuing certificate, both lists. The folder must be empty or not
    /// there, its parent must be there. It is made whole or not at all.
    ///
    /// # Errors
    /// [`Refusal::Exists`], [`Refusal::Lifetime`], [`Fault`].
    pub fn init(folder: &Path, plan: &Plan, now: UnixTime) -> Result<Self, Error> {
        if !folder::is_free(folder)? {
            return Err(Refusal::Exists { path: folder.into() }.into());
        }
        let made = folder::beside(folder, ".new");
        folder::create_folder(&made)?;
        let built = build(&made, plan, now);
        if built.is_err() && fs::remove_dir_all(&made).is_err() {
            // The next attempt names it; nothing of it was ever used.
        }
        built?;
        fs::rename(&made, folder).map_err(io_fault(Step::Rename, folder))?;
        folder::sync_parent(folder)?;
        Self::open(folder)
    }

    /// Opens an authority's folder. The root's key is not read, and need not be there.
    ///
    /// # Errors
    /// [`Refusal::TooOpen`], [`Fault::Damaged`], [`Fault::Io`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        folder::check_folder(folder)?;
        let root = read_certificate(&folder.join(ROOT_FILE))?;
        let damaged = || Fault::Damaged { path: folder.join(ROOT_FILE) };
        let network = root.network().ok_or_else(damaged)?;
        let root_list = read_list(&folder.join(ROOT_LIST_FILE), &root)?;
        let mut authority = Self {
            folder: folder.into(),
            network,
            root,
            root_list,
            issuing: Vec::new(),
            crl_validity: CRL_VALIDITY,
        };
        authority.refresh()?;
        Ok(authority)
    }

    /// The same authority, whose issuing certificates' lists are in force for so long.
    ///
    /// # Errors
    /// [`Refusal::Lifetime`] over [`CRL_VALIDITY_MAX`].
    pub fn with_crl_validity(mut self, validity: Lifetime) -> Result<Self, Refusal> {
        limit(validity, CRL_VALIDITY_MAX)?;
        self.crl_validity = validity;
        Ok(self)
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The root's certificate.
    #[must_use]
    pub const fn root(&self) -> &Certificate {
        &self.root
    }

    /// The issuing certificates, the newest last.
    pub fn issuing(&self) -> impl Iterator<Item = &Certificate> {
        self.issuing.iter().map(|(_, issuer)| issuer.certificate())
    }

    /// Everything that was issued, in order.
    pub fn issued(&self) -> impl Iterator<Item = &Issued> {
        self.issuing.iter().flat_map(|(_, issuer)| issuer.ledger().issued())
    }

    /// Whether a certificate is revoked here, by its fingerprint; also when it was never issued here.
    /// For connections that are open already, which no verifier asks about again.
    #[must_use]
    pub fn is_revoked(&self, fingerprint: &Fingerprint) -> bool {
        let found = |(_, issuer): &(u32, Issuer)| issuer.ledger().find_fingerprint(fingerprint).cloned();
        self.issuing.iter().find_map(found).is_none_or(|issued| issued.revocation.is_some())
    }

    /// Certifies an agent or a member of staff for the key of a request; its names are ignored.
    ///
    /// # Errors
    /// [`Refusal::NamesMissing`] for the gateway, [`Refusal::Lifetime`] over [`LEAF_LIFETIME_MAX`],
    /// [`Refusal::NoIssuing`], [`Refusal::CompromisedKey`], [`Refusal::Full`], [`Fault`].
    pub fn issue(
        &mut self,
        identity: &Identity,
        request: &Request,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<Chain, Error> {
        if *identity == Identity::Gateway {
            return Err(Refusal::NamesMissing.into());
        }
        let network = self.network.clone();
        let order = Order { holder: Holder::Leaf(identity.clone()), names: Vec::new(), request, lifetime };
        self.certify(&order, now, |serial, validity| template::client(&network, identity, serial, validity))
    }

    /// Certifies the gateway under these names for the key of a request; the request's names are
    /// ignored.
    ///
    /// # Errors
    /// [`Refusal::NameNotPermitted`], and as [`Self::issue`].
    pub fn issue_gateway(
        &mut self,
        names: &GatewayNames,
        request: &Request,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<Chain, Error> {
        let network = self.network.clone();
        let holder = Holder::Leaf(Identity::Gateway);
        let order = Order { holder, names: names.as_slice().to_vec(), request, lifetime };
        self.certify(&order, now, |serial, validity| template::gateway(&network, names, serial, validity))
    }

    /// As [`Self::issue`], for a new key and [`LEAF_LIFETIME`].
    ///
    /// # Errors
    /// As [`Self::issue`].
    pub fn issue_with_key(&mut self, identity: &Identity, now: UnixTime) -> Result<Credential, Error> {
        let key = Key::generate()?;
        let chain = self.issue(identity, &key.request()?, LEAF_LIFETIME, now)?;
        Ok(Credential::new(chain, key))
    }

    /// As [`Self::issue_gateway`], for a new key and [`LEAF_LIFETIME`].
    ///
    /// # Errors
    /// As [`Self::issue_gateway`].
    pub fn issue_gateway_with_key(
        &mut self,
        names: &GatewayNames,
        now: UnixTime,
    ) -> Result<Credential, Error> {
        let key = Key::generate()?;
        let chain = self.issue_gateway(names, &key.request()?, LEAF_LIFETIME, now)?;
        Ok(Credential::new(chain, key))
    }

    /// Certifies the same identity and names again, for the same key or another. The old certificate
    /// stays good until it expires or is revoked.
    ///
    /// # Errors
    /// [`Refusal::NotIssued`], [`Refusal::Revoked`], [`Refusal::Expired`], and as [`Self::issue`].
    pub fn renew(
        &mut self,
        serial: &Serial,
        request: &Request,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<Chain, Error> {
        self.refresh()?;
        let old = self
            .issuing
            .iter()
            .find_map(|(_, issuer)| issuer.ledger().find(serial))
            .ok_or(Refusal::NotIssued)?;
        let serial = || old.serial.clone();
        if old.revocation.is_some() {
            return Err(Refusal::Revoked { serial: serial() }.into());
        }
        if old.not_after < now {
            return Err(Refusal::Expired { serial: serial(), at: old.not_after }.into());
        }
        match &old.holder {
            Holder::Leaf(Identity::Gateway) => {
                let names = GatewayNames::new(old.names.iter().cloned())?;
                self.issue_gateway(&names, request, lifetime, now)
            }
            Holder::Leaf(identity) => {
                let identity = identity.clone();
                self.issue(&identity, request, lifetime, now)
            }
            Holder::Issuing(_) => Err(Refusal::NotIssued.into()),
        }
    }

    /// As [`Self::renew`], for a new key and [`LEAF_LIFETIME`].
    ///
    /// # Errors
    /// As [`Self::renew`].
    pub fn renew_with_key(&mut self, serial: &Serial, now: UnixTime) -> Result<Credential, Error> {
        let key = Key::generate()?;
        let chain = self.renew(serial, &key.request()?, LEAF_LIFETIME, now)?;
        Ok(Credential::new(chain, key))
    }

    /// Revokes, and signs the lists. Verifiers know it when they have the new lists; connections that
    /// are open go on until somebody cuts them.
    ///
    /// # Errors
    /// [`Refusal::NotIssued`] when nothing is meant, [`Fault`].
    pub fn revoke(&mut self, which: &Which, reason: Reason, now: UnixTime) -> Result<Revoked, Error> {
        let lock = self.begin()?;
        let meant: Vec<Issued> = self.issued().filter(|issued| which.is(issued, now)).cloned().collect();
        if meant.is_empty() {
            return Err(Refusal::NotIssued.into());
        }
        let (before, fresh): (Vec<_>, Vec<_>) =
            meant.into_iter().partition(|issued| issued.revocation.is_some());
        for (_, issuer) in &mut self.issuing {
            let serials: Vec<Serial> = fresh
                .iter()
                .filter(|issued| issuer.ledger().find(&issued.serial).is_some())
                .map(|issued| issued.serial.clone())
                .collect();
            issuer.revoke(&lock, &serials, reason, now)?;
        }
        self.sign_due(&lock, now)?;
        let now = self.issued().filter(|issued| fresh.iter().any(|f| f.serial == issued.serial));
        Ok(Revoked { now: now.cloned().collect(), before })
    }

    /// Whether a list must be signed again: less than half of its time is left, or something was
    /// revoked after it.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn crl_due(&mut self, now: UnixTime) -> Result<bool, Error> {
        self.refresh()?;
        Ok(self.lasting(now).any(|issuer| issuer.is_list_due(now)))
    }

    /// Signs every issuing certificate's list anew, due or not.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn sign_crls(&mut self, now: UnixTime) -> Result<(), Error> {
        let lock = self.begin()?;
        let validity = self.crl_validity;
        for issuer in lasting_mut(&mut self.issuing, now) {
            issuer.sign_list(&lock, validity, now)?;
        }
        self.write_bundle(now)
    }

    /// Signs what [`Self::crl_due`] says, and says whether there was anything.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn sign_due_crls(&mut self, now: UnixTime) -> Result<bool, Error> {
        let lock = self.begin()?;
        self.sign_due(&lock, now)
    }

    /// What verifiers need now.
    ///
    /// # Errors
    /// [`Refusal::ListNotInForce`] when a list has run out, since every verifier would refuse everybody:
    /// sign it first. [`Fault`].
    pub fn trust(&mut self, now: UnixTime) -> Result<Trust, Error> {
        self.refresh()?;
        let trust = self.bundle(now);
        match trust.lists.iter().find(|list| !list.is_in_force(now)) {
            Some(list) => {
                Err(Refusal::ListNotInForce { from: list.this_update, until: list.next_update }.into())
            }
            None => Ok(trust),
        }
    }

    /// What must be done, the most urgent first. Empty when all is well.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn duties(&mut self, now: UnixTime) -> Result<Vec<Duty>, Error> {
        let mut duties = Vec::new();
        if self.crl_due(now)? {
            duties.push(Duty::SignCrls);
        }
        let ends = |until: UnixTime, notice| until < now.plus(notice);
        if ends(self.root_list.next_update, ROOT_LIST_NOTICE) {
            duties.push(Duty::SignRootCrl(self.root_list.next_update));
        }
        let newest = self.current(now).map_or(now, |place| self.not_after(place));
        if ends(newest, ISSUING_NOTICE) {
            duties.push(Duty::RenewIssuing(newest));
        }
        if ends(self.root.not_after, ROOT_NOTICE) {
            duties.push(Duty::RenewRoot(self.root.not_after));
        }
        if self.root_folder().join(KEY_FILE).exists() {
            duties.push(Duty::TakeRootOffline(self.root_folder()));
        }
        Ok(duties)
    }

    /// Where the root is until it is taken offline.
    #[must_use]
    pub fn root_folder(&self) -> PathBuf {
        self.folder.join(ROOT_FOLDER)
    }

    /// Takes a revocation list that the root signed at a ceremony.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`], [`Refusal::OlderList`], [`Refusal::ListNotInForce`], [`Fault`].
    pub fn install_root_list(&mut self, list: &RevocationList, now: UnixTime) -> Result<(), Error> {
        let _lock = self.begin()?;
        if !list.is_signed_by(&self.root) {
            return Err(Refusal::OtherRoot.into());
        }
        if list.number <= self.root_list.number && *list != self.root_list {
            return Err(Refusal::OlderList { number: list.number, known: self.root_list.number }.into());
        }
        if !list.is_in_force(now) {
            return Err(Refusal::ListNotInForce { from: list.this_update, until: list.next_update }.into());
        }
        folder::replace_public(&self.folder.join(ROOT_LIST_FILE), list.to_pem().as_bytes())?;
        self.root_list = list.clone();
        self.write_bundle(now)
    }

    /// Makes the key of the next issuing certificate, and a request to take to the root. Asked again,
    /// it is the same request.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn request_issuing(&mut self) -> Result<Request, Error> {
        let _lock = self.begin()?;
        let next = self.next_folder();
        folder::open_or_create_folder(&next)?;
        let (key, request) = (next.join(KEY_FILE), next.join(REQUEST_FILE));
        if !key.exists() {
            Key::generate()?.save(&key)?;
        }
        if !request.exists() {
            let made = Key::load(&key)?.request()?;
            folder::replace_public(&request, made.to_pem().as_bytes())?;
        }
        Request::read(&folder::read(&request, to_u64(REQUEST_BYTES_MAX))?)
    }

    /// Takes the certificate that the root signed for [`Self::request_issuing`], and issues under it
    /// from now on. The older ones stay good, and their lists are signed, until they expire.
    ///
    /// # Errors
    /// [`Refusal::OtherRoot`], [`Refusal::OtherIssuing`], [`Fault`].
    pub fn install_issuing(&mut self, certificate: &Certificate, now: UnixTime) -> Result<(), Error> {
        let _lock = self.begin()?;
        if !certificate.is_signed_by(&self.root) {
            return Err(Refusal::OtherRoot.into());
        }
        let next = self.next_folder();
        let key = Key::load(&next.join(KEY_FILE)).map_err(|_| Refusal::OtherIssuing)?;
        let newest = self.issuing.last().map_or(0, |(number, _)| *number);
        let number = certificate.issuing_number().filter(|number| *number > newest);
        let fits = certificate.key_digest == key_digest(&key)
            && certificate.authority
            && certificate.path_length == Some(0)
            && certificate.constraints.as_ref().is_some_and(|c| c.critical && c.others == 0)
            && certificate.is_in_force(now);
        let number = number.filter(|_| fits).ok_or(Refusal::OtherIssuing)?;
        Issuer::create(&next, certificate, self.crl_validity, now)?;
        let place = self.folder.join(ISSUING_FOLDER).join(number.to_string());
        folder::rename_to_new(&next, &place)?;
        folder::sync_parent(&place)?;
        self.refresh()?;
        self.write_bundle(now)
    }

    fn certify(
        &mut self,
        order: &Order<'_>,
        now: UnixTime,
        template: impl FnOnce(&Serial, template::Validity) -> Result<rcgen::CertificateParams, Fault>,
    ) -> Result<Chain, Error> {
        limit(order.lifetime, LEAF_LIFETIME_MAX)?;
        let lock = self.begin()?;
        let compromised =
            |(_, issuer): &(u32, Issuer)| issuer.ledger().is_compromised(&order.request.key_digest());
        if self.issuing.iter().any(compromised) {
            return Err(Refusal::CompromisedKey.into());
        }
        let place = self.current(now).ok_or(Refusal::NoIssuing)?;
        let (_, issuer) = self.issuing.get_mut(place).ok_or(Refusal::NoIssuing)?;
        check_names(issuer.certificate(), &order.names)?;
        let certificate = issuer.issue(&lock, order, now, template)?;
        Ok(Chain { certificate, issuing: issuer.certificate().clone() })
    }

    fn begin(&mut self) -> Result<Lock, Error> {
        let lock = folder::lock(&self.folder)?;
        self.refresh()?;
        Ok(lock)
    }

    /// Reads what other programs have done.
    fn refresh(&mut self) -> Result<(), Error> {
        self.root_list = read_list(&self.folder.join(ROOT_LIST_FILE), &self.root)?;
        for (_, issuer) in &mut self.issuing {
            issuer.refresh()?;
        }
        let folder = self.folder.join(ISSUING_FOLDER);
        folder::check_folder(&folder)?;
        let newest = self.issuing.last().map_or(0, |(number, _)| *number);
        let mut numbers: Vec<u32> =
            folder::names(&folder)?.iter().filter_map(|name| name.parse().ok()).collect();
        numbers.sort_unstable();
        for number in numbers.into_iter().filter(|number| *number > newest) {
            let place = folder.join(number.to_string());
            let issuer = Issuer::open(&place)?;
            if !issuer.certificate().is_signed_by(&self.root) {
                return Err(Fault::Damaged { path: place.join(CERTIFICATE_FILE) }.into());
            }
            self.issuing.push((number, issuer));
        }
        Ok(())
    }

    /// The newest issuing certificate that is in force and not revoked.
    fn current(&self, now: UnixTime) -> Option<usize> {
        self.issuing.iter().rposition(|(_, issuer)| {
            let certificate = issuer.certificate();
            certificate.is_in_force(now) && !self.root_list.serials.contains(&certificate.serial)
        })
    }

    fn not_after(&self, place: usize) -> UnixTime {
        let issuer = self.issuing.get(place);
        issuer.map_or(self.root.not_after, |(_, issuer)| issuer.certificate().not_after)
    }

    fn lasting(&self, now: UnixTime) -> impl Iterator<Item = &Issuer> {
        let lasts = move |issuer: &&Issuer| now <= issuer.certificate().not_after;
        self.issuing.iter().map(|(_, issuer)| issuer).filter(lasts)
    }

    fn sign_due(&mut self, lock: &Lock, now: UnixTime) -> Result<bool, Error> {
        let validity = self.crl_validity;
        let mut signed = false;
        for issuer in lasting_mut(&mut self.issuing, now).filter(|issuer| issuer.is_list_due(now)) {
            issuer.sign_list(lock, validity, now)?;
            signed = true;
        }
        if signed {
            self.write_bundle(now)?;
        }
        Ok(signed)
    }

    fn bundle(&self, now: UnixTime) -> Trust {
        let issuing = self.lasting(now).map(|issuer| issuer.list().clone());
        let lists = std::iter::once(self.root_list.clone()).chain(issuing).collect();
        Trust { root: self.root.clone(), lists }
    }

    /// The bundle is for other programs; everything here is read from the lists themselves.
    fn write_bundle(&self, now: UnixTime) -> Result<(), Error> {
        let bundle = self.bundle(now).crls_pem();
        folder::replace_public(&self.folder.join(LISTS_FILE), bundle.as_bytes())
    }

    fn next_folder(&self) -> PathBuf {
        self.folder.join(ISSUING_FOLDER).join(NEXT_FOLDER)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("network", &self.network).finish_non_exhaustive()
    }
}

fn lasting_mut(issuing: &mut [(u32, Issuer)], now: UnixTime) -> impl Iterator<Item = &mut Issuer> {
    let lasts = move |issuer: &&mut Issuer| now <= issuer.certificate().not_after;
    issuing.iter_mut().map(|(_, issuer)| issuer).filter(lasts)
}

/// What the issuing certificate does not permit would be refused by every verifier; better to say so.
fn check_names(issuing: &Certificate, names: &[crate::GatewayName]) -> Result<(), Refusal> {
    let permitted = issuing.constraints.as_ref().map(|c| c.permitted.as_slice()).unwrap_or_default();
    match names.iter().find(|name| !permitted.iter().any(|range| range.contains(name))) {
        Some(name) => Err(Refusal::NameNotPermitted { name: name.clone() }),
        None => Ok(()),
    }
}

/// Builds a new authority in a folder that nobody knows yet.
fn build(folder: &Path, plan: &Plan, now: UnixTime) -> Result<(), Error> {
    limit(plan.issuing_lifetime, ISSUING_LIFETIME)?;
    let mut root = Root::create(&folder.join(ROOT_FOLDER), &plan.network, plan.root_lifetime, now)?;
    let issuing = folder.join(ISSUING_FOLDER);
    let first = issuing.join("1");
    folder::create_folder(&issuing)?;
    folder::create_folder(&first)?;
    let key = Key::generate()?;
    key.save(&first.join(KEY_FILE))?;
    let certificate = root.sign_issuing(&key.request()?, &plan.permitted, plan.issuing_lifetime, now)?;
    let issuer = Issuer::create(&first, &certificate, CRL_VALIDITY, now)?;
    folder::replace_public(&folder.join(ROOT_FILE), root.certificate().to_pem().as_bytes())?;
    folder::replace_public(&folder.join(ROOT_LIST_FILE), root.list().to_pem().as_bytes())?;
    let bundle = root.list().to_pem() + &issuer.list().to_pem();
    folder::replace_public(&folder.join(LISTS_FILE), bundle.as_bytes())
}
