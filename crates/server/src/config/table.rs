//! Table of all settings: the source for reading, checking, `parlance config check` and the documentation.

/// A setting. In `parlance.toml` it has the name of its environment variable in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Name of the environment variable.
    pub name: &'static str,
    /// Default; empty for none.
    pub default: &'static str,
    /// Expected form of a value, for error messages and documentation.
    pub expects: &'static str,
    /// Meaning, for documentation.
    pub help: &'static str,
    /// Whether the value is never shown.
    pub secret: bool,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    expects: &'static str,
    help: &'static str,
) -> Setting {
    Setting {
        name,
        default,
        expects,
        help,
        secret: false,
    }
}

const fn secret(setting: Setting) -> Setting {
    Setting {
        secret: true,
        ..setting
    }
}

const SECONDS: &str = "a whole number of seconds";
const TTL: &str = "a whole number of seconds, at least 1";
const BYTES: &str = "a whole number of bytes, at least 1";
const SWITCH: &str = "on or off";
const ADDRESS: &str = "an address with a port, such as 127.0.0.1:50051";

/// All settings, in the order in which they are shown.
pub const TABLE: &[Setting] = &[
    secret(setting(
        "DATABASE_URL",
        "sqlite://data/parlance.db",
        "sqlite:///path, sqlite://relative/path or postgres://user:password@host/database",
        "Database: a SQLite file or a Postgres server",
    )),
    setting(
        "DATABASE_POOL_SIZE",
        "16",
        "a whole number from 1 to 1000",
        "Maximum number of database connections, in addition to two for the gate of the cache; on SQLite, of \
         connections for reading",
    ),
    setting(
        "DATABASE_CA",
        "",
        "a path",
        "PEM file with CA certificates to trust for Postgres, in addition to the public ones",
    ),
    setting(
        "DATABASE_CONNECT_TIMEOUT",
        "30",
        SECONDS,
        "How long the start retries the first connection to the database",
    ),
    setting(
        "MIGRATE",
        "auto",
        "auto, check or off",
        "Missing migrations at start: `auto` applies them, `check` refuses to start, `off` does not check",
    ),
    setting(
        "SEARCH_LANGUAGE",
        "simple",
        "simple, arabic, danish, dutch, english, finnish, french, german, greek, hungarian, italian, norwegian, portuguese, \
         romanian, russian, spanish, swedish, tamil or turkish",
        "Language of the search: all forms of its words match; with `simple`, words match as written. A change \
         rebuilds the search index (docs/search.md)",
    ),
    secret(setting(
        "REDIS_URL",
        "",
        "redis://user:password@host:port/0, or rediss://... over TLS",
        "Redis server that all instances share",
    )),
    setting(
        "REDIS_HOST",
        "",
        "a host name or an address",
        "Host of the Redis server, instead of `REDIS_URL`",
    ),
    setting("REDIS_PORT", "6379", "a port", "Port of `REDIS_HOST`"),
    setting(
        "REDIS_DB",
        "0",
        "a whole number from 0 to 65535",
        "Database number on `REDIS_HOST`",
    ),
    setting(
        "REDIS_USERNAME",
        "",
        "a name",
        "User name for Redis; also used for a URL without credentials",
    ),
    secret(setting(
        "REDIS_PASSWORD",
        "",
        "a password",
        "Password for Redis; also used for a URL without credentials",
    )),
    secret(setting(
        "REDIS_CLUSTER_URLS",
        "",
        "redis://host:port of some nodes, separated by commas",
        "Nodes of the Redis Cluster that all instances share, instead of a Redis server",
    )),
    setting(
        "REDIS_CA",
        "",
        "a path",
        "PEM file with CA certificates to trust for Redis, instead of the public ones; connections to `REDIS_HOST` \
         then use TLS",
    ),
    setting(
        "CACHE_BACKEND",
        "",
        "memory, redis, hybrid or off",
        "Where values are cached. Default: `hybrid` with a Redis server, `redis` with a Redis Cluster, else `memory` \
         on SQLite and `off` on Postgres",
    ),
    setting(
        "CACHE_DEFAULT_TTL",
        "300",
        TTL,
        "Time to live of messages and conversations in the cache",
    ),
    setting(
        "CACHE_TTL_MESSAGE",
        "",
        TTL,
        "Time to live of messages. Default: `CACHE_DEFAULT_TTL`",
    ),
    setting(
        "CACHE_TTL_CONVERSATION",
        "",
        TTL,
        "Time to live of conversations. Default: `CACHE_DEFAULT_TTL`",
    ),
    setting(
        "CACHE_TTL_MESSAGES",
        "3600",
        TTL,
        "Time to live of the newest messages of a conversation",
    ),
    setting(
        "CACHE_TTL_LIST",
        "300",
        TTL,
        "Time to live of lists of conversations",
    ),
    setting("CACHE_TTL_STATS", "600", TTL, "Time to live of statistics"),
    setting(
        "CACHE_TTL_SEARCH",
        "300",
        TTL,
        "Time to live of search results",
    ),
    setting(
        "CACHE_MAX_MEMORY_SIZE",
        "100000",
        "a whole number from 1 to 100000000",
        "Maximum number of values in the in-process cache",
    ),
    setting(
        "CACHE_MAX_MEMORY_BYTES",
        "268435456",
        BYTES,
        "Maximum total size of the values in the in-process cache",
    ),
    setting(
        "CACHE_MAX_VALUE",
        "65536",
        BYTES,
        "Maximum size of a cached value",
    ),
    setting(
        "CACHE_MAX_STALENESS_MS",
        "0",
        "a whole number of milliseconds, at most 60000",
        "Maximum age of a value in the in-process cache (`hybrid` only); with 0, each read validates the value with \
         Redis",
    ),
    setting(
        "CACHE_PATIENCE_MS",
        "10",
        "a whole number of milliseconds from 1 to 50",
        "How long Redis may send nothing at all before reads continue without it (stall detector). While Redis \
         answers other requests, a request waits for up to 50 ms",
    ),
    setting(
        "CACHE_CLOCK_MARGIN_MS",
        "50",
        "a whole number of milliseconds from 1 to 1000",
        "Maximum drift between the clocks of the database and of an instance within a second. Must be the same for \
         all instances. A larger step of the database clock closes the cache for 3 s",
    ),
    setting(
        "CACHE_WARM_ON_START",
        "0",
        "a whole number from 0 to 10000",
        "Number of most recently active conversations to load into the cache after the start",
    ),
    setting(
        "CACHE_WARM_SEARCHES",
        "",
        "a comma-separated list of up to 100 search words or phrases, each of up to 256 bytes",
        "Searches to run for the owners and users of the conversations of `CACHE_WARM_ON_START` after the start, and \
         on `WarmCache`",
    ),
    setting(
        "CACHE_AUDIT_INTERVAL",
        "30",
        "a whole number of seconds; 0 for never",
        "Interval at which recently read values of the cache are compared with the database",
    ),
    setting(
        "GRPC_LISTEN",
        "127.0.0.1:50051",
        ADDRESS,
        "Listen address of gRPC and gRPC-Web; port 0 selects a free port",
    ),
    setting(
        "HTTP_LISTEN",
        "127.0.0.1:8080",
        ADDRESS,
        "Listen address of JSON, the page, health checks and metrics; port 0 selects a free port",
    ),
    setting(
        "AUTH",
        "",
        SWITCH,
        "Whether callers must authenticate. Default: `off` if both listen addresses are loopback, else `on`",
    ),
    setting(
        "REFLECTION",
        "on",
        SWITCH,
        "Whether gRPC server reflection is on (grpcurl, buf curl)",
    ),
    setting(
        "GRPC_WEB_ORIGINS",
        "loopback",
        "loopback, *, or origins separated by commas, such as https://app.example.com",
        "Web origins that may call by gRPC-Web or JSON; `loopback` allows pages of this machine",
    ),
    setting(
        "RUST_LOG",
        "info",
        "a level or a filter, such as info,parlance_app=debug",
        "Log level or filter",
    ),
    setting(
        "LOG_FORMAT",
        "text",
        "text or json",
        "Format of log lines, which are written to stderr",
    ),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "a URL, such as http://127.0.0.1:4317",
        "Endpoint for traces (OTLP over gRPC); without it no traces are recorded",
    ),
    setting(
        "OTEL_SERVICE_NAME",
        "parlance",
        "a name",
        "Service name in traces and metrics",
    ),
    setting(
        "MAX_REQUEST_BYTES",
        "4194304",
        BYTES,
        "Maximum size of a request",
    ),
    setting(
        "MAX_BUFFERED_BYTES",
        "268435456",
        BYTES,
        "Maximum total size of the requests in memory. Above it, the slowest uploads of requests are ended, and \
         others wait for up to 5 seconds",
    ),
    setting(
        "SMS_BODY_CHARS",
        "1600",
        "a whole number, at least 1",
        "Maximum length of an SMS or MMS body in characters",
    ),
    setting(
        "BODY_BYTES",
        "262144",
        BYTES,
        "Maximum size of any other body, and of an HTML body",
    ),
    setting(
        "METADATA_BYTES",
        "16384",
        BYTES,
        "Maximum size of the metadata of a message or conversation as JSON",
    ),
    setting(
        "MAX_ATTACHMENTS",
        "10",
        "a whole number",
        "Maximum number of attachments of a message",
    ),
    setting(
        "ATTACHMENT_BYTES",
        "26214400",
        BYTES,
        "Maximum size of an attachment",
    ),
    setting(
        "FEED_RETENTION",
        "86400",
        SECONDS,
        "How long events are kept for watchers that reconnect",
    ),
    setting(
        "RETENTION_DAYS",
        "0",
        "a whole number of days; 0 for ever",
        "How long messages are kept, and conversations after their last message. Older ones are deleted, except \
         messages that are still to be sent",
    ),
    setting(
        "DELIVERY_WORKERS",
        "64",
        "a whole number from 0 to 10000",
        "Maximum number of concurrent hand-overs to providers; with 0, this instance delivers nothing",
    ),
    setting(
        "DELIVERY_LEASE",
        "15",
        "a whole number of seconds from 11 to 3600",
        "Lease of a delivery worker on a message. When it expires, another worker takes over, so it must be longer \
         than a provider call may take",
    ),
    setting(
        "DELIVERY_MAX_ATTEMPTS",
        "10",
        "a whole number from 1 to 1000",
        "Maximum number of hand-overs of a message; after the last one it is FAILED",
    ),
    setting(
        "HOLD_AFTER_RESTORE",
        "",
        SWITCH,
        "Whether pending messages of a restored or promoted database, which may have been sent before, are held until \
         `parlance release`. Default: `on` for Postgres, `off` for SQLite",
    ),
    setting(
        "FEED_POLL_MS",
        "25",
        "a whole number of milliseconds from 1 to 60000",
        "Interval at which the feed is polled for changes by other instances",
    ),
    setting(
        "REQUEST_ID_RETENTION",
        "172800",
        "a whole number of seconds, at least 86400",
        "How long a `request_id` is remembered; clients rely on a day",
    ),
    setting(
        "CONNECTION_MAX_AGE",
        "1800",
        "a whole number of seconds, at least 1",
        "Age, plus or minus a tenth, at which a client is asked to reconnect, so that load is distributed",
    ),
    setting(
        "CONNECTION_MAX_AGE_GRACE",
        "30",
        SECONDS,
        "How long calls may continue after `CONNECTION_MAX_AGE` before the connection is closed",
    ),
    setting(
        "MAX_CONCURRENT_STREAMS",
        "256",
        "a whole number from 1 to 100000",
        "Maximum number of concurrent calls per connection; 16 times as many may be cancelled within a second",
    ),
    setting(
        "MAX_CONNECTIONS",
        "10000",
        "a whole number from 1 to 1000000",
        "Maximum number of open connections on both ports together; the limit of open files is raised as far as \
         possible and lowers it if necessary",
    ),
    setting(
        "DRAIN_DELAY",
        "5",
        SECONDS,
        "How long calls are still accepted after SIGTERM or SIGINT, while the readiness check already fails; a second \
         signal ends the delay",
    ),
    setting(
        "DRAIN_TIMEOUT",
        "20",
        SECONDS,
        "How long calls may continue after `DRAIN_DELAY`",
    ),
    setting(
        "WORKER_THREADS",
        "0",
        "a whole number from 0 to 1024",
        "Number of worker threads; 0 for one per core",
    ),
];

