//! Status reports about a message, merged so that any order and any repetition give the same result.

use parlance_domain::message::{MessageEvent, ProgressEvent, Report, ReportStatus, ReportedError};
use parlance_domain::{Message, MessageStatus, Owner, Timestamp};
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use super::attempt_events::record_superseded_attempts;
use super::get::{MessageRef, message_not_found};
use crate::App;
use crate::error::{Error, Reason, Result};
use crate::transition::Transitioned;

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

/// What a provider's report says in addition; nothing in a report of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ReportOrigin {
    /// The reporting provider: the message must be its own.
    pub(crate) provider: Option<&'static str>,
    /// The attempt that the report is about.
    pub(crate) attempt: Option<i32>,
    /// The provider's id of the message. No other message of the owner may have it.
    pub(crate) provider_message_id: Option<String>,
}

impl App {
    /// Merges a report; one without news changes nothing and succeeds.
    pub async fn report_status(&self, owner: &Owner, report: StatusReport) -> Result<Message> {
        self.merge_status(owner, report, ReportOrigin::default())
            .await
    }

    /// Merges a report of a client or of a provider.
    pub(crate) async fn merge_status(
        &self,
        owner: &Owner,
        report: StatusReport,
        origin: ReportOrigin,
    ) -> Result<Message> {
        let ReportOrigin {
            provider,
            attempt,
            provider_message_id,
        } = origin;
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
        if provider.is_some() && provider != found.provider.as_deref() {
            return Err(message_not_found(id));
        }
        let event = report_event(&found, status, error.as_ref(), occurred_at, tx.now());
        let report = Report {
            status,
            attempt,
            error,
            occurred_at: occurred_at.unwrap_or(tx.now()),
        };
        // Locked, so that no new attempt begins before the report is decided: its last attempt counts.
        let last = if has_delivery(found.progress.status) {
            tx.lock_delivery(id).await?
        } else {
            None
        };
        let change = MessageEvent::Delivery {
            steps: report_steps(report, last.unwrap_or(0)),
            // Without the answer to the hand-over the report is the only one to say it.
            provider_message_id: provider_message_id
                .filter(|_| found.provider_message_id.is_none()),
        };
        let (message, fence) = match self.transition(&mut tx, &found, change).await? {
            Transitioned::Moved(message, fence) => (*message, fence),
            Transitioned::Unchanged(fence) => (found.clone(), fence),
            Transitioned::Illegal => return Err(illegal(&found)),
        };
        if let Some(last) = last.filter(|_| !has_delivery(message.progress.status)) {
            // The message was handed over and must not be sent again.
            tx.delete_delivery(&found).await?;
            record_superseded_attempts(&mut tx, &found, last, message.progress.status).await?;
        }
        tx.append_delivery_event(id, &event).await?;
        self.commit_fenced(tx, fence).await?;
        Ok(message)
    }
}

/// Steps of a report about the last attempt of a delivery; 0 if no attempt was started. The outcome of that attempt will
/// find no delivery: from the attempt of the message it sees whether it is the latest.
fn report_steps(report: Report, last: i32) -> Vec<ProgressEvent> {
    let report = ProgressEvent::Report(report);
    if last == 0 {
        vec![report]
    } else {
        ProgressEvent::of_attempt(last, Some(report))
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
