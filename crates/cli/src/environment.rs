//! Environment variables of this process.

/// All variables that are valid Unicode; others cannot be settings.
pub(crate) fn all() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// Value of an environment variable that is not a setting of the service.
pub(crate) fn variable(name: &str) -> Option<String> {
    all().find_map(|(found, text)| (found == name).then_some(text))
}
