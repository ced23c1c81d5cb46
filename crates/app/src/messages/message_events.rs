//! Lists the events of a message.

use parlance_domain::{MessageId, Owner};
use parlance_storage::db::delivery_event::DeliveryEvent;

use super::get::message_not_found;
use crate::App;
use crate::error::Result;

/// Events that one response returns; a message has a handful.
const LIMIT: i64 = 1_000;

impl App {
    /// Every attempt, receipt and refusal, oldest first.
    pub async fn message_events(&self, owner: &Owner, id: MessageId) -> Result<Vec<DeliveryEvent>> {
        let events = self.db.delivery_events(owner, id, LIMIT).await?;
        if events.is_empty() && self.db.message(owner, id).await?.is_none() {
            return Err(message_not_found(id));
        }
        Ok(events)
    }
}
