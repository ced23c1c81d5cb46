//! Which words a text has, which messages a query means, and how well they fit.
//!
//! The one definition for both databases: they hold terms that are made here, and no parser of theirs looks at a text. So
//! both find the same messages, for any text and any query.

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
