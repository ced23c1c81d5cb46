//! Settings of the cache and its Redis.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::time::Duration;

use super::parse;
use super::read::Reader;
use parlance_cache::redis::{self, Node};
use parlance_cache::{Backend, Ttls};

/// Settings of the cache and its Redis.
#[derive(Debug, Clone)]
pub struct CacheSettings {
    /// Backend: the configured one, or the default that follows from the other settings.
    pub backend: Backend,
    /// Whether the backend is configured.
    pub backend_given: bool,
    /// Redis, if it is configured.
    pub redis: Option<redis::RedisSettings>,
    /// Time to live of values.
    pub ttls: Ttls,
    /// Maximum number of values in the in-process cache.
    pub max_entries: usize,
    /// Maximum total size of these values.
    pub max_bytes: usize,
    /// Maximum size of a value.
    pub max_value: usize,
    /// Maximum age of a value in the in-process cache.
    pub max_staleness: Duration,
    /// How long Redis may send nothing before reads continue without it (stall detector).
    pub stall_timeout: Duration,
    /// Maximum drift between the clocks of the database and of an instance within a second.
    pub clock_margin: Duration,
    /// Number of conversations to load after the start.
    pub warm_on_start: usize,
    /// Words to search for when the cache is warmed.
    pub warm_searches: Vec<String>,
    /// Interval of the audit; `None` for never.
    pub audit_interval: Option<Duration>,
}

impl CacheSettings {
    /// Whether Redis is a cluster.
    pub fn is_cluster(&self) -> bool {
        let node = self.redis.as_ref().map(|redis| &redis.node);
        matches!(node, Some(Node::Cluster(_)))
    }

    pub(super) fn warnings(&self) -> Option<String> {
        let unused = matches!(self.backend, Backend::Off | Backend::Memory);
        (unused && self.redis.is_some()).then(|| {
            let backend = self.backend.as_str();
            format!("Redis is configured, but CACHE_BACKEND is {backend}, which does not use it")
        })
    }
}

/// `local`: whether the database is a file, which other instances do not share.
pub(super) fn read(reader: &mut Reader, local: Option<bool>) -> Option<CacheSettings> {
    let redis = read_redis(reader);
    let requested = reader.get("CACHE_BACKEND", parse::optional(parse::backend));
    let ttls = read_ttls(reader);
    let max_entries = reader.get("CACHE_MAX_MEMORY_SIZE", parse::number(1..=100_000_000));
    let max_bytes = reader.get("CACHE_MAX_MEMORY_BYTES", parse::number(1..));
    let max_value = reader.get("CACHE_MAX_VALUE", parse::number(1..));
    let max_staleness = reader.get("CACHE_MAX_STALENESS_MS", parse::number(0..=60_000));
    let stall_timeout = reader.get("CACHE_PATIENCE_MS", parse::number(1..=50));
    let clock_margin = reader.get("CACHE_CLOCK_MARGIN_MS", parse::number(1..=1_000));
    let warm_on_start = reader.get("CACHE_WARM_ON_START", parse::number(0..=10_000));
    let warm_searches = reader.get("CACHE_WARM_SEARCHES", parse::optional(parse::searches));
    let audit_interval = reader.get("CACHE_AUDIT_INTERVAL", parse::seconds(0));
    let (RedisConfig(redis), requested) = (redis?, requested?);
    if let Some(backend @ (Backend::Redis | Backend::Hybrid)) = requested
        && redis.is_none()
    {
        let backend = backend.as_str();
        reader.problems.push(format!(
            "CACHE_BACKEND is {backend}, but no Redis is configured: set REDIS_URL, REDIS_HOST or REDIS_CLUSTER_URLS"
        ));
    }
    let backend = requested.unwrap_or(match (redis.as_ref().map(|redis| &redis.node), local?) {
        (Some(Node::Single(_)), _) => Backend::Hybrid,
        // The in-process cache does not support a cluster.
        (Some(Node::Cluster(_)), _) => Backend::Redis,
        (None, true) => Backend::Memory,
        (None, false) => Backend::Off,
    });
    let audit_interval = audit_interval?;
    Some(CacheSettings {
        backend,
        backend_given: requested.is_some(),
        redis,
        ttls: ttls?,
        max_entries: max_entries?,
        max_bytes: max_bytes?,
        max_value: max_value?,
        max_staleness: max_staleness.map(Duration::from_millis)?,
        stall_timeout: stall_timeout.map(Duration::from_millis)?,
        clock_margin: clock_margin.map(Duration::from_millis)?,
        warm_on_start: warm_on_start?,
        warm_searches: warm_searches?.unwrap_or_default(),
        audit_interval: (!audit_interval.is_zero()).then_some(audit_interval),
    })
}

fn read_ttls(reader: &mut Reader) -> Option<Ttls> {
    let default = reader.get("CACHE_DEFAULT_TTL", parse::seconds(1));
    let message = reader.get("CACHE_TTL_MESSAGE", parse::optional(parse::seconds(1)));
    let conversation = reader.get("CACHE_TTL_CONVERSATION", parse::optional(parse::seconds(1)));
    let messages = reader.get("CACHE_TTL_MESSAGES", parse::seconds(1));
    let list = reader.get("CACHE_TTL_LIST", parse::seconds(1));
    let stats = reader.get("CACHE_TTL_STATS", parse::seconds(1));
    let search = reader.get("CACHE_TTL_SEARCH", parse::seconds(1));
    let default = default?;
    Some(Ttls {
        message: message?.unwrap_or(default),
        conversation: conversation?.unwrap_or(default),
        messages: messages?,
        list: list?,
        stats: stats?,
        search: search?,
    })
}

