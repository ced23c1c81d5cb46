//! Delivery events of messages: every attempt, report and refusal.

use parlance_domain::{MessageId, MessageStatus, Owner, Timestamp};

use crate::conn::Database;
use crate::db::tx::Tx;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::message_event::NewDeliveryEventRow;

/// Kind of a delivery event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEventKind {
    /// A hand-over, or an attempt at one.
    Attempt,
    /// A report about the status, by the provider or in its name.
    Report,
    /// The message was canceled.
    Canceled,
    /// The message expired.
    Expired,
}

impl DeliveryEventKind {
    /// The name in the database and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Report => "report",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Attempt, Self::Report, Self::Canceled, Self::Expired]
            .into_iter()
            .find(|kind| kind.as_str() == word)
    }
}

/// A delivery event of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEvent {
    /// When we recorded it.
    pub time: Timestamp,
    /// Its kind.
    pub kind: DeliveryEventKind,
    /// Number of the hand-over.
    pub attempt: Option<i32>,
    /// The provider.
    pub provider: Option<String>,
    /// When it happened, according to the provider.
    pub provider_time: Option<Timestamp>,
    /// Status of the message afterwards, or the reported one.
    pub status: Option<MessageStatus>,
    /// Explanation; may be empty.
    pub detail: String,
}

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
