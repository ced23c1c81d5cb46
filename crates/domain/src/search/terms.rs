//! What is kept of a message for search, and what a query asks for: sets of terms.
//!
//! Besides its words a message has one term for each thing that it can be narrowed down to. So an index over terms answers
//! "these words, of this owner, in this conversation" by itself, and does not read another owner's messages first.

use std::collections::BTreeSet;

use super::Language;
use super::word::words;
use crate::{Channel, ConversationId, Direction, Owner};

/// Bytes of a message's terms: Postgres holds one MiB of them in a row. What is beyond is not found.
const MOST_BYTES: usize = 768 * 1024;

/// Terms, each once and in order. A word consists of letters, digits and marks; the term of a scope begins with `=`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms(Vec<String>);

/// What a search can be narrowed down to by terms. What is a hash of the name finds others, too, and is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// Messages of this owner.
    Owner(&'a Owner),
    /// Messages of this user's conversations.
    User(&'a str),
    /// Messages of this conversation.
    Conversation(ConversationId),
    /// Messages of this channel.
    Channel(Channel),
    /// Messages that went this way.
    Direction(Direction),
}

impl Terms {
    /// The terms.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it is one of them.
    #[must_use]
    pub fn contains(&self, term: &str) -> bool {
        self.position(term).is_some()
    }

    /// The place of a term among them.
    pub(super) fn position(&self, term: &str) -> Option<usize> {
        self.0.binary_search_by(|held| held.as_str().cmp(term)).ok()
    }

    /// These and the term of a scope.
    #[must_use]
    pub fn within(mut self, scope: Scope<'_>) -> Self {
        let term = scope.term();
        if let Err(place) = self.0.binary_search(&term) {
            self.0.insert(place, term);
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

/// The terms of a message: its words and its scopes.
#[must_use]
pub fn document(texts: [&str; 3], scopes: [Scope<'_>; 5], language: Language) -> Terms {
    let words = gathered(&texts, language);
    scopes.into_iter().fold(words, Terms::within)
}

/// The words of a query.
#[must_use]
pub fn query(text: &str, language: Language) -> Terms {
    gathered(&[text], language)
}

fn gathered(texts: &[&str], language: Language) -> Terms {
    let mut bytes = 0;
    let mut gathered = BTreeSet::new();
    for word in texts.iter().flat_map(|text| words(text, language)) {
        if bytes > MOST_BYTES {
            break;
        }
        if !gathered.contains(&*word.term) {
            bytes += word.term.len();
            gathered.insert(word.term.into_owned());
        }
    }
    Terms(gathered.into_iter().collect())
}

/// FNV-1a: the same for ever, since it is kept.
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
