//! Deliveries of outbound messages.

use diesel::prelude::*;
use diesel::{pg::Pg, sqlite::Sqlite};

use crate::fields::{Id, Instant};
use crate::schema::deliveries;

#[derive(Clone, Debug, Queryable, Selectable, Insertable)]
#[diesel(table_name = deliveries, check_for_backend(Pg, Sqlite), treat_none_as_default_value = false)]
pub(crate) struct DeliveryRow {
    pub(crate) message_id: Id,
    pub(crate) owner: String,
    pub(crate) conversation_id: Id,
    pub(crate) sequence: i64,
    pub(crate) sender_id: Id,
    pub(crate) channel: String,
    pub(crate) provider: String,
    pub(crate) state: String,
    pub(crate) attempt: i32,
    pub(crate) due_at: Instant,
    pub(crate) expires_at: Option<Instant>,
    pub(crate) created_at: Instant,
}
