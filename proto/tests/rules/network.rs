//! A small network in memory: its keys, its agencies, and a writer that does with the rules what the
//! gateway does, without IO.

use prost::Message as _;
use proto::{
    caller::{Caller, StaffRole},
    command::Command,
    digest::Digest,
    dsse::{self, PayloadType},
    evidence::Event,
    header::{Header, Part},
    ids::{
        Addressing, AgencyId, Code, EnvelopeId, Jurisdiction, Kind, PartClass, Pseudonym, ReasonClass,
        ReferralKey, Release, Storage, TimeMs, Urgency,
    },
    key::{KeyId, SigningKey},
    lifecycle::Act,
    refusal::Refusal,
    wire::{self, directory_change::Change},
};

use crate::writer::{Answer, Writer};

pub(crate) const T0: u64 = 1_790_000_000_000;
pub(crate) const MINUTE: u64 = 60_000;
pub(crate) const HOUR: u64 = 60 * MINUTE;
pub(crate) const DAY: u64 = 24 * HOUR;

pub(crate) const DFWAC: &str = "ae.dfwac";
pub(crate) const AMAN: &str = "ae-rk.aman";
pub(crate) const IOM: &str = "int.iom.kw";
pub(crate) const MOSD: &str = "jo.mosd";
pub(crate) const SILENT: &str = "xx.silent";
pub(crate) const AGENCIES: [&str; 5] = [AMAN, DFWAC, IOM, MOSD, SILENT];
pub(crate) const ADMINISTRATORS: [&str; 3] = ["amal", "badr", "celine"];

/// Whose key it is, by name: an agency's or an administrator's.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Digest::of(name.as_bytes()).as_bytes())
}

/// The gateway never opens anything: any bytes of the right length will do.
pub(crate) fn sealing_key(name: &str) -> Vec<u8> {
    Digest::of(name.as_bytes()).as_bytes().repeat(38)
}

pub(crate) fn agency(text: &str) -> AgencyId {
    AgencyId::parse(text, "agency").unwrap()
}

pub(crate) fn code(text: &str) -> Code {
    Code::parse(text, "code").unwrap()
}

pub(crate) fn by(name: &str) -> Caller {
    let certificate = Digest::of(name.as_bytes());
    if name.contains('.') {
        Caller::Agency { agency: agency(name), node: code("node-1"), certificate }
    } else {
        staff(name, StaffRole::Administrator)
    }
}

pub(crate) fn staff(name: &str, role: StaffRole) -> Caller {
    let pseudonym = Pseudonym::parse(name, "pseudonym").unwrap();
    Caller::Staff { pseudonym, role, certificate: Digest::of(name.as_bytes()) }
}

pub(crate) fn sign(payload_type: PayloadType, payload: Vec<u8>, signers: &[&str]) -> wire::SignedObject {
    let keys: Vec<_> = signers.iter().map(|name| key(name)).collect();
    dsse::sign(payload_type, payload, &keys.iter().collect::<Vec<_>>())
}

/// An object whose signatures nobody will verify.
pub(crate) fn unsigned(payload_type: PayloadType, payload: Vec<u8>, signers: &[&str]) -> wire::SignedObject {
    let signature =
        |name: &&str| wire::Signature { sig: vec![0; 64], key_id: key(name).public().id().to_string() };
    let signatures = signers.iter().map(signature).collect();
    wire::SignedObject { payload, payload_type: payload_type.as_str().into(), signatures }
}

/// A clause that allows everything that these tests do, from one agency to another.
pub(crate) fn clause(id: &str, from: &str, to: &str) -> wire::Clause {
    wire::Clause {
        clause_id: id.into(),
        from: from.into(),
        to: to.into(),
        kinds: Kind::ALL.iter().map(|kind| kind.number()).collect(),
        categories: vec!["violence".into(), "trafficking".into()],
        services: vec!["shelter".into(), "legal".into()],
        urgencies: Urgency::ALL.iter().map(|urgency| urgency.number()).collect(),
        jurisdictions: vec!["AE".into(), "JO".into()],
        disclosure: wire::Disclosure::OnAcceptance.into(),
        ..wire::Clause::default()
    }
}

