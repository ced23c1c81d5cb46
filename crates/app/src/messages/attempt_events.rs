//! Message events of attempts that their workers did not record, so that every attempt has one entry.

use parlance_domain::{Message, MessageStatus};
use parlance_storage::Tx;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use crate::error::Result;

/// Detail of an attempt with a delivery that a report has ended: its worker finds this and adds nothing.
pub(crate) const SETTLED_BY_REPORT: &str = "handed over; a report was faster than its outcome";

const LOST: &str = "started, and never finished: its worker was lost";

/// Records the attempts before this one that have no entry.
pub(crate) async fn record_lost_attempts(tx: &mut Tx, found: &Message, before: i32) -> Result<()> {
    let recorded = tx.recorded_attempts(found.id).await?;
    record_missing(tx, found, before, &recorded).await
}

/// Records the last attempt of a delivery that a report has ended, and earlier ones without an entry. Must run in the
/// transaction of the report: it removes the delivery, from which the next worker would learn that an attempt was
/// started, and the current worker may die before it writes anything.
pub(crate) async fn record_superseded_attempts(
    tx: &mut Tx,
    found: &Message,
    last: i32,
    status: MessageStatus,
) -> Result<()> {
    let recorded = tx.recorded_attempts(found.id).await?;
    record_missing(tx, found, last, &recorded).await?;
    if last > 0 && !is_recorded(&recorded, last) {
        record_attempt(tx, found, last, Some(status), SETTLED_BY_REPORT).await?;
    }
    Ok(())
}

async fn record_missing(
    tx: &mut Tx,
    found: &Message,
    before: i32,
    recorded: &[(i32, String)],
) -> Result<()> {
    for attempt in (1..before).filter(|&attempt| !is_recorded(recorded, attempt)) {
        record_attempt(tx, found, attempt, None, LOST).await?;
    }
    Ok(())
}

fn is_recorded(recorded: &[(i32, String)], attempt: i32) -> bool {
    recorded.iter().any(|(known, _)| *known == attempt)
}

async fn record_attempt(
    tx: &mut Tx,
    found: &Message,
    attempt: i32,
    status: Option<MessageStatus>,
    detail: &str,
) -> Result<()> {
    let event = DeliveryEvent {
        time: tx.now(),
        kind: DeliveryEventKind::Attempt,
        attempt: Some(attempt),
        provider: found.provider.clone(),
        provider_time: None,
        status,
        detail: detail.to_owned(),
    };
    Ok(tx.append_delivery_event(found.id, &event).await?)
}
