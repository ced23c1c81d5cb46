//! Metrics, recorded through the OpenTelemetry API and served as Prometheus text.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{
    BoundCounter, BoundHistogram, Counter, Histogram, Meter, MeterProvider as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus::TextEncoder;
use tonic::Code;

use crate::layers::Budget;
use crate::listen::OpenConnections;

/// All metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: prometheus::Registry,
    meter: Meter,
    // The instruments live as long as their provider.
    _provider: SdkMeterProvider,
}

/// Histogram buckets in seconds: a reply from memory takes less than the first, a search about the middle, a stream more than the
/// last.
const BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

impl Metrics {
    /// Creates the registry with `parlance_build_info`.
    pub fn new(service_name: &str) -> Result<Self, OTelSdkError> {
        let registry = prometheus::Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            // Without this each series would have the name of this crate as a label.
            .scope_info_enabled(false)
            .build()?;
        let resource = Resource::builder()
            .with_service_name(service_name.to_owned())
            .build();
        let provider = SdkMeterProvider::builder()
            .with_reader(exporter)
            .with_resource(resource)
            .build();
        let meter = provider.meter("parlance");
        let metrics = Self {
            registry,
            meter,
            _provider: provider,
        };
        metrics.gauge(
            "parlance_build_info",
            "version of the running service",
            |observer| {
                observer(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
            },
        );
        Ok(metrics)
    }

    /// Returns the meter, for other instruments.
    pub const fn meter(&self) -> &Meter {
        &self.meter
    }

    /// Registers a gauge that is read at each scrape.
    pub fn gauge(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn(&dyn Fn(i64, &[KeyValue])) + Send + Sync + 'static,
    ) {
        self.meter
            .i64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |observer| {
                read(&|value, labels| observer.observe(value, labels));
            })
            .build();
    }

    /// Registers a counter that another component keeps and that is read at each scrape.
    pub fn counter(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn(&dyn Fn(u64, &[KeyValue])) + Send + Sync + 'static,
    ) {
        self.meter
            .u64_observable_counter(name)
            .with_description(description)
            .with_callback(move |observer| {
                read(&|value, labels| observer.observe(value, labels));
            })
            .build();
    }

    /// Registers a gauge of an optional duration, in seconds, that is read at each scrape.
    pub fn seconds(
        &self,
        name: &'static str,
        description: &'static str,
        read: impl Fn() -> Option<Duration> + Send + Sync + 'static,
    ) {
        self.meter
            .f64_observable_gauge(name)
            .with_unit("s")
            .with_description(description)
            .with_callback(move |observer| {
                if let Some(duration) = read() {
                    observer.observe(duration.as_secs_f64(), &[]);
                }
            })
            .build();
    }

    /// Registers the gauge of open connections by port.
    pub fn count_connections(&self, grpc: OpenConnections, http: OpenConnections) {
        self.gauge(
            "parlance_open_connections",
            "open connections by port",
            move |observe| {
                observe(grpc.count(), &[KeyValue::new("port", "grpc")]);
                observe(http.count(), &[KeyValue::new("port", "http")]);
            },
        );
    }

    /// Registers the gauge of buffered request bytes.
    pub fn count_buffered(&self, budget: Budget) {
        self.gauge(
            "parlance_buffered_request_bytes",
            "bytes of requests in memory; at most MAX_BUFFERED_BYTES",
            move |observe| observe(i64::try_from(budget.used()).unwrap_or(i64::MAX), &[]),
        );
    }

    /// Registers the gauge of database connections by state.
    pub fn count_database(&self, database: parlance_storage::Database) {
        self.gauge(
            "parlance_database_connections",
            "connections to the database by state",
            move |observe| {
                let status = database.pool_status();
                let busy = status.open.saturating_sub(status.idle);
                observe(busy.into(), &[KeyValue::new("state", "busy")]);
                observe(status.idle.into(), &[KeyValue::new("state", "idle")]);
            },
        );
    }

    /// Creates the instruments of calls.
    pub fn rpc(&self) -> RpcMetrics {
        let in_flight = Arc::new(AtomicI64::new(0));
        let observed = Arc::clone(&in_flight);
        self.gauge(
            "grpc_server_in_flight",
            "calls that are not finished",
            move |observe| {
                observe(observed.load(Ordering::Relaxed), &[]);
            },
        );
        RpcMetrics {
            handled: self
                .meter
                .u64_counter("grpc_server_handled")
                .with_description("calls that ended, by code")
                .build(),
            handling: self
                .meter
                .f64_histogram("grpc_server_handling")
                .with_unit("s")
                .with_description("time from the head of a call to its end")
                .with_boundaries(BUCKETS.into())
                .build(),
            in_flight,
        }
    }

    /// Returns all metrics in the text format of Prometheus.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Instruments of calls.
#[derive(Debug, Clone)]
pub struct RpcMetrics {
    handled: Counter<u64>,
    handling: Histogram<f64>,
    in_flight: Arc<AtomicI64>,
}

impl RpcMetrics {
    pub(crate) fn enter(&self) {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn method(&self, service: &str, method: &str) -> MethodMetrics {
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
pub(crate) struct MethodMetrics {
    labels: [KeyValue; 2],
    handled: Counter<u64>,
    handling: Histogram<f64>,
    by_code: [OnceLock<BoundCounter<u64>>; CODES],
    seconds: OnceLock<BoundHistogram<f64>>,
}

impl MethodMetrics {
    pub(crate) fn record(&self, code: Code, took: Duration) {
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
pub(crate) const fn name(code: Code) -> &'static str {
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
    use super::*;

    #[test]
    fn series_have_exactly_the_documented_labels() {
        let metrics = Metrics::new("parlance").unwrap();
        let rpc = metrics.rpc();
        let method = rpc.method("a.B", "C");
        rpc.enter();
        method.record(Code::Ok, Duration::from_millis(3));
        method.record(Code::Ok, Duration::from_millis(3));
        method.record(Code::NotFound, Duration::from_millis(3));
        let text = metrics.text().unwrap();
        for line in [
            r#"grpc_server_handled_total{grpc_code="OK",grpc_method="C",grpc_service="a.B"} 2"#,
            r#"grpc_server_handled_total{grpc_code="NotFound",grpc_method="C",grpc_service="a.B"} 1"#,
            r#"grpc_server_handling_seconds_count{grpc_method="C",grpc_service="a.B"} 3"#,
            r#"grpc_server_handling_seconds_bucket{grpc_method="C",grpc_service="a.B",le="0.0025"} 0"#,
            "grpc_server_in_flight 1",
            concat!(
                r#"parlance_build_info{version=""#,
                env!("CARGO_PKG_VERSION"),
                r#""} 1"#
            ),
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no {line} in\n{text}"
            );
        }
    }
}
