//! The jobs of messages that are to leave.

use parlance_domain::{Message, MessageId, SenderId, Timestamp};

use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::delivery::DeliveryRow;
use crate::tx::Tx;

impl Tx {
    /// The job of a message, for a dispatcher to claim once it is due.
    pub async fn insert_delivery(
        &mut self,
        message: &Message,
        sender: SenderId,
        due: Timestamp,
    ) -> StorageResult<()> {
        let row = DeliveryRow {
            message_id: Id(message.id.uuid()),
            owner: self.owner.as_str().to_owned(),
            conversation_id: Id(message.conversation_id.uuid()),
            sequence: message.sequence,
            sender_id: Id(sender.uuid()),
            attempt: 0,
            due_at: due.into(),
            lease_until: None,
        };
        on!(self.lease, |c, q| q::delivery::insert(c, &row))
    }

    /// Moves a job to another time.
    pub async fn reschedule_delivery(
        &mut self,
        message: MessageId,
        due: Timestamp,
    ) -> StorageResult<()> {
        on!(self.lease, |c, q| q::delivery::reschedule(
            c,
            self.owner.as_str(),
            Id(message.uuid()),
            due.into()
        ))
    }

    /// The message does not wait to leave any more.
    pub async fn delete_delivery(&mut self, message: MessageId) -> StorageResult<()> {
        on!(self.lease, |c, q| q::delivery::delete(
            c,
            self.owner.as_str(),
            Id(message.uuid())
        ))
    }
}
