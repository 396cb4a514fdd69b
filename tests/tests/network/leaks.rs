//! Names and numbers of people, planted wherever a client controls bytes: in sealed content, and in every
//! place where an agent that is broken, or means harm, could write them in clear. None may be found in
//! anything that the gateway writes, shows or answers. And the census: headers as they are must not
//! single a person out.
//!
//! What is legitimate, and where: ciphertext, in the journal and under `parts/`, unreadable; texts of an
//! agreement that its parties have signed, in the journal and its snapshots alone. An envelope's id is
//! chosen by its sender and kept as it is; it has room for nine bytes.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what cannot go on has failed, and the figures are for people"
)]

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use bytes::Bytes;
use certs::{Authority, Plan, UnixTime};
use gateway::service::stubs::{
    directory_client::DirectoryClient, evidence_client::EvidenceClient, log_client::LogClient,
    parts_client::PartsClient, push_client::PushClient, witness_client::WitnessClient,
};
use prost::Message as _;
use prost_reflect::DescriptorPool;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    header::Header,
    ids::{EnvelopeId, PartClass, Storage},
    key::SigningKey,
    lifecycle::Act,
    log::{
        checkpoint::Checkpoint,
        cosignature::{self, CosignedAt},
        note::{KeyName, SignedNote},
    },
    wire::{self, directory_change::Change},
};
use seal::{HEAD_VERSION, SEED_BYTES, SealHead, SealingKey, seal, sealed_bytes};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::{Status, transport::Channel};
use trials::{
    network::{ActOf, Agency, Network},
    peer::{self, Bearer},
    random::Random,
    sandbox::{Sandbox, agency_identity},
    speak::{Deliveries, Pushes, digest_of, envelope, envelope_of, failure, get, handover, now, receipt_of},
};

/// People who do not exist, with every way of writing that matters.
const PLANTED: [&str; 10] = [
    "Fatima Al-Mansoori",
    "fatima-al-mansoori",
    "فاطمة المنصوري",
    "784-1987-1234567-1",
    "784198712345671",
    "٧٨٤١٩٨٧١٢٣٤٥٦٧١",
    "+971501234567",
    "٠٥٠١٢٣٤٥٦٧",
    "passport-fatima.pdf",
    "جواز سفر فاطمة.pdf",
];
/// What an agreement's texts may hold.
const SIGNED: [&str; 2] = ["Office of Huda Kareem", "مكتب هدى كريم"];

/// Every form in which a text might be written.
fn forms(text: &str) -> Vec<Vec<u8>> {
    let bytes = text.as_bytes();
    let percent = bytes.iter().fold(String::new(), |mut all, byte| {
        let plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(byte);
        if plain {
            all.push(char::from(*byte))
        } else {
            write!(all, "%{byte:02X}").unwrap()
        }
        all
    });
    let hex = bytes.iter().fold(String::new(), |mut all, byte| {
        write!(all, "{byte:02x}").unwrap();
        all
    });
    let escaped: String = text.chars().flat_map(|c| c.escape_unicode()).collect();
    let json = text.chars().fold(String::new(), |mut all, c| {
        if c.is_ascii() {
            all.push(c)
        } else {
            write!(all, "\\u{:04x}", u32::from(c)).unwrap()
        }
        all
    });
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut forms = vec![bytes.to_vec(), percent.into(), hex.into(), escaped.into(), json.into(), wide];
    for before in 0..3 {
        // Whatever stands before and after it: only what depends on the text alone.
        let padded = [vec![0; before], bytes.to_vec()].concat();
        let text = STANDARD_NO_PAD.encode(&padded);
        let first = [0, 2, 3][before];
        let last = padded.len() / 3 * 4;
        forms.push(text.as_bytes()[first..last].to_vec());
    }
    forms
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window.eq_ignore_ascii_case(wanted))
}

