//! Deletes a conversation with its messages: hidden in one write, then removed in batches.

use std::sync::Arc;

use parlance_domain::{Conversation, ConversationId, Owner};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::conversation_not_found;
use crate::write::{check_etag, ensure_updated};

/// Messages that one write removes: a compromise between short writes and few writes.
const BATCH: i64 = 500;

impl App {
    /// Deletes a conversation; returns when all of it is removed. A deletion that has begun is finished even if the
    /// caller disconnects.
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
        ensure_updated(tx.hide_conversation(&found).await?)?;
        let app = Arc::clone(self);
        let finish = async move {
            app.commit(tx).await?;
            app.remove_hidden(&found).await
        };
        tokio::spawn(finish).await.map_err(|e| {
            Error::new(Reason::Internal, "the deletion was interrupted").caused_by(e)
        })?
    }

    /// Removes what is left of a hidden conversation, one batch per transaction.
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
                // Stale if another instance has just removed it.
                let _ = tx.remove_hidden_conversation(hidden).await?;
                return self.commit(tx).await;
            }
            self.commit(tx).await?;
        }
    }
}
