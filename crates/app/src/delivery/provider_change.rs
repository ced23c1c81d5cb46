//! Provider of a message, after its sender got another one while the message waited.
//!
//! A message names the provider that its reports come from. Before the first hand-over it follows its sender. After that
//! the earlier provider may have it, and the sender's credentials belong to the present one: it is not handed
//! over again.

use std::time::Duration;

use parlance_domain::Message;
use parlance_domain::message::{MessageEvent, ReportedError};
use parlance_storage::db::delivery::Claim;

use crate::App;
use crate::error::Result;
use crate::limit::in_time;
use crate::transition::Transitioned;

/// Pause before a failed write is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Whether a message names the provider of its sender.
pub(super) fn is_of_its_sender(message: &Message, claim: &Claim) -> bool {
    message.provider.as_deref() == Some(claim.sender.provider.as_str())
}

/// Assigns the sender's provider to a message that was never handed over, and returns the message. Retries until the
/// lease ends: no provider is called before its message names it, because a report may come before the outcome.
pub(super) async fn follow_sender(app: &App, claim: &Claim, message: Message) -> Message {
    let was_handed_over = claim.answer_lost || message.progress.attempt > 0;
    if was_handed_over || is_of_its_sender(&message, claim) {
        return message;
    }
    loop {
        match in_time(Box::pin(change_provider(app, claim))).await {
            Ok(changed) => return changed.unwrap_or(message),
            Err(error) => {
                tracing::warn!(%error, cause = error.causes(), message_id = %claim.message_id, "the provider of a message could not be changed to that of its sender");
            }
        }
        if app.now() >= claim.lease_until {
            return message;
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Returns the changed message; `None` if it was deleted, or its delivery was lost or ended by a report.
async fn change_provider(app: &App, claim: &Claim) -> Result<Option<Message>> {
    let mut tx = app.begin(&claim.owner).await?;
    let Some(found) = tx.lock_message(claim.message_id).await? else {
        return Ok(None);
    };
    if tx.delivery_attempt(claim.message_id).await? != Some(claim.attempt) {
        return Ok(None);
    }
    let event = MessageEvent::ChangeProvider(claim.sender.provider.clone());
    let (message, fence) = match app.transition(&mut tx, &found, event).await? {
        Transitioned::Moved(message, fence) => (*message, fence),
        Transitioned::Unchanged(fence) => (found, fence),
        Transitioned::Illegal => return Ok(None),
    };
    app.commit_fenced(tx, fence).await?;
    Ok(Some(message))
}

/// Error of a message that was handed to its sender's earlier provider.
pub(super) fn provider_changed() -> ReportedError {
    ReportedError {
        code: "provider_changed".to_owned(),
        message: "the sender's provider was changed after the message had been handed to the earlier one; send it again"
            .to_owned(),
        provider_code: String::new(),
    }
}
