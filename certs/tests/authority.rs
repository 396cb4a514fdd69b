//! The authority in its folder, seen from outside: what it issues, refuses, revokes and signs; several
//! programs at once; damage, limits, permissions; the ceremonies.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use certs::{
    Authority, CERTIFICATE_BYTES_MAX, CRL_BYTES_MAX, CRL_VALIDITY_MAX, Certificate, Credential, Duty, Error,
    Fault, GatewayName, GatewayNames, Holder, ISSUED_MAX, ISSUING_LIFETIME, Identity, Key, LEAF_LIFETIME,
    LEAF_LIFETIME_MAX, Lifetime, Malformed, Permitted, Plan, REQUEST_BYTES_MAX, ROOT_LIFETIME, Reason,
    Refusal, Request, RevocationList, Root, UnixTime, Which,
};

const START: u64 = 1_790_000_000;

fn after(days: u64) -> UnixTime {
    UnixTime::from_seconds(START + days * 86_400).unwrap()
}

fn now() -> UnixTime {
    after(0)
}

fn network() -> certs::Network {
    "referral.example".parse().unwrap()
}

fn agent() -> Identity {
    "agency/ae.dfwac/main".parse().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> (Self, Authority) {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        let authority = Authority::init(&place.path(), &Plan::sandbox(network()), now()).unwrap();
        (place, authority)
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("authority")
    }

    fn issuing(&self) -> PathBuf {
        self.path().join("issuing/1")
    }

    fn open(&self) -> Authority {
        Authority::open(&self.path()).unwrap()
    }

    fn root(&self) -> Root {
        Root::open(&self.path().join("root")).unwrap()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

/// A reader of bytes.
type Read = fn(&[u8]) -> Result<(), Error>;

fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> Refusal {
    match result {
        Err(Error::Refusal(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_was_asked_for_stands_in_the_certificates() {
    let (_place, mut authority) = Place::new();
    let root = authority.root().clone();
    assert_eq!((root.authority, root.path_length, root.constraints), (true, Some(1), None));
    assert_eq!(root.not_after, now().plus(ROOT_LIFETIME));
    let issuing = authority.issuing().next().unwrap().clone();
    assert_eq!((issuing.authority, issuing.path_length), (true, Some(0)));
    assert_eq!(issuing.not_after, now().plus(ISSUING_LIFETIME));
    let constraints = issuing.constraints.unwrap();
    assert!(constraints.critical);
    assert_eq!(constraints.permitted, Permitted::sandbox(&network()).as_slice());
    assert_eq!((constraints.excluded.len(), constraints.others), (0, 0));

    let gateway = authority.issue_gateway_with_key(&GatewayNames::loopback(), now()).unwrap();
    let gateway = gateway.certificate();
    assert_eq!(gateway.uris, ["spiffe://referral.example/gateway"]);
    assert_eq!(gateway.gateway_names, GatewayNames::loopback().as_slice());
    assert_eq!((gateway.server, gateway.client, gateway.authority), (true, false, false));
    for (text, subject) in [
        ("agency/ae.dfwac/main", "O=referral.example, OU=ae.dfwac, CN=main"),
        ("staff/auditor/blue-7", "O=referral.example, OU=auditor, CN=blue-7"),
    ] {
        let identity: Identity = text.parse().unwrap();
        let client = authority.issue_with_key(&identity, now()).unwrap();
        let client = client.certificate();
        assert_eq!(client.uris, [format!("spiffe://referral.example/{text}")]);
        assert_eq!(client.identity(&network()), Ok(identity));
        assert_eq!(client.subject, subject);
        assert_eq!((client.server, client.client, client.authority), (false, true, false));
        assert_eq!(client.not_before.seconds(), START - 300);
        assert_eq!(client.not_after, now().plus(LEAF_LIFETIME));
        assert!(client.gateway_names.is_empty());
    }
}

#[test]
fn a_plan_without_addresses_excludes_them_all() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan::new(network(), Permitted::new(&network(), []).unwrap());
    let authority = Authority::init(&folder.path().join("a"), &plan, now()).unwrap();
    let constraints = authority.issuing().next().unwrap().constraints.clone().unwrap();
    let texts: Vec<String> = constraints.excluded.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["0.0.0.0/0", "::/0"]);
}

#[test]
fn names_in_a_request_are_ignored_and_other_people_s_requests_are_refused() {
    let (_place, mut authority) = Place::new();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["gateway.referral.example".to_owned()]).unwrap();
    params
        .subject_alt_names
        .push(rcgen::SanType::URI("spiffe://referral.example/gateway".try_into().unwrap()));
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let der = params.serialize_request(&key).unwrap().der().to_vec();
    let request = Request::read(&der).unwrap();
    assert_eq!(Request::read(request.to_pem().as_bytes()), Ok(request.clone()));
    let made = authority.issue(&agent(), &request, LEAF_LIFETIME, now()).unwrap().certificate;
    assert_eq!(made.uris, ["spiffe://referral.example/agency/ae.dfwac/main"]);
    assert!(made.gateway_names.is_empty() && !made.authority && !made.server);
    assert_eq!(made.key_digest, request.key_digest());

    // The signature is the last thing in it.
    let mut forged = der.clone();
    *forged.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(Request::read(&forged)), Refusal::NoProofOfPossession);
    // Another key under the same signature.
    let other = Key::generate().unwrap().request().unwrap();
    let spki = |der: &[u8]| der.windows(4).position(|w| w == [0x03, 0x42, 0x00, 0x04]).unwrap();
    let (from, to) = (spki(other.der()), spki(&der));
    let mut swapped = der;
    swapped[to..to + 68].copy_from_slice(&other.der()[from..from + 68]);
    assert_eq!(refusal(Request::read(&swapped)), Refusal::NoProofOfPossession);
}

#[test]
fn weak_and_strange_requests_are_refused() {
    for kind in [&rcgen::PKCS_ECDSA_P521_SHA512, &rcgen::PKCS_ECDSA_P521_SHA256] {
        let key = rcgen::KeyPair::generate_for(kind).unwrap();
        let der = rcgen::CertificateParams::default().serialize_request(&key).unwrap();
        assert_eq!(refusal(Request::read(der.der())), Refusal::KeyKind);
    }
    let good = Key::generate().unwrap().request().unwrap();
    let pem = good.to_pem();
    let key = Key::generate().unwrap();
    let with_key = format!("{pem}{}", *key.to_pem());
    for bad in [String::new(), "x".to_owned(), format!("{pem}{pem}"), with_key, pem.replace("REQUEST", "X")] {
        assert_eq!(Request::read(bad.as_bytes()), Err(Malformed::Request.into()));
    }
    let long = [good.der(), &[0]].concat();
    assert_eq!(Request::read(&long), Err(Malformed::Request.into()));
    for cut in 0..good.der().len() {
        assert!(Request::read(&good.der()[..cut]).is_err());
    }
}

/// Every bit of it flipped: what is read never panics, and no request is for another key.
#[test]
fn flipped_bits_are_refused_or_harmless() {
    let (_place, mut authority) = Place::new();
    let agent = authority.issue_with_key(&agent(), now()).unwrap();
    let which = Which::Identity(self::agent());
    authority.revoke(&which, Reason::KeyCompromise, now()).unwrap();
    let list = authority.trust(now()).unwrap().lists()[1].clone();
    let request = Key::generate().unwrap().request().unwrap();
    let flipped = |bytes: &[u8], visit: &dyn Fn(&[u8])| {
        for bit in 0..bytes.len() * 8 {
            let mut other = bytes.to_vec();
            other[bit / 8] ^= 1 << (bit % 8);
            visit(&other);
        }
    };
    flipped(request.der(), &|bytes| {
        // Outside what is signed there are bits that mean nothing; the key is inside.
        let key = Request::read(bytes).map(|read| read.key_digest());
        assert!(key.is_err() || key == Ok(request.key_digest()), "{bytes:02x?}");
    });
    flipped(agent.certificate().der(), &|bytes| {
        let read = Certificate::from_der(bytes);
        assert!(read.is_err() || read.unwrap().fingerprint != agent.certificate().fingerprint);
    });
    flipped(list.der(), &|bytes| {
        let read = RevocationList::from_der(bytes);
        assert!(read.is_err() || read.unwrap().fingerprint != list.fingerprint);
    });
}

#[test]
fn sizes_are_limited_before_anything_is_parsed() {
    let too_large = |bytes: usize, limit: usize| Malformed::TooLarge {
        bytes: u64::try_from(bytes).unwrap(),
        limit_bytes: u64::try_from(limit).unwrap(),
    };
    let zeros = |bytes: usize| [vec![0x30], vec![0; bytes]].concat();

    let readers: [(usize, Read); 3] = [
        (REQUEST_BYTES_MAX, |b| Request::read(b).map(drop)),
        (CERTIFICATE_BYTES_MAX, |b| Ok(Certificate::from_der(b).map(drop)?)),
        (CRL_BYTES_MAX, |b| Ok(RevocationList::from_der(b).map(drop)?)),
    ];
    for (limit, read) in readers {
        assert_eq!(read(&zeros(limit)), Err(too_large(limit + 1, limit).into()));
        let at_limit = read(&zeros(limit - 1));
        assert!(matches!(at_limit, Err(Error::Malformed(m)) if !matches!(m, Malformed::TooLarge { .. })));
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), zeros(99)).unwrap();
    assert_eq!(certs::read_file(file.path(), 100).unwrap().len(), 100);
    assert_eq!(certs::read_file(file.path(), 99), Err(too_large(100, 99).into()));
}

#[test]
fn lifetimes_are_limited_and_end_with_the_issuer_s() {
    let (_place, mut authority) = Place::new();
    let request = Key::generate().unwrap().request().unwrap();
    let second = Lifetime::from_seconds(1);
    let mut issue = |lifetime, now| authority.issue(&agent(), &request, lifetime, now);
    issue(LEAF_LIFETIME_MAX, now()).unwrap();
    issue(second, now()).unwrap();
    let most = LEAF_LIFETIME_MAX;
    for bad in [Lifetime::from_seconds(0), Lifetime::from_seconds(most.seconds() + 1)] {
        assert_eq!(refusal(issue(bad, now())), Refusal::Lifetime { most });
    }
    let late = after(ISSUING_LIFETIME.days() - 10);
    let cut = issue(LEAF_LIFETIME, late).unwrap();
    assert_eq!(cut.certificate.not_after, cut.issuing.not_after);
    assert_eq!(refusal(issue(LEAF_LIFETIME, after(ISSUING_LIFETIME.days() + 1))), Refusal::NoIssuing);

    let folder = tempfile::tempdir().unwrap();
    let long = Plan { root_lifetime: Lifetime::from_days(8000), ..Plan::sandbox(network()) };
    let made = Authority::init(&folder.path().join("a"), &long, now());
    assert_eq!(refusal(made), Refusal::Lifetime { most: ROOT_LIFETIME });
    let long = Plan { issuing_lifetime: Lifetime::from_days(1096), ..Plan::sandbox(network()) };
    let made = Authority::init(&folder.path().join("a"), &long, now());
    assert_eq!(refusal(made), Refusal::Lifetime { most: ISSUING_LIFETIME });
    assert_eq!(files(folder.path()), Vec::<PathBuf>::new(), "nothing is left");
    let validity = Lifetime::from_seconds(CRL_VALIDITY_MAX.seconds() + 1);
    assert_eq!(
        authority.with_crl_validity(validity).err(),
        Some(Refusal::Lifetime { most: CRL_VALIDITY_MAX })
    );
}

#[test]
fn a_gateway_needs_permitted_names_and_others_have_none() {
    let (_place, mut authority) = Place::new();
    let request = Key::generate().unwrap().request().unwrap();
    let refused = authority.issue(&Identity::Gateway, &request, LEAF_LIFETIME, now());
    assert_eq!(refusal(refused), Refusal::NamesMissing);
    let names = GatewayNames::parse(&["localhost", "192.0.2.1"]).unwrap();
    let refused = authority.issue_gateway(&names, &request, LEAF_LIFETIME, now());
    assert_eq!(refusal(refused), Refusal::NameNotPermitted { name: "192.0.2.1".parse().unwrap() });
    let inside = GatewayNames::parse(&["gateway.referral.example"]).unwrap();
    authority.issue_gateway(&inside, &request, LEAF_LIFETIME, now()).unwrap();
}

#[test]
fn renewal_keeps_identity_and_names() {
    let (_place, mut authority) = Place::new();
    let gateway = authority.issue_gateway_with_key(&GatewayNames::loopback(), now()).unwrap();
    let old = gateway.certificate();
    let new = authority.renew_with_key(&old.serial, after(60)).unwrap();
    let new = new.certificate();
    assert_eq!((&new.uris, &new.gateway_names), (&old.uris, &old.gateway_names));
    assert_eq!(new.not_after, after(60).plus(LEAF_LIFETIME));
    assert!(new.serial != old.serial && new.key_digest != old.key_digest);

    // The same key, by the same request.
    let request = Key::generate().unwrap().request().unwrap();
    let first = authority.issue(&agent(), &request, LEAF_LIFETIME, now()).unwrap().certificate;
    let second = authority.renew(&first.serial, &request, LEAF_LIFETIME, after(1)).unwrap().certificate;
    assert_eq!(second.key_digest, first.key_digest);
    assert!(!authority.is_revoked(&first.fingerprint), "the old one stays good");

    let refused = authority.renew(&first.serial, &request, LEAF_LIFETIME, after(91));
    assert_eq!(refusal(refused), Refusal::Expired { serial: first.serial, at: first.not_after });
    authority.revoke(&Which::Serial(second.serial.clone()), Reason::Superseded, after(2)).unwrap();
    let refused = authority.renew(&second.serial, &request, LEAF_LIFETIME, after(2));
    assert_eq!(refusal(refused), Refusal::Revoked { serial: second.serial });
    let unknown = authority.renew(&"0a".parse().unwrap(), &request, LEAF_LIFETIME, now());
    assert_eq!(refusal(unknown), Refusal::NotIssued);
}

#[test]
fn revocation_by_every_name_reaches_the_list_at_once() {
    let (place, mut authority) = Place::new();
    let issue = |authority: &mut Authority, text: &str| {
        let identity: Identity = text.parse().unwrap();
        authority.issue_with_key(&identity, now()).unwrap().certificate().clone()
    };
    let a1 = issue(&mut authority, "agency/ae.dfwac/main");
    let a2 = issue(&mut authority, "agency/ae.dfwac/spare");
    let b1 = issue(&mut authority, "agency/jo.mosd/main");
    let b2 = issue(&mut authority, "agency/jo.mosd/main");
    let staff = issue(&mut authority, "staff/operator/blue-7");
    let revoke = |authority: &mut Authority, which: &Which| {
        let revoked = authority.revoke(which, Reason::PrivilegeWithdrawn, after(1)).unwrap();
        (revoked.now.len(), revoked.before.len())
    };
    assert_eq!(revoke(&mut authority, &Which::Serial(a1.serial.clone())), (1, 0));
    assert_eq!(revoke(&mut authority, &Which::Agency("ae.dfwac".parse().unwrap())), (1, 1));
    assert_eq!(revoke(&mut authority, &Which::Identity("agency/jo.mosd/main".parse().unwrap())), (2, 0));
    assert_eq!(revoke(&mut authority, &Which::Fingerprint(b1.fingerprint)), (0, 1));
    let list = &authority.trust(after(1)).unwrap().lists()[1].clone();
    assert_eq!(list.serials, [&a1, &a2, &b1, &b2].map(|certificate| certificate.serial.clone()));
    for certificate in [&a1, &a2, &b1, &b2] {
        assert!(authority.is_revoked(&certificate.fingerprint));
    }
    assert!(!authority.is_revoked(&staff.fingerprint));
    assert!(authority.is_revoked(&authority.root().fingerprint.clone()), "never issued");
    assert!(!authority.crl_due(after(1)).unwrap());
    let again = place.open();
    assert_eq!(again.issued().collect::<Vec<_>>(), authority.issued().collect::<Vec<_>>());
    for nobody in [
        Which::Serial("0a".parse().unwrap()),
        Which::Agency("int.iom.kw".parse().unwrap()),
        Which::Identity(Identity::Gateway),
        Which::Fingerprint(authority.root().fingerprint),
    ] {
        assert_eq!(refusal(authority.revoke(&nobody, Reason::Unspecified, now())), Refusal::NotIssued);
    }
}

#[test]
fn a_compromised_key_is_never_certified_again_and_others_may_be() {
    let (_place, mut authority) = Place::new();
    let request = Key::generate().unwrap().request().unwrap();
    let one = authority.issue(&agent(), &request, LEAF_LIFETIME, now()).unwrap().certificate;
    authority.revoke(&Which::Serial(one.serial), Reason::CessationOfOperation, now()).unwrap();
    let two = authority.issue(&agent(), &request, LEAF_LIFETIME, now()).unwrap().certificate;
    authority.revoke(&Which::Serial(two.serial), Reason::KeyCompromise, now()).unwrap();
    let refused = authority.issue(&agent(), &request, LEAF_LIFETIME, now());
    assert_eq!(refusal(refused), Refusal::CompromisedKey);
    let mut root = authority_root_with(&mut authority);
    let signed = root.sign_issuing(&request, &Permitted::sandbox(&network()), ISSUING_LIFETIME, now());
    assert!(signed.is_ok(), "the root's ledger knows nothing of agents' keys");
}

fn authority_root_with(authority: &mut Authority) -> Root {
    Root::open(&authority.root_folder()).unwrap()
}

#[test]
fn lists_are_due_at_half_time_and_their_numbers_grow() {
    let (place, mut authority) = Place::new();
    assert!(!authority.crl_due(now()).unwrap());
    assert!(!authority.crl_due(after(3)).unwrap());
    assert!(authority.crl_due(after(4)).unwrap());
    assert_eq!(authority.sign_due_crls(after(3)), Ok(false));
    assert_eq!(authority.sign_due_crls(after(4)), Ok(true));
    assert!(!authority.crl_due(after(7)).unwrap());
    authority.sign_crls(after(5)).unwrap();
    let trust = authority.trust(after(5)).unwrap();
    let [root, issuing] = trust.lists() else { panic!("two lists") };
    assert_eq!((root.number, issuing.number), (1, 3));
    assert_eq!(issuing.next_update, after(12));
    // A clock that was years ahead for a while.
    authority.sign_crls(after(1000)).unwrap();
    assert!(authority.crl_due(after(6)).unwrap());
    let mut weekly = place.open().with_crl_validity(Lifetime::from_days(1)).unwrap();
    weekly.sign_crls(after(6)).unwrap();
    assert_eq!(weekly.trust(after(6)).unwrap().lists()[1].next_update, after(7));
}

#[test]
fn a_revocation_whose_list_was_never_written_is_due() {
    let (place, mut authority) = Place::new();
    let agent = authority.issue_with_key(&agent(), now()).unwrap();
    let (list, ledger) = (place.issuing().join("crl.pem"), place.issuing().join("ledger.jsonl"));
    let before = fs::read(&list).unwrap();
    let serial = agent.certificate().serial.clone();
    authority.revoke(&Which::Serial(serial.clone()), Reason::Unspecified, now()).unwrap();
    // As if the power had failed before the list was in place, and then before it was numbered.
    for lines in [0, 1] {
        fs::write(&list, &before).unwrap();
        let text = fs::read_to_string(&ledger).unwrap();
        let kept = text.lines().count() - lines;
        fs::write(&ledger, text.split_inclusive('\n').take(kept).collect::<String>()).unwrap();
        let mut again = place.open();
        assert!(again.crl_due(now()).unwrap());
        assert_eq!(again.sign_due_crls(now()), Ok(true));
        assert_eq!(again.trust(now()).unwrap().lists()[1].serials, std::slice::from_ref(&serial));
    }
}

#[test]
fn an_expired_certificate_leaves_the_list_after_a_list_has_named_it() {
    let (_place, mut authority) = Place::new();
    let agent = authority.issue_with_key(&agent(), now()).unwrap();
    let serial = agent.certificate().serial.clone();
    authority.revoke(&Which::Serial(serial), Reason::Unspecified, now()).unwrap();
    let mut named_at = |day| {
        authority.sign_crls(after(day)).unwrap();
        authority.trust(after(day)).unwrap().lists()[1].serials.len()
    };
    assert_eq!([named_at(91), named_at(120), named_at(122)], [1, 1, 0]);
}

#[test]
fn several_programs_share_a_folder() {
    let (place, mut served) = Place::new();
    let mut told = place.open();
    let agent = told.issue_with_key(&agent(), now()).unwrap();
    // The one that was open before knows it, and can revoke it.
    let fingerprint = Which::Fingerprint(agent.certificate().fingerprint);
    assert_eq!(served.revoke(&fingerprint, Reason::Unspecified, now()).unwrap().now.len(), 1);
    assert!(!told.crl_due(now()).unwrap());
    assert!(told.is_revoked(&agent.certificate().fingerprint));
    assert_eq!(told.trust(now()).unwrap(), served.trust(now()).unwrap());

    // At the same time, from many threads, nothing is lost and no list number is used twice.
    let path = place.path();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let path = &path;
            scope.spawn(move || {
                let mut authority = Authority::open(path).unwrap();
                for n in 0..5 {
                    let identity = format!("agency/ae.t{thread}/n{n}").parse().unwrap();
                    let made = authority.issue_with_key(&identity, now()).unwrap();
                    if n % 2 == 0 {
                        let which = Which::Serial(made.certificate().serial.clone());
                        authority.revoke(&which, Reason::Superseded, now()).unwrap();
                    }
                }
            });
        }
    });
    let mut after = place.open();
    assert_eq!(after.issued().count(), 21);
    assert_eq!(after.issued().filter(|issued| issued.revocation.is_some()).count(), 13);
    let list = after.trust(now()).unwrap().lists()[1].clone();
    assert_eq!((list.number, list.serials.len()), (14, 13));
}

