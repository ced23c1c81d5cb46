//! Metadata as it passes through: a JSON object that the edge has checked and nothing inside looks into.

/// The text of a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(String);

impl Json {
    /// Wraps a text that its maker knows to be a JSON object.
    #[must_use]
    pub const fn from_text(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Json {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}
