//! Full-text search: the words of a text, the messages that match a query, and their rank.
//!
//! This is the only definition for both databases. They store terms that are produced here and never parse a text
//! themselves, so both find the same messages for any text and any query.

mod language;
mod rank;
mod snippet;
mod terms;
mod word;

#[cfg(test)]
mod tests;

pub use language::Language;
pub use rank::{RANKED_CHARS, Score, score};
pub use snippet::snippet;
pub use terms::{Scope, Terms, document, query};
