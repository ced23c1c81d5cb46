//! What is wrong with a field, in the words of the contract.

/// One thing that is wrong with what a caller sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The field's name in the API, such as `subject` or `attachments[2].url`.
    pub field: String,
    /// What is wrong and what would be right, in lower case, without the value itself.
    pub description: String,
}

impl Violation {
    /// A violation of one field.
    #[must_use]
    pub fn new(field: impl Into<String>, description: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            description: description.into(),
        }
    }
}
