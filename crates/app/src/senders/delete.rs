//! Deletes a sender.

use parlance_domain::{Owner, SenderId};

use super::sender_not_found;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::{TryResult, ensure_updated, retry_on_conflict};

impl App {
    /// Deletes a sender for which no message waits.
    pub async fn delete_sender(&self, owner: &Owner, id: SenderId) -> Result<()> {
        retry_on_conflict(|| self.try_delete_sender(owner, id)).await
    }

    /// Concurrent with a send from the same sender: one of the two transactions finds the other's row and is retried.
    async fn try_delete_sender(&self, owner: &Owner, id: SenderId) -> Result<TryResult<()>> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_sender(id)
            .await?
            .ok_or_else(|| sender_not_found(id))?;
        if tx.messages_wait_for_sender(found.id).await? {
            return Err(Error::new(
                Reason::SenderInUse,
                "messages of this sender still wait for delivery",
            )
            .with("sender_id", id));
        }
        ensure_updated(tx.delete_sender(id).await?)?;
        self.commit(tx).await?;
        Ok(TryResult::Done(()))
    }
}
