//! Reports about a message's way: merged so that any order and repetition gives one result.

use parlance_domain::message::{Progress, ProgressEvent, Report, ReportStatus, ReportedError};
use parlance_domain::{EventType, Message, MessageStatus, Owner, Step, Timestamp};
use parlance_storage::Tx;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use super::get::{MessageRef, message_not_found};
use crate::App;
use crate::delivery::tell_of_the_overtaken;
use crate::error::{Error, Reason, Result};
use crate::write::held;

/// What `report_status` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// About which message.
    pub which: MessageRef,
    /// How far it has come.
    pub status: ReportStatus,
    /// What went wrong.
    pub error: Option<ReportedError>,
    /// When; now without it.
    pub occurred_at: Option<Timestamp>,
}

impl App {
    /// Merges a report; one that says nothing new changes nothing and succeeds.
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
        let story = story(&found, status, error.as_ref(), occurred_at, tx.now());
        let report = Report {
            status,
            attempt: None,
            error,
            occurred_at: occurred_at.unwrap_or(tx.now()),
        };
        let under_way = if waits(found.progress.status) {
            tx.delivery_attempt(id).await?.unwrap_or(0)
        } else {
            0
        };
        let known = begun(found.progress.clone(), under_way);
        let mut progress = match known.apply(ProgressEvent::Report(report)) {
            Step::Moved(progress) => progress,
            Step::Ignored => {
                // Nothing new, but it was said. Whoever said it first may have been cut off before the cache was told.
                tx.touch_message(&found).await?;
                tx.append_delivery_event(id, &story).await?;
                self.commit(tx).await?;
                return Ok(found);
            }
            Step::Illegal => return Err(illegal(&found)),
        };
        if waits(found.progress.status) && !waits(progress.status) {
            let last = end_job(&mut tx, &found, progress.status).await?;
            // Its outcome finds no job any more: this is where it sees whether it is the latest.
            progress.attempt = progress.attempt.max(last);
        }
        let user = tx.user_of(found.conversation_id).await?;
        let fence = self.fence_of_change(&mut tx, &found, &user);
        tx.append_delivery_event(id, &story).await?;
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
        held(tx.update_message(&found, &message, kind, &user).await?)?;
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }
}

/// Somebody has handed it over: it must not be sent again. The last attempt of its job, which has been told of then.
async fn end_job(tx: &mut Tx, found: &Message, status: MessageStatus) -> Result<i32> {
    // Not the attempt that was read before: it may have been claimed since.
    let last = tx.delete_delivery(found).await?.unwrap_or(0);
    tell_of_the_overtaken(tx, found, last, status).await?;
    Ok(last)
}

/// A scheduled message whose hand-over was begun is not shown to be on its way before that takes long; it is, all the same.
fn begun(progress: Progress, attempt: i32) -> Progress {
    if attempt == 0 {
        return progress;
    }
    match progress.clone().apply(ProgressEvent::Due) {
        Step::Moved(due) => due,
        Step::Ignored | Step::Illegal => progress,
    }
}

fn story(
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

/// Whether a message has a job.
pub(super) const fn waits(status: MessageStatus) -> bool {
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