/// Names of settings that this version does not read. A warning names one that is set, since the operator expects an
/// effect.
const UNUSED_NAMES: &[&str] = &["SMTP_URL", "WEBHOOK_LISTEN", "PUBLIC_URL"];
const UNUSED_PREFIXES: &[&str] = &["TWILIO_", "SENDGRID_", "TLS_", "JWT_"];

/// Returns the setting of that name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// Whether the name is a setting of the product that this version does not read.
pub(super) fn is_unused(name: &str) -> bool {
    UNUSED_NAMES.contains(&name)
        || UNUSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Returns the most similar setting, if it is similar enough to be a suggestion.
pub(super) fn most_similar(name: &str) -> Option<&'static str> {
    closest(name).filter(|other| strsim::jaro_winkler(name, other) > 0.8)
}

fn closest(name: &str) -> Option<&'static str> {
    let similarity = |other: &str| strsim::jaro_winkler(name, other);
    TABLE
        .iter()
        .map(|setting| setting.name)
        .max_by(|a, b| similarity(a).total_cmp(&similarity(b)))
}

/// Prefixes that other programs do not use for their variables. They do use `HTTP_`, `GRPC_`, `LOG_` and `OTEL_`.
const PREFIXES: &[&str] = &["CACHE_", "REDIS_", "DATABASE_", "DELIVERY_", "FEED_"];

