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

/// Prefixes that other programs do not use for their variables. They do use `HTTP_`, `GRPC_`, `LOG_` and `OTEL_`.
const PREFIXES: &[&str] = &["CACHE_", "REDIS_", "DATABASE_", "DELIVERY_", "FEED_"];

/// Similarity (Jaro-Winkler) above which a setting is a suggestion.
const SIMILAR: f64 = 0.8;

/// Returns the most similar setting, if it is similar enough to be a suggestion. A common prefix makes no name similar: only
/// the rest is compared.
pub(super) fn most_similar(table: &[Setting], name: &str) -> Option<&'static str> {
    let prefix = prefix(name).unwrap_or_default();
    let rest = name.strip_prefix(prefix).unwrap_or(name);
    let similarities = table.iter().filter_map(|setting| {
        let other = setting.name.strip_prefix(prefix)?;
        Some((strsim::jaro_winkler(rest, other), setting.name))
    });
    similarities
        .filter(|(similarity, _)| *similarity > SIMILAR)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

fn prefix(name: &str) -> Option<&'static str> {
    let mut prefixes = PREFIXES.iter().copied();
    prefixes.find(|prefix| name.starts_with(prefix))
}

/// Variables that other services read instead of a URL.
const PARTS_OF_DATABASE_URL: &[&str] = &[
    "DATABASE_HOST",
    "DATABASE_NAME",
    "DATABASE_PASSWORD",
    "DATABASE_PORT",
    "DATABASE_USER",
    "DATABASE_USERNAME",
];

/// Returns the setting that a variable with a misspelt name means.
fn meant(table: &[Setting], name: &str) -> Option<&'static str> {
    let upper = name.to_ascii_uppercase();
    if PARTS_OF_DATABASE_URL.contains(&upper.as_str()) {
        return Some("DATABASE_URL");
    }
    let close = table
        .iter()
        .map(|setting| (strsim::osa_distance(&upper, setting.name), setting.name))
        // Two letters are half of a short name: PATH is not a misspelt AUTH.
        .filter(|(distance, setting)| {
            *distance <= setting.len().saturating_sub(4).div_ceil(3).min(2)
        })
        .min()
        .map(|(_, setting)| setting);
    close.or_else(|| {
        prefix(name)?;
        most_similar(table, name)
    })
}

/// Returns the end of a warning about a variable that is probably a misspelt setting: a suggestion, or nothing if no setting
/// is similar. `None` for a variable of another program.
pub(super) fn misspelt(table: &[Setting], name: &str) -> Option<String> {
    match meant(table, name) {
        Some(meant) => Some(format!("; did you mean {meant}?")),
        None => prefix(name).map(|_| String::new()),
    }
}
