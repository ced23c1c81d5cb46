//! Puts scheduled messages into their conversation queue when they are due.

use std::collections::HashMap;

use parlance_domain::message::ProgressEvent;
use parlance_domain::{Message, Owner};
use parlance_storage::StorageError;
use parlance_storage::db::delivery::DueScheduledDelivery;

use crate::App;
use crate::error::Result;

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
        let mut locked: Vec<Message> = Vec::with_capacity(due.len());
        let mut unreadable = Vec::new();
        for DueScheduledDelivery { message_id, .. } in due {
            match tx.lock_message(message_id).await {
                // Without a message it was deleted, together with its delivery.
                Ok(found) => locked.extend(found),
                Err(error @ StorageError::Inconsistent { .. }) => {
                    tracing::error!(%error, %message_id, "a message cannot be read, so it cannot be handed over");
                    unreadable.push(message_id);
                }
                Err(error) => return Err(error.into()),
            }
        }
        for id in unreadable {
            // Postponed as if a worker had claimed it, so that it is not looked at all the time.
            let later = tx.now().plus(app.settings.pace.lease);
            let _ = tx.reschedule_delivery(id, later).await?;
        }
        let mut blocked = Vec::with_capacity(locked.len());
        for message in &locked {
            if tx.enter_conversation_queue(message).await? == Some(true) {
                let user = tx.user_of(message.conversation_id).await?;
                blocked.push((message, user));
            }
        }
        // Shown as PENDING: they wait for their predecessors now, no longer for their time.
        let now = tx.now();
        let mut decided = Vec::with_capacity(blocked.len());
        for (message, user) in &blocked {
            if let Some(transition) = message.decide(ProgressEvent::Due.into(), now) {
                decided.push((transition, user.as_str()));
            }
        }
        let fence = app.store_transitions(&mut tx, &decided).await?;
        app.commit_fenced(tx, fence).await?;
    }
    Ok(())
}
