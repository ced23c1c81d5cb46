//! Cancels a message before it is handed over.

use parlance_domain::message::ProgressEvent;
use parlance_domain::{EventType, Message, MessageId, Owner, Step};
use parlance_storage::Guarded;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use crate::App;
use crate::error::{Error, Reason, Result};
use crate::messages::{in_flight, message_not_found};
use crate::write::ensure_updated;

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
        let progress = match found.progress.clone().apply(ProgressEvent::Cancel) {
            Step::Moved(progress) => progress,
            Step::Ignored => {
                // The first request may have been interrupted before the cache was invalidated.
                tx.touch_message(&found).await?;
                self.commit(tx).await?;
                return Ok(found);
            }
            Step::Illegal => return Err(illegal(&found)),
        };
        if tx.withdraw_delivery(&found).await? == Guarded::Stale {
            return Err(in_flight(&found));
        }
        let event = DeliveryEvent {
            time: tx.now(),
            kind: DeliveryEventKind::Canceled,
            attempt: None,
            provider: None,
            provider_time: None,
            status: Some(progress.status),
            detail: String::new(),
        };
        tx.append_delivery_event(id, &event).await?;
        let message = Message {
            progress,
            updated_at: tx.now(),
            version: found.version + 1,
            ..found.clone()
        };
        let user = tx.user_of(found.conversation_id).await?;
        ensure_updated(
            tx.update_message(&found, &message, EventType::MessageStatusChanged, &user)
                .await?,
        )?;
        self.commit(tx).await?;
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
