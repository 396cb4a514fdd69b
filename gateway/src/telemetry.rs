//! Logs and traces: what is told to whoever runs the gateway. Every call has a span with its trace id
//! (W3C `traceparent`, or a new one), which its log lines bear. No content, no header of a caller's but
//! that id. Not here: metrics.

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use proto::digest::Digest;
use thiserror::Error;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::LogConfig;

/// How long an export may take.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);

/// Most envelopes whose traces can go on when they are delivered.
pub const TRAILS_MAX: usize = 16_384;

/// Whether traces are exported: without, nothing is remembered for them.
static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Why logs or traces cannot be set up.
#[derive(Debug, Error)]
pub enum TelemetryFault {
    /// The filter is none.
    #[error("log.filter: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The address of the collector.
    #[error("log.otlp: {0}")]
    Otlp(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Somebody has set it up already.
    #[error("logging is set up already")]
    Twice,
}

/// What must be flushed at the end.
#[derive(Debug)]
pub struct Telemetry(Option<SdkTracerProvider>);

/// Sets up logs, and traces where an address is given. Call it inside the runtime.
///
/// # Errors
/// [`TelemetryFault`].
pub fn start(config: &LogConfig) -> Result<Telemetry, TelemetryFault> {
    let filter = EnvFilter::try_new(&config.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let lines = if config.json { lines.json().boxed() } else { lines.with_ansi(false).boxed() };
    let provider = config.otlp.as_deref().map(provider).transpose()?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer::<Registry>().with_tracer(provider.tracer("referral-gateway"))
    });
    let set = tracing_subscriber::registry().with(traces).with(filter).with(lines).try_init();
    set.map_err(|_| TelemetryFault::Twice)?;
    EXPORTED.store(provider.is_some(), Ordering::Relaxed);
    Ok(Telemetry(provider))
}

fn provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryFault> {
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIME_MAX).build()?;
    let resource = Resource::builder().with_service_name("referral-gateway").build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

impl Telemetry {
    /// Sends what was not sent yet.
    pub fn end(self) {
        if let Some(provider) = self.0
            && provider.shutdown().is_err()
        {
            tracing::warn!("the last traces could not be sent");
        }
    }
}

struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    /// A caller could write anything into `tracestate`, which would be exported as it stands.
    fn get(&self, key: &str) -> Option<&str> {
        if key == TRACEPARENT { self.0.get(key)?.to_str().ok() } else { None }
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

const TRACEPARENT: &str = "traceparent";

/// The span in which an envelope is read and verified: part of its call's trace, or, of a stream, the
/// beginning of its own. None when nothing is exported.
#[must_use]
pub fn read_span() -> Span {
    if EXPORTED.load(Ordering::Relaxed) { tracing::info_span!("read") } else { Span::none() }
}

/// The traces of envelopes that were pushed, so that they go on when these are delivered. In memory,
/// the newest only: one that is lost costs nothing but a link.
#[derive(Debug, Default)]
pub struct Trails(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    by_envelope: BTreeMap<Digest, SpanContext>,
    order: VecDeque<Digest>,
}

impl Trails {
    /// Remembers where the trace of an envelope stands.
    pub fn begin(&self, envelope: Digest, span: &Span) {
        let context = span.context().span().span_context().clone();
        if context.is_valid() {
            self.keep(envelope, context);
        }
    }

    fn keep(&self, envelope: Digest, context: SpanContext) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.by_envelope.insert(envelope, context).is_none() {
            kept.order.push_back(envelope);
        }
        if kept.order.len() > TRAILS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_envelope.remove(&oldest);
        }
    }

    /// The span of a delivery, in the trace of its envelope; none when that is not known.
    #[must_use]
    pub fn deliver_span(&self, envelope: &Digest) -> Span {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(context) = kept.by_envelope.get(envelope).cloned() else {
            return Span::none();
        };
        drop(kept);
        let span = tracing::info_span!(parent: None, "deliver");
        drop(span.set_parent(Context::new().with_remote_span_context(context)));
        span
    }
}