/// The planted texts in all their forms.
struct Planted(Vec<(&'static str, Vec<u8>)>);

impl Planted {
    fn of(texts: &[&'static str]) -> Self {
        let all = texts.iter().flat_map(|text| forms(text).into_iter().map(|form| (*text, form)));
        Self(all.collect())
    }

    fn found(&self, bytes: &[u8]) -> Option<&'static str> {
        // Most bytes cannot begin any of them.
        let mut begins = [false; 256];
        for (_, form) in &self.0 {
            begins[usize::from(form[0].to_ascii_lowercase())] = true;
            begins[usize::from(form[0].to_ascii_uppercase())] = true;
        }
        for (place, byte) in bytes.iter().enumerate() {
            if begins[usize::from(*byte)] {
                let rest = &bytes[place..];
                let starts =
                    |form: &[u8]| rest.len() >= form.len() && rest[..form.len()].eq_ignore_ascii_case(form);
                if let Some((text, _)) = self.0.iter().find(|(_, form)| starts(form)) {
                    return Some(text);
                }
            }
        }
        None
    }
}

#[test]
fn the_search_finds_what_is_there() {
    for text in PLANTED {
        for form in forms(text) {
            let hidden = [&[0xff, 0x00], form.as_slice(), b"!"].concat();
            assert!(contains(&hidden, &form));
            assert!(Planted::of(&PLANTED).found(&hidden).is_some(), "{text}");
        }
        let whole = STANDARD_NO_PAD.encode(format!("before {text} after"));
        assert!(Planted::of(&PLANTED).found(whole.as_bytes()).is_some(), "{text} in base64");
    }
    assert_eq!(Planted::of(&PLANTED).found(b"nobody at all, 7"), None);
}

/// A network with someone who plants, and what the gateway has answered.
struct Trial {
    sandbox: Sandbox,
    network: Network,
    random: Random,
    channel: Channel,
    answers: Vec<(String, Vec<u8>)>,
}

const FROM: usize = 1;
const TO: usize = 3;

impl Trial {
    fn agency(&self, place: usize) -> Agency {
        self.network.at(place).clone()
    }

    fn heard(&mut self, what: &str, status: &Status) {
        let metadata: Vec<u8> = format!("{:?}", status.metadata().clone().into_headers()).into_bytes();
        let all = [status.message().as_bytes(), status.details(), &metadata].concat();
        self.answers.push((what.to_owned(), all));
        if let Some(value) = status.metadata().get_bin("referral-refusal-bin") {
            self.answers.push((what.to_owned(), value.to_bytes().unwrap().to_vec()));
        }
    }

    fn header(&mut self) -> (Header, Vec<Bytes>) {
        let (from, to) = (self.agency(FROM).id, self.agency(TO).id);
        self.network.opening(&from, &to, now(), &mut self.random)
    }
}

/// The content of a case, sealed as an agent seals it.
fn sealed(content: &str, file_name: &str, header: &Header, part_id: u32) -> Bytes {
    let head = SealHead {
        version: HEAD_VERSION,
        envelope_id: header.envelope_id.as_bytes().to_vec(),
        from: header.from.to_string(),
        recipients: vec![header.to.to_string()],
        part_id,
        part_class: 1,
        content_bytes: u64::try_from(content.len()).unwrap(),
        media_type: "application/json".into(),
        file_name: file_name.into(),
        content_sha256: Digest::of(content.as_bytes()).to_vec(),
    };
    let key = SealingKey::from_seed(&[7; SEED_BYTES]).unwrap();
    let mut file = Vec::new();
    seal(&head, &[key.recipient().clone()], content.as_bytes(), &mut file).unwrap();
    file.into()
}

/// A whole referral, with everything about her in the sealed parts.
async fn a_case(trial: &mut Trial) {
    let content: String = PLANTED.iter().map(|text| format!("{{\"given_name\":\"{text}\"}}")).collect();
    let (mut header, mut parts) = trial.header();
    for (place, part) in parts.iter_mut().enumerate() {
        *part = sealed(&content, PLANTED[8 + place], &header, u32::try_from(place).unwrap() + 1);
        header.parts[place].sha256 = Digest::of(part);
        header.parts[place].length_bytes = u64::try_from(part.len()).unwrap();
    }
    let attachment = sealed(&content, PLANTED[9], &header, 3);
    let mut third = header.parts[0].clone();
    third.part_id = 3;
    third.class = PartClass::Attachment;
    third.storage = Storage::Uploaded;
    third.sha256 = Digest::of(&attachment);
    third.length_bytes = u64::try_from(attachment.len()).unwrap();
    header.parts.push(third);
    assert!(upload(&trial.channel, Digest::of(&attachment).to_vec(), &attachment).await.is_ok());
    let (from, to) = (trial.agency(FROM), trial.agency(TO));
    let sent = envelope(&from, &header, &parts);
    receipt_of(Pushes::open(&trial.channel).await.unwrap().push(sent).await);
    let of_to = trial.sandbox.connect(to.id.as_str()).await.unwrap();
    let mut stream = Deliveries::open(&of_to, 8).await;
    let delivered = stream.delivered().await;
    let mut receipt = handover(&to, &[delivered]);
    receipt = with_parts(&to, &receipt, &[header.parts[0].sha256, header.parts[2].sha256]);
    stream.say(wire::deliver_request::Request::Receipt(receipt)).await;
    assert_eq!(stream.acknowledged().await.answers.len(), 1);
    let mut back = Pushes::open(&of_to).await.unwrap();
    let mut previous = None;
    for act in [Act::See, Act::Accept] {
        let of = ActOf { referral: &header.referral, attempt: 1, from: &to.id, to: &from.id, previous };
        let (mut said, mut detail) = trial.network.act(&of, act, now(), &mut trial.random);
        said.urgency = header.urgency;
        detail[0] = sealed(&content, "", &said, 1);
        said.parts[0].sha256 = Digest::of(&detail[0]);
        said.parts[0].length_bytes = u64::try_from(detail[0].len()).unwrap();
        let act = envelope(&to, &said, &detail);
        previous = Some((said.sequence, digest_of(&act)));
        receipt_of(back.push(act).await);
    }
    assert_eq!(stream.delivered().await.envelope.unwrap().parts[0].ciphertext, parts[1]);
}

/// The receipt again, over other parts: attachments are fetched by themselves.
fn with_parts(to: &Agency, receipt: &wire::SignedObject, parts: &[Digest]) -> wire::SignedObject {
    let mut read = wire::HandoverReceipt::decode(receipt.payload.as_slice()).unwrap();
    read.handovers[0].part_digests = parts.iter().map(|digest| digest.to_vec()).collect();
    dsse::sign(PayloadType::Receipt, read.encode_to_vec(), &[&to.key])
}

async fn upload(channel: &Channel, sha256: Vec<u8>, bytes: &[u8]) -> Result<(), Status> {
    use wire::upload_request::Request as Said;
    let start = wire::UploadStart { sha256, length_bytes: u64::try_from(bytes.len()).unwrap() };
    let said = [Said::Start(start), Said::Chunk(bytes.to_vec())];
    let said = said.map(|request| wire::UploadRequest { request: Some(request) });
    let mut parts = PartsClient::new(channel.clone());
    let mut answers = parts.upload(tokio_stream::iter(said)).await?.into_inner();
    while answers.message().await?.is_some() {}
    Ok(())
}

/// Headers, payloads, parts and signatures that say it in clear.
async fn in_envelopes(trial: &mut Trial) {
    let from = trial.agency(FROM);
    for text in PLANTED {
        let (header, parts) = trial.header();
        let good = header.to_wire();
        type Spoil = fn(&mut wire::Header, &str);
        let spoils: [(&str, Spoil); 10] = [
            ("category", |h, text| h.category = text.to_owned()),
            ("service", |h, text| h.service = text.to_owned()),
            ("jurisdiction", |h, text| h.jurisdiction = text.to_owned()),
            ("to", |h, text| h.to = text.to_owned()),
            ("to, as an id", |h, text| h.to = format!("xx.{text}")),
            ("rule", |h, text| {
                h.rule = text.to_owned();
                h.mechanism = vec![7; 32];
                h.addressing = 2;
            }),
            ("opened_by", |h, text| h.referral.as_mut().unwrap().opened_by = text.to_owned()),
            ("fallbacks", |h, text| h.fallbacks = vec![format!("xx.{text}")]),
            ("key_ids", |h, text| h.parts[0].key_ids = vec![text.to_owned()]),
            ("a digest", |h, text| {
                let mut bytes = text.as_bytes().to_vec();
                bytes.resize(32, b'.');
                h.agreement = bytes;
            }),
        ];
        let mut push = PushClient::new(trial.channel.clone());
        for (what, spoil) in spoils {
            let mut spoiled = good.clone();
            spoil(&mut spoiled, text);
            let status = failure(push.push_one(envelope_of(&from, spoiled.encode_to_vec(), &parts)).await);
            trial.heard(what, &status);
        }
        // Fields that are not defined, a payload that is none, signatures and types of text, parts in clear.
        let unknown =
            [good.encode_to_vec().as_slice(), &[0xc2, 0x3e], &[length(text)], text.as_bytes()].concat();
        let mut odd = vec![envelope_of(&from, unknown, &parts), envelope_of(&from, text.into(), &parts)];
        let spoils: [fn(&mut wire::Envelope, &str); 4] = [
            |e, text| signed(e).payload_type = text.to_owned(),
            |e, text| signed(e).signatures[0].key_id = text.to_owned(),
            |e, text| signed(e).signatures[0].sig = text.as_bytes().to_vec(),
            |e, text| e.parts[0].ciphertext = text.to_owned().into_bytes().into(),
        ];
        for spoil in spoils {
            let mut spoiled = envelope(&from, &header, &parts);
            spoil(&mut spoiled, text);
            odd.push(spoiled);
        }
        for envelope in odd {
            let status = failure(push.push_one(envelope).await);
            trial.heard("an envelope", &status);
        }
    }
}

fn signed(envelope: &mut wire::Envelope) -> &mut wire::SignedObject {
    envelope.signed.as_mut().unwrap()
}

fn length(text: &str) -> u8 {
    u8::try_from(text.len()).unwrap()
}

/// Every other call that takes a text or bytes.
async fn in_calls(trial: &mut Trial) {
    for text in PLANTED {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(32, b'.');
        let channel = trial.channel.clone();
        let tile = wire::GetTileRequest { log: 1, path: format!("tile/0/{text}") };
        let status = failure(LogClient::new(channel.clone()).get_tile(tile).await);
        trial.heard("a tile's path", &status);
        let report = |checkpoint: String, cosignatures: String| wire::WitnessReport {
            log: 1,
            checkpoint,
            cosignatures,
            receipt_checkpoint: String::new(),
        };
        let forged =
            format!("{text}\n1\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n— {text} AAAAAAAA\n");
        let status =
            failure(WitnessClient::new(channel.clone()).report(report(forged, text.to_owned())).await);
        trial.heard("a witness's report", &status);
        let agreement = wire::GetAgreementRequest { agreement: bytes.clone() };
        let status = failure(DirectoryClient::new(channel.clone()).get_agreement(agreement).await);
        trial.heard("an agreement's digest", &status);
        let referral = wire::ReferralRef { opened_by: text.to_owned(), referral_id: bytes[..16].to_vec() };
        let timeline = wire::GetTimelineRequest { referral: Some(referral) };
        let status = failure(EvidenceClient::new(channel.clone()).get_timeline(timeline).await);
        trial.heard("a referral's name", &status);
        let download = wire::DownloadRequest { envelope: bytes.clone(), part_id: 1, offset: 0 };
        let status = failure(PartsClient::new(channel.clone()).download(download).await);
        trial.heard("an envelope's digest", &status);
        let status = failure(upload(&channel, text.into(), text.as_bytes()).await);
        trial.heard("an upload's digest", &status);
        // Of the right length and not the right one: refused when it is whole, and deleted.
        let status = failure(upload(&channel, bytes, text.as_bytes()).await);
        trial.heard("an upload's digest", &status);
        let change = wire::SignedObject {
            payload: text.into(),
            payload_type: text.to_owned(),
            signatures: vec![wire::Signature { sig: text.into(), key_id: text.to_owned() }],
        };
        let answer = DirectoryClient::new(channel).change(change).await.unwrap().into_inner();
        trial.answers.push(("a change".to_owned(), answer.encode_to_vec()));
    }
}

/// Headers, paths and agents' names of HTTP, and what is no HTTP at all.
async fn in_transport(trial: &mut Trial) {
    let config = || {
        Bearer::read(&trial.sandbox.folder.join(trial.network.at(FROM).id.as_str())).config(&trial.sandbox)
    };
    let tls = peer::connect(trial.sandbox.address, config()).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut heard = Vec::new();
    for text in PLANTED {
        let value = http::HeaderValue::from_bytes(text.as_bytes()).unwrap();
        let percent = String::from_utf8(forms(text)[1].clone()).unwrap();
        for path in ["/referral.v1.Log/GetCheckpoint".to_owned(), format!("/{percent}/{percent}?{percent}")] {
            let request = http::Request::post(format!("http://gateway{path}"))
                .header("te", "trailers")
                .header("content-type", if path.contains('?') { "text/html" } else { "application/grpc" })
                .header("user-agent", value.clone())
                .header("x-patient", value.clone())
                .header("traceparent", value.clone())
                .header("grpc-timeout", value.clone())
                .header("grpc-encoding", value.clone())
                .body(())
                .unwrap();
            client = client.ready().await.unwrap();
            let (answer, mut body) = client.send_request(request, false).unwrap();
            // It may have been answered before.
            let frame = [&[0, 0, 0, 0, length(text)], text.as_bytes()].concat();
            drop(body.send_data(frame.into(), true));
            let answer = answer.await.unwrap();
            heard.push((path, format!("{:?}", answer.headers()).into_bytes()));
            let mut body = answer.into_body();
            while let Some(Ok(data)) = body.data().await {
                heard.push(("a body".to_owned(), data.to_vec()));
            }
        }
        // No TLS; and TLS by a certificate of such a name.
        let mut tcp = tokio::net::TcpStream::connect(trial.sandbox.address).await.unwrap();
        drop(tcp.write_all(format!("GET /{percent} HTTP/1.1\r\nHost: {text}\r\n\r\n").as_bytes()).await);
        let mut answer = Vec::new();
        drop(tcp.read_to_end(&mut answer).await);
        heard.push(("plain text".to_owned(), answer));
        heard.push(("a path".to_owned(), get(trial.sandbox.metrics, &format!("/{percent}")).into_bytes()));
    }
    trial.answers.extend(heard);
    driver.abort();
    let elsewhere = tempfile::tempdir().unwrap();
    let plan = Plan::sandbox("fatima-al-mansoori.example".parse().unwrap());
    let at = UnixTime::of(std::time::SystemTime::now()).unwrap();
    let mut authority = Authority::init(&elsewhere.path().join("authority"), &plan, at).unwrap();
    let identity = agency_identity(&trials::network::agency("ae.fatima-al-mansoori"));
    let foreign = Bearer::of(&authority.issue_with_key(&identity, at).unwrap()).config(&trial.sandbox);
    let mut stream = peer::connect(trial.sandbox.address, foreign).await.unwrap();
    assert!(!peer::is_served(&mut stream).await);
}

/// A witness's line shows its name to everybody: its own, and no other.
async fn in_cosignatures(trial: &mut Trial) {
    let from = trial.agency(FROM);
    let witness = SigningKey::from_seed(&[9; 32]);
    let publish = wire::PublishKey {
        agency: from.id.to_string(),
        purpose: wire::KeyPurpose::Witness.into(),
        public_key: witness.public().to_bytes().to_vec(),
        ..wire::PublishKey::default()
    };
    let object = trial.network.change(Change::PublishKey(publish), now(), &[&from.key]);
    let answer = DirectoryClient::new(trial.channel.clone()).change(object).await.unwrap().into_inner();
    assert!(matches!(answer.answer, Some(wire::change_answer::Answer::Receipt(_))));
    let mut log = LogClient::new(trial.channel.clone());
    let request = wire::GetCheckpointRequest { log: wire::LogName::Evidence.into() };
    let verifier = trial.network.keys.evidence.verifier().clone();
    let own = KeyName::parse(from.id.as_str(), "name").unwrap();
    let mut client = WitnessClient::new(trial.channel.clone());
    // The log may grow between the look and the report: then the line is of an older checkpoint.
    for _ in 0..50 {
        let note = log.get_checkpoint(request).await.unwrap().into_inner().checkpoint;
        let checkpoint = Checkpoint::open(&SignedNote::parse(&note).unwrap(), &verifier).unwrap();
        let at = CosignedAt::from_unix_s(now().0 / 1000).unwrap();
        let line = cosignature::cosign(&own, &witness, at, &checkpoint).to_string();
        let report = |cosignatures: &str| wire::WitnessReport {
            log: wire::LogName::Evidence.into(),
            checkpoint: note.clone(),
            cosignatures: cosignatures.to_owned(),
            receipt_checkpoint: String::new(),
        };
        // The key's own id and signature beside another name.
        let other = line.replace(from.id.as_str(), "fatima-al-mansoori");
        let status = failure(client.report(report(&other)).await);
        trial.heard("a cosignature", &status);
        client.report(report(&line)).await.unwrap();
        let after = log.get_checkpoint(request).await.unwrap().into_inner().checkpoint;
        let is_shown = after.contains(&line);
        trial.answers.push(("a checkpoint".to_owned(), after.into_bytes()));
        if is_shown {
            return;
        }
    }
    panic!("a witness's own line is never shown");
}

/// What administrators and parties write.
async fn in_agreements(trial: &mut Trial) {
    let party = |place: usize| wire::Party {
        agency: trial.network.at(place).id.to_string(),
        signing_office_en: SIGNED[0].to_owned(),
        signing_office_ar: SIGNED[1].to_owned(),
    };
    let agreement = |title: &str, clause: &str| wire::Agreement {
        version: 1,
        agreement_id: EnvelopeId::new(now(), [3; 10]).as_bytes().to_vec(),
        revision: 1,
        title_en: title.to_owned(),
        title_ar: SIGNED[1].to_owned(),
        legal_basis: SIGNED[0].to_owned(),
        parties: vec![party(FROM), party(TO)],
        clauses: vec![wire::Clause {
            clause_id: clause.to_owned(),
            from: trial.network.at(FROM).id.to_string(),
            to: trial.network.at(TO).id.to_string(),
            disclosure: wire::Disclosure::Never.into(),
            ..wire::Clause::default()
        }],
        valid_from_ms: now().0,
        valid_until_ms: now().0 + 1_000_000,
        ..wire::Agreement::default()
    };
    let keys = [trial.agency(FROM).key, trial.agency(TO).key];
    let sign = |agreement: wire::Agreement, keys: &[&SigningKey]| {
        dsse::sign(PayloadType::Agreement, agreement.encode_to_vec(), keys)
    };
    let admin = trial.sandbox.connect("admin-1").await.unwrap();
    let mut directory = DirectoryClient::new(admin);
    let good = sign(agreement(SIGNED[0], "only"), &[&keys[0], &keys[1]]);
    let taken = directory.change(good).await.unwrap().into_inner();
    assert!(matches!(taken.answer, Some(wire::change_answer::Answer::Receipt(_))));
    let mut heard = vec![("an agreement".to_owned(), taken.encode_to_vec())];
    for text in PLANTED {
        // Signed by nobody who may; and with a name as a code.
        let stranger = SigningKey::from_seed(&[77; 32]);
        let objects =
            [sign(agreement(text, "only"), &[&stranger]), sign(agreement(SIGNED[0], text), &[&keys[0]])];
        for object in objects.into_iter().take(if text == PLANTED[1] { 1 } else { 2 }) {
            let answer = directory.change(object).await.unwrap().into_inner();
            assert!(matches!(answer.answer, Some(wire::change_answer::Answer::Refusal(_))), "{text}");
            heard.push(("a refused agreement".to_owned(), answer.encode_to_vec()));
        }
    }
    trial.answers.extend(heard);
}

/// Every file of a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_about_a_person_is_found_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let channel = sandbox.connect(network.at(FROM).id.as_str()).await.unwrap();
    let mut trial = Trial { sandbox, network, random: Random::new(88), channel, answers: Vec::new() };
    a_case(&mut trial).await;
    in_envelopes(&mut trial).await;
    in_calls(&mut trial).await;
    in_transport(&mut trial).await;
    in_cosignatures(&mut trial).await;
    in_agreements(&mut trial).await;

    let (planted, signed) = (Planted::of(&PLANTED), Planted::of(&SIGNED));
    for path in ["/metrics", "/ready", "/health"] {
        let text = get(trial.sandbox.metrics, path);
        assert_eq!(planted.found(text.as_bytes()).or_else(|| signed.found(text.as_bytes())), None, "{path}");
    }
    for (what, bytes) in &trial.answers {
        assert_eq!(planted.found(bytes), None, "the answer to {what}");
        assert_eq!(signed.found(bytes), None, "the answer to {what}");
    }
    assert!(trial.answers.len() > 200);
    // Everything that follows the journal is written at the end at the latest.
    assert!(trial.sandbox.terminate());
    let (mut count, mut bytes_count, mut in_journal) = (0, 0, false);
    for (path, bytes) in files(folder.path()) {
        let name = path.strip_prefix(folder.path()).unwrap();
        assert_eq!(planted.found(&bytes), None, "in {}", name.display());
        assert_eq!(planted.found(name.to_string_lossy().as_bytes()), None, "{}", name.display());
        let is_journals = name.starts_with("journal");
        let found = signed.found(&bytes);
        assert!(found.is_none() || is_journals, "{found:?} in {}", name.display());
        in_journal |= is_journals && found.is_some();
        count += 1;
        bytes_count += bytes.len();
    }
    assert!(in_journal, "the search looks at the journal");
    let log = trial.sandbox.log_text();
    assert!(log.contains("connection refused") && !log.contains("ERROR"), "{log}");
    println!("{} answers, {count} files, {bytes_count} bytes searched", trial.answers.len());
}

/// Every field of the header, by what it tells: whoever adds one decides here, before it is on the wire.
const FIELDS: [(&str, Tells); 26] = [
    ("version", Tells::Nothing),
    ("envelope_id", Tells::Nothing),
    ("referral", Tells::Nothing),
    ("attempt", Tells::Coarse),
    ("sequence", Tells::Course),
    ("previous", Tells::Nothing),
    ("in_reply_to", Tells::Nothing),
    ("kind", Tells::Coarse),
    ("act", Tells::Course),
    ("reason", Tells::Course),
    ("from", Tells::Coarse),
    ("to", Tells::Coarse),
    ("category", Tells::Coarse),
    ("service", Tells::Coarse),
    ("urgency", Tells::Coarse),
    ("jurisdiction", Tells::Coarse),
    ("identity_allowed", Tells::Coarse),
    ("addressing", Tells::Coarse),
    ("directory_size", Tells::Course),
    ("agreement", Tells::Nothing),
    ("mechanism", Tells::Nothing),
    ("rule", Tells::Nothing),
    ("created_at_ms", Tells::Course),
    ("expires_at_ms", Tells::Course),
    ("parts", Tells::Length),
    ("fallbacks", Tells::Nothing),
];

/// What a header's field tells of a person.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tells {
    /// Random, or the same for all who go the same way.
    Nothing,
    /// Something about the need, as coarse as routing wants it: what the census counts.
    Coarse,
    /// How far and when a referral went: the same of all by and by.
    Course,
    /// How long the sealed parts are, after padding.
    Length,
}