#[test]
fn the_limit_of_certificates_is_kept() {
    let (place, mut authority) = Place::new();
    authority.issue_with_key(&agent(), now()).unwrap();
    let ledger = place.issuing().join("ledger.jsonl");
    let text = fs::read_to_string(&ledger).unwrap();
    let line = text.lines().last().unwrap();
    let serial = line.split('"').nth(7).unwrap();
    let mut grown = text.clone();
    for number in 1..ISSUED_MAX - 1 {
        let other = format!("40{number:030x}");
        let print = format!("{number:064x}");
        let made = line.replace(serial, &other);
        let start = made.find("\"certificate\":\"").unwrap() + 15;
        grown += &format!("{}{print}{}\n", &made[..start], &made[start + 64..]);
    }
    fs::write(&ledger, grown).unwrap();
    let mut authority = place.open();
    let last = authority.issue_with_key(&agent(), now()).unwrap();
    assert_eq!(authority.issued().count(), ISSUED_MAX);
    let full = authority.issue_with_key(&agent(), now());
    assert_eq!(refusal(full), Refusal::Full { limit: ISSUED_MAX });
    // What was issued can still be revoked.
    let which = Which::Serial(last.certificate().serial.clone());
    authority.revoke(&which, Reason::Unspecified, now()).unwrap();
}

