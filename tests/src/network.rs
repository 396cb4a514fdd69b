//! A whole small network in memory: keys, administrators, agencies, an agreement, and the objects
//! that they sign. Names of agencies are examples; nobody endorses anything here.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot be set up has failed"
)]

use std::collections::BTreeMap;

use bytes::Bytes;
use gateway::writer::{LogKey, LogKeys, Request};
use prost::Message as _;
use proto::{
    caller::{Caller, StaffRole},
    command::{Command, check_parts},
    digest::Digest,
    directory::Directory,
    dsse::{self, PayloadType, Signed},
    header::{Header, Part},
    ids::{
        Addressing, AgencyId, Code, EnvelopeId, Jurisdiction, Kind, PartClass, ReasonClass, ReferralKey,
        Release, Storage, TimeMs, Urgency,
    },
    key::{KeyId, SigningKey},
    lifecycle::Act,
    log::checkpoint::Origin,
    log::policy::Policy,
    wire,
};

use crate::random::Random;

/// The network's id.
pub const NETWORK: &str = "example.network";
/// The agencies of the network.
pub const AGENCIES: [&str; 5] = ["ae-rk.aman", "ae.dfwac", "int.iom.kw", "jo.mosd", "xx.silent"];
/// The moment at which a network begins: 2026-01-01.
pub const BEGINNING: TimeMs = TimeMs(1_767_225_600_000);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An agency and its keys.
#[derive(Debug, Clone)]
pub struct Agency {
    /// Its id.
    pub id: AgencyId,
    /// Signs.
    pub key: SigningKey,
    /// The id of its sealing key; the key itself is nobody's.
    pub sealing: KeyId,
}

/// A network: who signs what. The gateway is not part of it.
#[derive(Debug, Clone)]
pub struct Network {
    /// Its id.
    pub name: &'static str,
    /// Its agencies, in the order of their ids.
    pub agencies: Vec<Agency>,
    /// Its administrators' keys.
    pub administrators: Vec<SigningKey>,
    /// Digest of the agreement that binds all of them.
    pub agreement: Digest,
    /// The log keys.
    pub keys: LogKeys,
    /// Agreements between two agencies, by their places.
    between: BTreeMap<(usize, usize), Digest>,
    mechanism: Digest,
    changes: u64,
}

fn seed(name: &str) -> [u8; 32] {
    Digest::of_all(&[b"a test's key, known to everybody: ", name.as_bytes()]).0
}

/// The evidence log's signing key, for bugs that sign anew.
#[must_use]
pub fn log_key() -> SigningKey {
    SigningKey::from_seed(&seed("evidence log"))
}

/// An agency's id.
#[must_use]
pub fn agency(text: &str) -> AgencyId {
    AgencyId::parse(text, "agency").unwrap()
}

fn code(text: &str) -> Code {
    Code::parse(text, "code").unwrap()
}

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

impl Network {
    /// The network of these trials; always the same.
    #[must_use]
    pub fn new() -> Self {
        Self::of(&AGENCIES)
    }

    /// A network of these agencies, whose ids are in order.
    #[must_use]
    pub fn of(agencies: &[&str]) -> Self {
        let key = |name: &str| SigningKey::from_seed(&seed(name));
        let agencies = agencies.iter().map(|id| Agency {
            id: agency(id),
            key: key(id),
            sealing: KeyId::of(&sealing_key(id)),
        });
        let keys = LogKeys {
            evidence: LogKey::new(origin("referral.example/log/2026"), key("evidence log")),
            directory: LogKey::new(origin("referral.example/directory/2026"), key("directory log")),
        };
        let mut network = Self {
            name: NETWORK,
            agencies: agencies.collect(),
            administrators: vec![key("admin-one"), key("admin-two"), key("admin-three")],
            agreement: Digest::default(),
            keys,
            between: BTreeMap::new(),
            mechanism: Digest::default(),
            changes: 0,
        };
        network.agreement = Digest::of(&dsse::pre_authentication_encoding(
            PayloadType::Agreement.as_str(),
            &network.agreement_payload(),
        ));
        network
    }

