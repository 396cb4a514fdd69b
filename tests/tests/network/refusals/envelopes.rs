//! Envelopes that are refused, alone and on a stream: the code, the field, both languages, the record,
//! and everything else as it was.

use std::collections::BTreeMap;

use bytes::Bytes;
use gateway::service::stubs::{
    directory_client::DirectoryClient, evidence_client::EvidenceClient, parts_client::PartsClient,
    push_client::PushClient,
};
use prost::Message as _;
use proto::{
    decide::push::{ID_TIME_MS_MAX, LIFETIME_MS_MAX},
    digest::Digest,
    directory::authority::CLOCK_SKEW_MS_MAX,
    dsse::{self, PayloadType},
    evidence::Event,
    header::{Header, INLINE_BYTES_MAX},
    ids::{
        Addressing, Code as Name, EnvelopeId, Jurisdiction, Kind, PartClass, ReasonClass, ReferralKey,
        Release, Storage, TimeMs, Urgency,
    },
    key::KeyId,
    lifecycle::Act,
    receipt::Receipt,
    refusal::{Class, Refusal},
    state::DENIALS_RECORDED,
    wire::{self, directory_change::Change},
};
use tonic::{Code, transport::Channel};
use trials::{
    network::{ActOf, Agency, Network, agency},
    random::Random,
    sandbox::Sandbox,
    speak::{
        PATIENCE, Pushes, check_refusal, digest_of, envelope, envelope_of, failure, is_ready, now,
        receipt_of, refusal_in, refusal_of, until, waiting_ids,
    },
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The agencies of this trial, by their places.
const AGENCIES: [&str; 14] = [
    "aa.sink",
    "ba.one",
    "bb.two",
    "bc.three",
    "bd.four",
    "be.five",
    "bf.six",
    "bg.seven",
    "ca.recipient",
    "cb.silent",
    "cc.suspended",
    "cd.busy",
    "ce.other",
    "cf.last",
];
const SINK: usize = 0;
const SENDER: usize = 1;
const RECIPIENT: usize = 8;
const SUSPENDED: usize = 10;
const BUSY: usize = 11;
const OTHER: usize = 12;

/// A running network, and what is known of it.
struct Trial {
    sandbox: Sandbox,
    network: Network,
    random: Random,
    channels: BTreeMap<usize, Channel>,
    streams: BTreeMap<usize, Pushes>,
    /// How often each sender was refused with each code.
    denials: BTreeMap<(usize, Refusal), u32>,
    directory_size: u64,
    refused: usize,
}

/// An envelope, and the refusal that must answer it.
struct Bad {
    name: &'static str,
    from: usize,
    envelope: wire::Envelope,
    refusal: Refusal,
    field: &'static str,
    legal_acts: Vec<Act>,
}

impl Trial {
    async fn start(folder: &std::path::Path) -> Self {
        let mut sandbox = Sandbox::make(folder, Network::of(&AGENCIES));
        sandbox.start();
        let network = sandbox.network.clone();
        let random = Random::new(20_260);
        let mut trial = Self {
            sandbox,
            network,
            random,
            channels: BTreeMap::new(),
            streams: BTreeMap::new(),
            denials: BTreeMap::new(),
            directory_size: 0,
            refused: 0,
        };
        for (place, agency) in AGENCIES.iter().enumerate() {
            let channel = trial.sandbox.connect(agency).await.unwrap();
            trial.channels.insert(place, channel);
        }
        trial
    }

    fn agency(&self, place: usize) -> Agency {
        self.network.at(place).clone()
    }

    fn opening(&mut self, from: usize, to: usize) -> (Header, Vec<Bytes>) {
        let (from, to) = (self.agency(from).id, self.agency(to).id);
        let (mut header, parts) = self.network.opening(&from, &to, now(), &mut self.random);
        header.urgency = Urgency::Normal;
        (header, parts)
    }

    fn good(&mut self, from: usize, to: usize) -> wire::Envelope {
        let (header, parts) = self.opening(from, to);
        envelope(&self.agency(from), &header, &parts)
    }

    /// A header that one change makes bad, and the envelope of it.
    fn edited(&mut self, from: usize, edit: impl FnOnce(&mut Header)) -> wire::Envelope {
        let (mut header, mut parts) = self.opening(from, RECIPIENT);
        edit(&mut header);
        parts.truncate(header.inline_parts().count());
        envelope(&self.agency(from), &header, &parts)
    }

    async fn stream(&mut self, place: usize) -> &mut Pushes {
        if !self.streams.contains_key(&place) {
            let stream = Pushes::open(&self.channels[&place]).await.unwrap();
            self.streams.insert(place, stream);
        }
        self.streams.get_mut(&place).unwrap()
    }

    /// Pushes it alone and on a stream, and checks everything.
    async fn refused(&mut self, bad: Bad) {
        let recipient = self.channels[&RECIPIENT].clone();
        let busy = self.channels[&BUSY].clone();
        let before = (waiting_ids(&recipient).await, waiting_ids(&busy).await);
        let mut push = PushClient::new(self.channels[&bad.from].clone());
        let status = failure(push.push_one(bad.envelope.clone()).await);
        let alone = refusal_in(&status);
        assert_eq!(status.code(), code_of(bad.refusal), "{}", bad.name);
        self.check(&bad, alone).await;

        let good = self.good(bad.from, SINK);
        let is_suspended = bad.from == SUSPENDED;
        let stream = self.stream(bad.from).await;
        let in_band = refusal_of(stream.push(bad.envelope.clone()).await);
        check_refusal(&in_band);
        if !is_suspended {
            receipt_of(stream.push(good).await);
        }
        self.check(&bad, in_band).await;
        assert_eq!((waiting_ids(&recipient).await, waiting_ids(&busy).await), before, "{}", bad.name);
        self.refused += 1;
    }

    async fn check(&mut self, bad: &Bad, refusal: wire::RefusalAnswer) {
        let name = bad.name;
        assert_eq!(
            (refusal.code.as_str(), refusal.field.as_str()),
            (bad.refusal.name(), bad.field),
            "{name}"
        );
        let legal: Vec<_> = bad.legal_acts.iter().map(|act| act.number()).collect();
        assert_eq!(refusal.legal_acts, legal, "{name}");
        let count = self.denials.entry((bad.from, bad.refusal)).or_default();
        *count += 1;
        assert_eq!(refusal.receipt.is_some(), *count <= DENIALS_RECORDED, "{name}: the {count}th");
        let Some(receipt) = refusal.receipt else {
            return;
        };
        let receipt = Receipt::parse(receipt).unwrap();
        receipt.verify(&self.network.policy()).unwrap();
        let (what, place) = (&receipt.record().what, &receipt.record().place);
        assert_eq!(what.event, Event::SubmissionRejection, "{name}");
        assert_eq!(what.sender.as_ref(), Some(&self.network.at(bad.from).id), "{name}: the caller");
        let wire = wire::EvidenceRecord::decode(receipt.record().bytes()).unwrap();
        assert_eq!((wire.refusal, wire.refused_field.as_str()), (bad.refusal.number(), bad.field), "{name}");
        if let Some(signed) = &bad.envelope.signed
            && !signed.payload.is_empty()
        {
            let digests = [digest_of(&bad.envelope), Digest::of(&signed.payload)];
            let named = what.envelope.or(what.object);
            assert!(digests.iter().any(|digest| Some(*digest) == named), "{name}: {named:?}");
        }
        assert_eq!(place.directory_size, self.directory_size, "{name}: the directory");
        let mut evidence = EvidenceClient::new(self.channels[&bad.from].clone());
        let request = wire::GetReceiptRequest { index: place.index };
        let same = evidence.get_receipt(request).await.unwrap().into_inner();
        assert_eq!(Receipt::parse(same).unwrap().to_file(), receipt.to_file(), "{name}");
    }

    /// Changes the directory, as an administrator.
    async fn change(&mut self, object: wire::SignedObject) {
        let mut directory = DirectoryClient::new(self.sandbox.connect("admin-1").await.unwrap());
        let answer = directory.change(object).await.unwrap().into_inner().answer.unwrap();
        match answer {
            wire::change_answer::Answer::Receipt(receipt) => {
                let receipt = Receipt::parse(receipt).unwrap();
                self.directory_size = receipt.record().place.directory_size;
            }
            wire::change_answer::Answer::Refusal(refusal) => panic!("{} {}", refusal.code, refusal.field),
        }
    }

    /// An agreement between the first sender and the recipient, in force when both have signed.
    async fn agreement(&mut self, edit: impl FnOnce(&mut wire::Agreement)) -> Digest {
        self.agreement_signed_by(edit, &[SENDER, RECIPIENT]).await
    }

    async fn agreement_signed_by(
        &mut self,
        edit: impl FnOnce(&mut wire::Agreement),
        signers: &[usize],
    ) -> Digest {
        let mut agreement = narrow(&self.network, &mut self.random);
        edit(&mut agreement);
        let keys: Vec<_> = signers.iter().map(|place| self.agency(*place).key).collect();
        let keys: Vec<_> = keys.iter().collect();
        let object = dsse::sign(PayloadType::Agreement, agreement.encode_to_vec(), &keys);
        let digest = Digest::of(&dsse::pre_authentication_encoding(&object.payload_type, &object.payload));
        self.change(object).await;
        digest
    }

    async fn suspend(&mut self, subject: wire::subject::Subject) {
        let subject = Some(wire::Subject { subject: Some(subject) });
        let suspend = wire::Suspend { subject, reason: wire::SuspensionReason::Security.into() };
        let key = self.network.administrators[0].clone();
        let object = self.network.change(Change::Suspend(suspend), now(), &[&key]);
        self.change(object).await;
    }
}

/// One direction, one category, one service, one urgency, one country, small attachments.
fn narrow(network: &Network, random: &mut Random) -> wire::Agreement {
    let (from, to) = (network.at(SENDER).id.to_string(), network.at(RECIPIENT).id.to_string());
    let clause = wire::Clause {
        clause_id: "only".to_owned(),
        from: from.clone(),
        to: to.clone(),
        kinds: vec![wire::Kind::Referral.into()],
        categories: vec!["trafficking".to_owned()],
        services: vec!["shelter".to_owned()],
        urgencies: vec![wire::Urgency::Normal.into()],
        jurisdictions: vec!["AE".to_owned()],
        disclosure: wire::Disclosure::OnAcceptance.into(),
        limits: Some(wire::Limits { attachment_bytes_max: 10, ..wire::Limits::default() }),
        ..wire::Clause::default()
    };
    let party = |agency: &str| wire::Party {
        agency: agency.to_owned(),
        signing_office_en: "Director".to_owned(),
        signing_office_ar: "المدير".to_owned(),
    };
    wire::Agreement {
        version: 1,
        agreement_id: EnvelopeId::new(now(), random.bytes()).as_bytes().to_vec(),
        revision: 1,
        title_en: "A narrow example".to_owned(),
        title_ar: "مثال".to_owned(),
        parties: vec![party(&from), party(&to)],
        clauses: vec![clause],
        valid_from_ms: now().0 - DAY_MS,
        valid_until_ms: now().0 + 30 * DAY_MS,
        ..wire::Agreement::default()
    }
}

const fn code_of(refusal: Refusal) -> Code {
    match refusal.class() {
        Class::Invalid => Code::InvalidArgument,
        Class::Denied => Code::PermissionDenied,
        Class::Precondition => Code::FailedPrecondition,
        Class::NotFound => Code::NotFound,
        Class::Exists => Code::AlreadyExists,
        Class::Exhausted => Code::ResourceExhausted,
    }
}

fn name(text: &str) -> Name {
    Name::parse(text, "name").unwrap()
}

/// Times of a header, and the ids that hold one.
fn date(header: &mut Header, created: u64, expires: u64) {
    header.created_at = TimeMs(created);
    header.expires_at = TimeMs(expires);
    identify(header, created);
}

fn identify(header: &mut Header, at: u64) {
    let random = Digest::of(header.envelope_id.as_bytes()).0;
    header.envelope_id = EnvelopeId::new(TimeMs(at), random[..10].try_into().unwrap());
    header.referral.id = header.envelope_id;
}

type Edit = Box<dyn FnOnce(&mut Header)>;
/// What a change of a good header must be answered with: code and field.
type Row = (&'static str, Refusal, &'static str, Edit);

/// Whom it goes to, when, and what it relies on.
fn of_times_and_names() -> Vec<Row> {
    let at = now().0;
    let skewed = at + CLOCK_SKEW_MS_MAX + 60_000;
    let early = at - ID_TIME_MS_MAX - 60_000;
    let long = at + LIFETIME_MS_MAX + 1;
    let stranger = || agency("zz.nobody");
    let dated = |created, expires| -> Edit { Box::new(move |h| date(h, created, expires)) };
    let unknown = |h: &mut Header| {
        h.referral = ReferralKey { id: EnvelopeId::new(h.created_at, [9; 10]), opened_by: h.to.clone() };
        h.act = Act::See;
        h.parts.clear();
    };
    vec![
        ("nobody of that name", Refusal::NoAgreement, "agreement", Box::new(move |h| h.to = stranger())),
        ("to itself", Refusal::ToSelf, "to", Box::new(|h| h.to = h.from.clone())),
        ("of the future", Refusal::CreatedInFuture, "created_at_ms", dated(skewed, at + DAY_MS)),
        (
            "an id of another time",
            Refusal::IdTimeDiffers,
            "envelope_id",
            Box::new(move |h| identify(h, early)),
        ),
        ("expired", Refusal::Expired, "expires_at_ms", dated(at - 2 * DAY_MS, at - DAY_MS)),
        ("a lifetime too long", Refusal::LifetimeTooLong, "expires_at_ms", dated(at, long)),
        (
            "a directory that is not",
            Refusal::DirectoryAhead,
            "directory_size",
            Box::new(|h| h.directory_size = 1_000_000),
        ),
        ("a referral that is not", Refusal::UnknownReferral, "referral", Box::new(unknown)),
        (
            "a suspended recipient",
            Refusal::RecipientSuspended,
            "to",
            Box::new(|h| h.to = agency(AGENCIES[SUSPENDED])),
        ),
        (
            "a reason where none belongs",
            Refusal::ReasonNotLegal,
            "reason",
            Box::new(|h| h.reason = Some(ReasonClass::Other)),
        ),
    ]
}

/// What its agreement does not allow, or is not.
fn of_agreements(agreements: &Agreements) -> Vec<Row> {
    let Agreements { narrow, not_yet, ended, suspended, superseded, unsigned, .. } = *agreements;
    let under = |digest: Digest| -> Edit { Box::new(move |h| h.agreement = digest) };
    let narrowly = |edit: fn(&mut Header)| -> Edit {
        Box::new(move |h| {
            h.agreement = narrow;
            edit(h);
        })
    };
    let document = narrowly(|h| {
        h.kind = Kind::Document;
        h.parts.truncate(1);
    });
    let category = narrowly(|h| h.category = name("child_abuse"));
    let service = narrowly(|h| h.service = name("legal"));
    let urgency = narrowly(|h| h.urgency = Urgency::Emergency);
    let country = narrowly(|h| h.jurisdiction = Jurisdiction::parse("JO", "jurisdiction").unwrap());
    vec![
        ("no agreement", Refusal::NoAgreement, "agreement", under(Digest::of(b"none"))),
        ("not signed by both", Refusal::AgreementNotSigned, "agreement", under(unsigned)),
        ("not yet", Refusal::AgreementNotYet, "agreement", under(not_yet)),
        ("ended", Refusal::AgreementEnded, "agreement", under(ended)),
        ("superseded", Refusal::AgreementSuperseded, "agreement", under(superseded)),
        ("suspended", Refusal::AgreementSuspended, "agreement", under(suspended)),
        ("another kind", Refusal::KindNotAgreed, "kind", document),
        ("another category", Refusal::CategoryNotAgreed, "category", category),
        ("another service", Refusal::ServiceNotAgreed, "service", service),
        ("another urgency", Refusal::UrgencyNotAgreed, "urgency", urgency),
        ("another country", Refusal::JurisdictionNotAgreed, "jurisdiction", country),
    ]
}

/// What it carries, and how it was addressed.
fn of_parts(agreements: &Agreements) -> Vec<Row> {
    let never = agreements.never;
    let by_need = |h: &mut Header| {
        h.addressing = Addressing::ByNeed;
        h.mechanism = Some(Digest::of(b"none"));
        h.rule = Some(name("rule-1"));
    };
    let unheld = |h: &mut Header| h.parts[0].key_ids = vec![KeyId::of(b"nobody's")];
    let at_once = |h: &mut Header| h.parts[1].release = Release::AtOnce;
    let fallback = |h: &mut Header| h.fallbacks = vec![agency("zz.nobody")];
    let missing = |h: &mut Header| attach(h, Digest::of(b"never"), 5);
    let class = "parts.class";
    vec![
        ("identity never", Refusal::IdentityNotAllowed, class, Box::new(move |h| h.agreement = never)),
        ("no consent", Refusal::IdentityNotAllowed, class, Box::new(|h| h.identity_allowed = false)),
        ("identity at once", Refusal::IdentityTooEarly, "parts.release", Box::new(at_once)),
        ("an attachment not uploaded", Refusal::PartNotUploaded, "parts.sha256", Box::new(missing)),
        ("another's key", Refusal::SealingKeyNotInForce, "parts.key_ids", Box::new(unheld)),
        ("a need that no rule knows", Refusal::MechanismChanged, "mechanism", Box::new(by_need)),
        ("a fallback not agreed", Refusal::FallbackNotAgreed, "fallbacks", Box::new(fallback)),
    ]
}

fn attach(header: &mut Header, sha256: Digest, length_bytes: u64) {
    let mut part = header.parts[0].clone();
    part.part_id = u32::try_from(header.parts.len()).unwrap() + 1;
    part.class = PartClass::Attachment;
    part.storage = Storage::Uploaded;
    part.sha256 = sha256;
    part.length_bytes = length_bytes;
    header.parts.push(part);
}

/// Agreements in every state.
#[derive(Clone, Copy)]
struct Agreements {
    narrow: Digest,
    not_yet: Digest,
    ended: Digest,
    suspended: Digest,
    superseded: Digest,
    unsigned: Digest,
    never: Digest,
}

async fn agreements(trial: &mut Trial) -> Agreements {
    let at = now().0;
    let narrow = trial.agreement(|_| {}).await;
    let not_yet = trial.agreement(|agreement| agreement.valid_from_ms = at + DAY_MS).await;
    // None that has ended can be logged; this one ends soon.
    let end = TimeMs(at + 4_000);
    let ended = trial.agreement(|agreement| agreement.valid_until_ms = end.0).await;
    let suspended = trial.agreement(|_| {}).await;
    trial.suspend(wire::subject::Subject::Agreement(suspended.to_vec())).await;
    let mut id = Vec::new();
    let superseded = trial.agreement(|agreement| id.clone_from(&agreement.agreement_id)).await;
    trial
        .agreement(|agreement| {
            agreement.agreement_id = id;
            agreement.revision = 2;
            agreement.supersedes = superseded.to_vec();
        })
        .await;
    let unsigned = trial.agreement_signed_by(|_| {}, &[SENDER]).await;
    let never = wire::Disclosure::Never.into();
    let never = trial.agreement(|agreement| agreement.clauses[0].disclosure = never).await;
    trial.suspend(wire::subject::Subject::Agency(AGENCIES[SUSPENDED].to_owned())).await;
    until("an agreement ends", || (now() > end).then_some(())).await;
    Agreements { narrow, not_yet, ended, suspended, superseded, unsigned, never }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_rule_that_an_envelope_breaks_is_named_recorded_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut trial = Trial::start(folder.path()).await;
    let agreements = agreements(&mut trial).await;
    let rows = of_times_and_names().into_iter().chain(of_agreements(&agreements));
    for (name, refusal, field, edit) in rows.chain(of_parts(&agreements)) {
        let envelope = trial.edited(SENDER, edit);
        let legal_acts = Vec::new();
        trial.refused(Bad { name, from: SENDER, envelope, refusal, field, legal_acts }).await;
    }
    whose_it_is(&mut trial, &agreements).await;
    in_a_referral(&mut trial).await;
    attachments(&mut trial, &agreements).await;
    bytes_that_are_none(&mut trial).await;
    println!("{} refusals, each alone and on a stream", trial.refused);
    assert!(is_ready(trial.sandbox.metrics));
    assert!(trial.sandbox.terminate());
}

/// Signatures, senders and directions.
async fn whose_it_is(trial: &mut Trial, agreements: &Agreements) {
    let (header, parts) = trial.opening(OTHER, RECIPIENT);
    let mut bad = Bad {
        name: "another's envelope",
        from: SENDER,
        envelope: envelope(&trial.agency(OTHER), &header, &parts),
        refusal: Refusal::CallerNotSender,
        field: "from",
        legal_acts: Vec::new(),
    };
    trial.refused(bad).await;
    let (header, parts) = trial.opening(SENDER, RECIPIENT);
    bad = Bad {
        name: "signed by another agency",
        from: SENDER,
        envelope: envelope(&trial.agency(OTHER), &header, &parts),
        refusal: Refusal::SigningKeyNotInForce,
        field: "signatures.key_id",
        legal_acts: Vec::new(),
    };
    trial.refused(bad).await;
    // The other direction of an agreement that has one.
    let (mut header, parts) = trial.opening(RECIPIENT, SENDER);
    header.agreement = agreements.narrow;
    bad = Bad {
        name: "the other direction",
        from: RECIPIENT,
        envelope: envelope(&trial.agency(RECIPIENT), &header, &parts),
        refusal: Refusal::DirectionNotAgreed,
        field: "to",
        legal_acts: Vec::new(),
    };
    trial.refused(bad).await;
    bad = Bad {
        name: "a suspended sender",
        from: SUSPENDED,
        envelope: trial.good(SUSPENDED, RECIPIENT),
        refusal: Refusal::SenderSuspended,
        field: "from",
        legal_acts: Vec::new(),
    };
    trial.refused(bad).await;
}

/// What comes again, too early, or out of its turn.
async fn in_a_referral(trial: &mut Trial) {
    let (opening, parts) = trial.opening(2, BUSY);
    let opened = envelope(&trial.agency(2), &opening, &parts);
    receipt_of(trial.stream(2).await.push(opened.clone()).await);
    let none = Vec::new;
    let mut taken = opening.clone();
    taken.service = name("legal");
    let same_id = envelope(&trial.agency(2), &taken, &parts);
    let row = |name, from, envelope, refusal: Refusal, legal_acts| {
        let field = if refusal == Refusal::EnvelopeIdTaken { "service" } else { refusal.field() };
        Bad { name, from, envelope, refusal, field, legal_acts }
    };
    trial.refused(row("the same id again", 2, same_id, Refusal::EnvelopeIdTaken, none())).await;
    let (from, to) = (trial.agency(2).id, trial.agency(BUSY).id);
    let of = |previous, from, to, attempt| ActOf { referral: &opening.referral, attempt, from, to, previous };
    let previous = (1, digest_of(&opened));
    let referrers = |trial: &mut Trial, previous, attempt, act| {
        let of = of(Some(previous), &from, &to, attempt);
        let (header, parts) = trial.network.act(&of, act, now(), &mut trial.random);
        (header, parts)
    };
    let busy = trial.agency(BUSY);
    let sender = trial.agency(2);

    let (header, parts) = referrers(trial, (2, previous.1), 1, Act::Recall);
    let gap = envelope(&sender, &header, &parts);
    trial.refused(row("a gap", 2, gap, Refusal::OutOfSequence, none())).await;
    let (header, parts) = referrers(trial, (1, Digest::of(b"another")), 1, Act::Recall);
    let fork = envelope(&sender, &header, &parts);
    trial.refused(row("a fork", 2, fork, Refusal::PreviousDiffers, none())).await;
    let (header, parts) = referrers(trial, previous, 2, Act::Submit);
    let again = envelope(&sender, &header, &parts);
    trial.refused(row("a second attempt too early", 2, again, Refusal::AttemptOpen, none())).await;

    // The recipient may do some things, and completing is not one of them.
    let act = |trial: &mut Trial, act, edit: fn(&mut Header)| {
        let of = of(None, &to, &from, 1);
        let (mut header, parts) = trial.network.act(&of, act, now(), &mut trial.random);
        header.urgency = opening.urgency;
        edit(&mut header);
        envelope(&busy, &header, &parts)
    };
    let status = proto::lifecycle::Status::Submitted;
    let legal: Vec<_> = proto::lifecycle::legal_acts(status, proto::lifecycle::Who::Recipient).collect();
    assert!(!legal.is_empty());
    let complete = act(trial, Act::Complete, |_| {});
    trial.refused(row("an act that is not legal", BUSY, complete, Refusal::ActNotLegal, legal)).await;
    let unreasoned = act(trial, Act::Decline, |header| header.reason = None);
    trial.refused(row("a decline without reason", BUSY, unreasoned, Refusal::ReasonNotLegal, none())).await;
    let other = act(trial, Act::See, |header| header.category = name("child_abuse"));
    trial.refused(row("an act with other codes", BUSY, other, Refusal::CategoryNotAgreed, none())).await;
    let see = act(trial, Act::See, |_| {});
    receipt_of(trial.stream(BUSY).await.push(see).await);
}

/// Attachments that are too large for the agreement.
async fn attachments(trial: &mut Trial, agreements: &Agreements) {
    let bytes = b"twenty bytes of dust";
    upload(&trial.channels[&SENDER], bytes).await;
    let narrow = agreements.narrow;
    let envelope = trial.edited(SENDER, |header| {
        header.agreement = narrow;
        attach(header, Digest::of(bytes), 20);
    });
    let (name, refusal, field) = ("too large an attachment", Refusal::PartTooLarge, "parts.length_bytes");
    trial.refused(Bad { name, from: SENDER, envelope, refusal, field, legal_acts: Vec::new() }).await;
}

async fn upload(channel: &Channel, bytes: &[u8]) {
    use wire::upload_request::Request as Said;
    let start = wire::UploadStart {
        sha256: Digest::of(bytes).to_vec(),
        length_bytes: u64::try_from(bytes.len()).unwrap(),
    };
    let said = [Said::Start(start), Said::Chunk(bytes.to_vec())];
    let said = said.map(|request| wire::UploadRequest { request: Some(request) });
    let mut answers =
        PartsClient::new(channel.clone()).upload(tokio_stream::iter(said)).await.unwrap().into_inner();
    let mut complete = false;
    while let Some(answer) = answers.message().await.unwrap() {
        complete = answer.complete;
    }
    assert!(complete);
}

type Spoil = fn(&mut wire::Envelope);

/// Envelopes that are none: no rule is asked.
async fn bytes_that_are_none(trial: &mut Trial) {
    let unsigned: [(&str, &str, Spoil); 9] = [
        ("a signature of other bytes", "signatures", |e| signed(e).signatures[0].sig[5] ^= 1),
        ("a key that nobody has", "signatures", |e| signed(e).signatures[0].key_id = "0".repeat(32)),
        ("no signature", "signatures", |e| signed(e).signatures.clear()),
        ("two signatures", "signatures", |e| {
            let mut second = signed(e).signatures[0].clone();
            second.key_id = "1".repeat(32);
            signed(e).signatures.push(second);
        }),
        ("nothing signed", "signed", |e| e.signed = None),
        ("a type that is none", "payload_type", |e| signed(e).payload_type.push('x')),
        ("a part missing", "parts", |e| e.parts.truncate(1)),
        ("a part of another number", "parts.ciphertext", |e| e.parts[1].part_id = 7),
        ("a part with other bytes", "parts.sha256", |e| {
            let mut bytes = e.parts[0].ciphertext.to_vec();
            bytes[0] ^= 1;
            e.parts[0].ciphertext = bytes.into();
        }),
    ];
    let mut turn = 0_usize;
    for (name, field, spoil) in unsigned {
        // Each sender has five recorded; two at a time.
        let from = 1 + turn / 2 % 7;
        turn += 1;
        let mut envelope = trial.good(from, RECIPIENT);
        spoil(&mut envelope);
        let refusal = Refusal::MalformedBytes;
        trial.refused(Bad { name, from, envelope, refusal, field, legal_acts: Vec::new() }).await;
    }
    for (name, field, payload) in payloads(trial) {
        let from = 1 + turn / 2 % 7;
        turn += 1;
        let parts = Vec::new();
        let envelope = envelope_of(&trial.agency(from), payload, &parts);
        let refusal = Refusal::MalformedBytes;
        trial.refused(Bad { name, from, envelope, refusal, field, legal_acts: Vec::new() }).await;
    }
}

fn signed(envelope: &mut wire::Envelope) -> &mut wire::SignedObject {
    envelope.signed.as_mut().unwrap()
}

/// Payloads that are signed well, and are no headers.
fn payloads(trial: &mut Trial) -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let (header, _) = trial.opening(SENDER, RECIPIENT);
    let good = header.to_wire();
    let edited = |edit: fn(&mut wire::Header)| {
        let mut header = good.clone();
        edit(&mut header);
        header.encode_to_vec()
    };
    let whole = good.encode_to_vec();
    // Field 1000, a string: what an unknown field could say.
    let unknown = [whole.as_slice(), &[0xc2, 0x3e, 4], b"Noor"].concat();
    let twice = [whole.as_slice(), &[0x08, 0x01]].concat();
    vec![
        ("an unknown field", "Header", unknown),
        ("a field twice", "Header", twice),
        ("a header cut short", "Header", whole[..whole.len() - 3].to_vec()),
        ("no header at all", "Header", b"\xff\xff\xff\xff".to_vec()),
        ("another version", "version", edited(|header| header.version = 2)),
        ("a name as a category", "category", edited(|header| header.category = "Noor".to_owned())),
        (
            "a street as a jurisdiction",
            "jurisdiction",
            edited(|header| header.jurisdiction = "Street 5".to_owned()),
        ),
        (
            "a part too large to travel inside",
            "parts.length_bytes",
            edited(|header| {
                header.parts[0].length_bytes = INLINE_BYTES_MAX + 1;
            }),
        ),
        ("an urgency that is none", "urgency", edited(|header| header.urgency = 99)),
        (
            "a digest of another length",
            "parts.sha256",
            edited(|header| {
                header.parts[0].sha256.pop();
            }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_over_the_limit_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut trial = Trial::start(folder.path()).await;
    let mut large = trial.good(SENDER, RECIPIENT);
    large.parts[0].ciphertext = vec![7; gateway::service::PUSH_BYTES_MAX].into();
    let mut push = PushClient::new(trial.channels[&SENDER].clone());
    let status = failure(push.push_one(large.clone()).await);
    let refusal = refusal_in(&status);
    assert_eq!((status.code(), refusal.field.as_str()), (Code::InvalidArgument, "message"));
    assert_eq!(refusal.code, "MALFORMED");
    Receipt::parse(refusal.receipt.unwrap()).unwrap().verify(&trial.network.policy()).unwrap();
    // A stream cannot go on behind bytes that nobody reads: it ends, and says why. What came before is
    // answered.
    let good = trial.good(SENDER, SINK);
    let mut stream = Pushes::open(&trial.channels[&SENDER]).await.unwrap();
    receipt_of(stream.push(good).await);
    let status = failure(stream.try_push(large).await);
    assert_eq!((status.code(), refusal_in(&status).field.as_str()), (Code::InvalidArgument, "message"));
    let good = trial.good(SENDER, SINK);
    receipt_of(trial.stream(SENDER).await.push(good).await);
    assert!(waiting_ids(&trial.channels[&RECIPIENT]).await.is_empty());
    assert_eq!(waiting_ids(&trial.channels[&SINK]).await.len(), 2);
    // The largest that fits is taken.
    let (mut header, mut parts) = trial.opening(SENDER, RECIPIENT);
    for (part, length) in header.parts.iter_mut().zip([INLINE_BYTES_MAX - 1000, 1000]) {
        let bytes = Bytes::from(vec![3; usize::try_from(length).unwrap()]);
        part.length_bytes = length;
        part.sha256 = Digest::of(&bytes);
        let place = usize::try_from(part.part_id).unwrap() - 1;
        parts[place] = bytes;
    }
    let largest = envelope(&trial.agency(SENDER), &header, &parts);
    receipt_of(tokio::time::timeout(PATIENCE, push.push_one(largest)).await.unwrap().unwrap().into_inner());
}
