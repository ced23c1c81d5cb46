//! Puts scheduled messages into their conversation queue when they are due.

use std::collections::HashMap;

use parlance_domain::message::ProgressEvent;
use parlance_domain::{EventType, Message, Owner, Step};
use parlance_storage::db::delivery::DueScheduledDelivery;
use parlance_storage::{StorageError, Tx};

use crate::App;
use crate::error::Result;
use crate::write::ensure_updated;

/// Enqueues the deliveries that have come due. Not in the transaction of a claim: conversations are locked before
/// deliveries.
pub(super) async fn enqueue_due(app: &App, due_scheduled: Vec<DueScheduledDelivery>) -> Result<()> {
    let mut by_owner: HashMap<Owner, Vec<DueScheduledDelivery>> = HashMap::new();
    for due in due_scheduled {
        by_owner.entry(due.owner.clone()).or_default().push(due);
    }
    for (owner, mut due) in by_owner {
        // One lock order for all; messages of one conversation keep the order of their due times.
        due.sort_by_key(|due| due.conversation_id);
        let mut tx = app.begin(&owner).await?;
        for due in due {
            let id = due.message_id;
            match tx.lock_message(id).await {
                Ok(Some(message)) => {
                    if tx.enter_conversation_queue(&message).await? == Some(true) {
                        show_pending(&mut tx, &message).await?;
                    }
                }
                // Deleted, together with its delivery.
                Ok(None) => {}
                Err(error @ StorageError::Inconsistent { .. }) => {
                    tracing::error!(%error, message_id = %id, "a message cannot be read, so it cannot be handed over");
                    // Postponed as if a worker had claimed it, so that it is not looked at all the time.
                    let later = tx.now().plus(app.settings.pace.lease);
                    let _ = tx.reschedule_delivery(id, later).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        app.commit(tx).await?;
    }
    Ok(())
}

/// Shows a scheduled message as PENDING: it waits for its predecessors now, no longer for its time.
async fn show_pending(tx: &mut Tx, found: &Message) -> Result<()> {
    let Step::Moved(progress) = found.progress.clone().apply(ProgressEvent::Due) else {
        return Ok(());
    };
    let message = Message {
        progress,
        updated_at: tx.now(),
        version: found.version + 1,
        ..found.clone()
    };
    let user = tx.user_of(found.conversation_id).await?;
    ensure_updated(
        tx.update_message(found, &message, EventType::MessageStatusChanged, &user)
            .await?,
    )
}
