//! Senders.

use std::time::Duration;

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};
use parlance_domain::{Channel, Sender, SenderStatus};

use super::{owner, word};
use crate::error::{StorageError, StorageResult};
use crate::fields::{Id, Instant};
use crate::schema::senders;

#[derive(Clone, Debug, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = senders, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false, treat_none_as_null = true)]
pub(crate) struct SenderRow {
    pub(crate) id: Id,
    pub(crate) owner: String,
    pub(crate) channel: String,
    pub(crate) address: String,
    pub(crate) provider: String,
    pub(crate) credentials: String,
    pub(crate) status: String,
    pub(crate) segments_per_second: i32,
    pub(crate) default_expiry: Option<i64>,
    pub(crate) reply_domain: String,
    pub(crate) messaging_service: String,
    pub(crate) created_at: Instant,
    pub(crate) updated_at: Instant,
    pub(crate) version: i64,
}

impl From<&Sender> for SenderRow {
    fn from(sender: &Sender) -> Self {
        let Sender {
            id,
            owner,
            channel,
            address,
            provider,
            credentials,
            status,
            segments_per_second,
            default_expiry,
            reply_domain,
            messaging_service,
            created_at,
            updated_at,
            version,
        } = sender;
        Self {
            id: (*id).into(),
            owner: owner.as_str().to_owned(),
            channel: channel.as_str().to_owned(),
            address: address.clone(),
            provider: provider.clone(),
            credentials: credentials.clone(),
            status: status.as_str().to_owned(),
            segments_per_second: *segments_per_second,
            default_expiry: default_expiry
                .map(|d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)),
            reply_domain: reply_domain.clone(),
            messaging_service: messaging_service.clone(),
            created_at: (*created_at).into(),
            updated_at: (*updated_at).into(),
            version: *version,
        }
    }
}

impl TryFrom<SenderRow> for Sender {
    type Error = StorageError;

    fn try_from(row: SenderRow) -> StorageResult<Self> {
        Ok(Self {
            id: row.id.into(),
            owner: owner("senders", &row.owner, row.id.0)?,
            channel: word!("senders", row, channel, Channel)?,
            status: word!("senders", row, status, SenderStatus)?,
            address: row.address,
            provider: row.provider,
            credentials: row.credentials,
            segments_per_second: row.segments_per_second,
            default_expiry: row
                .default_expiry
                .and_then(|us| u64::try_from(us).ok())
                .map(Duration::from_micros),
            reply_domain: row.reply_domain,
            messaging_service: row.messaging_service,
            created_at: row.created_at.into(),
            updated_at: row.updated_at.into(),
            version: row.version,
        })
    }
}