#[test]
fn folders_and_keys_that_others_may_open_are_refused() {
    let (place, _authority) = Place::new();
    for path in ["", "issuing", "issuing/1", "root"] {
        assert_eq!(mode(&place.path().join(path)), 0o700, "{path}");
    }
    for path in ["issuing/1/key.pem", "issuing/1/ledger.jsonl", "root/key.pem", "root/ledger.jsonl"] {
        assert_eq!(mode(&place.path().join(path)), 0o600, "{path}");
    }
    for (path, right) in [
        ("", 0o700),
        ("issuing", 0o700),
        ("issuing/1", 0o700),
        ("issuing/1/key.pem", 0o600),
        ("issuing/1/ledger.jsonl", 0o600),
    ] {
        let path = place.path().join(path);
        for looser in [0o40, 0o4, 0o20, 0o10, 0o1] {
            set_mode(&path, right | looser);
            let refused = refusal(Authority::open(&place.path()));
            assert!(matches!(refused, Refusal::TooOpen { mode, .. } if mode == right | looser));
        }
        set_mode(&path, right);
        place.open();
    }
    let key = place.path().join("root/key.pem");
    set_mode(&key, 0o644);
    assert_eq!(refusal(Root::open(&place.path().join("root"))), Refusal::TooOpen { path: key, mode: 0o644 });
}

