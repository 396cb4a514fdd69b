//! Bytes that are not what they claim to be, for every request of every service that is defined: a new
//! message is tried without a line here. What comes back is a typed error or an answer, and the
//! gateway stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf as _, BufMut as _, Bytes};
use gateway::service::{answers::undecided, stubs::push_client::PushClient};
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::Channel,
};
use trials::{
    network::Network,
    random::Random,
    sandbox::Sandbox,
    speak::{envelope, is_ready, now, receipt_of, refusal_in, waiting_ids},
};

/// Services that other listeners serve.
const ELSEWHERE: [&str; 1] = ["referral.v1.Enrolment"];
/// Random runs of each request.
const RANDOM: usize = 12;

/// Bytes as they are.
#[derive(Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

/// The method whose answer does not end by itself.
const STAYS_OPEN: &str = "/referral.v1.Evidence/Follow";

/// Sends messages to a method, and hears all of its answer, if it ends.
async fn send(channel: &Channel, path: &str, messages: Vec<Bytes>) -> Result<usize, Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(usize::MAX);
    grpc.ready().await.unwrap();
    let stays_open = path == STAYS_OPEN;
    let path = path.parse().unwrap();
    let said = Request::new(tokio_stream::iter(messages));
    let mut hear = grpc.streaming(said, path, Raw).await?.into_inner();
    let mut count = 0;
    if stays_open {
        return Ok(count);
    }
    while let Some(_answer) = hear.message().await? {
        count += 1;
    }
    Ok(count)
}

/// A message in which every field holds something.
fn filled(message: &MessageDescriptor, depth: usize, random: &mut Random) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    for field in message.fields() {
        if depth == 0 && matches!(field.kind(), Kind::Message(_)) {
            continue;
        }
        let value = value(&field, depth, random);
        let value = if field.is_list() { Value::List(vec![value.clone(), value]) } else { value };
        made.set_field(&field, value);
    }
    made
}

fn value(field: &FieldDescriptor, depth: usize, random: &mut Random) -> Value {
    match field.kind() {
        Kind::Double => Value::F64(1.5),
        Kind::Float => Value::F32(1.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(7),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(7),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(7),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(7),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String("seven".to_owned()),
        Kind::Bytes => Value::Bytes(random.run(32).into()),
        Kind::Message(message) => Value::Message(filled(&message, depth - 1, random)),
        Kind::Enum(_) => Value::EnumNumber(1),
    }
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 128 {
        bytes.push(u8::try_from(value & 127).unwrap() | 128);
        value >>= 7;
    }
    bytes.push(u8::try_from(value).unwrap());
    bytes
}

fn tag(number: u32, wire_type: u8) -> Vec<u8> {
    varint(u64::from(number) << 3 | u64::from(wire_type))
}

/// Every way in which a message is made bad here, by name.
fn spoiled(message: &MessageDescriptor, random: &mut Random) -> Vec<(&'static str, Bytes)> {
    use prost::Message as _;
    let whole = filled(message, 3, random).encode_to_vec();
    let mut cases: Vec<(&str, Vec<u8>)> = vec![("empty", Vec::new()), ("filled", whole.clone())];
    for part in 1..8 {
        cases.push(("cut short", whole[..whole.len() * part / 8].to_vec()));
    }
    for _ in 0..RANDOM {
        let length = usize::try_from(random.below(300)).unwrap();
        cases.push(("random", random.run(length)));
        // Some messages have no fields.
        if !whole.is_empty() {
            let mut flipped = whole.clone();
            let place = usize::try_from(random.below(u64::try_from(whole.len()).unwrap())).unwrap();
            flipped[place] ^= u8::try_from(1 + random.below(255)).unwrap();
            cases.push(("one byte changed", flipped));
        }
    }
    for field in message.fields() {
        let number = field.number();
        for wire_type in 0..8 {
            let content: &[u8] = if wire_type == 2 { &[3, 1, 2, 3] } else { &[1, 2, 3, 4, 5, 6, 7, 8] };
            cases.push(("another type", [tag(number, wire_type), content.to_vec()].concat()));
        }
        for length in [1 << 20, u64::from(u32::MAX), u64::MAX >> 1, u64::MAX] {
            cases.push(("a huge length", [tag(number, 2), varint(length), vec![0; 16]].concat()));
        }
        cases.push(("an endless number", [tag(number, 0), vec![0xff; 20]].concat()));
        // Messages in messages in messages.
        let deep = (0..200).fold(Vec::new(), |inside: Vec<u8>, _| {
            [tag(number, 2), varint(u64::try_from(inside.len()).unwrap()), inside].concat()
        });
        cases.push(("too deep", deep));
        cases.push(("not text", [tag(number, 2), vec![4, 0xff, 0xfe, 0xc0, 0x80]].concat()));
    }
    cases.push(("an unknown field", [whole, tag(100_000, 2), vec![4], b"Noor".to_vec()].concat()));
    cases.push(("field zero", vec![0, 1]));
    cases.push(("groups without end", [3; 500].to_vec()));
    cases.into_iter().map(|(name, bytes)| (name, bytes.into())).collect()
}

/// What bytes of a caller may be answered with.
fn is_fair(status: &Status) -> bool {
    let fair = [
        Code::InvalidArgument,
        Code::PermissionDenied,
        Code::NotFound,
        Code::FailedPrecondition,
        Code::AlreadyExists,
        Code::ResourceExhausted,
        // An upload that is under way on another stream.
        Code::Aborted,
    ];
    fair.contains(&status.code())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_message_of_any_service_are_answered_and_do_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let (network, pid) = (sandbox.network.clone(), sandbox.pid());
    let (from, to) = (network.at(1), network.at(3));
    let channel = sandbox.connect(from.id.as_str()).await.unwrap();
    let recipient = sandbox.connect(to.id.as_str()).await.unwrap();
    let pool = DescriptorPool::decode(proto::wire::DESCRIPTORS).unwrap();
    let mut random = Random::new(63);
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut methods = BTreeSet::new();
    for service in pool.services().filter(|service| service.full_name().starts_with("referral.")) {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let is_elsewhere = ELSEWHERE.contains(&service.full_name());
            for (name, bytes) in spoiled(&method.input(), &mut random) {
                match send(&channel, &path, vec![bytes.clone()]).await {
                    Ok(_) => *codes.entry("answered".to_owned()).or_default() += 1,
                    Err(status) => {
                        let fair = if is_elsewhere {
                            status.code() == Code::Unimplemented
                        } else {
                            is_fair(&status)
                        };
                        assert!(fair, "{path}, {name}, {bytes:?}: {status:?}");
                        assert!(undecided(&status).is_none());
                        if status.code() == Code::InvalidArgument {
                            assert_eq!(refusal_in(&status).code, "MALFORMED", "{path}, {name}");
                        }
                        *codes.entry(format!("{:?}", status.code())).or_default() += 1;
                    }
                }
            }
            methods.insert(path);
        }
        assert_eq!(sandbox.pid(), pid);
        assert!(is_ready(sandbox.metrics), "after {}", service.full_name());
    }
    println!("{} methods: {codes:?}", methods.len());
    assert!(methods.len() >= 17, "{methods:?}");
    assert!(codes["InvalidArgument"] > 500, "{codes:?}");
    // Nothing waits for anybody, and a good envelope is taken as ever.
    assert!(waiting_ids(&recipient).await.is_empty());
    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
    let taken = PushClient::new(channel).push_one(envelope(from, &header, &parts)).await.unwrap();
    receipt_of(taken.into_inner());
    assert_eq!(waiting_ids(&recipient).await.len(), 1);
    let log = sandbox.log_text();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    assert!(sandbox.terminate());
}

