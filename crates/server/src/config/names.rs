//! Names that are not settings: those of other versions, and those that are probably misspelt.

use super::setting::Setting;

/// Names of settings that this version does not read. A warning names one that is set, since the operator expects an
/// effect.
const UNUSED_NAMES: &[&str] = &["SMTP_URL"];
const UNUSED_PREFIXES: &[&str] = &["SENDGRID_", "TLS_", "JWT_"];

/// Returns the setting of that name.
pub(super) fn find(table: &'static [Setting], name: &str) -> Option<&'static Setting> {
    table.iter().find(|setting| setting.name == name)
}

/// Whether the name is a setting of the product that this version does not read.
pub(super) fn is_unused(name: &str) -> bool {
    UNUSED_NAMES.contains(&name)
        || UNUSED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

/// Returns the most similar setting, if it is similar enough to be a suggestion.
pub(super) fn most_similar(table: &[Setting], name: &str) -> Option<&'static str> {
    closest(table, name).filter(|other| strsim::jaro_winkler(name, other) > 0.8)
}

fn closest(table: &[Setting], name: &str) -> Option<&'static str> {
    let similarity = |other: &str| strsim::jaro_winkler(name, other);
    table
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
pub(super) fn misspelt(table: &[Setting], name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    let close = table
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
    close.or_else(|| has_prefix.then(|| closest(table, name)).flatten())
}