/// Credentials for a Redis URL that has none.
struct Credentials {
    username: Option<String>,
    password: Option<String>,
}

impl Credentials {
    const fn are_none(&self) -> bool {
        self.username.is_none() && self.password.is_none()
    }

    /// The form in which credentials precede the host in a URL.
    fn before_host(&self) -> String {
        if self.are_none() {
            return String::new();
        }
        let name = self.username.as_deref().map(escaped).unwrap_or_default();
        let password = self.password.as_deref().map(escaped).unwrap_or_default();
        format!("{name}:{password}@")
    }

    /// The URL with these credentials; `None` if it already has credentials.
    fn added_to(&self, url: &str) -> Option<String> {
        if self.are_none() {
            return Some(url.to_owned());
        }
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        if authority.contains('@') {
            return None;
        }
        Some(format!("{scheme}://{}{rest}", self.before_host()))
    }
}

/// The configured Redis; `None` if there is none.
struct RedisConfig(Option<redis::RedisSettings>);

/// Reads the settings of Redis; `None` if they are invalid.
fn read_redis(reader: &mut Reader) -> Option<RedisConfig> {
    const PARTS: [&str; 5] = [
        "REDIS_PORT",
        "REDIS_DB",
        "REDIS_USERNAME",
        "REDIS_PASSWORD",
        "REDIS_CA",
    ];
    let url = reader.get("REDIS_URL", parse::optional(parse::redis_url));
    let host = reader.get("REDIS_HOST", parse::optional(parse::host));
    let urls = reader.get("REDIS_CLUSTER_URLS", parse::optional(parse::redis_urls));
    let port = reader.get("REDIS_PORT", parse::number::<u16>(1..));
    let db = reader.get("REDIS_DB", parse::number::<u16>(0..));
    let username = reader.get("REDIS_USERNAME", parse::optional(parse::text));
    let password = reader.get("REDIS_PASSWORD", parse::optional(parse::text));
    let ca_file = reader.get(
        "REDIS_CA",
        parse::optional(parse::text::<std::path::PathBuf>),
    );
    let (url, host, urls, ca_file) = (url?, host?, urls?, ca_file?);
    let credentials = Credentials {
        username: username?,
        password: password?,
    };
    if !has_one_source(reader, &PARTS) {
        return None;
    }
    let node = match (url, host, urls) {
        (Some(url), _, _) => {
            Node::Single(with_credentials(reader, "REDIS_URL", &credentials, &url)?)
        }
        (None, Some(host), _) => {
            let scheme = if ca_file.is_some() { "rediss" } else { "redis" };
            let before = credentials.before_host();
            let host = bracketed(&host);
            Node::Single(format!("{scheme}://{before}{host}:{}/{}", port?, db?))
        }
        (None, None, Some(urls)) => {
            let urls: Option<Vec<String>> = urls
                .iter()
                .map(|url| with_credentials(reader, "REDIS_CLUSTER_URLS", &credentials, url))
                .collect();
            Node::Cluster(urls?)
        }
        (None, None, None) => return Some(RedisConfig(None)),
    };
    let mut settings = redis::RedisSettings::new(node);
    settings.ca_file = ca_file;
    Some(RedisConfig(Some(settings)))
}

fn with_credentials(
    reader: &mut Reader,
    name: &str,
    credentials: &Credentials,
    url: &str,
) -> Option<String> {
    let url = credentials.added_to(url);
    if url.is_none() {
        reader.problems.push(format!(
            "{name} contains credentials, and REDIS_USERNAME or REDIS_PASSWORD is set, too: use only one of the two"
        ));
    }
    url
}

/// Whether Redis is configured by at most one of the alternatives. Records a problem otherwise.
fn has_one_source(reader: &mut Reader, parts: &[&str]) -> bool {
    const SOURCES: [&str; 3] = ["REDIS_URL", "REDIS_HOST", "REDIS_CLUSTER_URLS"];
    let sources: Vec<&str> = SOURCES
        .into_iter()
        .filter(|source| reader.is_set(source))
        .collect();
    let before = reader.problems.len();
    match sources[..] {
        [] => {
            let given: Vec<String> = parts
                .iter()
                .filter(|part| reader.is_set(part))
                .map(|part| {
                    format!(
                        "{part} is set, but no Redis is configured: set REDIS_HOST or REDIS_URL"
                    )
                })
                .collect();
            reader.problems.extend(given);
        }
        ["REDIS_HOST"] => {}
        [source] => {
            for part in ["REDIS_PORT", "REDIS_DB"] {
                if reader.is_set(part) {
                    reader.problems.push(format!(
                        "{part} applies to REDIS_HOST only: put it into {source} instead"
                    ));
                }
            }
        }
        [..] => {
            let sources = sources.join(" and ");
            reader
                .problems
                .push(format!("{sources} are set: set only one of them"));
        }
    }
    reader.problems.len() == before
}

fn bracketed(host: &str) -> String {
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        Ok(IpAddr::V4(_)) | Err(_) => host.to_owned(),
    }
}

/// Percent-encodes a text: a password may contain characters that would end it in a URL.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}