/// Referrals of a country in a year (DESIGN, section 1).
const REFERRALS: u32 = 100_000;
/// So many at the least must share what the gateway sees of one.
const ALIKE_MIN: u32 = 10;
/// So few in a thousand may share it with fewer.
const RARE_PER_MILLE_MAX: u32 = 10;

/// One of several, by weight.
fn weighted<'a>(random: &mut Random, of: &[(&'a str, u64)]) -> &'a str {
    let mut left = random.below(of.iter().map(|(_, weight)| weight).sum());
    for (value, weight) in of {
        match left.checked_sub(*weight) {
            None => return value,
            Some(rest) => left = rest,
        }
    }
    of[0].0
}

/// What routing wants to know of a need: invented, with a few common needs and many that are less so.
/// Parent categories and classes of services alone; what is finer is sealed.
fn coarse(random: &mut Random) -> Vec<String> {
    let categories = [("domestic_violence", 50), ("child_protection", 30), ("trafficking", 20)];
    let services = [("shelter", 40), ("health", 25), ("legal", 20), ("psychosocial", 15)];
    let urgencies = [("normal", 70), ("urgent", 25), ("emergency", 5)];
    let places = [("AE-DU", 40), ("AE-AZ", 30), ("AE-SH", 20), ("AE-RK", 10)];
    let kinds = [("referral", 94), ("document", 6)];
    let consents = [("identity", 90), ("no identity", 10)];
    [&categories[..], &services, &urgencies, &places, &kinds, &consents]
        .iter()
        .map(|values| weighted(random, values).to_owned())
        .collect()
}

