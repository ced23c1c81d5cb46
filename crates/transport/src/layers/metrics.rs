//! Metrics of calls, recorded through the OpenTelemetry API.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundCounter, BoundHistogram, Counter, Histogram, Meter};
use tonic::Code;

/// Histogram buckets in seconds: a reply from memory takes less than the first, a search about the middle, a stream more than the
/// last.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Instruments of calls.
#[derive(Debug, Clone)]
pub struct RpcMetrics {
    handled: Counter<u64>,
    handling: Histogram<f64>,
    in_flight: Arc<AtomicI64>,
}

impl RpcMetrics {
    /// Creates the instruments, once per process.
    pub fn new(meter: &Meter) -> Self {
        let in_flight = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&in_flight);
        meter
            .i64_observable_gauge("grpc_server_in_flight")
            .with_description("calls that are not finished")
            .with_callback(move |observer| {
                observer.observe(observed.load(Ordering::Relaxed), &[]);
            })
            .build();
        Self {
            handled: meter
                .u64_counter("grpc_server_handled")
                .with_description("calls that ended, by code")
                .build(),
            handling: meter
                .f64_histogram("grpc_server_handling")
                .with_unit("s")
                .with_description("time from the head of a call to its end")
                .with_boundaries(BUCKETS.into())
                .build(),
            in_flight,
        }
    }

    pub(super) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn method(&self, service: &str, method: &str) -> MethodMetrics {
        MethodMetrics {
            labels: [
                KeyValue::new("grpc_service", service.to_owned()),
                KeyValue::new("grpc_method", method.to_owned()),
            ],
            handled: self.handled.clone(),
            handling: self.handling.clone(),
            by_code: Default::default(),
            seconds: OnceLock::new(),
        }
    }
}

const CODES: usize = 17;

/// Series of one method. Looking up a series by its labels costs ten times as much as counting, so each is looked up once, when it
/// first counts; before that it does not exist.
#[derive(Debug)]
pub(super) struct MethodMetrics {
    labels: [KeyValue; 2],
    handled: Counter<u64>,
    handling: Histogram<f64>,
    by_code: [OnceLock<BoundCounter<u64>>; CODES],
    seconds: OnceLock<BoundHistogram<f64>>,
}

impl MethodMetrics {
    pub(super) fn record(&self, code: Code, took: Duration) {
        let series = usize::try_from(code as i32)
            .ok()
            .and_then(|code| self.by_code.get(code));
        if let Some(series) = series {
            series
                .get_or_init(|| {
                    let [service, method] = self.labels.clone();
                    self.handled
                        .bind(&[service, method, KeyValue::new("grpc_code", name(code))])
                })
                .add(1);
        }
        self.seconds
            .get_or_init(|| self.handling.bind(&self.labels))
            .record(took.as_secs_f64());
    }
}

/// Name of a code in `grpc_server_handled`, the same as in other gRPC servers.
pub(super) const fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::metrics::MeterProvider as _;
    use opentelemetry_sdk::metrics::SdkMeterProvider;
    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn series_have_exactly_the_documented_labels() {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .scope_info_enabled(false)
            .build()
            .unwrap();
        // The instruments live as long as their provider.
        let provider = SdkMeterProvider::builder().with_reader(exporter).build();
        let rpc = RpcMetrics::new(&provider.meter("test"));
        let method = rpc.method("a.B", "C");
        rpc.enter();
        method.record(Code::Ok, Duration::from_millis(3));
        method.record(Code::Ok, Duration::from_millis(3));
        method.record(Code::NotFound, Duration::from_millis(3));
        let text = TextEncoder::new()
            .encode_to_string(&registry.gather())
            .unwrap();
        for line in [
            r#"grpc_server_handled_total{grpc_code="OK",grpc_method="C",grpc_service="a.B"} 2"#,
            r#"grpc_server_handled_total{grpc_code="NotFound",grpc_method="C",grpc_service="a.B"} 1"#,
            r#"grpc_server_handling_seconds_count{grpc_method="C",grpc_service="a.B"} 3"#,
            r#"grpc_server_handling_seconds_bucket{grpc_method="C",grpc_service="a.B",le="0.0025"} 0"#,
            "grpc_server_in_flight 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no {line} in\n{text}"
            );
        }
    }
}