#[test]
fn an_authority_is_made_whole_or_not_at_all_and_only_once() {
    let (place, authority) = Place::new();
    let before = files(&place.path());
    let again = Authority::init(&place.path(), &Plan::sandbox(network()), now());
    assert_eq!(refusal(again), Refusal::Exists { path: place.path() });
    assert_eq!(files(&place.path()), before);
    drop(authority);

    // An empty folder is taken, though it was open to others.
    let empty = place.folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    Authority::init(&empty, &Plan::sandbox(network()), now()).unwrap();
    assert_eq!(mode(&empty), 0o700);

    // What an attempt that was killed left behind is named, not taken for an authority.
    let left = place.folder.path().join("other.new");
    fs::create_dir(&left).unwrap();
    let other = place.folder.path().join("other");
    let refused = Authority::init(&other, &Plan::sandbox(network()), now());
    assert_eq!(refusal(refused), Refusal::Exists { path: left });
    assert!(!other.exists());
    assert!(Authority::open(&other).is_err());
}

#[test]
fn damage_is_named() {
    for name in ["root.pem", "root.crl.pem", "issuing/1/certificate.pem", "issuing/1/crl.pem"] {
        let (place, _) = Place::new();
        let path = place.path().join(name);
        fs::write(&path, "x").unwrap();
        assert_eq!(Authority::open(&place.path()).err(), Some(Fault::Damaged { path }.into()));
    }
    // Files of another authority, each whole in itself.
    let (other, _) = Place::new();
    for name in [
        "root.crl.pem",
        "issuing/1/certificate.pem",
        "issuing/1/crl.pem",
        "issuing/1/key.pem",
        "issuing/1/ledger.jsonl",
    ] {
        let (place, _) = Place::new();
        fs::copy(other.path().join(name), place.path().join(name)).unwrap();
        assert!(matches!(Authority::open(&place.path()), Err(Error::Fault(Fault::Damaged { .. }))), "{name}");
    }
    let (place, _) = Place::new();
    fs::remove_dir_all(place.issuing()).unwrap();
    fs::create_dir(place.issuing()).unwrap();
    set_mode(&place.issuing(), 0o700);
    for name in ["key.pem", "certificate.pem", "crl.pem", "ledger.jsonl"] {
        fs::copy(other.issuing().join(name), place.issuing().join(name)).unwrap();
    }
    let path = place.issuing().join("certificate.pem");
    assert_eq!(Authority::open(&place.path()).err(), Some(Fault::Damaged { path }.into()), "another root's");
}

