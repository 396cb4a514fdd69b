//! `Certificates`: an agency's agent has its certificate renewed, for a new key and under the same name,
//! over the connection that the old one made. Only where the authority lies beside the gateway. Not here:
//! the first certificate (`enrolment`), and the gateway's own (`upkeep`).

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use certs::{Authority, Holder, Identity, Issued, LEAF_LIFETIME, Lifetime, Reason, UnixTime, Which};
use proto::{
    Malformed,
    caller::Caller,
    certificate_order::Order,
    digest::Digest,
    directory::{Directory, KeyPurpose},
    ids::{AgencyId, TimeMs},
    refusal::Refusal,
    wire::{self, RenewalRefusal, renew_answer, retire_answer},
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{Gateway, answers, caller, stubs::certificates_server::Certificates};
use crate::clock;

/// Most certificates for one name within 24 hours: so often may an answer be lost.
pub const CERTIFICATES_A_DAY_MAX: usize = 5;
const DAY: Lifetime = Lifetime::from_days(1);
/// Most attempts of one agency within [`MINUTE`], whatever became of them: each reads the whole ledger.
pub const ATTEMPTS_MAX: u32 = 10;
/// The time after which counting begins anew.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The service.
#[derive(Clone)]
pub struct CertificatesService(Arc<Shared>);

struct Shared {
    gateway: Arc<Gateway>,
    attempts: Attempts,
    renewing: Renewing,
}

/// The attempts of the present minute, by agency; no more than the directory holds.
#[derive(Default)]
struct Attempts(Mutex<(Option<Instant>, BTreeMap<AgencyId, u32>)>);

impl Attempts {
    /// Counts an attempt; whether it may be made.
    fn take(&self, agency: &AgencyId, now: Instant) -> bool {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, by_agency) = &mut *counted;
        if since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            *since = Some(now);
            by_agency.clear();
        }
        let own = by_agency.entry(agency.clone()).or_default();
        *own = own.saturating_add(1);
        *own <= ATTEMPTS_MAX
    }
}

impl CertificatesService {
    /// With the authority in this folder, if there is one.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, authority: PathBuf) -> Self {
        let renewing = Renewing { authority, one_at_a_time: Mutex::default() };
        Self(Arc::new(Shared { gateway, attempts: Attempts::default(), renewing }))
    }
}

#[tonic::async_trait]
impl Certificates for CertificatesService {
    async fn renew(
        &self,
        request: Request<wire::RenewRequest>,
    ) -> Result<Response<wire::RenewAnswer>, Status> {
        let metrics = &self.0.gateway.metrics;
        let who = Who::of(&request)?;
        let wire::RenewRequest { certificate_request, order } = request.into_inner();
        let field = "certificate_request";
        // It is signed with its own key, which proves that whoever asks has that.
        let read = certs::Request::from_der(&certificate_request);
        let asked = read.map_err(|_| answers::malformed(Malformed::Form { field }))?;
        self.0.may_ask(&who)?;
        let is_ordered = match order {
            None => false,
            Some(order) => {
                let certify = Order::Certify(Digest::of(&certificate_request));
                if !self.0.is_ordered(certify, order, &who)? {
                    let answer = renew_answer::Answer::Refused(answer_of(RenewalRefusal::NotOrdered, None));
                    return Ok(Response::new(wire::RenewAnswer { answer: Some(answer) }));
                }
                true
            }
        };
        let (shared, agency) = (Arc::clone(&self.0), who.agency.clone());
        let when = if is_ordered { When::Now } else { When::Due };
        let renewed =
            spawn_blocking(move || shared.renewing.renew(&who, &asked, when, SystemTime::now())).await;
        let answer = match renewed {
            Ok(Ok(chain)) => {
                metrics.renewals.inc();
                tracing::info!(%agency, "an agent's certificate was renewed");
                renew_answer::Answer::CertificateChain(chain)
            }
            Ok(Err(NotRenewed::Refused(refused))) => {
                metrics.renewals_refused.inc();
                let code = refused.code().as_str_name();
                tracing::warn!(%agency, code, "an agent's certificate was not renewed");
                renew_answer::Answer::Refused(refused)
            }
            Ok(Err(NotRenewed::Fault)) | Err(_) => {
                metrics.renewals_refused.inc();
                return Err(Status::internal(
                    "no certificate could be issued; the gateway's operators can see why",
                ));
            }
        };
        Ok(Response::new(wire::RenewAnswer { answer: Some(answer) }))
    }

