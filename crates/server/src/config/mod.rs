//! Configuration: environment variables take precedence over `parlance.toml`, and both over defaults.
//!
//! Pure: the environment and the file are arguments. To add a setting: a row in [`table::TABLE`], a field in
//! [`Settings`], a line in `build`.

mod cache;
mod parse;
mod read;
mod show;
pub mod table;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use parlance_domain::message::Limits;
use parlance_storage::DatabaseUrl;
use parlance_transport::layers::WebOrigins;

pub use cache::CacheSettings;
pub use read::{File, Origin};
pub use show::EffectiveSetting;

use read::Reader;

/// Configuration of the service.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Database and how it is opened.
    pub database: parlance_storage::Settings,
    /// How long the start retries the first connection to the database.
    pub connect_timeout: Duration,
    /// Cache and its Redis.
    pub cache: CacheSettings,
    /// Handling of missing migrations at start.
    pub migrate: Migrate,
    /// Listen address of gRPC.
    pub grpc_listen: SocketAddr,
    /// Listen address of JSON, the page, health checks and metrics.
    pub http_listen: SocketAddr,
    /// Whether gRPC server reflection is on.
    pub reflection: bool,
    /// Web origins that may call.
    pub web_origins: WebOrigins,
    /// Log filter and format.
    pub log: Log,
    /// OTLP endpoint for traces; no traces without it.
    pub otlp_endpoint: Option<String>,
    /// Service name in traces and metrics.
    pub service_name: String,
    /// Maximum size of a request.
    pub max_request_bytes: usize,
    /// Maximum total size of the requests in memory.
    pub max_buffered_bytes: usize,
    /// Limits of the content of a message.
    pub limits: Limits,
    /// How long events are kept.
    pub feed_retention: Duration,
    /// How long messages and conversations are kept; for ever if `None`.
    pub retention: Option<Duration>,
    /// Maximum number of concurrent hand-overs to providers; 0 turns delivery off.
    pub delivery_workers: usize,
    /// Lease of a delivery worker on a message.
    pub delivery_lease: Duration,
    /// Maximum number of hand-overs of a message.
    pub delivery_max_attempts: i32,
    /// Interval at which the feed is polled.
    pub feed_poll: Duration,
    /// How long a `request_id` is remembered.
    pub request_id_retention: Duration,
    /// Lifetime and limits of connections.
    pub connections: Connections,
    /// How long calls are accepted after the signal to stop.
    pub drain_delay: Duration,
    /// How long calls may continue after `drain_delay`.
    pub drain_timeout: Duration,
    /// Number of worker threads; `None` for one per core.
    pub worker_threads: Option<usize>,
    effective: Vec<EffectiveSetting>,
    read_warnings: Vec<String>,
}

/// Handling of missing migrations at start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Migrate {
    /// Applies them.
    Auto,
    /// Refuses to start.
    Check,
    /// Does not check.
    Off,
}

/// Format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for humans.
    Text,
    /// JSON for programs.
    Json,
}

/// Log filter and format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// Validated filter.
    pub filter: String,
    /// Format of lines.
    pub format: LogFormat,
}

/// Lifetime and limits of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Age at which the client is asked to reconnect.
    pub max_age: Duration,
    /// How long its calls may continue after that.
    pub max_age_grace: Duration,
    /// Maximum number of concurrent calls per connection.
    pub max_concurrent_streams: u32,
    /// Maximum number of connections on both ports together.
    pub max: u32,
}

