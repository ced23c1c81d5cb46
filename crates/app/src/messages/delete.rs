//! Deletion of a message: it disappears from reads, search, caches and the feed; a pending one is not sent.

use parlance_domain::{Conversation, ConversationId, Message, MessageId, Owner, Timestamp};
use parlance_storage::{Guarded, Tx};

use super::get::message_not_found;
use super::report::has_delivery;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::{check_etag, ensure_updated};

/// Up to this many unread messages are counted again after a deletion. A conversation that was marked as unread may
/// count one more than its messages account for; the recount corrects that. In larger conversations the difference
/// does not justify the recount.
const RECOUNTED: i64 = 1_000;

/// Request of `delete_message`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteMessage {
    /// Id of the message.
    pub id: MessageId,
    /// Expected etag; unconditional without it.
    pub etag: Option<String>,
}

impl App {
    /// Deletes a message.
    pub async fn delete_message(&self, owner: &Owner, request: DeleteMessage) -> Result<()> {
        let DeleteMessage { id, etag } = request;
        let missing = || message_not_found(id);
        // Its conversation has to be locked first, so the message is read before.
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
        if has_delivery(found.progress.status)
            && tx.withdraw_delivery(&found).await? == Guarded::Stale
        {
            return Err(in_flight(&found));
        }
        if tx.delete_message(&found, &conversation.user).await? == Guarded::Stale {
            return Err(in_flight(&found));
        }
        let shorter = without(&mut tx, &conversation, std::slice::from_ref(&found)).await?;
        ensure_updated(
            tx.update_conversation(&conversation, &shorter, false)
                .await?,
        )?;
        self.commit(tx).await
    }
}

impl App {
    /// Deletes those of a conversation's messages that exist, are not in delivery and were created before the given
    /// time. Deletes the conversation, too, if none is left and it has not been active since. Returns the number of
    /// messages and whether the conversation was deleted.
    pub(crate) async fn delete_aged(
        &self,
        owner: &Owner,
        conversation: ConversationId,
        ids: &[MessageId],
        before: Timestamp,
    ) -> Result<(usize, bool)> {
        let mut tx = self.begin(owner).await?;
        let Some(conversation) = tx.lock_conversation(conversation).await? else {
            tx.rollback().await?;
            return Ok((0, false));
        };
        let mut gone = Vec::with_capacity(ids.len());
        for &id in ids {
            // The ids were found without a lock: another instance may have deleted the message.
            let Some(found) = tx.lock_message(id).await? else {
                continue;
            };
            let stays = has_delivery(found.progress.status) || found.created_at >= before;
            if !stays && tx.delete_message(&found, &conversation.user).await? == Guarded::Updated {
                gone.push(found);
            }
        }
        if gone.is_empty() {
            tx.rollback().await?;
            return Ok((0, false));
        }
        let shorter = without(&mut tx, &conversation, &gone).await?;
        if shorter.message_count == 0 && is_idle(&conversation, before) {
            ensure_updated(tx.hide_conversation(&conversation).await?)?;
            self.commit(tx).await?;
            self.remove_hidden(&conversation).await?;
            return Ok((gone.len(), true));
        }
        ensure_updated(
            tx.update_conversation(&conversation, &shorter, false)
                .await?,
        )?;
        self.commit(tx).await?;
        Ok((gone.len(), false))
    }
}

/// Whether a conversation was last active before the given time.
pub(crate) fn is_idle(conversation: &Conversation, before: Timestamp) -> bool {
    conversation
        .last_message_at
        .unwrap_or(conversation.created_at)
        < before
}

/// The conversation with its counters reduced by messages that are already deleted.
async fn without(
    tx: &mut Tx,
    conversation: &Conversation,
    gone: &[Message],
) -> Result<Conversation> {
    let mut shorter = conversation.clone();
    shorter.message_count -= i64::try_from(gone.len()).unwrap_or(i64::MAX);
    let unread = gone
        .iter()
        .filter(|gone| gone.sequence > conversation.read_sequence);
    let counted = unread.clone().filter(|gone| gone.counts_unread).count();
    if unread.count() > 0 {
        shorter.unread_count = if conversation.unread_count > RECOUNTED {
            let counted = i64::try_from(counted).unwrap_or(i64::MAX);
            conversation.unread_count.saturating_sub(counted)
        } else {
            tx.unread_above(conversation.id, conversation.read_sequence)
                .await?
        };
    }
    if gone
        .iter()
        .any(|gone| conversation.last_message_at == Some(gone.created_at))
    {
        shorter.last_message_at = tx.newest_message_time(conversation.id).await?;
    }
    shorter.updated_at = tx.now();
    shorter.version += 1;
    Ok(shorter)
}

pub(crate) fn in_flight(found: &Message) -> Error {
    Error::new(
        Reason::MessageInFlight,
        "the message is being handed over; wait until it is SENT or FAILED",
    )
    .with("message_id", found.id)
    .with("status", found.progress.status)
}