    /// The same under a name whose gateway's clock may be moved.
    #[must_use]
    pub fn of_tests() -> Self {
        Self { name: "network.test", ..Self::new() }
    }

    /// The seeds of both logs' keys, for the files of a gateway.
    #[must_use]
    pub fn log_seeds() -> [[u8; 32]; 2] {
        [seed("evidence log"), seed("directory log")]
    }

    /// The seed of an agency's signing key.
    #[must_use]
    pub fn agency_seed(agency: &AgencyId) -> [u8; 32] {
        seed(agency.as_str())
    }

    /// What an outsider trusts to check a receipt.
    #[must_use]
    pub fn policy(&self) -> Policy {
        Policy::unwitnessed(self.keys.evidence.verifier().clone()).unwrap()
    }

    /// An agency by its place.
    #[must_use]
    pub fn at(&self, place: usize) -> &Agency {
        &self.agencies[place % self.agencies.len()]
    }

    /// An agency's caller.
    #[must_use]
    pub fn caller(agency: &AgencyId) -> Caller {
        Caller::Agency {
            agency: agency.clone(),
            node: code("node-1"),
            certificate: Digest::of(b"certificate"),
        }
    }

    /// An administrator's caller.
    #[must_use]
    pub fn administrator() -> Caller {
        Caller::Staff {
            pseudonym: proto::ids::Pseudonym::parse("admin-1", "pseudonym").unwrap(),
            role: StaffRole::Administrator,
            certificate: Digest::of(b"certificate"),
        }
    }

    /// Everything that makes the network, in order: genesis, agencies, sealing keys, the agreement
    /// signed by all.
    #[must_use]
    pub fn founding(&mut self) -> Vec<Request> {
        let mut requests = vec![self.genesis()];
        for agency in self.agencies.clone() {
            requests.push(self.admission(&agency));
        }
        for agency in self.agencies.clone() {
            requests.push(self.sealing_key(&agency));
        }
        let parties = self.agencies.iter().take(proto::agreement::PARTIES_MAX);
        let signers: Vec<_> = parties.map(|agency| &agency.key).collect();
        for some in signers.chunks(dsse::SIGNATURES_MAX) {
            let object = dsse::sign(PayloadType::Agreement, self.agreement_payload(), some);
            requests.push(self.request(Self::administrator(), object));
        }
        requests
    }

    fn genesis(&mut self) -> Request {
        use wire::directory_change::Change;
        let administrators = (1..).zip(&self.administrators).map(|(number, key)| wire::Administrator {
            pseudonym: format!("admin-{number}"),
            public_key: key.public().to_bytes().to_vec(),
        });
        let genesis = wire::Genesis {
            network: self.name.to_owned(),
            evidence_origin: self.keys.evidence.origin().to_string(),
            directory_origin: self.keys.directory.origin().to_string(),
            administrators: administrators.collect(),
        };
        let keys: Vec<_> = self.administrators.clone();
        let object = self.change(Change::Genesis(genesis), BEGINNING, &keys.iter().collect::<Vec<_>>());
        self.request(Caller::Gateway, object)
    }

    fn admission(&mut self, agency: &Agency) -> Request {
        use wire::directory_change::Change;
        let admit = wire::AdmitAgency {
            agency: agency.id.to_string(),
            agency_type: "Shelter".to_owned(),
            name_en: "An example".to_owned(),
            name_ar: "مثال".to_owned(),
            jurisdictions: vec!["AE".to_owned()],
            signing_key: agency.key.public().to_bytes().to_vec(),
            ..wire::AdmitAgency::default()
        };
        let keys = [self.administrators[0].clone(), self.administrators[1].clone(), agency.key.clone()];
        let object = self.change(Change::AdmitAgency(admit), BEGINNING, &keys.iter().collect::<Vec<_>>());
        self.request(Self::administrator(), object)
    }

