//! Tombstones: records of deleted inbound messages.

use diesel::prelude::*;

use crate::fields::Instant;
use crate::schema::deleted_messages;

#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = deleted_messages)]
pub(crate) struct DeletedMessageRow {
    pub(crate) owner: String,
    pub(crate) provider: String,
    pub(crate) provider_message_id: String,
    pub(crate) deleted_at: Instant,
}
