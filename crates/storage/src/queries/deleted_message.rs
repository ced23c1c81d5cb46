//! Tombstones of deleted inbound messages, by their providers' ids.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use super::Conn;
use crate::rows::deleted_message::DeletedMessageRow;
use crate::schema::{conversations, deleted_messages, messages};

/// Records deletions; an existing tombstone is not changed.
pub(crate) async fn insert(c: &mut Conn, rows: &[DeletedMessageRow]) -> QueryResult<usize> {
    insert_all!(c, rows, |some| {
        diesel::insert_into(deleted_messages::table)
            .values(some)
            .on_conflict_do_nothing()
    })
}

/// Whether a message with this id was deleted, or is being deleted with its conversation.
pub(crate) async fn exists(
    c: &mut Conn,
    owner: &str,
    provider: &str,
    provider_message_id: &str,
) -> QueryResult<bool> {
    let deleted = deleted_messages::table
        .filter(deleted_messages::owner.eq(owner))
        .filter(deleted_messages::provider.eq(provider))
        .filter(deleted_messages::provider_message_id.eq(provider_message_id));
    let hidden = messages::table
        .inner_join(conversations::table.on(conversations::id.eq(messages::conversation_id)))
        .filter(messages::owner.eq(owner))
        .filter(messages::provider.eq(provider))
        .filter(messages::provider_message_id.eq(provider_message_id))
        .filter(conversations::deleted_at.is_not_null());
    diesel::select(diesel::dsl::exists(deleted).or(diesel::dsl::exists(hidden)))
        .get_result(c)
        .await
}