    fn sealing_key(&mut self, agency: &Agency) -> Request {
        use wire::directory_change::Change;
        let publish = wire::PublishKey {
            agency: agency.id.to_string(),
            purpose: wire::KeyPurpose::Sealing.into(),
            public_key: sealing_key(agency.id.as_str()),
            ..wire::PublishKey::default()
        };
        let object = self.change(Change::PublishKey(publish), BEGINNING, &[&agency.key]);
        self.request(Self::caller(&agency.id), object)
    }

    /// A change, signed by these keys.
    pub fn change(
        &mut self,
        change: wire::directory_change::Change,
        at: TimeMs,
        keys: &[&SigningKey],
    ) -> wire::SignedObject {
        self.changes += 1;
        let random = Digest::of(&self.changes.to_le_bytes()).0;
        let id = EnvelopeId::new(at, random[..10].try_into().unwrap());
        let change = wire::DirectoryChange {
            version: 1,
            change_id: id.as_bytes().to_vec(),
            created_at_ms: at.0,
            change: Some(change),
        };
        dsse::sign(PayloadType::DirectoryEntry, change.encode_to_vec(), keys)
    }

    /// An administrator's change, signed by two.
    pub fn change_by_two(&mut self, change: wire::directory_change::Change, at: TimeMs) -> Request {
        let keys = [self.administrators[0].clone(), self.administrators[1].clone()];
        let object = self.change(change, at, &keys.iter().collect::<Vec<_>>());
        self.request(Self::administrator(), object)
    }

    /// More agreements, each between two agencies and signed by both, up to so many in all; and a
    /// mechanism of so many rules. What a large network's directory holds.
    #[must_use]
    pub fn bulk(&mut self, agreements: usize, rules: u64) -> Vec<Request> {
        let count = self.agencies.len();
        let pairs = (1..count).flat_map(|gap| (0..count).map(move |one| (one, (one + gap) % count)));
        let mut requests = Vec::with_capacity(agreements + 1);
        let mut between = BTreeMap::new();
        for (number, (one, other)) in pairs.take(agreements).enumerate() {
            let pair = [self.at(one).clone(), self.at(other).clone()];
            let payload = self.agreement_between(&pair, u64::try_from(number).unwrap());
            let keys: Vec<_> = pair.iter().map(|agency| &agency.key).collect();
            let object = dsse::sign(PayloadType::Agreement, payload, &keys);
            let pae = dsse::pre_authentication_encoding(&object.payload_type, &object.payload);
            between.insert((one, other), Digest::of(&pae));
            requests.push(self.request(Self::administrator(), object));
        }
        self.between = between;
        let mechanism = self.mechanism(rules);
        self.mechanism = mechanism.command.signed().map(Signed::digest).unwrap();
        requests.push(mechanism);
        requests
    }

    /// The agreement under which one agency sends to another, by their places.
    #[must_use]
    pub fn agreement_of(&self, from: usize, to: usize) -> Digest {
        self.between.get(&(from, to)).copied().unwrap_or(self.agreement)
    }

    /// The digest of the mechanism of [`Self::bulk`].
    #[must_use]
    pub const fn mechanism_digest(&self) -> Digest {
        self.mechanism
    }

    fn mechanism(&self, rules: u64) -> Request {
        let rule = |number: u64| wire::Rule {
            rule_id: format!("rule-{number}"),
            categories: vec!["trafficking".to_owned()],
            services: vec!["shelter".to_owned()],
            recipients: vec![self.at(usize::try_from(number).unwrap()).id.to_string()],
            valid_until_ms: BEGINNING.plus_ms(3650 * DAY_MS).0,
            ..wire::Rule::default()
        };
        let rules = (0..rules).map(rule).collect();
        let mechanism = wire::Mechanism { version: 1, revision: 1, rules };
        let keys = [&self.administrators[0], &self.administrators[1]];
        let object = dsse::sign(PayloadType::Mechanism, mechanism.encode_to_vec(), &keys);
        self.request(Self::administrator(), object)
    }

