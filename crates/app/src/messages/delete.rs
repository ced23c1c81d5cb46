//! Deleting a message: gone from reads, search, caches and the feed's copies; a queued one is not sent.

use parlance_domain::{Conversation, Message, MessageId, Owner};
use parlance_storage::{Guarded, Tx};

use super::get::message_not_found;
use super::report::waits;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::{check_etag, held};

/// What `delete_message` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteMessage {
    /// Which message.
    pub id: MessageId,
    /// What it was when it was read.
    pub etag: Option<String>,
}

impl App {
    /// Deletes a message.
    pub async fn delete_message(&self, owner: &Owner, request: DeleteMessage) -> Result<()> {
        let DeleteMessage { id, etag } = request;
        let missing = || message_not_found(id);
        // Its conversation is locked first, so it is read before.
        let conversation_id = self
            .db
            .message(owner, id)
            .await?
            .ok_or_else(missing)?
            .conversation_id;
        let mut tx = self.begin(owner).await?;
        let conversation = tx
            .lock_conversation(conversation_id)
            .await?
            .ok_or_else(missing)?;
        let found = tx.lock_message(id).await?.ok_or_else(missing)?;
        check_etag(etag.as_deref(), found.edit_version)?;
        if waits(found.progress.status) && tx.withdraw_delivery(&found).await? == Guarded::Stale {
            return Err(in_flight(&found));
        }
        if tx.delete_message(&found, &conversation.user).await? == Guarded::Stale {
            return Err(in_flight(&found));
        }
        let shorter = without(&mut tx, &conversation, &found).await?;
        held(
            tx.update_conversation(&conversation, &shorter, false)
                .await?,
        )?;
        self.commit(tx).await
    }
}

/// The conversation without a message that is gone already.
async fn without(tx: &mut Tx, conversation: &Conversation, gone: &Message) -> Result<Conversation> {
    let mut shorter = conversation.clone();
    shorter.message_count -= 1;
    if gone.sequence > conversation.read_sequence {
        shorter.unread_count = tx
            .unread_above(conversation.id, conversation.read_sequence)
            .await?;
    }
    if conversation.last_message_at == Some(gone.created_at) {
        shorter.last_message_at = tx.newest_message_time(conversation.id).await?;
    }
    shorter.updated_at = tx.now();
    shorter.version += 1;
    Ok(shorter)
}

pub(crate) fn in_flight(found: &Message) -> Error {
    Error::new(
        Reason::MessageInFlight,
        "the message is just being handed over; wait until it is SENT or FAILED",
    )
    .with("message_id", found.id)
    .with("status", found.progress.status)
}