/// Everything that is invalid in a configuration, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// Reads the configuration from the environment and the file.
    pub fn load(
        env: impl Iterator<Item = (String, String)>,
        file: Option<File>,
    ) -> Result<Self, InvalidSettings> {
        finish(Reader::new(env, file))
    }

    /// Reads the configuration of an ephemeral service: its database is in `folder`, and it listens on free ports of
    /// loopback.
    pub fn load_ephemeral(
        env: impl Iterator<Item = (String, String)>,
        file: Option<File>,
        folder: &Path,
    ) -> Result<Self, InvalidSettings> {
        let mut reader = Reader::new(env, file);
        if reader.is_set("DATABASE_URL") {
            reader.problems.push(
                "DATABASE_URL is set, but --ephemeral creates a temporary database: unset DATABASE_URL or omit --ephemeral"
                    .to_owned(),
            );
        }
        let database = folder.join("parlance.db");
        reader.override_with("DATABASE_URL", format!("sqlite://{}", database.display()));
        reader.override_with("MIGRATE", "auto"); // the database is always empty
        reader.override_with("GRPC_LISTEN", FREE_PORT);
        reader.override_with("HTTP_LISTEN", FREE_PORT);
        reader.override_with("DRAIN_DELAY", "0"); // no load balancer uses its ports
        finish(reader)
    }

    /// The effective settings, one entry each, with secrets masked.
    pub fn effective(&self) -> &[EffectiveSetting] {
        &self.effective
    }

    /// Warnings, one line each, about values that are valid but probably not intended.
    pub fn warnings(&self) -> Vec<String> {
        let open = [
            ("GRPC_LISTEN", self.grpc_listen),
            ("HTTP_LISTEN", self.http_listen),
        ]
        .into_iter()
        .filter(|(_, address)| !address.ip().is_loopback())
        .map(|(name, address)| {
            format!(
                "AUTH is off and {name} is {address}: every client that can connect may read and write all data; \
                 restrict access to this address"
            )
        });
        let read = self.read_warnings.iter().cloned();
        read.chain(open).chain(self.cache.warnings()).collect()
    }
}

const FREE_PORT: &str = "127.0.0.1:0";

fn finish(mut reader: Reader) -> Result<Settings, InvalidSettings> {
    let settings = build(&mut reader);
    match settings {
        Some(settings) if reader.problems.is_empty() => Ok(settings),
        Some(_) | None => Err(InvalidSettings(reader.problems)),
    }
}

fn build(reader: &mut Reader) -> Option<Settings> {
    let database = database(reader);
    let local = database
        .as_ref()
        .map(|database| matches!(database.url, DatabaseUrl::Sqlite(_)));
    let cache = cache::read(reader, local);
    let connect_timeout = reader.get("DATABASE_CONNECT_TIMEOUT", parse::seconds(0));
    let migrate = reader.get("MIGRATE", parse::migrate);
    let grpc_listen = reader.get("GRPC_LISTEN", parse::address);
    let http_listen = reader.get("HTTP_LISTEN", parse::address);
    let auth = reader.get("AUTH", parse::optional(parse::switch));
    let reflection = reader.get("REFLECTION", parse::switch);
    let web_origins = reader.get("GRPC_WEB_ORIGINS", parse::origins);
    let filter = reader.get("RUST_LOG", parse::log_filter);
    let format = reader.get("LOG_FORMAT", parse::log_format);
    let otlp_endpoint = reader.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        parse::optional(parse::endpoint),
    );
    let service_name = reader.get("OTEL_SERVICE_NAME", parse::text);
    let max_request_bytes = reader.get("MAX_REQUEST_BYTES", parse::number(1..=1 << 30));
    let max_buffered_bytes = reader.get("MAX_BUFFERED_BYTES", parse::number(1..));
    if let (Some(buffered), Some(request)) = (max_buffered_bytes, max_request_bytes) {
        check_buffered(buffered, request, &mut reader.problems);
    }
    let limits = limits(reader);
    let feed_retention = reader.get("FEED_RETENTION", parse::seconds(0));
    let retention = reader.get("RETENTION_DAYS", parse::days);
    let delivery_workers = reader.get("DELIVERY_WORKERS", parse::number(0..=10_000));
    let delivery_lease = reader.get("DELIVERY_LEASE", parse::number(11..=3_600));
    let delivery_max_attempts = reader.get("DELIVERY_MAX_ATTEMPTS", parse::number(1..=1_000));
    let feed_poll = reader.get("FEED_POLL_MS", parse::number(1..=60_000));
    let request_id_retention = reader.get("REQUEST_ID_RETENTION", parse::seconds(86_400));
    let connections = connections(reader);
    let drain_delay = reader.get("DRAIN_DELAY", parse::seconds(0));
    let drain_timeout = reader.get("DRAIN_TIMEOUT", parse::seconds(0));
    let worker_threads = reader.get("WORKER_THREADS", parse::number(0..=1024));
    if let (Some(auth), Some(grpc), Some(http)) = (auth, grpc_listen, http_listen) {
        check_auth(auth, [grpc, http], &mut reader.problems);
    }
    Some(Settings {
        effective: show::effective(reader, cache.as_ref()),
        database: database?,
        cache: cache?,
        connect_timeout: connect_timeout?,
        migrate: migrate?,
        grpc_listen: grpc_listen?,
        http_listen: http_listen?,
        reflection: reflection?,
        web_origins: web_origins?,
        log: Log {
            filter: filter?,
            format: format?,
        },
        otlp_endpoint: otlp_endpoint?,
        service_name: service_name?,
        max_request_bytes: max_request_bytes?,
        max_buffered_bytes: max_buffered_bytes?,
        limits: limits?,
        feed_retention: feed_retention?,
        retention: retention?,
        delivery_workers: delivery_workers?,
        delivery_lease: delivery_lease.map(Duration::from_secs)?,
        delivery_max_attempts: delivery_max_attempts?,
        feed_poll: feed_poll.map(Duration::from_millis)?,
        request_id_retention: request_id_retention?,
        connections: connections?,
        drain_delay: drain_delay?,
        drain_timeout: drain_timeout?,
        worker_threads: worker_threads.map(|threads| (threads > 0).then_some(threads))?,
        read_warnings: reader.warnings.clone(),
    })
}