    fn agreement_between(&self, pair: &[Agency], number: u64) -> Vec<u8> {
        let small = Self { agencies: pair.to_vec(), ..self.clone_without_agencies() };
        let mut agreement = wire::Agreement::decode(small.agreement_payload().as_slice()).unwrap();
        let random = Digest::of(&number.to_le_bytes()).0;
        agreement.agreement_id =
            EnvelopeId::new(BEGINNING, random[..10].try_into().unwrap()).as_bytes().to_vec();
        agreement.parties.sort_by(|one, other| one.agency.cmp(&other.agency));
        agreement.encode_to_vec()
    }

    fn clone_without_agencies(&self) -> Self {
        Self {
            name: self.name,
            agencies: Vec::new(),
            administrators: Vec::new(),
            agreement: self.agreement,
            keys: self.keys.clone(),
            between: BTreeMap::new(),
            mechanism: Digest::default(),
            changes: 0,
        }
    }

    /// The request of a signed object without parts. Its signatures are ours.
    #[must_use]
    pub fn request(&self, caller: Caller, object: wire::SignedObject) -> Request {
        let command = Command::from_our_own_journal(object).unwrap();
        Request { caller, command, parts: Vec::new() }
    }

    fn agreement_payload(&self) -> Vec<u8> {
        // Of a large network, as many as one agreement may bind.
        let parties = || self.agencies.iter().take(proto::agreement::PARTIES_MAX);
        let directions = parties().flat_map(|from| {
            let others = parties().filter(move |to| to.id != from.id);
            others.map(move |to| (from.id.to_string(), to.id.to_string()))
        });
        // Everybody to everybody in a small network, to the next few in a large one.
        let directions = directions.take(proto::agreement::CLAUSES_MAX);
        let clause = |(number, (from, to)): (usize, (String, String))| wire::Clause {
            clause_id: format!("clause-{number}"),
            from,
            to,
            kinds: vec![wire::Kind::Referral.into(), wire::Kind::Message.into()],
            categories: vec!["trafficking".to_owned(), "domestic_violence".to_owned()],
            services: vec!["shelter".to_owned(), "legal".to_owned()],
            urgencies: Urgency::ALL.iter().map(|urgency| urgency.number()).collect(),
            jurisdictions: vec!["AE".to_owned(), "JO".to_owned(), "KW".to_owned()],
            disclosure: wire::Disclosure::OnAcceptance.into(),
            ..wire::Clause::default()
        };
        let party = |agency: &Agency| wire::Party {
            agency: agency.id.to_string(),
            signing_office_en: "Director".to_owned(),
            signing_office_ar: "المدير".to_owned(),
        };
        wire::Agreement {
            version: 1,
            agreement_id: EnvelopeId::new(BEGINNING, [7; 10]).as_bytes().to_vec(),
            revision: 1,
            title_en: "An example of an agreement".to_owned(),
            title_ar: "مثال على اتفاقية".to_owned(),
            parties: self.agencies.iter().take(proto::agreement::PARTIES_MAX).map(party).collect(),
            clauses: directions.enumerate().map(clause).collect(),
            valid_from_ms: BEGINNING.0,
            valid_until_ms: BEGINNING.plus_ms(3650 * DAY_MS).0,
            ..wire::Agreement::default()
        }
        .encode_to_vec()
    }

