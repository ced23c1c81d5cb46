//! Results of queries that are more than the entities of the domain.

use std::collections::BTreeMap;

use parlance_domain::search::Score;
use parlance_domain::{Channel, Direction, Message, MessageStatus};

/// Counts of conversations, messages and tokens.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Conversations.
    pub conversations: i64,
    /// The active ones among them.
    pub active_conversations: i64,
    /// Messages.
    pub messages: i64,
    /// Unread messages.
    pub unread: i64,
    /// Tokens that all messages used.
    pub tokens_used: i64,
    /// The messages by kind; kinds without messages are absent.
    pub messages_by: BTreeMap<(Channel, Direction, MessageStatus), i64>,
}

/// A message that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchResult {
    /// The message.
    pub message: Message,
    /// Excerpt with the matched terms, ready for an HTML page.
    pub snippet: String,
    /// Relevance; 0 without terms.
    pub score: Score,
}
