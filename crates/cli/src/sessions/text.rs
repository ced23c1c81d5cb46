//! Texts of a session: names of enum values, and fields that may be absent.

/// Field with the name of an enum value.
#[derive(Clone, Copy)]
pub(super) struct EnumField {
    pub(super) name: &'static str,
    /// Prefix of the values in the contract.
    pub(super) prefix: &'static str,
    /// Values that an import takes, for the error text.
    pub(super) values: &'static str,
}

impl EnumField {
    /// Parses the name of a value: its name in the contract without the prefix of the enum, in any case.
    pub(super) fn parse<T>(
        self,
        word: &str,
        named: impl Fn(&str) -> Option<T>,
    ) -> Result<T, String> {
        let Self {
            name,
            prefix,
            values,
        } = self;
        let value = format!("{prefix}{}", word.to_ascii_uppercase());
        named(&value).ok_or_else(|| format!("{name}: unknown value \"{word}\"; use {values}"))
    }

    /// Parses the name of a value that may be absent.
    pub(super) fn parse_optional<T>(
        self,
        word: Option<String>,
        named: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        word.map(|word| self.parse(&word, named)).transpose()
    }
}

/// Returns the text; `None` for an empty one.
pub(super) fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

/// Name of an enum value in the contract, without the prefix of the enum, in lower case.
pub(super) fn value_name(kind: &str, name: &str) -> String {
    name.strip_prefix(kind).unwrap_or(name).to_ascii_lowercase()
}