    /// The header that opens a referral, with a summary and a parked identity of these bytes.
    #[must_use]
    pub fn opening(
        &self,
        from: &AgencyId,
        to: &AgencyId,
        now: TimeMs,
        random: &mut Random,
    ) -> (Header, Vec<Bytes>) {
        let id = EnvelopeId::new(now, random.bytes());
        let lengths = [512 + random.below(512), 256 + random.below(256)];
        let parts: Vec<Bytes> =
            lengths.iter().map(|length| random.run(usize::try_from(*length).unwrap()).into()).collect();
        let classes = [(PartClass::Summary, Release::AtOnce), (PartClass::Identity, Release::OnAcceptance)];
        let header = Header {
            envelope_id: id,
            referral: ReferralKey { id, opened_by: from.clone() },
            attempt: 1,
            sequence: 1,
            previous: None,
            in_reply_to: None,
            kind: Kind::Referral,
            act: Act::Submit,
            reason: None,
            from: from.clone(),
            to: to.clone(),
            category: code("trafficking"),
            service: code("shelter"),
            urgency: *random.pick(Urgency::ALL),
            jurisdiction: Jurisdiction::parse("AE", "jurisdiction").unwrap(),
            identity_allowed: true,
            addressing: Addressing::ByName,
            directory_size: 1,
            agreement: self.agreement,
            mechanism: None,
            rule: None,
            created_at: now,
            expires_at: now.plus_ms(30 * DAY_MS),
            parts: self.describe(&parts, &classes, to),
            fallbacks: Vec::new(),
        };
        (header, parts)
    }

    /// Names fallbacks in an opening, with a summary sealed in advance and an identity parked for each.
    pub fn name_fallbacks(
        &self,
        (header, parts): (&mut Header, &mut Vec<Bytes>),
        fallbacks: &[AgencyId],
        random: &mut Random,
    ) {
        for fallback in fallbacks {
            let ahead: Vec<Bytes> = [300, 200].map(|length| random.run(length).into()).into();
            let classes =
                [(PartClass::Summary, Release::OnTurn), (PartClass::Identity, Release::OnAcceptance)];
            for described in self.describe(&ahead, &classes, fallback) {
                let part_id = u32::try_from(header.parts.len()).unwrap() + 1;
                header.parts.push(Part { part_id, recipient: Some(fallback.clone()), ..described });
            }
            parts.extend(ahead);
            header.fallbacks.push(fallback.clone());
        }
    }

    fn describe(&self, parts: &[Bytes], classes: &[(PartClass, Release)], to: &AgencyId) -> Vec<Part> {
        let sealing =
            self.agencies.iter().find(|agency| agency.id == *to).map(|agency| agency.sealing).unwrap();
        (1..)
            .zip(parts.iter().zip(classes))
            .map(|(part_id, (bytes, (class, release)))| Part {
                part_id,
                class: *class,
                sha256: Digest::of(bytes),
                length_bytes: u64::try_from(bytes.len()).unwrap(),
                storage: Storage::Inline,
                release: *release,
                recipient: None,
                key_ids: vec![sealing],
            })
            .collect()
    }

    /// The header of an act in a referral, after this sender's last envelope in it.
    #[must_use]
    pub fn act(&self, of: &ActOf<'_>, act: Act, now: TimeMs, random: &mut Random) -> (Header, Vec<Bytes>) {
        let (mut header, _) = self.opening(of.from, of.to, now, random);
        let detail = vec![Bytes::from(random.run(300))];
        header.referral = of.referral.clone();
        header.attempt = of.attempt;
        header.sequence = of.previous.map_or(1, |(sequence, _)| sequence + 1);
        header.previous = of.previous.map(|(_, digest)| digest);
        header.act = act;
        header.reason = if matches!(act, Act::Decline | Act::Fail) {
            Some(ReasonClass::NoCapacity)
        } else {
            (act == Act::Complete).then_some(ReasonClass::Served)
        };
        header.parts = self.describe(&detail, &[(PartClass::Detail, Release::AtOnce)], of.to);
        (header, detail)
    }

    /// Signs an envelope and makes the request of it, as the gateway's service would.
    #[must_use]
    pub fn push(&self, header: &Header, parts: Vec<Bytes>) -> Request {
        let sender = self.agencies.iter().find(|agency| agency.id == header.from).unwrap();
        let object = dsse::sign(PayloadType::Envelope, header.to_wire().encode_to_vec(), &[&sender.key]);
        let inline: Vec<_> = (1..)
            .zip(&parts)
            .map(|(part_id, ciphertext)| wire::InlinePart { part_id, ciphertext: ciphertext.clone() })
            .collect();
        check_parts(header, &inline).unwrap();
        Request { parts, ..self.request(Self::caller(&header.from), object) }
    }