    async fn retire_others(
        &self,
        request: Request<wire::SignedObject>,
    ) -> Result<Response<wire::RetireAnswer>, Status> {
        let who = Who::of(&request)?;
        self.0.may_ask(&who)?;
        let answer = if self.0.is_ordered(Order::Keep(who.certificate), request.into_inner(), &who)? {
            let (shared, agency) = (Arc::clone(&self.0), who.agency.clone());
            match spawn_blocking(move || shared.renewing.retire_others(&who, SystemTime::now())).await {
                Ok(Ok(retired)) => {
                    tracing::info!(%agency, retired, "an agent's former certificates were revoked");
                    retire_answer::Answer::Retired(retired)
                }
                Ok(Err(NotRenewed::Refused(refused))) => retire_answer::Answer::Refused(refused),
                Ok(Err(NotRenewed::Fault)) | Err(_) => {
                    return Err(Status::internal(
                        "no certificate could be revoked; the gateway's operators can see why",
                    ));
                }
            }
        } else {
            retire_answer::Answer::Refused(answer_of(RenewalRefusal::NotOrdered, None))
        };
        Ok(Response::new(wire::RetireAnswer { answer: Some(answer) }))
    }
}

impl Shared {
    /// Who may not have a certificate orders nothing of one either.
    fn may_ask(&self, who: &Who) -> Result<(), Status> {
        let standing = may_have_one(&self.gateway.hub.directory(), &who.agency, clock::now());
        standing.map_err(|refusal| answers::unrecorded(refusal, ""))?;
        if self.attempts.take(&who.agency, Instant::now()) {
            return Ok(());
        }
        self.gateway.metrics.turned_away.inc();
        Err(answers::too_much("TOO_MANY_ATTEMPTS"))
    }

    fn is_ordered(&self, order: Order, object: wire::SignedObject, who: &Who) -> Result<bool, Status> {
        let directory = self.gateway.hub.directory();
        order.is_given_by(object, (&directory, &who.agency), clock::now()).map_err(answers::malformed)
    }
}

/// Whoever asks, by the certificate of the connection.
struct Who {
    agency: AgencyId,
    identity: Identity,
    certificate: Digest,
}

impl Who {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let (agency, node, certificate) = match caller(request)? {
            Caller::Agency { agency, node, certificate } => (agency, node, certificate),
            Caller::Staff { .. } | Caller::Invited { .. } | Caller::Gateway => {
                return Err(answers::unrecorded(Refusal::RoleNotAllowed, ""));
            }
        };
        // The name in a certificate that this network's authority issued is one.
        let unnamed = |_| Status::internal("the certificate's name is none that the authority gives");
        let identity = Identity::Agency {
            agency: agency.as_str().parse().map_err(unnamed)?,
            node: node.as_str().parse().map_err(unnamed)?,
        };
        Ok(Self { agency, identity, certificate })
    }
}

/// An agency that was stopped, or none of whose signing keys stands, gets no new certificate: it comes back
/// by an invitation.
fn may_have_one(directory: &Directory, agency: &AgencyId, now: TimeMs) -> Result<(), Refusal> {
    let known = directory.agency(agency).ok_or(Refusal::SenderUnknown)?;
    if directory.is_suspended(agency, now) {
        return Err(Refusal::SenderSuspended);
    }
    let mut signing = known.keys.iter().filter(|key| key.key.purpose() == KeyPurpose::Signing);
    if signing.any(|key| key.revoked_at.is_none()) { Ok(()) } else { Err(Refusal::SigningKeyNotInForce) }
}

enum NotRenewed {
    Refused(wire::RenewalRefused),
    Fault,
}

/// Renews certificates with the authority that lies beside the gateway.
struct Renewing {
    authority: PathBuf,
    /// So that two requests of one agent see each other in the ledger.
    one_at_a_time: Mutex<()>,
}

/// When a certificate may be renewed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    /// Once half of its life is over.
    Due,
    /// At once: its agency has ordered it.
    Now,
}

impl Renewing {
    fn renew(
        &self,
        who: &Who,
        request: &certs::Request,
        when: When,
        now: SystemTime,
    ) -> Result<String, NotRenewed> {
        self.alone(|authority| Self::try_renew(authority, who, request, when, now))
    }

