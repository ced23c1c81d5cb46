//! Deleting a conversation with its messages: hidden in one write, then removed in batches.

use std::sync::Arc;

use parlance_domain::{Conversation, ConversationId, Owner};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::conversation_not_found;
use crate::write::{check_etag, held};

/// Messages that one write removes: few enough that it is short, many enough that there are few.
const BATCH: i64 = 500;

impl App {
    /// Deletes a conversation; returns when all is gone. What is begun is finished even if the caller leaves.
    pub async fn delete_conversation(
        self: &Arc<Self>,
        owner: &Owner,
        id: ConversationId,
        etag: Option<String>,
    ) -> Result<()> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_conversation(id)
            .await?
            .ok_or_else(|| conversation_not_found(id))?;
        check_etag(etag.as_deref(), found.edit_version)?;
        held(tx.hide_conversation(&found).await?)?;
        let app = Arc::clone(self);
        let finish = async move {
            app.commit(tx).await?;
            app.remove_hidden(&found).await
        };
        tokio::spawn(finish)
            .await
            .map_err(|e| Error::new(Reason::Internal, "the deletion broke off").caused_by(e))?
    }

    /// Removes what is left of a hidden conversation, a batch by each transaction.
    pub(crate) async fn remove_hidden(&self, hidden: &Conversation) -> Result<()> {
        loop {
            let mut tx = self.begin(&hidden.owner).await?;
            let more = tx.scrub_hidden_conversation(hidden).await?;
            self.commit(tx).await?;
            if !more {
                break;
            }
        }
        loop {
            let mut tx = self.begin(&hidden.owner).await?;
            let removed = tx.delete_some_messages(hidden, BATCH).await?;
            if removed == 0 {
                // Stale: another instance has just removed it.
                let _ = tx.remove_hidden_conversation(hidden).await?;
                return self.commit(tx).await;
            }
            self.commit(tx).await?;
        }
    }
}
