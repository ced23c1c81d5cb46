//! Logs, traces and metrics.
//!
//! Invariants:
//! * Neither logs nor traces hold a body, an address, metadata, or what a panic says: it may quote any of them.
//! * Traces are made only where somebody collects them.

pub(crate) mod cache;
pub(crate) mod delivery;
pub mod metrics;
pub mod trace;

use std::io::IsTerminal as _;
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, filter};

use crate::config::{LogFormat, Settings};

const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// At the end; whoever stops us waits for a drain already.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Why there are no logs or traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The exporter of traces.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Something else in this process logs already.
    #[error("logging was set up twice: {0}")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
}

/// What has to be flushed at the end.
#[derive(Debug)]
#[must_use = "traces that wait are lost without `shutdown`"]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

/// Sets up logs and traces for this process; in a runtime, which the exporter of traces needs.
pub fn init(settings: &Settings) -> Result<Telemetry, TelemetryError> {
    let tracer = settings
        .otlp_endpoint
        .as_deref()
        .map(|endpoint| tracer(endpoint, &settings.service_name))
        .transpose()?;
    let traces = tracer.as_ref().map(|provider| {
        opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("parlance"))
            .with_location(false)
            .with_threads(false)
            // Ours only: the exporter itself speaks gRPC, and its own spans would be exported in turn.
            .with_filter(filter::filter_fn(|metadata| {
                metadata.target().starts_with("parlance")
                    && *metadata.level() <= tracing::Level::INFO
            }))
    });
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let log = match settings.log.format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let log = log.with_filter(log_filter(&settings.log.filter)?);
    tracing_subscriber::registry()
        .with(traces)
        .with(log)
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        // Without its text: "byte 5 is not a char boundary in `...`" would quote a message.
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "a panic");
    }));
    Ok(Telemetry { tracer })
}

/// The libraries of OpenTelemetry tell of their own beginning and end, which says nothing to whoever runs the service.
fn log_filter(filter: &str) -> Result<EnvFilter, TelemetryError> {
    const QUIET: &str = "opentelemetry=warn,opentelemetry_sdk=warn,opentelemetry_otlp=warn";
    let filter = if filter.contains("opentelemetry") {
        filter.to_owned()
    } else {
        format!("{QUIET},{filter}")
    };
    Ok(EnvFilter::try_new(filter)?)
}

fn tracer(endpoint: &str, service_name: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIMEOUT)
        .build()?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(
            Resource::builder()
                .with_service_name(service_name.to_owned())
                .build(),
        )
        .build())
}

impl Telemetry {
    /// Sends what waits.
    pub async fn shutdown(self) {
        let Some(tracer) = self.tracer else { return };
        // It blocks until the exporter, which runs on this runtime, is done.
        match tokio::task::spawn_blocking(move || tracer.shutdown_with_timeout(FLUSH_TIMEOUT)).await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not sent"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }
}
