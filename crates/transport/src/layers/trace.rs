//! One span per call, as a child of the client's span.

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use tonic::Code;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Propagation headers of a request. Nothing else of the request reaches the trace.
struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// Returns the span of a call. Without an exporter it is at `debug`, so that it costs one check of a flag.
pub(super) fn span(
    traced: bool,
    headers: &HeaderMap,
    path: &str,
    service: &str,
    method: &str,
) -> Span {
    let name = path.trim_start_matches('/');
    if !traced {
        return tracing::debug_span!("rpc", "otel.name" = name, "rpc.grpc.status_code" = Empty);
    }
    let span = tracing::info_span!(
        "rpc",
        "otel.name" = name,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "rpc.system" = "grpc",
        "rpc.service" = service,
        "rpc.method" = method,
        "rpc.grpc.status_code" = Empty,
    );
    let parent =
        global::get_text_map_propagator(|propagator| propagator.extract(&Carrier(headers)));
    // Fails if no layer collects traces, and then the span needs no parent.
    let _ = span.set_parent(parent);
    span
}

/// Records the code of the call. Only failures of the server mark the span as an error, not mistakes of the client.
pub(super) fn record_end(span: &Span, code: Code) {
    if span.is_disabled() {
        return;
    }
    span.record("rpc.grpc.status_code", code as i32);
    if matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    ) {
        span.record("otel.status_code", "ERROR");
    }
}
