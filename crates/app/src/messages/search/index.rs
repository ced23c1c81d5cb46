//! Background indexing of long conversations after their title or user has changed: their older messages are indexed
//! in batches.

use std::sync::Arc;

use parlance_domain::{Conversation, ConversationId, Owner};
use parlance_storage::db::search::BATCH;

use crate::App;
use crate::error::Result;

impl App {
    /// Indexes in the background what an edit's own write did not reach. The janitor continues if this is
    /// interrupted.
    pub(crate) fn index_in_background(
        self: &Arc<Self>,
        before: &Conversation,
        after: &Conversation,
    ) {
        let is_same = before.title == after.title && before.user == after.user;
        if is_same || after.message_count <= BATCH {
            return;
        }
        let (app, owner, id) = (Arc::clone(self), after.owner.clone(), after.id);
        tokio::spawn(async move {
            if let Err(error) = app.index_rest(&owner, id).await {
                tracing::warn!(%error, cause = error.causes(), conversation_id = %id, "indexing a conversation was interrupted; the janitor continues it");
            }
        });
    }

    /// Continues indexing a conversation until it is complete. Each batch is a transaction of its own, so that other
    /// writes get in between.
    pub(crate) async fn index_rest(&self, owner: &Owner, id: ConversationId) -> Result<()> {
        loop {
            let mut tx = self.begin(owner).await?;
            let more = if let Some(conversation) = tx.lock_conversation(id).await? {
                tx.index_more(&conversation).await?
            } else {
                tx.delete_pending_for_search(id).await?;
                false
            };
            self.commit(tx).await?;
            if !more {
                return Ok(());
            }
        }
    }
}