    /// Revokes every other certificate of this name.
    fn retire_others(&self, who: &Who, now: SystemTime) -> Result<u32, NotRenewed> {
        self.alone(|authority| {
            let now = UnixTime::of(now)?;
            let own = match own(authority, who) {
                Ok(own) => own,
                Err(refused) => return Ok(Err(refused)),
            };
            let others = |issued: &&Issued| {
                issued.holder == own.holder
                    && issued.serial != own.serial
                    && issued.revocation.is_none()
                    && now <= issued.not_after
            };
            let others: Vec<_> =
                authority.issued().filter(others).map(|issued| issued.serial.clone()).collect();
            let mut retired = 0;
            for serial in others {
                authority.revoke(&Which::Serial(serial), Reason::Superseded, now)?;
                retired += 1;
            }
            Ok(Ok(retired))
        })
    }

    fn alone<T>(
        &self,
        work: impl FnOnce(&mut Authority) -> Result<Result<T, NotRenewed>, certs::Error>,
    ) -> Result<T, NotRenewed> {
        let _alone = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.authority.is_dir() {
            return Err(refused(RenewalRefusal::NoAuthority, None));
        }
        Authority::open(&self.authority).and_then(|mut authority| work(&mut authority)).map_err(|error| {
            tracing::error!(%error, "an agent's certificate could not be renewed, or its former ones revoked");
            NotRenewed::Fault
        })?
    }

    fn try_renew(
        authority: &mut Authority,
        who: &Who,
        request: &certs::Request,
        when: When,
        now: SystemTime,
    ) -> Result<Result<String, NotRenewed>, certs::Error> {
        let now = UnixTime::of(now)?;
        let own = match own(authority, who) {
            Ok(own) => own,
            Err(refused) => return Ok(Err(refused)),
        };
        if authority.issued().any(|issued| issued.key_digest == request.key_digest()) {
            return Ok(Err(refused(RenewalRefusal::KeyUsed, None)));
        }
        let half = half_of_life(&own);
        if when == When::Due && now < half {
            return Ok(Err(refused(RenewalRefusal::TooEarly, Some(half))));
        }
        let holder = &own.holder;
        let of_today = |issued: &&Issued| issued.holder == *holder && now < issued.at.plus(DAY);
        let of_today: Vec<UnixTime> = authority.issued().filter(of_today).map(|issued| issued.at).collect();
        if let Some(first) = of_today.first()
            && of_today.len() >= CERTIFICATES_A_DAY_MAX
        {
            return Ok(Err(refused(RenewalRefusal::TooOften, Some(first.plus(DAY)))));
        }
        let chain = authority.renew(&own.serial, request, LEAF_LIFETIME, now)?;
        Ok(Ok(chain.to_pem()))
    }
}

/// The certificate of whoever asks, as it was issued.
fn own(authority: &Authority, who: &Who) -> Result<Issued, NotRenewed> {
    let holder = Holder::Leaf(who.identity.clone());
    let is_own = |issued: &&Issued| {
        issued.fingerprint.as_bytes() == who.certificate.as_bytes() && issued.holder == holder
    };
    let own = authority.issued().find(is_own).ok_or_else(|| refused(RenewalRefusal::NotIssuedHere, None))?;
    if own.revocation.is_some() { Err(refused(RenewalRefusal::Revoked, None)) } else { Ok(own.clone()) }
}

/// Sooner nothing is renewed that its agency has not ordered: whoever holds a stolen key could make itself
/// certificates without end.
fn half_of_life(issued: &Issued) -> UnixTime {
    let life = issued.not_after.since(issued.not_before);
    issued.not_before.plus(Lifetime::from_seconds(life.seconds() / 2))
}

fn refused(code: RenewalRefusal, again_at: Option<UnixTime>) -> NotRenewed {
    NotRenewed::Refused(answer_of(code, again_at))
}

fn answer_of(code: RenewalRefusal, again_at: Option<UnixTime>) -> wire::RenewalRefused {
    let (text_en, text_ar) = words(code);
    wire::RenewalRefused {
        code: code.into(),
        text_en: text_en.to_owned(),
        text_ar: text_ar.to_owned(),
        again_at_ms: again_at.map_or(0, |at| at.seconds().saturating_mul(1000)),
    }
}