    /// A recipient's receipt over envelopes and the digests of their parts.
    #[must_use]
    pub fn handover(&self, recipient: &Agency, envelopes: &[(Digest, Vec<Digest>)]) -> Request {
        let receipt = wire::HandoverReceipt {
            version: 1,
            recipient: recipient.id.to_string(),
            handovers: envelopes
                .iter()
                .map(|(envelope, parts)| wire::Handover {
                    envelope: envelope.to_vec(),
                    result: wire::HandoverResult::Received.into(),
                    part_digests: parts.iter().map(|digest| digest.to_vec()).collect(),
                })
                .collect(),
        };
        let object = dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&recipient.key]);
        self.request(Self::caller(&recipient.id), object)
    }

    /// A recipient's word that it cannot open an envelope.
    #[must_use]
    pub fn cannot_open(&self, recipient: &Agency, envelope: &Digest) -> Request {
        let handover = wire::Handover {
            envelope: envelope.to_vec(),
            result: wire::HandoverResult::CannotOpen.into(),
            ..wire::Handover::default()
        };
        let recipient_id = recipient.id.to_string();
        let receipt =
            wire::HandoverReceipt { version: 1, recipient: recipient_id, handovers: vec![handover] };
        let object = dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&recipient.key]);
        self.request(Self::caller(&recipient.id), object)
    }

    /// An agency publishes this sealing key.
    pub fn new_sealing_key(&mut self, place: usize, public_key: Vec<u8>, at: TimeMs) -> Request {
        use wire::directory_change::Change;
        let agency = self.at(place).clone();
        let publish = wire::PublishKey {
            agency: agency.id.to_string(),
            purpose: wire::KeyPurpose::Sealing.into(),
            public_key,
            ..wire::PublishKey::default()
        };
        let object = self.change(Change::PublishKey(publish), at, &[&agency.key]);
        self.request(Self::caller(&agency.id), object)
    }

    /// From now on others seal to this key of an agency.
    pub fn seal_to(&mut self, place: usize, key: KeyId) {
        let place = place % self.agencies.len();
        self.agencies[place].sealing = key;
    }

    /// An agency revokes a key of its own.
    pub fn revoke_key(&mut self, place: usize, key: KeyId, at: TimeMs) -> Request {
        use wire::directory_change::Change;
        let agency = self.at(place).clone();
        let revoke = wire::RevokeKey {
            agency: agency.id.to_string(),
            key_id: key.to_string(),
            reason: wire::RevocationReason::Rotated.into(),
        };
        let object = self.change(Change::RevokeKey(revoke), at, &[&agency.key]);
        self.request(Self::caller(&agency.id), object)
    }

    /// Verifies a request's signatures as the gateway's service does, against a directory.
    ///
    /// # Errors
    /// What the service would answer.
    pub fn verify(request: &Request, directory: &Directory) -> Result<(), proto::Malformed> {
        let object = request.command.signed().map(Signed::object).cloned();
        object.map_or(Ok(()), |object| Command::verify(object, directory).map(|_| ()))
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

/// Which referral an act is about, and who acts.
#[derive(Debug, Clone, Copy)]
pub struct ActOf<'a> {
    /// The referral.
    pub referral: &'a ReferralKey,
    /// The attempt.
    pub attempt: u32,
    /// Who acts.
    pub from: &'a AgencyId,
    /// The other side.
    pub to: &'a AgencyId,
    /// Sequence and digest of the sender's last envelope in it.
    pub previous: Option<(u64, Digest)>,
}

/// A sealing key that nobody holds: as long as one, and different for each agency.
fn sealing_key(name: &str) -> Vec<u8> {
    let seed = seed(name);
    let first = u64::from_le_bytes(seed[..8].try_into().unwrap());
    Random::new(first).run(proto::directory::change::SEALING_KEY_BYTES)
}
