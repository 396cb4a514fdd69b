//! A gateway played by a test: two agencies, one agreement, a directory log and an evidence log of
//! its own. It decides nothing: it answers as it is told.

use std::{
    collections::{BTreeMap, VecDeque},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use hyper_util::rt::TokioIo;
use proto::{
    directory::PublicKeyOf,
    dsse::{self, PayloadType},
    evidence::{Event, Happening},
    fact::DirectoryFact,
    ids::{AgencyId, EnvelopeId, TimeMs},
    key::SigningKey,
    log::{
        checkpoint::Origin,
        merkle::{Frontier, consistency_proof, leaf_hash},
        note::{KeyType, SignedNote, VerifierKey},
        shard::ShardNo,
    },
    wire::{directory_change::Change, directory_record::What},
};
use rustls::pki_types::CertificateDer;
use tokio::{io::DuplexStream, sync::mpsc};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tonic::{Request, Response, Streaming, transport::Endpoint};

use super::*;
use crate::{
    folder::Folder,
    gateway::{
        directory_server::{self, DirectoryServer},
        log_server::{self, LogServer},
        push_server::{self, PushServer},
        receive_server::{self, ReceiveServer},
        witness_server::{self, WitnessServer},
    },
    keys::Keys,
    network::Network,
    proof::tests::Log as EvidenceLog,
    spool::Spool,
    store::{self, Store},
};

pub(crate) const DFWAC: &str = "ae.dfwac";
pub(crate) const AMAN: &str = "ae-rk.aman";
const BOTH: [&str; 2] = [AMAN, DFWAC];
/// When its network was made: 2026-09-01.
const BEGAN: u64 = 1_788_220_800_000;

/// How a push is answered. Without a word it is taken.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    Fault,
    Close,
    Refuse(Refusal),
    FalseReceipt,
}

#[derive(Clone)]
pub(crate) struct Played(Arc<Mutex<Script>>);

struct Script {
    place: tempfile::TempDir,
    folders: u32,
    evidence: EvidenceLog,
    directory_key: SigningKey,
    leaves: Vec<Vec<u8>>,
    left_out: Option<usize>,
    /// The last entry, as it was before the log forked.
    before_fork: Option<Vec<u8>>,
    texts: BTreeMap<Digest, wire::SignedObject>,
    replies: VecDeque<Reply>,
    pushed: Vec<Vec<u8>>,
    mail: Vec<wire::Delivered>,
    window: u32,
    receipts: Vec<wire::SignedObject>,
    witnessed: Vec<Digest>,
    cosigned: Vec<u64>,
    /// In which both logs are signed.
    shard: ShardNo,
    stores: BTreeMap<String, PathBuf>,
}

fn agency(text: &str) -> AgencyId {
    AgencyId::parse(text, "agency").unwrap()
}

fn administrator(number: u8) -> SigningKey {
    SigningKey::from_seed(&[200 + number; 32])
}

fn change(number: u8, change: Change, keys: &[&SigningKey]) -> Vec<u8> {
    let wire = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(TimeMs(BEGAN), [number; 10]).as_bytes().to_vec(),
        created_at_ms: BEGAN,
        change: Some(change),
    };
    let object = dsse::sign(PayloadType::DirectoryEntry, wire.encode_to_vec(), keys);
    DirectoryFact::new(TimeMs(BEGAN), TimeMs(BEGAN), What::Change(object)).bytes().to_vec()
}

fn directory_origin() -> Origin {
    Origin::parse("referral.example/directory").unwrap()
}

fn agreement() -> wire::Agreement {
    let clause = |id: &str, from: &str, to: &str| wire::Clause {
        clause_id: id.into(),
        from: from.into(),
        to: to.into(),
        kinds: vec![1, 2, 3, 4, 5],
        categories: vec!["trafficking".into()],
        services: vec!["shelter".into()],
        urgencies: vec![1, 2, 3],
        jurisdictions: vec!["AE".into()],
        disclosure: wire::Disclosure::OnAcceptance.into(),
        ..wire::Clause::default()
    };
    wire::Agreement {
        version: 1,
        agreement_id: EnvelopeId::new(TimeMs(BEGAN), [99; 10]).as_bytes().to_vec(),
        revision: 1,
        title_en: "An example".into(),
        title_ar: "مثال".into(),
        parties: BOTH.map(|agency| wire::Party { agency: agency.into(), ..wire::Party::default() }).into(),
        clauses: vec![clause("there", DFWAC, AMAN), clause("back", AMAN, DFWAC)],
        valid_from_ms: BEGAN,
        valid_until_ms: BEGAN + 3650 * 24 * 60 * 60 * 1000,
        ..wire::Agreement::default()
    }
}

