//! Long conversations whose title or user has changed: their older messages are indexed bit by bit, behind the edit.

use std::sync::Arc;

use parlance_domain::{Conversation, ConversationId, Owner};
use parlance_storage::db::search::BATCH;

use crate::App;
use crate::error::Result;

impl App {
    /// After an edit of a conversation: what its own write did not reach is indexed behind it. What breaks off is left to the
    /// janitor.
    pub(crate) fn index_behind(self: &Arc<Self>, before: &Conversation, after: &Conversation) {
        let is_same = before.title == after.title && before.user == after.user;
        if is_same || after.message_count <= BATCH {
            return;
        }
        let (app, owner, id) = (Arc::clone(self), after.owner.clone(), after.id);
        tokio::spawn(async move {
            if let Err(error) = app.index_rest(&owner, id).await {
                tracing::warn!(%error, cause = error.causes(), conversation_id = %id, "indexing a conversation broke off; the janitor goes on with it");
            }
        });
    }

    /// Goes on indexing a conversation until all of it is done. A write for each bit, so that others get in between.
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