/// An agreement of two, both directions; the same whoever is named first.
pub(crate) fn agreement(one: &str, two: &str) -> wire::Agreement {
    let mut parties = [one, two];
    parties.sort_unstable();
    let id = EnvelopeId::new(TimeMs(T0), Digest::of(parties.concat().as_bytes()).0[..10].try_into().unwrap());
    wire::Agreement {
        version: 1,
        agreement_id: id.as_bytes().to_vec(),
        revision: 1,
        title_en: "Memorandum".into(),
        title_ar: "مذكرة تفاهم".into(),
        parties: parties.map(party).into(),
        clauses: vec![clause("there", parties[0], parties[1]), clause("back", parties[1], parties[0])],
        valid_from_ms: T0 - DAY,
        valid_until_ms: T0 + 365 * DAY,
        retention_days: 90,
        ..wire::Agreement::default()
    }
}

pub(crate) fn party(name: &str) -> wire::Party {
    wire::Party { agency: name.into(), ..wire::Party::default() }
}

/// What evidence and headers call it.
pub(crate) fn digest_of(agreement: &wire::Agreement) -> Digest {
    object_digest(PayloadType::Agreement, &agreement.encode_to_vec())
}

pub(crate) fn object_digest(payload_type: PayloadType, payload: &[u8]) -> Digest {
    Digest::of(&dsse::pre_authentication_encoding(payload_type.as_str(), payload))
}

pub(crate) fn mechanism(revision: u64) -> wire::Mechanism {
    let rule = wire::Rule {
        rule_id: "shelter-rak".into(),
        categories: vec!["violence".into()],
        services: vec!["shelter".into()],
        jurisdictions: vec!["AE-RK".into()],
        recipients: vec![AMAN.into(), IOM.into()],
        ..wire::Rule::default()
    };
    wire::Mechanism { version: 1, revision, rules: vec![rule] }
}

/// An office in the Emirates, eight to four, Saturday and Sunday off.
pub(crate) fn calendar(name: &str) -> wire::Calendar {
    wire::Calendar {
        name: name.into(),
        time_zone: "Asia/Dubai".into(),
        week_end: vec![6, 7],
        opens_minute: 8 * 60,
        closes_minute: 16 * 60,
        holidays: Vec::new(),
    }
}

pub(crate) fn administrator(name: &str) -> wire::Administrator {
    wire::Administrator { pseudonym: name.into(), public_key: key(name).public().to_bytes().to_vec() }
}

pub(crate) fn admission(name: &str) -> Change {
    Change::AdmitAgency(wire::AdmitAgency {
        agency: name.into(),
        agency_type: "shelter".into(),
        name_en: format!("Agency {name}"),
        name_ar: "جهة".into(),
        jurisdictions: vec!["AE".into()],
        signing_key: key(name).public().to_bytes().to_vec(),
        ..wire::AdmitAgency::default()
    })
}

pub(crate) fn publication(name: &str, purpose: wire::KeyPurpose, public_key: Vec<u8>) -> Change {
    let agency = name.into();
    Change::PublishKey(wire::PublishKey {
        agency,
        purpose: purpose.into(),
        public_key,
        ..wire::PublishKey::default()
    })
}

pub(crate) fn revocation(name: &str, key_id: KeyId) -> Change {
    Change::RevokeKey(wire::RevokeKey {
        agency: name.into(),
        key_id: key_id.to_string(),
        reason: wire::RevocationReason::Lost.into(),
    })
}

pub(crate) fn subject(name: &str) -> wire::Subject {
    wire::Subject { subject: Some(wire::subject::Subject::Agency(name.into())) }
}

pub(crate) fn subject_agreement(digest: Digest) -> wire::Subject {
    wire::Subject { subject: Some(wire::subject::Subject::Agreement(digest.to_vec())) }
}

pub(crate) fn suspension(subject: wire::Subject) -> Change {
    Change::Suspend(wire::Suspend { subject: Some(subject), reason: wire::SuspensionReason::Security.into() })
}

