//! The read cursor of a conversation. It touches no message: a message's `read_at` is the recipient's receipt.

use parlance_domain::{Conversation, ConversationId, Owner};
use parlance_storage::{EarlyFence, Touch, Tx};

use crate::App;
use crate::error::Result;
use crate::messages::conversation_not_found;
use crate::write::{Changes, ensure_updated};

impl App {
    /// Moves the read cursor forward; to the end without a sequence.
    pub async fn mark_as_read(
        &self,
        owner: &Owner,
        id: ConversationId,
        up_to: Option<i64>,
    ) -> Result<Conversation> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_conversation(id)
            .await?
            .ok_or_else(|| conversation_not_found(id))?;
        // Never beyond the end: later messages would already count as read.
        let cursor = up_to
            .unwrap_or(found.last_sequence)
            .min(found.last_sequence);
        if cursor <= found.read_sequence {
            return self.reinvalidate(tx, found).await;
        }
        let fence = self.fence_of_cursor(&mut tx, &found);
        let unread = tx.unread_above(id, cursor).await?;
        self.set_cursor(tx, &found, (cursor, unread), fence).await
    }

    /// Moves the read cursor back to before the last inbound message.
    pub async fn mark_as_unread(&self, owner: &Owner, id: ConversationId) -> Result<Conversation> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_conversation(id)
            .await?
            .ok_or_else(|| conversation_not_found(id))?;
        let Some(last) = tx.last_inbound(id).await? else {
            return self.reinvalidate(tx, found).await;
        };
        let cursor = found.read_sequence.min(last - 1);
        // The last inbound message of a chat may be one that was sent, which alone would not count.
        let unread = tx.unread_above(id, cursor).await?.max(1);
        if cursor == found.read_sequence && unread == found.unread_count {
            return self.reinvalidate(tx, found).await;
        }
        let fence = self.fence_of_cursor(&mut tx, &found);
        self.set_cursor(tx, &found, (cursor, unread), fence).await
    }

    /// Starts the fence for the conversation; its row must be locked.
    fn fence_of_cursor(&self, tx: &mut Tx, found: &Conversation) -> Option<EarlyFence<Changes>> {
        tx.touch(Touch::ConversationChanged(found.id, found.user.clone()));
        self.fence_early(tx)
    }

    /// Nothing changes, but an earlier request may have been interrupted before the cache was invalidated.
    async fn reinvalidate(&self, mut tx: Tx, found: Conversation) -> Result<Conversation> {
        tx.touch(Touch::ConversationChanged(found.id, found.user.clone()));
        self.commit(tx).await?;
        Ok(found)
    }

    async fn set_cursor(
        &self,
        mut tx: Tx,
        found: &Conversation,
        (cursor, unread): (i64, i64),
        fence: Option<EarlyFence<Changes>>,
    ) -> Result<Conversation> {
        let conversation = Conversation {
            read_sequence: cursor,
            unread_count: unread,
            updated_at: tx.now(),
            version: found.version + 1,
            ..found.clone()
        };
        ensure_updated(tx.update_conversation(found, &conversation, true).await?)?;
        self.commit_fenced(tx, fence).await?;
        Ok(conversation)
    }
}
