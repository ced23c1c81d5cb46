//! Table of all settings: the source for reading, checking, `parlance config check` and the documentation.
//!
//! To add a setting, add a row and use its field of [`Settings`]:
//!
//! ```text
//! /// Meaning, for the documentation
//! "NAME" = "default" => field: Type,
//!     parser, "expected form of a value";
//! ```
//!
//! `secret` before the name hides the value in all output. What follows from several settings is a method of [`Settings`], next
//! to the check that they fit together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use parlance_cache::Backend;
use parlance_domain::search::Language;
use parlance_providers::Secret;
use parlance_transport::layers::WebOrigins;

use super::read::Reader;
use super::setting::{EffectiveSetting, Setting};
use super::values::{LogFormat, Migrate};
use super::{DatabaseUrl, TwilioCredentials, parse};

macro_rules! is_secret {
    () => {
        false
    };
    (secret) => {
        true
    };
}

/// Declares [`TABLE`] and [`Settings`], with one entry and one field for each row.
macro_rules! settings {
    ($(
        $(#[doc = $help:literal])+
        $($secret:ident)? $name:literal = $default:literal => $field:ident: $type:ty,
            $parse:expr, $expects:expr;
    )+) => {
        /// All settings, in the order in which they are shown.
        pub const TABLE: &[Setting] = &[$(
            Setting {
                name: $name,
                default: $default,
                expects: $expects,
                help: concat!($($help),+).trim_ascii_start(),
                secret: is_secret!($($secret)?),
            },
        )+];

        /// Configuration of the service: the values of all settings.
        #[derive(Clone)]
        pub struct Settings {
            $(
                $(#[doc = $help])+
                pub $field: $type,
            )+
            /// Credentials of Twilio accounts: those of the settings `TWILIO_...`, and those of the file.
            pub twilio: Vec<TwilioCredentials>,
            pub(super) effective: Vec<EffectiveSetting>,
            pub(super) read_warnings: Vec<String>,
        }

        impl Settings {
            /// Reads all settings. A setting with an invalid value has its default, and the reader records a problem.
            pub(super) fn read(reader: &mut Reader) -> Option<Self> {
                // The fields are read in the order of the table.
                let mut rows = TABLE.iter();
                Some(Self {
                    $($field: reader.get::<$type>(rows.next()?, $parse)?,)+
                    twilio: Vec::new(),
                    effective: Vec::new(),
                    read_warnings: Vec::new(),
                })
            }
        }
    };
}

const SECONDS: &str = "a whole number of seconds";
const TTL: &str = "a whole number of seconds, at least 1";
const BYTES: &str = "a whole number of bytes, at least 1";
const SWITCH: &str = "on or off";
const ADDRESS: &str = "an address with a port, such as 127.0.0.1:50051";

settings! {
    /// Database: a SQLite file or a Postgres server
    secret "DATABASE_URL" = "sqlite://data/parlance.db" => database_url: DatabaseUrl,
        parse::database_url, "sqlite:///path, sqlite://relative/path or postgres://user:password@host/database";

    /// Maximum number of database connections, in addition to two for the gate of the cache; on SQLite, of connections
    /// for reading
    "DATABASE_POOL_SIZE" = "16" => database_pool_size: u32,
        parse::number(1..=1000), "a whole number from 1 to 1000";

    /// PEM file with CA certificates to trust for Postgres, in addition to the public ones
    "DATABASE_CA" = "" => database_ca: Option<PathBuf>,
        parse::optional(parse::text), "a path";

    /// How long the start retries the first connection to the database
    "DATABASE_CONNECT_TIMEOUT" = "30" => database_connect_timeout: Duration,
        parse::seconds(0), SECONDS;

    /// Missing migrations at start: `auto` applies them, `check` refuses to start, `off` does not check
    "MIGRATE" = "auto" => migrate: Migrate,
        parse::migrate, "auto, check or off";

    /// Language of the search: all forms of its words match; with `simple`, words match as written. A change rebuilds
    /// the search index (docs/search.md)
    "SEARCH_LANGUAGE" = "simple" => search_language: Language,
        parse::language,
        "simple, arabic, danish, dutch, english, finnish, french, german, greek, hungarian, italian, norwegian, portuguese, \
         romanian, russian, spanish, swedish, tamil or turkish";

    /// Redis server that all instances share
    secret "REDIS_URL" = "" => redis_url: Option<String>,
        parse::optional(parse::redis_url), "redis://user:password@host:port/0, or rediss://... over TLS";

    /// Host of the Redis server, instead of `REDIS_URL`
    "REDIS_HOST" = "" => redis_host: Option<String>,
        parse::optional(parse::host), "a host name or an address";

    /// Port of `REDIS_HOST`
    "REDIS_PORT" = "6379" => redis_port: u16,
        parse::number(1..), "a port";

    /// Database number on `REDIS_HOST`
    "REDIS_DB" = "0" => redis_db: u16,
        parse::number(0..), "a whole number from 0 to 65535";

    /// User name for Redis; also used for a URL without credentials
    "REDIS_USERNAME" = "" => redis_username: Option<String>,
        parse::optional(parse::text), "a name";

    /// Password for Redis; also used for a URL without credentials
    secret "REDIS_PASSWORD" = "" => redis_password: Option<String>,
        parse::optional(parse::text), "a password";

    /// Nodes of the Redis Cluster that all instances share, instead of a Redis server
    secret "REDIS_CLUSTER_URLS" = "" => redis_cluster_urls: Option<Vec<String>>,
        parse::optional(parse::redis_urls), "redis://host:port of some nodes, separated by commas";

    /// PEM file with CA certificates to trust for Redis, instead of the public ones; connections to `REDIS_HOST` then
    /// use TLS
    "REDIS_CA" = "" => redis_ca: Option<PathBuf>,
        parse::optional(parse::text), "a path";

    /// Where values are cached. Default: `hybrid` with a Redis server, `redis` with a Redis Cluster, else `memory` on
    /// SQLite and `off` on Postgres
    "CACHE_BACKEND" = "" => cache_backend: Option<Backend>,
        parse::optional(parse::backend), "memory, redis, hybrid or off";

    /// Time to live of messages and conversations in the cache
    "CACHE_DEFAULT_TTL" = "300" => cache_default_ttl: Duration,
        parse::seconds(1), TTL;

    /// Time to live of messages. Default: `CACHE_DEFAULT_TTL`
    "CACHE_TTL_MESSAGE" = "" => cache_ttl_message: Option<Duration>,
        parse::optional(parse::seconds(1)), TTL;

    /// Time to live of conversations. Default: `CACHE_DEFAULT_TTL`
    "CACHE_TTL_CONVERSATION" = "" => cache_ttl_conversation: Option<Duration>,
        parse::optional(parse::seconds(1)), TTL;

    /// Time to live of the newest messages of a conversation
    "CACHE_TTL_MESSAGES" = "3600" => cache_ttl_messages: Duration,
        parse::seconds(1), TTL;

    /// Time to live of lists of conversations
    "CACHE_TTL_LIST" = "300" => cache_ttl_list: Duration,
        parse::seconds(1), TTL;

    /// Time to live of statistics
    "CACHE_TTL_STATS" = "600" => cache_ttl_stats: Duration,
        parse::seconds(1), TTL;

    /// Time to live of search results
    "CACHE_TTL_SEARCH" = "300" => cache_ttl_search: Duration,
        parse::seconds(1), TTL;

    /// Maximum number of values in the in-process cache
    "CACHE_MAX_MEMORY_SIZE" = "100000" => cache_max_memory_size: usize,
        parse::number(1..=100_000_000), "a whole number from 1 to 100000000";

    /// Maximum total size of the values in the in-process cache
    "CACHE_MAX_MEMORY_BYTES" = "268435456" => cache_max_memory_bytes: usize,
        parse::number(1..), BYTES;

    /// Maximum size of a cached value
    "CACHE_MAX_VALUE" = "65536" => cache_max_value: usize,
        parse::number(1..), BYTES;

    /// Maximum age of a value in the in-process cache (`hybrid` only); with 0, each read validates the value with Redis
    "CACHE_MAX_STALENESS_MS" = "0" => cache_max_staleness: Duration,
        parse::millis(0..=60_000), "a whole number of milliseconds, at most 60000";

    /// How long Redis may send nothing at all before reads continue without it (stall detector). While Redis answers
    /// other requests, a request waits for up to 50 ms
    "CACHE_PATIENCE_MS" = "10" => cache_patience: Duration,
        parse::millis(1..=50), "a whole number of milliseconds from 1 to 50";

    /// Maximum drift between the clocks of the database and of an instance within a second. Must be the same for all
    /// instances. A larger step of the database clock closes the cache for 3 s
    "CACHE_CLOCK_MARGIN_MS" = "50" => cache_clock_margin: Duration,
        parse::millis(1..=1_000), "a whole number of milliseconds from 1 to 1000";

    /// Number of most recently active conversations to load into the cache after the start
    "CACHE_WARM_ON_START" = "0" => cache_warm_on_start: usize,
        parse::number(0..=10_000), "a whole number from 0 to 10000";

    /// Searches to run for the owners and users of the conversations of `CACHE_WARM_ON_START` after the start, and on
    /// `WarmCache`
    "CACHE_WARM_SEARCHES" = "" => cache_warm_searches: Vec<String>,
        parse::searches, "a comma-separated list of up to 100 search words or phrases, each of up to 256 bytes";

    /// Interval at which recently read values of the cache are compared with the database
    "CACHE_AUDIT_INTERVAL" = "30" => cache_audit_interval: Option<Duration>,
        parse::unless_zero(parse::seconds(0)), "a whole number of seconds; 0 for never";

    /// Listen address of gRPC and gRPC-Web; port 0 selects a free port
    "GRPC_LISTEN" = "127.0.0.1:50051" => grpc_listen: SocketAddr,
        parse::address, ADDRESS;

    /// Listen address of JSON, the page, health checks, metrics and webhooks; port 0 selects a free port
    "HTTP_LISTEN" = "127.0.0.1:8080" => http_listen: SocketAddr,
        parse::address, ADDRESS;

    /// Listen address of the webhooks of providers; port 0 selects a free port. Without it they are on `HTTP_LISTEN`
    "WEBHOOK_LISTEN" = "" => webhook_listen: Option<SocketAddr>,
        parse::optional(parse::address), "an address with a port, such as 0.0.0.0:8081";

    /// URL at which providers reach the webhooks; signatures are verified with it. Default: the address of the webhooks
    "PUBLIC_URL" = "" => public_url: Option<String>,
        parse::optional(parse::public_url), "a URL, which may have a path, such as https://chat.example.com/parlance";

    /// SID of the Twilio account. With it the credentials named `twilio` exist; more accounts are tables in the file
    "TWILIO_ACCOUNT_SID" = "" => twilio_account_sid: Option<String>,
        parse::optional(parse::account_sid), "AC and letters and digits";

    /// Auth token of the Twilio account: for calls without an API key, and for signatures of webhooks
    secret "TWILIO_AUTH_TOKEN" = "" => twilio_auth_token: Option<Secret>,
        parse::optional(parse::secret), "a secret without spaces";

    /// Second auth token of the Twilio account: valid for signatures of webhooks during a rotation
    secret "TWILIO_SECONDARY_AUTH_TOKEN" = "" => twilio_secondary_auth_token: Option<Secret>,
        parse::optional(parse::secret), "a secret without spaces";

    /// SID of an API key of the Twilio account: for calls, together with `TWILIO_API_SECRET`
    "TWILIO_API_KEY" = "" => twilio_api_key: Option<String>,
        parse::optional(parse::api_key), "SK and letters and digits";

    /// Secret of `TWILIO_API_KEY`
    secret "TWILIO_API_SECRET" = "" => twilio_api_secret: Option<Secret>,
        parse::optional(parse::secret), "a secret without spaces";

    /// Shared keys of the Twilio account, which sign webhooks that a webhook rule matches
    secret "TWILIO_SHARED_KEYS" = "" => twilio_shared_keys: Option<Vec<(String, Secret)>>,
        parse::optional(parse::shared_keys), "name=secret, separated by commas";

    /// Base URL of the Twilio API
    "TWILIO_BASE_URL" = "" => twilio_base_url: Option<String>,
        parse::optional(parse::base_url), "a URL without a path, such as https://api.twilio.com";

    /// Authentication of callers, which this version does not have: `on` prevents the start. `off`, the default while
    /// both listen addresses are loopback, must be set explicitly for other addresses: only behind a proxy that
    /// authenticates callers and sets `x-parlance-owner`
    "AUTH" = "" => auth: Option<bool>,
        parse::optional(parse::switch), SWITCH;

    /// Whether gRPC server reflection is on (grpcurl, buf curl)
    "REFLECTION" = "on" => reflection: bool,
        parse::switch, SWITCH;

    /// Web origins that may call by gRPC-Web or JSON; `loopback` allows pages of this machine
    "GRPC_WEB_ORIGINS" = "loopback" => grpc_web_origins: WebOrigins,
        parse::origins, "loopback, *, or origins separated by commas, such as https://app.example.com";

    /// Log level or filter
    "RUST_LOG" = "info" => log_filter: String,
        parse::log_filter, "a level or a filter, such as info,parlance_app=debug";

    /// Format of log lines, which are written to stderr
    "LOG_FORMAT" = "text" => log_format: LogFormat,
        parse::log_format, "text or json";

    /// Endpoint for traces (OTLP over gRPC); without it no traces are recorded
    "OTEL_EXPORTER_OTLP_ENDPOINT" = "" => otlp_endpoint: Option<String>,
        parse::optional(parse::endpoint), "a URL, such as http://127.0.0.1:4317";

    /// Service name in traces and metrics
    "OTEL_SERVICE_NAME" = "parlance" => service_name: String,
        parse::text, "a name";

    /// Maximum size of a request
    "MAX_REQUEST_BYTES" = "4194304" => max_request_bytes: usize,
        parse::number(1..=1 << 30), BYTES;

    /// Maximum total size of the requests in memory. Above it, the slowest uploads of requests are ended, and others
    /// wait for up to 5 seconds
    "MAX_BUFFERED_BYTES" = "268435456" => max_buffered_bytes: usize,
        parse::number(1..), BYTES;

    /// Maximum length of an SMS or MMS body in characters
    "SMS_BODY_CHARS" = "1600" => sms_body_chars: usize,
        parse::number(1..), "a whole number, at least 1";

    /// Maximum size of any other body, and of an HTML body
    "BODY_BYTES" = "262144" => body_bytes: usize,
        parse::number(1..), BYTES;

    /// Maximum size of the metadata of a message or conversation as JSON
    "METADATA_BYTES" = "16384" => metadata_bytes: usize,
        parse::number(1..), BYTES;

    /// Maximum number of attachments of a message
    "MAX_ATTACHMENTS" = "10" => max_attachments: usize,
        parse::number(0..), "a whole number";

    /// Maximum size of an attachment
    "ATTACHMENT_BYTES" = "26214400" => attachment_bytes: u64,
        parse::number(1..), BYTES;

    /// How long events are kept for watchers that reconnect
    "FEED_RETENTION" = "86400" => feed_retention: Duration,
        parse::seconds(0), SECONDS;

    /// How long messages are kept, and conversations after their last message. Older ones are deleted, except messages
    /// that are still to be sent
    "RETENTION_DAYS" = "0" => retention: Option<Duration>,
        parse::unless_zero(parse::days), "a whole number of days; 0 for ever";

    /// Maximum number of concurrent hand-overs to providers; with 0, this instance delivers nothing
    "DELIVERY_WORKERS" = "64" => delivery_workers: usize,
        parse::number(0..=10_000), "a whole number from 0 to 10000";

    /// Maximum time of a call to a provider; after it the answer counts as lost
    "DELIVERY_PROVIDER_TIMEOUT" = "10" => delivery_provider_timeout: Duration,
        parse::seconds_within(1..=3_599), "a whole number of seconds from 1 to 3599";

    /// Lease of a delivery worker on a message. When it expires, another worker takes over, so it must be longer than
    /// `DELIVERY_PROVIDER_TIMEOUT`
    "DELIVERY_LEASE" = "15" => delivery_lease: Duration,
        parse::seconds_within(11..=3_600), "a whole number of seconds from 11 to 3600";

    /// Maximum number of hand-overs of a message; after the last one it is FAILED
    "DELIVERY_MAX_ATTEMPTS" = "10" => delivery_max_attempts: i32,
        parse::number(1..=1_000), "a whole number from 1 to 1000";

    /// Whether pending messages of a restored or promoted database, which may have been sent before, are held until
    /// `parlance release`. Default: `on` for Postgres, `off` for SQLite
    "HOLD_AFTER_RESTORE" = "" => hold_after_restore: Option<bool>,
        parse::optional(parse::switch), SWITCH;

    /// Interval at which the feed is polled for changes by other instances
    "FEED_POLL_MS" = "25" => feed_poll: Duration,
        parse::millis(1..=60_000), "a whole number of milliseconds from 1 to 60000";

    /// How long a `request_id` is remembered; clients rely on a day
    "REQUEST_ID_RETENTION" = "172800" => request_id_retention: Duration,
        parse::seconds(86_400), "a whole number of seconds, at least 86400";

    /// Age, plus or minus a tenth, at which a client is asked to reconnect, so that load is distributed
    "CONNECTION_MAX_AGE" = "1800" => connection_max_age: Duration,
        parse::seconds(1), "a whole number of seconds, at least 1";

    /// How long calls may continue after `CONNECTION_MAX_AGE` before the connection is closed
    "CONNECTION_MAX_AGE_GRACE" = "30" => connection_max_age_grace: Duration,
        parse::seconds(0), SECONDS;

    /// Maximum number of concurrent calls per connection; 16 times as many may be cancelled within a second
    "MAX_CONCURRENT_STREAMS" = "256" => max_concurrent_streams: u32,
        parse::number(1..=100_000), "a whole number from 1 to 100000";

    /// Maximum number of open connections on both ports together; the limit of open files is raised as far as possible
    /// and lowers it if necessary
    "MAX_CONNECTIONS" = "10000" => max_connections: u32,
        parse::number(1..=1_000_000), "a whole number from 1 to 1000000";

    /// How long calls are still accepted after SIGTERM or SIGINT, while the readiness check already fails; a second
    /// signal ends the delay
    "DRAIN_DELAY" = "5" => drain_delay: Duration,
        parse::seconds(0), SECONDS;

    /// How long calls may continue after `DRAIN_DELAY`
    "DRAIN_TIMEOUT" = "20" => drain_timeout: Duration,
        parse::seconds(0), SECONDS;

    /// Number of worker threads; 0 for one per core
    "WORKER_THREADS" = "0" => worker_threads: Option<usize>,
        parse::unless_zero(parse::number(0..=1024)), "a whole number from 0 to 1024";
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