impl Played {
    /// Two agencies with keys in their folders, admitted, and an agreement that both have signed.
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let keys = BOTH.map(|name| Keys::create(&Folder::create(&place.path().join(name)).unwrap()).unwrap());
        let (one, two) = (administrator(1), administrator(2));
        let named = |pseudonym: &str, key: &SigningKey| wire::Administrator {
            pseudonym: pseudonym.into(),
            public_key: key.public().to_bytes().to_vec(),
        };
        let genesis = wire::Genesis {
            network: "referral.example".into(),
            evidence_origin: "referral.example/log".into(),
            directory_origin: directory_origin().to_string(),
            administrators: vec![named("blue-1", &one), named("green-2", &two)],
        };
        let mut leaves = vec![change(1, Change::Genesis(genesis), &[&one, &two])];
        for (number, (name, keys)) in (10..).step_by(10).zip(BOTH.iter().zip(&keys)) {
            let admit = wire::AdmitAgency {
                agency: (*name).into(),
                agency_type: "Shelter".into(),
                name_en: "An example".into(),
                name_ar: "مثال".into(),
                jurisdictions: vec!["AE".into()],
                signing_key: keys.signing.public().to_bytes().to_vec(),
                ..wire::AdmitAgency::default()
            };
            leaves.push(change(number, Change::AdmitAgency(admit), &[&one, &two, &keys.signing]));
            let published = keys.published();
            let others = published.iter().filter(|key| !matches!(key, PublicKeyOf::Signing(_)));
            for (place, key) in (1..).zip(others) {
                let publish = wire::PublishKey {
                    agency: (*name).into(),
                    purpose: key.purpose().number(),
                    public_key: key.to_vec(),
                    ..wire::PublishKey::default()
                };
                leaves.push(change(number + place, Change::PublishKey(publish), &[&keys.signing]));
            }
        }
        let both = keys.each_ref().map(|keys| &keys.signing);
        let text = dsse::sign(PayloadType::Agreement, agreement().encode_to_vec(), &both);
        let digest = Digest::of(&dsse::pre_authentication_encoding(&text.payload_type, &text.payload));
        let entry = wire::AgreementEntry {
            agreement: digest.to_vec(),
            parties: BOTH.map(str::to_owned).into(),
            signed_by: BOTH.map(str::to_owned).into(),
            in_force: true,
            supersedes: Vec::new(),
        };
        let fact = DirectoryFact::new(TimeMs(BEGAN), TimeMs(BEGAN), What::Agreement(entry));
        leaves.push(fact.bytes().to_vec());
        Self(Arc::new(Mutex::new(Script {
            place,
            folders: 0,
            evidence: EvidenceLog::new(1),
            directory_key: SigningKey::from_seed(&[2; 32]),
            leaves,
            left_out: None,
            before_fork: None,
            texts: BTreeMap::from([(digest, text)]),
            replies: VecDeque::new(),
            pushed: Vec::new(),
            mail: Vec::new(),
            window: 0,
            receipts: Vec::new(),
            witnessed: Vec::new(),
            cosigned: Vec::new(),
            shard: ShardNo::FIRST,
            stores: BTreeMap::new(),
        })))
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap()
    }

    fn network(&self) -> Network {
        let script = self.script();
        let origin = directory_origin();
        Network {
            name: agency("referral.example"),
            host: "127.0.0.1".into(),
            port: 1,
            evidence: script.evidence.vkey(),
            directory: VerifierKey::new(
                origin.key_name().clone(),
                KeyType::Ed25519,
                script.directory_key.public(),
            ),
            root: CertificateDer::from(Vec::new()),
        }
    }

    /// An agency's office, with a new store.
    pub(crate) fn office(&self, name: &str) -> Arc<Office> {
        let folder = self.script().place.path().join(name);
        let keys = Keys::load(&Folder::open(&folder).unwrap()).unwrap();
        let store = self.new_store();
        store::create(&store).unwrap();
        self.over(name, keys, &store).unwrap()
    }

    pub(crate) fn office_with_other_sealing_key(&self, name: &str) -> Arc<Office> {
        let folder = self.script().place.path().join(name);
        let mut keys = Keys::load(&Folder::open(&folder).unwrap()).unwrap();
        keys.sealing = vec![seal::SealingKey::from_seed(&[9; 32]).unwrap()];
        let store = self.new_store();
        store::create(&store).unwrap();
        self.over(name, keys, &store).unwrap()
    }

    fn new_store(&self) -> PathBuf {
        let mut script = self.script();
        script.folders += 1;
        let store = script.place.path().join(format!("store-{}", script.folders));
        fs::create_dir(&store).unwrap();
        store
    }

    fn over(&self, name: &str, keys: Keys, folder: &Path) -> Result<Arc<Office>, StoreFault> {
        let me = agency(name);
        let store = Store::open(folder, &keys.store, State::new(me.clone()))?;
        self.script().stores.insert(name.to_owned(), folder.to_owned());
        let network = self.network();
        let policy = network.policy().unwrap();
        let spool = Spool::open(&folder.with_extension("spool")).unwrap();
        Ok(Arc::new(Office::new(me, keys, network, policy, (store, spool))))
    }

    /// An agency's folder.
    pub(crate) fn folder(&self, name: &str) -> Folder {
        Folder::open(&self.script().place.path().join(name)).unwrap()
    }

    pub(crate) fn store_of(&self, office: &Office) -> PathBuf {
        self.script().stores[office.me.as_str()].clone()
    }

    /// The same office again, once the thread of the one before has let go of the store.
    pub(crate) async fn reopened(&self, name: &str, folder: &Path) -> Arc<Office> {
        loop {
            let keys = Keys::load(&Folder::open(&self.script().place.path().join(name)).unwrap()).unwrap();
            match self.over(name, keys, folder) {
                Err(StoreFault::InUse) => tokio::task::yield_now().await,
                opened => return opened.unwrap(),
            }
        }
    }

    /// A connection, in memory.
    pub(crate) async fn channel(&self) -> Channel {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let server = tonic::transport::Server::builder()
            .add_service(PushServer::new(self.clone()))
            .add_service(ReceiveServer::new(self.clone()))
            .add_service(LogServer::new(self.clone()))
            .add_service(WitnessServer::new(self.clone()))
            .add_service(DirectoryServer::new(self.clone()));
        let incoming = tokio_stream::once(Ok::<DuplexStream, std::io::Error>(theirs));
        // The stream of connections must not end, or the server would.
        let incoming = incoming.chain(tokio_stream::pending());
        tokio::spawn(server.serve_with_incoming(incoming));
        let mut ours = Some(TokioIo::new(ours));
        let connector = tower::service_fn(move |_| {
            let once = ours.take();
            async move { once.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)) }
        });
        Endpoint::from_static("http://played").connect_with_connector(connector).await.unwrap()
    }

    pub(crate) fn reply(&self, replies: impl IntoIterator<Item = Reply>) {
        self.script().replies.extend(replies);
    }

    pub(crate) fn pushed(&self) -> Vec<Vec<u8>> {
        self.script().pushed.clone()
    }

    pub(crate) fn mail(&self, mail: impl IntoIterator<Item = wire::Delivered>) {
        self.script().mail.extend(mail);
    }

    /// How many deliveries were asked for, all together.
    pub(crate) fn window(&self) -> u32 {
        self.script().window
    }

    pub(crate) fn receipts(&self) -> Vec<wire::SignedObject> {
        self.script().receipts.clone()
    }

    pub(crate) fn cosigned(&self) -> Vec<u64> {
        self.script().cosigned.clone()
    }

    /// A delivery of what is released at once.
    pub(crate) fn delivered(&self, envelope: &wire::Envelope, order: u64) -> wire::Delivered {
        let header = header_of(envelope);
        let mut envelope = envelope.clone();
        envelope.parts.retain(|part| {
            let listed = header.parts.iter().find(|listed| listed.part_id == part.part_id);
            listed.is_some_and(|listed| listed.release == proto::ids::Release::AtOnce)
        });
        let receipt = self.script().evidence.receipt(of(Event::ContentConsignment, &envelope));
        wire::Delivered {
            envelope: Some(envelope),
            handover_id: order.to_be_bytes().to_vec(),
            repeat: false,
            receipt: Some(receipt),
            attempt: header.attempt,
        }
    }

    pub(crate) fn refusal(&self, refusal: Refusal) -> wire::RefusalAnswer {
        let happening = Happening::new(Event::SubmissionRejection);
        wire::RefusalAnswer {
            code: refusal.name().into(),
            number: refusal.number(),
            field: refusal.field().into(),
            text_en: refusal.text_en().into(),
            text_ar: refusal.text_ar().into(),
            receipt: Some(self.script().evidence.receipt(happening)),
            legal_acts: Vec::new(),
            mechanism: Vec::new(),
        }
    }

    /// Shows from now on another log of the same size.
    pub(crate) fn fork(&self) {
        let mut script = self.script();
        let last = script.leaves.len() - 1;
        let other = script.leaves[last - 1].clone();
        script.before_fork = Some(std::mem::replace(&mut script.leaves[last], other));
    }

    /// Shows the log again that was shown before the fork.
    pub(crate) fn heal(&self) {
        let mut script = self.script();
        let last = script.leaves.len() - 1;
        script.leaves[last] = script.before_fork.take().unwrap();
    }

    /// Signs under another name, by its own key alone.
    pub(crate) fn rename(&self, number: u32) {
        self.script().shard = ShardNo::parse(number).unwrap();
    }

    /// Goes on in a new shard, behind so many leaves of the directory and none of the evidence.
    pub(crate) fn restore(&self, directory: usize) {
        let mut script = self.script();
        script.leaves.truncate(directory);
        let mut frontier = Frontier::default();
        frontier.extend(script.leaves.iter().map(|leaf| leaf_hash(leaf)));
        let cut = |log: &Frontier| wire::LogCut {
            size: log.size(),
            root: log.root().to_vec(),
            witnessed: String::new(),
        };
        let begun = wire::BeginShard {
            number: 2,
            evidence: Some(cut(&Frontier::default())),
            directory: Some(cut(&frontier)),
        };
        let signers = [&administrator(1), &administrator(2)];
        script.leaves.push(change(88, Change::BeginShard(begun), &signers));
        script.witnessed.clear();
        script.shard = ShardNo::parse(2).unwrap();
    }

    pub(crate) fn leave_out(&self, place: usize) {
        self.script().left_out = Some(place);
    }

    pub(crate) fn put_back(&self) {
        self.script().left_out = None;
    }

    /// Takes the entry of a directory away in which an agency published its witness key.
    pub(crate) fn forget_witness_key(&self, name: &str) {
        let key = PublicKeyOf::Witness(self.keys(name).witness.public());
        let holds = |leaf: &Vec<u8>| leaf.windows(32).any(|bytes| *bytes == *key.to_vec());
        let mut script = self.script();
        let place = script.leaves.iter().position(holds).unwrap();
        script.leaves.remove(place);
    }

    /// How many entries the directory has.
    pub(crate) fn directory_size(&self) -> usize {
        self.script().leaves.len()
    }

    fn keys(&self, name: &str) -> Keys {
        let path = self.script().place.path().join(name);
        Keys::load(&Folder::open(&path).unwrap()).unwrap()
    }

    /// Logs a key that its agency never published.
    pub(crate) fn log_false_key(&self, name: &str) {
        let key = seal::SealingKey::from_seed(&[66; 32]).unwrap();
        let publish = wire::PublishKey {
            agency: name.into(),
            purpose: wire::KeyPurpose::Sealing.into(),
            public_key: key.recipient().as_bytes().to_vec(),
            ..wire::PublishKey::default()
        };
        let leaf = change(77, Change::PublishKey(publish), &[&administrator(1)]);
        self.script().leaves.push(leaf);
    }

    pub(crate) fn grow_evidence(&self, leaves: u8) {
        let mut script = self.script();
        for leaf in 0..leaves {
            let number = u8::try_from(script.witnessed.len()).unwrap();
            script.witnessed.push(leaf_hash(&[leaf, number]));
        }
    }

    pub(crate) fn fork_evidence(&self) {
        self.script().witnessed[1] = leaf_hash(b"another");
    }
}

