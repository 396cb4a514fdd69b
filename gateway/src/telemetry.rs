//! Logs and traces: what is told to whoever runs the gateway. Every call has a span with its trace id
//! (W3C `traceparent`, or a new one), which its log lines bear. No content, no header of a caller's but
//! that id. Not here: metrics.

use std::{io, time::Duration};

use opentelemetry::{
    propagation::{Extractor, TextMapPropagator as _},
    trace::{TraceContextExt as _, TraceId, TracerProvider as _},
};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use thiserror::Error;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::{
    EnvFilter, Layer as _, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::config::LogConfig;

/// How long an export may take.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);

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
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
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
        "Evidence/GetReceipt",
        "Evidence/GetTimeline",
        "Enrolment/Enrol",
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