/// What happened, and what to do next.
const fn words(code: RenewalRefusal) -> (&'static str, &'static str) {
    match code {
        RenewalRefusal::Unspecified => ("", ""),
        RenewalRefusal::TooEarly => (
            "Less than half of the certificate's life is over. Ask again later.",
            "لم ينقضِ بعد نصف مدة الشهادة. أعد الطلب لاحقًا.",
        ),
        RenewalRefusal::TooOften => (
            "Too many certificates were issued for this agent today. Ask again tomorrow; if it was not you, telephone the administrators.",
            "أُصدرت اليوم شهادات أكثر من اللازم لهذا البرنامج. أعد الطلب غدًا، وإن لم تطلبها أنت فاتصل بالمسؤولين هاتفيًا.",
        ),
        RenewalRefusal::NoAuthority => (
            "The authority that issues certificates is not beside this gateway. Ask the administrators for a new certificate.",
            "جهة إصدار الشهادات ليست بجانب هذه البوابة. اطلب من المسؤولين شهادة جديدة.",
        ),
        RenewalRefusal::Revoked => (
            "The certificate was revoked. Telephone the administrators.",
            "أُلغيت الشهادة. اتصل بالمسؤولين هاتفيًا.",
        ),
        RenewalRefusal::NotIssuedHere => (
            "The authority beside this gateway did not issue the certificate. Ask the administrators for a new one.",
            "لم تُصدر الشهادةَ جهةُ الإصدار المجاورة لهذه البوابة. اطلب من المسؤولين شهادة جديدة.",
        ),
        RenewalRefusal::KeyUsed => (
            "A certificate was issued for this key before. Make a new key and ask again.",
            "سبق إصدار شهادة لهذا المفتاح. أنشئ مفتاحًا جديدًا وأعد الطلب.",
        ),
        RenewalRefusal::NotOrdered => (
            "The order does not carry the agency's signature for this, or is too old. Set the clock right and ask again; if it was not you, telephone the administrators.",
            "لا يحمل الأمر توقيع الجهة على هذا الطلب أو مضى عليه وقت طويل. اضبط الساعة وأعد الطلب، وإن لم تطلبه أنت فاتصل بالمسؤولين هاتفيًا.",
        ),
    }
}

#[cfg(test)]
mod tests {
    use certs::{Key, Plan, Reason, Which};

    use super::*;

    const DAY_S: u64 = 24 * 60 * 60;

    struct Place {
        _folder: tempfile::TempDir,
        renewing: Renewing,
        authority: Authority,
        issued: SystemTime,
        own: certs::Certificate,
    }

    struct Asked {
        who: Who,
        request: certs::Request,
        when: When,
    }

    fn identity() -> Identity {
        "agency/ae.dfwac/main".parse().unwrap()
    }

