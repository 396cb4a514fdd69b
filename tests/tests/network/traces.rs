//! Traces, as a collector gets them: one from a push to its delivery, and nothing of what callers say.
//! Not here: logs and metrics (`leaks`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that does not get what it must has failed"
)]

use std::{
    fs,
    io::Write as _,
    sync::{Arc, Mutex},
};

use futures::stream;
use gateway::service::stubs::{
    log_client::LogClient, push_client::PushClient, receive_client::ReceiveClient,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    trace::v1::Span,
};
use prost::Message as _;
use proto::wire;
use tokio::net::TcpListener;
use tonic::{Request, Response, Status, metadata::MetadataValue};
use trials::{
    network::Network,
    random::Random,
    sandbox::Sandbox,
    speak::{Pushes, envelope, failure, now, receipt_of},
};

/// A name and numbers that callers write wherever they can.
const PLANTED: [&str; 4] = ["Layla-Planted", "+971500000777", "hers-is-the-case", "planted@example"];
const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// A collector: everything that it was sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    async fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let incoming = stream::unfold(listener, |listener| async {
            let accepted = listener.accept().await.map(|(tcp, _)| tcp);
            Some((accepted, listener))
        });
        let server = tonic::transport::Server::builder().add_service(TraceServiceServer::new(self.clone()));
        tokio::spawn(server.serve_with_incoming(Box::pin(incoming)));
        format!("http://{address}")
    }

    fn spans(&self) -> Vec<Span> {
        let requests = self.0.lock().unwrap();
        let scopes = requests.iter().flat_map(|request| &request.resource_spans);
        scopes.flat_map(|spans| &spans.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
    }
}

fn said<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE_ID}-00f067aa0ba902b7-01");
    let metadata = request.metadata_mut();
    metadata.insert("traceparent", parent.parse().unwrap());
    metadata.insert("tracestate", format!("name={}", PLANTED[0]).parse().unwrap());
    metadata.insert("baggage", format!("phone={}", PLANTED[1]).parse().unwrap());
    metadata.insert("user-agent", PLANTED[2].parse().unwrap());
    metadata.insert_bin("about-bin", MetadataValue::from_bytes(PLANTED[3].as_bytes()));
    request
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_leads_from_a_push_to_its_delivery_and_holds_no_planted_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    let collector = Collector::default();
    let otlp = collector.listen().await;
    let mut config = fs::File::options().append(true).open(sandbox.place().config()).unwrap();
    write!(config, "[log]\notlp = \"{otlp}\"\n").unwrap();
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mut random = Random::new(3);
    let (mine, theirs) =
        (sandbox.connect(from.id.as_str()).await.unwrap(), sandbox.connect(to.id.as_str()).await.unwrap());

    // One by a call that says its trace, one on a stream that says nothing.
    let (header, mut parts) = network.opening(&from.id, &to.id, now(), &mut random);
    receipt_of(
        PushClient::new(mine.clone())
            .push_one(said(envelope(from, &header, &parts)))
            .await
            .unwrap()
            .into_inner(),
    );
    let (header, more) = network.opening(&from.id, &to.id, now(), &mut random);
    receipt_of(Pushes::open(&mine).await.unwrap().push(envelope(from, &header, &more)).await);
    let fetched = ReceiveClient::new(theirs).fetch(wire::FetchRequest { count_max: 10 }).await.unwrap();
    assert_eq!(fetched.into_inner().deliveries.len(), 2);

    // Whatever else callers write, in bytes that are refused and in paths.
    let (header, _) = network.opening(&from.id, &to.id, now(), &mut random);
    parts[0] = PLANTED[0].as_bytes().to_vec().into();
    failure(PushClient::new(mine.clone()).push_one(said(envelope(from, &header, &parts))).await);
    let request = wire::GetTileRequest { log: wire::LogName::Evidence.into(), path: PLANTED[1].to_owned() };
    failure(LogClient::new(mine).get_tile(said(request)).await);
    assert!(sandbox.terminate(), "{}", sandbox.log_text());

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let of_call = |name: &str| {
        named(name).into_iter().filter(|span| hex(&span.trace_id) == TRACE_ID).collect::<Vec<_>>()
    };
    let delivered = of_call("deliver");
    assert_eq!(delivered.len(), 1, "the trace that the caller began goes on at the delivery");
    let (reads, calls) = (of_call("read"), of_call("call"));
    let read = reads
        .iter()
        .find(|read| read.span_id == delivered[0].parent_span_id)
        .expect("the read that led to it");
    let call =
        calls.iter().find(|call| call.span_id == read.parent_span_id).expect("the call that it was part of");
    assert_eq!(hex(&call.parent_span_id), "00f067aa0ba902b7", "which the caller's own span led to");
    let ours = named("deliver").into_iter().find(|span| hex(&span.trace_id) != TRACE_ID);
    let ours = ours.expect("the stream's delivery has its envelope's own trace");
    assert!(
        named("read")
            .iter()
            .any(|read| read.span_id == ours.parent_span_id && read.trace_id == ours.trace_id)
    );

    for request in collector.0.lock().unwrap().iter() {
        let bytes = request.encode_to_vec();
        for planted in PLANTED {
            let found = bytes.windows(planted.len()).any(|window| window == planted.as_bytes());
            assert!(!found, "{planted} was exported");
        }
    }
}
