//! Cancels a message before it is handed over.

use parlance_domain::message::ProgressEvent;
use parlance_domain::{Message, MessageId, Owner};
use parlance_storage::Guarded;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::{in_flight, message_not_found};

/// Request of `cancel_message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelMessage {
    /// Id of the message.
    pub id: MessageId,
}

impl App {
    /// Cancels a message that is scheduled, or pending and not claimed by a delivery worker.
    pub async fn cancel_message(&self, owner: &Owner, request: CancelMessage) -> Result<Message> {
        let CancelMessage { id } = request;
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_message(id)
            .await?
            .ok_or_else(|| message_not_found(id))?;
        let Some(transition) = found.decide(ProgressEvent::Cancel.into(), tx.now()) else {
            return Err(illegal(&found));
        };
        // Before the transition is written: that fences cached lists, for nothing if the cancellation is refused.
        if transition.changed().is_some() && tx.withdraw_delivery(&found).await? == Guarded::Stale {
            return Err(in_flight(&found));
        }
        let (message, fence) = match self.store_transition(&mut tx, transition).await? {
            (Some(message), fence) => (message, fence),
            (None, fence) => {
                self.commit_fenced(tx, fence).await?;
                return Ok(found);
            }
        };
        let event = DeliveryEvent {
            time: tx.now(),
            kind: DeliveryEventKind::Canceled,
            attempt: None,
            provider: None,
            provider_time: None,
            status: Some(message.progress.status),
            detail: String::new(),
        };
        tx.append_delivery_event(id, &event).await?;
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }
}

fn illegal(found: &Message) -> Error {
    Error::new(
        Reason::IllegalStatus,
        format!(
            "a message that is {} cannot be canceled",
            found.progress.status
        ),
    )
    .with("status", found.progress.status)
    .with("message_id", found.id)
}
