//! Reads messages by id.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parlance_cache::{BatchReadRequest, Key, Source};
use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::{Database, StorageError};

use crate::App;
use crate::cache::codec::MessageCodec;
use crate::cache::keys;
use crate::error::{Error, Reason, Result};
use crate::read::{Answer, Read, one, read, shared};

/// Reference to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageRef {
    /// By our id.
    Id(MessageId),
    /// By the provider's id.
    Provider {
        /// The provider.
        provider: String,
        /// The provider's id of the message.
        provider_message_id: String,
    },
}

/// Result of a batch read.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageBatch {
    /// The messages found, in the order of the request.
    pub messages: Vec<Answer<Message>>,
    /// The ids without a message.
    pub missing: Vec<MessageId>,
}

impl App {
    /// One message. While the database is unavailable it may be as old as `max_staleness`.
    pub async fn message(
        &self,
        owner: &Owner,
        which: &MessageRef,
        max_staleness: Option<Duration>,
    ) -> Result<Read<Answer<Message>>> {
        match which {
            MessageRef::Id(id) => self
                .find_message(owner, *id, max_staleness)
                .await?
                .ok_or_else(|| message_not_found(*id)),
            MessageRef::Provider {
                provider,
                provider_message_id,
            } => {
                // Boxed, so that the future of a hit by our id stays small.
                let found = self.message_by_provider_id(owner, provider, provider_message_id);
                let message = Box::pin(found).await?;
                Ok(Read::from(Source::Database, Answer::Value(message)))
            }
        }
    }

    /// One message by its provider's id, which is not a cache key.
    pub(crate) async fn message_by_provider_id(
        &self,
        owner: &Owner,
        provider: &str,
        provider_message_id: &str,
    ) -> Result<Message> {
        let found = self
            .db
            .message_by_provider_id(owner, provider, provider_message_id)
            .await?;
        found.ok_or_else(|| Error::new(Reason::MessageNotFound, "no message has this provider id"))
    }

    /// Several messages at once. While the database is unavailable all of them may be as old as `max_staleness`.
    pub async fn messages(
        &self,
        owner: &Owner,
        ids: Vec<MessageId>,
        max_staleness: Option<Duration>,
    ) -> Result<Read<MessageBatch>> {
        let mut by_key: HashMap<Key, MessageId> = HashMap::with_capacity(ids.len());
        by_key.extend(ids.iter().map(|id| (keys::message(*id), *id)));
        let keys: Vec<Key> = by_key.keys().copied().collect();
        let lookup = BatchReadRequest {
            keys: &keys,
            owner: owner.as_str(),
            max_staleness,
        };
        let encoders = self.settings.encoders;
        let codec = move |key: Key| MessageCodec {
            id: MessageId::from_uuid(uuid::Uuid::from_u128(key.id())),
            encoders,
        };
        let (db, owner) = (self.db.clone(), owner.clone());
        let load = |missing| load_messages(db, owner, missing);
        let mut found = self.cache().read_many(lookup, codec, load).await?;

        // Missing messages were looked up in the database.
        let fastest = if found.len() < by_key.len() {
            Source::Database
        } else {
            Source::Memory
        };
        let mut batch = Read::from(fastest, MessageBatch::default());
        let mut answers = HashMap::with_capacity(found.len());
        for (key, id) in by_key {
            if let Some(found) = found.remove(&key) {
                let answer = read(found).try_map(one)?;
                batch = batch.and(answer, |batch, answer| {
                    answers.insert(id, answer);
                    batch
                });
            }
        }
        for id in ids {
            match answers.get(&id) {
                Some(answer) => batch.value.messages.push(answer.clone()),
                None => batch.value.missing.push(id),
            }
        }
        Ok(batch)
    }
}

async fn load_messages(
    db: Database,
    owner: Owner,
    keys: Vec<Key>,
) -> std::result::Result<HashMap<Key, Message>, Arc<StorageError>> {
    let id = |key: &Key| MessageId::from_uuid(uuid::Uuid::from_u128(key.id()));
    let ids: Vec<MessageId> = keys.iter().map(id).collect();
    let messages = shared(db.messages(&owner, &ids).await)?;
    Ok(messages
        .into_iter()
        .map(|m| (keys::message(m.id), m))
        .collect())
}

pub(crate) fn message_not_found(id: MessageId) -> Error {
    Error::new(Reason::MessageNotFound, "no such message").with("message_id", id)
}
