//! Reading one conversation.

use parlance_domain::{Conversation, ConversationId, Owner};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::conversation_not_found;

/// Which conversation is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConversationRef {
    /// By our id.
    Id(ConversationId),
    /// By the owner's own name for it.
    ExternalId(String),
}

impl App {
    /// One conversation.
    pub async fn conversation(
        &self,
        owner: &Owner,
        which: &ConversationRef,
    ) -> Result<Conversation> {
        match which {
            ConversationRef::Id(id) => self
                .db
                .conversation(owner, *id)
                .await?
                .ok_or_else(|| conversation_not_found(*id)),
            ConversationRef::ExternalId(name) => {
                let found = self.db.conversation_by_external_id(owner, name).await?;
                found.ok_or_else(|| {
                    Error::new(
                        Reason::ConversationNotFound,
                        "no conversation has this external_id",
                    )
                })
            }
        }
    }
}
