//! Metrics, recorded through the OpenTelemetry API and served as Prometheus text.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Meter, MeterProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use parlance_transport::layers::Budget;
use parlance_transport::listen::OpenConnections;
use prometheus::TextEncoder;

/// All metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: prometheus::Registry,
    meter: Meter,
    // The instruments live as long as their provider.
    _provider: SdkMeterProvider,
}

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

    /// Returns all metrics in the text format of Prometheus.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_version_is_a_label() {
        let text = Metrics::new("parlance").unwrap().text().unwrap();
        let version = env!("CARGO_PKG_VERSION");
        let line = format!(r#"parlance_build_info{{version="{version}"}} 1"#);
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in\n{text}"
        );
    }
}