pub(crate) fn resumption(subject: wire::Subject) -> Change {
    Change::Resume(wire::Resume { subject: Some(subject) })
}

pub(crate) fn genesis() -> Change {
    Change::Genesis(wire::Genesis {
        network: "ae.referral".into(),
        evidence_origin: "referral.example/log/2026".into(),
        directory_origin: "referral.example/directory/2026".into(),
        administrators: ADMINISTRATORS.map(administrator).into(),
    })
}

/// A part for the recipient `to`, as its sender describes it.
pub(crate) fn part(class: PartClass, release: Release, to: &str, content: &str) -> Part {
    Part {
        part_id: 1,
        class,
        sha256: Digest::of(content.as_bytes()),
        length_bytes: 1024,
        storage: Storage::Inline,
        release,
        recipient: None,
        key_ids: vec![KeyId::of(&sealing_key(to))],
    }
}

pub(crate) fn summary(to: &str) -> Part {
    part(PartClass::Summary, Release::AtOnce, to, "summary")
}

/// The second part of a submission, parked.
pub(crate) fn identity(to: &str) -> Part {
    Part { part_id: 2, ..part(PartClass::Identity, Release::OnAcceptance, to, "identity") }
}

/// What a row of a table does to a header, to a network, to an agreement.
pub(crate) type OfHeader = fn(&mut Header);
pub(crate) type OfNetwork = fn(&mut Network);
pub(crate) type OfAgreement = fn(&mut wire::Agreement);

/// A network, its writer, and a clock that a test moves.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) writer: Writer,
    pub(crate) now: u64,
    ids: u64,
}

impl Network {
    /// Nothing but an empty state.
    pub(crate) fn empty() -> Self {
        Self { writer: Writer::default(), now: T0, ids: 0 }
    }

    /// Three administrators, five agencies with keys, agreements of `ae.dfwac` with each of the
    /// others, a mechanism.
    pub(crate) fn new() -> Self {
        let mut net = Self::empty();
        net.change(&Caller::Gateway, genesis(), &ADMINISTRATORS).accepted();
        for name in AGENCIES {
            net.change(&by("amal"), admission(name), &["amal", "badr", name]).accepted();
            let sealing = publication(name, wire::KeyPurpose::Sealing, sealing_key(name));
            net.change(&by(name), sealing, &[name]).accepted();
        }
        for name in [AMAN, IOM, MOSD, SILENT] {
            net.agree(&agreement(DFWAC, name));
        }
        let payload = mechanism(1).encode_to_vec();
        net.object(&by("amal"), PayloadType::Mechanism, payload, &["amal", "badr"]).accepted();
        net
    }

    /// Every party signs, all in one.
    pub(crate) fn agree(&mut self, agreement: &wire::Agreement) -> Digest {
        let parties: Vec<_> = agreement.parties.iter().map(|party| party.agency.as_str()).collect();
        let caller = by(parties[0]);
        self.object(&caller, PayloadType::Agreement, agreement.encode_to_vec(), &parties).accepted();
        digest_of(agreement)
    }

    pub(crate) fn id(&mut self) -> EnvelopeId {
        self.ids += 1;
        let mut random = [0; 10];
        random[2..].copy_from_slice(&self.ids.to_be_bytes());
        EnvelopeId::new(TimeMs(self.now), random)
    }

    pub(crate) fn change_of(&mut self, change: Change) -> wire::DirectoryChange {
        let change_id = self.id().as_bytes().to_vec();
        wire::DirectoryChange { version: 1, change_id, created_at_ms: self.now, change: Some(change) }
    }

    pub(crate) fn change(&mut self, caller: &Caller, change: Change, signers: &[&str]) -> Answer {
        let payload = self.change_of(change).encode_to_vec();
        self.object(caller, PayloadType::DirectoryEntry, payload, signers)
    }

    pub(crate) fn object(
        &mut self,
        caller: &Caller,
        kind: PayloadType,
        payload: Vec<u8>,
        signers: &[&str],
    ) -> Answer {
        let command = Command::verify(sign(kind, payload, signers), self.writer.state.directory()).unwrap();
        self.run(caller, command)
    }