#[test]
fn the_root_may_be_gone() {
    let (place, authority) = Place::new();
    drop(authority);
    let offline = place.folder.path().join("usb");
    fs::rename(place.path().join("root"), &offline).unwrap();
    let mut authority = place.open();
    authority.issue_with_key(&agent(), now()).unwrap();
    authority.sign_crls(after(3)).unwrap();
    assert_eq!(authority.duties(after(3)), Ok(Vec::new()));
    assert_eq!(Root::open(&offline).unwrap().certificate(), authority.root());
}

#[test]
fn duties_come_in_time() {
    let (place, mut authority) = Place::new();
    assert_eq!(authority.duties(now()), Ok(vec![Duty::TakeRootOffline(place.path().join("root"))]));
    fs::remove_dir_all(place.path().join("root")).unwrap();
    assert_eq!(authority.duties(now()), Ok(vec![]));
    assert_eq!(authority.duties(after(4)), Ok(vec![Duty::SignCrls]));
    let mut at = |day| {
        authority.sign_crls(after(day)).unwrap();
        authority.duties(after(day)).unwrap()
    };
    let root_list = Duty::SignRootCrl(after(365));
    assert_eq!(at(305), []);
    assert_eq!(at(306), std::slice::from_ref(&root_list));
    let issuing = Duty::RenewIssuing(after(ISSUING_LIFETIME.days()));
    assert_eq!(at(ISSUING_LIFETIME.days() - 398), std::slice::from_ref(&root_list));
    assert_eq!(at(ISSUING_LIFETIME.days() - 397), [root_list.clone(), issuing]);
    let gone = after(ISSUING_LIFETIME.days() + 1);
    assert_eq!(authority.duties(gone).unwrap(), [root_list.clone(), Duty::RenewIssuing(gone)]);
    let late = after(ROOT_LIFETIME.days() - 1000);
    let root = Duty::RenewRoot(after(ROOT_LIFETIME.days()));
    assert_eq!(authority.duties(late).unwrap(), [root_list, Duty::RenewIssuing(late), root]);
}

