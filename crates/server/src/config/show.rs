//! What `parlance config check` prints.

use parlance_storage::DatabaseUrl;

use super::cache::CacheSettings;
use super::read::{Found, Origin, Reader};
use super::table::{Setting, TABLE};

/// One setting as it holds; a secret is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its name.
    pub name: &'static str,
    /// Its value as it may be shown.
    pub value: String,
    /// Where the value comes from.
    pub origin: Origin,
}

impl std::fmt::Display for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            value,
            origin,
        } = self;
        write!(f, "{name}={value} ({origin})")
    }
}

pub(super) fn in_force(reader: &Reader, cache: Option<&CacheSettings>) -> Vec<InForce> {
    TABLE
        .iter()
        .map(|setting| {
            let Found { text, origin } = reader.found(setting);
            InForce {
                name: setting.name,
                value: shown(setting, &text, cache),
                origin,
            }
        })
        .collect()
}

const MASK: &str = "***";

/// Masks a user name with a password, which also stands in a URL or a host where none is expected.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = text
        .find("://")
        .map_or(("", text), |end| text.split_at(end + "://".len()));
    match rest.rsplit_once('@') {
        Some((login, rest)) if login.contains(':') => format!("{scheme}{MASK}@{rest}"),
        _ => text.to_owned(),
    }
}

/// Of a URL only the password is secret, and the rest says which database it is.
fn shown(setting: &Setting, text: &str, cache: Option<&CacheSettings>) -> String {
    match (setting.name, cache) {
        // With anything else the configuration would have been refused.
        ("AUTH", _) if text.is_empty() => return "off".to_owned(),
        ("CACHE_BACKEND", Some(cache)) => return cache.backend.as_str().to_owned(),
        (_, _) => {}
    }
    if !setting.secret || text.is_empty() {
        return masked(text);
    }
    match setting.name {
        "DATABASE_URL" => {
            DatabaseUrl::parse(text).map_or_else(|_| MASK.to_owned(), |url| url.to_string())
        }
        "REDIS_URL" | "REDIS_CLUSTER_URLS" => {
            let urls: Vec<String> = text
                .split(',')
                .map(|url| parlance_cache::redis::shown(url.trim()))
                .collect();
            urls.join(",")
        }
        _ => MASK.to_owned(),
    }
}