    /// One command in a batch of its own.
    pub(crate) fn run(&mut self, caller: &Caller, command: Command) -> Answer {
        self.writer.batch(TimeMs(self.now), vec![(caller.clone(), command)]).pop().unwrap()
    }

    /// Ticks until nothing is due; gives what was done.
    pub(crate) fn tick(&mut self) -> Vec<Answer> {
        let mut done = Vec::new();
        loop {
            let answer = self.run(&Caller::Gateway, Command::Tick(proto::command::Tick::default()));
            if answer.facts.is_empty() {
                return done;
            }
            assert!(done.len() < 1000, "a tick that never ends");
            // What every day brings is no news here: see `heads`.
            if !answer.events().contains(&Event::HeadsCommitted) {
                done.push(answer);
            }
        }
    }

    /// An envelope that opens a referral: a summary at once, the identity parked.
    pub(crate) fn opening(&mut self, from: &str, to: &str) -> Header {
        let id = self.id();
        Header {
            envelope_id: id,
            referral: ReferralKey { id, opened_by: agency(from) },
            attempt: 1,
            sequence: 1,
            previous: None,
            in_reply_to: None,
            kind: Kind::Referral,
            act: Act::Submit,
            reason: None,
            from: agency(from),
            to: agency(to),
            category: code("violence"),
            service: code("shelter"),
            urgency: Urgency::Urgent,
            jurisdiction: Jurisdiction::parse("AE-RK", "jurisdiction").unwrap(),
            identity_allowed: true,
            addressing: Addressing::ByName,
            directory_size: 1,
            agreement: digest_of(&agreement(from, to)),
            mechanism: None,
            rule: None,
            created_at: TimeMs(self.now),
            expires_at: TimeMs(self.now + 7 * DAY),
            parts: vec![summary(to), identity(to)],
            fallbacks: Vec::new(),
        }
    }

    /// An opening with fallbacks, for each of which a summary is sealed in advance and identity parked.
    pub(crate) fn opening_with(&mut self, to: &str, fallbacks: &[&str]) -> Header {
        let mut header = self.opening(DFWAC, to);
        header.expires_at = TimeMs(self.now + 60 * DAY);
        for name in fallbacks {
            header.fallbacks.push(agency(name));
            for (class, release) in
                [(PartClass::Summary, Release::OnTurn), (PartClass::Identity, Release::OnAcceptance)]
            {
                let part_id = u32::try_from(header.parts.len()).unwrap() + 1;
                let ahead = part(class, release, name, &format!("{class:?} for {name}"));
                header.parts.push(Part { part_id, recipient: Some(agency(name)), ..ahead });
            }
        }
        header
    }

    /// The events of all ticks that find something to do now.
    pub(crate) fn ticked(&mut self) -> Vec<Event> {
        self.tick().iter().flat_map(Answer::events).collect()
    }

    /// The next envelope of `from` in a referral, in its present attempt, with its detail.
    pub(crate) fn act(&mut self, opening: &Header, from: &str, act: Act) -> Header {
        let id = self.id();
        let referral = self.writer.referral(&opening.referral);
        let chain = referral.and_then(|referral| referral.chains.get(&agency(from)));
        let (sequence, previous) = chain.map_or((1, None), |chain| (chain.sequence + 1, Some(chain.last)));
        let attempt = referral.map_or(1, |referral| referral.attempt());
        let opener_sends = opening.from.as_str() == from;
        let asked = referral.and_then(|referral| referral.recipient()).unwrap_or(&opening.to).clone();
        let to = if opener_sends { asked } else { opening.from.clone() };
        let reason = if matches!(act, Act::Decline | Act::Fail) {
            Some(ReasonClass::NoCapacity)
        } else {
            (act == Act::Complete).then_some(ReasonClass::Served)
        };
        let parts = vec![part(PartClass::Detail, Release::AtOnce, to.as_str(), &format!("detail {id}"))];
        Header {
            envelope_id: id,
            attempt,
            sequence,
            previous,
            act,
            reason,
            agreement: referral.map_or(opening.agreement, |referral| referral.agreement),
            from: agency(from),
            to,
            created_at: TimeMs(self.now),
            expires_at: TimeMs(self.now + 7 * DAY),
            parts,
            fallbacks: Vec::new(),
            ..opening.clone()
        }
    }

