//! Searches and their matches.

use parlance_domain::{Channel, ConversationId, Direction, MessageId, MessageStatus, Timestamp};
use uuid::Uuid;

/// Filter of a search; `None` matches any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchFilter {
    /// User of the conversation.
    pub user: Option<String>,
    /// Conversation.
    pub conversation_id: Option<ConversationId>,
    /// Channel.
    pub channel: Option<Channel>,
    /// Direction.
    pub direction: Option<Direction>,
    /// Status.
    pub status: Option<MessageStatus>,
    /// Created then or later.
    pub created_after: Option<Timestamp>,
    /// Created earlier.
    pub created_before: Option<Timestamp>,
}

/// Position of a match among all matches, by time; its content is specific to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SearchPosition {
    pub(crate) at: i64,
    pub(crate) id: Uuid,
}

impl SearchPosition {
    /// Length of a position in bytes.
    pub const LEN: usize = 24;

    /// Encodes a position, for a page token.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.at.to_be_bytes());
        bytes[8..].copy_from_slice(self.id.as_bytes());
        bytes
    }

    /// Decodes a position.
    pub fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let (mut at, mut id) = ([0; 8], [0; 16]);
        at.copy_from_slice(&bytes[..8]);
        id.copy_from_slice(&bytes[8..]);
        Self {
            at: i64::from_be_bytes(at),
            id: Uuid::from_bytes(id),
        }
    }
}

/// A range of the matches, from the newest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SearchWindow {
    /// Only matches that are older than this.
    pub beyond: Option<SearchPosition>,
    /// Only from this match on, inclusive.
    pub from: Option<SearchPosition>,
    /// Only up to this match, inclusive.
    pub up_to: Option<SearchPosition>,
    /// How many matches are wanted.
    pub enough: usize,
    /// How many may be returned if they cost nothing extra.
    pub limit: usize,
}

/// A message that contains the words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Position among the matches.
    pub position: SearchPosition,
    /// The message.
    pub id: MessageId,
    /// Its subject.
    pub subject: String,
    /// The first [`RANKED_CHARS`](parlance_domain::search::RANKED_CHARS) characters of its body.
    pub head: String,
    /// The title of its conversation.
    pub title: String,
}

/// Consecutive matches, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matches {
    /// The visible matches.
    pub matches: Vec<Match>,
    /// Positions of the first and the last match, including those that are not visible.
    pub ends: Option<(SearchPosition, SearchPosition)>,
    /// Whether there are no more beyond.
    pub is_last: bool,
}