    /// An agent whose certificate was issued just now.
    fn place() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let issued = SystemTime::now();
        let now = UnixTime::of(issued).unwrap();
        let path = folder.path().join("authority");
        let plan = Plan::sandbox("sandbox.example".parse().unwrap());
        let mut authority = Authority::init(&path, &plan, now).unwrap();
        let own = authority.issue_with_key(&identity(), now).unwrap().certificate().clone();
        let renewing = Renewing { authority: path, one_at_a_time: Mutex::default() };
        Place { _folder: folder, renewing, authority, issued, own }
    }

    impl Place {
        fn asked(&self, request: certs::Request) -> Asked {
            let who = Who {
                agency: AgencyId::parse("ae.dfwac", "agency").unwrap(),
                identity: identity(),
                certificate: Digest(*self.own.fingerprint.as_bytes()),
            };
            Asked { who, request, when: When::Due }
        }

        /// Asks so many days after the certificate was issued.
        fn renew(&self, days: u64, asked: &Asked) -> Result<certs::Certificate, &'static str> {
            let at = self.issued + Duration::from_secs(days * DAY_S);
            match self.renewing.renew(&asked.who, &asked.request, asked.when, at) {
                Ok(pem) => Ok(certs::Certificate::read_chain(pem.as_bytes()).unwrap()[0].clone()),
                Err(NotRenewed::Refused(refused)) => {
                    assert!(refused.text_en.ends_with('.') && refused.text_ar.ends_with('.'));
                    Err(refused.code().as_str_name())
                }
                Err(NotRenewed::Fault) => panic!("a fault"),
            }
        }
    }

    fn request() -> certs::Request {
        Key::generate().unwrap().request().unwrap()
    }

    #[test]
    fn the_same_name_is_certified_for_a_new_key_once_half_of_the_life_is_over() {
        let place = place();
        let asked = place.asked(request());
        assert_eq!(place.renew(44, &asked), Err(RenewalRefusal::TooEarly.as_str_name()));
        let new = place.renew(60, &asked).unwrap();
        assert_eq!(new.key_digest, asked.request.key_digest());
        let issued: Vec<_> = place.renewing_issued();
        assert_eq!(issued.len(), 2);
        assert!(issued.iter().all(|issued| issued.holder == Holder::Leaf(identity())));
        assert!(new.not_after > place.own.not_after);
        assert_eq!(place.renew(60, &asked), Err(RenewalRefusal::KeyUsed.as_str_name()));
    }

    #[test]
    fn what_its_agency_orders_is_renewed_at_once_and_the_former_ones_are_revoked() {
        let mut place = place();
        let asked = Asked { when: When::Now, ..place.asked(request()) };
        let new = place.renew(0, &asked).unwrap();
        let lost = place.renew(0, &Asked { when: When::Now, ..place.asked(request()) }).unwrap();
        let spare = "agency/ae.dfwac/spare".parse().unwrap();
        let spare = place.authority.issue_with_key(&spare, UnixTime::of(place.issued).unwrap()).unwrap();
        place.own = new.clone();
        assert_eq!(place.renewing.retire_others(&place.asked(request()).who, place.issued).ok(), Some(2));
        let authority = Authority::open(&place.renewing.authority).unwrap();
        let stands = |one: &certs::Certificate| !authority.is_revoked(&one.fingerprint);
        assert!(stands(&new) && stands(spare.certificate()) && !stands(&lost));
        assert_eq!(place.renewing.retire_others(&place.asked(request()).who, place.issued).ok(), Some(0));
        place.own = lost;
        assert_eq!(place.renew(60, &place.asked(request())), Err(RenewalRefusal::Revoked.as_str_name()));
        assert!(place.renewing.retire_others(&place.asked(request()).who, place.issued).is_err());
    }

    #[test]
    fn an_agency_may_try_so_often_a_minute() {
        let (attempts, begun) = (Attempts::default(), Instant::now());
        let count = |name: &str, now: Instant| {
            let agency = AgencyId::parse(name, "agency").unwrap();
            (0..2 * ATTEMPTS_MAX).filter(|_| attempts.take(&agency, now)).count()
        };
        let most = usize::try_from(ATTEMPTS_MAX).unwrap();
        assert_eq!(count("ae.dfwac", begun), most);
        assert_eq!(count("jo.mosd", begun), most, "another has its own");
        assert_eq!(count("ae.dfwac", begun + MINUTE - Duration::from_millis(1)), 0);
        assert_eq!(count("ae.dfwac", begun + MINUTE), most);
    }

    #[test]
    fn so_many_a_day_and_no_more() {
        let place = place();
        for _ in 0..CERTIFICATES_A_DAY_MAX {
            place.renew(60, &place.asked(request())).unwrap();
        }
        assert_eq!(place.renew(60, &place.asked(request())), Err(RenewalRefusal::TooOften.as_str_name()));
        // A lost answer costs a day at the most, not the agency.
        assert!(place.renew(61, &place.asked(request())).is_ok());
    }

    #[test]
    fn what_was_revoked_is_another_s_or_has_no_authority_is_not_renewed() {
        let mut place = place();
        let mut other = place.asked(request());
        other.who.identity = "agency/ae.dfwac/spare".parse().unwrap();
        assert_eq!(
            place.renew(60, &other),
            Err(RenewalRefusal::NotIssuedHere.as_str_name()),
            "another agent's"
        );
        let mut strange = place.asked(request());
        strange.who.certificate = Digest::default();
        assert_eq!(place.renew(60, &strange), Err(RenewalRefusal::NotIssuedHere.as_str_name()));
        let now = UnixTime::of(place.issued).unwrap();
        let which = Which::Fingerprint(place.own.fingerprint);
        place.authority.revoke(&which, Reason::KeyCompromise, now).unwrap();
        assert_eq!(place.renew(60, &place.asked(request())), Err(RenewalRefusal::Revoked.as_str_name()));
        std::fs::remove_dir_all(&place.renewing.authority).unwrap();
        assert_eq!(place.renew(60, &place.asked(request())), Err(RenewalRefusal::NoAuthority.as_str_name()));
    }

    impl Place {
        fn renewing_issued(&self) -> Vec<Issued> {
            let authority = Authority::open(&self.renewing.authority).unwrap();
            authority.issued().filter(|issued| matches!(issued.holder, Holder::Leaf(_))).cloned().collect()
        }
    }
}
