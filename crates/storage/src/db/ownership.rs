//! Whose something is, for those who look after the cache of the whole installation: its keys tell ids and no owners.

use std::collections::HashSet;

use parlance_domain::{ConversationId, MessageId, Owner};

use crate::conn::Database;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows;

/// So many events are looked at for each conversation that is wanted.
const EVENTS_EACH: i64 = 20;

/// A conversation in which something happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveConversation {
    /// Whose it is.
    pub owner: Owner,
    /// Which of the owner's users it belonged to then; empty for none.
    pub user: String,
    /// The conversation.
    pub conversation: ConversationId,
}

impl Database {
    /// Whose message it is.
    pub async fn owner_of_message(&self, id: MessageId) -> StorageResult<Option<Owner>> {
        let owner = read!(self, |c, q| q::ownership::message(c, Id(id.uuid())))?;
        owner
            .map(|owner| rows::owner("messages", &owner, id))
            .transpose()
    }

    /// Whose conversation it is.
    pub async fn owner_of_conversation(&self, id: ConversationId) -> StorageResult<Option<Owner>> {
        let owner = read!(self, |c, q| q::ownership::conversation(c, Id(id.uuid())))?;
        owner
            .map(|owner| rows::owner("conversations", &owner, id))
            .transpose()
    }

    /// Conversations of the whole installation in which something happened lately, the latest first, up to `limit`: as far back
    /// as the feed is kept, and fewer where a few have nearly all of the news.
    pub async fn recently_active(&self, limit: usize) -> StorageResult<Vec<ActiveConversation>> {
        let events = i64::try_from(limit).unwrap_or(i64::MAX);
        let events = events.saturating_mul(EVENTS_EACH);
        let rows = read!(self, |c, q| q::ownership::latest(c, events))?;
        let mut seen = HashSet::new();
        let latest = rows.into_iter().filter(|(_, id, _)| seen.insert(id.0));
        latest
            .take(limit)
            .map(|(owner, id, user)| {
                Ok(ActiveConversation {
                    owner: rows::owner("feed", &owner, id.0)?,
                    user,
                    conversation: ConversationId::from_uuid(id.0),
                })
            })
            .collect()
    }
}