#[test]
fn a_ceremony_brings_the_next_issuing_certificate() {
    let (place, mut authority) = Place::new();
    let old = authority.issue_with_key(&agent(), now()).unwrap();
    let request = authority.request_issuing().unwrap();
    assert_eq!(authority.request_issuing().unwrap(), request, "asked again, the same");
    let day = after(700);
    authority.sign_crls(day).unwrap();

    let mut root = place.root();
    let permitted = root.last_permitted().unwrap();
    assert_eq!(permitted, Permitted::sandbox(&network()));
    let more = Permitted::new(&network(), ["10.0.0.0/8".parse().unwrap()]).unwrap();
    let made = root.sign_issuing(&request, &more, ISSUING_LIFETIME, day).unwrap();
    assert_eq!(root.last_permitted(), Ok(more));
    assert_eq!(root.issued().len(), 2);
    root.sign_list(day).unwrap();
    authority.install_root_list(root.list(), day).unwrap();
    authority.install_issuing(&made, day).unwrap();
    assert!(!place.path().join("issuing/next").exists());

    let mut again = place.open();
    assert_eq!(again.issuing().count(), 2);
    let next = again.issue_with_key(&agent(), day).unwrap();
    assert_eq!(next.certificate().issuer, "O=referral.example, CN=issuing 2");
    // Both lists are signed as long as there are certificates to revoke.
    again.revoke(&Which::Identity(agent()), Reason::Superseded, day).unwrap();
    let lists = again.trust(day).unwrap();
    let serials: Vec<usize> = lists.lists().iter().map(|list| list.serials.len()).collect();
    assert_eq!(serials, [0, 0, 1], "the agent's first certificate had expired");
    assert_eq!(old.certificate().issuer, "O=referral.example, CN=issuing 1");
    let later = after(ISSUING_LIFETIME.days() + 1);
    again.sign_crls(later).unwrap();
    root.sign_list(later).unwrap();
    again.install_root_list(root.list(), later).unwrap();
    assert_eq!(again.trust(later).unwrap().lists().len(), 2, "the first has run out");
    // An older program that was open all the time finds the new one.
    assert_eq!(
        authority.issue_with_key(&agent(), day).unwrap().certificate().issuer,
        next.certificate().issuer
    );
}

