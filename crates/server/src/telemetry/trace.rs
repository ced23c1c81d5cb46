//! One span per call, and where it hangs in the client's trace.

use http::HeaderMap;
use opentelemetry::global;
use opentelemetry::propagation::Extractor;
use tonic::Code;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The propagation headers of a request. Nothing else of it reaches the trace.
struct Carrier<'a>(&'a HeaderMap);

impl Extractor for Carrier<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

/// The span of a call: debug, so that it costs one look at a flag, unless traces are collected.
pub(crate) fn span(
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
    // It fails where no layer collects traces, and then there is nothing to hang the span into.
    let _ = span.set_parent(parent);
    span
}

/// How the call ended. Only the server's own failures make the span one: a client's mistake is no failure of ours.
pub(crate) fn record_end(span: &Span, code: Code) {
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
