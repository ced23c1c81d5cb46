//! Delivery events of messages: every attempt, report and refusal.

use parlance_domain::{MessageId, Owner};

pub use crate::model::delivery_event::{DeliveryEvent, DeliveryEventKind};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::message_event::NewDeliveryEventRow;

impl Database {
    /// Returns the delivery events of a message of the owner, oldest first.
    pub async fn delivery_events(
        &self,
        owner: &Owner,
        message: MessageId,
        limit: i64,
    ) -> StorageResult<Vec<DeliveryEvent>> {
        let id = Id(message.uuid());
        let rows = read!(self, |c, q| q::message_event::of_message(
            c,
            owner.as_str(),
            id,
            limit
        ))?;
        rows.into_iter().map(DeliveryEvent::try_from).collect()
    }
}

impl Tx {
    /// Returns the attempts that a message's delivery events record, with their details.
    pub async fn recorded_attempts(
        &mut self,
        message: MessageId,
    ) -> StorageResult<Vec<(i32, String)>> {
        let id = Id(message.uuid());
        on!(self.connection, |c, q| q::message_event::attempts(
            c,
            self.owner.as_str(),
            id
        ))
    }

    /// Appends a delivery event.
    pub async fn append_delivery_event(
        &mut self,
        message: MessageId,
        event: &DeliveryEvent,
    ) -> StorageResult<()> {
        let row = delivery_event_row(self.owner.as_str(), message, event);
        on!(self.connection, |c, q| q::message_event::append(c, &row))
    }
}

/// Returns the row of a delivery event.
pub(crate) fn delivery_event_row(
    owner: &str,
    message: MessageId,
    event: &DeliveryEvent,
) -> NewDeliveryEventRow {
    let DeliveryEvent {
        time,
        kind,
        attempt,
        provider,
        provider_time,
        status,
        detail,
    } = event;
    NewDeliveryEventRow {
        owner: owner.to_owned(),
        message_id: Id(message.uuid()),
        time: (*time).into(),
        kind: kind.as_str().to_owned(),
        attempt: *attempt,
        provider: provider.clone(),
        provider_time: provider_time.map(Into::into),
        status: status.map(|status| status.as_str().to_owned()),
        detail: detail.clone(),
    }
}
