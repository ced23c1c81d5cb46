//! Parsers of settings. An error text adds detail to "expected ..."; it is empty in most cases.

use std::net::SocketAddr;
use std::ops::{RangeBounds, RangeInclusive};
use std::str::FromStr;
use std::time::Duration;

use parlance_cache::Backend;
use parlance_domain::search::Language;
use parlance_providers::Secret;
use parlance_transport::layers::WebOrigins;

use super::DatabaseUrl;
use super::values::{LogFormat, Migrate};

pub(super) type Parsed<T> = Result<T, String>;

const fn no_detail<T>() -> Parsed<T> {
    Err(String::new())
}

pub(super) fn number<T: FromStr + PartialOrd>(
    range: impl RangeBounds<T>,
) -> impl Fn(&str) -> Parsed<T> {
    move |text| match text.parse() {
        Ok(number) if range.contains(&number) => Ok(number),
        Ok(_) => Err("out of range".to_owned()),
        Err(_) => no_detail(),
    }
}

/// Seconds, at most a hundred years, so that adding them to a time cannot overflow.
pub(super) fn seconds(least: u64) -> impl Fn(&str) -> Parsed<Duration> {
    seconds_within(least..=3_153_600_000)
}

pub(super) fn seconds_within(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Duration> {
    let seconds = number::<u64>(range);
    move |text| seconds(text).map(Duration::from_secs)
}

pub(super) fn millis(range: RangeInclusive<u64>) -> impl Fn(&str) -> Parsed<Duration> {
    let millis = number::<u64>(range);
    move |text| millis(text).map(Duration::from_millis)
}

/// Days, at most a hundred years.
pub(super) fn days(text: &str) -> Parsed<Duration> {
    number::<u64>(0..=36_500)(text).map(|days| Duration::from_hours(24 * days))
}

/// `None` for 0, which means never, for ever or the default.
pub(super) fn unless_zero<T: Default + PartialEq>(
    parse: impl Fn(&str) -> Parsed<T>,
) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| parse(text).map(|value| (value != T::default()).then_some(value))
}

pub(super) fn database_url(text: &str) -> Parsed<DatabaseUrl> {
    DatabaseUrl::parse(text).map_err(|error| error.to_string())
}

pub(super) fn address(text: &str) -> Parsed<SocketAddr> {
    text.parse().or_else(|_| no_detail())
}

pub(super) fn switch(text: &str) -> Parsed<bool> {
    match text {
        "on" | "true" => Ok(true),
        "off" | "false" => Ok(false),
        _ => no_detail(),
    }
}

/// `None` for an empty text.
pub(super) fn optional<T>(parse: impl Fn(&str) -> Parsed<T>) -> impl Fn(&str) -> Parsed<Option<T>> {
    move |text| {
        if text.is_empty() {
            Ok(None)
        } else {
            parse(text).map(Some)
        }
    }
}

pub(super) fn migrate(text: &str) -> Parsed<Migrate> {
    match text {
        "auto" => Ok(Migrate::Auto),
        "check" => Ok(Migrate::Check),
        "off" => Ok(Migrate::Off),
        _ => no_detail(),
    }
}

pub(super) fn language(text: &str) -> Parsed<Language> {
    Language::parse(text).map_or_else(no_detail, Ok)
}

pub(super) fn backend(text: &str) -> Parsed<Backend> {
    match text {
        "memory" => Ok(Backend::Memory),
        "redis" => Ok(Backend::Redis),
        "hybrid" => Ok(Backend::Hybrid),
        "off" => Ok(Backend::Off),
        _ => no_detail(),
    }
}

/// `redis://` or `rediss://` with a host. The Redis client checks the rest of the URL when it connects.
pub(super) fn redis_url(text: &str) -> Parsed<String> {
    let rest = text
        .strip_prefix("redis://")
        .or_else(|| text.strip_prefix("rediss://"));
    if !parlance_cache::redis::is_clear(text) {
        return Err("it has an `@` after the host: in the user name and the password write `/` as %2F, `?` as %3F, `#` as %23".to_owned());
    }
    let has_host = rest.is_some_and(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = authority.rsplit('@').next().unwrap_or_default();
        !host.is_empty() && !host.starts_with(':')
    });
    if has_host && parlance_cache::redis::is_readable(text) {
        Ok(text.to_owned())
    } else {
        no_detail()
    }
}

pub(super) fn redis_urls(text: &str) -> Parsed<Vec<String>> {
    text.split(',').map(|url| redis_url(url.trim())).collect()
}

/// Maximum number of searches.
const SEARCHES: usize = 100;
/// Maximum bytes of a search.
const SEARCH_BYTES: usize = 256;

