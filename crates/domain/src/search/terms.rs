//! Search terms: what is indexed of a message, and what a query looks for.
//!
//! Besides its words, a message has one term for each scope that a search can be restricted to. An index over terms
//! therefore answers "these words, of this owner, in this conversation" alone, without reading another owner's
//! messages.

use std::collections::BTreeSet;

use super::Language;
use super::word::words;
use crate::{Channel, ConversationId, Direction, Owner};

/// Maximum size of a message's terms in bytes: Postgres limits a `tsvector` to 1 MiB. Words beyond the limit are not
/// found.
const MAX_BYTES: usize = 768 * 1024;

/// Sorted set of terms. A word consists of letters, digits and marks; a scope's term begins with `=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(Vec<String>);

/// Restriction of a search that is expressed as a term. Owner and user are hashed, so these terms can match others by
/// collision, and the query checks the columns as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Messages of an owner.
    Owner(&'a Owner),
    /// Messages in a user's conversations.
    User(&'a str),
    /// Messages of a conversation.
    Conversation(ConversationId),
    /// Messages of a channel.
    Channel(Channel),
    /// Messages of a direction.
    Direction(Direction),
}

impl Terms {
    /// Iterates over the terms.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of terms.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the set contains a term.
    #[must_use]
    pub fn contains(&self, term: &str) -> bool {
        self.position(term).is_some()
    }

    /// Returns the index of a term.
    pub(super) fn position(&self, term: &str) -> Option<usize> {
        self.0
            .binary_search_by(|known| known.as_str().cmp(term))
            .ok()
    }

    /// Adds the term of a scope.
    #[must_use]
    pub fn within(mut self, scope: Scope<'_>) -> Self {
        let term = scope.term();
        if let Err(index) = self.0.binary_search(&term) {
            self.0.insert(index, term);
        }
        self
    }
}

impl Scope<'_> {
    fn term(self) -> String {
        match self {
            Self::Owner(owner) => format!("=o{:016x}", hash(owner.as_str())),
            Self::User(user) => format!("=u{:016x}", hash(user)),
            Self::Conversation(id) => format!("=c{}", id.uuid().simple()),
            Self::Channel(channel) => format!("=h{channel}"),
            Self::Direction(direction) => format!("=d{direction}"),
        }
    }
}

/// Returns the terms of a message: its words and its scopes.
#[must_use]
pub fn document(texts: [&str; 3], scopes: [Scope<'_>; 5], language: Language) -> Terms {
    let words = collect_terms(&texts, language);
    scopes.into_iter().fold(words, Terms::within)
}

/// Returns the words of a query.
#[must_use]
pub fn query(text: &str, language: Language) -> Terms {
    collect_terms(&[text], language)
}

fn collect_terms(texts: &[&str], language: Language) -> Terms {
    let mut bytes = 0;
    let mut gathered = BTreeSet::new();
    for word in texts.iter().flat_map(|text| words(text, language)) {
        if bytes > MAX_BYTES {
            break;
        }
        if !gathered.contains(&*word.term) {
            bytes += word.term.len();
            gathered.insert(word.term.into_owned());
        }
    }
    Terms(gathered.into_iter().collect())
}

/// FNV-1a hash. It must never change, because its values are stored.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