/// The span of a call. Of what the caller says only the trace id is taken, which is 16 bytes whatever
/// stood there.
#[must_use]
pub fn call_span(request: &http::Request<()>) -> Span {
    let parent = TraceContextPropagator::new().extract(&Headers(request.headers()));
    let trace_id = match parent.span().span_context().trace_id() {
        TraceId::INVALID => new_trace_id(),
        given => given,
    };
    let span = tracing::info_span!("call", method = method(request.uri().path()), %trace_id);
    // Without an exporter there is nothing to be a child of.
    drop(span.set_parent(parent));
    span
}

/// The method's name if it is one of ours: a caller could write anything into a path.
fn method(path: &str) -> &'static str {
    const METHODS: &[&str] = &[
        "Push/PushOne",
        "Push/PushStream",
        "Receive/Deliver",
        "Receive/Fetch",
        "Receive/Acknowledge",
        "Parts/Upload",
        "Parts/Download",
        "Log/GetCheckpoint",
        "Log/GetTile",
        "Log/GetConsistency",
        "Log/GetInclusion",
        "Witness/Report",
        "Directory/Change",
        "Directory/GetRecords",
        "Directory/GetAgreement",
        "Directory/Explain",
        "Evidence/GetReceipt",
        "Evidence/GetTimeline",
        "Evidence/Follow",
        "Enrolment/Enrol",
        "Certificates/Renew",
    ];
    let path = path.strip_prefix("/referral.v1.").unwrap_or_default();
    METHODS.iter().find(|method| **method == path).copied().unwrap_or("other")
}

fn new_trace_id() -> TraceId {
    let mut id = [0; 16];
    // Without randomness the id is that of no trace, which harms nobody.
    if getrandom::fill(&mut id).is_err() { TraceId::INVALID } else { TraceId::from_bytes(id) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_a_caller_says_only_the_trace_id_is_taken() {
        let mut headers = http::HeaderMap::new();
        for (name, value) in [("traceparent", "00-1-2-01"), ("tracestate", "x=Layla"), ("baggage", "Layla")] {
            headers.insert(name, http::HeaderValue::from_static(value));
        }
        let headers = Headers(&headers);
        assert_eq!(headers.get("traceparent"), Some("00-1-2-01"));
        assert_eq!((headers.get("tracestate"), headers.get("baggage")), (None, None));
    }

    #[test]
    fn trails_are_as_many_as_may_be_and_the_oldest_go() {
        let trails = Trails::default();
        // Without an exporter a span has no context, so nothing is kept.
        trails.begin(Digest::of(b"one"), &tracing::info_span!("read"));
        assert!(trails.0.lock().unwrap().order.is_empty());
        assert!(trails.deliver_span(&Digest::of(b"one")).is_none());
        let context = SpanContext::new(
            TraceId::from_bytes([1; 16]),
            opentelemetry::trace::SpanId::from_bytes([2; 8]),
            opentelemetry::trace::TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::NONE,
        );
        for number in 0..TRAILS_MAX + 3 {
            trails.keep(Digest::of(&number.to_le_bytes()), context.clone());
        }
        let kept = trails.0.lock().unwrap();
        assert_eq!((kept.order.len(), kept.by_envelope.len()), (TRAILS_MAX, TRAILS_MAX));
        assert!(!kept.by_envelope.contains_key(&Digest::of(&2_usize.to_le_bytes())));
        assert!(kept.by_envelope.contains_key(&Digest::of(&3_usize.to_le_bytes())));
    }

    #[test]
    fn only_the_methods_of_the_services_have_names() {
        assert_eq!(method("/referral.v1.Push/PushStream"), "Push/PushStream");
        assert_eq!(method("/referral.v1.Push/Layla+971501234567"), "other");
        let services = [
            proto::wire::DESCRIPTORS.windows(10).filter(|window| *window == b"GetReceipt").count(),
            proto::wire::DESCRIPTORS.windows(11).filter(|window| *window == b"GetTimeline").count(),
        ];
        assert!(services.iter().all(|count| *count > 0), "the names stand in the definitions");
    }
}