pub(super) fn searches(text: &str) -> Parsed<Vec<String>> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let searches: Vec<String> = text.split(',').map(|one| one.trim().to_owned()).collect();
    if searches.len() > SEARCHES {
        return Err(format!("it has {} entries", searches.len()));
    }
    // Earlier versions took the number of searches to repeat. Read as a word, it would warm a search that no client makes.
    if let [alone] = searches.as_slice()
        && !alone.is_empty()
        && alone.bytes().all(|byte| byte.is_ascii_digit())
    {
        return Err("a number of searches is no longer supported; list the words to search for, or leave it empty to search for none".to_owned());
    }
    for (number, search) in (1..).zip(&searches) {
        if search.is_empty() {
            return Err(format!("entry {number} is empty"));
        }
        if search.len() > SEARCH_BYTES {
            return Err(format!("entry {number} has {} bytes", search.len()));
        }
        if search.contains('\0') {
            return Err(format!("entry {number} contains a NUL character"));
        }
    }
    Ok(searches)
}

pub(super) fn host(text: &str) -> Parsed<String> {
    let is_address = text.parse::<std::net::IpAddr>().is_ok();
    let is_name = !text.is_empty()
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if is_address || is_name {
        Ok(text.to_owned())
    } else {
        no_detail()
    }
}

pub(super) fn log_format(text: &str) -> Parsed<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => no_detail(),
    }
}

pub(super) fn log_filter(text: &str) -> Parsed<String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

pub(super) fn endpoint(text: &str) -> Parsed<String> {
    match text.parse::<http::Uri>() {
        Ok(uri) if uri.scheme().is_some() && uri.authority().is_some() => Ok(text.to_owned()),
        Ok(_) | Err(_) => no_detail(),
    }
}

/// URL of this service without a slash at the end. It may have a path.
pub(super) fn public_url(text: &str) -> Parsed<String> {
    let url = web_url(text)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~%/".contains(c);
    if url.path().contains("//") || !url.path().chars().all(is_plain) {
        return Err("its path has characters that must be percent-encoded".to_owned());
    }
    if url.host().is_some_and(|host| host.contains('_')) {
        return Err("its host has an underscore, and providers refuse such a URL".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// URL of a provider's API, without a path.
pub(super) fn base_url(text: &str) -> Parsed<String> {
    let url = web_url(text)?;
    if url.path() == "/" {
        Ok(text.trim_end_matches('/').to_owned())
    } else {
        Err("it has a path".to_owned())
    }
}

fn web_url(text: &str) -> Parsed<http::Uri> {
    let url: http::Uri = text.parse().or_else(|_| no_detail())?;
    let is_web = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url.authority().map(http::uri::Authority::as_str);
    if !is_web || host.is_none_or(|host| host.contains('@')) || text.contains(['?', '#']) {
        return no_detail();
    }
    Ok(url)
}

/// Secret: printable, so that a mistake such as a line break is found here and not by the provider.
pub(super) fn secret(text: &str) -> Parsed<Secret> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(Secret::from(text.to_owned()))
    } else {
        no_detail()
    }
}

pub(super) fn account_sid(text: &str) -> Parsed<String> {
    sid("AC", text)
}

pub(super) fn api_key(text: &str) -> Parsed<String> {
    sid("SK", text)
}

fn sid(prefix: &str, text: &str) -> Parsed<String> {
    let is_sid = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    match text.strip_prefix(prefix) {
        Some(rest) if is_sid && !rest.is_empty() => Ok(text.to_owned()),
        Some(_) | None => no_detail(),
    }
}

/// `name=secret`, separated by commas. A secret may contain `=`.
pub(super) fn shared_keys(text: &str) -> Parsed<Vec<(String, Secret)>> {
    let key = |entry: &str| {
        let (name, value) = entry.trim().split_once('=')?;
        let name = name.trim();
        if name.is_empty() {
            return None;
        }
        Some((name.to_owned(), secret(value.trim()).ok()?))
    };
    let keys: Option<Vec<_>> = text.split(',').map(key).collect();
    keys.map_or_else(no_detail, Ok)
}

pub(super) fn text<T: From<String>>(text: &str) -> Parsed<T> {
    match text {
        // Neither a name nor a path may contain NUL, and the rest of the text would be cut off silently.
        text if text.contains('\0') => Err("it contains a NUL character".to_owned()),
        text => Ok(T::from(text.to_owned())),
    }
}

pub(super) fn origins(text: &str) -> Parsed<WebOrigins> {
    match text {
        "loopback" => Ok(WebOrigins::Loopback),
        "*" => Ok(WebOrigins::Any),
        list => list
            .split(',')
            .map(|origin| origin.trim().trim_end_matches('/'))
            .map(|origin| endpoint(origin).map(|origin| origin.to_ascii_lowercase()))
            .collect::<Parsed<_>>()
            .map(WebOrigins::List),
    }
}