    /// A new attempt, at another agency.
    pub(crate) fn attempt(&mut self, opening: &Header, to: &str) -> Header {
        let from = opening.from.as_str().to_owned();
        let next = self.act(opening, &from, Act::Submit);
        Header {
            attempt: next.attempt + 1,
            to: agency(to),
            agreement: digest_of(&agreement(&from, to)),
            parts: vec![summary(to), identity(to)],
            ..next
        }
    }

    pub(crate) fn command(&self, header: &Header) -> Command {
        self.command_by(header, header.from.as_str())
    }

    pub(crate) fn command_by(&self, header: &Header, signer: &str) -> Command {
        let object = sign(PayloadType::Envelope, header.to_wire().encode_to_vec(), &[signer]);
        Command::verify(object, self.writer.state.directory()).unwrap()
    }

    /// As [`Self::command`], without the work of signing: for the many steps of random runs.
    pub(crate) fn unsigned(&self, header: &Header) -> Command {
        let payload = header.to_wire().encode_to_vec();
        Command::from_our_own_journal(unsigned(PayloadType::Envelope, payload, &[header.from.as_str()]))
            .unwrap()
    }

    /// Pushes an envelope as its sender.
    pub(crate) fn push(&mut self, header: &Header) -> Answer {
        let command = self.command(header);
        self.run(&by(header.from.as_str()), command)
    }

    /// Makes and pushes the next act; it must be taken.
    pub(crate) fn does(&mut self, opening: &Header, from: &str, act: Act) -> Header {
        let header = self.act(opening, from, act);
        self.push(&header).accepted();
        header
    }

    /// Opens a referral; it must be taken.
    pub(crate) fn opens(&mut self, from: &str, to: &str) -> Header {
        let header = self.opening(from, to);
        self.push(&header).accepted();
        header
    }

    pub(crate) fn receipt(&self, recipient: &str, handovers: Vec<wire::Handover>) -> Command {
        let receipt = wire::HandoverReceipt { version: 1, recipient: recipient.into(), handovers };
        let object = sign(PayloadType::Receipt, receipt.encode_to_vec(), &[recipient]);
        Command::verify(object, self.writer.state.directory()).unwrap()
    }

    pub(crate) fn hands_over(&mut self, recipient: &str, handovers: Vec<wire::Handover>) -> Answer {
        let command = self.receipt(recipient, handovers);
        self.run(&by(recipient), command)
    }

    /// The recipient fetches everything that waits for it; gives what it got: envelope and parts.
    pub(crate) fn fetches_all(&mut self, recipient: &str) -> Vec<(Digest, Release)> {
        let mut got = Vec::new();
        while let Some(mail) = self.writer.heads(recipient).first().cloned() {
            let parts = self.writer.parts(recipient, &mail);
            self.hands_over(recipient, vec![received(mail.envelope, &parts)]).accepted();
            got.push((mail.envelope, mail.release));
        }
        got
    }
}

pub(crate) fn received(envelope: Digest, parts: &[Digest]) -> wire::Handover {
    handover(envelope, wire::HandoverResult::Received, parts)
}

pub(crate) fn handover(envelope: Digest, result: wire::HandoverResult, parts: &[Digest]) -> wire::Handover {
    let part_digests = parts.iter().map(|part| part.to_vec()).collect();
    wire::Handover { envelope: envelope.to_vec(), result: result.into(), part_digests }
}

pub(crate) fn envelope_digest(header: &Header) -> Digest {
    object_digest(PayloadType::Envelope, &header.to_wire().encode_to_vec())
}

/// What a refusal must look like; `recorded` says whether it left evidence.
pub(crate) fn assert_refused(answer: &Answer, refusal: Refusal, field: &str, recorded: bool, case: &str) {
    assert_eq!(answer.refused(), Some((refusal, field)), "{case}");
    assert_eq!(!answer.facts.is_empty(), recorded, "{case}: evidence");
}
