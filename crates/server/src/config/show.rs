//! Output of `parlance config check`.

use parlance_storage::DatabaseUrl;

use super::cache::CacheSettings;
use super::read::{Origin, RawValue, Reader};
use super::table::{Setting, TABLE};

/// Effective value of a setting; a secret is masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectiveSetting {
    /// Name of the setting.
    pub name: &'static str,
    /// Value, masked if it is secret.
    pub value: String,
    /// Source of the value.
    pub origin: Origin,
}

impl std::fmt::Display for EffectiveSetting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            name,
            value,
            origin,
        } = self;
        write!(f, "{name}={value} ({origin})")
    }
}

pub(super) fn effective(reader: &Reader, cache: Option<&CacheSettings>) -> Vec<EffectiveSetting> {
    TABLE
        .iter()
        .map(|setting| {
            let RawValue { text, origin } = reader.raw(setting);
            EffectiveSetting {
                name: setting.name,
                value: shown(setting, &text, cache),
                origin,
            }
        })
        .collect()
}

const MASK: &str = "***";

/// Masks a user name with its password, also in a URL or a host where none is expected.
pub(super) fn masked(text: &str) -> String {
    let (scheme, rest) = text
        .find("://")
        .map_or(("", text), |end| text.split_at(end + "://".len()));
    match rest.rsplit_once('@') {
        Some((login, rest)) if login.contains(':') => format!("{scheme}{MASK}@{rest}"),
        _ => text.to_owned(),
    }
}

/// The value for display. In a URL only the password is secret; the rest identifies the database.
fn shown(setting: &Setting, text: &str, cache: Option<&CacheSettings>) -> String {
    match (setting.name, cache) {
        // Every other combination is rejected by `check_auth`.
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