/// Variables that other services read instead of a URL.
const PARTS_OF_DATABASE_URL: &[&str] = &[
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_PASSWORD",
    "DATABASE_PORT",
    "DATABASE_USER",
    "DATABASE_USERNAME",
];

/// Returns the setting that a variable with a misspelt name probably means.
pub(super) fn misspelt(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let close = TABLE
        .iter()
        .map(|setting| (strsim::osa_distance(&upper, setting.name), setting.name))
        // Two letters are half of a short name: PATH is not a misspelt AUTH.
        .filter(|(distance, setting)| {
            *distance <= setting.len().saturating_sub(4).div_ceil(3).min(2)
        })
        .min()
        .map(|(_, setting)| setting);
    if PARTS_OF_DATABASE_URL.contains(&upper.as_str()) {
        return Some("DATABASE_URL");
    }
    let has_prefix = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    close.or_else(|| has_prefix.then(|| closest(name)).flatten())
}

/// The table as Markdown, for `docs/configuration.md`.
pub fn markdown() -> String {
    let mut lines = vec![
        "| variable | default | value | meaning |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    lines.extend(TABLE.iter().map(|setting| {
        let Setting {
            name,
            default,
            expects,
            help,
            secret: _,
        } = setting;
        let default = if default.is_empty() {
            String::new()
        } else {
            format!("`{default}`")
        };
        format!("| `{name}` | {default} | {expects} | {help} |")
    }));
    lines.join("\n") + "\n"
}
