//! Owner: the tenant that every record belongs to and that every statement names.

/// Name of an owner: 1 to 128 printable ASCII characters without spaces.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(String);

impl Owner {
    /// Maximum length of a name in bytes.
    pub const MAX_LEN: usize = 128;

    /// Checks and wraps a name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let fits =
            (1..=Self::MAX_LEN).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self(name.to_owned()))
    }

    /// Returns the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_printable_ascii() {
        let longest = "x".repeat(Owner::MAX_LEN);
        for name in ["default", "a", "acme/eu-1", &longest] {
            assert_eq!(
                Owner::parse(name).map(|owner| owner.to_string()).as_deref(),
                Some(name)
            );
        }
        for name in ["", "a b", "a\n", "\u{fc}", &format!("{longest}x")] {
            assert_eq!(Owner::parse(name), None, "{name:?}");
        }
        assert_eq!(Owner::parse("default"), Some(Owner::default()));
    }
}
