//! Removing a sender.

use parlance_domain::{Owner, SenderId};

use super::sender_not_found;
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::write::held;

impl App {
    /// Removes a sender for which no message waits.
    pub async fn delete_sender(&self, owner: &Owner, id: SenderId) -> Result<()> {
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
        self.commit(tx).await
    }
}