/// The length of a summary as it is on the wire: JSON of 1 to 6 KiB, sealed and padded.
fn length_on_the_wire(random: &mut Random) -> u64 {
    let content = 1000 + random.below(2500) + random.below(2500);
    sealed_bytes(200, content, 2).unwrap()
}

fn rare_per_mille<T: Ord>(seen: &BTreeMap<T, u32>) -> u32 {
    let rare: u32 = seen.values().filter(|count| **count < ALIKE_MIN).sum();
    rare * 1000 / seen.values().sum::<u32>()
}

#[test]
fn no_header_singles_a_person_out() {
    let pool = DescriptorPool::decode(wire::DESCRIPTORS).unwrap();
    let header = pool.get_message_by_name("referral.v1.Header").unwrap();
    let defined: Vec<_> = header.fields().map(|field| field.name().to_owned()).collect();
    let decided: Vec<_> = FIELDS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(defined, decided, "a new field tells something: decide what, and count it");

    let mut random = Random::new(100_000);
    let (mut coarsely, mut by_length, mut finely) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for _ in 0..REFERRALS {
        let coarse = coarse(&mut random);
        let length = length_on_the_wire(&mut random);
        // What must not be in a header, to see that the census would find it.
        let languages = [("ar", 50), ("en", 20), ("ur", 10), ("tl", 10), ("bn", 5), ("am", 5)];
        let language = weighted(&mut random, &languages).to_owned();
        let age = random.below(60);
        *by_length.entry(length).or_insert(0) += 1;
        *finely.entry((coarse.clone(), language, age)).or_insert(0) += 1;
        *coarsely.entry(coarse).or_insert(0) += 1;
    }
    let (rare, rare_length) = (rare_per_mille(&coarsely), rare_per_mille(&by_length));
    println!(
        "{} combinations, {rare} in a thousand rare; {} lengths, {rare_length} in a thousand rare; \
         with language and age {} in a thousand",
        coarsely.len(),
        by_length.len(),
        rare_per_mille(&finely)
    );
    assert!(rare <= RARE_PER_MILLE_MAX, "{rare} in a thousand headers are shared by too few");
    assert!(rare_length <= RARE_PER_MILLE_MAX, "{rare_length} in a thousand lengths are shared by too few");
    assert!(rare_per_mille(&finely) > 10 * RARE_PER_MILLE_MAX, "the census finds what is finer");
    let counted = FIELDS.iter().filter(|(_, tells)| *tells == Tells::Coarse).count();
    assert_eq!(counted, 10, "six are counted here, and from, to, addressing and attempt go with them");
}

#[test]
fn what_is_finer_than_the_header_does_not_fit_in() {
    let network = Network::new();
    let (from, to) = (&network.at(FROM).id, &network.at(TO).id);
    let (header, _) = network.opening(from, to, now(), &mut Random::new(5));
    let finer: [fn(&mut wire::Header); 4] = [
        |h| h.jurisdiction = "AE-DU-Deira".to_owned(),
        |h| h.jurisdiction = "AE-RK/12".to_owned(),
        |h| h.category = "trafficking of a girl".to_owned(),
        |h| h.service = "shelter: Urdu".to_owned(),
    ];
    for finer in finer {
        let mut wire = header.to_wire();
        finer(&mut wire);
        assert!(Header::parse(&wire.encode_to_vec()).is_err());
    }
    assert!(Header::parse(&header.to_wire().encode_to_vec()).is_ok());
}