fn database(reader: &mut Reader) -> Option<parlance_storage::Settings> {
    let url = reader.get("DATABASE_URL", |text| {
        DatabaseUrl::parse(text).map_err(|error| error.to_string())
    });
    let pool_size = reader.get("DATABASE_POOL_SIZE", parse::number(1..=1000));
    let ca_file = reader.get("DATABASE_CA", parse::optional(parse::text));
    let search_language = reader.get("SEARCH_LANGUAGE", parse::language);
    let mut database = parlance_storage::Settings::new(url?);
    let hold = reader.get("HOLD_AFTER_RESTORE", parse::optional(parse::switch))?;
    database.hold_after_restore = hold.unwrap_or(database.hold_after_restore);
    database.pool_size = pool_size?;
    database.ca_file = ca_file?;
    database.search_language = search_language?;
    Some(database)
}

fn limits(reader: &mut Reader) -> Option<Limits> {
    let sms_body_chars = reader.get("SMS_BODY_CHARS", parse::number(1..));
    let body_bytes = reader.get("BODY_BYTES", parse::number(1..));
    let metadata_bytes = reader.get("METADATA_BYTES", parse::number(1..));
    let attachments = reader.get("MAX_ATTACHMENTS", parse::number(0..));
    let attachment_bytes = reader.get("ATTACHMENT_BYTES", parse::number(1..));
    Some(Limits {
        sms_body_chars: sms_body_chars?,
        body_bytes: body_bytes?,
        metadata_bytes: metadata_bytes?,
        attachments: attachments?,
        attachment_bytes: attachment_bytes?,
    })
}

fn connections(reader: &mut Reader) -> Option<Connections> {
    let max_age = reader.get("CONNECTION_MAX_AGE", parse::seconds(1));
    let max_age_grace = reader.get("CONNECTION_MAX_AGE_GRACE", parse::seconds(0));
    let max_concurrent_streams = reader.get("MAX_CONCURRENT_STREAMS", parse::number(1..=100_000));
    let max = reader.get("MAX_CONNECTIONS", parse::number(1..=1_000_000));
    Some(Connections {
        max: max?,
        max_age: max_age?,
        max_age_grace: max_age_grace?,
        max_concurrent_streams: max_concurrent_streams?,
    })
}

/// A single request of the maximum size must fit, also as JSON.
fn check_buffered(buffered: usize, request: usize, problems: &mut Vec<String>) {
    let least = crate::http::json::Limits::of(request).bytes;
    if buffered < least {
        problems.push(format!(
            "MAX_BUFFERED_BYTES is {buffered}, but one request of MAX_REQUEST_BYTES={request} takes up to {least} bytes as JSON: \
             increase MAX_BUFFERED_BYTES or decrease MAX_REQUEST_BYTES"
        ));
    }
}

/// This version cannot authenticate callers. So it refuses `AUTH=on`, and does not listen on a network address by
/// default.
fn check_auth(auth: Option<bool>, addresses: [SocketAddr; 2], problems: &mut Vec<String>) {
    let on = auth.unwrap_or_else(|| addresses.iter().any(|address| !address.ip().is_loopback()));
    if on {
        let why = if auth.is_some() {
            "AUTH is on, which this version does not support"
        } else {
            "a listen address other than loopback requires AUTH=on, which this version does not support"
        };
        problems.push(format!(
            "{why}: set GRPC_LISTEN and HTTP_LISTEN to 127.0.0.1, or set AUTH=off explicitly, behind a proxy that \
             authenticates callers"
        ));
    }
}