fn header_of(envelope: &wire::Envelope) -> proto::header::Header {
    proto::header::Header::parse(&envelope.signed.as_ref().unwrap().payload).unwrap()
}

fn of(event: Event, envelope: &wire::Envelope) -> Happening {
    let signed = envelope.signed.as_ref().unwrap();
    let digest = Digest::of(&dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload));
    Happening { envelope: Some(digest), ..Happening::new(event) }
}

impl Script {
    fn note(&self, log: i32) -> Option<SignedNote> {
        let evidence = log == i32::from(wire::LogName::Evidence);
        let (hashes, origin, key) = if evidence {
            (self.witnessed.clone(), self.evidence.origin.clone(), &self.evidence.key)
        } else {
            (
                self.leaves.iter().map(|leaf| leaf_hash(leaf)).collect(),
                directory_origin(),
                &self.directory_key,
            )
        };
        let mut frontier = Frontier::default();
        frontier.extend(hashes);
        let origin = origin.shard(self.shard).unwrap();
        let checkpoint =
            proto::log::checkpoint::Checkpoint { origin, size: frontier.size(), root: frontier.root() };
        (frontier.size() > 0).then(|| checkpoint.sign(key))
    }

    fn answer(&mut self, envelope: &wire::Envelope) -> Option<wire::push_answer::Answer> {
        use wire::push_answer::Answer;
        self.pushed.push(envelope.encode_to_vec());
        let taken = of(Event::SubmissionAcceptance, envelope);
        Some(match self.replies.pop_front() {
            None => Answer::Receipt(self.evidence.receipt(taken)),
            Some(Reply::Close) => return None,
            Some(Reply::Fault) => Answer::Fault(wire::Fault { code: "QUEUE_FULL".into(), retry_after_ms: 0 }),
            Some(Reply::FalseReceipt) => Answer::Receipt(EvidenceLog::new(9).receipt(taken)),
            Some(Reply::Refuse(refusal)) => Answer::Refusal(wire::RefusalAnswer {
                code: refusal.name().into(),
                number: refusal.number(),
                field: refusal.field().into(),
                text_en: refusal.text_en().into(),
                text_ar: refusal.text_ar().into(),
                receipt: Some(self.evidence.receipt(Happening::new(Event::SubmissionRejection))),
                legal_acts: Vec::new(),
                mechanism: Vec::new(),
            }),
        })
    }
}

