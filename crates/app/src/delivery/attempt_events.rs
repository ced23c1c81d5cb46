//! Attempts that their workers have not told of: they are part of the story too, and each has one line in it.

use parlance_domain::{Message, MessageStatus};
use parlance_storage::Tx;
use parlance_storage::db::delivery_event::{DeliveryEvent, DeliveryEventKind};

use crate::error::Result;

/// What is told of the attempt that a report has ended: its worker finds this and adds nothing.
pub(super) const A_REPORT_WAS_FASTER: &str = "handed over; a report was faster than its outcome";

const LOST: &str = "begun, and never ended: its worker was lost";

/// Tells of the attempts before this one whose workers wrote nothing down.
pub(super) async fn tell_of_the_lost(tx: &mut Tx, found: &Message, before: i32) -> Result<()> {
    let told = tx.recorded_attempts(found.id).await?;
    lost(tx, found, before, &told).await
}

/// Tells of the last attempt of a job that a report has ended, and of those before, as far as nobody has. In the transaction of
/// the report: with the job goes what would tell the next worker that an attempt was begun, and this one's may die before it
/// writes anything down.
pub(crate) async fn tell_of_the_overtaken(
    tx: &mut Tx,
    found: &Message,
    last: i32,
    status: MessageStatus,
) -> Result<()> {
    let told = tx.recorded_attempts(found.id).await?;
    lost(tx, found, last, &told).await?;
    if last > 0 && !is_told(&told, last) {
        tell(tx, found, last, Some(status), A_REPORT_WAS_FASTER).await?;
    }
    Ok(())
}

async fn lost(tx: &mut Tx, found: &Message, before: i32, told: &[(i32, String)]) -> Result<()> {
    for attempt in (1..before).filter(|&attempt| !is_told(told, attempt)) {
        tell(tx, found, attempt, None, LOST).await?;
    }
    Ok(())
}

fn is_told(told: &[(i32, String)], attempt: i32) -> bool {
    told.iter().any(|(known, _)| *known == attempt)
}

async fn tell(
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
