//! Reading messages by id.

use std::collections::HashMap;

use parlance_domain::{Message, MessageId, Owner};

use crate::App;
use crate::error::{Error, Reason, Result};

/// Which message is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRef {
    /// By our id.
    Id(MessageId),
    /// By the provider's.
    Provider {
        /// The provider.
        provider: String,
        /// Its id of the message.
        provider_message_id: String,
    },
}

/// Messages that were asked for together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageBatch {
    /// Those that there are, in the order of asking.
    pub messages: Vec<Message>,
    /// Those that there are not.
    pub missing: Vec<MessageId>,
}

impl App {
    /// One message.
    pub async fn message(&self, owner: &Owner, which: &MessageRef) -> Result<Message> {
        match which {
            MessageRef::Id(id) => self
                .db
                .message(owner, *id)
                .await?
                .ok_or_else(|| message_not_found(*id)),
            MessageRef::Provider {
                provider,
                provider_message_id,
            } => self
                .db
                .message_by_provider_id(owner, provider, provider_message_id)
                .await?
                .ok_or_else(|| {
                    Error::new(Reason::MessageNotFound, "no message has this provider id")
                }),
        }
    }

    /// Several messages at once.
    pub async fn messages(&self, owner: &Owner, ids: Vec<MessageId>) -> Result<MessageBatch> {
        let found = self.db.messages(owner, &ids).await?;
        let by_id: HashMap<MessageId, Message> = found.into_iter().map(|m| (m.id, m)).collect();
        let mut batch = MessageBatch::default();
        for id in ids {
            match by_id.get(&id) {
                Some(message) => batch.messages.push(message.clone()),
                None => batch.missing.push(id),
            }
        }
        Ok(batch)
    }
}

pub(crate) fn message_not_found(id: MessageId) -> Error {
    Error::new(Reason::MessageNotFound, "no such message").with("message_id", id)
}
