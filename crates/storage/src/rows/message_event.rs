//! Delivery events of messages.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::{MessageId, MessageStatus, Owner};

use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::model::delivery_event::{DeliveryEvent, DeliveryEventKind};
use crate::schema::message_events;

/// An event as it is read.
#[derive(Clone, Debug, Queryable, Selectable)]
#[diesel(table_name = message_events, check_for_backend(Pg, Sqlite))]
pub(crate) struct DeliveryEventRow {
    pub(crate) id: i64,
    pub(crate) time: Instant,
    pub(crate) kind: String,
    pub(crate) attempt: Option<i32>,
    pub(crate) provider: Option<String>,
    pub(crate) provider_time: Option<Instant>,
    pub(crate) status: Option<String>,
    pub(crate) detail: String,
}

/// An event as it is written.
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = message_events, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct NewDeliveryEventRow {
    pub(crate) owner: String,
    pub(crate) message_id: Id,
    pub(crate) time: Instant,
    pub(crate) kind: String,
    pub(crate) attempt: Option<i32>,
    pub(crate) provider: Option<String>,
    pub(crate) provider_time: Option<Instant>,
    pub(crate) status: Option<String>,
    pub(crate) detail: String,
}

impl NewDeliveryEventRow {
    pub(crate) fn new(owner: &Owner, message: MessageId, event: &DeliveryEvent) -> Self {
        let DeliveryEvent {
            time,
            kind,
            attempt,
            provider,
            provider_time,
            status,
            detail,
        } = event;
        Self {
            owner: owner.as_str().to_owned(),
            message_id: message.into(),
            time: (*time).into(),
            kind: kind.as_str().to_owned(),
            attempt: *attempt,
            provider: provider.clone(),
            provider_time: provider_time.map(Into::into),
            status: status.map(|status| status.as_str().to_owned()),
            detail: detail.clone(),
        }
    }
}

impl TryFrom<DeliveryEventRow> for DeliveryEvent {
    type Error = StorageError;

    fn try_from(row: DeliveryEventRow) -> StorageResult<Self> {
        let bad = |column| StorageError::inconsistent("message_events", column, row.id);
        Ok(Self {
            time: row.time.into(),
            kind: DeliveryEventKind::parse(&row.kind).ok_or_else(|| bad("kind"))?,
            attempt: row.attempt,
            provider: row.provider,
            provider_time: row.provider_time.map(Into::into),
            status: row
                .status
                .map(|word| MessageStatus::parse(&word).ok_or_else(|| bad("status")))
                .transpose()?,
            detail: row.detail,
        })
    }
}
