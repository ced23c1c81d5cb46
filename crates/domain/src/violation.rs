//! Violations of field rules, as the API reports them.

/// Violation of a rule by one field of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Field name in the API, such as `subject` or `attachments[2].url`.
    pub field: String,
    /// What is wrong and what is valid, in lower case, without the value itself.
    pub description: String,
}

impl Violation {
    /// Creates a violation.
    #[must_use]
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}
