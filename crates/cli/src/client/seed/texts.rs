//! Texts of the sample conversations, from `texts.toml`.

use serde::Deserialize;

use crate::failure::Failure;

/// Texts of the sample conversations. Placeholders such as `{order}` are replaced.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Texts {
    pub(super) topics: Vec<Topic>,
    pub(super) thanks: Vec<String>,
    pub(super) closings: Vec<String>,
    pub(super) first_names: Vec<String>,
    pub(super) last_names: Vec<String>,
    pub(super) agents: Vec<String>,
    pub(super) cities: Vec<String>,
    pub(super) products: Vec<String>,
    pub(super) days: Vec<String>,
}

/// Topic of a conversation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) titles: Vec<String>,
    /// First message of the customer.
    pub(super) questions: Vec<String>,
    /// First reply of the shop.
    pub(super) answers: Vec<String>,
    /// Further messages of the customer.
    pub(super) further: Vec<String>,
    /// Further replies of the shop.
    pub(super) details: Vec<String>,
}

impl Texts {
    /// Reads the texts, which are compiled in.
    pub(super) fn read() -> Result<Self, Failure> {
        toml::from_str(include_str!("texts.toml"))
            .map_err(|error| Failure::SampleTexts(error.to_string()))
    }
}
