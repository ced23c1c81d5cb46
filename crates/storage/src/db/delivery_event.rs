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
        let id = Id::from(message);
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
        let id = Id::from(message);
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
        let row = NewDeliveryEventRow::new(&self.owner, message, event);
        on!(self.connection, |c, q| q::message_event::append(c, &row))
    }
}
