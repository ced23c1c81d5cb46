//! Backend, times to live and Redis of the cache, which follow from several settings, and the check that these fit together.

use std::fmt::Write as _;
use std::net::IpAddr;

use parlance_cache::redis::{Node, RedisSettings};
use parlance_cache::{Backend, Ttls};

use super::read::Reader;
use super::{DatabaseUrl, Settings};

impl Settings {
    /// Backend of the cache: the configured one, or the default that follows from the other settings.
    pub fn backend(&self) -> Backend {
        let node = self.redis().map(|redis| redis.node);
        self.cache_backend
            .unwrap_or(match (node, &self.database_url) {
                (Some(Node::Single(_)), _) => Backend::Hybrid,
                // The in-process cache does not support a cluster.
                (Some(Node::Cluster(_)), _) => Backend::Redis,
                // Other instances do not share a file.
                (None, DatabaseUrl::Sqlite(_)) => Backend::Memory,
                (None, DatabaseUrl::Postgres(_)) => Backend::Off,
            })
    }

    /// Time to live of cached values.
    pub fn ttls(&self) -> Ttls {
        let default = self.cache_default_ttl;
        Ttls {
            message: self.cache_ttl_message.unwrap_or(default),
            conversation: self.cache_ttl_conversation.unwrap_or(default),
            messages: self.cache_ttl_messages,
            list: self.cache_ttl_list,
            stats: self.cache_ttl_stats,
            search: self.cache_ttl_search,
        }
    }

    /// Redis, if it is configured.
    pub fn redis(&self) -> Option<RedisSettings> {
        let credentials = Credentials::of(self);
        let node = match (&self.redis_url, &self.redis_host, &self.redis_cluster_urls) {
            (Some(url), _, _) => Node::Single(credentials.added_to(url)),
            (None, Some(host), _) => {
                let scheme = if self.redis_ca.is_some() {
                    "rediss"
                } else {
                    "redis"
                };
                let (login, host) = (credentials.before_host(), bracketed(host));
                let (port, db) = (self.redis_port, self.redis_db);
                Node::Single(format!("{scheme}://{login}{host}:{port}/{db}"))
            }
            (None, None, Some(urls)) => {
                Node::Cluster(urls.iter().map(|url| credentials.added_to(url)).collect())
            }
            (None, None, None) => return None,
        };
        let mut redis = RedisSettings::new(node);
        redis.ca_file.clone_from(&self.redis_ca);
        Some(redis)
    }
}

/// Records a problem if the settings of the cache contradict one another.
pub(super) fn check(settings: &Settings, reader: &mut Reader) {
    let redis = [
        "REDIS_URL",
        "REDIS_HOST",
        "REDIS_CLUSTER_URLS",
        "REDIS_USERNAME",
        "REDIS_PASSWORD",
        "REDIS_CA",
    ];
    if !reader.are_valid(&redis) || !has_one_source(reader) || !has_one_login(settings, reader) {
        return;
    }
    if let Some(backend @ (Backend::Redis | Backend::Hybrid)) = settings.cache_backend
        && settings.redis().is_none()
    {
        let backend = backend.as_str();
        reader.problems.push(format!(
            "CACHE_BACKEND is {backend}, but no Redis is configured: set REDIS_URL, REDIS_HOST or REDIS_CLUSTER_URLS"
        ));
    }
}

/// Warns of a Redis that the backend does not use.
pub(super) fn warning(settings: &Settings) -> Option<String> {
    let backend = settings.backend();
    let unused = matches!(backend, Backend::Off | Backend::Memory);
    (unused && settings.redis().is_some()).then(|| {
        let backend = backend.as_str();
        format!("Redis is configured, but CACHE_BACKEND is {backend}, which does not use it")
    })
}

/// Credentials for a Redis URL that has none.
#[derive(Clone, Copy)]
struct Credentials<'a> {
    username: Option<&'a str>,
    password: Option<&'a str>,
}

impl<'a> Credentials<'a> {
    fn of(settings: &'a Settings) -> Self {
        Self {
            username: settings.redis_username.as_deref(),
            password: settings.redis_password.as_deref(),
        }
    }

    const fn are_none(self) -> bool {
        self.username.is_none() && self.password.is_none()
    }

    /// The form in which credentials precede the host in a URL.
    fn before_host(self) -> String {
        if self.are_none() {
            return String::new();
        }
        let name = self.username.map(escaped).unwrap_or_default();
        let password = self.password.map(escaped).unwrap_or_default();
        format!("{name}:{password}@")
    }

    /// The URL with these credentials, unless it has its own.
    fn added_to(self, url: &str) -> String {
        match url.split_once("://") {
            Some((scheme, rest)) if !has_credentials(url) => {
                format!("{scheme}://{}{rest}", self.before_host())
            }
            Some(_) | None => url.to_owned(),
        }
    }
}

fn has_credentials(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    authority.contains('@')
}

/// Whether credentials are either in the URL or in settings of their own. Records a problem otherwise.
fn has_one_login(settings: &Settings, reader: &mut Reader) -> bool {
    let mut urls = settings.redis_cluster_urls.iter().flatten();
    let name = if settings.redis_url.as_deref().is_some_and(has_credentials) {
        "REDIS_URL"
    } else if urls.any(|url| has_credentials(url)) {
        "REDIS_CLUSTER_URLS"
    } else {
        return true;
    };
    if Credentials::of(settings).are_none() {
        return true;
    }
    reader.problems.push(format!(
        "{name} contains credentials, and REDIS_USERNAME or REDIS_PASSWORD is set, too: use only one of the two"
    ));
    false
}

/// Whether Redis is configured by at most one of the alternatives. Records a problem otherwise.
fn has_one_source(reader: &mut Reader) -> bool {
    const SOURCES: [&str; 3] = ["REDIS_URL", "REDIS_HOST", "REDIS_CLUSTER_URLS"];
    const PARTS: [&str; 5] = [
        "REDIS_PORT",
        "REDIS_DB",
        "REDIS_USERNAME",
        "REDIS_PASSWORD",
        "REDIS_CA",
    ];
    let sources: Vec<&str> = SOURCES
        .into_iter()
        .filter(|source| reader.is_set(source))
        .collect();
    let before = reader.problems.len();
    match sources[..] {
        [] => {
            let given: Vec<String> = PARTS
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
