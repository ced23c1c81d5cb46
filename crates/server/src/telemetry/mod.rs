//! Logs, traces and metrics.
//!
//! Invariants:
//! * Neither logs nor traces contain a body, an address, metadata, or the message of a panic, which may quote any of them.
//! * Traces are made only if `OTEL_EXPORTER_OTLP_ENDPOINT` is set.

pub(crate) mod cache;
pub(crate) mod delivery;
pub mod metrics;
pub(crate) mod webhooks;

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
/// Limit of the last export: it delays the exit in addition to the drain.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Error of the setup of logs or traces.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter is invalid.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The trace exporter cannot be created.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// Logging was initialized before in this process.
    #[error("logging was initialized twice: {0}")]
    AlreadyInitialized(#[from] tracing_subscriber::util::TryInitError),
}

/// Telemetry of the process, which must be flushed at the end.
#[derive(Debug)]
#[must_use = "buffered traces are lost without `shutdown`"]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

/// Sets up logs and traces of this process. Must be called in a runtime, which the trace exporter needs.
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
            // Spans of Parlance only: the exporter uses gRPC itself, and its own spans would be exported as well.
            .with_filter(filter::filter_fn(|metadata| {
                metadata.target().starts_with("parlance")
                    && *metadata.level() <= tracing::Level::INFO
            }))
    });
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let log = match settings.log_format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    let log = log.with_filter(log_filter(&settings.log_filter)?);
    tracing_subscriber::registry()
        .with(traces)
        .with(log)
        .try_init()?;
    std::panic::set_hook(Box::new(|panic| {
        // Without its message: "byte 5 is not a char boundary in `...`" would quote a body.
        let location = panic.location().map(ToString::to_string);
        tracing::error!(location, "panic");
    }));
    Ok(Telemetry { tracer })
}

/// Builds the log filter. OpenTelemetry's libraries log their own start and stop, which operators do not need, so they are limited
/// to warnings unless the filter names them.
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
    /// Exports the buffered traces.
    pub async fn shutdown(self) {
        let Some(tracer) = self.tracer else { return };
        // The call blocks until the exporter, which runs on this runtime, is done.
        match tokio::task::spawn_blocking(move || tracer.shutdown_with_timeout(FLUSH_TIMEOUT)).await
        {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the last traces were not exported"),
            Err(error) => tracing::warn!(%error, "the last traces were not exported"),
        }
    }
}