type Answers<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl push_server::Push for Played {
    async fn push_one(&self, _: Request<wire::Envelope>) -> Result<Response<wire::PushAnswer>, Status> {
        Err(Status::unimplemented("not played"))
    }

    type PushStreamStream = Answers<wire::PushAnswer>;

    async fn push_stream(
        &self,
        request: Request<Streaming<wire::PushRequest>>,
    ) -> Result<Response<Self::PushStreamStream>, Status> {
        let (played, mut pushes) = (self.clone(), request.into_inner());
        let (answer, answers) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok(Some(push)) = pushes.message().await {
                let Some(said) = played.script().answer(&push.envelope.unwrap()) else { return };
                let said = wire::PushAnswer { tag: push.tag, answer: Some(said) };
                if answer.send(Ok(said)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(answers)))
    }
}

#[tonic::async_trait]
impl receive_server::Receive for Played {
    type DeliverStream = Answers<wire::Delivery>;

    async fn deliver(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        use wire::{deliver_request::Request as Said, delivery::Delivery};
        let (played, mut requests) = (self.clone(), request.into_inner());
        let (deliver, deliveries) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let out: Vec<Delivery> = match request.request.unwrap() {
                    Said::Window(more) => {
                        let mut script = played.script();
                        script.window += more;
                        std::mem::take(&mut script.mail).into_iter().map(Delivery::Delivered).collect()
                    }
                    Said::Receipt(receipt) => vec![Delivery::Acknowledged(played.acknowledge(receipt))],
                };
                for delivery in out {
                    let delivery = wire::Delivery { delivery: Some(delivery) };
                    if deliver.send(Ok(delivery)).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(deliveries)))
    }

    async fn fetch(&self, _: Request<wire::FetchRequest>) -> Result<Response<wire::FetchAnswer>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn acknowledge(
        &self,
        _: Request<wire::AcknowledgeRequest>,
    ) -> Result<Response<wire::AcknowledgeAnswer>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