#[test]
fn a_ceremony_s_results_are_checked() {
    let (place, mut authority) = Place::new();
    let (other, _) = Place::new();
    let request = authority.request_issuing().unwrap();
    let permitted = Permitted::sandbox(&network());
    let sign = |place: &Place, request: &Request| {
        place.root().sign_issuing(request, &permitted, ISSUING_LIFETIME, now()).unwrap()
    };
    let foreign = sign(&other, &request);
    assert_eq!(refusal(authority.install_issuing(&foreign, now())), Refusal::OtherRoot);
    let others_key = sign(&place, &Key::generate().unwrap().request().unwrap());
    assert_eq!(refusal(authority.install_issuing(&others_key, now())), Refusal::OtherIssuing);
    let first = authority.issuing().next().unwrap().clone();
    assert_eq!(refusal(authority.install_issuing(&first, now())), Refusal::OtherIssuing);
    let good = sign(&place, &request);
    let early = now().minus(Lifetime::from_days(1));
    assert_eq!(refusal(authority.install_issuing(&good, early)), Refusal::OtherIssuing);
    authority.install_issuing(&good, now()).unwrap();
    assert_eq!(refusal(authority.install_issuing(&good, now())), Refusal::OtherIssuing);

    let mut root = place.root();
    let old = root.list().clone();
    let new = root.sign_list(after(1)).unwrap().clone();
    authority.install_root_list(&new, after(1)).unwrap();
    authority.install_root_list(&new, after(1)).unwrap();
    let refused = authority.install_root_list(&old, after(1));
    assert_eq!(refusal(refused), Refusal::OlderList { number: 1, known: 2 });
    let foreign = other.root().sign_list(after(1)).unwrap().clone();
    assert_eq!(refusal(authority.install_root_list(&foreign, after(1))), Refusal::OtherRoot);
    let newer = root.sign_list(after(2)).unwrap().clone();
    let refused = authority.install_root_list(&newer, after(400));
    assert!(matches!(refusal(refused), Refusal::ListNotInForce { .. }));
}

#[test]
fn nothing_is_issued_under_a_revoked_issuing_certificate() {
    let (place, mut authority) = Place::new();
    let mut root = place.root();
    let revoked = root.revoke_issuing(1, Reason::KeyCompromise, now()).unwrap();
    assert_eq!(revoked.holder, Holder::Issuing(1));
    assert_eq!(refusal(root.revoke_issuing(7, Reason::Unspecified, now())), Refusal::NotIssued);
    let number = root.list().number;
    root.revoke_issuing(1, Reason::Unspecified, after(1)).unwrap();
    assert_eq!(root.list().number, number + 1, "asked again, only the list is new");
    authority.install_root_list(root.list(), after(1)).unwrap();
    assert_eq!(refusal(authority.issue_with_key(&agent(), after(1))), Refusal::NoIssuing);
    let key = Key::load(&place.issuing().join("key.pem")).unwrap();
    let again =
        root.sign_issuing(&key.request().unwrap(), &Permitted::sandbox(&network()), ISSUING_LIFETIME, now());
    assert_eq!(refusal(again), Refusal::CompromisedKey);
}

