//! Every setting, once: reading, checking, `parlance config check` and the documentation come from this table.

/// One setting, by the name of its environment variable. In `parlance.toml` it has the same name in lower case.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The variable.
    pub name: &'static str,
    /// What holds without it; empty for nothing.
    pub default: &'static str,
    /// What a value must be.
    pub expects: &'static str,
    /// What it is for.
    pub help: &'static str,
    /// Whether its value is never shown.
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

/// All of them, in the order in which they are shown.
pub const TABLE: &[Setting] = &[
    secret(setting(
        "DATABASE_URL",
        "sqlite://data/parlance.db",
        "sqlite:///path, sqlite://relative/path or postgres://user:password@host/database",
        "where everything is kept",
    )),
    setting(
        "DATABASE_POOL_SIZE",
        "16",
        "a whole number from 1 to 1000",
        "most connections to the database besides two for the cache's gate; on SQLite the readers",
    ),
    setting(
        "DATABASE_CA",
        "",
        "a path",
        "a PEM file of certificates to trust for Postgres, besides the public ones",
    ),
    setting(
        "DATABASE_CONNECT_TIMEOUT",
        "30",
        SECONDS,
        "how long the start keeps trying to reach the database",
    ),
    setting(
        "MIGRATE",
        "auto",
        "auto, check or off",
        "at start: apply missing migrations, refuse to start while some are missing, or do not look",
    ),
    setting(
        "SEARCH_LANGUAGE",
        "simple",
        "simple, arabic, danish, dutch, english, finnish, french, german, greek, hungarian, italian, norwegian, portuguese, \
         romanian, russian, spanish, swedish, tamil or turkish",
        "the language whose words are searched in all their forms; simple: as they are written; another one than before makes \
         the index anew (docs/search.md)",
    ),
    secret(setting(
        "REDIS_URL",
        "",
        "redis://user:password@host:port/0, or rediss://... over TLS",
        "the Redis that instances share",
    )),
    setting(
        "REDIS_HOST",
        "",
        "a host name or an address",
        "the same, in parts",
    ),
    setting("REDIS_PORT", "6379", "a port", "its port"),
    setting(
        "REDIS_DB",
        "0",
        "a whole number from 0 to 65535",
        "the number of its database",
    ),
    setting(
        "REDIS_USERNAME",
        "",
        "a name",
        "who we are to it; for a URL without a name, too",
    ),
    secret(setting(
        "REDIS_PASSWORD",
        "",
        "a password",
        "how we prove it; for a URL without a password, too",
    )),
    secret(setting(
        "REDIS_CLUSTER_URLS",
        "",
        "redis://host:port of some nodes, separated by commas",
        "the Redis Cluster that instances share, in place of one Redis",
    )),
    setting(
        "REDIS_CA",
        "",
        "a path",
        "a PEM file of certificates to trust for Redis in place of the public ones; REDIS_HOST is then spoken to over TLS",
    ),
    setting(
        "CACHE_BACKEND",
        "",
        "memory, redis, hybrid or off",
        "where values are cached; hybrid where Redis is configured, else memory on SQLite and off on Postgres",
    ),
    setting(
        "CACHE_DEFAULT_TTL",
        "300",
        TTL,
        "how long messages and conversations stay cached",
    ),
    setting(
        "CACHE_TTL_MESSAGE",
        "",
        TTL,
        "how long messages do; CACHE_DEFAULT_TTL without it",
    ),
    setting(
        "CACHE_TTL_CONVERSATION",
        "",
        TTL,
        "how long conversations do; CACHE_DEFAULT_TTL without it",
    ),
    setting(
        "CACHE_TTL_MESSAGES",
        "3600",
        TTL,
        "how long the newest messages of a conversation do",
    ),
    setting(
        "CACHE_TTL_LIST",
        "300",
        "a whole number of seconds, at least 1",
        "how long lists of conversations do",
    ),
    setting(
        "CACHE_TTL_STATS",
        "600",
        "a whole number of seconds, at least 1",
        "how long statistics do",
    ),
    setting(
        "CACHE_TTL_SEARCH",
        "300",
        "a whole number of seconds, at least 1",
        "how long searches do",
    ),
    setting(
        "CACHE_MAX_MEMORY_SIZE",
        "100000",
        "a whole number from 1 to 100000000",
        "most values in this process",
    ),
    setting(
        "CACHE_MAX_MEMORY_BYTES",
        "268435456",
        BYTES,
        "most bytes of them",
    ),
    setting(
        "CACHE_MAX_VALUE",
        "65536",
        BYTES,
        "bytes of the largest value that is cached",
    ),
    setting(
        "CACHE_MAX_STALENESS_MS",
        "0",
        "a whole number of milliseconds, at most 60000",
        "hybrid: how old a value in this process may be; 0 asks Redis each time whether it still holds",
    ),
    setting(
        "CACHE_PATIENCE_MS",
        "10",
        "a whole number of milliseconds from 1 to 50",
        "how long nothing at all may come from Redis before reads go on without it; while it answers others, each waits for up to 50 ms",
    ),
    setting(
        "CACHE_CLOCK_MARGIN_MS",
        "50",
        "a whole number of milliseconds from 1 to 1000",
        "how far the clocks of the database and of an instance may drift apart within a second, the same for all instances; a larger step of the database's clock shuts the cache for 3 s",
    ),
    setting(
        "CACHE_WARM_ON_START",
        "0",
        "a whole number from 0 to 10000",
        "so many of the most recently active conversations are read into the cache after the start",
    ),
    setting(
        "CACHE_WARM_SEARCHES",
        "0",
        "a whole number from 0 to 1000",
        "so many of the searches that are asked most are asked again after the start; 0 also notes none, and forgets those that were noted",
    ),
    setting(
        "CACHE_AUDIT_INTERVAL",
        "30",
        "a whole number of seconds; 0 for never",
        "how often values that were hit of late are compared with the database",
    ),
    setting(
        "GRPC_LISTEN",
        "127.0.0.1:50051",
        ADDRESS,
        "where gRPC and gRPC-Web are served; port 0 takes a free one",
    ),
    setting(
        "HTTP_LISTEN",
        "127.0.0.1:8080",
        ADDRESS,
        "where JSON, the page, health and metrics are served; port 0 takes a free one",
    ),
    setting(
        "AUTH",
        "",
        SWITCH,
        "whether callers must prove who they are; off where both addresses are loopback, else on",
    ),
    setting(
        "REFLECTION",
        "on",
        SWITCH,
        "whether clients may ask for the contract (grpcurl, buf curl)",
    ),
    setting(
        "GRPC_WEB_ORIGINS",
        "loopback",
        "loopback, *, or origins separated by commas, such as https://app.example.com",
        "which web pages may call by gRPC-Web or JSON; loopback: those of this machine",
    ),
    setting(
        "RUST_LOG",
        "info",
        "a level or a filter, such as info,parlance_app=debug",
        "what is logged",
    ),
    setting(
        "LOG_FORMAT",
        "text",
        "text or json",
        "how log lines look; they go to the standard error output",
    ),
    setting(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "",
        "a URL, such as http://127.0.0.1:4317",
        "where traces go, by OTLP over gRPC; without it none are made",
    ),
    setting(
        "OTEL_SERVICE_NAME",
        "parlance",
        "a name",
        "the name in traces and metrics",
    ),
    setting("MAX_REQUEST_BYTES", "4194304", BYTES, "largest request"),
    setting(
        "MAX_BUFFERED_BYTES",
        "268435456",
        BYTES,
        "bytes of all requests in memory; beyond it requests that arrive slowest are ended, and others wait for up to 5 seconds",
    ),
    setting(
        "SMS_BODY_CHARS",
        "1600",
        "a whole number, at least 1",
        "characters of an SMS or MMS body",
    ),
    setting(
        "BODY_BYTES",
        "262144",
        BYTES,
        "bytes of any other body, and of an HTML body",
    ),
    setting(
        "METADATA_BYTES",
        "16384",
        BYTES,
        "bytes of a message's or conversation's metadata as JSON",
    ),
    setting(
        "MAX_ATTACHMENTS",
        "10",
        "a whole number",
        "attachments of one message",
    ),
    setting(
        "ATTACHMENT_BYTES",
        "26214400",
        BYTES,
        "bytes of one attachment",
    ),
    setting(
        "FEED_RETENTION",
        "86400",
        SECONDS,
        "how long events are kept for watchers who were away",
    ),
    setting(
        "RETENTION_DAYS",
        "0",
        "a whole number of days; 0 for ever",
        "how long messages are kept, and conversations after their last one; older ones are deleted, except what is still to leave",
    ),
    setting(
        "DELIVERY_WORKERS",
        "64",
        "a whole number from 0 to 10000",
        "messages that are handed to providers at once; 0: this instance delivers nothing",
    ),
    setting(
        "DELIVERY_LEASE",
        "15",
        "a whole number of seconds from 11 to 3600",
        "how long a worker keeps a message; after it another takes over, so it is longer than a provider may take",
    ),
    setting(
        "DELIVERY_MAX_ATTEMPTS",
        "10",
        "a whole number from 1 to 1000",
        "how often a message is handed over before it has failed",
    ),
    setting(
        "HOLD_AFTER_RESTORE",
        "",
        SWITCH,
        "whether messages that wait in a restored or promoted database, and may have left before, are held until \
         `parlance release`; on on Postgres, off on SQLite",
    ),
    setting(
        "FEED_POLL_MS",
        "25",
        "a whole number of milliseconds, at least 1",
        "how often the feed is read for what other instances wrote",
    ),
    setting(
        "REQUEST_ID_RETENTION",
        "172800",
        "a whole number of seconds, at least 86400",
        "how long a request_id is remembered; clients rely on a day",
    ),
    setting(
        "CONNECTION_MAX_AGE",
        "1800",
        "a whole number of seconds, at least 1",
        "after this, give or take a tenth, a client is asked to connect anew, so that load spreads",
    ),
    setting(
        "CONNECTION_MAX_AGE_GRACE",
        "30",
        SECONDS,
        "how long calls may then go on before the connection is closed",
    ),
    setting(
        "MAX_CONCURRENT_STREAMS",
        "256",
        "a whole number from 1 to 100000",
        "calls at a time on one connection; 16 times as many may be cancelled at once in a second",
    ),
    setting(
        "MAX_CONNECTIONS",
        "10000",
        "a whole number from 1 to 1000000",
        "open connections of both ports; at most what the limit of open files allows, which is raised to it where possible",
    ),
    setting(
        "DRAIN_DELAY",
        "5",
        SECONDS,
        "how long calls are still accepted after SIGTERM or SIGINT, while health already says no; a second signal cuts it short",
    ),
    setting(
        "DRAIN_TIMEOUT",
        "20",
        SECONDS,
        "how long calls may go on after DRAIN_DELAY",
    ),
    setting(
        "WORKER_THREADS",
        "0",
        "a whole number from 0 to 1024",
        "threads that serve; 0 for one per core",
    ),
];