/// Frames of gRPC and of HTTP/2 that are none, around a message that is good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_are_none_are_refused_with_a_code() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let agency = sandbox.network.at(1).id.clone();
    let config = trials::peer::Bearer::read(&sandbox.folder.join(agency.as_str())).config(&sandbox);
    let tls = trials::peer::connect(sandbox.address, config).await.unwrap();
    let (mut client, connection) = h2::client::handshake(tls).await.unwrap();
    let driver = tokio::spawn(connection);
    let frames: [(&str, &[u8], &str); 6] = [
        ("compressed", &[1, 0, 0, 0, 1, 0], "compression"),
        ("a flag that is none", &[77, 0, 0, 0, 0], "compression"),
        ("a length over the limit", &[0, 0xff, 0, 0, 0, 1, 2, 3], "message"),
        ("cut off in the message", &[0, 0, 0, 0, 9, 1, 2, 3], "message"),
        ("cut off in the frame", &[0, 0, 0], "message"),
        ("a second message cut off", &[0, 0, 0, 0, 0, 0, 0, 0], "message"),
    ];
    for path in ["/referral.v1.Log/GetTile", "/referral.v1.Push/PushStream", "/referral.v1.Receive/Deliver"] {
        for (name, bytes, field) in frames {
            let request = http::Request::builder()
                .method("POST")
                .uri(format!("http://gateway{path}"))
                .header("te", "trailers")
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            client = client.ready().await.unwrap();
            let (answer, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from_static(bytes), true).unwrap();
            let (head, mut rest) = answer.await.unwrap().into_parts();
            let mut came = Vec::new();
            while let Some(data) = rest.data().await {
                let data = data.unwrap();
                rest.flow_control().release_capacity(data.len()).unwrap();
                came.extend(data);
            }
            let mut headers = head.headers;
            if let Some(trailers) = rest.trailers().await.unwrap() {
                headers.extend(trailers);
            }
            let status = Status::from_header_map(&headers).unwrap();
            // The first message is empty, and here already no request.
            let is_first = name == "a second message cut off";
            let field = match path {
                "/referral.v1.Receive/Deliver" if is_first => "request",
                _ => field,
            };
            assert_eq!(status.code(), Code::InvalidArgument, "{path}, {name}: {status:?}");
            let refusal = refusal_in(&status);
            assert_eq!(
                (refusal.code.as_str(), refusal.field.as_str()),
                ("MALFORMED", field),
                "{path}, {name}"
            );
        }
    }
    driver.abort();
    assert!(is_ready(sandbox.metrics));
}
