//! Output of `parlance config check`.

use parlance_cache::Backend;

use super::DatabaseUrl;
use super::mask::{MASK, masked};
use super::read::{RawValue, Reader};
use super::setting::{EffectiveSetting, Setting};
use super::table::TABLE;

/// `backend`: the backend of the cache, which may follow from other settings.
pub(super) fn effective(reader: &Reader, backend: Backend) -> Vec<EffectiveSetting> {
    TABLE
        .iter()
        .map(|setting| {
            let RawValue { text, origin } = reader.raw(setting);
            EffectiveSetting {
                name: setting.name.into(),
                value: shown(setting, &text, backend),
                origin,
            }
        })
        .collect()
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