/// Names of settings that this version does not read. Somebody who sets one expects something of it, so it is named in a warning.
const UNUSED_NAMES: &[&str] = &["SMTP_URL", "WEBHOOK_LISTEN", "PUBLIC_URL"];
const UNUSED_PREFIXES: &[&str] = &["TWILIO_", "SENDGRID_", "TLS_", "JWT_"];

/// The setting of that name.
pub(super) fn find(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name == name)
}

/// Whether it is a setting of the product that this version does not read.
pub(super) fn is_unused(name: &str) -> bool {
    UNUSED_NAMES.contains(&name)
        || UNUSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// The known name that is most like this one, if any is like it at all.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    most_like(name).filter(|near| strsim::jaro_winkler(name, near) > 0.8)
}

fn most_like(name: &str) -> Option<&'static str> {
    let likeness = |other: &str| strsim::jaro_winkler(name, other);
    TABLE
        .iter()
        .map(|setting| setting.name)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}

/// Prefixes that other programs do not use for variables of theirs. `HTTP_`, `GRPC_`, `LOG_` and `OTEL_` are not among them.
const PREFIXES: &[&str] = &["CACHE_", "REDIS_", "DATABASE_", "DELIVERY_", "FEED_"];

/// Variables that other services read one by one.
const PARTS_OF_DATABASE_URL: &[&str] = &[
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_PASSWORD",
    "DATABASE_PORT",
    "DATABASE_USER",
    "DATABASE_USERNAME",
];

/// The setting that a variable of another name likely means, if it means one at all.
pub(super) fn misspelt(name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let close = TABLE
        .iter()
        .map(|setting| (strsim::osa_distance(&upper, setting.name), setting.name))
        // Of a short name two letters are half: PATH is not a misspelt AUTH.
        .filter(|(distance, setting)| {
            *distance <= setting.len().saturating_sub(4).div_ceil(3).min(2)
        })
        .min()
        .map(|(_, setting)| setting);
    if PARTS_OF_DATABASE_URL.contains(&upper.as_str()) {
        return Some("DATABASE_URL");
    }
    let has_prefix = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    close.or_else(|| has_prefix.then(|| most_like(name)).flatten())
}

/// The table as Markdown: what `docs/configuration.md` holds.
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
