//! Output of `parlance config check`.

use std::time::Duration;

use super::mask::{MASK, masked};
use super::read::{RawValue, Reader};
use super::setting::{EffectiveSetting, Setting};
use super::table::TABLE;
use super::{DatabaseUrl, Settings};

/// `settings`: the values that are read. A setting without a value has one that follows from other settings.
pub(super) fn effective(reader: &Reader, settings: &Settings) -> Vec<EffectiveSetting> {
    TABLE
        .iter()
        .map(|setting| {
            let RawValue { text, origin } = reader.raw(setting);
            EffectiveSetting {
                name: setting.name.into(),
                value: shown(setting, &text, settings),
                origin,
            }
        })
        .collect()
}

/// The value for display. In a URL only the password is secret; the rest identifies the database.
fn shown(setting: &Setting, text: &str, settings: &Settings) -> String {
    if text.is_empty()
        && let Some(value) = resolved(setting.name, settings)
    {
        return value;
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

/// The value of a setting that is not set, if it follows from other settings.
fn resolved(name: &str, settings: &Settings) -> Option<String> {
    let seconds = |ttl: Duration| ttl.as_secs().to_string();
    let switch = |on| if on { "on" } else { "off" };
    let value = match name {
        // Every other combination is rejected by `check_auth`.
        "AUTH" => "off".to_owned(),
        "CACHE_BACKEND" => settings.backend().as_str().to_owned(),
        "CACHE_TTL_MESSAGE" => seconds(settings.ttls().message),
        "CACHE_TTL_CONVERSATION" => seconds(settings.ttls().conversation),
        "HOLD_AFTER_RESTORE" => switch(settings.storage().hold_after_restore).to_owned(),
        _ => return None,
    };
    Some(value)
}