#[test]
fn credentials_are_saved_private_and_shown_to_nobody() {
    let (place, mut authority) = Place::new();
    let agent = authority.issue_with_key(&agent(), now()).unwrap();
    let folder = place.folder.path().join("agent");
    Credential::check_free(&folder).unwrap();
    agent.save(&folder).unwrap();
    assert_eq!((mode(&folder), mode(&folder.join("key.pem"))), (0o700, 0o600));
    let key = folder.join("key.pem");
    assert_eq!(refusal(Credential::check_free(&folder)), Refusal::Exists { path: key.clone() });
    assert_eq!(refusal(agent.save(&folder)), Refusal::Exists { path: key });
    let chain = Certificate::read_chain(&fs::read(folder.join("certificate.pem")).unwrap()).unwrap();
    assert_eq!(chain.iter().map(|c| c.der().clone()).collect::<Vec<_>>(), agent.chain());
    let open = place.folder.path().join("open");
    fs::create_dir(&open).unwrap();
    set_mode(&open, 0o755);
    assert!(matches!(refusal(agent.save(&open)), Refusal::TooOpen { .. }));
    assert!(matches!(refusal(Credential::check_free(&open)), Refusal::TooOpen { .. }));

    let secret: Vec<u8> = agent.key().secret_der().to_vec();
    let shown = format!("{agent:?} {authority:?} {:?} {:?}", place.root(), Key::generate().unwrap());
    for window in [&secret[36..44], &secret[44..52]] {
        assert!(!shown.contains(&format!("{window:?}")[1..20]), "{shown}");
    }
    assert!(shown.starts_with("Credential { serial: ") && shown.ends_with("Key(secret)"), "{shown}");
    assert!(!shown.contains("PRIVATE"));
}

#[test]
fn a_credential_replaces_another_whole_wherever_it_is_interrupted() {
    let (place, mut authority) = Place::new();
    let old = authority.issue_with_key(&agent(), now()).unwrap();
    let new = authority.renew_with_key(&old.certificate().serial, after(1)).unwrap();
    let folder = place.folder.path().join("agent");
    let fits = |credential: &Credential| {
        let key = Key::load(&folder.join("key.pem")).unwrap();
        let chain = Certificate::read_chain(&fs::read(folder.join("certificate.pem")).unwrap()).unwrap();
        key.to_pki() == credential.key() && &chain[0] == credential.certificate()
    };
    old.save(&folder).unwrap();
    Credential::settle(&folder).unwrap();
    assert!(fits(&old));
    new.replace(&folder).unwrap();
    assert!(fits(&new));
    assert_eq!(files(&folder).len(), 2);
    assert_eq!(mode(&folder.join("key.pem")), 0o600);

    // Before it is decided: half of the new one is written.
    let half = folder.join("renewed.new");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("key.pem"), "half").unwrap();
    Credential::settle(&folder).unwrap();
    assert!(fits(&new));
    old.replace(&folder).unwrap();
    assert!(fits(&old) && !half.exists());

    // After: nothing, the key, or both are in place.
    for done in [&[][..], &["key.pem"], &["key.pem", "certificate.pem"]] {
        let waiting = folder.join("renewed");
        new.save(&waiting).unwrap();
        for name in done {
            fs::copy(waiting.join(name), folder.join(name)).unwrap();
        }
        Credential::settle(&folder).unwrap();
        assert!(fits(&new) && !waiting.exists());
        old.replace(&folder).unwrap();
    }
    // One that waits is not lost to the next.
    new.save(&folder.join("renewed")).unwrap();
    old.replace(&folder).unwrap();
    assert!(fits(&old));
}

#[test]
fn trust_is_written_only_when_it_is_other() {
    let (place, mut authority) = Place::new();
    let folder = place.folder.path().join("trust");
    fs::create_dir(&folder).unwrap();
    let mut save = |at| authority.trust(at).unwrap().save(&folder).unwrap();
    assert!(save(now()));
    assert!(!save(now()));
    fs::remove_file(folder.join("root.pem")).unwrap();
    assert!(save(now()));
    // A ceremony's list, which no timer of the authority's signs.
    let mut root = place.root();
    let list = root.revoke_issuing(1, Reason::KeyCompromise, now()).map(|_| root.list().clone()).unwrap();
    place.open().install_root_list(&list, now()).unwrap();
    assert!(save(now()));
    let lists = RevocationList::read_all(&fs::read(folder.join("crls.pem")).unwrap()).unwrap();
    assert_eq!(lists[0], list);
    assert!(!save(now()));
}

#[test]
fn what_was_read_is_what_was_written_whatever_the_names() {
    let (_place, mut authority) = Place::new();
    for text in ["a.b.referral.example", "127.255.255.254", "::1"] {
        let names = GatewayNames::parse(&[text]).unwrap();
        let made = authority.issue_gateway_with_key(&names, now()).unwrap();
        assert_eq!(made.certificate().gateway_names, [text.parse::<GatewayName>().unwrap()]);
        let pem = made.certificate().to_pem();
        assert_eq!(&Certificate::read_chain(pem.as_bytes()).unwrap()[0], made.certificate());
    }
}