impl Played {
    fn acknowledge(&self, receipt: wire::SignedObject) -> wire::AcknowledgeAnswer {
        let said = wire::HandoverReceipt::decode(receipt.payload.as_slice()).unwrap();
        let mut script = self.script();
        script.receipts.push(receipt);
        let answer = |handover: wire::Handover| {
            let envelope = Digest::parse(&handover.envelope, "envelope").ok();
            let status = Some(proto::lifecycle::Status::Delivered);
            let happening = Happening { envelope, status, ..Happening::new(Event::ContentHandover) };
            let receipt = script.evidence.receipt(happening);
            wire::HandoverAnswer {
                envelope: handover.envelope,
                answer: Some(wire::handover_answer::Answer::Receipt(receipt)),
            }
        };
        wire::AcknowledgeAnswer { answers: said.handovers.into_iter().map(answer).collect() }
    }
}

#[tonic::async_trait]
impl log_server::Log for Played {
    async fn get_checkpoint(
        &self,
        request: Request<wire::GetCheckpointRequest>,
    ) -> Result<Response<wire::CheckpointAnswer>, Status> {
        let note = self.script().note(request.into_inner().log).ok_or_else(|| Status::not_found("empty"))?;
        Ok(Response::new(wire::CheckpointAnswer { checkpoint: note.to_string() }))
    }

