//! Reads one conversation.

use std::time::Duration;

use parlance_cache::Source;
use parlance_domain::{Conversation, ConversationId, Owner};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::conversation_not_found;
use crate::read::{Answer, Counted, Read};

/// Reference to a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationRef {
    /// By our id.
    Id(ConversationId),
    /// By the owner's external id.
    ExternalId(String),
}

impl App {
    /// One conversation. While the database is unavailable it may be as old as `max_staleness`.
    pub async fn conversation(
        &self,
        owner: &Owner,
        which: &ConversationRef,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Conversation>>> {
        match which {
            ConversationRef::Id(id) => {
                let found = self.counted(owner, *id, max_staleness).await?;
                Ok(found.map(|found| found.conversation))
            }
            // Not cached: an external id may move from one conversation to another.
            ConversationRef::ExternalId(name) => {
                let found = self.db.conversation_by_external_id(owner, name).await?;
                let conversation = found.ok_or_else(|| {
                    Error::new(
                        Reason::ConversationNotFound,
                        "no conversation has this external_id",
                    )
                })?;
                Ok(Read::from(Source::Database, Answer::Value(conversation)))
            }
        }
    }

    /// A conversation by our id, and its number of messages.
    pub(crate) async fn counted(
        &self,
        owner: &Owner,
        id: ConversationId,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Counted>> {
        let found = self.find_conversation(owner, id, max_staleness).await?;
        found.ok_or_else(|| conversation_not_found(id))
    }
}
