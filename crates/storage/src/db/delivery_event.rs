//! The stories of messages: every attempt, receipt and refusal.

use parlance_domain::{MessageId, MessageStatus, Owner, Timestamp};

use crate::conn::Database;
use crate::error::StorageResult;
use crate::fields::Id;
use crate::rows::message_event::NewStoryRow;
use crate::tx::Tx;

/// What happened to a message on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryEventKind {
    /// It was handed over, or that was tried.
    Attempt,
    /// Its provider, or somebody in its name, told how far it came.
    Report,
    /// It was called back.
    Canceled,
    /// Its time passed.
    Expired,
}

impl DeliveryEventKind {
    /// The word in the database and in the contract.
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

/// One line of a story.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryEvent {
    /// When we learned of it.
    pub time: Timestamp,
    /// What it was.
    pub kind: DeliveryEventKind,
    /// Of which hand-over.
    pub attempt: Option<i32>,
    /// Who carried it.
    pub provider: Option<String>,
    /// When it happened, as the provider says.
    pub provider_time: Option<Timestamp>,
    /// Where the message stood afterwards, or what was reported.
    pub status: Option<MessageStatus>,
    /// In words; may be empty.
    pub detail: String,
}

impl Database {
    /// The story of a message of the owner, oldest first.
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
    /// The attempts that a message's story tells of, and in which words.
    pub async fn recorded_attempts(
        &mut self,
        message: MessageId,
    ) -> StorageResult<Vec<(i32, String)>> {
        let id = Id(message.uuid());
        on!(self.lease, |c, q| q::message_event::attempts(
            c,
            self.owner.as_str(),
            id
        ))
    }

    /// Adds a line to a message's story.
    pub async fn append_delivery_event(
        &mut self,
        message: MessageId,
        event: &DeliveryEvent,
    ) -> StorageResult<()> {
        let row = story_row(self.owner.as_str(), message, event);
        on!(self.lease, |c, q| q::message_event::append(c, &row))
    }
}

/// The row of a line.
pub(crate) fn story_row(owner: &str, message: MessageId, event: &DeliveryEvent) -> NewStoryRow {
    let DeliveryEvent {
        time,
        kind,
        attempt,
        provider,
        provider_time,
        status,
        detail,
    } = event;
    NewStoryRow {
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
