//! Looks up the owners of entities, for tools that inspect the cache of the whole installation: its keys contain ids
//! and no owners.

use std::collections::HashSet;

use parlance_domain::{ConversationId, MessageId, Owner};

pub use crate::model::ownership::ActiveConversation;

use crate::conn::Database;
use crate::error::StorageResult;
use crate::rows;

/// Events that are read for each requested conversation.
const EVENTS_EACH: i64 = 20;

impl Database {
    /// Returns the owner of a message.
    pub async fn owner_of_message(&self, id: MessageId) -> StorageResult<Option<Owner>> {
        let owner = read!(self, |c, q| q::ownership::message(c, id.into()))?;
        owner
            .map(|owner| rows::owner("messages", &owner, id))
            .transpose()
    }

    /// Returns the owner of a conversation.
    pub async fn owner_of_conversation(&self, id: ConversationId) -> StorageResult<Option<Owner>> {
        let owner = read!(self, |c, q| q::ownership::conversation(c, id.into()))?;
        owner
            .map(|owner| rows::owner("conversations", &owner, id))
            .transpose()
    }

    /// Returns recently active conversations of the whole installation, the latest first, up to `limit`: as far back as
    /// the feed goes, and fewer if a few conversations have nearly all of the events.
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
                    conversation: id.into(),
                })
            })
            .collect()
    }
}
