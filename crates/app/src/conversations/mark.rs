//! The read cursor of a conversation. It touches no message: a message's `read_at` is the recipient's receipt.

use parlance_domain::{Conversation, ConversationId, Owner};

use crate::App;
use crate::error::Result;
use crate::messages::conversation_not_found;

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
        let mut marked = found.clone();
        if cursor > found.read_sequence {
            marked.read_sequence = cursor;
            marked.unread_count = tx.unread_above(id, cursor).await?;
        }
        let (conversation, fence) = self.rewrite_conversation(&mut tx, &found, marked).await?;
        self.commit_fenced(tx, fence).await?;
        Ok(conversation)
    }

    /// Moves the read cursor back to before the last inbound message.
    pub async fn mark_as_unread(&self, owner: &Owner, id: ConversationId) -> Result<Conversation> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_conversation(id)
            .await?
            .ok_or_else(|| conversation_not_found(id))?;
        let mut marked = found.clone();
        if let Some(last) = tx.last_inbound(id).await? {
            let cursor = found.read_sequence.min(last - 1);
            marked.read_sequence = cursor;
            // The last inbound message of a chat may be one that was sent, which alone would not count.
            marked.unread_count = tx.unread_above(id, cursor).await?.max(1);
        }
        let (conversation, fence) = self.rewrite_conversation(&mut tx, &found, marked).await?;
        self.commit_fenced(tx, fence).await?;
        Ok(conversation)
    }
}
