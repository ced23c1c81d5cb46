//! Removing a sender.

use parlance_domain::{Owner, SenderId};

use super::sender_not_found;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::{Attempt, held, until_done};

impl App {
    /// Removes a sender for which no message waits.
    pub async fn delete_sender(&self, owner: &Owner, id: SenderId) -> Result<()> {
        until_done(|| self.try_delete_sender(owner, id)).await
    }

    /// A message may be sent from it at the same moment: then one of both finds the other's row, and tries again.
    async fn try_delete_sender(&self, owner: &Owner, id: SenderId) -> Result<Attempt<()>> {
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_sender(id)
            .await?
            .ok_or_else(|| sender_not_found(id))?;
        if tx.messages_wait_for_sender(found.id).await? {
            return Err(Error::new(
                Reason::SenderInUse,
                "messages still wait to leave from this sender",
            )
            .with("sender_id", id));
        }
        held(tx.delete_sender(id).await?)?;
        self.commit(tx).await?;
        Ok(Attempt::Done(()))
    }
}
