//! Output of `parlance config check`.

use parlance_cache::Backend;

use super::DatabaseUrl;
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

/// `backend`: the backend of the cache, which may follow from other settings.
pub(super) fn effective(reader: &Reader, backend: Backend) -> Vec<EffectiveSetting> {
    TABLE
        .iter()
        .map(|setting| {
            let RawValue { text, origin } = reader.raw(setting);
            EffectiveSetting {
                name: setting.name,
                value: shown(setting, &text, backend),
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
fn shown(setting: &Setting, text: &str, backend: Backend) -> String {
    match setting.name {
        // Every other combination is rejected by `check_auth`.
        "AUTH" if text.is_empty() => return "off".to_owned(),
        "CACHE_BACKEND" => return backend.as_str().to_owned(),
        _ => {}
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
