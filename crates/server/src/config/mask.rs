//! Masks of secrets in output.

pub(super) const MASK: &str = "***";

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
