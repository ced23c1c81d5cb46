//! Status reports about a message, merged so that any order and any repetition give the same result.

use parlance_domain::message::{Progress, ProgressEvent, Report, ReportStatus, ReportedError};
use parlance_domain::{EventType, Message, MessageStatus, Owner, Step, Timestamp};
use parlance_storage::Tx;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use super::get::{MessageRef, message_not_found};
use crate::App;
use crate::delivery::record_superseded_attempts;
use crate::error::{Error, Reason, Result};
use crate::write::ensure_updated;

/// Request of `report_status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The message.
    pub which: MessageRef,
    /// The reported status.
    pub status: ReportStatus,
    /// The error, if the delivery failed.
    pub error: Option<ReportedError>,
    /// When it happened; now without it.
    pub occurred_at: Option<Timestamp>,
}

impl App {
    /// Merges a report; one without news changes nothing and succeeds.
    pub async fn report_status(&self, owner: &Owner, report: StatusReport) -> Result<Message> {
        let StatusReport {
            which,
            status,
            error,
            occurred_at,
        } = report;
        let id = match which {
            MessageRef::Id(id) => id,
            MessageRef::Provider {
                provider,
                provider_message_id,
            } => {
                self.message_by_provider_id(owner, &provider, &provider_message_id)
                    .await?
                    .id
            }
        };
        let mut tx = self.begin(owner).await?;
        let found = tx
            .lock_message(id)
            .await?
            .ok_or_else(|| message_not_found(id))?;
        let event = report_event(&found, status, error.as_ref(), occurred_at, tx.now());
        let report = Report {
            status,
            attempt: None,
            error,
            occurred_at: occurred_at.unwrap_or(tx.now()),
        };
        let under_way = if has_delivery(found.progress.status) {
            tx.delivery_attempt(id).await?.unwrap_or(0)
        } else {
            0
        };
        let known = with_started_attempt(found.progress.clone(), under_way);
        let mut progress = match known.apply(ProgressEvent::Report(report)) {
            Step::Moved(progress) => progress,
            Step::Ignored => {
                // Nothing new, but the report is recorded. The first such report may have been interrupted before the
                // cache was invalidated.
                tx.touch_message(&found).await?;
                tx.append_delivery_event(id, &event).await?;
                self.commit(tx).await?;
                return Ok(found);
            }
            Step::Illegal => return Err(illegal(&found)),
        };
        if has_delivery(found.progress.status) && !has_delivery(progress.status) {
            let last = end_delivery(&mut tx, &found, progress.status).await?;
            // The outcome of that attempt will find no delivery: from this it sees whether it is the latest.
            progress.attempt = progress.attempt.max(last);
        }
        let user = tx.user_of(found.conversation_id).await?;
        let fence = self.fence_of_change(&mut tx, &found, &user);
        tx.append_delivery_event(id, &event).await?;
        let moved = progress.status != found.progress.status;
        let message = Message {
            progress,
            updated_at: tx.now(),
            version: found.version + 1,
            ..found.clone()
        };
        let kind = if moved {
            EventType::MessageStatusChanged
        } else {
            EventType::MessageUpdated
        };
        ensure_updated(tx.update_message(&found, &message, kind, &user).await?)?;
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }
}

/// Ends the delivery, because the message has been handed over and must not be sent again. Returns its last attempt,
/// which is recorded here.
async fn end_delivery(tx: &mut Tx, found: &Message, status: MessageStatus) -> Result<i32> {
    // Not the attempt that was read above: it may have been claimed again since.
    let last = tx.delete_delivery(found).await?.unwrap_or(0);
    record_superseded_attempts(tx, found, last, status).await?;
    Ok(last)
}

/// After the start of its hand-over a scheduled message keeps its status until the hand-over takes long; this applies
/// the pending change.
fn with_started_attempt(progress: Progress, attempt: i32) -> Progress {
    if attempt == 0 {
        return progress;
    }
    match progress.clone().apply(ProgressEvent::Due) {
        Step::Moved(due) => due,
        Step::Ignored | Step::Illegal => progress,
    }
}

fn report_event(
    found: &Message,
    status: ReportStatus,
    error: Option<&ReportedError>,
    occurred_at: Option<Timestamp>,
    now: Timestamp,
) -> DeliveryEvent {
    DeliveryEvent {
        time: now,
        kind: DeliveryEventKind::Report,
        attempt: None,
        provider: found.provider.clone(),
        provider_time: occurred_at,
        status: Some(status.into()),
        detail: error.map(|error| error.message.clone()).unwrap_or_default(),
    }
}

/// Whether a message with this status has a delivery.
pub(super) const fn has_delivery(status: MessageStatus) -> bool {
    match status {
        MessageStatus::Scheduled
        | MessageStatus::Pending
        | MessageStatus::Sending
        | MessageStatus::Uncertain => true,
        MessageStatus::Sent
        | MessageStatus::Delivered
        | MessageStatus::Read
        | MessageStatus::Undelivered
        | MessageStatus::Failed
        | MessageStatus::Expired
        | MessageStatus::Canceled
        | MessageStatus::Received => false,
    }
}

fn illegal(found: &Message) -> Error {
    Error::new(
        Reason::IllegalStatus,
        format!(
            "a message that is {} takes no reports",
            found.progress.status
        ),
    )
    .with("status", found.progress.status)
    .with("message_id", found.id)
}