    async fn get_tile(&self, _: Request<wire::GetTileRequest>) -> Result<Response<wire::TileAnswer>, Status> {
        Err(Status::unimplemented("not played"))
    }

    async fn get_consistency(
        &self,
        _: Request<wire::GetConsistencyRequest>,
    ) -> Result<Response<wire::ConsistencyAnswer>, Status> {
        Err(Status::invalid_argument("not played"))
    }

    async fn get_inclusion(
        &self,
        _: Request<wire::GetInclusionRequest>,
    ) -> Result<Response<wire::InclusionAnswer>, Status> {
        Err(Status::unimplemented("not played"))
    }
}

#[tonic::async_trait]
impl witness_server::Witness for Played {
    async fn report(
        &self,
        request: Request<wire::WitnessReport>,
    ) -> Result<Response<wire::WitnessAnswer>, Status> {
        let report = request.into_inner();
        let mut script = self.script();
        let note = script.note(report.log).ok_or_else(|| Status::not_found("empty"))?;
        let seen = SignedNote::parse(&report.checkpoint).ok();
        let size =
            seen.map_or(0, |seen| proto::log::checkpoint::Checkpoint::parse(seen.text()).unwrap().size);
        let evidence = report.log == i32::from(wire::LogName::Evidence);
        if evidence && !report.cosignatures.is_empty() && script.cosigned.last() != Some(&size) {
            script.cosigned.push(size);
        }
        let whole = u64::try_from(script.witnessed.len()).unwrap();
        let path = if evidence && (1..=whole).contains(&size) {
            consistency_proof(size, whole, script.witnessed.as_slice()).unwrap()
        } else {
            Vec::new()
        };
        let consistency = path.iter().flat_map(|hash| *hash.as_bytes()).collect();
        Ok(Response::new(wire::WitnessAnswer { checkpoint: note.to_string(), consistency }))
    }
}

#[tonic::async_trait]
impl directory_server::Directory for Played {
    /// Logs what it is given, without a receipt.
    async fn change(
        &self,
        request: Request<wire::SignedObject>,
    ) -> Result<Response<wire::ChangeAnswer>, Status> {
        let now = clock::now();
        let leaf = DirectoryFact::new(now, now, What::Change(request.into_inner())).bytes().to_vec();
        self.script().leaves.push(leaf);
        Ok(Response::new(wire::ChangeAnswer { answer: None }))
    }

    type GetRecordsStream = Answers<wire::RecordsAnswer>;

    async fn get_records(
        &self,
        request: Request<wire::GetRecordsRequest>,
    ) -> Result<Response<Self::GetRecordsStream>, Status> {
        let from = usize::try_from(request.into_inner().from_index).unwrap();
        let script = self.script();
        let left_out = script.left_out;
        let leaves: Vec<_> = script.leaves.iter().cloned().enumerate().skip(from).collect();
        drop(script);
        let (give, given) = mpsc::channel(64);
        tokio::spawn(async move {
            for (index, record) in leaves.into_iter().filter(|(index, _)| Some(*index) != left_out) {
                let record = wire::RecordsAnswer { index: u64::try_from(index).unwrap(), record };
                if give.send(Ok(record)).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(given)))
    }

    async fn get_agreement(
        &self,
        request: Request<wire::GetAgreementRequest>,
    ) -> Result<Response<wire::AgreementAnswer>, Status> {
        let digest = Digest::parse(&request.into_inner().agreement, "agreement").unwrap();
        let signed = self.script().texts.get(&digest).cloned();
        Ok(Response::new(wire::AgreementAnswer {
            signed: Some(signed.ok_or_else(|| Status::not_found("none"))?),
        }))
    }

    async fn explain(
        &self,
        _: Request<wire::ExplainRequest>,
    ) -> Result<Response<wire::ExplainAnswer>, Status> {
        Err(Status::permission_denied("for staff"))
    }
}
