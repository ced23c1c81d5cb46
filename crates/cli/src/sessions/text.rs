//! Texts of a session: names of enum values, and fields that may be absent.

/// Parses the name of an enum value: its name in the contract without the prefix of the enum, in any case.
pub(super) fn enum_value<T>(
    field: &str,
    kind: &str,
    word: &str,
    named: impl Fn(&str) -> Option<T>,
) -> Result<T, String> {
    let name = format!("{kind}{}", word.to_ascii_uppercase());
    named(&name).ok_or_else(|| format!("{field}: unknown value \"{word}\""))
}

/// Parses the name of an enum value that may be absent.
pub(super) fn optional_enum<T>(
    field: &str,
    kind: &str,
    word: Option<String>,
    named: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    word.map(|word| enum_value(field, kind, &word, named))
        .transpose()
}

/// Returns the text; `None` for an empty one.
pub(super) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Name of an enum value in the contract, without the prefix of the enum, in lower case.
pub(super) fn value_name(kind: &str, name: &str) -> String {
    name.strip_prefix(kind).unwrap_or(name).to_ascii_lowercase()
}
